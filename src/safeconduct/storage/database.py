"""A database as the services see it: `await database.run(function, …)` is one transaction.

SQLite: there is one connection, and transactions run on it one after the other, in a thread of its own but
for short ones that find it free; each takes the write lock at its start, so two processes are safe as well.
PostgreSQL: transactions run at once in a few threads, at isolation level SERIALIZABLE, and again when they
lost a race. So a function that reads, decides and writes is atomic on both, without being written twice.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from safeconduct.storage.engine import (
    Backend,
    lost_a_race,
    open_backend,
    out_of_reach,
    run_begun,
    run_plainly,
    set_patience,
)
from safeconduct.storage.migrations import Branch, upgrade_engine

P = ParamSpec("P")
T = TypeVar("T")


class StorageUnavailable(Exception):
    """The database is out of reach or too busy. Nothing was kept, unless it broke at the commit itself."""


class Database:
    """A migrated, open database. Made by `open`; closed by `close` or `async with`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._kept: Connection | None = None
        self._turn = threading.Lock()  # who has it may use the one connection
        self._closed = False
        self._patient = True
        self._threads = ThreadPoolExecutor(backend.threads, thread_name_prefix="safeconduct-database")

    @classmethod
    async def open(cls, url: str, *, branch: Branch) -> "Database":
        """Open the database of a URL and bring the branch's tables up to date.

        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://` (in memory),
        `postgresql+psycopg://user@host/name`. Raises StorageUnavailable, MigrationError.
        """
        try:
            backend = open_backend(url)
        except ModuleNotFoundError:
            raise StorageUnavailable(
                "its driver is not installed; for PostgreSQL install the extra: safeconduct[postgres]"
            ) from None
        database = cls(backend)
        try:
            await database._in_thread(upgrade_engine, database._backend.engine, branch)
        except BaseException:
            await database.close()
            raise
        return database

    async def run(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(connection, *args, **kwargs)` as one transaction and return what it returns.

        It is committed when fn returns and rolled back when fn raises; the error passes through. fn may run
        more than once, so it does nothing but SQL and pure work. Raises StorageUnavailable.
        """
        return await self._in_thread(self._transaction, lambda connection: fn(connection, *args, **kwargs))

    async def run_short(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `run`, for a function of a few statements on a few rows.

        On SQLite it runs in the event loop's own thread if nobody is at the database at this moment: handing
        it over to another thread and back takes longer than itself.
        """
        return await self._run_here(run_begun, fn, *args, **kwargs)

    async def run_prepared(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `run_short`, for a function whose statements are all `Prepared`.

        On SQLite the transaction goes past SQLAlchemy as they do, which would take as long over it.
        """
        return await self._run_here(run_plainly, fn, *args, **kwargs)

    def run_sync(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, for callers without an event loop; blocks."""
        work = self._threads.submit(
            self._by_turns, self._transaction, lambda connection: fn(connection, *args, **kwargs)
        )
        return work.result()

    async def close(self) -> None:
        """Finish the transactions under way and close all connections."""
        self._closed = True
        await asyncio.to_thread(self._finish)

    async def __aenter__(self) -> "Database":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run_here(
        self,
        run: Callable[[Connection, Callable[[Connection], T]], T],
        fn: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        if self._backend.one_connection and not self._closed and self._turn.acquire(blocking=False):
            try:
                return self._attempt_now(run, lambda connection: fn(connection, *args, **kwargs))
            except _BusyNow:
                pass  # another process writes; the thread can wait for it
            finally:
                self._turn.release()
        return await self.run(fn, *args, **kwargs)

    async def _in_thread(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(self._by_turns, fn, *args, **kwargs))

    def _by_turns(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if not self._backend.one_connection:
            return _speaking_plainly(fn, *args, **kwargs)
        with self._turn:
            if self._kept is not None and not self._patient:
                self._set_patience(self._kept, patient=True)
            return _speaking_plainly(fn, *args, **kwargs)

    def _finish(self) -> None:
        self._threads.shutdown()
        self._drop()
        self._backend.engine.dispose()  # only now: a connection in use would not be closed

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        for attempt in range(1, self._backend.attempts):
            try:
                return self._attempt(work)
            except DBAPIError as error:
                if not lost_a_race(error):
                    raise
            time.sleep(_pause(attempt))
        return self._attempt(work)

    def _attempt(self, work: Callable[[Connection], T]) -> T:
        if not self._backend.one_connection:
            with self._backend.engine.begin() as connection:
                return work(connection)
        try:
            kept = self._kept = self._kept or self._backend.engine.connect()
            with kept.begin():
                return work(kept)
        except DBAPIError:
            self._drop()
            raise

    def _attempt_now(
        self,
        run: Callable[[Connection, Callable[[Connection], T]], T],
        work: Callable[[Connection], T],
    ) -> T:
        """One attempt on the one connection. Raises _BusyNow if another process has the database."""
        try:
            kept = self._kept = self._kept or self._backend.engine.connect()
            if self._patient:
                self._set_patience(kept, patient=False)
            return run(kept, work)
        except DBAPIError as error:
            self._drop()
            if lost_a_race(error):
                raise _BusyNow from None
            if out_of_reach(error):
                raise _unavailable() from error
            raise

    def _set_patience(self, kept: Connection, *, patient: bool) -> None:
        """The connection stays as it was used last: most often the next one wants it so, too."""
        set_patience(kept, patient=patient)
        self._patient = patient

    def _drop(self) -> None:
        if self._kept is not None:
            if not self._patient:
                with suppress(DBAPIError):  # it is beyond use, and the next one begins patiently
                    set_patience(self._kept, patient=True)
                self._patient = True
            self._kept.close()
            self._kept = None


class _BusyNow(Exception):
    """Another process is at the database; nothing was done."""


def _speaking_plainly(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return fn(*args, **kwargs)
    except (DBAPIError, PoolTimeout) as error:
        if isinstance(error, PoolTimeout) or lost_a_race(error) or out_of_reach(error):
            raise _unavailable() from error
        raise


def _unavailable() -> StorageUnavailable:
    return StorageUnavailable("The database is out of reach or too busy.")


def _pause(attempt: int) -> float:
    """Seconds before the next attempt: random, so that two losers do not meet again."""
    return random.uniform(0, min(0.002 * 2**attempt, 0.25))  # noqa: S311  spreads load, hides nothing
