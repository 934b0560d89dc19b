"""One small interface to fetch through, and its implementation over HTTP.

What a fetch will not do: follow a redirect, go over plain HTTP except to this machine when allowed, connect
to private addresses, keep cookies, ask proxies, unpack compression, read more or wait longer than it may.
No error repeats a URL or anything received.
"""

import asyncio
import re
import ssl
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

import httpcore2
import httpx2
import msgspec

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected, Unsupported
from safeconduct.net.transport import CONNECTIONS, GuardedTransport
from safeconduct.settings import is_loopback

SECONDS = 10.0


class Unreachable(Rejected):
    """The other server gave no usable answer."""

    oauth_error = "temporarily_unavailable"
    http_status = 502


class TooSlow(Unreachable):
    """The other server took longer than it may."""

    http_status = 504


class Response(msgspec.Struct, frozen=True):
    """An answer, whole. headers: by lower-case name, repeated ones joined with a comma."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; "" without one."""
        return media_type(self.headers.get("content-type", ""))

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises Malformed."""
        return json.loads_object(self.body, max_bytes=max(len(self.body), 1))


class Fetcher(Protocol):
    """What can fetch. Implemented by `HttpFetcher`, and by whatever a test puts in its place."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        max_bytes: int = limits.FETCH_BYTES,
        content_types: Collection[str] = (),
    ) -> Response:
        """Send one request and return its answer, whatever its status, unless it is a redirect.

        With If-None-Match or If-Modified-Since among the headers, 304 is an answer as well.
        max_bytes: longest body that is accepted. content_types: what a 2xx answer may be; () for anything.

        Raises Unsupported ("fetch_insecure"), Malformed ("fetch_url_invalid", "fetch_header_invalid"),
        Rejected ("fetch_address_refused", "fetch_redirect", "fetch_too_large", "fetch_content_type"),
        TooSlow ("fetch_timeout") and Unreachable ("fetch_failed").
        """

    async def get_json(
        self, url: str, *, headers: Mapping[str, str] | None = None, max_bytes: int = limits.FETCH_BYTES
    ) -> dict[str, Any]:
        """GET a JSON object: status 200 and `application/json`. As `request`, and Rejected "fetch_status"."""

    async def close(self) -> None:
        """Let go of all connections."""


class HttpFetcher:
    """Fetches over HTTP. Used as `async with`, or closed by `close`."""

    def __init__(
        self,
        *,
        allow_loopback: bool,
        allow_private: bool = False,
        timeout: float = SECONDS,
        connect_timeout: float | None = None,
        connections: int = CONNECTIONS,
        transport: httpx2.AsyncBaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Take the rules of all fetches.

        allow_loopback: this machine may be fetched from, by http as well. allow_private: so may private
        networks, by https. timeout: seconds for a whole exchange. connect_timeout: for a connection, if less.
        connections: most at once. transport: in the wire's place, for tests.
        tls: the authorities to trust, the system's unless given.
        """
        self._allow_loopback = allow_loopback
        self._timeout = timeout
        self._connect_timeout = connect_timeout or timeout
        self._transport = transport or GuardedTransport(
            allow_loopback=allow_loopback, allow_private=allow_private, tls=tls, connections=connections
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        max_bytes: int = limits.FETCH_BYTES,
        content_types: Collection[str] = (),
    ) -> Response:
        """See `Fetcher.request`."""
        target = _checked_url(url, allow_loopback=self._allow_loopback)
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._exchange(method, target, headers or {}, content, max_bytes)
        except (httpx2.ConnectTimeout, httpcore2.ConnectTimeout) as error:
            raise TooSlow("fetch_timeout", "The server did not answer in time.") from error
        except (TimeoutError, httpx2.TimeoutException, httpcore2.TimeoutException):
            raise TooSlow("fetch_timeout", "The server did not answer in time.") from None
        except _WIRE_FAULTS as error:
            raise Unreachable(
                "fetch_failed",
                "The server could not be reached or broke HTTP; look at its address and certificate.",
            ) from error
        if 200 <= response.status < 300 and content_types and response.content_type not in content_types:
            raise Rejected(
                "fetch_content_type", "The server answered with another media type than asked for."
            )
        return response

    async def get_json(
        self, url: str, *, headers: Mapping[str, str] | None = None, max_bytes: int = limits.FETCH_BYTES
    ) -> dict[str, Any]:
        """See `Fetcher.get_json`."""
        return await json_of(self, url, headers=headers, max_bytes=max_bytes)

    async def close(self) -> None:
        """See `Fetcher.close`."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _exchange(
        self, method: str, url: httpx2.URL, headers: Mapping[str, str], content: bytes | None, max_bytes: int
    ) -> Response:
        waiting = dict.fromkeys(("read", "write", "pool"), self._timeout)
        waiting["connect"] = self._connect_timeout
        request = httpx2.Request(
            method,
            url,
            headers=_raw_headers({"Accept-Encoding": "identity", **headers}),
            content=content,
            extensions={"timeout": waiting},
        )
        response = await self._transport.handle_async_request(request)
        try:
            _check_head(response, max_bytes, conditional=_is_conditional(headers))
            body = await _read(response, max_bytes)
        finally:
            await response.aclose()
        return Response(response.status_code, _headers(response), body)


