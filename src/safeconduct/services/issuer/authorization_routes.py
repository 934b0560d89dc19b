"""The authorization server's public HTTP: its metadata and the token endpoint."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct import limits
from safeconduct.protocols.oauth import form
from safeconduct.protocols.oauth.errors import OAuthError
from safeconduct.protocols.oauth.metadata import server_metadata_json
from safeconduct.protocols.oauth.token import token_response_json
from safeconduct.services.issuer.authorization_server import AuthorizationServer
from safeconduct.services.issuer.challenges import NONCE_HEADER, at_token
from safeconduct.web import responses
from safeconduct.web.body import read_body


def authorization_routes(server: AuthorizationServer) -> list[Route]:
    """Returns the public routes of an authorization server, below the path of its identifier."""
    path = urlsplit(server.url).path
    caching = {"Cache-Control": f"max-age={server.settings.metadata_lifetime}"}

    async def metadata(_request: Request) -> Response:
        return responses.json(server_metadata_json(server.metadata()), headers=caching)

    async def token(request: Request) -> Response:
        body = await read_body(request, max_bytes=limits.FORM_BYTES, content_types={form.MEDIA_TYPE})
        try:
            answer = await server.redeem(body, dpop_headers=request.headers.getlist("DPoP"))
        except OAuthError as error:
            raise at_token(error, nonce=await server.tenant.dpop_nonce()) from error
        return responses.json(
            token_response_json(answer), headers={NONCE_HEADER: await server.tenant.dpop_nonce()}
        )

    return [
        Route(f"/.well-known/oauth-authorization-server{path}", metadata, methods=["GET"]),
        Route(f"{path}/token", token, methods=["POST"]),
    ]
