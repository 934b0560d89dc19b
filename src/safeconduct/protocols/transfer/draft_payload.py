"""Payloads as the drafts have them: one AES key, no associated data, nothing that says who sent what or when.

For programs that know no other. A relay can hand a party its own message back, or an old one, and it opens;
so only what goes one way once should be sealed like this (`channel` has what helps against it).
"""

import secrets
from typing import Final

from safeconduct.crypto import aead
from safeconduct.errors import Malformed, Rejected, Unsupported
from safeconduct.ids import Random
from safeconduct.protocols.transfer import padding
from safeconduct.protocols.transfer.keys import check_secret
from safeconduct.protocols.transfer.payload import Payload, malformed, payload_bytes, payload_of

DRAFT_TYPES: Final = {"AEAD_AES_128_GCM": 16, "AEAD_AES_256_GCM": 32}
"""Payload types of the drafts, and the bytes of their keys."""

_CIPHERS: Final = {16: (1, "AEAD_AES_128_GCM"), 32: (2, "AEAD_AES_256_GCM")}
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16


def seal_draft(secret: bytes, content: bytes, *, random: Random = secrets.token_bytes) -> Payload:
    """Returns JSON text sealed with `secret` itself: base64 of IV, ciphertext and tag.

    secret: 16 or 32 bytes; its length chooses the algorithm. content: is padded, which is legal JSON.

    Source: draft-secure-credential-transfer-00 (the layout), -04 (the types). Raises Malformed
    "transfer_secret_malformed", "content_too_large".
    """
    identifier, type_ = _CIPHERS[len(check_secret(secret))]
    nonce = random(_NONCE_BYTES)
    ciphertext, tag = aead.seal(identifier, secret, nonce, padding.pad(content))
    return payload_of(type_, nonce + ciphertext + tag)


def open_draft(secret: bytes, payload: Payload) -> bytes:
    """Returns the content of a payload of the drafts: JSON text, perhaps padded.

    Raises Unsupported "payload_type_unsupported"; Rejected "payload_key_mismatch" (a secret of another length
    than the type's), "payload_authentication_failed"; Malformed "payload_malformed", "payload_too_large".
    """
    key_bytes = DRAFT_TYPES.get(payload.type)
    if key_bytes is None:
        raise Unsupported("payload_type_unsupported", "The payload is of an unknown type.")
    if len(secret) != key_bytes:
        raise Rejected("payload_key_mismatch", "The payload's type is not one for a secret of this length.")
    sealed = payload_bytes(payload)
    if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
        raise malformed()
    nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return aead.open_(_CIPHERS[key_bytes][0], secret, nonce, rest[:-_TAG_BYTES], rest[-_TAG_BYTES:])
    except (Malformed, Rejected):
        raise authentication_failed() from None


def authentication_failed() -> Rejected:
    """Returns the error for a payload that was not sealed with this secret, or was changed."""
    return Rejected(
        "payload_authentication_failed", "The payload was not sealed with the secret of this transfer."
    )
