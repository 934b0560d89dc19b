"""What status lists give away: of a batch, of the time of issuance, of how many are revoked."""

import asyncio
import secrets
from collections import Counter
from typing import Any

from sqlalchemy import Connection

from safeconduct.ids import Random
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER as BRANCH
from safeconduct.storage.status.places import (
    OPEN_LISTS,
    StatusIndex,
    _open_lists,
    assign,
    change_standing,
    read_lists,
    take_status_index,
)

TENANT = "https://issuer.example"
SIZE = 1 << 16
BATCHES, EACH = 200, 5


def _in_database(work: Any) -> Any:
    async def main() -> Any:
        async with await Database.open("sqlite://", branch=BRANCH) as database:
            return await database.run(work)

    return asyncio.run(main())


def _batches(connection: Connection, random: Random, open_lists: int = OPEN_LISTS) -> list[list[StatusIndex]]:
    return [
        take_status_index(connection, TENANT, EACH, random, size=SIZE, now=0, open_lists=open_lists)
        for _ in range(BATCHES)
    ]


def _neighbours(batches: list[list[StatusIndex]]) -> int:
    """Pairs of one batch that stand in one list within a hundredth of it."""
    return sum(
        one.list_id == other.list_id and abs(one.idx - other.idx) < SIZE // 100
        for batch in batches
        for place, one in enumerate(batch)
        for other in batch[:place]
    )


def _shares(batches: list[list[StatusIndex]]) -> float:
    """The share of pairs of one batch that stand in one list."""
    pairs = [
        one.list_id == other.list_id
        for batch in batches
        for place, one in enumerate(batch)
        for other in batch[:place]
    ]
    return sum(pairs) / len(pairs)


def test_places_of_a_batch_tell_nothing_of_one_another() -> None:
    """Of 2000 pairs within batches, as many stand together as of pairs drawn from anywhere."""
    batches = _in_database(lambda connection: _batches(connection, secrets.token_bytes))
    strangers = [
        list(one) for one in zip(*[batches[shift:] + batches[:shift] for shift in range(5)], strict=True)
    ]
    mixed = [[batch[place] for place, batch in enumerate(group)] for group in strangers]
    # 2000 pairs, each together with 1/4: 0.25 give or take 0.06 is missed once in 10^9 runs.
    assert abs(_shares(batches) - 1 / OPEN_LISTS) < 0.06
    assert abs(_shares(mixed) - 1 / OPEN_LISTS) < 0.06
    assert _neighbours(batches) < 40  # 10 are expected


def test_the_search_finds_places_that_follow_one_another() -> None:
    """With one list and places in their order, neighbours are everywhere: the test above can fail."""
    count = iter(range(1 << 20))
    batches = _in_database(
        lambda connection: _batches(connection, lambda length: next(count).to_bytes(length, "big"), 1)
    )
    assert _shares(batches) == 1
    assert _neighbours(batches) == BATCHES * EACH * (EACH - 1) // 2


def test_lists_end_at_different_times() -> None:
    """A list that ends tells when the last of its credentials was made: others overlap that time."""

    def fill(connection: Connection) -> tuple[list[StatusIndex], set[str]]:
        taken = take_status_index(connection, TENANT, 6_000, secrets.token_bytes, size=1024, now=0)
        return taken, {one.id for one in _open_lists(connection, TENANT)}

    places, unended = _in_database(fill)
    assert len(unended) <= OPEN_LISTS
    spans: dict[str, list[int]] = {}
    for moment, place in enumerate(places):
        spans.setdefault(place.list_id, [moment, moment])[1] = moment
    for list_id in unended & spans.keys():
        spans[list_id][1] = len(places)  # it goes on, with whatever comes next
    for list_id, (begin, end) in spans.items():
        others = [span for name, span in spans.items() if name != list_id]
        assert sum(first <= end and begin <= last for first, last in others) >= OPEN_LISTS - 1
    ends = sorted(end for name, (_, end) in spans.items() if name not in unended)
    assert len(ends) > 2 * OPEN_LISTS
    assert len(set(ends)) == len(ends)


def test_the_revoked_cannot_be_counted() -> None:
    """Two issuers with equally many revoked publish different numbers, and none that is the true one."""

    def revoked(connection: Connection, decoys: int) -> tuple[int, int]:
        batches = _batches(connection, secrets.token_bytes)
        for number, batch in enumerate(batches):
            assign(connection, batch, f"delivery-{number}")
        before = _set(connection)
        for number in range(50):
            change_standing(connection, f"delivery-{number}", "invalid", secrets.token_bytes, decoys=decoys)
        return before, _set(connection) - before

    rounds = [_in_database(lambda connection: revoked(connection, 2)) for _ in range(4)]
    assert len({before for before, _ in rounds}) > 1  # also before anything is revoked
    assert len({more for _, more in rounds}) > 1
    assert all(more > 250 for _, more in rounds)
    # Without decoys it is 250 exactly: the search finds what it should.
    assert _in_database(lambda connection: revoked(connection, 0))[1] == 250


def test_a_list_says_neither_what_is_taken_nor_what_was_set_aside() -> None:
    """What is published of a list with many credentials and of one with none differs in decoys alone."""

    def values(connection: Connection) -> Counter[int]:
        _batches(connection, secrets.token_bytes)
        return Counter(value for row in read_lists(connection, TENANT) for value in row.set.values())

    assert set(_in_database(values)) <= {1}


def _set(connection: Connection) -> int:
    return sum(len(row.set) for row in read_lists(connection, TENANT))
