"""The wallet's own encryption: nothing that it keeps lies in its database in the clear.

A random master key encrypts each record by itself, bound to what the record is and where it belongs, so that
none can be put in another's place. The master key lies in the database too, wrapped by a key that does not:
`guards` has the kinds of those. The files still tell how many records there are, and how long each is.
"""

import hmac
import secrets
from typing import Any, NoReturn

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from safeconduct.encoding import json
from safeconduct.errors import Rejected
from safeconduct.ids import Random

KEY_BYTES = 32
"""All keys here are for AES-256-GCM or HMAC-SHA-256."""

_NONCE_BYTES = 12
_NAME_BYTES = 16


class Locked(msgspec.Struct, frozen=True):
    """A master key under a guard. parameters: what the guard needs to find its key again; no secrets."""

    guard: str
    parameters: dict[str, Any]
    wrapped: bytes


class Vault:
    """Encrypts records under one master key, and gives things names that only its holder can find again."""

    __slots__ = ("_master", "_names", "_random", "_records")

    def __init__(self, master: bytes, *, random: Random = secrets.token_bytes) -> None:
        if len(master) != KEY_BYTES:
            raise ValueError("a master key has 32 bytes")
        self._master = master
        self._random = random
        self._records = AESGCM(_derived(master, "records"))
        self._names = _derived(master, "names")

    def __repr__(self) -> str:
        return "<Vault>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vault is not pickled")

    def seal(self, place: str, plaintext: bytes) -> bytes:
        """Encrypt a record for one place. place: what it is, what it belongs to and its id."""
        # Random nonces are good for 2^32 records (SP 800-38D §8.3); a wallet writes thousands.
        return _sealed(self._records, self._random, plaintext, place.encode())

    def open(self, place: str, sealed: bytes) -> bytes:
        """Decrypt the record of that place. Raises Rejected: wallet_damaged."""
        opened = _opened(self._records, sealed, place.encode())
        if opened is None:
            raise Rejected(
                "wallet_damaged", "A record of the wallet is not as it was written; restore it from a backup."
            )
        return opened

    def name(self, text: str) -> str:
        """Return the name under which something is kept that its text shall not tell."""
        return hmac.digest(self._names, text.encode(), "sha256")[:_NAME_BYTES].hex()

    def lock(self, key: bytes, *, guard: str, parameters: dict[str, Any]) -> Locked:
        """Wrap the master key. key: the guard's, of 32 bytes."""
        bound = _bound(guard, parameters)
        return Locked(guard, parameters, _sealed(AESGCM(key), self._random, self._master, bound))


def new_vault(random: Random = secrets.token_bytes) -> Vault:
    """Make a vault with a new master key."""
    return Vault(random(KEY_BYTES), random=random)


def unlock(locked: Locked, key: bytes, *, random: Random = secrets.token_bytes) -> Vault | None:
    """Unwrap the master key; None if the guard's key is another one, or what is stored was changed."""
    master = _opened(AESGCM(key), locked.wrapped, _bound(locked.guard, locked.parameters))
    return None if master is None or len(master) != KEY_BYTES else Vault(master, random=random)


def _bound(guard: str, parameters: dict[str, Any]) -> bytes:
    return json.dumps({"guard": guard, "parameters": parameters}, sort_keys=True)


def _derived(master: bytes, purpose: str) -> bytes:
    info = f"safeconduct wallet 1, {purpose}".encode()
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=info).derive(master)


def _sealed(cipher: AESGCM, random: Random, plaintext: bytes, bound: bytes) -> bytes:
    nonce = random(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plaintext, bound)


def _opened(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes | None:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):  # ValueError: shorter than a nonce and a tag
        return None
