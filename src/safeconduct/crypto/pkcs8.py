"""PKCS#8 version 2 (RFC 5958): a private key with its public key attached, taken apart.

OpenSSL 3.0 and `cryptography` read version 1 only, while some tools write version 2. The DER is read
strictly: one-byte tags, shortest definite lengths, nothing left over.
"""

from typing import Final

from safeconduct.crypto.kinds import malformed

_INTEGER: Final = 0x02
_BIT_STRING_1: Final = 0x81
_OCTET_STRING: Final = 0x04
_SEQUENCE: Final = 0x30
_ATTRIBUTES_0: Final = 0xA0
_VERSION_1: Final = b"\x02\x01\x00"
_VERSION_2: Final = b"\x02\x01\x01"
_RULE: Final = "RFC 5958 §2"


def is_version_2(der: bytes) -> bool:
    """Tells whether the bytes begin as a OneAsymmetricKey of version 2 (SEC 1 keys say version 1 as well)."""
    start = der.find(_VERSION_2, 0, 9)
    return start > 0 and der[:1] == bytes([_SEQUENCE]) and der[start + 3 : start + 4] == bytes([_SEQUENCE])


def detach_public_key(der: bytes) -> tuple[bytes, bytes | None]:
    """Splits a OneAsymmetricKey of version 2.

    Returns the same private key in version 1, without attributes, and the attached public key's bits if there
    are any. Whether the two belong together is for the caller to check. Raises Malformed "key_malformed".
    """
    body, end = _element(der, 0, _SEQUENCE)
    if end != len(der) or body[:3] != _VERSION_2:
        raise _malformed()
    _, after_algorithm = _element(body, 3, _SEQUENCE)
    _, after_key = _element(body, after_algorithm, _OCTET_STRING)
    offset = after_key
    if body[offset : offset + 1] == bytes([_ATTRIBUTES_0]):
        _, offset = _element(body, offset, _ATTRIBUTES_0)
    public = None
    if offset < len(body):
        bits, offset = _element(body, offset, _BIT_STRING_1)
        if offset != len(body) or bits[:1] != b"\x00":
            raise _malformed()
        public = bits[1:]
    return _sequence(_VERSION_1 + body[3:after_key]), public


def _element(data: bytes, offset: int, tag: int) -> tuple[bytes, int]:
    """Returns the content of the element at `offset` and where the next one begins."""
    if len(data) < offset + 2 or data[offset] != tag:
        raise _malformed()
    length, start = data[offset + 1], offset + 2
    if length >= 0x80:
        count = length - 0x80
        if count not in (1, 2) or len(data) < start + count or data[start] == 0:
            raise _malformed()
        length = int.from_bytes(data[start : start + count], "big")
        start += count
        if length < 0x80:
            raise _malformed()
    end = start + length
    if end > len(data):
        raise _malformed()
    return data[start:end], end


def _sequence(body: bytes) -> bytes:
    length = len(body)
    if length < 0x80:
        return bytes([_SEQUENCE, length]) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([_SEQUENCE, 0x80 + len(octets)]) + octets + body


def _malformed() -> Exception:
    return malformed("The private key is not strict PKCS#8.", rule=_RULE)
