"""Several sources of evidence: who is believed before whom."""

from itertools import permutations

import pytest

from safeconduct.status.card_sources import CardStatusSources
from safeconduct.status.states import GOOD, REVOKED, CardId, Status, unknown

CONFIRM = Status("revoked", "confirm")


class Card:
    issuer = "https://issuer.example"
    kid = "k"
    nbf = 1

    def identifier(self, method: str) -> str | None:
        return method


class Source:
    def __init__(self, status: Status) -> None:
        self.status = status

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:
        assert (card.kid, crl_version, now) == ("k", 2, 5)
        return self.status


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((), unknown("missing")),
        ((unknown("missing"), unknown("no-crl")), None),
        ((unknown("missing"), unknown("stale")), unknown("stale")),
        ((GOOD, unknown("malformed"), unknown("missing")), GOOD),
        ((REVOKED, GOOD, unknown("stale")), REVOKED),
        ((CONFIRM, GOOD), CONFIRM),
        ((CONFIRM, REVOKED, GOOD), REVOKED),
        ((Status("revoked", "stale"), GOOD), Status("revoked", "stale")),
        ((Status("revoked", "stale"), REVOKED), REVOKED),
        ((CONFIRM, Status("revoked", "stale"), GOOD), Status("revoked", "stale")),
    ],
)
def test_revoked_comes_before_good_and_good_before_not_knowing(
    answers: tuple[Status, ...], expected: Status | None
) -> None:
    for order in permutations(answers):
        found = CardStatusSources(map(Source, order)).card_status(Card(), crl_version=2, now=5)
        assert found == (expected or order[0])


def test_without_any_source_the_counter_tells_whether_a_list_is_missed() -> None:
    assert CardStatusSources(()).card_status(Card(), crl_version=None, now=5) == unknown("no-crl")


class Listed:
    """A list that does not name the card, of some counter."""

    def __init__(self, ctr: int) -> None:
        self.ctr = ctr

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:  # noqa: ARG002
        return GOOD if crl_version is None or self.ctr >= crl_version else unknown("stale")


class Lossy(Listed):
    """A pack of such a list that errs."""

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:  # noqa: ARG002
        return CONFIRM

    def list_counter(self, card: CardId) -> int | None:  # noqa: ARG002
        return self.ctr or None


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ((Lossy(7), Listed(7)), GOOD),
        ((Lossy(7), Listed(8)), GOOD),
        ((Lossy(7), Listed(6)), CONFIRM),  # what the pack adds may be this card
        ((Lossy(7), Lossy(9), Listed(8)), CONFIRM),
        ((Lossy(7), Lossy(9), Listed(3), Listed(9)), GOOD),
        ((Lossy(7),), CONFIRM),
        ((Lossy(0), Listed(7)), CONFIRM),  # a pack that cannot say which list it has
        ((Source(CONFIRM), Source(GOOD)), CONFIRM),
        ((Lossy(7), Source(REVOKED), Listed(7)), REVOKED),
        ((Lossy(7), Source(Status("revoked", "stale")), Listed(7)), Status("revoked", "stale")),
        ((Lossy(7), Source(unknown("stale"))), CONFIRM),
    ],
)
def test_a_hit_to_be_confirmed_gives_way_to_a_list_that_is_as_new(
    sources: tuple[Listed | Source, ...], expected: Status
) -> None:
    for order in permutations(sources):
        assert CardStatusSources(order).card_status(Card(), crl_version=2, now=5) == expected


def test_a_list_that_is_older_than_announced_refutes_nothing() -> None:
    both = CardStatusSources([Lossy(7), Listed(8)])
    assert both.card_status(Card(), crl_version=9, now=5) == CONFIRM
