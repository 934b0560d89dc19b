"""The display text of a mailbox, which alone is not encrypted: written by a stranger for strangers.

It is shown by preview bots, browsers and wallets, so it is cleaned before it is stored: what cannot be seen,
or turns the order of what stands around it, is left out. Escaping is the business of whoever shows it.
A picture is never fetched here. Its URL goes on only if the operator has listed its host, because whoever
hosts the picture learns who looks at it; in every other one's place stands a picture of the relay's own.
"""

import re
import unicodedata
from collections.abc import Collection
from urllib.parse import urlsplit

import msgspec

from safeconduct import limits
from safeconduct.errors import Malformed, SafeconductError
from safeconduct.protocols.oauth.urls import check_url

PICTURE_PATH = "/v1/picture.png"
"""Where the relay's own picture lies, below its base URL."""


class Display(msgspec.Struct, frozen=True):
    """What may be shown of a mailbox. image_url: "" unless it is on a host that the operator has listed."""

    title: str
    description: str
    image_url: str


def clean_display(title: str, description: str, image_url: str, *, image_hosts: Collection[str]) -> Display:
    """Returns what may be stored and shown of a sender's `displayInformation`.

    image_hosts: names of the hosts of pictures that previews may show. Raises Malformed "message_malformed"
    for what is longer than `limits` allow.
    """
    return Display(
        title=_cleaned(title, most=limits.DISPLAY_TITLE_CHARS, what="title"),
        description=_cleaned(description, most=limits.DISPLAY_DESCRIPTION_CHARS, what="description"),
        image_url=_allowed(image_url, image_hosts),
    )


def display_members(display: Display, *, base: str) -> dict[str, str]:
    """Returns `displayInformation` as readers get it, with a picture in any case. base: URL of the relay."""
    return {
        "title": display.title,
        "description": display.description,
        "imageURL": picture_of(display, base=base),
    }


def picture_of(display: Display, *, base: str) -> str:
    """Returns the URL of the picture to show: the sender's, where it may be shown, else the relay's own."""
    return display.image_url or f"{base}{PICTURE_PATH}"


_SPACE = re.compile(r"[\s\u2028\u2029]+")
_JOINERS = "\u200c\u200d"
"""Zero-width (non-)joiner: formatting that Persian, Hindi and emoji are spelled with."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co"})
"""General categories: control, format (so all that turns the writing direction), surrogate, private use."""
_NONCHARACTERS = frozenset(
    [
        *map(chr, range(0xFDD0, 0xFDF0)),
        *(chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF)),
    ]
)
"""Code points that no text has, by Unicode §23.7."""


def _cleaned(text: str, *, most: int, what: str) -> str:
    if len(text) > most:
        raise _too_long(what)
    if text.isascii() and text.isprintable():
        return " ".join(text.split())  # what is done below to any text, sooner
    spaced = _SPACE.sub(" ", text)
    seen = "".join(
        character
        for character in spaced
        if character in _JOINERS
        or (unicodedata.category(character) not in _UNSEEN and character not in _NONCHARACTERS)
    )
    return _SPACE.sub(" ", unicodedata.normalize("NFC", seen)).strip(f" {_JOINERS}")


def _allowed(image_url: str, image_hosts: Collection[str]) -> str:
    if len(image_url) > limits.URL_CHARS:
        raise _too_long("imageURL")
    if not image_hosts:
        return ""
    try:
        check_url(image_url, what="imageURL")
    except SafeconductError:
        return ""  # it is not shown, so it need not be one
    parts = urlsplit(image_url)
    allowed = {host.lower() for host in image_hosts}
    return image_url if parts.hostname in allowed and parts.port in (None, 443) else ""


def _too_long(what: str) -> Malformed:
    return Malformed("message_malformed", f"displayInformation.{what} is longer than the relay takes.")
