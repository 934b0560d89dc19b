"""Two wallet servers on one database, over real sockets; one is killed while a request is under way."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.flows.wallet_server_stage import CREDENTIALS, JWE, SEALED, FakeIssuer

from safeconduct.net.fetch import HttpFetcher, Response
from safeconduct.web.serve import free_port

PROCESS = Path(__file__).with_name("wallet_server_process.py")
KEY = "a-key-of-the-wallet-0001"


class Issuer:
    """An issuer on a socket that keeps the first credential request waiting."""

    def __init__(self) -> None:
        self.requests = 0
        self.begun = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                if head.startswith("get"):
                    self._answer(writer, "application/json", FakeIssuer().plain_metadata(self.url))
                    continue
                await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r")[0]))
                self.requests += 1
                if self.requests == 1:
                    self.begun.set()
                    await asyncio.sleep(3600)
                self._answer(writer, "application/jwt", SEALED.body)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter, media_type: str, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)


@contextmanager
def process(port: int, issuer: str, database: str) -> Iterator["subprocess.Popen[str]"]:
    root = Path(__file__).parents[2]
    command = [sys.executable, str(PROCESS), str(port), issuer, database]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    try:
        assert started.stdout is not None
        assert "wallet-server" in started.stdout.readline()
        yield started
    finally:
        started.kill()
        started.communicate()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/service.db"
    return str(request.getfixturevalue("postgres_url"))


def test_what_a_killed_process_had_sent_is_not_sent_by_another(url: str) -> None:
    async def main() -> None:
        issuer = Issuer()
        listening = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
        issuer.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        ports = [free_port(), free_port()]
        one, other = (f"http://127.0.0.1:{port}" for port in ports)
        async with HttpFetcher(allow_loopback=True, timeout=60) as fetcher:

            async def ask(method: str, address: str, **headers: Any) -> Response:
                content = JWE if "/forward/" in address else None
                return await fetcher.request(method, address, headers=headers, content=content)

            with process(ports[0], issuer.url, url) as first, process(ports[1], issuer.url, url):
                session = (await ask("POST", f"{one}/sessions")).json()["session"]
                fields = {"Safeconduct-Session": session, "Safeconduct-Issuer": issuer.url, **CREDENTIALS}
                wanted = {**fields, "Idempotency-Key": KEY, "Prefer": "respond-async"}
                accepted = await ask("POST", f"{one}/forward/credential", **wanted)
                assert accepted.status == 202
                await issuer.begun.wait()
                first.send_signal(signal.SIGKILL)
                first.wait()
                # The session is good at the other one, which knows of the request and does not repeat it.
                again = await ask("POST", f"{other}/forward/credential", **{**wanted, "Prefer": "wait=1"})
                assert (again.status, again.json()) == (202, accepted.json())
                delivery = f"{other}/deliveries/{accepted.json()['delivery']}"
                assert (await ask("GET", delivery, **{"Safeconduct-Session": session})).status == 202
                assert issuer.requests == 1
                # With a new key, which is a new decision of the wallet, it goes out.
                fresh = {**fields, "Idempotency-Key": KEY + "-2"}
                answered = await ask("POST", f"{other}/forward/credential", **fresh)
                assert (answered.status, answered.body) == (200, SEALED.body)
                assert issuer.requests == 2
        listening.close()

    asyncio.run(main())
