"""The address on this machine to which the browser brings the answer of a login (RFC 8252 §7.3)."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from safeconduct import limits
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.protocols.oauth import form

PATH = "/callback"

_HEAD_SECONDS = 10
_PAGE = (
    b"<!doctype html><meta charset=utf-8><title>Wallet</title>"
    b"<p>The wallet has the answer; this window can be closed.\n"
)


class Return:
    """One listening address that takes one answer. uri: what the authorization server redirects to.

    state: of the answer that is awaited. Every program on this machine, and every page in the browser, can
    come here as well; without the state they change nothing.
    """

    def __init__(self, state: str) -> None:
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._state = state
        self.uri = ""

    async def answer(self, *, seconds: float) -> str:
        """Return the target of the one request that came. Raises Rejected: login_timeout."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._answer), seconds)
        except TimeoutError:
            raise Rejected(
                "login_timeout", "Nobody logged in within the time there was; try again."
            ) from None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(
            TimeoutError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
        ):
            async with asyncio.timeout(_HEAD_SECONDS):
                target = _target(await reader.readuntil(b"\r\n"))
                while await reader.readuntil(b"\r\n") != b"\r\n":
                    pass
                taken = _is_answer(target, self._state) and not self._answer.done()
                writer.write(_response(200, _PAGE) if taken else _response(404, b"Not here.\n"))
                if taken:
                    self._answer.set_result(target)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(state: str) -> AsyncIterator[Return]:
    """Listen on a free port of this machine alone, and take one request to `PATH` with that state."""
    back = Return(state)
    server = await asyncio.start_server(back._serve, "127.0.0.1", 0, limit=limits.HTTP_HEADER_BYTES)
    async with server:
        back.uri = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{PATH}"
        yield back


def _target(line: bytes) -> str:
    method, target, version = line.decode("ascii").rstrip("\r\n").split(" ")
    if method != "GET" or not version.startswith("HTTP/1.") or len(target) > limits.HTTP_TARGET_BYTES:
        raise ValueError
    return target


def _is_answer(target: str, state: str) -> bool:
    parts = urlsplit(target)
    try:
        found = form.parse_form(parts.query).get("state", "")
    except SafeconductError:
        return False
    return parts.path == PATH and hmac.compare_digest(found.encode(), state.encode())


def _response(status: int, body: bytes) -> bytes:
    lines = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not Found'}",
        "Content-Type: text/html; charset=utf-8",
        "Cache-Control: no-store",
        "Referrer-Policy: no-referrer",
        "Content-Security-Policy: default-src 'none'",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
