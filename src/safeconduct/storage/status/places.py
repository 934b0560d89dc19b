"""Places in status lists: each is given once, and which ones tells nothing about when or to whom.

A credential names its place for whoever checks it. Consecutive places would tell that two credentials were
issued together, so they are drawn at random; a list of which half is taken is left for a new one, so that
drawing stays quick.
"""

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, select, update

from safeconduct.ids import Random
from safeconduct.storage.database import Database
from safeconduct.storage.status.tables import status, status_lists
from safeconduct.storage.upsert import insert_once

STOCK = 64
"""Places that a process takes at once for one issuer. One that dies wastes those that it had left."""

_VALID = 0
_LIST_ID_BYTES = 16
_DRAW_BYTES = 8


class StatusIndex(msgspec.Struct, frozen=True, array_like=True):
    """A place in a status list."""

    list_id: str
    idx: int


class StatusStock:
    """Places that this process has taken for its next credentials; whoever draws one has it alone."""

    def __init__(
        self, database: Database, tenant: str, *, size: int, random: Random = secrets.token_bytes
    ) -> None:
        """size: places of a new list."""
        self._database = database
        self._tenant = tenant
        self._size = size
        self._random = random
        self._stock: list[StatusIndex] = []

    async def draw(self, count: int, *, now: int) -> tuple[StatusIndex, ...]:
        """Returns `count` places that no one else has or will get."""
        while len(self._stock) < count:
            fresh = await self._database.run(
                take_status_index, self._tenant, max(STOCK, count), self._random, size=self._size, now=now
            )
            self._stock.extend(fresh)
        drawn, self._stock = self._stock[:count], self._stock[count:]
        return tuple(drawn)

    def put_back(self, places: Sequence[StatusIndex]) -> None:
        """Takes places back that were drawn, and of which it is certain that no credential names them."""
        self._stock.extend(places)


def take_status_index(
    connection: Connection, tenant: str, count: int, random: Random, *, size: int, now: int
) -> list[StatusIndex]:
    """Takes `count` free places at random, each for ever; size: places of a new list."""
    taken: list[StatusIndex] = []
    while len(taken) < count:
        current = _open_list(connection, tenant, random, size=size, now=now)
        room = min(count - len(taken), current.size // 2 - current.taken)
        places = _take(connection, current, room, random)
        connection.execute(
            update(status_lists)
            .where(status_lists.c.id == current.id)
            .values(taken=status_lists.c.taken + len(places))
        )
        taken += places
    return taken


def assign(connection: Connection, places: Sequence[StatusIndex], issued_id: str) -> None:
    """Notes which delivery the places went to, for who wants to change their status."""
    for place in places:
        connection.execute(
            update(status)
            .where(status.c.list_id == place.list_id, status.c.idx == place.idx)
            .values(issued_id=issued_id)
        )


def forget_issued(connection: Connection, issued_ids: Select[tuple[str]]) -> None:
    """Erases which deliveries the places went to; the places stay taken.

    issued_ids: selects the deliveries.
    """
    connection.execute(update(status).where(status.c.issued_id.in_(issued_ids)).values(issued_id=None))


def _open_list(connection: Connection, tenant: str, random: Random, *, size: int, now: int) -> Any:
    columns = (status_lists.c.id, status_lists.c.size, status_lists.c.taken)
    query = (
        select(*columns)
        .where(status_lists.c.tenant == tenant, 2 * (status_lists.c.taken + 1) <= status_lists.c.size)
        .order_by(status_lists.c.created_at.desc(), status_lists.c.id)
        .limit(1)
    )
    found = connection.execute(query).first()
    if found is not None:
        return found
    connection.execute(
        status_lists.insert().values(
            id=random(_LIST_ID_BYTES).hex(), tenant=tenant, size=size, taken=0, created_at=now
        )
    )
    return connection.execute(query).one()


def _take(connection: Connection, current: Any, count: int, random: Random) -> list[StatusIndex]:
    places: list[StatusIndex] = []
    while len(places) < count:
        idx = (
            int.from_bytes(random(_DRAW_BYTES), "big") % current.size
        )  # sizes are small: no bias to speak of
        row = {"list_id": current.id, "idx": idx, "value": _VALID}
        if insert_once(connection, status, row):
            places.append(StatusIndex(current.id, idx))
    return places
