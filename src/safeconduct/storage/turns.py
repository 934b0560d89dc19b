"""Transactions that wait for each other only where they touch the same thing.

SERIALIZABLE makes any function safe, but on PostgreSQL it also ends transactions that only read the same
pages, and those of busy tables are the same for all. A function that knows what it must have to itself says
so here instead.
"""

import hashlib

from sqlalchemy import Connection


def by_turns(connection: Connection, *names: bytes) -> None:
    """Lets transactions that name the same thing run one after the other, and all others at once.

    To be called first in a transaction, which then sees what others committed before each of its statements.
    names: in the same order everywhere, if there are several. On SQLite transactions run by turns anyway.
    """
    if connection.dialect.name != "postgresql":
        return
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    for name in names:
        lock = int.from_bytes(hashlib.sha256(name).digest()[:8], "big", signed=True)
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (lock,))
