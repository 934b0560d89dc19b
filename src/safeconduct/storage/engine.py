"""How each kind of database is opened: SQLite through one connection, PostgreSQL through a pool."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

T = TypeVar("T")

BUSY_SECONDS = 5
"""How long SQLite waits for another process's transaction, and PostgreSQL for a connection."""

STATEMENT_SECONDS = 10
"""Longest statement on PostgreSQL: ours touch a few rows each."""

IDLE_SECONDS = 60
"""Time after which PostgreSQL ends an idle transaction: a stuck process must not hold locks."""

POSTGRES_CONNECTIONS = 8
"""Transactions a process runs at once on PostgreSQL; a service needs few, they are short."""

_SQLITE_STATEMENTS = 256
"""Statements that a connection keeps compiled, more than any service has."""

_LOG_PAGES = 4000
"""Pages of 4 KiB that SQLite's log may have before it is written back; a page in it twice is written once."""

_CACHE_KIBIBYTES = 16_384
"""Memory for pages of a SQLite database."""

_RETRIED = frozenset({"40001", "40P01"})
"""PostgreSQL's SQLSTATE for "serialization failure" and "deadlock detected": run the transaction again."""

_POSTGRES_OUT_OF_REACH = frozenset({"08", "53", "57", "58"})
"""PostgreSQL's classes of SQLSTATE for connections, resources, operators' intervention and system errors."""

_SQLITE_OUT_OF_REACH = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)


class Backend(msgspec.Struct, frozen=True):
    """An engine, how many threads may use it, and how often a transaction that lost a race runs again.

    one_connection: whether the one thread keeps its connection from one transaction to the next.
    """

    engine: Engine
    threads: int
    attempts: int
    one_connection: bool


def open_backend(url: str) -> Backend:
    """Open the database of a URL (sqlite, postgresql+psycopg) lazily. Raises ValueError for other kinds."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Backend(_sqlite(parsed.database or "", url), threads=1, attempts=2, one_connection=True)
    if parsed.get_backend_name() == "postgresql":
        return Backend(_postgres(url), threads=POSTGRES_CONNECTIONS, attempts=20, one_connection=False)
    raise ValueError("Only sqlite and postgresql databases are supported.")


def lost_a_race(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed when it runs again, nothing of it having been kept."""
    cause = error.orig
    if isinstance(cause, sqlite3.OperationalError):
        return cause.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(cause, "sqlstate", None) in _RETRIED


def out_of_reach(error: DBAPIError) -> bool:
    """Whether the database, not the statement, is at fault: no connection, no disk, shut down, timed out."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE_OUT_OF_REACH
    state = getattr(cause, "sqlstate", None) or ""
    return error.connection_invalidated or not state or state[:2] in _POSTGRES_OUT_OF_REACH


def execute(connection: Connection, sql: str, parameters: Any = ()) -> Any:
    """Runs words on the driver itself and returns its cursor; raises DBAPIError as SQLAlchemy does.

    parameters: as the driver takes them.
    """
    driver: Any = connection.connection.driver_connection
    try:
        return driver.execute(sql, parameters)
    except connection.dialect.loaded_dbapi.Error as error:
        dialect = connection.dialect
        raise DBAPIError.instance(
            sql,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=dialect.is_disconnect(error, driver, None),
            dialect=dialect,
        ) from error


def set_patience(connection: Connection, *, patient: bool) -> None:
    """Says whether SQLite waits for another process's transaction, or raises DBAPIError at once."""
    execute(connection, f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000 if patient else 0}")


def run_plainly(connection: Connection, work: Callable[[Connection], T]) -> T:
    """One transaction on SQLite of which SQLAlchemy knows nothing, for statements that go past it as well."""
    execute(connection, "BEGIN IMMEDIATE")
    try:
        result = work(connection)
        execute(connection, "COMMIT")
    except BaseException:
        driver = connection.connection.driver_connection
        if driver is not None and driver.in_transaction:  # SQLite ends it by itself when the disk fails
            driver.rollback()
        raise
    return result


def run_begun(connection: Connection, work: Callable[[Connection], T]) -> T:
    """One transaction as SQLAlchemy begins and ends it."""
    with connection.begin():
        return work(connection)


def _sqlite(path: str, url: str) -> Engine:
    if path not in ("", ":memory:"):
        _create_private(Path(path))
    engine = create_engine(
        url,
        poolclass=StaticPool,
        hide_parameters=True,
        connect_args={
            "check_same_thread": False,
            "timeout": BUSY_SECONDS,
            "cached_statements": _SQLITE_STATEMENTS,
        },
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _create_private(path: Path) -> None:
    """Make the file readable by its owner only; SQLite gives its log and index the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for setting in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "secure_delete = ON",  # what is deleted must not stay in free pages
        "trusted_schema = OFF",
        f"wal_autocheckpoint = {_LOG_PAGES}",
        f"cache_size = -{_CACHE_KIBIBYTES}",
    ):
        connection.execute(f"PRAGMA {setting}")


def _begin_immediate(connection: Connection) -> None:
    # A transaction that reads first could not go on to write when another process wrote in between.
    execute(connection, "BEGIN IMMEDIATE")


def _postgres(url: str) -> Engine:
    engine = create_engine(
        url,
        isolation_level="SERIALIZABLE",
        pool_size=POSTGRES_CONNECTIONS,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": BUSY_SECONDS},
    )
    event.listen(engine, "connect", _prepare_postgres)
    return engine


def _prepare_postgres(connection: Any, _record: object) -> None:
    connection.autocommit = True
    connection.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
    connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
    connection.autocommit = False
