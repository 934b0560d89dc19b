"""Thumbprints: the hash of the members that a key must have, by which the key itself is its name."""

import hashlib
from typing import Final

from safeconduct.crypto import cose_key, jwk
from safeconduct.crypto.kinds import KeyKind
from safeconduct.encoding import cbor
from safeconduct.errors import Unsupported

_HASHES: Final = frozenset(("sha256", "sha384", "sha512"))


def of_jwk(kind: KeyKind, public: bytes, hash_name: str) -> bytes:
    """Returns the JWK thumbprint (RFC 7638 §3); raises Unsupported "hash_unsupported"."""
    members = sorted(jwk.public_members(kind, public).items())
    # Names and base64url need no escapes, so this is the JSON.
    text = ",".join([f'"{name}":"{value}"' for name, value in members])
    return _digest(hash_name, f"{{{text}}}".encode("ascii"))


def of_cose_key(kind: KeyKind, public: bytes, hash_name: str) -> bytes:
    """Returns the COSE Key thumbprint (RFC 9679 §3); raises Unsupported "hash_unsupported"."""
    return _digest(hash_name, cbor.dumps(cose_key.public_members(kind, public)))


def _digest(hash_name: str, data: bytes) -> bytes:
    if hash_name not in _HASHES:
        raise Unsupported("hash_unsupported", "The hash is not one that thumbprints are made with here.")
    return hashlib.new(hash_name, data).digest()
