"""Claims from a table on PostgreSQL, whose columns hold more than SQLite's."""

import asyncio

import pytest
from sqlalchemy import Connection, text

from safeconduct.services.issuer.sources import ClaimRequest, SqlClaims, SqlSource
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER as BRANCH


@pytest.mark.postgres
def test_a_column_of_many_values_becomes_json_to_the_last(postgres_url: str) -> None:
    """Dates in arrays, and a number that is none, passed for claims and ended in an error of the server."""

    def fill(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE person (id text, days date[], marks numeric[], ratio float8)"))
        connection.execute(text("INSERT INTO person VALUES ('erika', '{2000-01-01,NULL}', '{1.50}', 'NaN')"))

    async def main() -> None:
        async with await Database.open(postgres_url, branch=BRANCH) as database:
            await database.run(fill)
        source = SqlClaims(SqlSource(url=postgres_url, table="person", key="id"))
        try:
            found = await source.claims(
                ClaimRequest(configuration_id="identity", subject="erika", own_reference=None)
            )
        finally:
            await source.close()
        assert found == {"days": ["2000-01-01", None], "marks": ["1.50"], "ratio": "nan"}

    asyncio.run(main())
