"""Ribbons as evidence: by issuer and key, as old as they may be, with the changes since."""

import msgspec
import pytest
from tests.unit.status.compact.test_ribbon import AS_OF, ISSUER, KID, made, rids, seeded

from safeconduct.encoding import b64
from safeconduct.errors import Rejected, Unsupported
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.deltas import Delta
from safeconduct.status.card_revocation.lists import RevocationLists
from safeconduct.status.card_revocation.rids import Reach
from safeconduct.status.card_sources import CardStatusSources
from safeconduct.status.compact.ribbon import Ribbon
from safeconduct.status.compact.ribbons import Ribbons
from safeconduct.status.states import GOOD, REVOKED, Status, unknown

EVERY = rids(1000)
ENTRIES: dict[str, Reach] = {**dict.fromkeys(EVERY[:10]), EVERY[10]: 1_700_000_000}
LISTED, TIMED, FREE = EVERY[0], EVERY[10], EVERY[11]


class Card(msgspec.Struct, frozen=True):
    rid: str | None
    nbf: float = 1_699_999_999
    issuer: str = ISSUER
    kid: str = KID

    def identifier(self, method: str) -> str | None:
        if method != "rid":
            raise Unsupported("status_method_unknown", "The method is not known here.")
        return self.rid


def ribbons(max_age: int | None = None) -> Ribbons:
    held = Ribbons(max_age=max_age)
    held.add(made(ENTRIES, EVERY))
    return held


def said(held: Ribbons, card: Card, *, crl_version: int | None = 7, now: int = AS_OF) -> Status:
    return held.card_status(card, crl_version=crl_version, now=now)


@pytest.mark.parametrize(
    ("card", "status"),
    [
        (Card(LISTED), REVOKED),
        (Card(TIMED), REVOKED),
        (Card(TIMED, nbf=1_700_000_000), GOOD),
        (Card(FREE), GOOD),
        (Card(None), GOOD),
        (Card(LISTED, issuer="https://other.example"), unknown("missing")),
        (Card(LISTED, kid=b64.encode(b"\1" * 32)), unknown("missing")),
    ],
)
def test_a_card_is_what_the_ribbon_of_its_key_says(card: Card, status: Status) -> None:
    assert said(ribbons(), card) == status


def test_without_a_ribbon_and_without_an_announced_list_there_is_nothing_to_look_up() -> None:
    assert said(Ribbons(), Card(LISTED), crl_version=None) == unknown("no-crl")


@pytest.mark.parametrize(("crl_version", "now"), [(8, AS_OF), (7, AS_OF + 101)])
def test_a_stale_ribbon_revokes_what_it_names_and_knows_nothing_else(crl_version: int, now: int) -> None:
    held = ribbons(max_age=100)

    assert said(held, Card(LISTED), crl_version=crl_version, now=now) == Status("revoked", "stale")
    assert said(held, Card(FREE), crl_version=crl_version, now=now) == unknown("stale")
    assert said(held, Card(FREE), now=AS_OF + 100) == GOOD


def test_an_older_ribbon_does_not_replace_a_newer_one() -> None:
    held = ribbons()
    older = RevocationList(kid=KID, ctr=6, entries={})
    held.add(Ribbon.build(older, EVERY, issuer=ISSUER, as_of=AS_OF, about=1000, random=seeded()))

    assert said(held, Card(LISTED)) == REVOKED


def test_a_method_that_is_not_known_leaves_the_status_unknown() -> None:
    held = Ribbons()
    held.add(msgspec.structs.replace(made(ENTRIES, EVERY), method="urn:example:unknown"))

    assert said(held, Card(LISTED)) == unknown("unsupported-method")


def test_changes_of_the_list_stand_above_the_ribbon() -> None:
    before = RevocationList(kid=KID, ctr=7, entries=ENTRIES)
    later = {**ENTRIES, TIMED: 1_750_000_000, FREE: None, "issued-later": None}
    del later[LISTED]
    after = RevocationList(kid=KID, ctr=8, entries=later)
    last = RevocationList(kid=KID, ctr=9, entries={**later, LISTED: 1_600_000_000})
    held = ribbons()

    held.update(ISSUER, Delta.between(before, after))

    assert said(held, Card(LISTED), crl_version=8) == GOOD
    assert said(held, Card(TIMED, nbf=1_749_999_999), crl_version=8) == REVOKED
    assert said(held, Card(FREE), crl_version=8) == REVOKED
    assert said(held, Card("issued-later", nbf=AS_OF + 5), crl_version=8) == REVOKED
    held.update(ISSUER, Delta.between(after, last))
    assert said(held, Card(LISTED, nbf=1_599_999_999), crl_version=9) == REVOKED
    assert said(held, Card(LISTED), crl_version=9) == GOOD


@pytest.mark.parametrize("fault", ["gap", "removes what is not there", "other reach", "other issuer", "gone"])
def test_a_change_that_does_not_follow_is_refused(fault: str) -> None:
    empty: dict[str, Reach] = {}
    start, before = {
        "gap": (8, empty),
        "removes what is not there": (7, {FREE: None}),
        "other reach": (7, {TIMED: 1_600_000_000}),
        "other issuer": (7, empty),
        "gone": (8, {LISTED: None}),
    }[fault]
    held = ribbons()
    if fault == "gone":
        with_it = RevocationList(kid=KID, ctr=7, entries={LISTED: None})
        held.update(ISSUER, Delta.between(with_it, RevocationList(kid=KID, ctr=8, entries={})))
    delta = Delta.between(
        RevocationList(kid=KID, ctr=start, entries=before),
        RevocationList(kid=KID, ctr=start + 1, entries={"added": None}),
    )

    with pytest.raises(Rejected) as refused:
        held.update("https://other.example" if fault == "other issuer" else ISSUER, delta)

    assert refused.value.code == "delta_mismatch"


def test_a_later_card_is_left_to_who_knows_more() -> None:
    every = rids(3000, seed=9)
    held = Ribbons()
    held.add(made(dict.fromkeys(every[:60]), every))
    chance = next(rid for rid in rids(20_000, seed=4) if said(held, Card(rid, nbf=AS_OF)).state != "good")
    lists = RevocationLists()
    lists.add(RevocationList(kid=KID, ctr=7, entries=dict.fromkeys(every[:60])), issuer=ISSUER)
    both = CardStatusSources([held, lists])

    assert said(held, Card(chance, nbf=AS_OF)) == unknown("stale")
    assert both.card_status(Card(chance, nbf=AS_OF), crl_version=7, now=AS_OF) == GOOD
    assert both.card_status(Card(every[0], nbf=AS_OF), crl_version=7, now=AS_OF) == REVOKED
