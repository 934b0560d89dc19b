"""How large packs are, and how they keep to a budget."""

import pytest
from tests import packs
from tests.packs import ISSUER, KEY

from safeconduct.errors import Rejected
from safeconduct.status.compact import packing
from safeconduct.status.compact.body import Body
from safeconduct.status.compact.pack import Pack
from safeconduct.status.compact.packed_list import PackedList
from safeconduct.status.compact.packing import CarriedList, Gathered, GatheredIssuer

MANY: dict[str, int | None] = {f"rid{number}": None for number in range(20_000)}


def _list(opened: Pack) -> PackedList:
    body: Body = opened.body
    (entry,) = body.entries()
    return PackedList(body.read, at=entry.at, length=entry.length)


def test_an_entry_takes_34_bits_and_the_blocks_add_half_a_percent() -> None:
    few, many = packs.file(packs.issuer(packs.crl({}))), packs.file(packs.issuer(packs.crl(MANY)))

    assert (len(many) - len(few)) / len(MANY) < 4.3


@pytest.mark.parametrize("bits", [8, 13, 24, 64])
def test_as_much_is_kept_of_each_identifier_as_the_budget_allows(bits: int) -> None:
    wanted = packs.file(packs.issuer(packs.crl(MANY)), low_bits=bits)
    budget = len(wanted) + 2048  # a head may be larger than this one

    made = packs.file(packs.issuer(packs.crl(MANY)), budget=budget)

    assert len(made) <= budget
    assert _list(packs.pack(packs.issuer(packs.crl(MANY)), budget=budget)).low_bits == bits


def test_a_budget_that_is_too_small_says_what_is_needed() -> None:
    smallest = len(packs.file(packs.issuer(packs.crl(MANY)), low_bits=8))

    with pytest.raises(Rejected) as refused:
        packs.file(packs.issuer(packs.crl(MANY)), budget=smallest - 1000)
    assert refused.value.code == "pack_budget"
    assert int(refused.value.reason.split()[-4]) < smallest + 2048


def test_a_budget_for_no_list_at_all_is_no_trouble() -> None:
    assert packs.pack(packs.issuer(None), budget=4096).head.version == 1


def test_equal_evidence_gives_equal_bytes_in_whatever_order_it_comes() -> None:
    one, other = packs.issuer(packs.crl(MANY)), packs.issuer(None, url="https://other.example")
    turned = packs.issuer(packs.crl(dict(reversed(MANY.items()))))

    assert packing.build([one, other]) == packing.build([other, turned])


@pytest.mark.parametrize(("count", "kept"), [(10, True), (13, False), (5, True), (4, False)])
def test_a_list_keeps_its_shape_while_that_suits_it(count: int, kept: bool) -> None:
    """So that an update names its changes alone; ten entries at first."""
    before = packs.of(dict.fromkeys(map(str, range(10))))
    after = packs.pack(packs.issuer(packs.crl(dict.fromkeys(map(str, range(count))))), previous=before)

    assert _list(after).buckets == (10 if kept else count)


def test_a_list_of_an_earlier_pack_is_taken_over_as_it_lies_there() -> None:
    before = packs.of(MANY, low_bits=31)
    (row,) = before.body.rows()
    carried = Gathered(
        kid=KEY.kid, key=KEY, state=row.facts.state, listed=CarriedList(row.facts, row.section), since=5
    )

    after = packs.pack(GatheredIssuer(url=ISSUER, keys=(carried,)))

    (taken,) = after.body.rows()
    assert taken.section == row.section
    assert (taken.facts.ctr, taken.facts.digest, taken.facts.since) == (3, row.facts.digest, 5)
    assert packing.count_of(after.body) == (1, len(MANY))
