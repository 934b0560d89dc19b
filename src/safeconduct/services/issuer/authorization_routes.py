"""The authorization server's public HTTP: metadata, pushed requests, the token endpoint, and the pages."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct import limits
from safeconduct.protocols.oauth import form
from safeconduct.protocols.oauth.authorization_request import pushed_response_json
from safeconduct.protocols.oauth.client_attestation import ATTESTATION_HEADER, POP_HEADER
from safeconduct.protocols.oauth.errors import OAuthError
from safeconduct.protocols.oauth.metadata import server_metadata_json
from safeconduct.protocols.oauth.token import token_response_json
from safeconduct.services.issuer.authorization_server import AuthorizationServer
from safeconduct.services.issuer.challenges import NONCE_HEADER, at_token
from safeconduct.services.issuer.clients import ClientHeaders
from safeconduct.services.issuer.pages import Pages
from safeconduct.web import responses
from safeconduct.web.body import read_body


def authorization_routes(server: AuthorizationServer) -> list[Route]:
    """Returns the public routes of an authorization server, below the path of its identifier."""
    path = urlsplit(server.url).path
    caching = {"Cache-Control": f"max-age={server.settings.metadata_lifetime}"}

    async def metadata(_request: Request) -> Response:
        return responses.json(server_metadata_json(server.metadata()), headers=caching)

    async def push(request: Request) -> Response:
        body = await _form(request)
        try:
            answer = await server.authorizations.push(body, _client_headers(request))
        except OAuthError as error:
            raise at_token(error, nonce=await server.tenant.dpop_nonce()) from error
        headers = {NONCE_HEADER: await server.tenant.dpop_nonce()}
        return responses.json(pushed_response_json(answer), status=201, headers=headers)

    async def token(request: Request) -> Response:
        body = await _form(request)
        try:
            answer = await server.redeem(body, _client_headers(request))
        except OAuthError as error:
            raise at_token(error, nonce=await server.tenant.dpop_nonce()) from error
        headers = {NONCE_HEADER: await server.tenant.dpop_nonce()}
        return responses.json(token_response_json(answer), headers=headers)

    return [
        Route(f"/.well-known/oauth-authorization-server{path}", metadata, methods=["GET"]),
        Route(f"{path}/par", push, methods=["POST"]),
        Route(f"{path}/token", token, methods=["POST"]),
        *Pages(server).routes(),
    ]


async def _form(request: Request) -> bytes:
    return await read_body(request, max_bytes=limits.FORM_BYTES, content_types={form.MEDIA_TYPE})


def _client_headers(request: Request) -> ClientHeaders:
    return ClientHeaders(
        dpop=request.headers.getlist("DPoP"),
        attestations=request.headers.getlist(ATTESTATION_HEADER),
        attestation_pops=request.headers.getlist(POP_HEADER),
    )
