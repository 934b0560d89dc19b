"""The compression of a card's payload: raw DEFLATE (RFC 1951), neither zlib nor gzip around it."""

import zlib

from safeconduct import limits
from safeconduct.errors import Malformed


def deflate(payload: bytes) -> bytes:
    """Return a payload as a card carries it."""
    compressor = zlib.compressobj(level=9, wbits=_RAW)
    return compressor.compress(payload) + compressor.flush()


def inflate(data: bytes, *, max_bytes: int = limits.CARD_PAYLOAD_BYTES) -> bytes:
    """Return the payload that a card carries.

    max_bytes: most that it may grow to; nothing beyond is ever produced.
    Raises Malformed: "card_deflate_malformed" (not raw DEFLATE, cut off, or followed by something),
    "card_too_large".
    """
    inflater = zlib.decompressobj(_RAW)
    try:
        payload = inflater.decompress(data, max_bytes + 1)
    except zlib.error:
        raise _malformed("The payload is not raw DEFLATE.") from None
    if len(payload) > max_bytes:
        raise Malformed("card_too_large", "The payload inflates to more than allowed here.", rule=_RULE)
    if not inflater.eof:
        raise _malformed("The compressed payload is cut off.")
    if inflater.unused_data:
        raise _malformed("Something follows the compressed payload.")
    return payload


_RAW = -15
_RULE = "SHC-1.4.0, Health Cards are Small"


def _malformed(reason: str) -> Malformed:
    return Malformed("card_deflate_malformed", reason, rule=_RULE)
