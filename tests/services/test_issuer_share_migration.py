"""The tables of shares come while the version before is still at work, and change nothing for it."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.unit.services.issuer.share_stage import NOW, TENANT, Stage

from safeconduct.services.issuer import grant_store, management_store
from safeconduct.services.issuer.paging import Page, Span
from safeconduct.storage import Database
from safeconduct.storage.engine import open_backend
from safeconduct.storage.migrations import ISSUER, Branch, upgrade

BEFORE = "r0005"
GRANT = {
    "tenant": TENANT,
    "state": "pending",
    "configuration_ids": '["car"]',
    "attempts_left": 5,
    "created_at": NOW,
    "expires_at": NOW + 600,
}
ISSUED = {
    "tenant": TENANT,
    "configuration_id": "car",
    "count": 1,
    "state": "delivered",
    "issued_at": NOW,
    "purge_at": NOW + 86400,
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/issuer.db"
    return str(request.getfixturevalue("postgres_url"))


def branch_before(folder: Path) -> Branch:
    """Returns the branch as the version before has it."""
    folder.mkdir()
    for script in ISSUER.scripts.glob("r[0-9]*_*.py"):
        if script.name.partition("_")[0] <= BEFORE:
            shutil.copy(script, folder)
    return Branch(ISSUER.name, folder)


class VersionBefore:
    """Reads and writes the tables with the columns that it knows of."""

    def __init__(self, url: str) -> None:
        self.engine = open_backend(url).engine
        known = sa.MetaData()
        known.reflect(self.engine, only=["issuer_grants", "issuer_issued"])
        self.grants, self.issued = known.tables["issuer_grants"], known.tables["issuer_issued"]

    def write(self, name: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(self.grants.insert().values(id=name, code_digest=name.encode(), **GRANT))
            connection.execute(self.issued.insert().values(id=name, **ISSUED))

    def read(self) -> tuple[list[Any], list[Any]]:
        with self.engine.connect() as connection:
            grants = connection.execute(sa.select(self.grants.c.id).order_by(self.grants.c.id))
            issued = connection.execute(sa.select(self.issued).order_by(self.issued.c.id))
            return list(grants.scalars()), [row.id for row in issued]


def test_the_version_before_works_on(url: str, tmp_path: Path) -> None:
    upgrade(url, branch_before(tmp_path / "before"))
    before = VersionBefore(url)
    assert "share_id" not in before.grants.c
    before.write("early")
    upgrade(url, ISSUER)
    before.write("late")
    assert before.read() == (["early", "late"], ["early", "late"])
    before.engine.dispose()

    async def main() -> None:
        async with await Database.open(url, branch=ISSUER) as database:
            rows = [await database.run(grant_store.grant_by_id, name) for name in ("early", "late")]
            assert [row.share_id for row in rows] == [None, None]
            named: dict[str, Any] = {"configuration_id": None, "reference": None, "span": Span()}
            found = await database.run(management_store.find_issued, TENANT, **named, page=Page())
            assert {view.issued_id for view in found} == {"early", "late"}
            stage = Stage(database.run_sync)
            await asyncio.to_thread(lambda: stage.receive(stage.share(stage.original())))

    asyncio.run(main())


def test_it_is_the_migration_that_brings_shares(url: str, tmp_path: Path) -> None:
    upgrade(url, branch_before(tmp_path / "before"))
    engine = open_backend(url).engine
    assert not sa.inspect(engine).has_table("issuer_shares")
    engine.dispose()
