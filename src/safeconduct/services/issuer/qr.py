"""The URI of an offer as a picture to scan."""

import io
from typing import Literal

import msgspec
import segno
from segno.encoder import DataOverflowError

from safeconduct.errors import Rejected

QrForm = Literal["svg", "png"]

MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png"}

_BORDER = 4
"""Modules of quiet zone (ISO/IEC 18004)."""

_SCALE = 4


class Qr(msgspec.Struct, frozen=True):
    """A picture, which shows the offer to whoever sees it."""

    media_type: str
    data: bytes

    def __repr__(self) -> str:
        return f"<Qr {self.media_type}>"


def draw(text: str, form: QrForm) -> Qr:
    """Returns the text as a QR code. Raises Rejected "qr_too_long"."""
    try:
        code = segno.make_qr(text, error="l", boost_error=True)
    except DataOverflowError:
        raise Rejected("qr_too_long", "The offer is too long for a QR code; make it by reference.") from None
    picture = io.BytesIO()
    code.save(picture, kind=form, scale=_SCALE, border=_BORDER)
    return Qr(MEDIA_TYPES[form], picture.getvalue())
