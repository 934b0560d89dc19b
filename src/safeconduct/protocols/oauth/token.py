"""Token requests and responses (RFC 6749 §4.1.3, §5, §6; OpenID4VCI 1.0 §6): three grants, one endpoint."""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected
from safeconduct.ids import Random
from safeconduct.protocols import wire
from safeconduct.protocols.oauth import authorization_details, form
from safeconduct.protocols.oauth import scope as scopes
from safeconduct.protocols.oauth.authorization import Scheme
from safeconduct.protocols.oauth.authorization_details import CredentialDetail, GrantedDetail
from safeconduct.protocols.oauth.errors import (
    InvalidClient,
    InvalidRequest,
    InvalidScope,
    UnsupportedGrantType,
)

PRE_AUTHORIZED_CODE = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
AUTHORIZATION_CODE = "authorization_code"
REFRESH_TOKEN = "refresh_token"  # noqa: S105  a grant type, not a token

GRANT_TYPES = (AUTHORIZATION_CODE, PRE_AUTHORIZED_CODE, REFRESH_TOKEN)

_SECRET_BYTES = 32


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to trade a pre-authorized code for a token.

    tx_code: the transaction code that the user typed, if any. client_id: None for an anonymous client.
    authorization_details, scope: what the token shall be good for; without either, all that is offered.
    """

    pre_authorized_code: str
    tx_code: str | None = None
    client_id: str | None = None
    authorization_details: tuple[CredentialDetail, ...] = ()
    scope: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<TokenRequest for {len(self.authorization_details)} details>"


class AuthorizationCodeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to trade an authorization code for a token (RFC 6749 §4.1.3).

    redirect_uri: the one of the authorization request. code_verifier: of PKCE.
    client_id: None only for a client that authenticates otherwise.
    authorization_details: less than what was granted; empty for all of it.
    resource: the credential issuer that is meant (RFC 8707).
    """

    code: str
    redirect_uri: str | None
    code_verifier: str | None
    client_id: str | None = None
    authorization_details: tuple[CredentialDetail, ...] = ()
    resource: str | None = None

    def __repr__(self) -> str:
        return f"<AuthorizationCodeRequest for {len(self.authorization_details)} details>"


class RefreshRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to trade a refresh token for another access token (RFC 6749 §6).

    authorization_details, scope: less than what was granted; without either, all of it.
    """

    refresh_token: str
    client_id: str | None = None
    authorization_details: tuple[CredentialDetail, ...] = ()
    scope: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<RefreshRequest for {len(self.authorization_details)} details>"


AnyTokenRequest = TokenRequest | AuthorizationCodeRequest | RefreshRequest


class TokenResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A token and what it is good for.

    token_type: "DPoP" if it is bound to the key of the DPoP proof. expires_in: its life in seconds.
    authorization_details: empty unless the request used them. scope: what was granted by scope.
    refresh_token: for access tokens to come, None without one.
    """

    access_token: str
    token_type: Scheme
    expires_in: int | None = None
    authorization_details: tuple[GrantedDetail, ...] = ()
    scope: tuple[str, ...] = ()
    refresh_token: str | None = None

    def __repr__(self) -> str:
        return f"<TokenResponse {self.token_type} for {len(self.authorization_details)} details>"


def parse_token_request(body: bytes) -> AnyTokenRequest:
    """Reads the form body of a token request; unknown parameters are ignored.

    Raises InvalidRequest (a malformed form, a repeated or over-long parameter, "grant_type_missing",
    "code_missing"), UnsupportedGrantType, InvalidAuthorizationDetails, InvalidScope.
    """
    parameters = form.parse_form(body)
    grant_type = parameters.get("grant_type")
    if grant_type is None:
        raise InvalidRequest("grant_type_missing", "The request names no grant type.", rule="RFC 6749 §4.5")
    details = parameters.get("authorization_details")
    requested = authorization_details.parse_requested(details) if details else ()
    client_id = form.client_id(parameters)
    if grant_type == PRE_AUTHORIZED_CODE:
        return TokenRequest(
            pre_authorized_code=_code(parameters, "pre-authorized_code"),
            tx_code=form.bounded(parameters, "tx_code"),
            client_id=client_id,
            authorization_details=requested,
            scope=_scope(parameters),
        )
    if grant_type == AUTHORIZATION_CODE:
        return AuthorizationCodeRequest(
            code=_code(parameters, "code"),
            redirect_uri=form.bounded(parameters, "redirect_uri", limits.URL_CHARS),
            code_verifier=form.bounded(parameters, "code_verifier"),
            client_id=client_id,
            authorization_details=requested,
            resource=form.bounded(parameters, "resource", limits.URL_CHARS),
        )
    if grant_type == REFRESH_TOKEN:
        return RefreshRequest(
            refresh_token=_code(parameters, "refresh_token"),
            client_id=client_id,
            authorization_details=requested,
            scope=_scope(parameters),
        )
    raise UnsupportedGrantType("grant_type_unsupported", "The grant type is not supported.")


def token_request_form(request: AnyTokenRequest) -> bytes:
    """Returns the form body of a token request."""
    members = {**_grant_members(request), "client_id": request.client_id}
    if request.authorization_details:
        members["authorization_details"] = authorization_details.requested_json(request.authorization_details)
    return form.encode_form((name, value) for name, value in members.items() if value is not None)


