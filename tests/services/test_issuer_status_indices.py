"""Places in status lists are given once, by processes and threads at once, on either kind of database."""

import asyncio
import itertools
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER
from safeconduct.storage.status.places import StatusIndex, read_lists, take_status_index
from safeconduct.storage.status.tables import status, status_lists

TENANT = "https://issuer.example"
NOW = 1_800_000_000
SIZE = 1024
TAKERS, ROUNDS, EACH = 6, 8, 17


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/issuer.db"
    return str(request.getfixturevalue("postgres_url"))


def _taken(opened: Database) -> list[StatusIndex]:
    return opened.run_sync(take_status_index, TENANT, EACH, secrets.token_bytes, size=SIZE, now=NOW)


def test_each_place_is_given_once(database: str) -> None:
    """Each taker has its own connections, as processes have, and takes while the others do."""

    async def open_all() -> list[Database]:
        return [await Database.open(database, branch=ISSUER) for _ in range(TAKERS)]

    takers = asyncio.run(open_all())
    try:
        with ThreadPoolExecutor(TAKERS) as pool:
            batches = list(pool.map(_taken, takers * ROUNDS))
        places = list(itertools.chain.from_iterable(batches))
        assert len(places) == len(set(places)) == TAKERS * ROUNDS * EACH

        def counted(connection: Any) -> tuple[int, int]:
            rows = select(func.count()).select_from(status).where(status.c.value == 0)
            noted = select(func.sum(status_lists.c.taken))
            return connection.execute(rows).scalar_one(), connection.execute(noted).scalar_one()

        given, noted = takers[0].run_sync(counted)
        assert given == len(places) <= noted  # which counts what was set aside as well
    finally:
        for taker in takers:
            asyncio.run(taker.close())


@pytest.mark.postgres
def test_takers_wait_for_each_other_and_lose_no_race(postgres_url: str) -> None:
    """With one attempt for each transaction, none of them fails, also while lists are read and left."""

    async def open_all() -> list[Database]:
        return [await Database.open(postgres_url, branch=ISSUER) for _ in range(TAKERS + 1)]

    *takers, reader = asyncio.run(open_all())
    try:
        for taker in takers:
            taker._backend = msgspec.structs.replace(taker._backend, attempts=1)
        with ThreadPoolExecutor(2 * TAKERS) as pool:
            taking = pool.map(_taken, takers * ROUNDS)
            reading = pool.map(lambda _: reader.run_sync(read_lists, TENANT), range(ROUNDS))
            places = list(itertools.chain.from_iterable(taking))
            assert len(places) == len(set(places)) == TAKERS * ROUNDS * EACH
            assert all(len(row.set) <= row.size for rows in reading for row in rows)
    finally:
        for opened in (*takers, reader):
            asyncio.run(opened.close())
