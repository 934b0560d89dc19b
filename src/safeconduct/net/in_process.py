"""Whole flows in one process: a transport that hands requests to ASGI applications by their origin."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import httpx2

_Message = MutableMapping[str, Any]
Application = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]
]


class InProcess(httpx2.AsyncBaseTransport):
    """Takes the wire's place: `InProcess({"https://issuer.example": app})`. Other origins do not answer."""

    def __init__(self, applications: Mapping[str, Application]) -> None:
        self._transports = {
            _origin(httpx2.URL(origin)): httpx2.ASGITransport(application)
            for origin, application in applications.items()
        }

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Let the application of the request's origin answer. Raises httpx2.ConnectError without one."""
        transport = self._transports.get(_origin(request.url))
        if transport is None:
            raise httpx2.ConnectError("No application has this origin.")
        return await transport.handle_async_request(request)


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or {"https": 443, "http": 80}[url.scheme]
