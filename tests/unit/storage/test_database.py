"""One function is one transaction, whatever runs at once and on whichever database."""

import asyncio
import gc
import multiprocessing
import sqlite3
import stat
import threading
import time
from collections.abc import Awaitable, Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
import sqlalchemy as sa

from safeconduct.errors import Rejected
from safeconduct.storage import Database, StorageUnavailable
from safeconduct.storage.engine import BUSY_SECONDS, open_backend
from safeconduct.storage.migrations import (
    ISSUER,
    VERIFIER,
    WALLET,
    WALLET_SERVER,
    Branch,
    MigrationError,
    differences,
    upgrade,
)
from safeconduct.storage.prepared import Prepared

EXAMPLE = Branch("example", Path(__file__).parent / "branch")

metadata = sa.MetaData()
counter = sa.Table(
    "example_counter",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Integer, nullable=False),
)
note = sa.Table(
    "example_note",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("counter", sa.String(64), sa.ForeignKey("example_counter.name"), nullable=False),
    sa.Column("text", sa.LargeBinary, nullable=False),
)


def create(connection: sa.Connection, name: str) -> None:
    connection.execute(counter.insert().values(name=name, value=0))


def increment(connection: sa.Connection, name: str) -> int:
    """Reads, decides, writes: loses updates unless transactions are really apart."""
    value = read(connection, name) + 1
    connection.execute(counter.update().where(counter.c.name == name).values(value=value))
    return value


def read(connection: sa.Connection, name: str) -> int:
    return connection.execute(sa.select(counter.c.value).where(counter.c.name == name)).scalar_one()


def increment_then_fail(connection: sa.Connection, name: str, error: Exception) -> None:
    increment(connection, name)
    raise error


def with_database(url: str, work: Callable[[Database], Awaitable[None]]) -> None:
    async def main() -> None:
        async with await Database.open(url, branch=EXAMPLE) as database:
            await work(database)

    asyncio.run(main())


def file_url(folder: Path) -> str:
    return f"sqlite:///{folder}/example.db"


async def fifty_increments(database: Database) -> None:
    await database.run(create, "a")
    values = await asyncio.gather(*(database.run(increment, "a") for _ in range(50)))
    assert sorted(values) == list(range(1, 51))
    assert await database.run(read, "a") == 50


async def rolled_back(database: Database) -> None:
    await database.run(create, "a")
    with pytest.raises(Rejected) as error:
        await database.run(increment_then_fail, "a", Rejected("spent", "It is spent."))
    assert error.value.code == "spent"
    with pytest.raises(ZeroDivisionError):
        await database.run(increment_then_fail, "a", ZeroDivisionError())
    assert await database.run(read, "a") == 0


def test_fifty_increments_at_once_give_fifty_in_a_file(tmp_path: Path) -> None:
    with_database(file_url(tmp_path), fifty_increments)


def test_fifty_increments_at_once_give_fifty_in_memory() -> None:
    with_database("sqlite://", fifty_increments)


@pytest.mark.postgres
def test_fifty_increments_at_once_give_fifty_on_postgres(postgres_url: str) -> None:
    with_database(postgres_url, fifty_increments)


def test_a_failing_transaction_is_rolled_back_and_its_error_passes(tmp_path: Path) -> None:
    with_database(file_url(tmp_path), rolled_back)


@pytest.mark.postgres
def test_a_failing_transaction_is_rolled_back_on_postgres(postgres_url: str) -> None:
    with_database(postgres_url, rolled_back)


def test_sqlite_runs_every_transaction_in_one_thread(tmp_path: Path) -> None:
    def thread(_connection: sa.Connection) -> int:
        return threading.get_ident()

    async def work(database: Database) -> None:
        threads = set(await asyncio.gather(*(database.run(thread) for _ in range(20))))
        assert len(threads) == 1
        assert threads != {threading.get_ident()}
        assert database.run_sync(thread) in threads

    with_database(file_url(tmp_path), work)


