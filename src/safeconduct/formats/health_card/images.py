"""Reading the QR codes in a picture.

Nothing here reads or writes anything but bytes. But the decoders of pictures are large and native, so that
no other module of the core imports this one at its top: a process loads them with its first picture.
"""

import io
import math
import struct
import zlib
from typing import Any, cast

import zxingcpp
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from safeconduct import limits
from safeconduct.errors import Malformed
from safeconduct.formats.health_card import qr, svg
from safeconduct.formats.health_card.drawing import Code
from safeconduct.formats.health_card.svg import Bitmap


def looks_like(data: bytes) -> bool:
    """Tells whether bytes begin as a picture in a form that is read here."""
    return _form(data) is not None or svg.looks_like(data)


def read(data: bytes) -> tuple[Code, ...]:
    """Returns the QR codes of cards in a picture, from top to bottom.

    data: PNG, JPEG, WebP, BMP, or SVG as programs draw QR codes; of a moving picture the first frame.
    Raises Malformed: "card_image_malformed", "card_image_too_large" (in bytes, pixels or scans, before
    any is decoded), "card_qr_unreadable" (no code, or one too damaged), "card_qr_header" (no code of a card);
    Unsupported "card_svg_unsupported".
    """
    if len(data) > limits.CARD_IMAGE_BYTES:
        raise _too_large()
    bitmap = svg.read(data) if svg.looks_like(data) else _pixels(data)
    found = _barcodes(bitmap)
    if not found:
        raise Malformed("card_qr_unreadable", "No QR code can be read in the picture.")
    codes = [code for code in map(_code, found) if code is not None]
    if not codes:
        raise Malformed("card_qr_header", "The QR code does not begin as that of a health card does.")
    return tuple(codes)


_FORMS: tuple[tuple[bytes, int, type[ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, PngImageFile),
    (b"\xff\xd8\xff", 0, JpegImageFile),
    (b"WEBP", 8, WebPImageFile),
    (b"BM", 0, BmpImageFile),
)


def _form(data: bytes) -> type[ImageFile] | None:
    for mark, place, form in _FORMS:
        if data[place : place + len(mark)] == mark:
            return form
    return None


_SCAN = b"\xff\xda"
"""Starts a scan of a JPEG; within one, 0xFF is followed by zero or a mark for a restart."""

# What Pillow's decoders raise for bytes that break a format; SyntaxError is their own choice. Of small faults
# they only warn, which a program may have made an error.
_FAULTS = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError),
    *(struct.error, zlib.error, Image.DecompressionBombError, MemoryError, Warning),
)


def _pixels(data: bytes) -> Bitmap:
    """Decode a picture into shades of grey; its size is read from its head first."""
    form = _form(data)
    if form is None:
        raise _malformed()
    if form is JpegImageFile and data.count(_SCAN) > limits.CARD_IMAGE_SCANS:
        raise _too_large()
    try:
        # The decoder is named, not looked for: Image.open would try all that are installed.
        with form(io.BytesIO(data)) as picture:
            width, height = picture.size
            if width < 1 or height < 1 or width * height > limits.CARD_IMAGE_PIXELS:
                raise _too_large()
            grey = _reduced(_on_white(picture))
            return Bitmap(grey.width, grey.height, grey.tobytes())
    except _FAULTS:
        raise _malformed() from None


def _on_white(picture: Image.Image) -> Image.Image:
    """In shades of grey; what is transparent becomes white, as on a page."""
    if not (picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info):
        return picture.convert("L")
    clear = picture.convert("LA")
    page = Image.new("L", clear.size, 255)
    page.paste(clear.getchannel("L"), mask=clear.getchannel("A"))
    return page


def _reduced(picture: Image.Image) -> Image.Image:
    """The picture with no more pixels than are searched."""
    excess = picture.width * picture.height / limits.CARD_SCAN_PIXELS
    if excess <= 1:
        return picture
    smaller = (max(1, int(side / math.sqrt(excess))) for side in picture.size)
    return picture.resize(tuple(smaller), Image.Resampling.BILINEAR)


_FORMAT = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCodeModel2)


def _barcodes(bitmap: Bitmap) -> list[zxingcpp.Barcode]:
    # The view keeps its bytes alive; an ImageView of zxing-cpp would not.
    view = memoryview(bitmap.pixels).cast("B", (bitmap.height, bitmap.width))
    try:
        return zxingcpp.read_barcodes(view, formats=_FORMAT)
    except (RuntimeError, ValueError, MemoryError):
        raise _malformed() from None


_TO_MODULES = b"\1" + bytes(255)  # black is dark


def _code(found: zxingcpp.Barcode) -> Code | None:
    """What a code says of itself; None if it is none of a card."""
    try:
        text = found.bytes.decode("ascii")
    except UnicodeError:
        return None
    if not text.startswith(qr.PREFIX):
        return None
    extra = cast(dict[str, Any], found.extra)
    seen = memoryview(cast(Any, found.to_image(scale=1, add_quiet_zones=False)))
    side, modules = math.isqrt(seen.nbytes), seen.tobytes().translate(_TO_MODULES)
    return Code(
        text=text,
        version=int(extra["Version"]),
        level=extra["ECLevel"],
        mask=int(extra["DataMask"]),
        modules=tuple([modules[at : at + side] for at in range(0, side * side, side)]),
        damaged=float(extra["UEC"]) < 1,
    )


def _malformed() -> Malformed:
    return Malformed(
        "card_image_malformed", "The picture breaks its format, or has one that is not read here."
    )


def _too_large() -> Malformed:
    return Malformed("card_image_too_large", "The picture is larger than is read here: make it smaller.")
