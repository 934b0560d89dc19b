"""From issuing to a verifier's verdict over real hosts: the status service and nginx serve one tree.

A verifier's copy comes out the same from either, by every way; and the ways are those that were meant.
"""

import asyncio
import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest
from tests.flows.card_stage import CARDS, Stage, card_stage
from tests.services.live import live_status
from tests.services.static import has_nginx, live_nginx

from safeconduct import limits
from safeconduct.evidence.card_store import CardStore
from safeconduct.evidence.sync import SyncReport, SyncRules, sync
from safeconduct.formats import health_card
from safeconduct.net.fetch import HttpFetcher, Response
from safeconduct.settings import KeyPlace

HOSTS = ("service", "nginx")
ROUNDS = 20


class Towards:
    """A fetcher that reaches the host of a test under the name of the issuer."""

    def __init__(self, host: str, fetcher: HttpFetcher) -> None:
        self._host = host
        self._fetcher = fetcher

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
        target = url.replace(CARDS, self._host)
        return await self._fetcher.request(
            method, target, headers=headers, content=content, max_bytes=max_bytes, content_types=content_types
        )

    async def get_json(self, url: str, **named: object) -> dict[str, object]:
        raise NotImplementedError

    async def close(self) -> None:
        await self._fetcher.close()


@contextlib.contextmanager
def hosts(folder: Path) -> Iterator[dict[str, str]]:
    """URLs of hosts of one tree."""
    if not has_nginx():
        if os.environ.get("CI") == "true":
            pytest.fail("CI=true, but no nginx is installed (scripts/nginx.sh)", pytrace=False)
        pytest.skip("no nginx is installed (scripts/nginx.sh)")
    (folder / "tree").mkdir()
    (folder / "nginx").mkdir()
    with live_status(folder) as site, live_nginx(folder / "nginx", folder / "tree") as url:
        yield {"service": site.public, "nginx": url}
        assert site.failures == []


class Verifier:
    """A verifier with a copy of its own."""

    def __init__(self, host: str, folder: Path, rules: SyncRules, stage: Stage) -> None:
        self.folder = folder
        self.stage = stage
        self._rules = rules
        self._fetcher = Towards(host, HttpFetcher(allow_loopback=True))

    async def sync(self) -> SyncReport:
        clock = self.stage.house.clock
        return await sync([CARDS], folder=self.folder, fetcher=self._fetcher, clock=clock, rules=self._rules)

    def verdict(self, jws: str) -> str:
        store = CardStore.open(self.folder)
        return health_card.judge(jws, trust=store, status=store, now=self.stage.house.clock.now).verdict

    async def close(self) -> None:
        await self._fetcher.close()


WAYS = {
    "full": SyncRules(ways=frozenset()),
    "delta": SyncRules(ways=frozenset({"delta"})),
    "log": SyncRules(ways=frozenset({"log"})),
    "any": SyncRules(),
}


@pytest.mark.parametrize("way", WAYS)
def test_both_hosts_lead_to_the_same_copy(tmp_path: Path, way: str) -> None:
    with hosts(tmp_path) as urls:
        asyncio.run(_rounds(tmp_path, urls, way))


async def _rounds(folder: Path, urls: Mapping[str, str], way: str) -> None:
    async with card_stage(folder) as stage:
        verifiers = [Verifier(urls[name], folder / name, WAYS[way], stage) for name in HOSTS]
        try:
            cards = [(await stage.make(subject=f"subject {number}"))["jws"] for number in range(ROUNDS)]
            used: set[str] = set()
            for number in range(ROUNDS):
                if number % 3 != 2:  # now and then nothing happens
                    await stage.revoke(f"subject {number}")
                await stage.publish()
                stage.house.clock.now += 60
                used |= await _one_round(verifiers, cards)
                assert [verifiers[0].verdict(card) for card in cards] == _expected(number)
            # What was not to be used was not, and what was to be used came to pass.
            cheap = used - {"kept", "unchanged", "full"}
            assert cheap <= WAYS[way].ways
            assert cheap or way == "full"
        finally:
            for verifier in verifiers:
                await verifier.close()


async def _one_round(verifiers: list[Verifier], cards: list[str]) -> set[str]:
    reports = [await verifier.sync() for verifier in verifiers]
    for report in reports:
        assert report.faults == ()
        assert all(outcome.detours == () for outcome in report.outcomes)
    seen = [[(outcome.kid, outcome.way, outcome.ctr) for outcome in report.outcomes] for report in reports]
    assert seen[0] == seen[1]
    verdicts = [[verifier.verdict(card) for card in cards] for verifier in verifiers]
    assert verdicts[0] == verdicts[1]
    return {outcome.way for outcome in reports[0].outcomes}


def _expected(last: int) -> list[str]:
    return ["revoked" if number <= last and number % 3 != 2 else "valid" for number in range(ROUNDS)]


def test_who_is_up_to_date_gets_nothing_but_that(tmp_path: Path) -> None:
    async def scene(urls: Mapping[str, str]) -> None:
        async with card_stage(tmp_path) as stage:
            await stage.make()
            await stage.publish()
            for name in HOSTS:
                verifier = Verifier(urls[name], tmp_path / name, SyncRules(refresh=0), stage)
                await verifier.sync()
                stage.house.clock.now += 1
                again = await verifier.sync()
                assert {outcome.way for outcome in again.outcomes} <= {"kept", "unchanged"}
                assert again.received < 1000, again  # at most a signed head
                await verifier.close()

    with hosts(tmp_path) as urls:
        asyncio.run(scene(urls))


def test_the_service_publishes_what_the_issuer_did(tmp_path: Path) -> None:
    """Without a publisher beside it: from the issuer's database to the verdict."""

    async def scene() -> None:
        async with card_stage(tmp_path) as stage:
            made = (await stage.make())["jws"]
            issuer = stage.house.settings
            status = {"identifier": CARDS, "key": KeyPlace(tmp_path / "status.pem"), "refresh": 1}
            with live_status(tmp_path, issuer=issuer, **status) as site:
                verifier = Verifier(site.public, tmp_path / "copy", SyncRules(), stage)
                await verifier.sync()
                assert verifier.verdict(made) == "valid"
                await stage.revoke("Patient-number-of-the-holder")
                while verifier.verdict(made) != "revoked":
                    await asyncio.sleep(0.2)
                    await verifier.sync()
                await verifier.close()
                assert site.failures == []

    asyncio.run(asyncio.wait_for(scene(), 60))
