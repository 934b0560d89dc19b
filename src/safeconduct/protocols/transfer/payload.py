"""The payload of a mailbox: a type and base64 text, which is all that a relay sees of a message."""

from typing import Annotated

import msgspec
from msgspec import Meta

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import Malformed


class Payload(msgspec.Struct, frozen=True):
    """The member `payload` of a mailbox.

    type: how `data` is sealed, such as "SCT2_AES_256_GCM" or "AEAD_AES_128_GCM". data: base64 text.
    """

    type: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:+/-]+\Z", max_length=limits.PAYLOAD_TYPE_CHARS)]
    data: str

    def __repr__(self) -> str:
        return "<Payload (data not shown)>"


def payload_of(type_: str, sealed: bytes) -> Payload:
    """Returns sealed bytes as a payload; raises Malformed "payload_too_large" if no relay would take it."""
    data = b64.encode_standard(sealed)
    if len(data) > limits.TRANSFER_DATA_CHARS:
        raise _too_large()
    return Payload(type_, data)


def payload_bytes(payload: Payload) -> bytes:
    """Returns the bytes of `data`, which other programs may have written in any form of base64.

    Raises Malformed "payload_too_large", "payload_malformed".
    """
    if len(payload.data) > limits.TRANSFER_DATA_CHARS:
        raise _too_large()
    try:
        return b64.decode_any(payload.data, max_bytes=limits.TRANSFER_DATA_CHARS)
    except Malformed:
        raise malformed() from None


def malformed() -> Malformed:
    """Returns the error for data that is not what its type says."""
    return Malformed("payload_malformed", "The payload is not what its type says.")


def _too_large() -> Malformed:
    return Malformed("payload_too_large", "The payload is larger than relays take.")
