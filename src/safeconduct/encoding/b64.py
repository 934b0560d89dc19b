"""Base64url without padding (RFC 4648 §5, RFC 7515 §2): one text for each byte string, no other.

Where older peers write ordinary base64, `encode_standard` and `decode_any` do; nothing that is signed or
compared as text goes through those.
"""

import binascii
from collections.abc import Collection, Iterable

from safeconduct import limits
from safeconduct.errors import Malformed

_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")
_TO_LENIENT = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_RULE = "RFC 4648 §5"
_PADDING = (b"", b"", b"==", b"=")
# The last character of a group that is not full carries bits that stand for nothing and must be zero.
_LAST = (frozenset(range(256)), frozenset[int](), frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))


def encode(data: bytes) -> str:
    """Returns `data` as base64url text without padding."""
    return _encode(data).decode("ascii")


def encode_each(items: Iterable[bytes]) -> list[str]:
    """Returns each of `items` as `encode` does, in less time."""
    return _lines(items).decode("ascii").split("\n")[:-1]


def decode(text: str | bytes, *, max_bytes: int = limits.TOKEN_BYTES) -> bytes:
    """Returns the bytes that `text` stands for.

    text: base64url without padding, and nothing else: no "+", "/", "=", whitespace or stray trailing bits.
    max_bytes: most bytes that the result may have.

    Raises Malformed: "base64url_malformed" (not the one encoding of any bytes), "base64url_too_large".
    """
    if len(text) > (max_bytes * 4 + 2) // 3:
        raise _too_large()
    try:
        encoded = text.encode("ascii") if isinstance(text, str) else text
        rest = len(encoded) & 3
        if rest and encoded[-1] not in _LAST[rest]:
            raise _malformed()
        # What has no place in base64url, "=" included, becomes a character that strict mode refuses.
        return binascii.a2b_base64(encoded.translate(_TO_STANDARD) + _PADDING[rest], strict_mode=True)
    except ValueError as error:
        raise _malformed() from error


def encode_standard(data: bytes) -> str:
    """Returns `data` as ordinary base64 with padding (RFC 4648 §4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode_any(text: str, *, max_bytes: int) -> bytes:
    """Returns the bytes that `text` stands for in either alphabet, with padding, without, or with half of it.

    Padding tells nothing that the length does not, and programs cut it off. Both alphabets in one text, or
    stray trailing bits, are refused as by `decode`.

    Raises Malformed: "base64url_malformed", "base64url_too_large".
    """
    if len(text) > max_bytes * 4 // 3 + 4:
        raise _too_large()
    bare = text.rstrip("=")
    if len(text) - len(bare) > -len(bare) % 4:
        raise _malformed()
    if "+" in bare or "/" in bare:
        if "-" in bare or "_" in bare:
            raise _malformed()
        bare = bare.replace("+", "-").replace("/", "_")
    return decode(bare, max_bytes=max_bytes)


def decode_each(texts: Collection[bytes]) -> list[bytes]:
    """Returns the bytes of each of `texts`, as `decode` reads them, in less time.

    texts: together no longer than what the caller has bounded. Raises Malformed: "base64url_malformed".
    """
    if not texts:
        return []
    padded = b"==\n".join(texts) + b"=="
    try:
        data = [*map(binascii.a2b_base64, padded.translate(_TO_LENIENT).split(b"\n"))]
    except ValueError as error:
        raise _malformed() from error
    # a2b_base64 skips foreign characters and drops stray bits; only the one true encoding survives this.
    if len(data) != len(texts) or _lines(data) != b"\n".join(texts) + b"\n":
        raise _malformed()
    return data


def _lines(items: Iterable[bytes]) -> bytes:
    """Each item in base64url, with a line feed after it."""
    return b"".join(map(binascii.b2a_base64, items)).translate(_TO_URL, b"=")


def _encode(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL)


def _too_large() -> Malformed:
    return Malformed("base64url_too_large", "Base64url text is longer than allowed here.")


def _malformed() -> Malformed:
    return Malformed("base64url_malformed", "Text is not base64url without padding.", rule=_RULE)
