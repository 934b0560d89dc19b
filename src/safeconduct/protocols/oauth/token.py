"""Token requests and responses for the pre-authorized code grant (OpenID4VCI 1.0 §6, RFC 6749 §5)."""

import secrets
from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import Rejected
from safeconduct.ids import Random
from safeconduct.protocols import wire
from safeconduct.protocols.oauth import authorization_details, form
from safeconduct.protocols.oauth.authorization import Scheme
from safeconduct.protocols.oauth.authorization_details import CredentialDetail, GrantedDetail
from safeconduct.protocols.oauth.errors import InvalidClient, InvalidRequest, UnsupportedGrantType

PRE_AUTHORIZED_CODE = "urn:ietf:params:oauth:grant-type:pre-authorized_code"

_SECRET_BYTES = 32


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to trade a pre-authorized code for a token.

    tx_code: the transaction code that the user typed, if any. client_id: None for an anonymous client.
    authorization_details: what the token shall be good for; empty leaves that to the server.
    """

    pre_authorized_code: str
    tx_code: str | None = None
    client_id: str | None = None
    authorization_details: tuple[CredentialDetail, ...] = ()

    def __repr__(self) -> str:
        return f"<TokenRequest for {len(self.authorization_details)} details>"


class TokenResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A token and what it is good for.

    token_type: "DPoP" if it is bound to the key of the DPoP proof. expires_in: its life in seconds.
    authorization_details: empty unless the request used them.
    """

    access_token: str
    token_type: Scheme
    expires_in: int | None = None
    authorization_details: tuple[GrantedDetail, ...] = ()

    def __repr__(self) -> str:
        return f"<TokenResponse {self.token_type} for {len(self.authorization_details)} details>"


def parse_token_request(body: bytes) -> TokenRequest:
    """Reads the form body of a token request; unknown parameters are ignored.

    Raises InvalidRequest (a malformed form, a repeated or over-long parameter, "grant_type_missing",
    "code_missing"), UnsupportedGrantType, InvalidAuthorizationDetails.
    """
    parameters = form.parse_form(body)
    grant_type = parameters.get("grant_type")
    if grant_type is None:
        raise InvalidRequest("grant_type_missing", "The request names no grant type.", rule="RFC 6749 §4.5")
    if grant_type != PRE_AUTHORIZED_CODE:
        raise UnsupportedGrantType("grant_type_unsupported", "The grant type is not supported.")
    code = _bounded(parameters, "pre-authorized_code")
    if code is None:
        raise InvalidRequest(
            "code_missing", "The request has no pre-authorized code.", rule="OpenID4VCI §6.1"
        )
    details = parameters.get("authorization_details")
    return TokenRequest(
        pre_authorized_code=code,
        tx_code=_bounded(parameters, "tx_code"),
        client_id=_bounded(parameters, "client_id"),
        authorization_details=authorization_details.parse_requested(details) if details else (),
    )


def token_request_form(request: TokenRequest) -> bytes:
    """Returns the form body of a token request."""
    pairs = [("grant_type", PRE_AUTHORIZED_CODE), ("pre-authorized_code", request.pre_authorized_code)]
    if request.tx_code is not None:
        pairs.append(("tx_code", request.tx_code))
    if request.client_id is not None:
        pairs.append(("client_id", request.client_id))
    if request.authorization_details:
        details = authorization_details.requested_json(request.authorization_details)
        pairs.append(("authorization_details", details))
    return form.encode_form(pairs)


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
    if response.authorization_details:
        members["authorization_details"] = authorization_details.granted_json(response.authorization_details)
    return members


def parse_token_response(
    body: bytes, *, requested: tuple[CredentialDetail, ...], token_type: Scheme
) -> TokenResponse:
    """Reads a token response.

    requested: the authorization details of the request. token_type: the kind of token that must come back.

    Raises Malformed for JSON that is not a token response; Rejected "token_type_unexpected" (a token that is
    not bound to the key), "authorization_details_missing", "authorization_details_foreign".
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
    )


def new_secret(random: Random = secrets.token_bytes) -> str:
    """Returns a fresh opaque access token or pre-authorized code of 256 random bits."""
    return b64.encode(random(_SECRET_BYTES))


class _Response(msgspec.Struct, frozen=True):
    access_token: Annotated[
        str, msgspec.Meta(min_length=1, max_length=limits.TOKEN_CHARS, pattern=r"\A[A-Za-z0-9._~+/-]+=*\Z")
    ]
    token_type: str
    expires_in: Annotated[int, msgspec.Meta(ge=0)] | None = None
    authorization_details: Any = None


def _bounded(parameters: dict[str, str], name: str) -> str | None:
    value = parameters.get(name)
    if value is not None and len(value) > limits.CODE_CHARS:
        raise InvalidRequest("parameter_too_long", "A parameter is longer than allowed here.")
    return value


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
