"""Drawing a card as a QR code, and telling of a code that was read whether it is drawn as it should be."""

import io
from typing import Any, Literal, cast

import msgspec
import segno
from segno.consts import MODE_BYTE, MODE_NUMERIC
from segno.encoder import DataOverflowError

from safeconduct.errors import Rejected
from safeconduct.formats.health_card import qr, symbol
from safeconduct.formats.health_card.finding import Finding
from safeconduct.formats.health_card.symbol import Segment

Form = Literal["svg", "png"]
Level = Literal["L", "M", "Q", "H"]

MEDIA_TYPES: dict[Form, str] = {"svg": "image/svg+xml", "png": "image/png"}
"""The media type of each form."""

_RULE = "SHC-1.4.0, Creating a QR code"
_BORDER = 4
"""Modules of quiet zone (ISO/IEC 18004)."""


class Code(msgspec.Struct, frozen=True):
    """A QR code as it was read.

    text: what it says, ASCII. version: 1 to 40. level: of error correction, L to H. mask: 0 to 7.
    modules: rows of modules as they were seen, 1 dark, 0 light. damaged: whether errors were corrected, which
    the modules still have.
    """

    text: str
    version: int
    level: str
    mask: int
    modules: tuple[bytes, ...]
    damaged: bool

    def __repr__(self) -> str:
        return f"<Code version {self.version}-{self.level}>"


def draw(jws: str, *, form: Form = "svg", level: Level = "L", scale: int = 4) -> bytes:
    """Returns the QR code of a card as a picture, in two segments and a version no larger than 22.

    level: the least error correction; more is used where it costs no space. scale: pixels of a module.
    Raises Rejected "card_qr_too_long" (see qr.MAX_JWS_CHARS); Malformed "card_qr_digits".
    Source: SHC-1.4.0, Creating a QR code.
    """
    code = _drawn(qr.write(jws), level, boost=True)
    if int(code.version) > qr.MAX_VERSION:
        raise _too_long()
    picture = io.BytesIO()
    # A page's background may be dark: the light modules are painted, too.
    code.save(picture, kind=form, scale=scale, border=_BORDER, dark="#000", light="#fff")
    return picture.getvalue()


def examine(code: Code) -> tuple[Finding, ...]:
    """Returns what is to be said of how the QR code of a card, or of a part of one, is drawn.

    Source: SHC-1.4.0, Creating a QR code.
    """
    found = []
    if code.version > qr.MAX_VERSION:
        found.append(Finding("card_qr_version", "error", "The QR code is larger than version 22."))
    if not code.damaged and not _has_two_segments(code):
        text = "The QR code is not made of a byte segment and a numeric one."
        found.append(Finding("card_qr_segments", "error", text))
    elif code.version > _least_version(code):
        text = "The QR code is larger than its content needs."
        found.append(Finding("card_qr_version_unneeded", "warning", text))
    return tuple(found)


def _drawn(text: str, level: str, *, boost: bool) -> segno.QRCode:
    try:
        # segno takes segments as its documentation says, though not as its types say.
        return segno.make(cast(Any, _segments(text)), error=level, boost_error=boost, micro=False)
    except DataOverflowError:
        raise _too_long() from None


def _too_long() -> Rejected:
    return Rejected(
        "card_qr_too_long",
        "The card is too long for a QR code of version 22: make its bundle smaller, or use a file.",
        rule=_RULE,
    )


def _segments(text: str) -> list[tuple[str, int]]:
    header = text[: text.rfind("/") + 1]
    return [(header, MODE_BYTE), (text[len(header) :], MODE_NUMERIC)]


def _has_two_segments(code: Code) -> bool:
    header, digits = (part for part, _ in _segments(code.text))
    expected = (Segment("byte", len(header)), Segment("numeric", len(digits)))
    mirrored = tuple(map(bytes, zip(*code.modules, strict=True)))
    return any(
        symbol.segments(modules, version=code.version, level=code.level, mask=code.mask) == expected
        for modules in (code.modules, mirrored)
    )


def _least_version(code: Code) -> int:
    """The version that two segments need; of a text that does not go into such, the code's own."""
    header, digits = (part for part, _ in _segments(code.text))
    if not header or not digits.isdigit():
        return code.version
    return int(_drawn(code.text, code.level, boost=False).version)
