"""Around every endpoint: limits before it, safe headers after it, a problem when it raises, a log line.

Two layers of plain ASGI. `Guard` enforces the limits and turns errors into problems; `Observer`, around it,
counts and logs by route template: the raw path and the query are never written anywhere.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import MutableHeaders
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
                _set_defaults(MutableHeaders(raw=message["headers"]))
            await send(message)

        try:
            _check_head(scope, max_body=self._max_body)
            await self._app(scope, _limited(receive, max_body=self._max_body), safe_send)
        except Exception as error:  # the one place where any error becomes an answer
            fault = fault_of(error)
            scope["state"]["code"] = fault.code
            if started or not fault.expected:
                self._telemetry.log.failure(
                    error, code=fault.code, route=route(scope), request_id=scope["state"]["request_id"]
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
        seen = {"status": 0, "in": 0, "out": 0}
        scope["state"] = {**scope.get("state", {}), "request_id": secrets.token_hex(8), "code": ""}

        async def counted_receive() -> Message:
            message = await receive()
            seen["in"] += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            seen["status"] = message.get("status", seen["status"])
            seen["out"] += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, counted_receive, counted_send)
        finally:
            self._note(scope, seen, time.perf_counter() - begun)

    def _note(self, scope: Scope, seen: Mapping[str, int], seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        code = scope["state"]["code"]
        self._telemetry.metrics.request(
            route=route(scope), method=method, status=seen["status"], code=code, seconds=seconds
        )
        self._telemetry.log.info(
            "request_answered",
            request_id=scope["state"]["request_id"],
            route=route(scope),
            method=method,
            status=seen["status"],
            duration_ms=round(seconds * 1000),
            bytes_in=bucket(seen["in"]) if seen["in"] else 0,
            bytes_out=bucket(seen["out"]) if seen["out"] else 0,
            **({"code": code} if code else {}),
        )


def route(scope: Scope) -> str:
    """The template of the route that took the request, such as `/offers/{id}`, or "unmatched"."""
    return str(getattr(scope.get("route"), "path", "unmatched"))


def _set_defaults(headers: MutableHeaders) -> None:
    for name, value in SAFE_HEADERS.items():
        headers.setdefault(name, value)


def _check_head(scope: Scope, *, max_body: int) -> None:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if len(scope["path"]) + len(scope["query_string"]) > limits.HTTP_TARGET_BYTES:
        raise TargetTooLong("target_too_long", "The request's path and query are too long.")
    if sum(len(name) + len(value) for name, value in headers) > limits.HTTP_HEADER_BYTES:
        raise HeadersTooLarge("headers_too_large", "The request's header fields are too large.")
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > max_body:
            raise _too_large()


def _limited(receive: Receive, *, max_body: int) -> Receive:
    """Receive the body within its size and time; afterwards wait for the client's leaving without a limit."""
    deadline = asyncio.get_running_loop().time() + limits.HTTP_BODY_SECONDS
    state: dict[str, Any] = {"bytes": 0, "whole": False}

    async def limited() -> Message:
        if state["whole"]:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlow("body_too_slow", "The request's body did not arrive in time.") from None
        state["bytes"] += len(message.get("body", b""))
        state["whole"] = not message.get("more_body", False)
        if state["bytes"] > max_body:
            raise _too_large()
        return message

    return limited


def _too_large() -> BodyTooLarge:
    return BodyTooLarge("body_too_large", "The request's body is larger than accepted.")
