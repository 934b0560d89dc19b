"""Claims: by what a mailbox knows its parties, and how a receiver proves that it has the link's secret.

A claim is a random UUID that its party makes for one mailbox. Whoever reads first binds the mailbox, so one
who knows only the path could spoil it. A sender may therefore leave a public key whose private half follows
from the link's secret; then the first read needs a signature by it, and the path alone is worth nothing.
"""

import hashlib

from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, SafeconductError
from safeconduct.protocols.transfer.mailbox import ClaimRefused
from safeconduct.protocols.transfer.uuids import uuid_text

_KEY_BYTES = 32
_SIGNATURE_BYTES = 64


class ClaimProofWrong(ClaimRefused):
    """The mailbox wants a proof from its first reader, and got none that holds."""


def claim_message(mailbox: str, claim: str) -> bytes:
    """Returns what a claim proof signs. mailbox, claim: UUIDs as text."""
    return b"sct-claim/1\0" + mailbox.lower().encode() + b"\0" + claim.lower().encode()


def claim_digest(mailbox: bytes, claim: bytes) -> bytes:
    """Returns by what a mailbox knows a claim; one claim looks another in each mailbox. Both: 16 bytes."""
    return hashlib.sha256(mailbox + claim).digest()


def read_claim_key(text: str) -> bytes:
    """Returns the raw Ed25519 public key of `claimKey` (base64url).

    Raises Malformed "claim_key_malformed", also for a key of small order, under which anyone can sign.
    """
    try:
        raw = b64.decode(text, max_bytes=_KEY_BYTES)
        PublicKey.from_raw(raw, "Ed25519")
    except SafeconductError:
        raise Malformed(
            "claim_key_malformed", "claimKey is not an Ed25519 public key in base64url."
        ) from None
    return raw


def read_proof(text: str) -> bytes:
    """Returns the signature in a `Mailbox-Claim-Proof` (base64url). Raises ClaimProofWrong."""
    try:
        return b64.decode(text, max_bytes=_SIGNATURE_BYTES)
    except Malformed:
        raise _wrong() from None


def verify_proof(claim_key: bytes, proof: bytes | None, *, mailbox: bytes, claim: bytes) -> None:
    """Returns if the proof is the key's, for this claim at this mailbox (16 bytes each).

    Raises ClaimProofWrong "claim_proof_missing", "claim_proof_wrong".
    """
    if proof is None:
        raise ClaimProofWrong(
            "claim_proof_missing", "The first reader of this mailbox has to send a claim proof."
        )
    try:
        key = PublicKey.from_raw(claim_key, "Ed25519")
        key.verify(proof, claim_message(uuid_text(mailbox), uuid_text(claim)))
    except SafeconductError:
        raise _wrong() from None


def _wrong() -> ClaimProofWrong:
    return ClaimProofWrong("claim_proof_wrong", "The claim proof does not hold for this mailbox and claim.")
