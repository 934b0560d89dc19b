"""How an authorization server answers through the browser (RFC 6749 §4.1.2, RFC 9207)."""

import hmac
import re
from urllib.parse import urlsplit

import msgspec

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected
from safeconduct.protocols.oauth import form, redirect_uri

_ERROR = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,64}")


class AuthorizationRefused(Rejected):
    """The server gives no code. error: why, such as "access_denied"."""

    oauth_error = "access_denied"

    def __init__(self, error: str) -> None:
        super().__init__(
            "authorization_refused", "The server gives no authorization code.", rule="RFC 6749 §4.1.2.1"
        )
        self.error = error


class AuthorizationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is put on the redirect URI: a code or an error, the server's identifier, the client's state."""

    issuer: str
    state: str | None
    code: str | None = None
    error: str | None = None

    def __repr__(self) -> str:
        return f"<AuthorizationAnswer error={self.error!r}>"


def redirect_to(uri: str, answer: AuthorizationAnswer) -> str:
    """Returns the redirect URI with the answer on it."""
    members = {"code": answer.code, "error": answer.error, "state": answer.state, "iss": answer.issuer}
    return redirect_uri.with_parameters(
        uri, [(name, value) for name, value in members.items() if value is not None]
    )


def parse_authorization_response(response: str, *, issuer: str, state: str | None) -> str:
    """Returns the authorization code of the URL, or query, that the browser was sent to.

    issuer: identifier of the server that was asked; an answer of another is an attack (RFC 9207 §2.4).
    state: the client's.

    Raises Rejected "iss_missing", "iss_mismatch", "state_mismatch", "code_missing"; AuthorizationRefused
    "authorization_refused" (the server's answer is an error); Malformed "response_too_long",
    "response_malformed"; InvalidRequest, as `form.parse_form`.
    """
    if len(response) > limits.FORM_BYTES:
        raise Malformed("response_too_long", "The authorization response is longer than allowed here.")
    if not response.isascii():
        raise _malformed()
    parameters = form.parse_form(_query(response))
    if "iss" not in parameters:
        raise Rejected("iss_missing", "The response names no issuer.", rule="RFC 9207 §2.4")
    if not _same(parameters["iss"], issuer):
        raise Rejected("iss_mismatch", "The response is by another server.", rule="RFC 9207 §2.4")
    if not _same(parameters.get("state", ""), state or ""):
        raise Rejected("state_mismatch", "The response is for another request.", rule="RFC 6749 §10.12")
    error = parameters.get("error")
    if error is not None:
        raise AuthorizationRefused(error if _ERROR.fullmatch(error) else "")
    code = form.bounded(parameters, "code")
    if code is None:
        raise Rejected("code_missing", "The response has no code.", rule="RFC 6749 §4.1.2")
    return code


def _query(response: str) -> str:
    if "?" not in response and ":" not in response.partition("=")[0]:
        return response
    try:
        return urlsplit(response).query
    except ValueError as error:
        raise _malformed() from error


def _malformed() -> Malformed:
    return Malformed("response_malformed", "The authorization response is no URL.", rule="RFC 3986")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
