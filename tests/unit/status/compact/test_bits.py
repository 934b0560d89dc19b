"""Numbers side by side in a fixed width."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct.status.compact import bits


def test_the_first_number_stands_in_the_lowest_bits() -> None:
    assert bits.write([1, 2, 3], 4) == b"\x21\x03"
    assert bits.write([0x0102], 16) == b"\x02\x01"


@given(
    st.integers(1, 64).flatmap(
        lambda width: st.tuples(st.just(width), st.lists(st.integers(0, 2**width - 1)))
    )
)
def test_numbers_of_any_width_come_back(case: tuple[int, list[int]]) -> None:
    width, numbers = case
    data = bits.write(numbers, width)

    assert len(data) == bits.size(width, len(numbers))
    assert list(bits.read(data, width, count=len(numbers))) == numbers
    for place, number in enumerate(numbers):
        begin = place * width
        part = data[begin >> 3 : (begin + width + 7) >> 3]
        assert bits.at(part, begin & 7, width) == number


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 200])
def test_numbers_of_no_width_take_no_place(count: int) -> None:
    assert bits.write([0] * count, 0) == b""
    assert list(bits.read(b"", 0, count=count)) == [0] * count
