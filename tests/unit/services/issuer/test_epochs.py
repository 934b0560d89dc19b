"""Keys for requests made on demand: known everywhere before they are published, and old ones soon gone."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from safeconduct.services.issuer.epochs import CURVES, RING_SECONDS, Epochs
from safeconduct.services.issuer.tables import keys
from safeconduct.settings import IssuerSettings
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER

EPOCH = 86400
START = 20_000 * EPOCH
URL = "https://issuer.example"
SETTINGS = IssuerSettings(identifier=URL)


def played(scene: Callable[[Database], Awaitable[None]], tmp_path: Path) -> None:
    async def main() -> None:
        async with await Database.open(f"sqlite:///{tmp_path}/issuer.db", branch=ISSUER) as database:
            await scene(database)

    asyncio.run(main())


async def kids(epochs: Epochs, now: int) -> set[str | None]:
    published = (await epochs.ring(now)).published(now)
    assert [key.curve for key in published] == list(CURVES)
    return {key.kid for key in published}


async def secrets(database: Database) -> set[str]:
    return set(await database.run(lambda connection: connection.scalars(select(keys.c.kid)).all()))


def test_fresh_keys_are_known_everywhere_before_they_are_published(tmp_path: Path) -> None:
    async def scene(database: Database) -> None:
        here, there = Epochs(database, SETTINGS), Epochs(database, SETTINGS)
        now = START + 1000
        old = await kids(here, now)
        assert await kids(there, now) == old
        rotation = await here.rotate_now(now)
        assert now + 2 * RING_SECONDS == rotation.published_at
        assert await kids(here, now) == old
        ring = await there.ring(now + RING_SECONDS)
        fresh = await kids(here, rotation.published_at)
        assert fresh.isdisjoint(old)
        assert fresh <= ring.private(now + RING_SECONDS).keys()
        assert await kids(there, rotation.published_at) == fresh
        assert old <= (await there.ring(rotation.published_at)).private(rotation.published_at).keys()

    played(scene, tmp_path)


def test_old_keys_are_gone_as_soon_as_nobody_may_use_them(tmp_path: Path) -> None:
    async def scene(database: Database) -> None:
        epochs = Epochs(database, SETTINGS)
        now = START + 1000
        old = await kids(epochs, now)
        rotation = await epochs.rotate_now(now)
        expected = rotation.published_at + SETTINGS.metadata_lifetime + SETTINGS.clock_skew
        assert rotation.destroyed_at == expected
        await epochs.renew(rotation.destroyed_at - 1)
        assert old <= await secrets(database)
        await epochs.renew(rotation.destroyed_at)
        assert old.isdisjoint(await secrets(database))

    played(scene, tmp_path)


def test_the_next_epoch_begins_with_keys_that_were_made_after_the_rotation(tmp_path: Path) -> None:
    async def scene(database: Database) -> None:
        epochs = Epochs(database, SETTINGS)
        now = START + 1000
        await epochs.ring(now)
        known = await secrets(database)
        rotation = await epochs.rotate_now(now)
        on_demand = await kids(epochs, rotation.published_at)
        assert await kids(epochs, START + EPOCH - 1) == on_demand
        following = await kids(epochs, START + EPOCH)
        assert following.isdisjoint(known | on_demand)

    played(scene, tmp_path)


@pytest.mark.parametrize("before", [1, 30, 69])
def test_close_to_an_epoch_the_fresh_keys_follow_those_of_the_epoch(tmp_path: Path, before: int) -> None:
    async def scene(database: Database) -> None:
        epochs = Epochs(database, SETTINGS)
        now = START + EPOCH - before
        await epochs.ring(now)
        known = await secrets(database)
        rotation = await epochs.rotate_now(now)
        assert rotation.published_at > START + EPOCH
        assert (await kids(epochs, rotation.published_at)).isdisjoint(known)
        assert (await kids(epochs, START + 2 * EPOCH - 1)).isdisjoint(known)

    played(scene, tmp_path)


def test_rotations_at_once_and_after_each_other_leave_one_key_of_each_curve(tmp_path: Path) -> None:
    async def scene(database: Database) -> None:
        epochs, other = Epochs(database, SETTINGS), Epochs(database, IssuerSettings(identifier=f"{URL}/b"))
        now = START + 1000
        untouched = await kids(other, now)
        first, again = await epochs.rotate_now(now), await epochs.rotate_now(now)
        assert first == again
        later = await epochs.rotate_now(now + 20)
        assert len(await kids(epochs, later.published_at)) == len(CURVES)
        assert await kids(other, later.published_at) == untouched

    played(scene, tmp_path)
