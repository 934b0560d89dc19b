"""Base64url without padding (RFC 4648 §5, RFC 7515 §2): one text for each byte string, no other."""

import binascii

from safeconduct import limits
from safeconduct.errors import Malformed

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_RULE = "RFC 4648 §5"


def encode(data: bytes) -> str:
    """Returns `data` as base64url text without padding."""
    return _encode(data).decode("ascii")


def decode(text: str | bytes, *, max_bytes: int = limits.TOKEN_BYTES) -> bytes:
    """Returns the bytes that `text` stands for.

    text: base64url without padding, and nothing else: no "+", "/", "=", whitespace or stray trailing bits.
    max_bytes: most bytes that the result may have.

    Raises Malformed: "base64url_malformed" (not the one encoding of any bytes), "base64url_too_large".
    """
    if len(text) > (max_bytes * 4 + 2) // 3:
        raise Malformed("base64url_too_large", "Base64url text is longer than allowed here.")
    try:
        encoded = text.encode("ascii") if isinstance(text, str) else text
        data = binascii.a2b_base64(encoded.translate(_TO_STANDARD) + b"=" * (-len(encoded) % 4))
    except ValueError as error:
        raise _malformed() from error
    # a2b_base64 skips foreign characters and drops stray bits; only the one true encoding survives this.
    if _encode(data) != encoded:
        raise _malformed()
    return data


def _encode(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL)


def _malformed() -> Malformed:
    return Malformed("base64url_malformed", "Text is not base64url without padding.", rule=_RULE)
