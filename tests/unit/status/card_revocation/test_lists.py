"""Lists at hand as evidence: which of them counts, and what they say of a card."""

from typing import Any

import pytest

from safeconduct.errors import Unsupported
from safeconduct.status.card_revocation import HASH_FHIR, RevocationList, RevocationLists
from safeconduct.status.card_revocation.methods import METHODS
from safeconduct.status.states import GOOD, REVOKED, Status, unknown

ISSUER = "https://issuer.example/shc"
KID = "3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s"
OTHER_KID = "EBKOr72QQDcTBUuVzAzkfBTGew0ZA16GuWty64nS-sw"
NOW = 1_700_000_000


class Card:
    def __init__(self, rid: str | None = "mine", *, issuer: str = ISSUER, kid: str = KID, nbf: float = 100):
        self.issuer, self.kid, self.nbf = issuer, kid, nbf
        self._rid = rid
        self.asked: list[str] = []

    def identifier(self, method: str) -> str | None:
        self.asked.append(method)
        if method not in METHODS:
            raise Unsupported("status_method_unknown", "It is not known.")
        return self._rid


def a_list(*rids: str, kid: str = KID, ctr: int = 7, method: str = "rid") -> bytes:
    named = ",".join(f'"{rid}"' for rid in rids)
    return f'{{"kid":"{kid}","method":"{method}","ctr":{ctr},"rids":[{named}]}}'.encode()


def status(
    *data: bytes,
    card: Card | None = None,
    crl_version: int | None = 7,
    max_age: int | None = None,
    **named: Any,
) -> Status:
    lists = RevocationLists(max_age=max_age)
    for one in data:
        lists.read(one, **named)
    return lists.card_status(card or Card(), crl_version=crl_version, now=NOW)


def test_a_card_that_is_listed_is_revoked_and_another_is_good() -> None:
    assert status(a_list("mine")) == REVOKED
    assert status(a_list("other")) == GOOD
    assert status(a_list()) == GOOD


def test_a_card_without_a_rid_is_good_under_a_list_of_rids() -> None:
    assert status(a_list("mine"), card=Card(None)) == GOOD


def test_without_a_list_it_depends_on_what_the_issuer_announces() -> None:
    assert status(crl_version=None) == unknown("no-crl")
    assert status(crl_version=1) == unknown("missing")
    assert status(a_list("mine", kid=OTHER_KID)) == unknown("missing")
    assert status(a_list("mine"), issuer="https://another.example") == unknown("missing")


def test_a_list_at_hand_counts_though_none_is_announced() -> None:
    assert status(a_list("mine"), crl_version=None) == REVOKED
    assert status(a_list(), crl_version=None) == GOOD


def test_a_list_below_the_announced_counter_is_stale() -> None:
    assert status(a_list(ctr=6)) == unknown("stale")
    assert status(a_list(ctr=8)) == GOOD


def test_a_stale_list_still_revokes_what_it_names() -> None:
    assert status(a_list("mine", ctr=6)) == Status("revoked", "stale")


def test_a_list_that_was_fetched_too_long_ago_is_stale() -> None:
    assert status(a_list(), max_age=60, fetched_at=NOW - 60) == GOOD
    assert status(a_list(), max_age=60, fetched_at=NOW - 61) == unknown("stale")
    assert status(a_list("mine"), max_age=60, fetched_at=NOW - 61) == Status("revoked", "stale")
    assert status(a_list(), max_age=60) == GOOD  # it is not known when it was fetched
    assert status(a_list(), fetched_at=0) == GOOD


@pytest.mark.parametrize(
    "data",
    [
        a_list("mine", "mine"),
        a_list("mine.x"),
        b"garbage",
        a_list("other")[:-1],
        a_list("other", kid=OTHER_KID),
    ],
)
def test_a_malformed_list_says_nothing(data: bytes) -> None:
    assert status(data, kid=KID) == unknown("malformed")


def test_a_malformed_list_counts_for_the_key_that_it_names() -> None:
    assert status(a_list("mine.x")) == unknown("malformed")
    assert status(a_list("mine.x", kid=OTHER_KID)) == unknown("missing")


def test_a_malformed_list_that_names_no_key_may_be_any_of_the_issuers() -> None:
    assert status(b"garbage") == unknown("malformed")
    assert status(b"garbage", a_list()) == GOOD
    assert status(b"garbage", issuer="https://another.example") == unknown("missing")


def test_a_malformed_list_beside_a_good_one_of_the_key_leaves_it_unknown() -> None:
    assert status(a_list(), a_list("mine.x")) == unknown("malformed")
    assert status(a_list("mine.x"), a_list()) == unknown("malformed")


def test_of_several_lists_of_a_key_the_one_with_the_highest_counter_counts() -> None:
    assert status(a_list(ctr=8), a_list("mine", ctr=7)) == GOOD
    assert status(a_list("mine", ctr=7), a_list(ctr=8)) == GOOD


def test_a_list_of_the_issuer_counts_before_one_of_anybody() -> None:
    lists = RevocationLists()
    lists.read(a_list("mine", ctr=9))
    lists.read(a_list(), issuer=ISSUER)

    assert lists.card_status(Card(), crl_version=7, now=NOW) == GOOD
    assert lists.card_status(Card(issuer="https://b.example"), crl_version=7, now=NOW) == REVOKED


def test_an_unknown_method_is_never_good() -> None:
    assert status(a_list(method="other")) == unknown("unsupported-method")


def test_a_method_that_the_card_does_not_know_is_never_good() -> None:
    class Old(Card):
        def identifier(self, method: str) -> str | None:
            raise Unsupported("status_method_unknown", f"{method} is not known.")

    assert status(a_list(method=HASH_FHIR), card=Old()) == unknown("unsupported-method")


def test_the_card_is_asked_only_under_the_lists_method() -> None:
    card = Card()
    status(a_list(method=HASH_FHIR), card=card)

    assert card.asked == [HASH_FHIR]


def test_times_are_compared_strictly_and_exactly() -> None:
    assert status(a_list("mine.1700000000"), card=Card(nbf=1699999999.999)) == REVOKED
    assert status(a_list("mine.1700000000"), card=Card(nbf=1700000000)) == GOOD


def test_a_list_can_be_given_as_it_was_read_before() -> None:
    lists = RevocationLists()
    lists.add(RevocationList(kid=KID, ctr=1, entries={"mine": None}), issuer=ISSUER)

    assert lists.card_status(Card(), crl_version=1, now=NOW) == REVOKED
