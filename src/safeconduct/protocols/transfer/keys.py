"""The keys of one transfer, all of them derived from the one secret that is in its link.

Everybody who has the secret has all of these. It is fresh for every transfer, so nothing links two of them.
"""

import hashlib
import secrets
from typing import Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from safeconduct.crypto import hpke
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64
from safeconduct.errors import Malformed
from safeconduct.ids import Random

SECRET_BYTES: Final = 32
"""Length of the secrets made here."""

_SECRET_LENGTHS: Final = (16, 32)  # drafts: an AES-128 or AES-256 key
_KEY_BYTES: Final = 32


class TransferKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What the secret of a transfer gives.

    claim: Ed25519; proves to a relay that a party knows the secret before it is bound to the mailbox.
    context: 32 bytes, the transfer's name, which is part of all that is sealed in it.
    sender_to_receiver, receiver_to_sender: 32 bytes each, AES-256 keys. psk: for HPKE.
    """

    claim: Key
    context: bytes
    sender_to_receiver: bytes
    receiver_to_sender: bytes
    psk: hpke.Psk

    def __repr__(self) -> str:
        return "<TransferKeys (not shown)>"


def new_secret(*, random: Random = secrets.token_bytes) -> bytes:
    """Returns the secret of a new transfer, 32 bytes."""
    return random(SECRET_BYTES)


def check_secret(secret: bytes) -> bytes:
    """Returns `secret` if it has 16 or 32 bytes; else raises Malformed "transfer_secret_malformed"."""
    if len(secret) not in _SECRET_LENGTHS:
        raise Malformed("transfer_secret_malformed", "The secret of the transfer has not 16 or 32 bytes.")
    return secret


def derive_keys(secret: bytes) -> TransferKeys:
    """Returns the keys that both parties derive from `secret` (16 or 32 bytes).

    The context is made of the claim key and not of the mailbox, whose name the relay chooses only after the
    first message is sealed.

    Raises Malformed "transfer_secret_malformed".
    """
    check_secret(secret)
    claim = Key.from_raw(derive(secret, salt=b"sct/2", info=b"claim"), "Ed25519")
    context = hashlib.sha256(b"sct/2 ctx" + claim.public.to_raw()).digest()
    return TransferKeys(
        claim=claim,
        context=context,
        sender_to_receiver=derive(secret, salt=context, info=b"msg s2r"),
        receiver_to_sender=derive(secret, salt=context, info=b"msg r2s"),
        psk=hpke.Psk(derive(secret, salt=None, info=b"hpke psk"), context),
    )


def derive(secret: bytes, *, salt: bytes | None, info: bytes) -> bytes:
    """Returns 32 bytes by HKDF-SHA256 (RFC 5869); salt: None for none."""
    return HKDF(hashes.SHA256(), _KEY_BYTES, salt, info).derive(secret)


def claim_key_text(keys: TransferKeys) -> str:
    """Returns the public claim key as `mailboxConfiguration.claimKey` has it."""
    return b64.encode(keys.claim.public.to_raw())
