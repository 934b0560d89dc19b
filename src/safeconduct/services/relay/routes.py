"""The relay's HTTP: mailboxes for wallets, what the relay is for whoever asks, counts for management."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.protocols.transfer.messages import (
    REQUEST_ID,
    Headers,
    read_create,
    read_headers,
    read_update,
)
from safeconduct.services.relay import openapi
from safeconduct.services.relay.addresses import Gate
from safeconduct.services.relay.pages import PreviewPages
from safeconduct.services.relay.service import Relay
from safeconduct.settings import RelaySettings
from safeconduct.web import responses
from safeconduct.web.body import read_body

EXTENSIONS = ("claimKey", "sequence", "wait", "state")
"""What this relay does beyond the drafts; others' clients need not know."""

_JSON = {"application/json"}
_ECHO = "safeconduct.relay.request_id"

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(relay: Relay, gate: Gate) -> list[Route]:
    """Returns the public routes. gate: stands before each of them that touches a mailbox."""
    settings = relay.settings
    described = description(settings)
    document = openapi.public(settings)
    # The answer to CreateMailbox, around the id: all of them are alike.
    members = {"urlLink": f"{settings.url}/v1/m/|", "isPushNotificationSupported": False}
    link_begin, _, link_end = json.dumps(members).rpartition(b"|")

    async def create(request: Request) -> Response:
        headers = _headers(request)
        headers.claim()
        headers.request_id()
        body = await read_body(request, max_bytes=settings.body_bytes, content_types=_JSON)
        wanted = read_create(body, max_bytes=settings.body_bytes)
        made = await relay.create(
            headers, wanted, admit=lambda: gate.check_creation(request, headers.attestation)
        )
        answer = link_begin + made.mailbox.encode() + link_end
        return responses.body(answer, media_type="application/json", status=201 if made.repeated else 200)

    async def read(request: Request) -> Response:
        answer = await relay.read(_mailbox(request), _headers(request))
        if answer is None:
            return responses.empty()
        return responses.body(answer, media_type="application/json")

    async def put(request: Request) -> Response:
        headers = _headers(request)
        headers.claim()
        headers.request_id()
        body = await read_body(request, max_bytes=settings.body_bytes, content_types=_JSON)
        wanted = read_update(body, max_bytes=settings.body_bytes)
        done = await relay.put(_mailbox(request), headers, wanted)
        members = {"isPushNotificationSupported": False, "sequence": done.sequence}
        return responses.json(members, status=201 if done.repeated else 200)

    async def relinquish(request: Request) -> Response:
        done = await relay.relinquish(_mailbox(request), _headers(request))
        return responses.json({"sequence": done.sequence}, status=201 if done.repeated else 200)

    async def delete(request: Request) -> Response:
        await relay.delete(_mailbox(request), _headers(request))
        return responses.body(b"{}", media_type="application/json")

    operations: Mapping[str, Endpoint] = {
        "POST": read,
        "PUT": put,
        "PATCH": relinquish,
        "DELETE": delete,
    }

    async def describe(_request: Request) -> Response:
        return responses.json(described)

    async def show_document(_request: Request) -> Response:
        return responses.json(document)

    return [
        Route("/v1/m", gate.guarding(create), methods=["POST"]),
        *(
            Route("/v1/m/{id}", gate.guarding(operation), methods=[method])
            for method, operation in operations.items()
        ),
        *PreviewPages(relay.find_display, base=settings.url, gate=gate).routes(),
        Route("/v1", describe, methods=["GET"]),
        Route("/openapi.json", show_document, methods=["GET"]),
    ]


def admin_routes(relay: Relay) -> list[Route]:
    """Returns the management routes; the listener they stand on asks for the token."""

    async def count(_request: Request) -> Response:
        return responses.json({"mailboxes": msgspec.structs.asdict(await relay.counts())})

    async def document(_request: Request) -> Response:
        return responses.json(openapi.MANAGEMENT)

    return [
        Route("/mailboxes", count, methods=["GET"]),
        Route("/openapi.json", document, methods=["GET"]),
    ]


def description(settings: RelaySettings) -> dict[str, Any]:
    """Returns what the relay says of itself: versions, extensions, and every bound that it holds to."""
    return {
        "versions": ["v1"],
        "extensions": EXTENSIONS,
        "limits": {
            "bodyBytes": settings.body_bytes,
            "payloadDataChars": settings.payload_chars,
            "payloadTypeChars": limits.PAYLOAD_TYPE_CHARS,
            "titleChars": limits.DISPLAY_TITLE_CHARS,
            "descriptionChars": limits.DISPLAY_DESCRIPTION_CHARS,
            "imageURLChars": limits.URL_CHARS,
            "lifetimeLeast": limits.MAILBOX_SECONDS,
            "lifetimeDefault": settings.lifetime_default,
            "lifetimeMost": settings.lifetime_most,
            "updates": settings.updates,
            "repeatedRequests": limits.REPEATED_REQUESTS,
            "waitMost": settings.wait_most,
            "createPerMinute": settings.create_rate,
            "failuresPerMinute": settings.failure_rate,
            "mailboxes": settings.mailboxes,
        },
        "pushTypes": [],
        "creation": "token" if settings.creation_tokens else "open",
    }


class Marked:
    """Around the public application: what all its answers say, its refusals as well.

    The request's id comes back, search engines stay out, and browsers come back by TLS only.
    """

    def __init__(self, app: ASGIApp, settings: RelaySettings) -> None:
        self._app = app
        self._fields = [(b"x-robots-tag", b"noindex, nofollow")]
        if settings.url.startswith("https:"):
            self._fields.append((b"strict-transport-security", b"max-age=31536000"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def marking(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message["headers"]
                marked = any(name == b"x-robots-tag" for name, _ in given)
                given += self._fields[1:] if marked else self._fields
                if _ECHO in scope:
                    given.append((_REQUEST_ID, scope[_ECHO]))
            await send(message)

        await self._app(scope, receive, marking)


_REQUEST_ID = REQUEST_ID.lower().encode()


def _headers(request: Request) -> Headers:
    headers = read_headers(request.scope["headers"])
    echo = headers.echo
    if echo is not None:
        request.scope[_ECHO] = echo.encode()
    return headers


def _mailbox(request: Request) -> str:
    return str(request.path_params["id"])
