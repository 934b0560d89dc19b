"""Issuers over real sockets: two processes on one database of either kind, and kill -9 in the middle."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.flows.small_wallet import CLAIMS, SmallWallet
from tests.services.issuer_process import ADMIN_TOKEN

from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import HttpFetcher, Response
from safeconduct.web.serve import free_port

PROGRAM = Path(__file__).parent / "issuer_process.py"
START_SECONDS = 30


@dataclass
class Process:
    """A running issuer process."""

    child: subprocess.Popen[str]
    public: str
    admin: str


@contextlib.contextmanager
def issuer_process(folder: Path, identifier: str, database: str, *deaths: str) -> Iterator[Process]:
    port = str(free_port())
    command = [sys.executable, str(PROGRAM), port, identifier, database, str(folder / "key.pem"), *deaths]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        lines = dict(child.stdout.readline().strip().split(": ", 1) for _ in range(2))
        yield Process(child, lines["issuer"], lines["issuer-admin"])
    finally:
        child.terminate()
        child.communicate(timeout=START_SECONDS)


class Spread:
    """A fetcher that sends what is for the identifier to several processes in turn."""

    def __init__(self, identifier: str, processes: list[Process], inner: HttpFetcher) -> None:
        self.identifier = identifier
        self.processes = processes
        self.inner = inner
        self.turn = 0

    async def request(self, method: str, url: str, **arguments: Any) -> Response:
        self.turn += 1
        process = self.processes[self.turn % len(self.processes)]
        return await self.inner.request(method, url.replace(self.identifier, process.public, 1), **arguments)

    async def get_json(
        self, url: str, *, headers: Mapping[str, str] | None = None, max_bytes: int = 0
    ) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class Cluster:
    """Processes behind one identifier."""

    fetcher: Spread
    identifier: str

    async def manage(self, method: str, path: str, body: Any = None) -> Response:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        url = self.fetcher.processes[0].admin + path
        return await self.fetcher.inner.request(method, url, headers=headers, content=content)

    async def offer(self, **members: Any) -> dict[str, Any]:
        answer = await self.manage(
            "POST", "/offers", {"configuration_id": "identity", "claims": dict(CLAIMS), **members}
        )
        assert answer.status == 201, answer.body
        return answer.json()

    async def state(self, offer: Mapping[str, Any]) -> str:
        return str((await self.manage("GET", f"/offers/{offer['offer_id']}")).json()["state"])

    def wallet(self) -> SmallWallet:
        return SmallWallet(self.fetcher, lambda: int(time.time()), issuer=self.identifier)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def cluster(*processes: Process, identifier: str) -> AsyncIterator[Cluster]:
    async with HttpFetcher(allow_loopback=True) as inner:
        yield Cluster(Spread(identifier, list(processes), inner), identifier)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/issuer.db"
    return str(request.getfixturevalue("postgres_url"))


IDENTIFIER = "http://127.0.0.1:9"


def test_two_processes_are_one_issuer(tmp_path: Path, database: str) -> None:
    async def line(site: Cluster) -> None:
        """Each request goes to the other process than the one before: keys and nonces are shared."""
        offer = await site.offer(tx_code=True)
        wallet = site.wallet()
        await wallet.take_token(offer["offer_uri"], tx_code=offer["tx_code"])
        answer = await wallet.ask()
        assert len(wallet.open(answer)) == 1
        assert answer.headers["date"]
        assert await site.state(offer) == "issued"

    async def attempts(site: Cluster) -> None:
        """Wrong transaction codes at once, to both: no more of them are judged than the limit."""
        offer = await site.offer(tx_code=True)
        wallet = site.wallet()
        await wallet.nonces()
        tries = [wallet.redeem(offer["offer_uri"], tx_code="wrong!") for _ in range(9)]
        answers = await asyncio.gather(*tries)
        reasons = [answer.json()["error_description"] for answer in answers]
        assert reasons.count("The transaction code is wrong.") == 5
        assert await site.state(offer) == "locked"
        answer = await wallet.redeem(offer["offer_uri"], tx_code=offer["tx_code"])
        assert answer.json()["error"] == "invalid_grant"

    async def redemptions(site: Cluster) -> None:
        """One code at once, to both: one token."""
        offer = await site.offer()
        wallets = [site.wallet() for _ in range(6)]
        for wallet in wallets:
            await wallet.nonces()
        answers = await asyncio.gather(*[wallet.redeem(offer["offer_uri"]) for wallet in wallets])
        assert sorted(answer.status for answer in answers) == [200] + [400] * 5

    async def deliveries(site: Cluster) -> None:
        """One identifier at once, to both: as many credentials as it is good for, and no more."""
        wallet = site.wallet()
        await wallet.take_token((await site.offer())["offer_uri"])
        bodies = [await wallet.sealed(holders=[Key.generate("ES256") for _ in range(3)]) for _ in range(6)]
        answers = await asyncio.gather(*[wallet.send(body) for body in bodies])
        assert sorted(answer.status for answer in answers) == [200] * 3 + [400] * 3

    async def repeats(site: Cluster) -> None:
        """One request for the same keys at once, to both: each is answered, and it is one issuance."""
        wallet = site.wallet()
        await wallet.take_token((await site.offer(reference="repeats"))["offer_uri"])
        bodies = [await wallet.sealed() for _ in range(6)]
        answers = await asyncio.gather(*[wallet.send(body) for body in bodies])
        assert [answer.status for answer in answers] == [200] * 6
        issued = (await site.manage("GET", "/issued?reference=repeats")).json()["issued"]
        assert [entry["count"] for entry in issued] == [1]

    async def replays(site: Cluster) -> None:
        """One DPoP proof at once, to both: one is taken."""
        wallet = site.wallet()
        await wallet.take_token((await site.offer())["offer_uri"])
        body, headers = await wallet.sealed(credential_identifier="x"), wallet.credential_headers()
        answers = await asyncio.gather(*[wallet.send(body, **headers) for _ in range(6)])
        assert sorted(answer.status for answer in answers) == [400] + [401] * 5

    async def main() -> None:
        with (
            issuer_process(tmp_path, IDENTIFIER, database) as first,
            issuer_process(tmp_path, IDENTIFIER, database) as second,
        ):
            async with cluster(first, second, identifier=IDENTIFIER) as site:
                for story in (line, attempts, redemptions, deliveries, repeats, replays):
                    await story(site)

    asyncio.run(main())


def test_a_killed_process_leaves_nothing_half_done(tmp_path: Path, database: str) -> None:
    async def death(survivor: Process, where: str, state: str) -> None:
        async with cluster(survivor, identifier=IDENTIFIER) as site:
            offer = await site.offer(reference=where)
            wallet = site.wallet()
            await wallet.nonces()
            if where != "while redeeming":
                await wallet.take_token(offer["offer_uri"])
            await _meet_death(wallet, offer, where)
            assert await site.state(offer) == state
            wallet.fetcher = site.fetcher
            if state == "pending":
                await wallet.take_token(offer["offer_uri"])
            # Even one that was delivered may be asked for again: its answer died with the process.
            assert len(wallet.open(await wallet.ask())) == 1
            assert await site.state(offer) == "issued"
            issued = (await site.manage("GET", f"/issued?reference={quote(where)}")).json()["issued"]
            assert [entry["count"] for entry in issued] == [1]

    async def _meet_death(wallet: SmallWallet, offer: Mapping[str, Any], where: str) -> None:
        with issuer_process(tmp_path, IDENTIFIER, database, where) as doomed:
            async with cluster(doomed, identifier=IDENTIFIER) as site:
                wallet.fetcher = site.fetcher
                with pytest.raises(SafeconductError) as error:
                    await (wallet.ask() if wallet.access_token else wallet.take_token(offer["offer_uri"]))
                assert error.value.code == "fetch_failed"
                assert doomed.child.wait() == -9

    async def main() -> None:
        with issuer_process(tmp_path, IDENTIFIER, database) as survivor:
            await death(survivor, "while redeeming", "pending")
            await death(survivor, "before delivery", "redeemed")
            await death(survivor, "while delivering", "redeemed")
            await death(survivor, "after delivery", "issued")

    asyncio.run(main())
