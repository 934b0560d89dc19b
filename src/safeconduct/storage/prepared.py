"""Statements that are written once in SQLAlchemy, compiled once for each kind of database, and then only run.

Building, caching and interpreting a statement costs SQLAlchemy many times what a small database needs to
answer it. What a service runs with every request is therefore prepared at import: `Prepared(select(…))` with
`bindparam`s for what changes. It runs in the caller's transaction, beside ordinary statements.
"""

from collections import namedtuple
from collections.abc import Callable
from typing import Any, Self

import msgspec
from sqlalchemy import Connection, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.expression import Executable

from safeconduct.storage.engine import execute


class Prepared:
    """A statement whose values are given by name when it runs.

    Each method raises DBAPIError as SQLAlchemy does, and KeyError if a value is missing. Values are those of
    the columns' types, `bytes` for LargeBinary; a list cannot be bound (no `in_`).
    """

    def __init__(self, statement: Executable | Callable[[str], Executable]) -> None:
        """statement: a function of the dialect's name where the databases differ in words."""
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    @classmethod
    def insert(cls, table: Table, *names: str) -> Self:
        """Returns the statement that inserts a row with these columns, whose values have their names."""
        return cls(table.insert().values(_bound(names)))

    @classmethod
    def insert_once(cls, table: Table, *names: str) -> Self:
        """As `insert`; nothing is inserted, and `run` returns 0, if one of the row's unique keys is there."""

        def statement(dialect: str) -> Executable:
            words = postgresql.insert if dialect == "postgresql" else sqlite.insert
            return words(table).values(_bound(names)).on_conflict_do_nothing()

        return cls(statement)

    def first(self, connection: Connection, **values: Any) -> Any:
        """Returns the first row as a named tuple, None without one."""
        compiled = self._for(connection)
        row = self._run(connection, compiled, values).fetchone()
        return None if row is None else compiled.row(row)

    def all(self, connection: Connection, **values: Any) -> list[Any]:
        """Returns all rows as named tuples."""
        compiled = self._for(connection)
        return [compiled.row(row) for row in self._run(connection, compiled, values).fetchall()]

    def run(self, connection: Connection, **values: Any) -> int:
        """Returns how many rows were inserted, updated or deleted."""
        count: int = self._run(connection, self._for(connection), values).rowcount
        return count

    def _for(self, connection: Connection) -> "_Compiled":
        return self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)

    def _compile(self, dialect: Dialect) -> "_Compiled":
        statement = self._statement
        if not isinstance(statement, Executable):
            statement = statement(dialect.name)
        compiled = self._compiled[dialect.name] = _compile(statement, dialect)
        return compiled

    def _run(self, connection: Connection, compiled: "_Compiled", values: dict[str, Any]) -> Any:
        return execute(connection, compiled.sql, compiled.parameters(values))


class _Compiled(msgspec.Struct, frozen=True):
    """The words for one kind of database, how it takes values, and what makes a row of its answer."""

    sql: str
    parameters: Callable[[dict[str, Any]], Any]
    row: Callable[[Any], Any]


def _compile(statement: Any, dialect: Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect)
    fixed = {name: bound.value for bound, name in compiled.bind_names.items() if not bound.required}
    return _Compiled(str(compiled), _parameters(compiled.positiontup, fixed), _row(statement, dialect))


def _parameters(order: list[str] | None, fixed: dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
    """order: of the values, if they are not bound by name. fixed: values that stand in the statement."""
    if order is None:
        return lambda values: {**fixed, **values}
    if fixed:
        return lambda values: _in_order({**fixed, **values}, order)
    return lambda values: _in_order(values, order)


def _in_order(values: dict[str, Any], order: list[str]) -> list[Any]:
    return [values[name] for name in order]


def _row(statement: Any, dialect: Dialect) -> Callable[[Any], Any]:
    columns = list(getattr(statement, "exported_columns", ()))
    if not columns:
        return tuple
    named: Any = namedtuple("Row", [column.key for column in columns])  # type: ignore[misc]
    converters = [
        (place, converter)
        for place, column in enumerate(columns)
        if (converter := column.type.dialect_impl(dialect).result_processor(dialect, None))
    ]

    def convert(row: Any) -> Any:
        values = list(row)
        for place, converter in converters:
            values[place] = converter(values[place])
        return named._make(values)

    return convert if converters else named._make


def _bound(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: bindparam(name) for name in names}
