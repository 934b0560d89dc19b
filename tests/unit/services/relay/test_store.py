"""The relay's table on both databases, and that no statement looks at more rows than it must."""

import asyncio
import secrets
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from safeconduct import limits
from safeconduct.protocols.transfer import mailbox as life
from safeconduct.protocols.transfer.mailbox import AlreadyClaimed, MailboxUnknown, Write
from safeconduct.services.relay import store
from safeconduct.services.relay.service import Relay
from safeconduct.services.relay.tables import mailboxes, metadata
from safeconduct.settings import DatabaseUrl, RelaySettings
from safeconduct.storage import Database, StorageUnavailable
from safeconduct.storage.migrations import RELAY, differences
from safeconduct.storage.prepared import Prepared
from safeconduct.web.quota import TooMuchOpen

NOW = 1_800_000_000
Work = Callable[[Database], Awaitable[None]]

on_both = pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])


@pytest.fixture
def url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database of each kind."""
    if kind == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/relay.db"


def play(url: str, work: Work) -> None:
    """Let a test work on the tables."""

    async def main() -> None:
        async with await Database.open(url, branch=RELAY) as database:
            await work(database)

    asyncio.run(main())


def new(*, expires_at: int = NOW + 600, claim: bytes = b"s" * 32, rights: int = 7) -> store.NewMailbox:
    """A mailbox that is like no other."""
    return store.NewMailbox(
        id=secrets.token_bytes(16),
        creation=secrets.token_bytes(16),
        claim=claim,
        rights=rights,
        claim_key=None,
        display=b'{"title":"","description":"","imageURL":""}',
        payload=b'{"type":"A","data":"AAAA"}',
        expires_at=expires_at,
    )


def reader(mailbox: bytes, digest: bytes) -> store.Reader:
    """One who may be bound."""
    return store.Reader(mailbox=mailbox, claim=b"", digest=digest, proof=None, binds=True)


@on_both
def test_the_migrated_table_is_that_of_the_metadata(url: str) -> None:
    async def work(database: Database) -> None:
        found = await database.run(lambda connection: differences(connection, metadata, prefix="relay_"))
        assert found == []

    play(url, work)


@on_both
def test_a25_of_equal_creations_at_once_one_makes_a_mailbox(url: str) -> None:
    async def work(database: Database) -> None:
        first = new()
        same = [store.NewMailbox(**{**_members(first), "id": secrets.token_bytes(16)}) for _ in range(20)]
        found = await asyncio.gather(*[database.run_prepared(store.create, one, now=NOW) for one in same])
        assert len(set(found)) == 1
        assert await database.run(store.count_rows) == 1

    play(url, work)


@on_both
def test_a_creation_that_has_expired_is_no_obstacle_to_a_new_one(url: str) -> None:
    async def work(database: Database) -> None:
        old = new()
        await database.run(store.create, old, now=NOW)
        again = store.NewMailbox(**{**_members(old), "id": b"n" * 16, "expires_at": NOW + 9000})
        assert await database.run(store.create, again, now=NOW + 599) == old.id
        assert await database.run(store.create, again, now=NOW + 600) == again.id

    play(url, work)


@on_both
def test_a6_of_many_strangers_at_once_one_is_bound(url: str) -> None:
    async def work(database: Database) -> None:
        for _ in range(5):
            made = await database.run(store.create, new(), now=NOW)
            tries = [
                database.run_prepared(store.read, reader(made, secrets.token_bytes(32)), now=NOW)
                for _ in range(16)
            ]
            results = await asyncio.gather(*tries, return_exceptions=True)
            assert sum(isinstance(result, store.Reading) for result in results) == 1
            assert sum(isinstance(result, AlreadyClaimed) for result in results) == 15

    play(url, work)


@on_both
def test_of_writes_at_once_none_is_lost_and_none_is_done_twice(url: str) -> None:
    async def work(database: Database) -> None:
        made = await database.run(store.create, new(), now=NOW)
        requests = [secrets.token_bytes(16) for _ in range(8)]
        writes = [
            Write(payload=request, request=request, if_sequence=None, most_updates=64)
            for request in requests
            for _ in range(2)
        ]
        done = await asyncio.gather(
            *[database.run_prepared(store.put, made, b"s" * 32, write, now=NOW) for write in writes]
        )
        assert sum(not one.repeated for one in done) == len(requests)
        assert max(one.sequence for one in done) == 1 + len(requests)

    play(url, work)


@on_both
def test_a_deletion_against_a_reading_leaves_one_order_or_the_other(url: str) -> None:
    async def work(database: Database) -> None:
        for _ in range(10):
            made = await database.run(store.create, new(), now=NOW)
            gone, read = await asyncio.gather(
                database.run_prepared(store.remove, made, b"s" * 32, now=NOW),
                database.run_prepared(store.read, reader(made, b"r" * 32), now=NOW),
                return_exceptions=True,
            )
            assert gone is None
            assert isinstance(read, store.Reading | MailboxUnknown)
            with pytest.raises(MailboxUnknown):
                await database.run(store.find_display, made, now=NOW)

    play(url, work)


@on_both
def test_p10_the_sweep_deletes_what_has_expired_in_batches(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(database: Database) -> None:
        for number in range(limits.SWEPT_ROWS + 20):
            await database.run_prepared(store.create, new(expires_at=NOW + number % 2), now=NOW - 60)
        half = limits.SWEPT_ROWS // 2 + 10
        assert await database.run(store.sweep, now=NOW - 1) == 0
        assert await database.run(store.sweep, now=NOW) == half
        assert await database.run(store.count_rows) == half
        for _ in range(half):
            await database.run_prepared(store.create, new(expires_at=NOW), now=NOW - 60)
        assert await database.run(store.sweep, now=NOW + 1) == limits.SWEPT_ROWS
        assert await database.run(store.sweep, now=NOW + 1) == 2 * half - limits.SWEPT_ROWS
        assert await database.run(store.sweep, now=NOW + 1) == 0

    play(url, work)


@on_both
def test_the_relay_sweeps_all_that_has_expired_and_recounts_what_is_left(url: str) -> None:
    async def work(database: Database) -> None:
        for number in range(limits.SWEPT_ROWS + 20):
            await database.run_prepared(store.create, new(expires_at=NOW + number % 3), now=NOW - 60)
        settings = RelaySettings(database=DatabaseUrl(url))
        await Relay(settings=settings, database=database, clock=lambda: NOW + 1).sweep()
        assert await database.run(store.count_rows) == (limits.SWEPT_ROWS + 20) // 3

    play(url, work)


def test_a_relay_full_of_what_has_expired_has_room_as_soon_as_some_of_it_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/relay.db"
    sweep = store.sweep

    def interrupted(connection: Connection, *, now: int) -> int:
        if store.count_rows(connection) <= limits.SWEPT_ROWS:
            raise StorageUnavailable
        return sweep(connection, now=now)

    async def work(database: Database) -> None:
        for _ in range(2 * limits.SWEPT_ROWS):
            await database.run_prepared(store.create, new(expires_at=NOW), now=NOW - 60)
        settings = RelaySettings(database=DatabaseUrl(url), mailboxes=2 * limits.SWEPT_ROWS)
        relay = Relay(settings=settings, database=database, clock=lambda: NOW)
        await relay.recount()
        with pytest.raises(TooMuchOpen):
            relay._quota.take()
        monkeypatch.setattr(store, "sweep", interrupted)
        with pytest.raises(StorageUnavailable):
            await relay.sweep()
        relay._quota.take()

    play(url, work)


@on_both
def test_counts_are_of_those_in_force(url: str) -> None:
    async def work(database: Database) -> None:
        assert await database.run(store.count_rows) == 0
        for left in (1, 600, 600):
            made = await database.run(store.create, new(expires_at=NOW + left), now=NOW)
        await database.run(store.read, reader(made, b"r" * 32), now=NOW)
        found = await database.run(store.count, now=NOW + 1)
        assert (found.unclaimed, found.claimed, found.relinquished) == (1, 1, 0)
        assert await database.run(store.count_rows) == 3
        await database.run(store.relinquish, made, b"r" * 32, b"q" * 16, now=NOW)
        assert (await database.run(store.count, now=NOW + 1)).relinquished == 1

    play(url, work)


def test_claims_and_ids_are_stored_as_digests_only(tmp_path: Path) -> None:
    from safeconduct.protocols.transfer.claims import claim_digest

    claim = secrets.token_bytes(16)
    first, second = secrets.token_bytes(16), secrets.token_bytes(16)
    assert claim_digest(first, claim) != claim_digest(second, claim), "one claim links no two mailboxes"
    assert claim not in claim_digest(first, claim)
    names = {column.name for column in mailboxes.columns}
    assert not names & {"claim", "token", "notification_token", "address", "attestation", "created_at"}


def _members(made: store.NewMailbox) -> dict[str, object]:
    return {name: getattr(made, name) for name in made.__struct_fields__}


STATEMENTS = [
    name
    for name, statement in vars(store).items()
    if isinstance(statement, Prepared) and name not in ("_COUNT", "_ROWS", "_CREATE")
]


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_looks_at_all_mailboxes(name: str, tmp_path: Path) -> None:
    """So that its cost does not grow with their number; the query plan says so, without a clock."""
    plans: list[str] = []

    def explain(connection: Connection) -> None:
        statement: Prepared = getattr(store, name)
        sql = statement._for(connection).sql
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        blanks = [b""] * sql.count("?")
        plans.extend(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {sql}", blanks))

    async def work(database: Database) -> None:
        await database.run(explain)

    play(f"sqlite:///{tmp_path}/relay.db", work)
    assert plans
    assert [plan for plan in plans if plan.startswith("SCAN") or "TEMP B-TREE" in plan] == []


@pytest.mark.parametrize("name", ["_COUNT", "_ROWS"])
def test_counting_looks_at_an_index_only(name: str, tmp_path: Path) -> None:
    def explain(connection: Connection) -> list[str]:
        statement: Prepared = getattr(store, name)
        sql = statement._for(connection).sql
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        rows = driver.execute(f"EXPLAIN QUERY PLAN {sql}", [0] * sql.count("?"))
        return [row[3] for row in rows]

    async def work(database: Database) -> None:
        assert all("COVERING INDEX" in plan for plan in await database.run(explain))

    play(f"sqlite:///{tmp_path}/relay.db", work)


def test_nothing_shows_a_claim_or_a_payload_when_it_is_printed() -> None:
    made = new(claim=b"secret-claim-of-the-sender-123456")
    write = Write(payload=b"secret", request=b"secret", if_sequence=None, most_updates=1)
    found = life.Mailbox(
        state="claimed",
        rights=7,
        sender_claim=b"secret",
        receiver_claim=b"secret",
        from_sender=b"secret",
        from_receiver=None,
        sequence=1,
        updates=0,
        sender_requests=b"secret",
        receiver_requests=b"",
    )
    read = store.Reading(
        payload=b"secret", display=b"secret", expires_at=1, sequence=1, state=None, bound=True
    )
    for shown in (made, write, found, read, reader(b"secret", b"secret")):
        assert "secret" not in repr(shown)
        assert "AAAA" not in repr(shown)
