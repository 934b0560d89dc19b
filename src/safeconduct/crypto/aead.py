"""Authenticated encryption by number in the IANA "AEAD Algorithms" registry (RFC 5116 §6, RFC 8439)."""

from collections.abc import Callable
from typing import Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from safeconduct.errors import Malformed, Rejected, Unsupported


class Cipher(Protocol):
    """One AEAD algorithm under one key."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Returns ciphertext and tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Returns the plaintext; raises InvalidTag."""


class Aead(msgspec.Struct, frozen=True, kw_only=True):
    """One algorithm of the registry.

    identifier: its number there.
    key_bytes, nonce_bytes, tag_bytes: exact lengths.
    """

    identifier: int
    name: str
    key_bytes: int
    nonce_bytes: int
    tag_bytes: int
    cipher: Callable[[bytes], Cipher]


AEADS: Final[tuple[Aead, ...]] = (
    Aead(identifier=1, name="AEAD_AES_128_GCM", key_bytes=16, nonce_bytes=12, tag_bytes=16, cipher=AESGCM),
    Aead(identifier=2, name="AEAD_AES_256_GCM", key_bytes=32, nonce_bytes=12, tag_bytes=16, cipher=AESGCM),
    Aead(
        identifier=29,
        name="AEAD_CHACHA20_POLY1305",
        key_bytes=32,
        nonce_bytes=12,
        tag_bytes=16,
        cipher=ChaCha20Poly1305,
    ),
)
"""What is supported."""

SD_CWT_FORBIDDEN: Final = frozenset((*range(3, 15), 18, 19, 21, 22, 24, 25, 27, 28))
"""Numbers that disclosures must not be encrypted with: short tags and CCM (SD-CWT-08, `sd_aead`)."""

_BY_IDENTIFIER: Final = {aead.identifier: aead for aead in AEADS}


def by_identifier(identifier: int) -> Aead:
    """Returns the algorithm of that registry number; raises Unsupported "aead_unsupported"."""
    found = _BY_IDENTIFIER.get(identifier) if type(identifier) is int else None
    if found is None:
        raise Unsupported("aead_unsupported", "The AEAD algorithm is not one that is supported here.")
    return found


def seal(
    identifier: int, key: bytes, nonce: bytes, plaintext: bytes, aad: bytes = b""
) -> tuple[bytes, bytes]:
    """Encrypts, and returns ciphertext and tag apart.

    nonce: never used before with this key.

    Raises Unsupported "aead_unsupported", Malformed "aead_malformed" for a key or nonce of another length.
    """
    aead = by_identifier(identifier)
    if len(key) != aead.key_bytes or len(nonce) != aead.nonce_bytes:
        raise _malformed()
    sealed = aead.cipher(key).encrypt(nonce, plaintext, aad)
    return sealed[: -aead.tag_bytes], sealed[-aead.tag_bytes :]


def open_(
    identifier: int,
    key: bytes,
    nonce: bytes,
    ciphertext: bytes,
    tag: bytes,
    aad: bytes = b"",
    *,
    nonce_bytes: int | None = None,
) -> bytes:
    """Decrypts, and returns the plaintext if every byte is as it was sealed.

    nonce_bytes: length that the nonce must have where a format departs from the registry; GCM only.

    Raises Unsupported "aead_unsupported", Malformed "aead_malformed" for a key, nonce or tag of another
    length, Rejected "aead_authentication_failed".
    """
    aead = by_identifier(identifier)
    expected = (aead.key_bytes, nonce_bytes or aead.nonce_bytes, aead.tag_bytes)
    if (len(key), len(nonce), len(tag)) != expected:
        raise _malformed()
    try:
        return aead.cipher(key).decrypt(nonce, ciphertext + tag, aad)
    except InvalidTag:
        raise Rejected(
            "aead_authentication_failed", "The ciphertext was not sealed with this key.", rule="RFC 5116 §2.2"
        ) from None
    except ValueError:
        raise _malformed() from None


def _malformed() -> Malformed:
    return Malformed("aead_malformed", "A key, nonce or tag does not have the length of its algorithm.")
