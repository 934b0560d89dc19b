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
