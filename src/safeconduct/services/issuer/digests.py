"""What of a secret may be stored: digests that recognise it and do not give it away."""

import hashlib
import hmac

from safeconduct.encoding import b64

_CODE_LABEL = b"safeconduct pre-authorized code"
_IDENTIFIER_LABEL = b"safeconduct credential identifier "
_ISSUER_STATE_LABEL = b"safeconduct issuer state"


def digest_of(secret: str) -> bytes:
    """Returns the SHA-256 digest of a text of at least 128 random bits."""
    return hashlib.sha256(secret.encode()).digest()


def tx_digest(tx_code: str, *, code: str) -> bytes:
    """Returns the digest of a transaction code, keyed with its pre-authorized code.

    A transaction code has a few digits, so a plain digest of it would be no secret. The code that keys it is
    stored nowhere.
    """
    return hmac.digest(code.encode(), tx_code.encode(), "sha256")


def code_of(reference: str) -> str:
    """Returns the pre-authorized code of the offer behind a reference.

    Whoever has the reference gets the offer anyway. Derived, the code need not be stored to be served.
    """
    return b64.encode(hmac.digest(reference.encode(), _CODE_LABEL, "sha256"))


def identifier_of(refresh_token: str, configuration_id: str) -> str:
    """Returns the credential identifier, of 128 bits, for one configuration of a grant.

    Whoever sees only the outside of an encrypted request cannot name it, and so cannot use the access token.
    Made from the refresh token, which is random and stored nowhere, it can be named again when the token is
    refreshed, and need not be stored either.
    """
    message = _IDENTIFIER_LABEL + configuration_id.encode()
    return b64.encode(hmac.digest(refresh_token.encode(), message, "sha256")[:16])


def issuer_state_of(reference: str) -> str:
    """Returns the `issuer_state` of the offer behind a reference, as `code_of` does its code."""
    return b64.encode(hmac.digest(reference.encode(), _ISSUER_STATE_LABEL, "sha256"))


def proof_digest(thumbprint: str, jti: str) -> bytes:
    """Returns what a DPoP proof is remembered by: `jti` is unique for its key only."""
    return hashlib.sha256(f"dpop {thumbprint} {jti}".encode()).digest()


def attestation_digest(thumbprint: str, jti: str) -> bytes:
    """Returns what the proof of a client attestation is remembered by."""
    return hashlib.sha256(f"attestation {thumbprint} {jti}".encode()).digest()


def nonce_digest(nonce: str) -> bytes:
    """Returns what a used nonce of key proofs is remembered by."""
    return hashlib.sha256(f"c_nonce {nonce}".encode()).digest()


def presentation_nonce_digest(nonce: str) -> bytes:
    """Returns what a used nonce of a presentation to the issuer is remembered by."""
    return hashlib.sha256(f"presentation nonce {nonce}".encode()).digest()
