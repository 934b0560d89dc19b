"""Authorization requests for a code, pushed by the client to the server (RFC 6749 §4.1.1, RFC 9126).

FAPI 2.0 §5.3.2.2: a request is pushed, so that nothing of it but a reference passes the browser.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.protocols import wire
from safeconduct.protocols.oauth import authorization_details, form, pkce, redirect_uri, scope
from safeconduct.protocols.oauth.authorization_details import CredentialDetail
from safeconduct.protocols.oauth.errors import InvalidClient, InvalidRequest, UnsupportedResponseType

RESPONSE_TYPE = "code"

_JKT_CHARS = 43


class AuthorizationRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request for an authorization code.

    redirect_uri: where the code shall go. code_challenge: of the method S256. state: echoed to the client.
    scope, authorization_details: what is asked for, one of them or both. issuer_state: that of an offer.
    dpop_jkt: thumbprint of the DPoP key that the code shall be bound to (RFC 9449 §10).
    resource: the credential issuer that is meant (RFC 8707); a server that is one itself ignores it.
    """

    client_id: str
    redirect_uri: str
    code_challenge: str
    state: str | None = None
    scope: tuple[str, ...] = ()
    authorization_details: tuple[CredentialDetail, ...] = ()
    issuer_state: str | None = None
    dpop_jkt: str | None = None
    resource: str | None = None

    def __repr__(self) -> str:
        return f"<AuthorizationRequest for {len(self.authorization_details)} details>"


class PushedResponse(msgspec.Struct, frozen=True):
    """What a server answers to a pushed request. expires_in: seconds that the reference is good."""

    request_uri: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.URL_CHARS)]
    expires_in: Annotated[int, msgspec.Meta(ge=1)]

    def __repr__(self) -> str:
        return f"<PushedResponse expires_in={self.expires_in}>"


def parse_authorization_request(body: bytes | str, *, client_id: str | None = None) -> AuthorizationRequest:
    """Reads the form of a pushed request, or the query of one that was not pushed; ignores the unknown.

    client_id: that of the client that has authenticated, who need not name itself then.

    Raises InvalidRequest ("request_uri_pushed", "request_object", "redirect_uri_missing", "state_too_long",
    "dpop_jkt_malformed", "parameter_too_long", what `redirect_uri`, `pkce` and `form` raise), InvalidClient
    "client_id_missing", "client_id_mismatch"; UnsupportedResponseType; InvalidScope;
    InvalidAuthorizationDetails.
    """
    parameters = form.parse_form(body)
    if "request_uri" in parameters:
        raise InvalidRequest(
            "request_uri_pushed", "A pushed request has no request_uri.", rule="RFC 9126 §2.1"
        )
    if "request" in parameters:
        raise InvalidRequest("request_object", "Request objects are not supported.", rule="RFC 9101 §6.3")
    details = parameters.get("authorization_details")
    wanted = parameters.get("scope")
    request = AuthorizationRequest(
        client_id=_client_id(form.client_id(parameters), client_id),
        redirect_uri=_redirect_uri(parameters),
        code_challenge=pkce.check_challenge(
            parameters.get("code_challenge"), method=parameters.get("code_challenge_method")
        ),
        state=_state(parameters),
        scope=scope.parse_scope(wanted) if wanted else (),
        authorization_details=authorization_details.parse_requested(details) if details else (),
        issuer_state=form.bounded(parameters, "issuer_state"),
        dpop_jkt=_dpop_jkt(parameters),
        resource=form.bounded(parameters, "resource", limits.URL_CHARS),
    )
    _check_response_type(parameters)
    return request


def authorization_request_form(request: AuthorizationRequest) -> bytes:
    """Returns the form body that pushes a request."""
    members: dict[str, str | None] = {
        "response_type": RESPONSE_TYPE,
        "client_id": request.client_id,
        "redirect_uri": request.redirect_uri,
        "code_challenge": request.code_challenge,
        "code_challenge_method": pkce.METHOD,
        "state": request.state,
        "scope": scope.scope_text(request.scope) or None,
        "issuer_state": request.issuer_state,
        "dpop_jkt": request.dpop_jkt,
        "resource": request.resource,
    }
    if request.authorization_details:
        members["authorization_details"] = authorization_details.requested_json(request.authorization_details)
    return form.encode_form((name, value) for name, value in members.items() if value is not None)


def parse_pushed_response(body: bytes) -> PushedResponse:
    """Reads what a server answers to a pushed request (RFC 9126 §2.2). Raises Malformed."""
    return wire.read_json(body, PushedResponse, what="Pushed authorization response")


def pushed_response_json(response: PushedResponse) -> dict[str, Any]:
    """Returns the JSON members of the answer; send it with status 201."""
    return wire.plain(response)


def authorization_url(endpoint: str, *, client_id: str, request_uri: str) -> str:
    """Returns what the client opens in the user's browser (RFC 9126 §4)."""
    return redirect_uri.with_parameters(endpoint, [("client_id", client_id), ("request_uri", request_uri)])


def _client_id(named: str | None, authenticated: str | None) -> str:
    if authenticated is not None and named not in (None, authenticated):
        raise InvalidClient("client_id_mismatch", "The client names another than it has shown to be.")
    client_id = named or authenticated
    if client_id is None:
        raise InvalidClient("client_id_missing", "The client must name itself.", rule="RFC 6749 §4.1.1")
    return client_id


def _redirect_uri(parameters: Mapping[str, str]) -> str:
    uri = parameters.get("redirect_uri")
    if uri is None:
        raise InvalidRequest(
            "redirect_uri_missing", "The request has no redirect URI.", rule="FAPI 2.0 §5.3.2.2"
        )
    return redirect_uri.check_redirect_uri(uri)


def _check_response_type(parameters: Mapping[str, str]) -> None:
    response_type = parameters.get("response_type")
    if response_type is None:
        raise InvalidRequest(
            "response_type_missing", "The request names no response type.", rule="RFC 6749 §4.1.1"
        )
    if response_type != RESPONSE_TYPE:
        raise UnsupportedResponseType("response_type_unsupported", "The only response type is code.")


def _state(parameters: Mapping[str, str]) -> str | None:
    state = parameters.get("state")
    if state is not None and len(state) > limits.STATE_CHARS:
        raise InvalidRequest("state_too_long", "The state is longer than allowed here.")
    return state


def _dpop_jkt(parameters: Mapping[str, str]) -> str | None:
    jkt = parameters.get("dpop_jkt")
    if jkt is not None and len(jkt) != _JKT_CHARS:
        raise InvalidRequest("dpop_jkt_malformed", "dpop_jkt is no SHA-256 thumbprint.", rule="RFC 9449 §10")
    return jkt
