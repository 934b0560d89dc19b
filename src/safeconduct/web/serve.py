"""Listening: applications on their hosts and ports, in this process and event loop, by granian.

A listener is ready when `running` is entered. When it is left, no new connection is taken, requests under way
get a moment to finish, and what still runs then is cancelled, so that nobody can hold a service open.
"""

import asyncio
import gc
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from starlette.types import ASGIApp, Receive, Scope, Send

from safeconduct import limits

GRACE_SECONDS = 5.0
"""Time that requests under way get when a listener stops."""

_HEAD_SECONDS = 5
_POLL_SECONDS = 0.005
_LINGER_SECONDS = 0.1


class CannotListen(OSError):
    """The address cannot be listened on; most likely another process does."""


class Tls(msgspec.Struct, frozen=True):
    """PEM files: the certificate with its chain, and its key."""

    certificate: Path
    key: Path


class Listener(msgspec.Struct, frozen=True):
    """An application and where it listens. name: for people; port: 0 takes any free one."""

    name: str
    app: ASGIApp
    host: str
    port: int
    tls: Tls | None = None


@asynccontextmanager
async def running(
    listeners: Sequence[Listener], *, grace: float = GRACE_SECONDS
) -> AsyncIterator[dict[str, str]]:
    """Run listeners; gives their URLs by name once all of them answer.

    grace: seconds that requests under way get at the end. Raises CannotListen, OSError (TLS files).
    """
    async with AsyncExitStack() as stack:
        yield {server.name: server.url for server in await _start_all(listeners, stack, grace)}


async def until_signalled(
    listeners: Sequence[Listener],
    *,
    announce: Callable[[str], None],
    grace: float = GRACE_SECONDS,
    lifeline: int | None = None,
) -> None:
    """Run listeners until SIGINT or SIGTERM; for the main thread of a process.

    announce: told a line "name: URL" for each listener once all are ready. lifeline: of a worker, which
    shares its ports with others: what becomes readable when its parent is gone, and ends it as a signal does.
    Raises as `running`, and RuntimeError if a listener stops by itself.
    """
    async with AsyncExitStack() as stack, _signals(lifeline) as signalled:
        servers = await _start_all(listeners, stack, grace, shared=lifeline is not None)
        for server in servers:
            announce(f"{server.name}: {server.url}")
        waiting = asyncio.create_task(signalled.wait())
        await asyncio.wait({waiting, *(server.task for server in servers)}, return_when="FIRST_COMPLETED")
        if not waiting.done():
            waiting.cancel()
            raise RuntimeError("A listener stopped by itself.")
    await _linger()


async def _linger() -> None:
    """Let granian's threads drop what they have of Python, as they do a moment after a server has ended.

    They abort the process where the interpreter is gone by then.
    """
    gc.collect()
    await asyncio.sleep(_LINGER_SECONDS)


def check_tls(listeners: Sequence[Listener]) -> None:
    """Look whether the TLS files are there and fit together. Raises OSError, which names a missing file."""
    for tls in {listener.tls for listener in listeners if listener.tls is not None}:
        for path in (tls.certificate, tls.key):
            path.open("rb").close()
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key)


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is free now, for those who must know it before they listen."""
    with _bound(host, 0, shared=False) as found:
        return int(found.getsockname()[1])


def reserve(host: str, port: int) -> socket.socket:
    """Takes an address for processes that share it, until the socket is closed. port: 0 takes any free one.

    Raises CannotListen if somebody listens there.
    """
    return _reserved(host, port)


async def _start_all(
    listeners: Sequence[Listener], stack: AsyncExitStack, grace: float, *, shared: bool = False
) -> list["_Running"]:
    check_tls(listeners)
    servers = []
    for listener in listeners:
        server = _Running(listener, shared=shared)
        stack.push_async_callback(server.stop, grace)
        await server.start()
        servers.append(server)
    return servers


class _Running:
    """One listener at work."""

    task: asyncio.Task[None]

    def __init__(self, listener: Listener, *, shared: bool) -> None:
        self.name = listener.name
        self._shared = shared
        self._listener = listener
        self._requests = _Requests(listener.app)
        self._server: Server | None = None
        self._address = (listener.host, listener.port)

    @property
    def url(self) -> str:
        scheme = "http" if self._listener.tls is None else "https"
        host, port = self._listener.host, self._address[1]
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    async def start(self) -> None:
        reserved = _bound_shared if self._shared else _reserved
        with reserved(self._listener.host, self._listener.port) as reservation:
            self._address = reservation.getsockname()[:2]
            self._server = _server(self._requests, self._address, self._listener.tls)
            self.task = asyncio.create_task(self._server.serve())
            while not await self._answers():
                if self.task.done():
                    self.task.result()
                    raise RuntimeError("The listener stopped at once.")
                await asyncio.sleep(_POLL_SECONDS)

    async def stop(self, grace: float) -> None:
        if self._server is None:
            return
        self._server.stop()  # type: ignore[no-untyped-call]
        _, late = await asyncio.wait({self.task}, timeout=grace)
        while late:
            self._requests.cancel()
            _, late = await asyncio.wait({self.task}, timeout=0.1)
        self.task.result()

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(*self._address)
        except ConnectionRefusedError:
            return False
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        return True


class _Requests:
    """Knows the requests under way, so that they can be cancelled."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._app(scope, receive, send)
        finally:
            self._tasks.discard(task)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()


def _server(app: ASGIApp, address: tuple[str, int], tls: Tls | None) -> Server:
    return Server(
        app,
        address=address[0],
        port=address[1],
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(
            header_read_timeout=_HEAD_SECONDS * 1000,
            max_buffer_size=limits.HTTP_HEADER_BYTES + limits.HTTP_TARGET_BYTES,
        ),
        log_enabled=False,
        # Its logging would print texts of peers, and must not reset the handlers of this process.
        log_dictconfig={"incremental": True, "handlers": {}, "loggers": {}},
        ssl_cert=None if tls is None else tls.certificate,
        ssl_key=None if tls is None else tls.key,
    )


def _reserved(host: str, port: int) -> socket.socket:
    """A bound socket that holds the port until granian listens on it.

    granian shares its ports, so two services could silently listen on one; a port that somebody listens on
    is found out first. Raises CannotListen.
    """
    if port:
        try:
            _bound(host, port, shared=False).close()
        except OSError as error:
            raise CannotListen(
                error.errno, f"{host}:{port} cannot be listened on: {error.strerror}"
            ) from None
    return _bound_shared(host, port)


def _bound_shared(host: str, port: int) -> socket.socket:
    return _bound(host, port, shared=True)


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


@asynccontextmanager
async def _signals(lifeline: int | None) -> AsyncIterator[asyncio.Event]:
    loop = asyncio.get_running_loop()
    signalled = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled.set)
    if lifeline is not None:
        loop.add_reader(lifeline, signalled.set)
    try:
        yield signalled
    finally:
        if lifeline is not None:
            loop.remove_reader(lifeline)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
