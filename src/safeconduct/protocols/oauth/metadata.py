"""Authorization server metadata (RFC 8414) with the members that credential issuance adds."""

from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.errors import Rejected
from safeconduct.protocols import wire
from safeconduct.protocols.oauth import pkce, token, urls

_WELL_KNOWN = "oauth-authorization-server"


class AuthorizationServer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an authorization server says about itself; members bear their registered names.

    anonymous_pre_authorized: whether a pre-authorized code may be traded without a `client_id`.
    """

    issuer: str
    token_endpoint: str | None = None
    authorization_endpoint: str | None = None
    pushed_authorization_request_endpoint: str | None = None
    response_types_supported: tuple[str, ...] = ()
    grant_types_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ()
    code_challenge_methods_supported: tuple[str, ...] = ()
    dpop_signing_alg_values_supported: tuple[str, ...] = ()
    authorization_details_types_supported: tuple[str, ...] = ()
    scopes_supported: tuple[str, ...] = ()
    require_pushed_authorization_requests: bool = False
    authorization_response_iss_parameter_supported: bool = False
    client_attestation_signing_alg_values_supported: tuple[str, ...] = ()
    client_attestation_pop_signing_alg_values_supported: tuple[str, ...] = ()
    status_list_aggregation_endpoint: str | None = None
    anonymous_pre_authorized: bool = msgspec.field(
        name="pre-authorized_grant_anonymous_access_supported", default=False
    )


def server_metadata_url(issuer: str) -> str:
    """Returns where the metadata of the server `issuer` stands (RFC 8414 §3.1: a final slash is dropped)."""
    return urls.well_known(issuer.removesuffix("/"), _WELL_KNOWN)


def server_metadata_json(server: AuthorizationServer) -> dict[str, Any]:
    """Returns the JSON members of the metadata document."""
    return wire.plain(server)


def parse_server_metadata(
    body: bytes, *, issuer: str, allow_http_loopback: bool = False
) -> AuthorizationServer:
    """Reads the metadata document fetched from `server_metadata_url(issuer)`.

    allow_http_loopback: takes http URLs of the local machine.

    Raises Malformed; Rejected "issuer_mismatch" (the document is about another server, RFC 8414 §3.3),
    "url_not_https", "url_points_inward".
    """
    server = wire.read_json(
        body, AuthorizationServer, what="Server metadata", max_bytes=limits.METADATA_BYTES
    )
    if server.issuer != issuer:
        raise Rejected("issuer_mismatch", "The metadata is about another server.", rule="RFC 8414 §3.3")
    urls.check_identifier(issuer, what="issuer", allow_http_loopback=allow_http_loopback)
    for what, url in (
        ("token_endpoint", server.token_endpoint),
        ("authorization_endpoint", server.authorization_endpoint),
        ("pushed_authorization_request_endpoint", server.pushed_authorization_request_endpoint),
    ):
        if url is not None:
            urls.check_url(url, what=what, allow_http_loopback=allow_http_loopback)
            urls.check_not_inward(url, named_by=issuer)
    return server


def pre_authorized_token_endpoint(server: AuthorizationServer) -> str:
    """Returns the token endpoint, if the server takes pre-authorized codes there.

    Raises Rejected "grant_type_not_offered", "token_endpoint_missing".
    """
    if token.PRE_AUTHORIZED_CODE not in server.grant_types_supported:
        raise Rejected("grant_type_not_offered", "The server does not take pre-authorized codes.")
    if server.token_endpoint is None:
        raise Rejected("token_endpoint_missing", "The server names no token endpoint.", rule="RFC 8414 §2")
    return server.token_endpoint


class AuthorizationEndpoints(msgspec.Struct, frozen=True):
    """Where a wallet goes for the authorization code flow."""

    pushed_request: str
    authorization: str
    token: str


def authorization_endpoints(server: AuthorizationServer) -> AuthorizationEndpoints:
    """Returns the endpoints of the code flow, if the server has what a wallet needs to use it safely.

    That is: pushed requests, PKCE by S256, and its name in the response (RFC 9207).
    Raises Rejected "code_flow_not_offered" (an endpoint is missing, or the grant type is not listed),
    "pkce_not_offered", "iss_not_offered".
    """
    pushed, authorization = server.pushed_authorization_request_endpoint, server.authorization_endpoint
    # RFC 8414 §2: without the member, the authorization code is among the grants.
    grants = server.grant_types_supported or (token.AUTHORIZATION_CODE,)
    if not pushed or not authorization or not server.token_endpoint or token.AUTHORIZATION_CODE not in grants:
        raise Rejected("code_flow_not_offered", "The server does not take pushed authorization requests.")
    if pkce.METHOD not in server.code_challenge_methods_supported:
        raise Rejected("pkce_not_offered", "The server does not offer PKCE by S256.", rule="HAIP §4.1")
    if not server.authorization_response_iss_parameter_supported:
        raise Rejected("iss_not_offered", "The server does not name itself in its answers.", rule="RFC 9207")
    return AuthorizationEndpoints(pushed, authorization, server.token_endpoint)
