"""Prepared statements do what ordinary ones do, in the same transaction, on both databases."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from safeconduct.storage import Database
from safeconduct.storage.engine import open_backend
from safeconduct.storage.prepared import Prepared

metadata = sa.MetaData()
thing = sa.Table(
    "prepared_thing",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("good", sa.Boolean, nullable=False),
    sa.Column("data", sa.LargeBinary),
)

INSERT = Prepared.insert(thing, "name", "size", "good", "data")
INSERT_ONCE = Prepared.insert_once(thing, "name", "size", "good")
FIND = Prepared(sa.select(thing).where(thing.c.name == sa.bindparam("name")))
ALL = Prepared(sa.select(thing.c.name, thing.c.good).order_by(thing.c.name))
GROWN = Prepared(
    thing.update()
    .where(thing.c.name == sa.bindparam("wanted"), thing.c.size < 100)
    .values(size=thing.c.size + sa.bindparam("more"), data=None)
)


def check(url: str, work: Callable[[sa.Connection], None]) -> None:
    def whole(connection: sa.Connection) -> None:
        metadata.drop_all(connection)
        metadata.create_all(connection)
        work(connection)
        metadata.drop_all(connection)

    async def main() -> None:
        async with Database(open_backend(url)) as database:
            await database.run(whole)

    asyncio.run(main())


def rows_as_they_were_given(connection: sa.Connection) -> None:
    assert INSERT.run(connection, name="a", size=2**40, good=True, data=b"\x00\xff") == 1
    assert INSERT.run(connection, name="b", size=1, good=False, data=None) == 1
    row = FIND.first(connection, name="a")
    assert row == ("a", 2**40, True, b"\x00\xff")
    assert (row.name, row.size, row.good, row.data) == row
    assert type(row.good) is bool
    assert type(row.data) is bytes
    assert FIND.first(connection, name="c") is None
    assert ALL.all(connection) == [("a", True), ("b", False)]
    assert connection.execute(sa.select(thing.c.name).order_by(thing.c.name)).scalars().all() == ["a", "b"]


def rows_counted(connection: sa.Connection) -> None:
    INSERT.run(connection, name="a", size=1, good=True, data=b"x")
    INSERT.run(connection, name="b", size=100, good=True, data=b"x")
    assert GROWN.run(connection, wanted="a", more=5) == 1
    assert GROWN.run(connection, wanted="b", more=5) == 0
    assert FIND.first(connection, name="a") == ("a", 6, True, None)


def inserted_once(connection: sa.Connection) -> None:
    assert INSERT_ONCE.run(connection, name="a", size=1, good=True) == 1
    assert INSERT_ONCE.run(connection, name="a", size=2, good=False) == 0
    assert FIND.first(connection, name="a").size == 1


def a_value_missing(connection: sa.Connection) -> None:
    with pytest.raises(KeyError):
        FIND.first(connection)


def error_wrapped(connection: sa.Connection) -> None:
    INSERT.run(connection, name="a", size=1, good=True, data=None)
    savepoint = connection.begin_nested()
    with pytest.raises(IntegrityError) as error:
        INSERT.run(connection, name="a", size=1, good=True, data=b"secret")
    savepoint.rollback()
    assert "secret" not in str(error.value)
    assert not error.value.connection_invalidated


WORKS = [rows_as_they_were_given, rows_counted, inserted_once, a_value_missing, error_wrapped]


@pytest.mark.parametrize("work", WORKS)
def test_on_sqlite(work: Callable[[sa.Connection], None], tmp_path: Path) -> None:
    check(f"sqlite:///{tmp_path}/example.db", work)


@pytest.mark.postgres
@pytest.mark.parametrize("work", WORKS[:3] + WORKS[4:])
def test_on_postgres(work: Callable[[sa.Connection], None], postgres_url: str) -> None:
    check(postgres_url, work)
