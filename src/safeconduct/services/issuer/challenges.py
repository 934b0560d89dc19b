"""Errors as the issuer's endpoints answer them: with the status of the place, a challenge, a fresh nonce.

Sources: RFC 6750 §3 and RFC 9449 §7.1 for the credential endpoint, RFC 9449 §8 for nonces.
"""

from collections.abc import Mapping

from safeconduct.protocols import jwt
from safeconduct.protocols.oauth.errors import OAuthError, UseDpopNonce, www_authenticate

NONCE_HEADER = "DPoP-Nonce"


class Challenge(OAuthError):
    """An error that is answered with header fields."""

    def __init__(self, error: OAuthError, headers: Mapping[str, str]) -> None:
        super().__init__(error.code, error.reason, rule=error.rule)
        self.http_headers = headers


class NonceWanted(Challenge):
    """At the token endpoint: the DPoP proof must carry the nonce in the answer."""

    oauth_error = "use_dpop_nonce"


class NonceWantedAtResource(Challenge):
    """The same at the credential endpoint."""

    oauth_error = "use_dpop_nonce"
    http_status = 401


class TokenRefused(Challenge):
    """At the credential endpoint: there is no token, or none that is good."""

    oauth_error = "invalid_token"
    http_status = 401


class ProofRefused(Challenge):
    """At the credential endpoint: the DPoP proof is not good."""

    oauth_error = "invalid_dpop_proof"
    http_status = 401


class ScopeInsufficient(Challenge):
    """At the credential endpoint: the token is good, but not for what is asked."""

    oauth_error = "insufficient_scope"
    http_status = 403


_AT_RESOURCE: Mapping[str, type[Challenge]] = {
    "use_dpop_nonce": NonceWantedAtResource,
    "invalid_token": TokenRefused,
    "invalid_dpop_proof": ProofRefused,
    "insufficient_scope": ScopeInsufficient,
}


def at_token(error: OAuthError, *, nonce: str) -> OAuthError:
    """Returns the error as the token endpoint answers it."""
    return NonceWanted(error, {NONCE_HEADER: nonce}) if isinstance(error, UseDpopNonce) else error


def at_resource(error: OAuthError, *, nonce: str) -> OAuthError:
    """Returns the error as the credential endpoint answers it."""
    kind = _AT_RESOURCE.get(error.oauth_error)
    challenge = www_authenticate(error, algorithms=jwt.PROOF_ALGORITHMS)
    if kind is None or challenge is None:
        return error
    headers = {"WWW-Authenticate": challenge}
    if kind is NonceWantedAtResource:
        headers[NONCE_HEADER] = nonce
    return kind(error, headers)
