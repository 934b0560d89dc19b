"""Which deltas there are, and which of them to take."""

import itertools
import json
from typing import Any

import pytest

from safeconduct import limits
from safeconduct.errors import Malformed
from safeconduct.status.compact import pack_updates
from safeconduct.status.compact.pack_updates import KEPT, Step, Updates


def _history(newest: int, *, size: int = 100) -> Updates:
    steps = [Step(start, end, size) for end in range(2, newest + 1) for start, end in pack_updates.due(end)]
    return Updates(newest, 1_000_000, tuple(pack_updates.kept(steps)))


def test_the_document_comes_back() -> None:
    updates = _history(40)

    assert pack_updates.parse(updates.encode()) == updates
    assert json.loads(updates.encode())["deltas"][0] == [39, 40, 100]


def test_each_version_comes_with_a_step_and_round_ones_with_longer_ones() -> None:
    assert pack_updates.due(1) == []
    assert pack_updates.due(2) == [(1, 2)]
    assert pack_updates.due(16) == [(15, 16)]
    assert pack_updates.due(32) == [(31, 32), (16, 32)]
    assert pack_updates.due(512) == [(511, 512), (496, 512), (256, 512)]


def test_the_way_goes_over_the_longest_deltas() -> None:
    way = _history(1030).way(777)

    assert way is not None
    starts = [step.start for step in way]
    assert starts[0] == 777
    assert way[-1].end == 1030
    assert all(one.end == other.start for one, other in itertools.pairwise(way))
    assert {step.end - step.start for step in way} == {1, 16}
    assert len(way) == 7 + 15 + 6  # to 784, over 16 each to 1024, to 1030
    again = _history(1030).way(512)
    assert again is not None
    assert [step.end - step.start for step in again] == [256, 256, *[1] * 6]


def test_of_two_ways_the_one_of_fewer_bytes_is_taken() -> None:
    steps = (Step(1, 2, 10), Step(2, 3, 10), Step(1, 3, 25))

    assert Updates(3, 1000, steps).way(1) == steps[:2]
    assert Updates(3, 1000, (*steps, Step(1, 3, 19))).way(1) == (Step(1, 3, 19),)


def test_the_whole_pack_is_taken_where_it_is_shorter_or_the_only_way() -> None:
    steps = (Step(1, 2, 600), Step(2, 3, 600))

    assert Updates(3, 1000, steps).way(1) is None
    assert Updates(3, 1000, steps).way(2) == steps[1:]
    assert _history(600).way(1) is None  # too long ago
    assert Updates(3, 1000, ()).way(2) is None


def test_the_newest_of_each_span_stay() -> None:
    steps = _history(3000).steps

    spans = [step.end - step.start for step in steps]
    assert {span: spans.count(span) for span in KEPT} == {**KEPT, 256: 10}
    assert len(steps) < limits.PACK_DELTAS


@pytest.mark.parametrize("name", ["status", "a", "A-b_9", "x" * 64])
def test_a_name_can_be_part_of_a_file(name: str) -> None:
    assert pack_updates.is_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "-a", "_a", "a/b", "a.b", "é", "a\n", "x" * 65])
def test_and_nothing_else_is_one(name: str) -> None:
    assert not pack_updates.is_name(name)


DELTA = [1, 2, 5]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        {"version": 2, "bytes": 9},
        {"version": 0, "bytes": 9, "deltas": []},
        {"version": 2, "bytes": 0, "deltas": []},
        {"version": "2", "bytes": 9, "deltas": []},
        {"version": 2, "bytes": 9, "deltas": [[1, 2, 0]]},
        {"version": 2, "bytes": 9, "deltas": [[1, 2, -5]]},
        {"version": 2, "bytes": 9, "deltas": [[1, 1, 5]]},
        {"version": 2, "bytes": 9, "deltas": [[0, 2, 5]]},
        {"version": 2, "bytes": 9, "deltas": [["../1", 2, 5]]},
        {"version": 2, "bytes": 9, "deltas": [DELTA] * (limits.PACK_DELTAS + 1)},
    ],
)
def test_a_document_that_breaks_its_format_is_refused(document: Any) -> None:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()

    with pytest.raises(Malformed) as refused:
        pack_updates.parse(data)
    assert refused.value.code == "pack_updates_malformed"
