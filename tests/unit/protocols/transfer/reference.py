"""Transfers written once more from their description, with the standard library and AES-GCM alone."""

import hashlib
import hmac
from base64 import b64decode, b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, 32 bytes: one round of expansion."""
    extracted = hmac.digest(salt or bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def claim_key(secret: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hkdf(secret, b"sct/2", b"claim"))


def context(secret: bytes) -> bytes:
    return hashlib.sha256(b"sct/2 ctx" + claim_key(secret).public_key().public_bytes_raw()).digest()


def message_key(secret: bytes, direction: str) -> bytes:
    return hkdf(secret, context(secret), f"msg {direction}".encode())


def seal(secret: bytes, direction: str, number: int, text: bytes, *, nonce: bytes = b"n" * 12) -> str:
    aad = b"sct/2" + context(secret) + direction.encode() + number.to_bytes(4, "big")
    sealed = AESGCM(message_key(secret, direction)).encrypt(nonce, text, aad)
    return b64encode(b"\x02" + number.to_bytes(4, "big") + nonce + sealed).decode()


def open_(secret: bytes, direction: str, data: str) -> tuple[int, bytes]:
    raw = b64decode(data, validate=True)
    assert raw[0] == 2
    aad = b"sct/2" + context(secret) + direction.encode() + raw[1:5]
    return int.from_bytes(raw[1:5], "big"), AESGCM(message_key(secret, direction)).decrypt(
        raw[5:17], raw[17:], aad
    )


def seal_draft(secret: bytes, text: bytes, *, nonce: bytes = b"n" * 12) -> str:
    return b64encode(nonce + AESGCM(secret).encrypt(nonce, text, None)).decode()


def commitment(sender_key: bytes, sender_random: bytes) -> bytes:
    return hashlib.sha256(b"sct/2 commit" + sender_key + sender_random).digest()


def digits(
    secret: bytes,
    sender_key: bytes,
    sender_random: bytes,
    receiver_key: bytes,
    receiver_random: bytes,
    thumbprint: bytes,
) -> str:
    sender, receiver = sender_key + sender_random, receiver_key + receiver_random
    digest = hashlib.sha256(b"sct/2 sas" + context(secret) + sender + receiver + thumbprint).hexdigest()
    return str(int(digest, 16) % 1_000_000).rjust(6, "0")
