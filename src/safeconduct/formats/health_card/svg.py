"""QR codes in SVG, as the usual programs write them: runs of dark modules along the rows of one path.

This is no reader of SVG. It finds the path and follows it, and what is drawn otherwise is not supported: a
picture in any other form can be saved as PNG.
"""

import re
from collections.abc import Iterator

import msgspec

from safeconduct import limits
from safeconduct.errors import Malformed, Unsupported

_LARGEST = 185
"""Modules a side of the largest QR code, of version 40, with its quiet zone."""

_PATH = re.compile(r"<path\b([^<>]*)>", re.ASCII)
_STROKE = re.compile(r"""\bstroke\s*=\s*["']""", re.ASCII)
_DATA = re.compile(r"""\sd\s*=\s*["']([^"'<>]*)["']""", re.ASCII)
_STEP = re.compile(r"\s*([Mmh])\s*(-?\d{1,4}(?:\.\d)?)(?:[\s,]*(-?\d{1,4}(?:\.\d)?))?", re.ASCII)


class Bitmap(msgspec.Struct, frozen=True):
    """Shades of grey. width, height: in pixels. pixels: row after row, 0 black to 255 white."""

    width: int
    height: int
    pixels: bytes

    def __repr__(self) -> str:
        return f"<Bitmap {self.width}x{self.height}>"


def looks_like(data: bytes) -> bool:
    """Tells whether bytes begin as SVG does."""
    return data[:256].lstrip().startswith((b"<?xml", b"<svg", b"<!DOC"))


def read(data: bytes, *, scale: int = 4) -> Bitmap:
    """Returns what the picture of a QR code shows, one module as `scale` times `scale` pixels.

    data: SVG. Raises Malformed "card_image_malformed" (not UTF-8, or a path that leaves the picture),
    "card_image_too_large"; Unsupported "card_svg_unsupported" (no path made of runs).
    """
    if len(data) > limits.CARD_IMAGE_BYTES:
        raise Malformed("card_image_too_large", "The picture is larger than is read here.")
    try:
        text = data.decode("utf-8")
    except UnicodeError:
        raise _malformed() from None
    rows = [bytearray(b"\xff" * _LARGEST) for _ in range(_LARGEST)]
    for column, row, length in _runs(_path_of_runs(text)):
        if not (column >= 0 and 0 <= row < _LARGEST and 0 < length <= _LARGEST - column):
            raise _malformed()
        rows[row][column : column + length] = bytes(length)
    return _enlarged(rows, scale)


def _path_of_runs(text: str) -> str:
    for attributes in _PATH.finditer(text):
        path = _DATA.search(attributes[1])
        if path is not None and _STROKE.search(attributes[1]):
            return path[1]
    raise Unsupported(
        "card_svg_unsupported", "The SVG is drawn in a way that is not read here: make it a PNG."
    )


def _runs(path: str) -> Iterator[tuple[int, int, int]]:
    """Column, row and length of each run: M and m move to its start, h draws it."""
    x = y = 0.0
    at = steps = 0
    end = len(path.rstrip())
    while at < end:
        step = _STEP.match(path, at)
        steps += 1
        if step is None or steps > 2 * limits.CARD_SVG_RUNS:
            raise _malformed()
        at = step.end()
        kind, first, second = step[1], float(step[2]), step[3]
        if (kind == "h") != (second is None):
            raise _malformed()
        if kind == "h":
            yield int(x), int(y), int(first)
            x += first
        elif kind == "M":
            x, y = first, float(second)
        else:
            x, y = x + first, y + float(second)


def _enlarged(rows: list[bytearray], scale: int) -> Bitmap:
    larger = b"".join([_enlarged_row(row, scale) * scale for row in rows])
    return Bitmap(_LARGEST * scale, _LARGEST * scale, larger)


def _enlarged_row(row: bytearray, scale: int) -> bytes:
    return b"".join([row[column : column + 1] * scale for column in range(_LARGEST)])


def _malformed() -> Malformed:
    return Malformed("card_image_malformed", "The picture breaks its format.")
