"""Signature keys: `PublicKey` verifies, `Key` signs (and is a `signing.Signer`)."""

from safeconduct.crypto.private_key import Key
from safeconduct.crypto.public_key import PublicKey

__all__ = ["Key", "PublicKey"]
