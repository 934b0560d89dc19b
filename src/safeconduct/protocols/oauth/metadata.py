"""Authorization server metadata (RFC 8414) with the members that credential issuance adds."""

from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.errors import Rejected
from safeconduct.protocols import wire
from safeconduct.protocols.oauth import token, urls

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
