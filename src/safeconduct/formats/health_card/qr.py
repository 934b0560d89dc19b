"""A card as the text of a QR code: `shc:/` and two digits for each character of the JWS.

Codes that hold a part of a card (`shc:/2/3/…`) are read, as old cards come in them, and never written: the
framework has deprecated them since 1.3.0.
"""

import re
from collections.abc import Sequence

from safeconduct import limits
from safeconduct.errors import Malformed

PREFIX = "shc:/"
"""Starts the text of every code, in a byte segment of its own."""

MAX_VERSION = 22
"""The largest QR version that a card may have: 105 modules a side."""

MAX_JWS_CHARS = {"L": 1195, "M": 927, "Q": 670, "H": 519}
"""The longest JWS that one code of version 22 holds, for each level of error correction."""

MAX_CHUNK_CHARS = 1191
"""The longest part of a JWS in one code of several: their header takes room."""

_RULE = "SHC-1.4.0, Creating a QR code"
_CHUNKING = "SHC-1.4.0, Chunking (deprecated)"
_FIRST = ord("-")
_LAST_PAIR = 77
_HEADER = re.compile(r"shc:/([1-9][0-9]{0,3})/([1-9][0-9]{0,3})/", re.ASCII)

# A pair of digits is one byte in binary-coded decimal; what is none, or above 77, becomes the NUL that no
# JWS holds.
_FROM_PAIR = bytes(
    _FIRST + (byte >> 4) * 10 + (byte & 15)
    if byte & 15 < 10 and (byte >> 4) * 10 + (byte & 15) <= _LAST_PAIR
    else 0
    for byte in range(256)
)
_TO_PAIR = bytes(
    (char - _FIRST) // 10 << 4 | (char - _FIRST) % 10 if _FIRST <= char <= _FIRST + _LAST_PAIR else 0xFF
    for char in range(256)
)


def digits_to_jws(digits: str) -> str:
    """Returns the characters that pairs of decimal digits stand for; whether they are a JWS is not looked at.

    Raises Malformed "card_qr_digits": not pairs of digits from 00 to 77. The caller has bounded the length.
    """
    try:
        # fromhex skips spaces and reads a to f: the length and the table tell.
        characters = bytes.fromhex(digits).translate(_FROM_PAIR)
    except ValueError:
        raise _not_pairs() from None
    if 2 * len(characters) != len(digits) or b"\0" in characters:
        raise _not_pairs()
    return characters.decode("ascii")


def jws_to_digits(jws: str) -> str:
    """Returns two digits for each character, the inverse of `digits_to_jws`.

    Raises Malformed "card_qr_digits" for a character that no pair stands for.
    """
    try:
        pairs = jws.encode("ascii").translate(_TO_PAIR)
    except UnicodeError:
        raise _no_pair_for() from None
    if b"\xff" in pairs:
        raise _no_pair_for()
    return pairs.hex()


def write(jws: str) -> str:
    """Returns the text of the one QR code that holds a card: `shc:/` and digits."""
    return PREFIX + jws_to_digits(jws)


def read(text: str) -> str:
    """Returns the JWS in the text of one QR code.

    Raises Malformed: "card_qr_header" (does not begin as a card's does), "card_qr_digits",
    "card_qr_too_large", "card_qr_chunk_missing" (holds only a part of a card).
    Source: SHC-1.4.0, Creating a QR code.
    """
    if len(text) > limits.CARD_QR_CHARS:
        raise _too_large()
    if not text.startswith(PREFIX):
        raise _bad_header()
    if text.find("/", len(PREFIX)) >= 0:
        return "".join(chunks([text]))
    return digits_to_jws(text[len(PREFIX) :])


def ascii_of(text: str) -> bytes:
    """As `read`, for who goes on with bytes: most codes hold a whole card, and each has its digits."""
    if len(text) <= limits.CARD_QR_CHARS and text.startswith(PREFIX):
        digits = text[5:]
        try:
            characters = bytes.fromhex(digits).translate(_FROM_PAIR)
        except ValueError:
            characters = b""
        if 2 * len(characters) == len(digits) and b"\0" not in characters:
            return characters
    return read(text).encode("ascii")


def read_all(texts: Sequence[str]) -> str:
    """Returns the JWS whose parts the texts of one or more QR codes hold, scanned in any order.

    Raises as `read`; "card_qr_header" also where the codes disagree on their number, or two on a part.
    Source: SHC-1.4.0, Chunking (deprecated).
    """
    return read(texts[0]) if len(texts) == 1 else "".join(chunks(texts))


def is_chunk(text: str) -> bool:
    """Tells whether a QR code's text is, or says that it is, one of several that hold a card together."""
    return text.startswith(PREFIX) and text.find("/", len(PREFIX)) >= 0


def chunks(texts: Sequence[str]) -> list[str]:
    """Returns the parts of a JWS in codes whose headers number them, in their order. Raises as `read_all`."""
    if len(texts) > limits.CARD_CHUNKS:
        raise _too_large()
    found: dict[int, str] = {}
    totals = set()
    for text in texts:
        place, total, part = _chunk(text)
        if found.setdefault(place, part) != part:
            raise _bad_header()
        totals.add(total)
    if len(totals) != 1:
        raise _bad_header()
    if len(found) != totals.pop():
        raise Malformed("card_qr_chunk_missing", "Not all QR codes of the card are there.", rule=_CHUNKING)
    return [found[place] for place in sorted(found)]


def _chunk(text: str) -> tuple[int, int, str]:
    """The place of a part, counted from 1, the number of parts, and the part."""
    if len(text) > limits.CARD_QR_CHARS:
        raise _too_large()
    header = _HEADER.match(text)
    if header is None:
        raise _bad_header()
    place, total = int(header[1]), int(header[2])
    if place > total:
        raise _bad_header()
    return place, total, digits_to_jws(text[header.end() :])


def _too_large() -> Malformed:
    return Malformed("card_qr_too_large", "The QR codes hold more than is read here.")


def _bad_header() -> Malformed:
    return Malformed(
        "card_qr_header", "The QR code does not begin as that of a health card does.", rule=_RULE
    )


def _not_pairs() -> Malformed:
    return Malformed("card_qr_digits", "The QR code does not hold pairs of digits from 00 to 77.", rule=_RULE)


def _no_pair_for() -> Malformed:
    return Malformed("card_qr_digits", "A character has no place in the QR code of a card.", rule=_RULE)
