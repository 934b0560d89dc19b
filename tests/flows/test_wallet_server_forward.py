"""The wallet server: what passes through it, what it refuses, and what it keeps."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.flows.small_wallet import ADMIN_TOKEN, ISSUER, Clock, SmallWallet, issuer_house

from safeconduct import limits
from safeconduct.net.fetch import Fetcher, HttpFetcher, Response
from safeconduct.net.in_process import InProcess
from safeconduct.services.wallet_server import open_wallet_server, store
from safeconduct.services.wallet_server import service as wallet_server_service
from safeconduct.services.wallet_server.tables import metadata
from safeconduct.settings import Secret, WalletServerSettings
from safeconduct.storage import Database, StorageUnavailable
from safeconduct.storage.migrations import WALLET_SERVER, differences
from safeconduct.telemetry import Telemetry

SERVER = "https://wallet-server.example"
SERVER_ADMIN = "https://wallet-server-admin.example"
JWE = b"eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTEyOEdDTSJ9..AAAA.AAAA.AAAA"
CREDENTIALS = {"authorization": "DPoP token", "dpop": "proof", "content-type": "application/jwt"}


@dataclass
class Upstream:
    """What stands between the wallet server and the issuer: it counts, records, and can fail."""

    inner: Fetcher
    seen: list[tuple[str, str, Mapping[str, str], bytes | None]] = field(default_factory=list)
    answer: Response | None = None
    failures: list[Exception] = field(default_factory=list)

    async def request(self, method: str, url: str, **arguments: Any) -> Response:
        self.seen.append((method, url, arguments.get("headers") or {}, arguments.get("content")))
        if method == "POST" and self.failures:
            raise self.failures.pop(0)
        if method == "POST" and self.answer is not None:
            return self.answer
        return await self.inner.request(method, url, **arguments)

    async def get_json(self, url: str, **arguments: Any) -> dict[str, Any]:
        return await self.inner.get_json(url, **arguments)

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class Between:
    """A wallet server in front of an issuer."""

    fetcher: Fetcher
    upstream: Upstream
    clock: Clock
    log: io.StringIO
    telemetry: Telemetry
    session: str = ""

    async def forward(self, body: bytes = JWE, **headers: str | None) -> Response:
        fields = {
            "safeconduct-session": self.session,
            "safeconduct-issuer": ISSUER,
            **CREDENTIALS,
            **{name.replace("_", "-").lower(): value for name, value in headers.items()},
        }
        kept = {name: value for name, value in fields.items() if value is not None}
        return await self.fetcher.request("POST", f"{SERVER}/forward/credential", headers=kept, content=body)

    async def records(self) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        answer = await self.fetcher.request("GET", f"{SERVER_ADMIN}/records", headers=headers)
        return list(answer.json()["records"])

    async def begin(self) -> None:
        answer = await self.fetcher.request("POST", f"{SERVER}/sessions", content=b"")
        assert answer.status == 201, answer.body
        assert answer.json()["issuers"] == [ISSUER]
        self.session = answer.json()["session"]


@contextlib.asynccontextmanager
async def between(inner: Fetcher, clock: Clock, **settings: Any) -> AsyncIterator[Between]:
    log = io.StringIO()
    telemetry = Telemetry.open("wallet-server", level="debug", stream=log)
    upstream = Upstream(inner)
    chosen = WalletServerSettings(
        **{
            "identifier": SERVER,
            "database": "sqlite://",
            "issuers": (ISSUER,),
            "admin_token": Secret(ADMIN_TOKEN),
            **settings,
        }
    )
    opened = open_wallet_server(chosen, telemetry=telemetry, clock=clock, fetcher=upstream)
    async with opened as [public, admin]:
        transport = InProcess({SERVER: public.app, SERVER_ADMIN: admin.app})
        async with HttpFetcher(allow_loopback=False, transport=transport) as fetcher:
            yield Between(fetcher, upstream, clock, log, telemetry)


@contextlib.asynccontextmanager
async def in_front(folder: Path, **settings: Any) -> AsyncIterator[tuple[Between, SmallWallet, Any]]:
    """A wallet server with a session, in front of a real issuer with a wallet that has a token."""
    async with issuer_house(folder) as house, between(house.fetcher, house.clock, **settings) as server:
        await server.begin()
        wallet = house.wallet()
        await wallet.take_token((await house.offer())["offer_uri"])
        yield server, wallet, house


def test_a_credential_comes_through_the_wallet_server(tmp_path: Path) -> None:
    async def main() -> None:
        async with in_front(tmp_path) as (server, wallet, _house):
            body = await wallet.sealed()
            headers = wallet.credential_headers()
            answer = await server.forward(body, **headers)
            assert len(wallet.open(answer)) == 1
            assert answer.headers["dpop-nonce"]
            method, url, sent, content = server.upstream.seen[-1]
            assert (method, url, content) == ("POST", f"{ISSUER}/credential", body)
            assert sent["Authorization"] == headers["authorization"]
            assert sent["DPoP"] == headers["dpop"]
            assert sent.keys() == {"Authorization", "DPoP", "Content-Type", "Accept"}

    asyncio.run(main())


def test_an_error_of_the_issuer_comes_back_unchanged(tmp_path: Path) -> None:
    async def main() -> None:
        async with in_front(tmp_path) as (server, wallet, _house):
            wallet.dpop_nonce = None
            body = JWE
            through = await server.forward(
                body,
                authorization=f"DPoP {wallet.access_token}",
                dpop=wallet.proof_of_possession("/credential", access_token=wallet.access_token),
            )
            assert through.status == 401
            assert through.json()["error"] == "use_dpop_nonce"
            assert through.content_type == "application/json"
            assert "use_dpop_nonce" in through.headers["www-authenticate"]
            assert through.headers["dpop-nonce"]

    asyncio.run(main())


def test_nothing_of_a_request_stays_in_database_log_or_metrics(tmp_path: Path) -> None:
    file = tmp_path / "wallet-server.db"

    async def main() -> list[bytes]:
        async with in_front(tmp_path, database=f"sqlite:///{file}") as (server, wallet, _house):
            body = await wallet.sealed()
            headers = wallet.credential_headers()
            answer = await server.forward(body, **headers)
            assert answer.status == 200
            (record,) = await server.records()
            assert record.keys() == {"issuer", "time", "bytes_in", "bytes_out", "status"}
            assert record["issuer"] == ISSUER
            assert record["bytes_in"] >= len(body)
            assert record["bytes_in"].bit_count() == 1
            secrets = [
                wallet.access_token.encode(),
                (headers["dpop"] or "").split(".")[2].encode(),
                body.split(b".")[3][:40],
                answer.body.split(b".")[3][:40],
                server.session.encode(),
            ]
            shown = server.log.getvalue().encode() + server.telemetry.metrics.render()
            assert [secret for secret in secrets if secret in shown] == []
            assert b"request_answered" in shown
            return secrets

    secrets = asyncio.run(main())
    kept = b"".join(page.read_bytes() for page in tmp_path.glob("wallet-server.db*"))
    assert [secret for secret in secrets if secret in kept] == []
    assert ISSUER.encode() in kept


def test_strangers_begin_no_more_sessions_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STRANGERS_ROWS", 3)

    async def main() -> None:
        async with in_front(tmp_path) as (server, _wallet, _house):
            for _ in range(2):
                await server.begin()
            answer = await server.fetcher.request("POST", f"{SERVER}/sessions", content=b"")
            assert (answer.status, answer.json()["code"]) == (503, "too_much_open")

    asyncio.run(main())


def test_only_the_newest_records_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "KEPT", 2)

    async def main() -> None:
        async with await Database.open(f"sqlite:///{tmp_path / 'w.db'}", branch=WALLET_SERVER) as database:
            for time in range(5):
                record = store.Record(issuer=ISSUER, time=time, bytes_in=0, bytes_out=0, status=200)
                await database.run(store.add_record, record)
            assert await database.run(store.sweep, now=0, keep_records_since=0) == 0
            kept = await database.run(store.list_records)
            assert [record.time for record in kept] == [4, 3]

    asyncio.run(main())


def test_records_and_sessions_are_deleted_after_their_lifetime(tmp_path: Path) -> None:
    file = tmp_path / "wallet-server.db"

    async def main() -> None:
        clock = Clock()
        settings = {"database": f"sqlite:///{file}", "record_lifetime": 600}
        async with issuer_house(tmp_path, clock=clock) as house:
            async with between(house.fetcher, clock, **settings) as server:
                await server.begin()
                session = server.session
                await server.forward()
                assert len(await server.records()) == 1
            clock.now += 601
            async with between(house.fetcher, clock, **settings) as server:
                server.session = session
                assert (await server.forward()).json()["code"] == "session_unknown"
                assert await server.records() == []

    asyncio.run(main())


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Safeconduct_Session": None}, 401, "session_unknown"),
        ({"Safeconduct_Session": "another"}, 401, "session_unknown"),
        ({"Safeconduct_Issuer": None}, 403, "issuer_not_allowed"),
        ({"Safeconduct_Issuer": "https://other.example"}, 403, "issuer_not_allowed"),
        ({"Safeconduct_Issuer": f"{ISSUER}/"}, 403, "issuer_not_allowed"),
        ({"Safeconduct_Issuer": f"{ISSUER}/token"}, 403, "issuer_not_allowed"),
        ({"Authorization": None}, 401, "token_missing"),
        ({"Authorization": "Basic x"}, 401, "token_missing"),
        ({"Authorization": "Bearer token"}, 400, "bearer_refused"),
        ({"DPoP": None}, 400, "dpop_missing"),
        ({"DPoP": "a, b"}, 400, "dpop_repeated"),
        ({"Content_Type": "application/json"}, 400, "plaintext_refused"),
        ({"Content_Type": None}, 400, "plaintext_refused"),
    ],
)
def test_what_may_not_pass_is_refused_and_not_sent(
    tmp_path: Path, headers: dict[str, str | None], status: int, code: str
) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house, between(house.fetcher, house.clock) as server:
            await server.begin()
            answer = await server.forward(**headers)
            assert (answer.status, answer.json()["code"]) == (status, code)
            assert answer.content_type == "application/problem+json"
            assert server.upstream.seen == []
            assert await server.records() == []

    asyncio.run(main())


def test_only_sealed_bodies_pass(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house, between(house.fetcher, house.clock) as server:
            await server.begin()
            for body in (
                b"",
                b'{"credential_identifier":"x"}',
                b"a.b.c",
                b"e30.AAAA.AAAA",
                b"e30..AAAA.AAAA.AAAA",
                b"AAAA..AAAA.AAAA.AAAA",
                JWE + b".AAAA",
                JWE + b" ",
                JWE + b"\n",
                JWE.replace(b"..", b".=."),
                JWE.rpartition(b".")[0] + b".",
            ):
                answer = await server.forward(body)
                assert (answer.status, answer.json()["code"]) == (400, "plaintext_refused"), body
            answer = await server.forward(JWE + b"A" * 300_000)
            assert (answer.status, answer.json()["code"]) == (413, "body_too_large")
            assert server.upstream.seen == []

    asyncio.run(main())


def test_an_ended_session_is_over_and_paths_beside_the_one_are_not_served(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house, between(house.fetcher, house.clock) as server:
            await server.begin()
            headers = {"Safeconduct-Session": server.session}
            ended = await server.fetcher.request("DELETE", f"{SERVER}/sessions", headers=headers)
            assert ended.status == 204
            assert (await server.forward()).status == 401
            for path in ("/forward/token", "/forward/nonce", "/forward", "/offers/x", "/token"):
                answer = await server.fetcher.request("POST", SERVER + path, content=b"")
                assert answer.status == 404

    asyncio.run(main())


def _refused_connection() -> Exception:
    error = wallet_server_service.Unreachable("fetch_failed", "Nobody listens.")
    error.__cause__ = httpx2.ConnectError("refused")
    return error


def test_a_refused_connection_is_tried_again_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wallet_server_service, "PAUSE_SECONDS", 0)

    async def main() -> None:
        async with issuer_house(tmp_path) as house, between(house.fetcher, house.clock) as server:
            await server.begin()
            server.upstream.answer = Response(200, {"content-type": "application/jwt", "x-odd": "1"}, b"ok")
            server.upstream.failures = [_refused_connection(), _refused_connection()]
            answer = await server.forward()
            assert (answer.status, answer.body) == (200, b"ok")
            assert "x-odd" not in answer.headers
            server.upstream.failures = [_refused_connection() for _ in range(5)]
            answer = await server.forward()
            assert (answer.status, answer.json()["code"]) == (502, "issuer_unreachable")
            assert len(server.upstream.failures) == 2
            assert [record["status"] for record in await server.records()] == [502, 200]

    asyncio.run(main())


def test_an_answer_is_passed_back_even_if_no_record_of_it_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_arguments: Any) -> None:
        raise StorageUnavailable("The database is busy.")

    async def main() -> None:
        async with in_front(tmp_path) as (server, wallet, _house):
            monkeypatch.setattr(store, "add_record", busy)
            answer = await server.forward(await wallet.sealed(), **wallet.credential_headers())
            assert len(wallet.open(answer)) == 1
            assert "record_lost" in server.log.getvalue()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (wallet_server_service.Unreachable("fetch_failed", "Broke off."), 502, "issuer_unreachable"),
        (wallet_server_service.TooSlow("fetch_timeout", "Too slow."), 504, "issuer_timeout"),
        (wallet_server_service.Rejected("fetch_redirect", "A redirect."), 502, "issuer_unreachable"),
        (wallet_server_service.Rejected("fetch_too_large", "Too large."), 502, "issuer_unreachable"),
    ],
)
def test_what_may_have_been_sent_is_not_sent_again(
    tmp_path: Path, failure: Exception, status: int, code: str
) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house, between(house.fetcher, house.clock) as server:
            await server.begin()
            server.upstream.failures = [failure]
            answer = await server.forward()
            assert (answer.status, answer.json()["code"]) == (status, code)
            assert [method for method, *_ in server.upstream.seen] == ["GET", "POST"]

    asyncio.run(main())


def test_the_endpoint_comes_from_the_issuers_own_metadata(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            settings = {"issuers": (ISSUER, "https://absent.example")}
            async with between(house.fetcher, house.clock, **settings) as server:
                answer = await server.fetcher.request("POST", f"{SERVER}/sessions", content=b"{}")
                server.session = answer.json()["session"]
                answer = await server.forward(Safeconduct_Issuer="https://absent.example")
                assert (answer.status, answer.json()["code"]) == (502, "issuer_metadata")
                await server.forward()
                await server.forward()
                gets = [url for method, url, *_ in server.upstream.seen if method == "GET"]
                assert gets.count(f"{ISSUER}/.well-known/openid-credential-issuer") == 1
                house.clock.now += 301
                await server.forward()
                gets = [url for method, url, *_ in server.upstream.seen if method == "GET"]
                assert gets.count(f"{ISSUER}/.well-known/openid-credential-issuer") == 2

    asyncio.run(main())


def test_the_migrated_tables_are_the_declared_ones() -> None:
    async def main() -> None:
        async with await Database.open("sqlite://", branch=WALLET_SERVER) as database:
            assert await database.run(differences, metadata, prefix="wallet_server_") == []

    asyncio.run(main())
