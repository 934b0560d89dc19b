"""What the upkeep of a database meets when the log cannot be emptied: an error that it can wait out."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from safeconduct.storage import Database, StorageUnavailable
from safeconduct.storage.engine import execute
from safeconduct.storage.erasure import erase_traces, rewrite
from safeconduct.storage.migrations import Branch

EXAMPLE = Branch("example", Path(__file__).parent / "branch")


def _fill(connection: sa.Connection) -> None:
    for number in range(10):
        connection.execute(sa.text("INSERT INTO example_counter VALUES (:name, 0)"), {"name": str(number)})


def test_a_log_that_cannot_be_emptied_now_is_unavailable_and_no_error_of_the_driver(tmp_path: Path) -> None:
    """Any other error ends what is done again and again: nothing would be deleted any more."""

    async def work(database: Database) -> None:
        with database._backend.engine.connect() as connection:
            reading = execute(connection, "SELECT * FROM example_counter")
            assert reading.fetchone() is not None
            with pytest.raises(StorageUnavailable):
                await erase_traces(database)
            reading.close()
        await erase_traces(database)
        assert (tmp_path / "data.db-wal").stat().st_size == 0

    play(tmp_path, work)


def test_a_database_that_another_process_has_is_not_rewritten_now(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        with database._backend.engine.connect() as connection:
            execute(connection, "PRAGMA busy_timeout = 0")
        other = sqlite3.connect(tmp_path / "data.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable):
            await rewrite(database)
        other.execute("ROLLBACK")
        await rewrite(database)
        other.close()

    play(tmp_path, work)


def play(folder: Path, work: Callable[[Database], Awaitable[None]]) -> None:
    """Let a test work on a database that has something in it."""

    async def main() -> None:
        async with await Database.open(f"sqlite:///{folder}/data.db", branch=EXAMPLE) as database:
            await database.run(_fill)
            await work(database)

    asyncio.run(main())
