"""What two people compare before a share is let go: commitment, digits, and the key that only these two have.

All values have 32 bytes, so that no two sets of them give one text to hash.
"""

import hashlib
import hmac
from typing import Final

from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey
from safeconduct.protocols.transfer.keys import derive

DIGITS: Final = 6
"""How many digits two people compare."""


def commitment(sender_key: bytes, sender_random: bytes) -> bytes:
    """Returns what binds a sender to its public key and random number before it shows them."""
    return hashlib.sha256(b"sct/2 commit" + sender_key + sender_random).digest()


def digits(
    context: bytes,
    *,
    sender_key: bytes,
    sender_random: bytes,
    receiver_key: bytes,
    receiver_random: bytes,
    thumbprint: bytes,
) -> str:
    """Returns the six digits that both sides show.

    context: of the transfer. thumbprint: of the receiver's proof key (RFC 7638, SHA-256).
    """
    sender, receiver = sender_key + sender_random, receiver_key + receiver_random
    digest = hashlib.sha256(b"sct/2 sas" + context + sender + receiver + thumbprint).digest()
    return f"{int.from_bytes(digest, 'big') % 10**DIGITS:0{DIGITS}}"


def confirmation_key(own: AgreementKey, peer: AgreementPublicKey, *, context: bytes) -> bytes:
    """Returns the secret of the two keys whose digits were compared.

    Raises Rejected "shared_secret_invalid" for a key that agrees on nothing.
    """
    return derive(own.exchange(peer), salt=context, info=b"sct/2 approve")


def confirmation(key: bytes, enc: str, ciphertext: str) -> bytes:
    """Returns what shows that the holder of `key` sealed an offer; enc, ciphertext: its parts, base64url."""
    # Base64url has no dot, and strictly read it stands for one value only.
    return hmac.digest(key, f"{enc}.{ciphertext}".encode("ascii"), "sha256")
