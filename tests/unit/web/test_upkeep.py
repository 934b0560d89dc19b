"""Work that is done again and again, and the look at the database."""

import asyncio
import io

import pytest
from sqlalchemy import Connection, text

from safeconduct.storage import Database, StorageUnavailable
from safeconduct.storage.migrations import VERIFIER
from safeconduct.telemetry import Telemetry
from safeconduct.web.upkeep import answers, ready, repeatedly


def test_work_is_done_on_entering_and_again() -> None:
    async def main() -> None:
        done = asyncio.Event()
        times = 0

        async def work() -> None:
            nonlocal times
            times += 1
            if times == 3:
                done.set()

        async with repeatedly(work, seconds=0, telemetry=Telemetry.silent("test")):
            assert times == 1
            await asyncio.wait_for(done.wait(), 30)
        seen = times
        await asyncio.sleep(0)
        assert times == seen

    asyncio.run(main())


def test_work_that_nobody_waits_for_begins_after_its_pause() -> None:
    async def main() -> None:
        begun = asyncio.Event()

        async def work() -> None:
            begun.set()

        silent = Telemetry.silent("test")
        async with repeatedly(work, seconds=3600, telemetry=silent, on_entering=False, pause=0):
            assert not begun.is_set()
            await asyncio.wait_for(begun.wait(), 30)

    asyncio.run(main())


def test_a_database_out_of_reach_is_logged_and_waited_for() -> None:
    async def main() -> str:
        log = io.StringIO()
        again = asyncio.Event()
        times = 0

        async def work() -> None:
            nonlocal times
            times += 1
            if times == 2:
                raise StorageUnavailable("The database is out of reach.")
            if times == 3:
                again.set()

        telemetry = Telemetry.open("test", stream=log)
        async with repeatedly(work, seconds=0, telemetry=telemetry):
            await asyncio.wait_for(again.wait(), 30)
        return log.getvalue()

    assert "upkeep_failed" in asyncio.run(main())


def test_any_other_error_is_logged_at_once_and_raised_on_leaving() -> None:
    log = io.StringIO()

    async def main() -> None:
        failed = asyncio.Event()
        times = 0

        async def work() -> None:
            nonlocal times
            times += 1
            if times == 2:
                failed.set()
                raise ZeroDivisionError

        async with repeatedly(work, seconds=0, telemetry=Telemetry.open("test", stream=log)):
            await asyncio.wait_for(failed.wait(), 30)
            await asyncio.sleep(0)
            assert "upkeep_ended" in log.getvalue()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())


def test_a_database_answers_until_it_is_lost() -> None:
    async def main() -> None:
        async with await Database.open("sqlite://", branch=VERIFIER) as database:
            assert await answers(database)

    asyncio.run(main())


def test_a_service_is_ready_while_its_tables_are_there_in_its_version_or_a_newer_one() -> None:
    async def main() -> None:
        async with await Database.open("sqlite://", branch=VERIFIER) as database:

            def set_version(connection: Connection, version: str) -> None:
                connection.execute(
                    text("UPDATE alembic_version_verifier SET version_num = :v"), {"v": version}
                )

            assert await ready(database, VERIFIER)
            await database.run(set_version, "r9999")
            assert await ready(database, VERIFIER)
            await database.run(set_version, "r0000")
            assert not await ready(database, VERIFIER)
            await database.run(
                lambda connection: connection.execute(text("DROP TABLE alembic_version_verifier"))
            )
            assert not await ready(database, VERIFIER)
            assert await answers(database)

    asyncio.run(main())
