"""What an OAuth endpoint answers to an unacceptable request, as data on the error's class.

Sources: RFC 6749 §5.2 (token endpoint), RFC 6750 §3 (protected resources), RFC 9449 §5, §7.1, §8, §9 (DPoP),
RFC 9396 §5 (authorization details), RFC 6749 §4.1.2.1 (authorization endpoint).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, Literal

import msgspec

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Rejected, SafeconductError

Place = Literal["token", "resource"]
"""Where an error is answered: at an authorization server's endpoint, or at one that a token opens."""


class OAuthError(Rejected):
    """A request that OAuth names an error for.

    oauth_error: the value of `error`. http_status: the status at a token endpoint.
    resource_status: the status at a protected resource. challenge: whether a protected resource answers with
    WWW-Authenticate.
    """

    resource_status: ClassVar[int] = 400
    challenge: ClassVar[bool] = False


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated, malformed, or not expected."""


class InvalidClient(OAuthError):
    """The client is not known or has not authenticated, and anonymous access is not given."""

    oauth_error = "invalid_client"
    http_status = 401
    resource_status = 401


class InvalidGrant(OAuthError):
    """The code, or the transaction code for it, is wrong, expired or used."""

    oauth_error = "invalid_grant"


class UnauthorizedClient(OAuthError):
    """The client may not use this grant type."""

    oauth_error = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """The server does not have this grant type."""

    oauth_error = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    """The server has no such way to answer an authorization request."""

    oauth_error = "unsupported_response_type"


class AccessDenied(OAuthError):
    """The user, or the server on their behalf, has refused."""

    oauth_error = "access_denied"


class InvalidScope(OAuthError):
    """The scope is unknown, malformed or more than was granted."""

    oauth_error = "invalid_scope"


class InvalidAuthorizationDetails(OAuthError):
    """The authorization details are malformed or ask for what there is not (RFC 9396 §5)."""

    oauth_error = "invalid_authorization_details"


class MissingToken(OAuthError):
    """The request to a protected resource names no access token; the challenge then carries no error."""

    oauth_error = "invalid_token"
    http_status = 401
    resource_status = 401
    challenge = True


class InvalidToken(OAuthError):
    """The access token is unknown, expired, revoked, or bound to another key."""

    oauth_error = "invalid_token"
    http_status = 401
    resource_status = 401
    challenge = True


class InsufficientScope(OAuthError):
    """The access token is good, but not for this."""

    oauth_error = "insufficient_scope"
    http_status = 403
    resource_status = 403
    challenge = True


class InvalidDpopProof(OAuthError):
    """The DPoP proof is missing, repeated or not valid for this request (RFC 9449 §4.3)."""

    oauth_error = "invalid_dpop_proof"
    resource_status = 401
    challenge = True


class UseDpopNonce(OAuthError):
    """The DPoP proof must carry a nonce of this server; the answer names one (RFC 9449 §8)."""

    oauth_error = "use_dpop_nonce"
    resource_status = 401
    challenge = True


class UseAttestationChallenge(OAuthError):
    """The proof of a client attestation must carry a challenge of this server; the answer names one.

    Source: draft-ietf-oauth-attestation-based-client-auth §6.2, §8.1.
    """

    oauth_error = "use_attestation_challenge"


class ErrorResponse(msgspec.Struct, frozen=True):
    """What a server answered instead of a result.

    status: HTTP status. error: the code it named, or "" if the body is not an OAuth error.
    description: its text for people, restricted to harmless characters.
    """

    status: int
    error: str
    description: str


def error_body(error: SafeconductError) -> dict[str, str]:
    """Returns the JSON body of an error response: `error` and `error_description`, no other member."""
    body = {"error": error.oauth_error}
    description = describe(error.reason)
    if description:
        body["error_description"] = description
    return body


def error_status(error: SafeconductError, *, at: Place) -> int:
    """Returns the HTTP status that answers `error`."""
    if at == "resource" and isinstance(error, OAuthError):
        return error.resource_status
    return error.http_status


def www_authenticate(error: SafeconductError, *, algorithms: Sequence[str]) -> str | None:
    """Returns the DPoP challenge with which a protected resource answers `error`, or None where none belongs.

    algorithms: JOSE names that proofs may be signed with (RFC 9449 §7.1).
    """
    if not isinstance(error, OAuthError) or not error.challenge:
        return None
    parameters = {}
    if not isinstance(error, MissingToken):  # RFC 6750 §3.1: no error for a request without credentials
        parameters = error_body(error)
    parameters["algs"] = " ".join(algorithms)
    return "DPoP " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())


def describe(text: str) -> str:
    """Returns `text` in the characters that `error_description` may have, and no longer than is useful.

    Source: RFC 6749 §5.2 (%x20-21 / %x23-5B / %x5D-7E).
    """
    legal = _ILLEGAL.sub("?", text.translate(_REPLACEMENTS))
    return legal[: limits.DESCRIPTION_CHARS]


def parse_error(body: bytes, *, status: int) -> ErrorResponse:
    """Reads what a server answered instead of a result; rubbish gives an empty `error`, no exception."""
    try:
        members = json.loads_object(body)
    except SafeconductError:
        return ErrorResponse(status, "", "")
    error, description = members.get("error"), members.get("error_description")
    return ErrorResponse(
        status,
        error if isinstance(error, str) and _CODE.fullmatch(error) else "",
        describe(description) if isinstance(description, str) else "",
    )


@contextmanager
def reported_as(kind: type[OAuthError]) -> Iterator[None]:
    """Gives an error from a lower floor the answer of `kind`: same code, reason and rule.

    Errors that have an OAuth answer already keep it.
    """
    try:
        yield
    except OAuthError:
        raise
    except SafeconductError as error:
        raise kind(error.code, error.reason, rule=error.rule) from error


_REPLACEMENTS = str.maketrans({'"': "'", "\\": "/", "§": "section "})
_ILLEGAL = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
_CODE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,64}")
