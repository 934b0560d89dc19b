"""Cards in a link that opens an app: they stand in the fragment, which no browser sends to a server."""

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote_to_bytes, urlsplit

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected
from safeconduct.formats.health_card import files

ENDING = "/SMARTHealthCard/"
"""How the address of an app that takes such links should end."""

_RULE = "SHC-1.4.0, via Deep Link"
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def write(base: str, cards: Sequence[str]) -> str:
    """Returns a link to an app with cards in it.

    base: the app's https address, which should end in ENDING and has no fragment.
    Raises Rejected "card_link_base" for another address, ValueError for no cards.
    Source: SHC-1.4.0, via Deep Link.
    """
    _check_base(base)
    return f"{base}#{quote(files.write(cards), safe='')}"


def read(link: str) -> tuple[str, ...]:
    """Returns the cards in a link, each the text of a JWS that is not looked at.

    Raises Malformed "card_link_malformed" (no fragment, or one that is not URL-encoded), Rejected
    "card_link_base", and as `files.read`.
    """
    if len(link) > limits.CARD_FILE_BYTES:
        raise Malformed("card_link_malformed", "The link is longer than is read here.", rule=_RULE)
    base, mark, fragment = link.partition("#")
    if not mark or not fragment.isascii() or _BROKEN_ESCAPE.search(fragment):
        raise Malformed("card_link_malformed", "The link has no cards after a #.", rule=_RULE)
    _check_base(base)
    return files.read(unquote_to_bytes(fragment))


def _check_base(base: str) -> None:
    try:
        parts = urlsplit(base)
    except ValueError:
        raise _bad_base() from None
    if parts.scheme != "https" or not parts.netloc or "#" in base or not _PLAIN.fullmatch(base):
        raise _bad_base()


_PLAIN = re.compile(r"[!-~]+", re.ASCII)


def _bad_base() -> Rejected:
    return Rejected("card_link_base", "The link does not begin with an app's https address.", rule=_RULE)