def test_short_transactions_run_where_they_are_asked_for_if_the_database_is_free(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def thread(_connection: sa.Connection) -> int:
        return threading.get_ident()

    def hold(connection: sa.Connection) -> int:
        begun.set()
        go_on.wait(10)
        return increment(connection, "a")

    async def work(database: Database) -> None:
        await database.run(create, "a")
        assert await database.run_short(thread) == threading.get_ident()
        holding = asyncio.create_task(database.run(hold))
        await asyncio.to_thread(begun.wait)
        waiting = asyncio.create_task(database.run_short(increment, "a"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        go_on.set()
        assert (await holding, await waiting) == (1, 2)
        with pytest.raises(ZeroDivisionError):
            await database.run_short(increment_then_fail, "a", ZeroDivisionError())
        mixed = (database.run if number % 2 else database.run_short for number in range(50))
        values = await asyncio.gather(*(run(increment, "a") for run in mixed))
        assert sorted(values) == list(range(3, 53))

    with_database(file_url(tmp_path), work)


def test_a_short_transaction_never_makes_the_event_loop_wait_for_another_process(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        await database.run(create, "a")
        other = sqlite3.connect(tmp_path / "example.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(database.run_short(increment, "a"))
        begun = time.monotonic()
        await asyncio.sleep(0.05)  # the loop goes on, or this would take as long as SQLite waits
        assert time.monotonic() - begun < BUSY_SECONDS
        assert not waiting.done()
        other.execute("COMMIT")
        other.close()
        assert await waiting == 1

    with_database(file_url(tmp_path), work)


ADD = Prepared(
    sa.update(counter)
    .where(counter.c.name == sa.bindparam("of"))
    .values(value=counter.c.value + 1)
    .returning(counter.c.value)
)


def add(connection: sa.Connection, error: Exception | None = None) -> int:
    """An increment by a prepared statement alone."""
    value = int(ADD.first(connection, of="a").value)
    if error is not None:
        raise error
    return value


def test_prepared_statements_have_a_transaction_too(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        await database.run(create, "a")
        assert await database.run_prepared(add) == 1
        for error in (ZeroDivisionError(), KeyError()):
            with pytest.raises(type(error)):
                await database.run_prepared(add, error)
        other = sqlite3.connect(tmp_path / "example.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(database.run_prepared(add))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        other.execute("COMMIT")
        assert await waiting == 2
        ways = (database.run, database.run_short, database.run_prepared)
        values = await asyncio.gather(*(ways[number % 3](add) for number in range(30)))
        assert sorted(values) == list(range(3, 33))
        assert other.execute("SELECT value FROM example_counter").fetchone() == (32,)
        other.close()

    with_database(file_url(tmp_path), work)


@pytest.mark.postgres
def test_prepared_statements_have_a_transaction_too_on_postgres(postgres_url: str) -> None:
    async def work(database: Database) -> None:
        await database.run(create, "a")
        with pytest.raises(ZeroDivisionError):
            await database.run_prepared(add, ZeroDivisionError())
        values = await asyncio.gather(*(database.run_prepared(add) for _ in range(20)))
        assert sorted(values) == list(range(1, 21))

    with_database(postgres_url, work)


def test_nothing_short_runs_after_close(tmp_path: Path) -> None:
    async def main() -> None:
        database = await Database.open(file_url(tmp_path), branch=EXAMPLE)
        await database.close()
        with pytest.raises(RuntimeError):
            await database.run_short(create, "a")

    asyncio.run(main())


@pytest.mark.postgres
def test_short_transactions_run_in_threads_on_postgres(postgres_url: str) -> None:
    async def work(database: Database) -> None:
        await database.run(create, "a")
        values = await asyncio.gather(*(database.run_short(increment, "a") for _ in range(20)))
        assert sorted(values) == list(range(1, 21))

    with_database(postgres_url, work)


def test_no_thread_is_left_after_close(tmp_path: Path) -> None:
    before = threading.active_count()
    with_database(file_url(tmp_path), fifty_increments)
    assert threading.active_count() == before


def _closed_under_way(url: str) -> None:
    started = threading.Event()

    def slowly(connection: sa.Connection) -> int:
        started.set()
        time.sleep(0.2)
        return increment(connection, "a")

    async def work(database: Database) -> None:
        await database.run(create, "a")
        under_way = asyncio.create_task(database.run(slowly))
        await asyncio.to_thread(started.wait)
        await database.close()
        assert await under_way == 1

    with_database(url, work)
    gc.collect()  # a connection that was left open would now be found, and warned of


def test_transactions_under_way_are_finished_before_a_file_is_closed(tmp_path: Path) -> None:
    _closed_under_way(file_url(tmp_path))


@pytest.mark.postgres
def test_transactions_under_way_are_finished_before_postgres_is_closed(postgres_url: str) -> None:
    _closed_under_way(postgres_url)


READ = Prepared(sa.select(counter.c.value).where(counter.c.name == sa.bindparam("of")))
SET = Prepared(
    sa.update(counter).where(counter.c.name == sa.bindparam("of")).values(value=sa.bindparam("value"))
)


def increment_prepared(connection: sa.Connection, name: str) -> int:
    """As `increment`, by prepared statements; others have time to come between."""
    value = int(READ.first(connection, of=name).value) + 1
    time.sleep(0.0002)
    SET.run(connection, of=name, value=value)
    return value


PREPARED = 4


def _increment_alone(url: str, times: int, together: Barrier) -> None:
    async def work(database: Database) -> None:
        together.wait(30)  # a process takes longer to begin than for all that it does
        for _ in range(times):
            await database.run(increment, "a")
            for _ in range(PREPARED):
                await database.run_prepared(increment_prepared, "a")

    with_database(url, work)


def _two_processes(url: str) -> None:
    async def prepare(database: Database) -> None:
        await database.run(create, "a")

    async def check(database: Database) -> None:
        assert await database.run(read, "a") == 60 * (1 + PREPARED)

    with_database(url, prepare)
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    processes = [context.Process(target=_increment_alone, args=(url, 30, together)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    with_database(url, check)


def test_two_processes_on_one_sqlite_file_lose_no_update(tmp_path: Path) -> None:
    _two_processes(file_url(tmp_path))


@pytest.mark.postgres
def test_two_processes_on_postgres_lose_no_update(postgres_url: str) -> None:
    _two_processes(postgres_url)


def test_foreign_keys_are_enforced_on_sqlite() -> None:
    def orphan(connection: sa.Connection) -> None:
        connection.execute(note.insert().values(counter="nobody", text=b""))

    async def work(database: Database) -> None:
        with pytest.raises(sa.exc.IntegrityError):
            await database.run(orphan)

    with_database("sqlite://", work)


def test_sqlite_is_set_up_to_forget_and_to_survive(tmp_path: Path) -> None:
    def settings(connection: sa.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    async def work(database: Database) -> None:
        assert await database.run(settings) == ["wal", 1, 1, 1, 5000]

    with_database(file_url(tmp_path), work)


def test_a_database_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    with_database(f"sqlite:///{tmp_path}/new/example.db", fifty_increments)
    assert stat.S_IMODE((tmp_path / "new/example.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_deleted_content_is_gone_from_the_file(tmp_path: Path) -> None:
    marker = b"never to be found again" * 40

    def delete(connection: sa.Connection) -> None:
        connection.execute(note.delete())

    def insert(connection: sa.Connection) -> None:
        create(connection, "a")
        connection.execute(note.insert().values(counter="a", text=marker))

    async def work(database: Database) -> None:
        await database.run(insert)
        await database.run(delete)

    with_database(file_url(tmp_path), work)
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert marker[:23] not in left


def test_an_error_of_the_database_shows_no_parameters() -> None:
    def twice(connection: sa.Connection) -> None:
        create(connection, "confidential")
        create(connection, "confidential")

    async def work(database: Database) -> None:
        with pytest.raises(sa.exc.IntegrityError) as error:
            await database.run(twice)
        assert "confidential" not in str(error.value)

    with_database("sqlite://", work)


def test_a_file_locked_for_long_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safeconduct.storage.engine.BUSY_SECONDS", 0.01)

    async def work(database: Database) -> None:
        await database.run(create, "a")
        other = sqlite3.connect(tmp_path / "example.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable):
            await database.run(increment, "a")
        other.close()
        assert await database.run(increment, "a") == 1

    with_database(file_url(tmp_path), work)


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "example.db").write_bytes(b"something else" * 100)
    with pytest.raises(StorageUnavailable):
        with_database(file_url(tmp_path), fifty_increments)


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StorageUnavailable):
        with_database("postgresql+psycopg://postgres@127.0.0.1:1/none", fifty_increments)


def test_a_wrong_statement_is_an_error_of_the_program() -> None:
    def wrong(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SELECT * FROM no_such_table")

    async def work(database: Database) -> None:
        with pytest.raises(sa.exc.OperationalError):
            await database.run(wrong)

    with_database("sqlite://", work)


def test_only_sqlite_and_postgresql_are_opened() -> None:
    with pytest.raises(ValueError, match="Only sqlite and postgresql"):
        open_backend("mysql://localhost/x")


@pytest.mark.parametrize("branch", [ISSUER, WALLET_SERVER, VERIFIER, WALLET], ids=lambda branch: branch.name)
def test_every_branch_migrates_an_empty_database_twice(branch: Branch, tmp_path: Path) -> None:
    upgrade(file_url(tmp_path), branch)
    upgrade(file_url(tmp_path), branch)


def _all_branches(url: str) -> None:
    for branch in (EXAMPLE, ISSUER, WALLET_SERVER, VERIFIER, EXAMPLE):
        upgrade(url, branch)


def test_all_branches_share_one_sqlite_database(tmp_path: Path) -> None:
    _all_branches(file_url(tmp_path))


@pytest.mark.postgres
def test_all_branches_share_one_postgres_database(postgres_url: str) -> None:
    _all_branches(postgres_url)


def test_the_migrated_tables_are_those_of_the_metadata() -> None:
    other = sa.MetaData()
    sa.Table("example_counter", other, sa.Column("name", sa.String(64), primary_key=True))

    async def work(database: Database) -> None:
        assert await database.run(differences, metadata, prefix="example_") == []
        assert await database.run(differences, other, prefix="example_") != []

    with_database("sqlite://", work)


@pytest.mark.postgres
def test_processes_that_migrate_at_once_do_not_collide(postgres_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=upgrade, args=(postgres_url, EXAMPLE)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    upgrade(file_url(tmp_path), EXAMPLE)
    raw = sqlite3.connect(tmp_path / "example.db")
    raw.execute("UPDATE alembic_version_example SET version_num = 'r9999'")
    raw.commit()
    raw.close()
    with pytest.raises(MigrationError):
        upgrade(file_url(tmp_path), EXAMPLE)


def test_a_migration_that_fails_leaves_nothing_half_done(tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "r0001_broken.py").write_text(
        'revision = "r0001"\ndown_revision = None\n'
        "def upgrade():\n"
        "    from alembic import op\n"
        '    op.execute("CREATE TABLE example_half (id INTEGER)")\n'
        "    raise RuntimeError\n"
    )
    with pytest.raises(RuntimeError):
        upgrade(file_url(tmp_path), Branch("example", scripts))
    raw = sqlite3.connect(tmp_path / "example.db")
    assert raw.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    raw.close()
