"""The wallet server's atomic functions with two hands on one database, of either kind."""

import asyncio
import hashlib
from pathlib import Path

import msgspec
import pytest

from safeconduct.services.wallet_server import store
from safeconduct.services.wallet_server.outcomes import Answer
from safeconduct.services.wallet_server.tables import metadata
from safeconduct.storage import Database
from safeconduct.storage.migrations import WALLET_SERVER, differences

NOW = 1_800_000_000
OWNER = b"o" * 32
ISSUER = "https://issuer.example"
ROOM = store.Room(100, 1_000_000)
ANSWER = Answer(200, {"content-type": "application/jwt"}, b"sealed", sealed=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/service.db"
    return str(request.getfixturevalue("postgres_url"))


def _new(name: str, owner: bytes = OWNER) -> store.NewDelivery:
    request = hashlib.sha256(name.encode()).digest()
    return store.NewDelivery(id=name, owner=owner, request=request, issuer=ISSUER, expires_at=NOW + 600)


def test_of_equal_requests_one_is_forwarded_however_many_hands_reach_for_it(url: str) -> None:
    async def main() -> None:
        async with (
            await Database.open(url, branch=WALLET_SERVER) as first,
            await Database.open(url, branch=WALLET_SERVER) as second,
        ):
            for number in range(10):
                claims = await asyncio.gather(
                    *[
                        database.run(store.claim_delivery, _new(f"d{number}"), room=ROOM, now=NOW)
                        for database in (first, second) * 3
                    ]
                )
                assert [claim is None for claim in claims].count(True) == 1
                assert {claim.state for claim in claims if claim is not None} == {"pending"}

    asyncio.run(main())


def test_a_delivery_lives_on_either_kind(url: str) -> None:
    async def main() -> None:
        async with await Database.open(url, branch=WALLET_SERVER) as database:
            await database.run(store.claim_delivery, _new("d"), room=ROOM, now=NOW)
            await database.run(store.finish_delivery, "d", ANSWER, now=NOW, lifetime=60, handed_out=False)
            assert not await database.run(
                store.finish_delivery, "d", "outcome_unknown", now=NOW, lifetime=60, handed_out=False
            )
            found = await database.run(store.read_delivery, "d", OWNER, now=NOW, grace=5)
            assert (found.state, found.answer) == ("ready", ANSWER)
            with pytest.raises(store.DeliveryUnknown):
                await database.run(store.read_delivery, "d", OWNER, now=NOW + 5, grace=5)
            with pytest.raises(store.DeliveryUnknown):
                await database.run(store.read_delivery, "d", b"x" * 32, now=NOW, grace=5)
            await database.run(store.claim_delivery, _new("e"), room=ROOM, now=NOW)
            await database.run(store.finish_delivery, "e", ANSWER, now=NOW, lifetime=60, handed_out=False)
            swept = await database.run(
                store.sweep, now=NOW + 60, stale_before=NOW, outcomes_since=NOW, keep=60
            )
            assert swept == store.Swept([(ISSUER, 1)], 0, 0)
            with pytest.raises(store.DeliveryGone):
                await database.run(store.claim_delivery, _new("e"), room=ROOM, now=NOW + 60)
            await database.run(store.end_session, OWNER, expires_at=NOW + 90, remember=True)
            with pytest.raises(store.SessionUnknown):
                await database.run(store.claim_delivery, _new("e"), room=ROOM, now=NOW + 60)

    asyncio.run(main())


def test_a_session_s_room_is_the_same_for_all_hands(url: str) -> None:
    async def main() -> None:
        async with (
            await Database.open(url, branch=WALLET_SERVER) as first,
            await Database.open(url, branch=WALLET_SERVER) as second,
        ):
            claims = await asyncio.gather(
                *[
                    database.run(
                        store.claim_delivery, _new(f"{number}-{hand}"), room=store.Room(3, 1000), now=NOW
                    )
                    for number in range(4)
                    for hand, database in enumerate((first, second))
                ],
                return_exceptions=True,
            )
            assert [claim for claim in claims if claim is None] == [None] * 3
            assert all(isinstance(claim, store.SessionFull) for claim in claims if claim is not None)

    asyncio.run(main())


@pytest.mark.postgres
def test_sessions_do_not_get_into_each_others_way(postgres_url: str) -> None:
    async def main() -> None:
        async with (
            await Database.open(postgres_url, branch=WALLET_SERVER) as first,
            await Database.open(postgres_url, branch=WALLET_SERVER) as second,
        ):
            for database in (first, second):  # so that a lost race is an error at once
                database._backend = msgspec.structs.replace(database._backend, attempts=1)

            async def wallet(number: int) -> None:
                database, owner, name = (first, second)[number % 2], b"%32d" % number, f"d{number}"
                await database.run(store.claim_delivery, _new(name, owner), room=ROOM, now=NOW)
                await database.run(store.finish_delivery, name, ANSWER, now=NOW, lifetime=60, handed_out=True)
                await database.run(store.read_delivery, name, owner, now=NOW, grace=5)
                await database.run(store.end_session, owner, expires_at=NOW + 90, remember=True)

            await asyncio.gather(*[wallet(number) for number in range(60)])

    asyncio.run(main())


def test_a_wake_up_is_handed_out_and_pushed_once_however_many_hands_reach_for_it(url: str) -> None:
    async def main() -> None:
        async with (
            await Database.open(url, branch=WALLET_SERVER) as first,
            await Database.open(url, branch=WALLET_SERVER) as second,
        ):
            hands = (first, second, first, second)
            for number in range(5):
                await first.run(
                    store.put_wakeup, OWNER, ISSUER, due_at=NOW + number, expires_at=NOW + 900, handle="h"
                )
                pushed = await asyncio.gather(
                    *[
                        hand.run(store.take_pushes, now=NOW + number, again_after=(60,), most=10)
                        for hand in hands
                    ]
                )
                assert [push for pushes in pushed for push in pushes] == [store.Push(OWNER, ISSUER, "h")]
                taken = await asyncio.gather(
                    *[hand.run(store.take_wakeups, OWNER, now=NOW + number) for hand in hands]
                )
                assert sorted(taken) == [([], None)] * 3 + [([ISSUER], None)]

    asyncio.run(main())


def test_counts_of_all_hands_add_up(url: str) -> None:
    async def main() -> None:
        async with (
            await Database.open(url, branch=WALLET_SERVER) as first,
            await Database.open(url, branch=WALLET_SERVER) as second,
        ):
            counts = {(ISSUER, NOW, "outcome", "delivered"): 2, (ISSUER, NOW, "error", "none"): 1}
            await asyncio.gather(*[hand.run(store.add_outcomes, counts) for hand in (first, second) * 3])
            rows = await first.run(store.sum_outcomes, since=NOW, before=NOW + 1)
            assert rows == [(ISSUER, "error", "none", 6), (ISSUER, "outcome", "delivered", 12)]
            assert await first.run(store.sum_outcomes, since=NOW + 1, before=NOW + 2) == []

    asyncio.run(main())


def test_all_processes_have_the_same_keys(url: str) -> None:
    async def main() -> None:
        async with (
            await Database.open(url, branch=WALLET_SERVER) as first,
            await Database.open(url, branch=WALLET_SERVER) as second,
        ):
            made = await asyncio.gather(
                *[
                    hand.run(
                        store.refresh_keys,
                        (1, 2),
                        lambda epoch, n=n: (bytes([n, epoch]), NOW + epoch),
                        now=NOW,
                    )
                    for n, hand in enumerate((first, second) * 2)
                ]
            )
            assert all(keys == made[0] for keys in made)
            later = await second.run(
                store.refresh_keys, (2, 3), lambda epoch: (b"x", NOW + epoch), now=NOW + 1
            )
            assert later.keys() == {2, 3}

    asyncio.run(main())


def test_the_migrated_tables_are_the_declared_ones(url: str) -> None:
    async def main() -> None:
        async with await Database.open(url, branch=WALLET_SERVER) as database:
            assert await database.run(differences, metadata, prefix="wallet_server_") == []

    asyncio.run(main())