def check_tx_code_presence(request: TokenRequest, *, expected: bool) -> None:
    """Checks that a transaction code is given if and only if the offer asked for one.

    Source: OpenID4VCI 1.0 §6.3. Raises InvalidRequest "tx_code_missing", "tx_code_unexpected".
    """
    if expected and request.tx_code is None:
        raise InvalidRequest(
            "tx_code_missing", "The request has no transaction code.", rule="OpenID4VCI §6.3"
        )
    if not expected and request.tx_code is not None:
        raise InvalidRequest("tx_code_unexpected", "No transaction code is expected.", rule="OpenID4VCI §6.3")


def check_client_named(request: TokenRequest, *, anonymous_allowed: bool) -> None:
    """Checks that the client names itself where anonymous clients are not served.

    Source: OpenID4VCI 1.0 §6.3. Raises InvalidClient "client_id_missing".
    """
    if request.client_id is None and not anonymous_allowed:
        raise InvalidClient("client_id_missing", "The client must name itself.", rule="OpenID4VCI §6.3")


def token_response_json(response: TokenResponse) -> dict[str, Any]:
    """Returns the JSON members of a token response; send it with `Cache-Control: no-store`."""
    members: dict[str, Any] = {"access_token": response.access_token, "token_type": response.token_type}
    if response.expires_in is not None:
        members["expires_in"] = response.expires_in
    if response.refresh_token is not None:
        members["refresh_token"] = response.refresh_token
    if response.scope:
        members["scope"] = scopes.scope_text(response.scope)
    if response.authorization_details:
        members["authorization_details"] = authorization_details.granted_json(response.authorization_details)
    return members


def parse_token_response(
    body: bytes, *, requested: tuple[CredentialDetail, ...], token_type: Scheme
) -> TokenResponse:
    """Reads a token response.

    requested: the authorization details of the request. token_type: the kind of token that must come back.

    Raises Malformed for JSON that is not a token response, "scope_malformed"; Rejected
    "token_type_unexpected" (a token that is not bound to the key), "authorization_details_missing",
    "authorization_details_foreign".
    """
    wire_response = wire.read_json(body, _Response, what="Token response")
    if wire_response.token_type.lower() != token_type.lower():
        raise Rejected("token_type_unexpected", "The token is of another type than asked for.")
    granted: tuple[GrantedDetail, ...] = ()
    if wire_response.authorization_details is not None:
        granted = authorization_details.parse_granted(wire_response.authorization_details)
    _check_granted(granted, requested)
    return TokenResponse(
        access_token=wire_response.access_token,
        token_type=token_type,
        expires_in=wire_response.expires_in,
        authorization_details=granted,
        scope=_granted_scope(wire_response.scope),
        refresh_token=wire_response.refresh_token,
    )


def new_secret(random: Random = secrets.token_bytes) -> str:
    """Returns a fresh opaque access token or pre-authorized code of 256 random bits."""
    return b64.encode(random(_SECRET_BYTES))


_Token = Annotated[
    str, msgspec.Meta(min_length=1, max_length=limits.TOKEN_CHARS, pattern=r"\A[A-Za-z0-9._~+/-]+=*\Z")
]
_RefreshToken = Annotated[
    str, msgspec.Meta(min_length=1, max_length=limits.TOKEN_CHARS, pattern=r"\A[\x20-\x7e]+\Z")
]


class _Response(msgspec.Struct, frozen=True):
    access_token: _Token
    token_type: str
    refresh_token: _RefreshToken | None = None
    scope: Annotated[str, msgspec.Meta(max_length=limits.FORM_BYTES)] | None = None
    expires_in: Annotated[int, msgspec.Meta(ge=0)] | None = None
    authorization_details: Any = None


def _code(parameters: Mapping[str, str], name: str) -> str:
    code = form.bounded(parameters, name)
    if code is None:
        raise InvalidRequest("code_missing", "The request lacks its code or token.", rule="RFC 6749 §5.2")
    return code


def _scope(parameters: Mapping[str, str]) -> tuple[str, ...]:
    text = parameters.get("scope")
    return scopes.parse_scope(text) if text else ()


def _grant_members(request: AnyTokenRequest) -> dict[str, str | None]:
    if isinstance(request, AuthorizationCodeRequest):
        return {
            "grant_type": AUTHORIZATION_CODE,
            "code": request.code,
            "redirect_uri": request.redirect_uri,
            "code_verifier": request.code_verifier,
            "resource": request.resource,
        }
    scope = scopes.scope_text(request.scope) or None
    if isinstance(request, RefreshRequest):
        return {"grant_type": REFRESH_TOKEN, "refresh_token": request.refresh_token, "scope": scope}
    return {
        "grant_type": PRE_AUTHORIZED_CODE,
        "pre-authorized_code": request.pre_authorized_code,
        "tx_code": request.tx_code,
        "scope": scope,
    }


def _granted_scope(text: str | None) -> tuple[str, ...]:
    try:
        return scopes.parse_scope(text) if text else ()
    except InvalidScope as error:
        raise Malformed(error.code, error.reason, rule=error.rule) from error


def _check_granted(granted: tuple[GrantedDetail, ...], requested: tuple[CredentialDetail, ...]) -> None:
    if requested and not granted:
        raise Rejected(
            "authorization_details_missing",
            "The response lacks authorization details.",
            rule="OpenID4VCI §6.2",
        )
    wanted = {detail.credential_configuration_id for detail in requested}
    if wanted and not wanted.issuperset(detail.credential_configuration_id for detail in granted):
        raise Rejected("authorization_details_foreign", "The token is for something that was not asked for.")
