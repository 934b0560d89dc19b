"""Inserting what may be there already, in the words of either database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_once(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Inserts a row unless one of its unique keys is there; returns whether it was inserted."""
    statement = _insert(connection, table).values(dict(values)).on_conflict_do_nothing()
    return connection.execute(statement.returning(*table.primary_key)).first() is not None


def insert_new(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> set[tuple[Any, ...]]:
    """As `insert_missing`; returns the primary keys of the rows that were inserted."""
    if not rows:
        return set()
    statement = _insert(connection, table).on_conflict_do_nothing().returning(*table.primary_key)
    return {tuple(row) for row in connection.execute(statement, [dict(row) for row in rows])}


def insert_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows, but for those of which a unique key is there."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), [dict(row) for row in rows])


def insert_or_replace(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Inserts a row, or gives the one with its primary key these values."""
    others = {name: value for name, value in values.items() if name not in table.primary_key.columns}
    connection.execute(
        _insert(connection, table)
        .values(dict(values))
        .on_conflict_do_update(index_elements=list(table.primary_key), set_=others)
    )


def add_counts(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds to the column `count` of each row, which begins with the count given."""
    for row in rows:
        statement = _insert(connection, table).values(dict(row))
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(table.primary_key),
                set_={"count": table.c.count + statement.excluded.count},
            )
        )


def _insert(connection: Connection, table: Table) -> Any:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
