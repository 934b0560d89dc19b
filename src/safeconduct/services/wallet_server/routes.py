"""The wallet server's HTTP: sessions and the one way through for wallets, records for management."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct.services.wallet_server.envelope import check_credentials, check_sealed
from safeconduct.services.wallet_server.service import WalletServer
from safeconduct.web import responses
from safeconduct.web.body import content_type, read_body, single_header

SESSION_HEADER = "Safeconduct-Session"
ISSUER_HEADER = "Safeconduct-Issuer"

_SESSION_REQUEST_BYTES = 1024


def routes(server: WalletServer) -> list[Route]:
    """Returns the public routes."""

    async def begin(request: Request) -> Response:
        await read_body(request, max_bytes=_SESSION_REQUEST_BYTES)
        session = await server.begin_session()
        members = {
            "session": session.token,
            "expires_in": session.expires_in,
            "issuers": server.issuers.allowed,
        }
        return responses.json(members, status=201)

    async def end(request: Request) -> Response:
        await server.end_session(single_header(request, SESSION_HEADER))
        return responses.empty()

    async def forward(request: Request) -> Response:
        await server.check_session(single_header(request, SESSION_HEADER))
        issuer = server.issuers.check(single_header(request, ISSUER_HEADER))
        credentials = check_credentials(
            single_header(request, "Authorization"), request.headers.getlist("DPoP")
        )
        body = await read_body(request, max_bytes=server.settings.request_bytes)
        check_sealed(body, media_type=content_type(request))
        answer = await server.forward(issuer, credentials, body)
        return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))

    return [
        Route("/sessions", begin, methods=["POST"]),
        Route("/sessions", end, methods=["DELETE"]),
        Route("/forward/credential", forward, methods=["POST"]),
    ]


def admin_routes(server: WalletServer) -> list[Route]:
    """Returns the management routes; the listener they stand on asks for the token."""

    async def records(_request: Request) -> Response:
        kept = [msgspec.to_builtins(record) for record in await server.records()]
        return responses.json({"records": kept})

    async def issuers(_request: Request) -> Response:
        return responses.json({"issuers": server.issuers.allowed})

    return [
        Route("/records", records, methods=["GET"]),
        Route("/issuers", issuers, methods=["GET"]),
    ]
