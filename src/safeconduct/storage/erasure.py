"""What is deleted must be gone: SQLite's log keeps old pages until it is written back and cut off."""

from sqlalchemy import Connection, Engine

from safeconduct.storage.database import Database
from safeconduct.storage.engine import execute


async def erase_traces(database: Database) -> None:
    """Removes what deleted rows left in the log of a SQLite database; others are left alone.

    With `secure_delete` the pages themselves hold nothing of them. While another process reads, the log stays
    as it is until the next call. Raises StorageUnavailable.
    """
    await database._in_thread(_write_back, database._backend.engine)


def _write_back(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return
    with engine.connect() as connection:
        _empty_log(connection)


async def rewrite(database: Database) -> None:
    """Writes a SQLite database anew and cuts its log off, so that nothing of what it held before is left.

    Others are left alone. Raises StorageUnavailable.
    """
    await database._in_thread(_vacuum, database._backend.engine)


def _vacuum(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return
    with engine.connect() as connection:
        execute(connection, "VACUUM").close()
        _empty_log(connection)


def _empty_log(connection: Connection) -> None:
    execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)").close()
