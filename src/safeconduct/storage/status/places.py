"""Places in status lists: each is given once, and which ones tells nothing about when or to whom.

A credential names its place for whoever checks it. Consecutive places would tell that two credentials were
issued together, and one list at a time would tell when; so several lists are open at once, and each place is
drawn by itself: first the list, then the place in it. A list is left for a new one when a quarter to a half
of it is taken, the one earlier, the other later, so that no two cover the same time; and half of it stays
free, so that drawing stays quick and nobody can count what was issued.

Some places that nobody has are revoked from the start, and more with each revocation: how many credentials
are revoked cannot be counted either.
"""

import secrets
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec
from sqlalchemy import Connection, Select, func, select, text, update

from safeconduct.errors import Rejected
from safeconduct.ids import Random
from safeconduct.storage.database import Database
from safeconduct.storage.status.tables import status, status_lists
from safeconduct.storage.turns import by_turns
from safeconduct.storage.upsert import insert_missing, insert_new

STOCK = 64
"""Places that a process takes at once for one issuer. One that dies wastes those that it had left."""

OPEN_LISTS = 4
"""Lists that are open at once. More spread a batch wider, but each is downloaded by whoever verifies."""

FREE_SHARE = 4
"""Up to the fourth part of a new list is set aside, so that lists do not end together."""

DECOY_SHARE = 1024
"""Up to so small a part of a new list is revoked from the start; each such place costs some two bytes."""

DECOYS = 2
"""Most decoys that are revoked with each credential."""

Standing = Literal["valid", "suspended", "invalid"]
"""How a credential stands."""

VALUES: Mapping[Standing, int] = {"valid": 0, "invalid": 1, "suspended": 2}
"""The value of each in a list (draft-ietf-oauth-status-list §7.1)."""

_VALID, _INVALID = VALUES["valid"], VALUES["invalid"]
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
        """size: places of a new list, of which `OPEN_LISTS` are open."""
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
    connection: Connection,
    tenant: str,
    count: int,
    random: Random,
    *,
    size: int,
    now: int,
    open_lists: int = OPEN_LISTS,
) -> list[StatusIndex]:
    """Takes `count` free places at random, each for ever.

    size: places of a new list. open_lists: how many of them are open at once. First in its transaction:
    whoever takes places of an issuer counts them in the same few rows, and so waits for those before.
    """
    by_turns(connection, f"status places of {tenant}".encode())
    current = _open_lists(connection, tenant)
    taken: list[StatusIndex] = []
    while len(taken) < count:
        while len(current) < open_lists:
            current.append(_new_list(connection, tenant, random, size=size, now=now))
        taken += _take(connection, current, count - len(taken), random)
        current = [one for one in current if one.has_room]
    for list_id, places in Counter(place.list_id for place in taken).items():
        _note_taken(connection, list_id, places)
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


def check_expressible(to: Standing, *, bits: int) -> None:
    """Checks that lists with so many bits a status can say it. Raises Rejected "status_not_expressible"."""
    if VALUES[to] >> bits:
        raise Rejected(
            "status_not_expressible",
            "The status lists have one bit for each credential: it can be revoked, not suspended.",
        )


def change_standing(
    connection: Connection, issued_id: str, to: Standing, random: Random, *, decoys: int = DECOYS
) -> int:
    """Changes how the credentials of one delivery stand; returns how many have changed.

    decoys: most places of nobody that are revoked with each credential that is.
    Raises Rejected "status_absent" (they have no places), StandingFinal "status_final" (revoked ones stay
    so).
    """
    held = connection.execute(select(status).where(status.c.issued_id == issued_id)).all()
    if not held:
        raise Rejected("status_absent", "The credential has no place in a status list.")
    if to != "invalid" and any(row.value == _INVALID for row in held):
        raise StandingFinal("status_final", "What is revoked stays revoked: issue a new credential.")
    changed = [row for row in held if row.value != VALUES[to]]
    connection.execute(update(status).where(status.c.issued_id == issued_id).values(value=VALUES[to]))
    if to == "invalid":
        for list_id, revoked in Counter(row.list_id for row in changed).items():
            _add_decoys(connection, list_id, _below(decoys * revoked + 1, random), random)
    return len(changed)


