"""Around every endpoint: limits before it, safe headers after it, a problem when it raises, a log line.

Two layers of plain ASGI. `Guard` enforces the limits and turns errors into problems; `Observer`, around it,
counts and logs by route template: the raw path and the query are never written anywhere.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safeconduct import limits
from safeconduct.telemetry import Telemetry
from safeconduct.telemetry.fields import METHODS, bucket
from safeconduct.web.problems import (
    BodyTooLarge,
    BodyTooSlow,
    HeadersTooLarge,
    Problems,
    TargetTooLong,
    fault_of,
)

SAFE_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "safeconduct",
    "X-Content-Type-Options": "nosniff",
}
"""Sent with every answer unless the endpoint set the field itself. `Server` hides which one it really is."""


class Guard:
    """Enforces limits on requests, and answers with a problem when the application raises."""

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry, problems: Problems, max_body: int) -> None:
        self._app = app
        self._telemetry = telemetry
        self._problems = problems
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def safe_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _set_defaults(message["headers"])
            await send(message)

        try:
            length = _check_head(scope, max_body=self._max_body)
            limited = _Limited(receive, length=length, max_body=self._max_body)
            await self._app(scope, limited.receive, safe_send)
        except Exception as error:  # the one place where any error becomes an answer
            fault = fault_of(error)
            scope["state"]["code"] = fault.code
            if started or not fault.expected:
                self._telemetry.log.failure(
                    error, code=fault.code, route=route(scope), request_id=_request_id(scope)
                )
            if started:
                raise  # half an answer is out: only breaking the connection tells the client
            await self._problems(fault)(scope, receive, safe_send)


class Observer:
    """Counts and logs every request by route template, method, status, code, duration and size class."""

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; anything but HTTP is not served."""
        if scope["type"] != "http":
            return
        begun = time.perf_counter()
        status = bytes_in = bytes_out = 0
        scope["state"] = {**scope.get("state", {}), "request_id": "", "code": ""}

        async def counted_receive() -> Message:
            nonlocal bytes_in
            message = await receive()
            bytes_in += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            nonlocal status, bytes_out
            status = message.get("status", status)
            bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, counted_receive, counted_send)
        finally:
            self._note(scope, status, bytes_in, bytes_out, time.perf_counter() - begun)

    def _note(self, scope: Scope, status: int, bytes_in: int, bytes_out: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        taken, code = route(scope), scope["state"]["code"]
        self._telemetry.metrics.request(route=taken, method=method, status=status, code=code, seconds=seconds)
        if not self._telemetry.log.informs:
            return
        self._telemetry.log.info(
            "request_answered",
            request_id=_request_id(scope),
            route=taken,
            method=method,
            status=status,
            duration_ms=round(seconds * 1000),
            bytes_in=bucket(bytes_in) if bytes_in else 0,
            bytes_out=bucket(bytes_out) if bytes_out else 0,
            **({"code": code} if code else {}),
        )


def route(scope: Scope) -> str:
    """The template of the route that took the request, such as `/offers/{id}`, or "unmatched"."""
    return str(getattr(scope.get("route"), "path", "unmatched"))


def _request_id(scope: Scope) -> str:
    """What the log lines of a request have in common, made for the first of them."""
    found: str = scope["state"]["request_id"] or secrets.token_hex(8)
    scope["state"]["request_id"] = found
    return found


_SAFE_FIELDS = [(name.lower().encode(), value.encode()) for name, value in SAFE_HEADERS.items()]


def _set_defaults(fields: list[tuple[bytes, bytes]]) -> None:
    there = {name.lower() for name, _ in fields}
    fields += [field for field in _SAFE_FIELDS if field[0] not in there]


def _check_head(scope: Scope, *, max_body: int) -> int | None:
    """Returns the length of the body; None if the request does not say it beforehand."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if len(scope["path"]) + len(scope["query_string"]) > limits.HTTP_TARGET_BYTES:
        raise TargetTooLong("target_too_long", "The request's path and query are too long.")
    if sum([len(name) + len(value) for name, value in headers]) > limits.HTTP_HEADER_BYTES:
        raise HeadersTooLarge("headers_too_large", "The request's header fields are too large.")
    length = None
    for name, value in headers:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length" and value.isdigit():
            length = int(value)
            if length > max_body:
                raise _too_large()
    return length


class _Limited:
    """Receives the body within its size and time, then waits for the client's leaving without a limit."""

    def __init__(self, receive: Receive, *, length: int | None, max_body: int) -> None:
        """length: of the body; None if it is not known beforehand."""
        self._receive = receive
        self._length = length
        self._max_body = max_body
        self._deadline = asyncio.get_running_loop().time() + limits.HTTP_BODY_SECONDS
        self._bytes = 0
        self._whole = False

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()
        if self._length == 0:  # there is nothing to wait for
            self._whole = True
            return {"type": "http.request", "body": b"", "more_body": False}
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise BodyTooSlow("body_too_slow", "The request's body did not arrive in time.") from None
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._max_body:
            raise _too_large()
        if self._bytes == self._length:  # the end is not waited for either
            message = {**message, "more_body": False}
        self._whole = not message.get("more_body", False)
        return message


def _too_large() -> BodyTooLarge:
    return BodyTooLarge("body_too_large", "The request's body is larger than accepted.")
