"""Proof Key for Code Exchange (RFC 7636), by S256 only: who redeems a code is who asked for it."""

import hashlib
import hmac
import re
import secrets

from safeconduct.encoding import b64
from safeconduct.ids import Random
from safeconduct.protocols.oauth.errors import InvalidGrant, InvalidRequest

METHOD = "S256"

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_RANDOM_BYTES = 32


def new_verifier(random: Random = secrets.token_bytes) -> str:
    """Returns a fresh code verifier of 256 random bits."""
    return b64.encode(random(_RANDOM_BYTES))


def challenge(verifier: str) -> str:
    """Returns the S256 code challenge of a verifier (RFC 7636 §4.2)."""
    return b64.encode(hashlib.sha256(verifier.encode("ascii")).digest())


def check_challenge(value: str | None, *, method: str | None) -> str:
    """Returns the code challenge of an authorization request.

    method: the parameter `code_challenge_method`; without it the client means "plain" (RFC 7636 §4.3), which
    protects from nobody who can read the request.

    Raises InvalidRequest "pkce_missing", "pkce_plain", "pkce_malformed".
    """
    if value is None:
        raise InvalidRequest("pkce_missing", "The request has no code challenge.", rule="RFC 7636 §4.4.1")
    if method != METHOD:
        raise InvalidRequest(
            "pkce_plain", "The code challenge must be of the method S256.", rule="RFC 7636 §4.4.1"
        )
    if not _CHALLENGE.fullmatch(value):
        raise InvalidRequest("pkce_malformed", "The code challenge is malformed.", rule="RFC 7636 §4.2")
    return value


def check_verifier(verifier: str | None, *, expected: str) -> None:
    """Checks, in constant time, that the verifier is the one of the challenge `expected`.

    Source: RFC 7636 §4.6. Raises InvalidGrant "pkce_mismatch", also if there is no verifier.
    """
    legal = verifier is not None and _VERIFIER.fullmatch(verifier) is not None
    made = challenge(verifier if verifier is not None and legal else "")
    if not hmac.compare_digest(made, expected) or not legal:
        raise InvalidGrant("pkce_mismatch", "The code verifier is not the code's.", rule="RFC 7636 §4.6")
