"""The way that costs the least comes first; the full list is always among the ways."""

import pytest

from safeconduct.evidence.card_records import HeldList
from safeconduct.evidence.sync_plan import CheapWay, Target, ways
from safeconduct.status.card_revocation.heads import Head, LogEnd

BOTH: frozenset[CheapWay] = frozenset(("delta", "log"))


def held(form: str, *, ctr: int = 100, size: int, count: int) -> HeldList:
    return HeldList(
        method="rid",
        ctr=ctr,
        form=form,
        name="n",
        digest="d",
        size=size,
        count=count,
        confirmed_at=0,  # type: ignore[arg-type]
    )


def head(*, ctr: int, count: int, length: int | None) -> Head:
    end = None if length is None else LogEnd(length=length, digest="d")
    return Head(iss="i", kid="k", method="rid", ctr=ctr, iat=0, exp=1, count=count, digest="d", log=end)


@pytest.mark.parametrize(
    ("at_hand", "target", "allowed", "first"),
    [
        # nothing at hand
        (None, Target(ctr=5, head=None), BOTH, "full"),
        (None, Target(ctr=5, head=head(ctr=5, count=1000, length=16 * 1001)), BOTH, "log"),
        (None, Target(ctr=5, head=head(ctr=5, count=1000, length=16 * 5000)), BOTH, "full"),
        (None, Target(ctr=5, head=head(ctr=5, count=1000, length=None)), BOTH, "full"),
        # a list at hand
        (held("list", size=20_000, count=1000), Target(ctr=101, head=None), BOTH, "delta"),
        (held("list", size=20_000, count=1000), Target(ctr=100, head=None), BOTH, "full"),
        (held("list", size=20_000, count=1000), Target(ctr=99, head=None), BOTH, "full"),
        (held("list", size=200, count=10), Target(ctr=101, head=None), BOTH, "full"),
        (held("list", size=20_000, count=1000), Target(ctr=355, head=None), BOTH, "full"),
        (held("list", size=20_000_000, count=10**6), Target(ctr=355, head=None), BOTH, "delta"),
        # the log at hand
        (
            held("log", size=16_000, count=990),
            Target(ctr=101, head=head(ctr=101, count=991, length=16_016)),
            BOTH,
            "log",
        ),
        (held("log", size=16_000, count=990), Target(ctr=101, head=None), BOTH, "full"),
        # what is not allowed
        (held("list", size=20_000, count=1000), Target(ctr=101, head=None), frozenset(("log",)), "full"),
        (
            held("log", size=16_000, count=990),
            Target(ctr=101, head=head(ctr=101, count=991, length=16_016)),
            frozenset(("delta",)),
            "full",
        ),
    ],
)
def test_the_cheapest_way_comes_first(
    at_hand: HeldList | None, target: Target, allowed: frozenset[CheapWay], first: str
) -> None:
    found = ways(at_hand, target, allowed=allowed, pinned=True)
    assert found[0] == first
    assert "full" in found


@pytest.mark.parametrize(("count", "first"), [(1000, "full"), (10_000, "log")])
def test_a_log_that_needs_a_head_each_time_must_be_much_shorter(count: int, first: str) -> None:
    target = Target(ctr=5, head=head(ctr=5, count=count, length=16 * count))
    assert ways(None, target, allowed=BOTH, pinned=False)[0] == first
    assert ways(None, target, allowed=BOTH, pinned=True)[0] == "log"
