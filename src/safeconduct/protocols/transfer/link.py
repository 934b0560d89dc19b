"""Links to mailboxes: `https://relay.example/v1/m/{mailbox}?v=a#{secret}.2p`.

What follows "#" never goes to the relay. It is the secret and, from version 2 on, the version of the payloads
and the binding level, so that no relay can make a receiver fall back to weaker ones. A link of the drafts has
the secret alone, in any of the four forms of base64.

Programs for mail cut a last "=" or "-" off a link; those made here end in neither.
"""

import re
from typing import Final, Literal
from urllib.parse import parse_qsl

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported
from safeconduct.protocols.oauth import urls
from safeconduct.protocols.transfer.keys import check_secret

Level = Literal["link", "pin", "key", "approve", "authority"]
"""How a receiver is bound: by the link alone, a code too, its key, the sender's approval; "authority": the
sender itself signs what the receiver gets."""

_LETTERS: Final[dict[Level, str]] = {"link": "l", "pin": "p", "key": "k", "approve": "a", "authority": "s"}
_LEVELS: Final = {letter: level for level, letter in _LETTERS.items()}
_DRAFT: Final = 1
_VERSION: Final = 2
_UUID: Final = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_MAILBOX: Final = re.compile(rf"(?P<relay>.+)/v(?P<version>[0-9]{{1,3}})/m/(?P<mailbox>{_UUID})")
_VERTICAL: Final = re.compile(r"[A-Za-z0-9]{1,16}")
_SUFFIX: Final = re.compile(r"(?P<version>[0-9]{1,3})(?P<letter>[a-z])")
_MOST_PARAMETERS: Final = 16
_LONGEST_SECRET: Final = 32
# Some programs escape these characters of a fragment.
_ESCAPED: Final = {"%3D": "=", "%2B": "+", "%2F": "/"}
_ESCAPE: Final = re.compile("%3D|%2B|%2F", re.IGNORECASE)


class ShareLink(msgspec.Struct, frozen=True, kw_only=True):
    """A link. Who has it can take what lies in the mailbox, so that nothing of it is shown or logged.

    url: of the mailbox, without query and fragment: what requests go to. secret: 16 or 32 bytes; None if it
    comes by another way. version: of the payloads; 1 are the drafts'. level: None exactly for version 1.
    vertical: the drafts' `v`, which tells a telephone the kind of application ("a": any).

    Raises Malformed "link_malformed", "transfer_secret_malformed", Unsupported "relay_version_unsupported".
    """

    url: str
    secret: bytes | None = None
    version: Literal[1, 2] = _VERSION
    level: Level | None = None
    vertical: str = "a"

    def __post_init__(self) -> None:
        found = _MAILBOX.fullmatch(self.url)
        if found is None or not _VERTICAL.fullmatch(self.vertical):
            raise _malformed()
        if found["version"] != "1":
            raise Unsupported("relay_version_unsupported", "The link is to a relay of another version.")
        if (self.level is None) != (self.version == _DRAFT) or (self.secret is None and self.level):
            raise _malformed()
        if self.secret is not None:
            check_secret(self.secret)

    @property
    def mailbox_id(self) -> str:
        """The mailbox's name at the relay: a UUID in lower case."""
        return self.url[-36:].lower()

    @property
    def relay(self) -> str:
        """The relay's base URL, without a slash at its end."""
        return self.url[: -len("/v1/m/") - 36]

    def __repr__(self) -> str:
        return f"<ShareLink {self.level or 'of the drafts'} (not shown)>"


def parse_link(text: str, *, allow_http_loopback: bool = False) -> ShareLink:
    """Reads a link as it was sent; white space around it is dropped.

    allow_http_loopback: takes a relay on the local machine without TLS.

    Raises Malformed "link_too_long", "link_malformed", "link_secret_malformed" (cut off, or no secret);
    Unsupported "link_version_unsupported", "link_level_unsupported", "relay_version_unsupported"; Rejected
    "url_not_https".
    """
    if len(text) > limits.TRANSFER_LINK_CHARS:
        raise Malformed("link_too_long", "The link is longer than links are.")
    address, hash_, fragment = text.strip().partition("#")
    url, _, query = address.partition("?")
    try:
        urls.check_url(url, what="of the mailbox", allow_http_loopback=allow_http_loopback)
    except Malformed:
        raise _malformed() from None
    link = ShareLink(url=url, version=_DRAFT, vertical=_vertical(query))
    return with_fragment(link, fragment) if hash_ else link


def with_fragment(link: ShareLink, fragment: str) -> ShareLink:
    """Returns a link that came without its secret together with what came by another way.

    fragment: what stands after "#" in a whole link, with or without that sign.

    Raises Malformed "link_secret_malformed"; Unsupported "link_version_unsupported",
    "link_level_unsupported".
    """
    text = fragment.strip().removeprefix("#")
    secret, dot, suffix = text.partition(".")
    return ShareLink(
        url=link.url,
        secret=_secret(secret),
        version=_VERSION if dot else _DRAFT,
        level=_level(suffix) if dot else None,
        vertical=link.vertical,
    )


def link_text(link: ShareLink) -> str:
    """Returns a link as it is sent, secret included if it has one."""
    fragment = fragment_text(link)
    return f"{without_fragment(link)}#{fragment}" if fragment else without_fragment(link)


def draft_link_text(link: ShareLink) -> str:
    """Returns a link exactly as the drafts write it, the secret in padded base64.

    Raises Rejected "link_not_draft" for a link of version 2, or without a secret.
    """
    if link.version != _DRAFT or link.secret is None:
        raise Rejected("link_not_draft", "The link is not one of the drafts.")
    return f"{without_fragment(link)}#{b64.encode_standard(link.secret)}"


def without_fragment(link: ShareLink) -> str:
    """Returns a link without what must not reach the relay, to be sent apart from `fragment_text`."""
    return f"{link.url}?v={link.vertical}"


def fragment_text(link: ShareLink) -> str:
    """Returns what stands after "#" in the link; empty if the secret is not known."""
    if link.secret is None:
        return ""
    secret = b64.encode(link.secret)
    return secret if link.level is None else f"{secret}.{_VERSION}{_LETTERS[link.level]}"


def _vertical(query: str) -> str:
    try:
        parameters = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise _malformed() from None
    values = [value for name, value in parameters if name == "v"]
    if len(values) > 1:
        raise _malformed()
    return values[0] if values else "a"


def _secret(text: str) -> bytes:
    try:
        plain = _ESCAPE.sub(lambda found: _ESCAPED[found[0].upper()], text)
        return check_secret(b64.decode_any(plain, max_bytes=_LONGEST_SECRET))
    except SafeconductError:
        raise _secret_malformed() from None


def _level(suffix: str) -> Level:
    found = _SUFFIX.fullmatch(suffix)
    if found is None:
        raise _secret_malformed()
    if found["version"] != str(_VERSION):
        raise Unsupported("link_version_unsupported", "The link is of a version that is not known here.")
    level = _LEVELS.get(found["letter"])
    if level is None:
        raise Unsupported("link_level_unsupported", "The link is of a kind that is not known here.")
    return level


def _malformed() -> Malformed:
    return Malformed("link_malformed", "The text is not a link to a mailbox.")


def _secret_malformed() -> Malformed:
    return Malformed(
        "link_secret_malformed", "The end of the link is not a secret; it may have been cut off."
    )
