"""Sorted numbers in Elias-Fano code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct.errors import Malformed
from safeconduct.status.compact import elias_fano
from safeconduct.status.compact.elias_fano import GROUP, SortedNumbers


def _coded(numbers: list[int], *, buckets: int, low_bits: int) -> bytes:
    made = elias_fano.encode(numbers, at_most=len(numbers) + 5, buckets=buckets, low_bits=low_bits)
    assert made.count == len(numbers)
    return made.ranks + made.upper + made.low


def _open(data: bytes, *, count: int, buckets: int, low_bits: int) -> SortedNumbers:
    view = memoryview(data)
    opened = SortedNumbers(
        lambda begin, end: view[begin:end], at=0, count=count, buckets=buckets, low_bits=low_bits
    )
    assert opened.end == len(data)
    return opened


def test_the_bytes_are_those_of_the_documented_form() -> None:
    # Three buckets of 256: 1 and 2 in the first, none in the second, 513 in the third.
    data = _coded([1, 2, 513], buckets=3, low_bits=8)

    ranks = (0).to_bytes(4, "little") + (3).to_bytes(4, "little")
    upper = 0b010_011.to_bytes(8, "little")  # 11 0 | 0 | 1 0, the first bit lowest
    assert data == ranks + upper + bytes([1, 2, 1]) + bytes(5)


@st.composite
def _sets(draw: st.DrawFn) -> tuple[list[int], int, int]:
    low_bits = draw(st.sampled_from([8, 13, 16, 32, 33, 64]))
    buckets = draw(st.integers(1, 3 * GROUP))
    most = (buckets << low_bits) - 1
    return sorted(draw(st.sets(st.integers(0, most), max_size=600))), buckets, low_bits


@given(_sets())
def test_what_was_coded_comes_back_and_is_found_in_its_place(case: tuple[list[int], int, int]) -> None:
    numbers, buckets, low_bits = case
    opened = _open(
        _coded(numbers, buckets=buckets, low_bits=low_bits),
        count=len(numbers),
        buckets=buckets,
        low_bits=low_bits,
    )

    assert list(opened) == numbers
    assert [opened.rank(number) for number in numbers] == list(range(len(numbers)))
    beside = {near for number in numbers for near in (number - 1, number + 1)} | {0}
    absent = [near for near in beside - set(numbers) if 0 <= near < buckets << low_bits]
    assert {opened.rank(near) for near in absent} <= {None}


@pytest.mark.parametrize("bucket", [0, 1, GROUP // 2, GROUP - 1, GROUP, 2 * GROUP + 7])
def test_a_bucket_that_holds_everything_is_searched_as_well(bucket: int) -> None:
    numbers = [(bucket << 16) + 3 * low for low in range(5000)]
    buckets = 2 * GROUP + 8
    opened = _open(_coded(numbers, buckets=buckets, low_bits=16), count=5000, buckets=buckets, low_bits=16)

    assert [opened.rank(number) for number in numbers[::50]] == list(range(0, 5000, 50))
    assert {opened.rank(number + 1) for number in numbers} == {None}


def test_with_as_many_buckets_as_numbers_each_takes_two_bits_more_than_its_lower_part() -> None:
    count = 100_000
    numbers = [place << 32 for place in range(count)]

    data = _coded(numbers, buckets=count, low_bits=32)

    assert len(data) * 8 / count < 34.2


def test_tables_that_do_not_fit_together_are_refused() -> None:
    data = bytearray(_coded([1, 2, 513], buckets=3, low_bits=8))
    data[4] = 9  # more numbers than there are

    with pytest.raises(Malformed) as refused:
        _open(bytes(data), count=3, buckets=3, low_bits=8).rank(1)
    assert refused.value.code == "pack_malformed"
