"""The wallet server's HTTP: sessions, forwarding, deliveries, wake-ups for wallets; counts for management."""

import re
from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected
from safeconduct.protocols import wire
from safeconduct.services.wallet_server import openapi
from safeconduct.services.wallet_server.envelope import check_credentials, check_sealed
from safeconduct.services.wallet_server.forwarding import Pending
from safeconduct.services.wallet_server.issuers import PLAIN, SIGNED, Kind, MetadataUnsigned
from safeconduct.services.wallet_server.line import Errand
from safeconduct.services.wallet_server.reliability import HISTORY_HOURS
from safeconduct.services.wallet_server.service import Reply, WalletServer, Wishes, check_idempotency_key
from safeconduct.services.wallet_server.store import DeliveryUnknown
from safeconduct.services.wallet_server.wakeups import Wish
from safeconduct.web import responses
from safeconduct.web.body import content_type, read_body, single_header

SESSION_HEADER = "Safeconduct-Session"
ISSUER_HEADER = "Safeconduct-Issuer"
FROM_HEADER = "Safeconduct-From"
DELIVERY_HEADER = "Safeconduct-Delivery"
WAKE_HEADER = "Safeconduct-Wake"

_SESSION_REQUEST_BYTES = 1024
_ASYNC = "respond-async"
_DELIVERY_ID = re.compile(r"[A-Za-z0-9_-]{43}")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,4}")


class GoesDirect(Rejected):
    """The message is not encrypted, so it goes from the wallet to the issuer, past this server."""

    oauth_error = "access_denied"
    http_status = 403


def routes(server: WalletServer) -> list[Route]:
    """Returns the public routes."""

    async def begin(request: Request) -> Response:
        await read_body(request, max_bytes=_SESSION_REQUEST_BYTES)
        token = single_header(request, SESSION_HEADER)
        opened = await (server.begin_session() if token is None else server.renew_session(token))
        members = {
            "session": opened.token,
            "expires_in": opened.expires_in,
            "renewable_for": opened.renewable_for,
            "issuers": server.allow_list.issuers,
        }
        return responses.json(members, status=201)

    async def end(request: Request) -> Response:
        await server.end_session(server.session(single_header(request, SESSION_HEADER)))
        return responses.empty()

    async def forward_credential(request: Request) -> Response:
        return await forward(request, "credential")

    async def forward_deferred(request: Request) -> Response:
        return await forward(request, "deferred")

    async def forward(request: Request, kind: Kind) -> Response:
        session = server.session(single_header(request, SESSION_HEADER))
        issuer = server.allow_list.check(single_header(request, ISSUER_HEADER))
        credentials = check_credentials(
            single_header(request, "Authorization"), request.headers.getlist("DPoP")
        )
        key = check_idempotency_key(single_header(request, "Idempotency-Key"))
        body = await read_body(request, max_bytes=server.settings.request_bytes)
        check_sealed(body, media_type=content_type(request))
        errand = Errand(issuer=issuer, kind=kind, credentials=credentials, sealed=body)
        asked, wait = _preferences(request)
        applied = {"Preference-Applied": _ASYNC} if asked else {}
        return _reply(await server.forward(session, errand, Wishes(key, wait)), applied)

    async def notification(_request: Request) -> Response:
        raise GoesDirect(
            "notification_direct", "Notifications go to the issuer itself; they are not encrypted."
        )

    async def read(request: Request) -> Response:
        session = server.session(single_header(request, SESSION_HEADER))
        wait = _wait(request)
        return _reply(await server.read_delivery(session, _delivery(request), wait=wait), {})

    async def drop(request: Request) -> Response:
        session = server.session(single_header(request, SESSION_HEADER))
        await server.drop_delivery(session, _delivery(request))
        return responses.empty()

    async def put_wakeup(request: Request) -> Response:
        session = server.session(single_header(request, SESSION_HEADER))
        body = await read_body(request, max_bytes=limits.WAKEUP_BYTES, content_types={"application/json"})
        await server.put_wakeup(session, wire.read_json(body, Wish, what="Wake-up"))
        return responses.empty()

    async def take_wakeups(request: Request) -> Response:
        session = server.session(single_header(request, SESSION_HEADER))
        due = await server.take_wakeups(session, wait=_wait(request))
        found = [{"issuer": issuer} for issuer in due.issuers]
        return responses.json({"wakeups": found, "next": due.next})

    async def drop_wakeups(request: Request) -> Response:
        await server.wakeups.drop(server.session(single_header(request, SESSION_HEADER)))
        return responses.empty()

    async def metadata(request: Request) -> Response:
        issuer = request.query_params.get("issuer", "")
        accepted = ",".join(request.headers.getlist("Accept")).lower()
        try:
            found = await server.metadata(issuer, signed=SIGNED in accepted)
        except MetadataUnsigned:
            if PLAIN not in accepted:
                raise
            found = await server.metadata(issuer, signed=False)
        headers = {"Cache-Control": "public, max-age=60", "Vary": "Accept"}
        return responses.body(found.body, media_type=found.media_type, headers=headers)

    async def document(_request: Request) -> Response:
        return responses.json(openapi.PUBLIC)

    return [
        Route("/sessions", begin, methods=["POST"]),
        Route("/sessions", end, methods=["DELETE"]),
        Route("/forward/credential", forward_credential, methods=["POST"]),
        Route("/forward/deferred", forward_deferred, methods=["POST"]),
        Route("/forward/notification", notification, methods=["POST"]),
        Route("/deliveries/{id}", read, methods=["GET"]),
        Route("/deliveries/{id}", drop, methods=["DELETE"]),
        Route("/wakeups", put_wakeup, methods=["PUT"]),
        Route("/wakeups", take_wakeups, methods=["GET"]),
        Route("/wakeups", drop_wakeups, methods=["DELETE"]),
        Route("/metadata", metadata, methods=["GET"]),
        Route("/openapi.json", document, methods=["GET"]),
    ]


