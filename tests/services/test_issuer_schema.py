"""The issuer's tables in a migrated database are those that its queries are written for."""

import asyncio
from pathlib import Path

import pytest

from safeconduct.services.issuer.tables import metadata
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER, differences


@pytest.mark.parametrize("backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_the_schema_is_that_of_the_migrations(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    postgresql = backend == "postgresql"
    url = str(request.getfixturevalue("postgres_url")) if postgresql else f"sqlite:///{tmp_path}/issuer.db"

    async def compare() -> list[object]:
        async with await Database.open(url, branch=ISSUER) as database:
            return await database.run(lambda connection: differences(connection, metadata, prefix="issuer_"))

    assert asyncio.run(compare()) == []
