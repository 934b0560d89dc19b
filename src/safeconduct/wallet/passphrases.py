"""Keys from passphrases: scrypt (RFC 7914), whose cost is stored beside what it protects."""

import secrets
from typing import Any

import msgspec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected
from safeconduct.ids import Random
from safeconduct.protocols import wire
from safeconduct.wallet.vault import KEY_BYTES

COST = 2**17
"""With a block size of 8: 128 MiB and a few tenths of a second for each guess."""

SHORTEST = 12
"""Characters of a new passphrase: three random words, or twelve random letters."""

_BLOCK_SIZE = 8
_SALT_BYTES = 16
_CHEAPEST, _DEAREST = 2**14, 2**20


class _Parameters(msgspec.Struct, frozen=True):
    kdf: str
    n: int
    r: int
    p: int
    salt: str


def new_key(passphrase: str, *, random: Random = secrets.token_bytes) -> tuple[bytes, dict[str, Any]]:
    """Return a key and what `key` needs to make it again.

    Raises Rejected: passphrase_short if it could be guessed; passphrase_long.
    """
    if len(passphrase) < SHORTEST:
        raise Rejected("passphrase_short", f"A passphrase needs {SHORTEST} characters or more.")
    parameters = {
        "kdf": "scrypt",
        "n": COST,
        "r": _BLOCK_SIZE,
        "p": 1,
        "salt": b64.encode(random(_SALT_BYTES)),
    }
    return key(passphrase, parameters), parameters


def key(passphrase: str, parameters: dict[str, Any]) -> bytes:
    """Return the key of a passphrase.

    parameters: as `new_key` gave them, but from anybody's hands: they may cost no more than eight times ours.
    Raises Malformed: passphrase_parameters; Rejected: passphrase_long.
    """
    stored = wire.read(parameters, _Parameters, what="Passphrase parameters")
    dear = not _CHEAPEST <= stored.n <= _DEAREST or stored.n & (stored.n - 1)
    if stored.kdf != "scrypt" or dear or stored.r != _BLOCK_SIZE or stored.p != 1:
        raise Malformed("passphrase_parameters", "The passphrase is stretched in a way not taken here.")
    # Settings from an environment may have bytes that are no UTF-8; they open the wallet as well as others.
    text = passphrase.encode("utf-8", "surrogatepass")
    if len(text) > limits.PASSPHRASE_BYTES:
        raise Rejected("passphrase_long", "The passphrase is longer than any that is taken.")
    salt = b64.decode(stored.salt, max_bytes=limits.PASSPHRASE_BYTES)
    return Scrypt(salt=salt, length=KEY_BYTES, n=stored.n, r=stored.r, p=stored.p).derive(text)
