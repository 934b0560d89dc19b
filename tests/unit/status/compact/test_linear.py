"""Static functions: exact on their elements, as good as random elsewhere, hardly larger than their values."""

import random

import pytest

from safeconduct.status.compact.linear import WIDTH, Rows, fingerprints, slots_for, values

SEED = bytes(range(32))
PURPOSE = b"test"


def names(count: int, of: str = "element") -> list[bytes]:
    return [f"{of} {number}".encode() for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 100, 5000])
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_each_element_has_its_value(count: int, bits: int) -> None:
    draw = random.Random(count)  # noqa: S311 - the same values in every run
    wanted = {name: draw.getrandbits(bits) for name in names(count)}

    function = values(wanted, rows=(SEED, PURPOSE), bits=bits)

    assert {name: function.value(name) for name in wanted} == wanted


@pytest.mark.parametrize("bits", [0, 1, 6])
def test_each_element_agrees_and_others_once_in_two_to_the_bits(bits: int) -> None:
    function = fingerprints(names(3000), rows=(SEED, PURPOSE), bits=bits)

    others = sum(map(function.agrees, names(20_000, "other")))

    assert all(map(function.agrees, names(3000)))
    assert others == pytest.approx(20_000 / 2**bits, rel=0.2)


def test_a_function_is_hardly_larger_than_its_values() -> None:
    function = values(dict.fromkeys(names(20_000), 1), rows=(SEED, PURPOSE), bits=1)

    assert len(function.columns) <= 20_000 / 8 * 1.03
    assert len(function.exceptions) <= 2


def test_no_elements_take_no_room() -> None:
    function = values({}, rows=(SEED, PURPOSE), bits=1)

    assert (function.bits, function.columns, function.value(b"anything")) == (0, b"", 0)


def crafted(rows: Rows, *, first: int, count: int) -> list[bytes]:
    """Elements whose rows all begin in a few slots, as only who knows the seed can find them."""
    return [name for name in names(count) if first <= rows.row(name)[0] < first + WIDTH // 2]


def test_who_knows_the_seed_can_choose_elements_without_a_solution_and_nobody_else() -> None:
    size = slots_for(600)
    chosen = crafted(Rows(SEED, PURPOSE, size), first=0, count=6000)[:600]
    assert len(chosen) == 600
    wanted = {name: number & 1 for number, name in enumerate(chosen)}

    known, fresh = (values(wanted, rows=(seed, PURPOSE), bits=1) for seed in (SEED, SEED[::-1]))

    assert len(known.exceptions) > 100
    assert len(fresh.exceptions) <= 2
    for function in (known, fresh):
        assert {name: function.value(name) for name in wanted} == wanted
