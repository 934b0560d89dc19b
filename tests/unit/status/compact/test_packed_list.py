"""One list within a pack."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct.errors import Malformed
from safeconduct.status.compact import hashed, packed_list
from safeconduct.status.compact.packed_list import WHENEVER, PackedList

Entries = dict[str, int | None]


def _coded(entries: Entries, *, low_bits: int = 32, buckets: int | None = None) -> bytes:
    wide = buckets or max(len(entries), 1)
    found = packed_list.entries_of(hashed.records(entries), buckets=wide, low_bits=low_bits)
    return packed_list.encode(found, method="rid", at_most=len(entries), buckets=wide, low_bits=low_bits)


def _open(data: bytes) -> PackedList:
    view = memoryview(data)
    return PackedList(lambda begin, end: view[begin:end], at=0, length=len(data))


TIMES = st.one_of(st.none(), st.integers(1, 2**32 - 2))


@given(st.dictionaries(st.text("abcXYZ019_-", min_size=1, max_size=24), TIMES), st.sampled_from([8, 32, 64]))
def test_each_identifier_has_the_time_of_its_entry(entries: Entries, low_bits: int) -> None:
    opened = _open(_coded(entries, low_bits=low_bits))

    for identifier, time in entries.items():
        reach = opened.reach(hashed.prefix(identifier))
        wanted = WHENEVER if time is None else time
        assert reach == wanted if low_bits == 64 else (reach or 0) >= wanted


def test_a_few_times_take_a_few_bits_and_one_takes_none() -> None:
    plain = {f"rid{number}": None for number in range(1000)}
    timed = dict.fromkeys(plain, 1_643_950_799)
    several = {rid: 1_643_950_799 + number % 54 for number, rid in enumerate(plain)}

    assert len(_coded(timed)) == len(_coded(plain))
    assert len(_coded(several)) - len(_coded(plain)) <= 1000 * 6 / 8 + 54 * 8 + 8


@pytest.mark.parametrize("turned", [False, True])
def test_of_entries_that_fall_together_the_one_that_revokes_more_stays(turned: bool) -> None:
    record = hashed.records({"x": None})[:12]
    times = [5, 9, hashed.ALWAYS] if not turned else [hashed.ALWAYS, 9, 5]
    records = b"".join(record + time.to_bytes(4, "big") for time in times)

    found = list(packed_list.entries_of(records, buckets=1, low_bits=32))

    assert [reach for _, reach in found] == [WHENEVER]


def test_a_time_beyond_32_bits_covers_all_cards_and_one_of_zero_none() -> None:
    opened = _open(_coded({"late": 10**14, "never": 0}))

    assert opened.reach(hashed.prefix("late")) == WHENEVER
    assert opened.reach(hashed.prefix("never")) == 1


def test_equal_entries_give_equal_bytes() -> None:
    entries: Entries = {f"rid{number}": number or None for number in range(100)}
    turned = dict(reversed(entries.items()))

    assert _coded(entries) == _coded(turned)


def test_an_empty_list_revokes_nothing() -> None:
    opened = _open(_coded({}))

    assert opened.reach(hashed.prefix("any")) is None
    assert list(opened.entries()) == []


def test_one_is_lossy_and_one_of_64_bits_is_not() -> None:
    assert _open(_coded({"x": None})).lossy
    assert not _open(_coded({"x": None}, low_bits=64)).lossy


@pytest.mark.parametrize("at", range(24))
def test_a_head_that_is_altered_is_refused_or_says_nothing_else(at: int) -> None:
    data = bytearray(_coded({f"rid{number}": number or None for number in range(100)}))
    data[at] ^= 0x55

    with pytest.raises(Malformed) as refused:
        list(_open(bytes(data)).entries())
    assert refused.value.code == "pack_malformed"


@pytest.mark.parametrize("low_bits", [8, 64])
def test_a_list_whose_tables_lie_is_malformed_when_it_is_read_whole(low_bits: int) -> None:
    """Only its mirror can make one; who follows it by deltas reads all entries."""
    entries = {f"rid{number}": number % 5 + 1 for number in range(300)}
    data = _coded(entries, low_bits=low_bits)
    codes = []
    for at in range(len(data)):
        for value in (0, 0xFF, data[at] ^ 1):
            try:
                assert len([*_open(data[:at] + bytes([value]) + data[at + 1 :]).entries()]) <= 300
            except Malformed as error:
                codes.append(error.code)
    assert len(codes) > 50
    assert set(codes) == {"pack_malformed"}
