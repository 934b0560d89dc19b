"""The public HTTP of shares: holders make them here, and look after them."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct import limits
from safeconduct.protocols.oauth.authorization import parse_authorization
from safeconduct.protocols.oauth.errors import InvalidToken, MissingToken
from safeconduct.protocols.openid4vci import sharing as messages
from safeconduct.services.issuer import share_openapi
from safeconduct.services.issuer.challenges import Challenge
from safeconduct.services.issuer.sharing import Shares
from safeconduct.web import responses
from safeconduct.web.body import read_body, single_header

_JSON = {"application/json"}


class AccessRefused(Challenge):
    """There is no token for the list of shares, or none that is good."""

    oauth_error = "invalid_token"
    http_status = 401


def share_routes(shares: Shares) -> list[Route]:
    """Returns the public routes, below the path of the issuer's identifier."""
    path = urlsplit(shares.url).path

    async def challenge(request: Request) -> Response:
        await read_body(request, max_bytes=0)
        return responses.json(messages.challenge_json(await shares.challenge()))

    async def create(request: Request) -> Response:
        return responses.json(messages.created_json(await shares.create(await _body(request))), status=201)

    async def access(request: Request) -> Response:
        return responses.json(messages.access_json(await shares.open_access(await _body(request))))

    async def listed(request: Request) -> Response:
        return responses.json(messages.shares_json(await shares.listed(await _parent(shares, request))))

    async def pin(request: Request) -> Response:
        parent = await _parent(shares, request)
        body = await read_body(request, max_bytes=limits.SHARE_PIN_BYTES, content_types=_JSON)
        return responses.json(messages.view_json(await shares.pin(parent, _share_id(request), body)))

    async def end(request: Request) -> Response:
        parent = await _parent(shares, request)
        await read_body(request, max_bytes=0)
        return responses.json(messages.cancelled_json(await shares.end(parent, _share_id(request))))

    async def described(_request: Request) -> Response:
        return responses.json(share_openapi.shares(shares.url))

    return [
        Route(f"{path}/share-challenge", challenge, methods=["POST"]),
        Route(f"{path}/shares", create, methods=["POST"]),
        Route(f"{path}/shares", listed, methods=["GET"]),
        Route(f"{path}/shares/access", access, methods=["POST"]),
        Route(f"{path}/shares/openapi.json", described, methods=["GET"]),
        Route(f"{path}/shares/{{share_id}}", pin, methods=["PATCH"]),
        Route(f"{path}/shares/{{share_id}}", end, methods=["DELETE"]),
    ]


async def _body(request: Request) -> bytes:
    return await read_body(request, max_bytes=limits.SHARE_REQUEST_BYTES, content_types=_JSON)


async def _parent(shares: Shares, request: Request) -> str:
    """Whose shares the request's token opens."""
    try:
        presented = parse_authorization(single_header(request, "Authorization"))
        if presented.scheme != "Bearer":
            raise InvalidToken("token_type", "The token is a bearer token.", rule="RFC 6750 §2.1")
        return await shares.parent_of(presented.token)
    except MissingToken as error:
        raise AccessRefused(error, {"WWW-Authenticate": "Bearer"}) from None
    except InvalidToken as error:
        raise AccessRefused(error, {"WWW-Authenticate": 'Bearer error="invalid_token"'}) from None


def _share_id(request: Request) -> str:
    """The id in the path; one that cannot be any is "" and so unknown: not every database takes any text."""
    text = str(request.path_params["share_id"])
    return text if text.isascii() and text.isprintable() else ""