_WIRE_FAULTS = (
    httpx2.TransportError,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
    ssl.SSLError,
)


async def json_of(
    fetcher: Fetcher, url: str, *, headers: Mapping[str, str] | None, max_bytes: int
) -> dict[str, Any]:
    """What `get_json` does, by the fetcher's `request`."""
    accept = {"Accept": "application/json", **(headers or {})}
    response = await fetcher.request(
        "GET", url, headers=accept, max_bytes=max_bytes, content_types={"application/json"}
    )
    if response.status != 200:
        raise Rejected("fetch_status", "The server answered with another status than 200.")
    return response.json()


_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def media_type(header: str) -> str:
    """The media type of a Content-Type header: lower case, without parameters."""
    return header.partition(";")[0].strip().lower()


def _is_conditional(headers: Mapping[str, str]) -> bool:
    """Whether a request asks for a document only if it has changed (RFC 9110 §13.1)."""
    return any(name.lower() in _VALIDATING for name in headers)


_VALIDATING = frozenset(("if-none-match", "if-modified-since"))


def _checked_url(url: str, *, allow_loopback: bool) -> httpx2.URL:
    try:
        target = httpx2.URL(url)
    except (httpx2.InvalidURL, UnicodeError):
        raise Malformed("fetch_url_invalid", "Text is not a URL.") from None
    if not target.host or not 0 < (target.port or 443) < 65536 or len(url) > limits.HTTP_TARGET_BYTES:
        raise Malformed("fetch_url_invalid", "The URL lacks a host, or its port or length is out of range.")
    if target.userinfo or target.fragment:
        raise Malformed("fetch_url_invalid", "The URL has an account or a fragment, which none may have.")
    if target.scheme == "https" or (target.scheme == "http" and allow_loopback and is_loopback(target.host)):
        return target
    raise Unsupported(
        "fetch_insecure", "Only https URLs are fetched, and http ones of this machine if allowed."
    )


def _check_head(response: httpx2.Response, max_bytes: int, *, conditional: bool) -> None:
    if 300 <= response.status_code < 400 and not (conditional and response.status_code == 304):
        raise Rejected("fetch_redirect", "The server answered with a redirect, which is not followed.")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Rejected("fetch_content_type", "The server compressed its answer without being asked to.")
    length = response.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large()


async def _read(response: httpx2.Response, max_bytes: int) -> bytes:
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > max_bytes:
            raise _too_large()
    return bytes(body)


def _too_large() -> Rejected:
    return Rejected("fetch_too_large", "The server's answer is larger than accepted.")


def _raw_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise Malformed("fetch_header_invalid", "A header field to be sent has characters none may have.")
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]


def _headers(response: httpx2.Response) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers.raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