def admin_routes(server: WalletServer) -> list[Route]:
    """Returns the management routes; the listener they stand on asks for the token."""

    async def reliability(request: Request) -> Response:
        hours = _number(request, "hours", default=24, most=HISTORY_HOURS)
        if not hours:
            raise Malformed("hours_malformed", "The parameter hours is not a number from 1 to 168.")
        return responses.json(msgspec.to_builtins(await server.summary(hours=hours)))

    async def issuers(_request: Request) -> Response:
        return responses.json({"issuers": server.allow_list.issuers})

    async def document(_request: Request) -> Response:
        return responses.json(openapi.MANAGEMENT)

    return [
        Route("/reliability", reliability, methods=["GET"]),
        Route("/issuers", issuers, methods=["GET"]),
        Route("/openapi.json", document, methods=["GET"]),
    ]


def _delivery(request: Request) -> str:
    """The id in the path. Raises DeliveryUnknown for what can be none: not every database takes any text."""
    id_ = str(request.path_params["id"])
    if not _DELIVERY_ID.fullmatch(id_):
        raise DeliveryUnknown("delivery_unknown", "There is no such delivery, or none any more.")
    return id_


def _reply(reply: Reply | Pending, headers: Mapping[str, str]) -> Response:
    if isinstance(reply, Pending):
        place = {"Location": f"/deliveries/{reply.id}", "Retry-After": "1"}
        members = {"delivery": reply.id, "state": "pending"}
        return responses.json(members, status=202, headers={**headers, **place})
    ended = reply.ended
    passed = {**ended.answer.headers, **headers, FROM_HEADER: "issuer"}
    if ended.id:
        passed[DELIVERY_HEADER] = ended.id
    if reply.ticket is not None:
        passed[WAKE_HEADER] = reply.ticket
    return Response(ended.answer.body, status_code=ended.answer.status, headers=passed)


def _preferences(request: Request) -> tuple[bool, float | None]:
    """Whether `Prefer` (RFC 7240) asks for a delivery, and after how many seconds; all else is not for us."""
    asked, wait = False, None
    for preference in ",".join(request.headers.getlist("Prefer")).split(","):
        name, _, value = preference.strip().lower().partition("=")
        if name == _ASYNC:
            asked = True
        elif name == "wait" and _WHOLE_NUMBER.fullmatch(value):
            wait = min(int(value), limits.WAIT_SECONDS)
    return asked, 0 if asked and wait is None else wait


def _wait(request: Request) -> int:
    seconds = _number(request, "wait", default=0, most=limits.WAIT_SECONDS)
    if seconds is None:
        raise Malformed("wait_malformed", "The parameter wait is not a number of seconds from 0 to 30.")
    return seconds


def _number(request: Request, name: str, *, default: int, most: int) -> int | None:
    """A query parameter from 0 to `most`; None if it is something else."""
    values = request.query_params.getlist(name)
    if not values:
        return default
    if len(values) > 1 or not _WHOLE_NUMBER.fullmatch(values[0]) or int(values[0]) > most:
        return None
    return int(values[0])
