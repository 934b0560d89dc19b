"""What the issuer knew of people is in no page of its database file once its time is over."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from tests.flows.small_wallet import NOW, House, SmallWallet, issuer_house

from safeconduct.services.issuer import housekeeping, opening
from safeconduct.services.issuer.housekeeping import EVENT_MEMORY, GRANT_MEMORY
from safeconduct.services.issuer.tables import events, links
from safeconduct.services.issuer.webhooks import PAUSES
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER

NAME, CASE, SUBJECT = "Name-of-the-holder", "Case-number-of-the-holder", "Account-of-the-holder"
RETENTION = 5 * 86400


class Watched:
    """An issuer whose database file and housekeeping are in the test's hands."""

    def __init__(self, house: House, folder: Path, keeping: list[opening.Housekeeping]) -> None:
        self.house = house
        self.folder = folder
        self.keeping = keeping

    def holds(self, text: str) -> bool:
        return any(text.encode() in page.read_bytes() for page in self.folder.glob("issuer.db*"))

    async def sweep_after(self, seconds: int) -> None:
        self.house.clock.now += seconds
        await self.keeping[0].sweep()

    async def offer(self, **members: Any) -> SmallWallet:
        claims = {"given_name": NAME, "family_name": "M"}
        offer = await self.house.offer(claims=claims, reference=CASE, subject=SUBJECT, **members)
        wallet = self.house.wallet()
        await wallet.take_token(offer["offer_uri"])
        return wallet


@pytest.fixture
def watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    keeping: list[opening.Housekeeping] = []

    class Caught(opening.Housekeeping):
        def __init__(self, *tenants: Any, **arguments: Any) -> None:
            super().__init__(*tenants, **arguments)
            keeping.append(self)

    monkeypatch.setattr(opening, "Housekeeping", Caught)

    def play(scene: Callable[[Watched], Awaitable[None]], **settings: Any) -> None:
        async def main() -> None:
            url = f"sqlite:///{tmp_path}/issuer.db"
            async with issuer_house(tmp_path, database=url, issued_retention=RETENTION, **settings) as house:
                await scene(Watched(house, tmp_path, keeping))

        asyncio.run(main())

    return play


def test_an_issued_credential_leaves_its_case_for_the_time_set_and_then_nothing(
    watching: Callable[..., None],
) -> None:
    async def scene(watched: Watched) -> None:
        wallet = await watched.offer()
        assert watched.holds(NAME)
        assert (await wallet.ask()).status == 200
        await watched.sweep_after(86400)
        assert not watched.holds(NAME)
        assert not watched.holds(SUBJECT)
        await watched.sweep_after(GRANT_MEMORY)
        assert (await watched.house.manage("GET", f"/issued?reference={CASE}")).json()["issued"]
        assert watched.holds(CASE)
        await watched.sweep_after(RETENTION)
        assert (await watched.house.manage("GET", "/issued")).json()["issued"] == []
        assert not watched.holds(CASE)

    watching(scene)


def test_a_deferred_issuance_that_nobody_decides_ends_with_its_time(watching: Callable[..., None]) -> None:
    async def scene(watched: Watched) -> None:
        wallet = await watched.offer(deferred=True)
        assert (await wallet.ask()).status == 202
        await watched.sweep_after(1000)
        assert watched.holds(NAME)
        holder = wallet.holder.public.to_jwk()["x"]
        assert watched.holds(holder)
        await watched.sweep_after(watched.house.settings.deferred_lifetime)
        assert not watched.holds(holder)
        await watched.sweep_after(GRANT_MEMORY)
        for text in (NAME, SUBJECT, CASE):
            assert not watched.holds(text), text

    watching(scene)


def test_login_links_and_unsent_events_go_with_their_time(
    watching: Callable[..., None], tmp_path: Path
) -> None:
    async def scene(watched: Watched) -> None:
        link = {"digest": b"d", "tenant": "", "subject": SUBJECT, "expires_at": NOW + 100}
        event = {
            "id": "e",
            "tenant": "https://gone.example",
            "kind": "issued",
            "body": CASE.encode(),
            "attempts": 0,
            "next_at": NOW,
            "created_at": NOW,
        }
        async with await Database.open(f"sqlite:///{tmp_path}/issuer.db", branch=ISSUER) as database:
            await database.run(lambda connection: connection.execute(insert(links), [link]))
            await database.run(lambda connection: connection.execute(insert(events), [event]))
            assert watched.holds(SUBJECT)
            await watched.sweep_after(100)
            left = await database.run(lambda connection: connection.execute(select(events.c.id)).all())
            assert len(left) == 1
        await watched.sweep_after(EVENT_MEMORY)
        assert not watched.holds(SUBJECT)
        assert not watched.holds(CASE)

    watching(scene)


def test_events_outlive_the_attempts_to_send_them() -> None:
    assert sum(PAUSES) < EVENT_MEMORY


def test_the_search_finds_what_a_careless_issuer_leaves(
    watching: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def careless(_database: Database) -> None:
        """Leave SQLite's log as it is."""

    monkeypatch.setattr(housekeeping, "erase_traces", careless)

    async def scene(watched: Watched) -> None:
        wallet = await watched.offer()
        assert (await wallet.ask()).status == 200
        await watched.sweep_after(30 * 86400)
        assert watched.holds(NAME)
        assert watched.holds(CASE)

    watching(scene)
