"""The ribbon says of every counted card what the list says, in little more than a byte an entry."""

import random
from collections.abc import Callable

import pytest

from safeconduct.encoding import b64
from safeconduct.errors import Unsupported
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.rids import Reach
from safeconduct.status.compact.ribbon import Ribbon
from safeconduct.status.compact.ribbon_file import encode
from safeconduct.status.states import GOOD, REVOKED, unknown

ISSUER = "https://issuer.example"
KID = b64.encode(bytes(32))
AS_OF = 1_800_000_000
BEFORE = AS_OF - 1


def rids(count: int, seed: int = 1) -> list[str]:
    draw = random.Random(seed)  # noqa: S311 - the same rids in every run
    return [b64.encode(draw.randbytes(8)) for _ in range(count)]


def seeded(number: int = 1) -> Callable[[int], bytes]:
    return random.Random(number).randbytes  # noqa: S311 - replayable on purpose


def made(entries: dict[str, Reach], issued: list[str], **changes: object) -> Ribbon:
    found = RevocationList(kid=KID, ctr=7, entries=entries)
    given = {"issuer": ISSUER, "as_of": AS_OF, "about": len(issued), "random": seeded(), **changes}
    return Ribbon.build(found, issued, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("issued", "listed"),
    [(0, 0), (1, 0), (1, 1), (50, 50), (1000, 1), (1000, 10), (1000, 500), (20_000, 200), (2000, 1999)],
)
def test_it_says_of_every_counted_card_what_the_list_says(issued: int, listed: int) -> None:
    every = rids(issued)
    entries: dict[str, Reach] = dict.fromkeys(every[:listed])

    ribbon = made(entries, every)

    wrong = [rid for rid in every if ribbon.status(rid, BEFORE) != (REVOKED if rid in entries else GOOD)]
    assert wrong == []


def test_it_knows_how_far_each_entry_reaches() -> None:
    every = rids(3000)
    draw = random.Random(3)  # noqa: S311 - the same entries in every run
    entries: dict[str, Reach] = {
        rid: draw.choice([None, 1_650_000_000, 1_700_000_000]) for rid in every[:300]
    }
    found = RevocationList(kid=KID, ctr=7, entries=entries)

    ribbon = made(entries, every)

    moments = (1_649_999_999.5, 1_650_000_000, 1_699_999_999.999, 1_700_000_000)
    wrong = [
        (rid, nbf) for rid in every for nbf in moments if ribbon.status(rid, nbf) != found.status(rid, nbf)
    ]
    assert wrong == []


def test_that_a_later_card_is_not_listed_is_certain_and_that_it_is_may_be_chance() -> None:
    every, later = rids(5000), rids(20_000, seed=2)
    ribbon = made(dict.fromkeys(every[:50]), every)

    said = [ribbon.status(rid, AS_OF) for rid in later]

    assert set(said) <= {GOOD, unknown("stale")}
    assert 0 < said.count(unknown("stale")) < len(later) / 64
    assert {ribbon.status(rid, AS_OF).state for rid in every[:50]} == {"unknown"}


def test_a_later_card_is_good_if_no_entry_reaches_so_far() -> None:
    every = rids(500)
    ribbon = made(dict.fromkeys(every[:50], 1_700_000_000), every)

    assert {ribbon.status(rid, AS_OF) for rid in (*every, *rids(500, seed=2))} == {GOOD}


def test_a_listed_card_that_was_not_counted_is_revoked_all_the_same() -> None:
    every = rids(2000)

    ribbon = made(dict.fromkeys(every[:100]), every[100:])

    assert {ribbon.status(rid, BEFORE) for rid in every[:100]} == {REVOKED}
    assert {ribbon.status(rid, BEFORE) for rid in every[100:]} == {GOOD}


def test_a_card_without_an_identifier_is_good() -> None:
    assert made(dict.fromkeys(rids(3)), []).status(None, BEFORE) == GOOD


@pytest.mark.parametrize("about", [0, 100, 10**9])
def test_a_wrong_count_costs_bytes_and_not_truth(about: int) -> None:
    every = rids(3000)

    ribbon = made(dict.fromkeys(every[:30]), every, about=about)

    assert [ribbon.status(rid, BEFORE) for rid in every] == [REVOKED] * 30 + [GOOD] * 2970


def test_it_has_at_most_1_15_bytes_an_entry_at_one_percent() -> None:
    every = rids(200_000)

    size = len(encode(made(dict.fromkeys(every[:2000]), every)))

    assert size <= 2000 * 1.15 + 300, "the head counts more among 2,000 entries than among 10,000"


def test_it_is_the_same_for_the_same_seed_in_any_order_and_another_for_another() -> None:
    every = rids(1000)
    entries: dict[str, Reach] = dict.fromkeys(every[:50])

    one, other = encode(made(entries, every)), encode(made(entries, [*every[::-1], *every], about=1000))
    fresh = encode(made(entries, every, random=seeded(2)))

    assert one == other
    assert one != fresh


def test_a_fresh_seed_is_drawn_for_every_ribbon() -> None:
    found = RevocationList(kid=KID, ctr=1, entries={})

    seeds = {Ribbon.build(found, [], issuer=ISSUER, as_of=AS_OF, about=0).seed for _ in range(3)}

    assert len(seeds) == 3


def test_no_ribbon_is_made_of_a_list_that_is_not_understood() -> None:
    found = RevocationList(kid=KID, ctr=1, entries={}, method="urn:example:unknown")

    with pytest.raises(Unsupported) as refused:
        Ribbon.build(found, [], issuer=ISSUER, as_of=AS_OF, about=0)

    assert refused.value.code == "status_method_unknown"
