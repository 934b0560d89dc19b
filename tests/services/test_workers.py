"""Several processes behind the ports of one issuer: watched, replaced, drained, safe on either database."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.flows.small_wallet import CLAIMS, SmallWallet

from safeconduct.crypto.keys import Key
from safeconduct.net.fetch import HttpFetcher

TOKEN = "management-token-of-the-test"
SAFECONDUCT = (sys.executable, "-c", "from safeconduct.cli.main import run; run()")
PATIENCE = 60


@dataclass
class Service:
    """A parent with its workers."""

    parent: subprocess.Popen[str]
    urls: dict[str, str]

    def workers(self) -> set[int]:
        pid = self.parent.pid
        return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@contextlib.contextmanager
def serving(
    place: Path, name: str, *arguments: str, listeners: int = 2, **variables: str
) -> Iterator[Service]:
    environ = {
        **os.environ,
        "SAFECONDUCT_ISSUER__ADMIN_TOKEN": TOKEN,
        "SAFECONDUCT_TELEMETRY__LOG_LEVEL": "off",
    }
    with subprocess.Popen(
        (*SAFECONDUCT, "serve", name, "--json", *arguments),
        cwd=place,
        stdout=subprocess.PIPE,
        text=True,
        env=environ | variables,
    ) as parent:
        try:
            assert parent.stdout is not None
            lines = [json.loads(parent.stdout.readline()) for _ in range(listeners)]
            yield Service(parent, {line["listener"]: line["url"] for line in lines})
        finally:
            if parent.poll() is None:
                parent.send_signal(signal.SIGTERM)
                assert parent.wait(PATIENCE) == 0


def issuer(place: Path, *arguments: str, **variables: str) -> contextlib.AbstractContextManager[Service]:
    ports = ("--port", "0", "--admin-port", "0", "--workers", "2")
    return serving(place, "issuer", *ports, *arguments, **variables)


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/issuer.db"
    return str(request.getfixturevalue("postgres_url"))


def test_two_workers_issue_and_trade_each_code_once(tmp_path: Path, database: str) -> None:
    async def line(service: Service) -> Counter[int]:
        async with HttpFetcher(allow_loopback=True, connections=64) as fetcher:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            body = json.dumps({"configuration_id": "identity", "claims": CLAIMS}).encode()
            statuses: Counter[int] = Counter()

            async def wallets() -> None:
                answer = await fetcher.request(
                    "POST", f"{service.urls['issuer-admin']}/offers", headers=headers, content=body
                )
                uri = answer.json()["offer_uri"]
                rivals = [
                    SmallWallet(fetcher, lambda: int(time.time()), issuer=service.urls["issuer"])  # type: ignore[arg-type]
                    for _ in range(2)
                ]
                for wallet in rivals:
                    await wallet.nonces()
                redeemed = await asyncio.gather(*(wallet.redeem(uri) for wallet in rivals))
                statuses.update(answer.status for answer in redeemed)
                winner = rivals[[answer.status for answer in redeemed].index(200)]
                granted = next(answer for answer in redeemed if answer.status == 200).json()
                winner.access_token = granted["access_token"]
                winner.identifiers = tuple(granted["authorization_details"][0]["credential_identifiers"])
                answer = await winner.ask()
                # Of a code that came twice, the second may have revoked what the first gave.
                assert answer.status in (200, 401), answer.body

            await asyncio.gather(*(wallets() for _ in range(8)))
            return statuses

    with issuer(tmp_path, SAFECONDUCT_ISSUER__DATABASE=database) as service:
        statuses = asyncio.run(line(service))
    assert statuses == {200: 8, 400: 8}


def fetched(url: str) -> str:
    async def main() -> str:
        async with HttpFetcher(allow_loopback=True) as fetcher:
            return (await fetcher.request("GET", url)).body.decode()

    return asyncio.run(main())


def test_a_killed_worker_is_replaced_and_metrics_are_of_all_together(tmp_path: Path) -> None:
    with issuer(tmp_path) as service:
        admin = service.urls["issuer-admin"]
        eventually(lambda: len(service.workers()) == 2)
        for _ in range(10):
            assert json.loads(fetched(f"{admin}/readyz")) == {"status": "ok"}
        before = service.workers()
        for victim in before:
            os.kill(victim, signal.SIGKILL)
        eventually(lambda: len(service.workers() - before) == 2)
        eventually(lambda: _answers(admin))
        line = 'route="/readyz",status="200"} 10.0'
        assert any(line in text for text in fetched(f"{admin}/metrics").splitlines())


def _answers(url: str) -> bool:
    host, port = urlsplit(url).netloc.split(":")
    with socket.socket() as connection:
        return connection.connect_ex((host, int(port))) == 0


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    with issuer(tmp_path) as service:
        eventually(lambda: len(service.workers()) == 2)
        workers = service.workers()
        service.parent.kill()
        service.parent.wait(PATIENCE)
        eventually(lambda: not any(map(alive, workers)))


HEAD = (
    b"POST /nonce HTTP/1.1\r\nHost: issuer\r\nContent-Length: 4\r\nExpect: 100-continue\r\n"
    b"Connection: close\r\n\r\n"
)


def test_requests_under_way_are_answered_after_the_signal(tmp_path: Path) -> None:
    with issuer(tmp_path) as service, contextlib.ExitStack() as connections:
        eventually(lambda: len(service.workers()) == 2)
        host, port = urlsplit(service.urls["issuer"]).netloc.split(":")
        waiting = []
        for _ in range(20):
            connection = connections.enter_context(socket.create_connection((host, int(port)), PATIENCE))
            connection.sendall(HEAD)
            # The endpoint has begun to read the body: the request is under way.
            assert connection.recv(200).startswith(b"HTTP/1.1 100 ")
            waiting.append(connection)
        service.parent.send_signal(signal.SIGTERM)
        eventually(lambda: not _answers(service.urls["issuer"]))
        for connection in waiting:
            connection.sendall(b"body")
        answers = [connection.recv(200) for connection in waiting]
        # The nonce endpoint wants no body, and still gets to say so.
        assert {answer[:12] for answer in answers} == {b"HTTP/1.1 413"}
        assert service.parent.wait(PATIENCE) == 0


@pytest.mark.parametrize("fault", ["key", "port"])
def test_workers_that_cannot_start_are_not_tried_again(tmp_path: Path, fault: str) -> None:
    (tmp_path / "key.pem").write_text("rubbish")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        arguments = ("--port", port) if fault == "port" else ("--port", "0")
        environ = os.environ | ({"SAFECONDUCT_ISSUER__SIGNING_KEY": "key.pem"} if fault == "key" else {})
        done = subprocess.run(
            (*SAFECONDUCT, "serve", "issuer", "--workers", "2", "--admin-port", "0", *arguments),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=environ,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 2, done.stderr
    assert ("key.pem" if fault == "key" else "cannot be listened on") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_all_services_run_together(tmp_path: Path, workers: str) -> None:
    variables = {
        f"SAFECONDUCT_{section}__{key}": "0"
        for section in ("ISSUER", "WALLET_SERVER", "VERIFIER", "STATUS", "RELAY")
        for key in ("PORT", "ADMIN_PORT")
    }
    trusted = {"https://issuer.example": [{"pem": Key.generate("ES256").public.to_pem()}]}
    (tmp_path / "trust.json").write_text(json.dumps(trusted))
    variables["SAFECONDUCT_VERIFIER__TRUST"] = "trust.json"
    with serving(tmp_path, "all", "--workers", workers, listeners=10, **variables) as service:
        names = {"issuer", "wallet-server", "verifier", "status", "relay"}
        assert service.urls.keys() == names | {f"{name}-admin" for name in names}
        for name in names:
            assert json.loads(fetched(f"{service.urls[f'{name}-admin']}/healthz")) == {"status": "ok"}
            assert "safeconduct_http_requests_total" in fetched(f"{service.urls[f'{name}-admin']}/metrics")


def test_check_looks_at_every_tenant_without_starting(tmp_path: Path) -> None:
    tenant = (
        '[[issuer.tenants]]\nname = "{0}"\nidentifier = "https://a.example/{0}"\nsigning_key = "{0}.pem"\n'
    )
    settings = tenant.format("one") + tenant.format("two")
    for text, status in ((settings, 0), (settings + 'configurations = "none.toml"\n', 2)):
        (tmp_path / "safeconduct.toml").write_text(text)
        command = (*SAFECONDUCT, "serve", "all", "--check")
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert ("none.toml" in done.stderr) == (status == 2)
