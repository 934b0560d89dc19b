"""What keeps a service going while it runs: work done again and again, and a look at its database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from safeconduct.storage import Database, StorageUnavailable
from safeconduct.storage.migrations import Branch, is_current
from safeconduct.telemetry import Telemetry


@asynccontextmanager
async def repeatedly(
    work: Callable[[], Awaitable[None]],
    *,
    seconds: float,
    telemetry: Telemetry,
    on_entering: bool = True,
    pause: float | None = None,
) -> AsyncIterator[None]:
    """Do the work once on entering, then every so many seconds until left.

    on_entering: False where a service must not wait for it to begin. pause: seconds from entering to the next
    time, where they are others. A database out of reach is logged and waited for. Any other error is logged,
    ends the repetition and is raised on leaving; on entering, every error is raised.
    """
    if on_entering:
        await work()
    task = asyncio.create_task(_repeat(work, seconds, telemetry, pause=seconds if pause is None else pause))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def answers(database: Database) -> bool:
    """Whether the database answers; for `admin_app`'s `healthy`."""
    try:
        return await database.run(lambda connection: connection.scalar(text("SELECT 1")) == 1)
    except StorageUnavailable:
        return False


async def ready(database: Database, branch: Branch) -> bool:
    """Whether the database answers and has the branch's tables; for `admin_app`'s `ready`."""
    try:
        return await database.run(is_current, branch)
    except (StorageUnavailable, DBAPIError):  # the second: the tables are gone
        return False


async def _repeat(
    work: Callable[[], Awaitable[None]], seconds: float, telemetry: Telemetry, *, pause: float
) -> None:
    while True:
        await asyncio.sleep(pause)
        pause = seconds
        try:
            await work()
        except StorageUnavailable as error:
            telemetry.log.failure(error, event="upkeep_failed")
        except Exception as error:  # raised on leaving, which may be in a month
            telemetry.log.failure(error, event="upkeep_ended")
            raise