def standings(connection: Connection, issued_ids: Collection[str]) -> dict[str, Standing]:
    """Returns how the credentials of deliveries stand; those without places are not among them."""
    rows = connection.execute(
        select(status.c.issued_id, func.max(status.c.value).label("value"))
        .where(status.c.issued_id.in_(issued_ids))
        .group_by(status.c.issued_id)
    )
    return {row.issued_id: _STANDINGS[row.value] for row in rows}


class ListRow(msgspec.Struct, frozen=True):
    """A status list. set: the value of each place that is not valid, by index."""

    list_id: str
    size: int
    set: dict[int, int]


def read_lists(connection: Connection, tenant: str) -> list[ListRow]:
    """Returns all status lists of a tenant, by their ids."""
    rows = connection.execute(
        select(status_lists.c.id, status_lists.c.size)
        .where(status_lists.c.tenant == tenant)
        .order_by(status_lists.c.id)
    ).all()
    return [ListRow(row.id, row.size, _set(connection, row.id)) for row in rows]


class StandingFinal(Rejected):
    """The credential is revoked, and no change of that is possible."""

    http_status = 409


_STANDINGS: Mapping[int, Standing] = {value: name for name, value in VALUES.items()}


class _Open(msgspec.Struct):
    """A list while places are taken from it."""

    id: str
    size: int
    taken: int

    @property
    def has_room(self) -> bool:
        return 2 * (self.taken + 1) <= self.size


def _open_lists(connection: Connection, tenant: str) -> list[_Open]:
    rows = connection.execute(
        select(status_lists.c.id, status_lists.c.size, status_lists.c.taken)
        .where(status_lists.c.tenant == tenant, 2 * (status_lists.c.taken + 1) <= status_lists.c.size)
        .order_by(status_lists.c.id)
    )
    return [_Open(*row) for row in rows]


def _new_list(connection: Connection, tenant: str, random: Random, *, size: int, now: int) -> _Open:
    # What is set aside counts as taken though nobody has it: nothing else need be remembered.
    made = _Open(random(_LIST_ID_BYTES).hex(), size, _below(size // FREE_SHARE + 1, random))
    connection.execute(
        status_lists.insert().values(id=made.id, tenant=tenant, size=size, taken=made.taken, created_at=now)
    )
    _add_decoys(connection, made.id, _below(size // DECOY_SHARE + 1, random), random, size=size)
    return made


def _add_decoys(
    connection: Connection, list_id: str, count: int, random: Random, *, size: int | None = None
) -> None:
    """Revokes up to `count` places of nobody."""
    if count == 0:
        return
    if size is None:
        known = select(status_lists.c.size).where(status_lists.c.id == list_id)
        size = int(connection.execute(known).scalar_one())
    rows = [{"list_id": list_id, "idx": _below(size, random), "value": _INVALID} for _ in range(count)]
    insert_missing(connection, status, rows)


def _take(connection: Connection, current: Sequence[_Open], count: int, random: Random) -> list[StatusIndex]:
    """Takes up to `count` places: fewer where some were taken before, or when a list has no more room."""
    drawn: dict[StatusIndex, _Open] = {}
    while len(drawn) < count:
        one = current[_below(len(current), random)]
        place = StatusIndex(one.id, _below(one.size, random))
        if place not in drawn:
            drawn[place] = one
            one.taken += 1
        if not one.has_room:
            break
    rows = [{"list_id": place.list_id, "idx": place.idx, "value": _VALID} for place in drawn]
    free = insert_new(connection, status, rows)
    for place, one in drawn.items():
        one.taken -= (place.list_id, place.idx) not in free
    return [place for place in drawn if (place.list_id, place.idx) in free]


def _note_taken(connection: Connection, list_id: str, places: int) -> None:
    connection.execute(
        update(status_lists).where(status_lists.c.id == list_id).values(taken=status_lists.c.taken + places)
    )


def _below(end: int, random: Random) -> int:
    """A number from 0 on; ends are small beside what is drawn: no bias to speak of."""
    return int.from_bytes(random(_DRAW_BYTES), "big") % end


def _set(connection: Connection, list_id: str) -> dict[int, int]:
    # The condition is written as the index has it, or the index is not used.
    rows = connection.execute(
        select(status.c.idx, status.c.value).where(status.c.list_id == list_id, status.c.value != text("0"))
    )
    return {row.idx: row.value for row in rows}
