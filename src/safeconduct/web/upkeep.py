"""Work that a service does by itself, again and again, while it runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from safeconduct.storage import StorageUnavailable
from safeconduct.telemetry import Telemetry


@asynccontextmanager
async def repeatedly(
    work: Callable[[], Awaitable[None]], *, seconds: float, telemetry: Telemetry
) -> AsyncIterator[None]:
    """Do the work once on entering, then every so many seconds until left.

    A database out of reach is logged and waited for. Any other error ends the repetition and is raised
    on leaving; on entering, every error is raised.
    """
    await work()
    task = asyncio.create_task(_repeat(work, seconds, telemetry))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _repeat(work: Callable[[], Awaitable[None]], seconds: float, telemetry: Telemetry) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except StorageUnavailable as error:
            telemetry.log.failure(error, event="upkeep_failed")
