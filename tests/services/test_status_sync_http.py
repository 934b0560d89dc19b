"""What the publisher writes and a host serves is what a verifier's copy takes: on every way, over sockets."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.services.live import live_status
from tests.services.publishing_stage import CARD_ISSUER, NOW, Stage
from tests.services.static import has_nginx, live_nginx

from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import json
from safeconduct.evidence import card_sets
from safeconduct.evidence.card_store import CardStore
from safeconduct.evidence.sync import SyncReport, SyncRules, sync
from safeconduct.net.fetch import HttpFetcher, Response

WAYS = {
    "full": SyncRules(ways=frozenset(), refresh=0),
    "delta": SyncRules(ways=frozenset(("delta",)), refresh=0),
    "log": SyncRules(ways=frozenset(("log",)), refresh=0),
}


class Elsewhere(HttpFetcher):
    """Finds the issuer's host at an address of this machine."""

    def __init__(self, address: str) -> None:
        super().__init__(allow_loopback=True)
        self._address = address

    async def request(self, method: str, url: str, **options: Any) -> Response:
        return await super().request(method, url.replace(CARD_ISSUER, self._address), **options)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    opened = asyncio.run(Stage.open(tmp_path, f"sqlite:///{tmp_path}/issuer.db"))
    asyncio.run(opened.publish())
    yield opened
    opened.close()


@pytest.fixture(params=["service", "nginx"])
def address(request: pytest.FixtureRequest, tmp_path: Path, stage: Stage) -> Iterator[str]:
    """The URL of a host of the stage's tree."""
    if request.param == "service":
        with live_status(tmp_path) as site:
            yield site.public
    elif has_nginx():
        with live_nginx(tmp_path, stage.tree) as url:
            yield url
    elif os.environ.get("CI") == "true":
        pytest.fail("CI=true, but no nginx is installed (scripts/nginx.sh)", pytrace=False)
    else:
        pytest.skip("no nginx is installed (scripts/nginx.sh)")


def test_what_is_published_is_what_is_held(address: str, stage: Stage, tmp_path: Path) -> None:
    (pinned,) = json.loads_object((stage.tree / "status-keys.json").read_bytes())["keys"]
    key = PublicKey.from_jwk(pinned)
    folders = {way: tmp_path / f"store-{way}" for way in WAYS}

    async def fetched(rules: SyncRules, folder: Path) -> SyncReport:
        async with Elsewhere(address) as fetcher:
            return await sync([CARD_ISSUER], folder=folder, fetcher=fetcher, clock=lambda: NOW, rules=rules)

    async def rounds() -> Mapping[str, list[str]]:
        taken: dict[str, list[str]] = {way: [] for way in WAYS}
        for number, rids in enumerate((tuple(f"r{n}" for n in range(400)), ("a",), ("b", "c"), (), ("d",))):
            await stage.revoke(*rids, before=None if number % 2 else NOW)
            if number == 3:
                await stage.register.reinstate_rid("a", kid=stage.kid)
            await stage.publish()
            for way, rules in WAYS.items():
                with_key = SyncRules(ways=rules.ways, refresh=0, status_keys=(key,))
                report = await fetched(with_key, folders[way])
                assert report.faults == ()
                taken[way] += [one.way for one in report.outcomes if one.kid is not None]
                held = CardStore.open(folders[way]).entries(CARD_ISSUER, stage.kid)
                assert held == card_sets.of_list(stage.listed().entries)
        return taken

    assert asyncio.run(rounds()) == {
        "full": ["full"] * 5,
        "delta": ["full"] + ["delta"] * 4,
        "log": ["log"] * 5,
    }


def test_an_unchanged_tree_costs_no_bodies(address: str, stage: Stage, tmp_path: Path) -> None:
    async def twice() -> tuple[SyncReport, SyncReport]:
        async with Elsewhere(address) as fetcher:
            first, second = [
                await sync(
                    [CARD_ISSUER],
                    folder=tmp_path / "store",
                    fetcher=fetcher,
                    clock=lambda: NOW,
                    rules=WAYS["full"],
                )
                for _ in range(2)
            ]
            return first, second

    first, second = asyncio.run(twice())
    assert first.received > 0
    assert second.received == 0
    assert {one.way for one in second.outcomes} == {"unchanged"}
