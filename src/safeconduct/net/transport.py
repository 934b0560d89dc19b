"""The way onto the wire: connections to guarded addresses, and nothing of what clients add to a request."""

import ssl
from collections.abc import AsyncIterable, AsyncIterator

import httpcore2
import httpx2

from safeconduct.net.addresses import GuardedBackend

CONNECTIONS = 32
IDLE_SECONDS = 5.0


class GuardedTransport(httpx2.AsyncBaseTransport):
    """HTTP/1.1 over TCP or TLS to allowed addresses. tls: trusted authorities, the system's unless given.

    connections: most at once.
    """

    def __init__(
        self,
        *,
        allow_loopback: bool,
        allow_private: bool = False,
        tls: ssl.SSLContext | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls or httpcore2.default_ssl_context(),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=GuardedBackend(allow_loopback=allow_loopback, allow_private=allow_private),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; the response's body is still on its way. Raises httpcore2's errors."""
        answer = await self._pool.handle_async_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._answer.stream, AsyncIterable)
        async for part in self._answer.stream:
            yield part

    async def aclose(self) -> None:
        await self._answer.aclose()
