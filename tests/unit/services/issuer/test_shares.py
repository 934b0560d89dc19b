"""Shares as the issuer's database knows them: making, redeeming, receiving and ending them."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.unit.services.issuer.share_stage import (
    KIND,
    LEASE,
    NOW,
    TENANT,
    YEAR,
    Stage,
    memory,
    refused,
    running,
)

from safeconduct import limits
from safeconduct.protocols.openid4vci.errors import CredentialRequestDenied, InvalidProof
from safeconduct.services.issuer import offer_store, share_access_store, share_redemption, share_store
from safeconduct.services.issuer import shares as life
from safeconduct.services.issuer.housekeeping import Housekeeping
from safeconduct.services.issuer.paging import Page, Span
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER


@pytest.fixture
def stage() -> Iterator[Stage]:
    engine = memory()
    yield Stage(running(engine))
    engine.dispose()


# The table (facts of the share's life: S1, S6, S7).

BEFORE = {"pending", "redeeming"}
OVER = {"moved", "failed", "revoked", "expired", "cancelled", "locked"}


@pytest.mark.parametrize("mode", life.MODES)
def test_an_arrow_that_is_not_in_the_table_is_refused(mode: life.Mode) -> None:
    for state, event in itertools.product(life.STATES, life.EVENTS):
        expected = life.TRANSITIONS[mode].get((state, event))
        if expected is None:
            with refused("transition_refused"):
                life.advance(mode, state, event)
        else:
            assert life.advance(mode, state, event) == expected


@pytest.mark.parametrize("mode", life.MODES)
def test_no_arrow_leaves_a_terminal_state(mode: life.Mode) -> None:
    assert {state for state, _ in life.TRANSITIONS[mode]} == BEFORE | {"issued"} == life.LIVE
    assert set(life.STATES) - life.LIVE == OVER


def test_every_state_and_event_has_its_use() -> None:
    both = [arrow for table in life.TRANSITIONS.values() for arrow in table.items()]
    assert {"pending"} | {after for _, after in both} == set(life.STATES)
    assert {event for (_, event), _ in both} == set(life.EVENTS)


def test_only_a_lease_leads_to_a_credential() -> None:
    for table in life.TRANSITIONS.values():
        assert [state for (state, _), after in table.items() if after == "issued"] == ["redeeming"]


# S1: making a share.


def test_s1_a_share_is_offered_and_listed(stage: Stage) -> None:
    parent = stage.original()
    offer = stage.share(parent, entitlements=("open",), not_before=NOW + 5, credential_expires=NOW + 86400)
    (view,) = stage.listed(parent)
    assert view == share_store.ShareView(
        share_id=offer.share_id,
        parent_id=parent.issued_id,
        configuration_id=KIND,
        state="pending",
        mode="share",
        level="link",
        entitlements=("open",),
        depth=1,
        pinned=False,
        created_at=NOW,
        expires_at=NOW + 86400,
        not_before=NOW + 5,
        credential_expires=NOW + 86400,
        issued_id=None,
    )
    assert stage.view(offer) == view


def test_the_parent_is_found_by_its_place(stage: Stage) -> None:
    parent = stage.original()
    found = stage.parent(parent)
    assert (found.issued_id, found.configuration_id) == (parent.issued_id, KIND)
    assert (found.standing, found.depth, found.entitlements) == ("valid", 0, None)
    child = stage.receive(stage.share(parent, entitlements=("open",)))
    found = stage.parent(child)
    assert (found.depth, found.entitlements, found.own_reference) == (1, ("open",), "4711")
    stage.change(child, "suspended")
    assert stage.parent(child).standing == "suspended"


def test_a_place_of_nobody_or_of_another_issuer_is_no_parent(stage: Stage) -> None:
    parent = stage.original()
    with refused("parent_unknown"):
        stage.run(share_store.find_parent, "https://other.example", parent.place)
    nobody = msgspec.structs.replace(parent.place, idx=5000)
    with refused("parent_unknown"):
        stage.run(share_store.find_parent, TENANT, nobody)


@pytest.mark.parametrize("standing", ["suspended", "invalid"])
def test_s1_what_is_not_valid_is_not_shared(stage: Stage, standing: str) -> None:
    parent = stage.original()
    stage.change(parent, standing)  # type: ignore[arg-type]
    with refused("parent_invalid"):
        stage.share(parent)


def test_s1_what_has_expired_is_not_shared(stage: Stage) -> None:
    parent = stage.original()
    with refused("parent_invalid"):
        stage.share(parent, parent_expires=NOW, credential_expires=NOW)
    with refused("parent_invalid"):
        stage.share("nothing")


def test_a35_a_share_ends_with_its_parent_at_the_latest(stage: Stage) -> None:
    parent = stage.original()
    with refused("validity_exceeds_parent"):
        stage.share(parent, parent_expires=NOW + 100, credential_expires=NOW + 101)
    child = stage.receive(stage.share(parent, credential_expires=NOW + 50))
    with refused("validity_exceeds_parent"):  # whatever is said of the credential itself
        stage.share(child, parent_expires=NOW + YEAR, credential_expires=NOW + 51)


def test_a35_a_share_gives_no_more_rights_than_the_share_that_gave_the_parent(stage: Stage) -> None:
    child = stage.receive(stage.share(stage.original(), entitlements=("open", "trunk")))
    stage.share(child, entitlements=("trunk",))
    for wider in (("open", "drive"), None):
        with refused("entitlement_exceeds_parent"):
            stage.share(child, entitlements=wider)


def test_a34_a_credential_from_a_share_is_not_shared_deeper_than_allowed(stage: Stage) -> None:
    child = stage.receive(stage.share(stage.original(), max_depth=1))
    with refused("sharing_too_deep"):
        stage.share(child, max_depth=1)
    grandchild = stage.receive(stage.share(child, max_depth=2))
    with refused("sharing_too_deep"):
        stage.share(grandchild, max_depth=2)


def test_s1_live_shares_are_counted(stage: Stage) -> None:
    parent = stage.original()
    first, second = stage.share(parent, max_receivers=2), stage.share(parent, max_receivers=2)
    stage.receive(first)
    with refused("too_many_shares"):
        stage.share(parent, max_receivers=2)
    stage.end(second)
    third = stage.share(parent, max_receivers=2, offered=60)
    with refused("too_many_shares"):
        stage.share(parent, max_receivers=2)
    stage.now += 60  # its time is over, although nobody has tidied up
    stage.share(parent, max_receivers=2)
    assert stage.view(third).state == "expired"


def test_a_sender_that_makes_and_cancels_shares_fills_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SHARES_REMEMBERED", 3)
    parent = stage.original()
    for _ in range(3):
        stage.end(stage.share(parent))
    with refused("too_many_shares"):
        stage.share(parent)
    stage.sweep(86400)
    stage.share(parent)


def test_the_same_request_makes_one_share(stage: Stage) -> None:
    parent, other = stage.original(), stage.original()
    offer = stage.share(parent, request_digest=b"once")
    with refused("share_exists"):
        stage.share(parent, request_digest=b"once")
    stage.share(other, request_digest=b"once")
    stage.end(offer)
    with refused("share_exists"):
        stage.share(parent, request_digest=b"once")


def test_one_name_is_given_to_one_share(stage: Stage) -> None:
    """Also by the sender of another credential, who may have chosen the name by the same request."""
    first = stage.new_share(stage.original(), id="the name")
    second = stage.new_share(stage.original(), id="the name")
    stage.run(share_store.create_share, first, now=stage.now)
    with refused("share_exists"):
        stage.run(share_store.create_share, second, now=stage.now)
    with refused("offer_unknown"):
        stage.run(lambda connection: offer_store.grant_by_id(connection, second.grant.id))


def test_receivers_are_counted_for_all_that_a_holder_has_of_an_offer(stage: Stage) -> None:
    """Else a holder of ten copies could share ten times as often."""
    parent = stage.original(uses=2)
    twin = stage.another(parent.token, parent.grant_id)
    for one in (parent, twin):
        stage.share(one, max_receivers=2)
    for one in (parent, twin):
        with refused("too_many_shares"):
            stage.share(one, max_receivers=2)


def test_a_refused_share_leaves_no_offer(stage: Stage) -> None:
    parent = stage.original()
    new = stage.new_share(parent, max_receivers=0)
    with refused("too_many_shares"):
        stage.run(share_store.create_share, new, now=stage.now)
    with refused("offer_unknown"):
        stage.run(lambda connection: offer_store.grant_by_id(connection, new.grant.id))


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": "key"},
        {"level": "approve", "jkt": "receiver"},
        {"level": "pin"},
        {"jkt": "receiver"},
        {"tx": b"1234", "level": "link"},
    ],
)
def test_how_a_share_is_bound_cannot_be_contradicted(stage: Stage, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="share"):
        stage.new_share("parent", **wrong)


def test_offers_of_shares_are_not_seen_nor_ended_as_offers(stage: Stage) -> None:
    offer = stage.share(stage.original())
    listed = stage.run(
        offer_store.list_grants,
        TENANT,
        state=None,
        reference=None,
        span=Span(),
        page=Page(),
        now=stage.now,
    )
    assert [view.state for view in listed] == ["issued"]
    for look in (offer_store.find_grant, offer_store.cancel_grant):
        with refused("offer_unknown"):
            stage.run(look, TENANT, stage.grant_of(offer), now=stage.now)
    assert stage.state(offer) == "pending"


# Redeeming (A27, A28, A35, A36).


def test_the_receiver_gets_a_credential_of_its_own(stage: Stage) -> None:
    parent = stage.original()
    offer = stage.share(parent)
    token = stage.redeem(offer)
    assert stage.state(offer) == "redeeming"
    child = stage.deliver(offer, token)
    assert stage.state(offer) == "issued"
    assert stage.standings(parent, child) == ["valid", "valid"]
    assert stage.view(offer).issued_id == child.issued_id


def test_a27_nobody_else_redeems_and_the_first_one_is_not_stopped(stage: Stage) -> None:
    offer = stage.share(stage.original())
    token = stage.redeem(offer, "receiver")
    for _ in range(20):
        with refused("code_used"):
            stage.redeem(offer, "thief")
    assert stage.state(offer) == "redeeming"
    stage.deliver(offer, token)
    for key in ("thief", "receiver"):
        with refused("code_used"):
            stage.redeem(offer, key)
    assert stage.state(offer) == "issued"


def test_a27_a_share_gives_one_credential(stage: Stage) -> None:
    offer = stage.share(stage.original())
    token = stage.redeem(offer)
    stage.deliver(offer, token)
    with refused("identifier_used_up"):
        stage.deliver(offer, token, ("another key",))


@pytest.mark.parametrize("mode", life.MODES)
def test_a_delivery_that_was_lost_is_repeated(stage: Stage, mode: str) -> None:
    """The same request for the same key gets the same credential, which is counted once."""
    offer = stage.share(stage.original(), mode=mode)
    token = stage.redeem(offer)
    first = stage.deliver(offer, token, digest=b"the same")
    again = stage.deliver(offer, token, digest=b"the same")
    assert again.issued_id == first.issued_id
    stage.end(offer)
    with refused("token_invalid"):
        stage.deliver(offer, token, digest=b"the same")


def test_the_same_key_repeats_what_was_lost(stage: Stage) -> None:
    offer = stage.share(stage.original())
    first = stage.redeem(offer)
    stage.now += 10
    second = stage.redeem(offer)
    with refused("token_invalid"):
        stage.deliver(offer, first)
    stage.deliver(offer, second)


def test_repeating_does_not_prolong_the_lease(stage: Stage) -> None:
    offer = stage.share(stage.original())
    for _ in range(3):
        token = stage.redeem(offer)
        stage.now += LEASE // 4
    token = stage.redeem(offer)
    stage.now += LEASE // 4
    with refused("token_invalid"):
        stage.deliver(offer, token)
    stage.redeem(offer, "somebody else")


def test_a_lease_that_came_to_nothing_leaves_the_offer_open(stage: Stage) -> None:
    offer = stage.share(stage.original())
    token = stage.redeem(offer)
    stage.sweep(LEASE - 1)
    assert stage.state(offer) == "redeeming"
    stage.sweep(1)
    assert (stage.state(offer), stage.grant_state(offer)) == ("pending", "pending")
    with refused("token_invalid"):
        stage.access(token)
    stage.deliver(offer, stage.redeem(offer, "somebody else"))


def test_a_lease_that_is_over_is_over_before_anybody_tidies_up(stage: Stage) -> None:
    offer = stage.share(stage.original())
    token = stage.redeem(offer)
    stage.now += LEASE
    with refused("token_invalid"):
        stage.deliver(offer, token)
    child = stage.deliver(offer, stage.redeem(offer, "somebody else"))
    assert stage.standing(child) == "valid"


def test_an_offer_that_expires_under_a_lease_is_not_opened_again(stage: Stage) -> None:
    offer = stage.share(stage.original(), offered=60)
    stage.redeem(offer)
    stage.sweep(61)
    assert stage.state(offer) == "redeeming"  # the lease was given in time
    stage.sweep(LEASE)
    assert (stage.state(offer), stage.grant_state(offer)) == ("expired", "expired")
    with refused("code_unknown"):
        stage.redeem(offer)


def test_an_offer_expires(stage: Stage) -> None:
    swept, late = (stage.share(stage.original(), offered=60) for _ in range(2))
    stage.now += 60
    with refused("code_unknown"):
        stage.redeem(late)
    stage.sweep()
    assert (stage.state(swept), stage.grant_state(swept)) == ("expired", "expired")


def test_a_token_of_a_share_is_good_for_one_credential_and_is_not_refreshed(stage: Stage) -> None:
    offer = stage.share(stage.original())
    stage.now += 1
    token = stage.new_token("receiver")
    granted = stage.redeem_as_asked(offer, token)
    assert not granted.refreshable
    assert [one.remaining for one in stage.access(token.digest).datasets] == [1]


def test_a_token_does_not_outlive_its_lease(stage: Stage) -> None:
    offer = stage.share(stage.original())
    stage.redeem(offer)
    stage.now += LEASE - 10
    token = stage.redeem(offer)
    assert stage.access(token).expires_at == NOW + LEASE


def test_a36_a_parent_that_is_suspended_or_revoked_stops_redemption(stage: Stage) -> None:
    parent = stage.original()
    offer = stage.share(parent)
    stage.change(parent, "suspended")
    with refused("parent_invalid"):
        stage.redeem(offer)
    stage.change(parent, "valid")
    stage.redeem(offer)


@pytest.mark.parametrize("standing", ["suspended", "invalid"])
def test_a36_a_parent_that_falls_between_token_and_delivery_stops_it(stage: Stage, standing: str) -> None:
    parent = stage.original()
    offer = stage.share(parent)
    token = stage.redeem(offer)
    stage.change(parent, standing)  # type: ignore[arg-type]
    with refused("parent_invalid" if standing == "suspended" else "token_invalid"):
        stage.deliver(offer, token)
    assert stage.view(offer).issued_id is None


def test_a36_without_the_check_at_delivery_the_share_would_outlive_its_parent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_redemption.share_life, "parent_stands", lambda *_, **__: True)
    parent = stage.original()
    offer = stage.share(parent)
    token = stage.redeem(offer)
    stage.change(parent, "suspended")
    assert stage.standing(stage.deliver(offer, token)) == "valid"


def test_a35_a_parent_that_expires_before_redemption_or_delivery_stops_it(stage: Stage) -> None:
    parent = stage.original()
    ends = {"parent_expires": NOW + 100, "credential_expires": NOW + 100}
    late, later = stage.share(parent, **ends), stage.share(parent, **ends)
    stage.now += 99
    token = stage.redeem(later)
    stage.now += 1
    with refused("parent_invalid"):
        stage.redeem(late)
    with pytest.raises(CredentialRequestDenied) as denied:
        stage.deliver(later, token)
    assert denied.value.code == "parent_invalid"


def test_a28_five_wrong_pins_lock_the_share(stage: Stage) -> None:
    parent = stage.original()
    offer = stage.share(parent, tx=b"right")
    for _ in range(4):
        with refused("tx_code_wrong"):
            stage.redeem(offer, "guesser", tx=b"wrong")
        assert stage.state(offer) == "pending"
    with refused("tx_code_wrong"):
        stage.redeem(offer, "guesser", tx=b"wrong")
    assert (stage.state(offer), stage.grant_state(offer)) == ("locked", "locked")
    with refused("code_unknown"):
        stage.redeem(offer)
    assert [view.state for view in stage.listed(parent)] == ["locked"]


def test_a28_the_end_of_a_lease_gives_no_new_tries(stage: Stage) -> None:
    offer = stage.share(stage.original(), tx=b"right")
    for _ in range(4):
        with refused("tx_code_wrong"):
            stage.redeem(offer, "guesser", tx=b"wrong")
    stage.redeem(offer)
    with refused("code_used"):  # neither does a lease let anybody try
        stage.redeem(offer, "guesser", tx=b"wrong")
    stage.sweep(LEASE)
    with refused("tx_code_wrong"):
        stage.redeem(offer, "guesser", tx=b"wrong")
    assert stage.state(offer) == "locked"


def test_a28_whoever_repeats_knows_the_pin(stage: Stage) -> None:
    offer = stage.share(stage.original(), tx=b"right")
    token = stage.redeem(offer)
    with refused("code_used"):
        stage.redeem(offer, tx=b"wrong")
    stage.deliver(offer, token)


# Bound to a key (S3, S4).


def test_s4_a_share_for_a_key_is_delivered_to_that_key_only(stage: Stage) -> None:
    offer = stage.share(stage.original(), level="key", jkt="friend")
    assert stage.view(offer).pinned
    token = stage.redeem(offer)
    assert stage.access(token).share == share_redemption.ShareTerms(
        share_id=offer.share_id,
        mode="share",
        level="key",
        jkt="friend",
        not_before=None,
        credential_expires=NOW + YEAR,
    )
    for holders in (("thief",), (), ("friend", "thief")):
        with pytest.raises(InvalidProof) as raised:
            stage.deliver(offer, token, holders)
        assert raised.value.code == "proof_key_not_pinned"
    stage.deliver(offer, token, ("friend",))
    assert stage.view(offer).pinned


def test_s3_a_share_by_approval_waits_for_it(stage: Stage) -> None:
    offer = stage.share(stage.original(), level="approve")
    with refused("share_not_approved"):
        stage.redeem(offer)
    assert stage.state(offer) == "pending"
    assert stage.pin(offer, "friend").pinned
    token = stage.redeem(offer)
    with refused("proof_key_not_pinned"):
        stage.deliver(offer, token, ("thief",))
    stage.deliver(offer, token, ("friend",))


def test_s3_approval_is_given_once_and_in_time(stage: Stage) -> None:
    offer = stage.share(stage.original(), level="approve")
    stage.pin(offer)
    with refused("share_pinned"):
        stage.pin(offer, "thief")
    stage.redeem(offer)
    with refused("share_not_pending"):
        stage.pin(offer, "thief")
    for level in ({}, {"tx": b"1234"}, {"level": "key", "jkt": "friend"}):
        with refused("share_level"):
            stage.pin(stage.share(stage.original(), **level))
    late = stage.share(stage.original(), level="approve", offered=60)
    stage.now += 60
    with refused("share_not_pending"):
        stage.pin(late)


def test_the_thumbprint_is_erased_when_it_is_of_no_more_use(stage: Stage) -> None:
    parent = stage.original()
    given = stage.share(parent, level="key", jkt="friend")
    stage.deliver(given, stage.redeem(given), ("friend",))
    taken_back = stage.share(parent, level="key", jkt="friend")
    stage.end(taken_back)
    for offer in (given, taken_back):
        row = stage.run(
            lambda connection, name: share_redemption.share_life.share_by_id(connection, name), offer.share_id
        )
        assert row.jkt is None


def test_what_lost_its_status_is_not_delivered(stage: Stage) -> None:
    offer = stage.share(stage.original())
    token = stage.redeem(offer)
    with refused("share_not_revocable"):
        stage.run(
            share_redemption.deliver,
            offer.share_id,
            "issued",
            holders=("receiver",),
            revocable=False,
            now=stage.now,
            random=stage.random,
        )
    stage.deliver(offer, token)


# S6: taking back.


def test_s6_before_redemption_the_offer_is_cancelled(stage: Stage) -> None:
    parent = stage.original()
    offer = stage.share(parent)
    assert stage.end(offer, parent) == share_store.Ended("cancelled", "cancelled")
    with refused("code_unknown"):
        stage.redeem(offer)
    assert stage.end(offer, parent) == share_store.Ended("already_over", "cancelled")


def test_s6_a_token_that_was_given_dies_with_the_offer(stage: Stage) -> None:
    offer = stage.share(stage.original())
    token = stage.redeem(offer)
    assert stage.end(offer).outcome == "cancelled"
    with refused("token_invalid"):
        stage.deliver(offer, token)


def test_s6_after_redemption_the_credential_is_revoked(stage: Stage) -> None:
    parent = stage.original()
    offer = stage.share(parent)
    child = stage.receive(offer)
    assert stage.end(offer) == share_store.Ended("revoked", "revoked")
    assert stage.standings(parent, child) == ["valid", "invalid"]
    with refused("token_invalid"):
        stage.access(child.token)
    assert stage.end(offer) == share_store.Ended("already_over", "revoked")


def test_s6_what_has_expired_was_not_taken_back(stage: Stage) -> None:
    parent = stage.original()
    unused, used = stage.share(parent, offered=60), stage.share(parent, credential_expires=NOW + 60)
    child = stage.receive(used)
    stage.now += 60
    for offer in (unused, used):
        assert stage.end(offer) == share_store.Ended("already_expired", "expired")
    assert stage.standing(child) == "valid"  # its own time is over: nothing need be published


def test_s6_a_share_of_another_credential_is_unknown(stage: Stage) -> None:
    offer, other = stage.share(stage.original()), stage.original()
    with refused("share_unknown"):
        stage.end(offer, other)
    with refused("share_unknown"):
        stage.run(share_store.end_share, "https://other.example", offer.share_id, parent_id=None, now=NOW)
    assert stage.state(offer) == "pending"
    assert stage.listed(other) == []


def test_the_end_of_a_share_is_seen_for_a_day(stage: Stage) -> None:
    parent = stage.original()
    offer = stage.share(parent)
    stage.end(offer)
    stage.sweep(86399)
    assert [view.state for view in stage.listed(parent)] == ["cancelled"]
    stage.sweep(1)
    assert stage.state(offer) == "gone"


def test_a_share_is_remembered_as_long_as_what_it_gave_is_valid(stage: Stage) -> None:
    offer = stage.share(stage.original(), credential_expires=NOW + 100 * 86400)
    child = stage.receive(offer)
    stage.sweep(99 * 86400)
    assert stage.state(offer) == "issued"
    assert stage.end(offer).outcome == "revoked"
    assert stage.standing(child) == "invalid"


def test_management_sees_all_shares_by_pages(stage: Stage) -> None:
    first, second = stage.original(), stage.original()
    offers = [stage.share(first), stage.share(second), stage.share(second)]
    stage.end(offers[2])

    def found(**wanted: object) -> set[str]:
        named: dict[str, object] = {"state": None, "parent_id": None, "span": Span(), "page": Page()}
        rows = stage.run(share_store.find_shares, TENANT, **{**named, **wanted}, now=stage.now)
        return {row.share_id for row in rows}

    ids = [offer.share_id for offer in offers]
    assert found() == set(ids)
    assert found(state="pending") == set(ids[:2])
    assert found(parent_id=second.issued_id) == set(ids[1:])
    assert len(found(page=Page(limit=1))) == 2  # one more, to tell that there is another page
    assert found(span=Span(since=NOW + 1)) == set()


def test_many_shares_lapse_a_few_at_a_time(stage: Stage) -> None:
    assert limits.SHARES_LAPSED >= 16
    offers = [stage.share(stage.original(), offered=60) for _ in range(5)]
    stage.now += 60
    assert stage.run(share_store.lapse_due, now=stage.now, limit=2) == 2
    assert sorted(stage.state(offer) for offer in offers) == ["expired"] * 2 + ["pending"] * 3
    stage.sweep()
    assert {stage.state(offer) for offer in offers} == {"expired"}


def test_tokens_of_the_holder_are_for_one_credential_and_a_while(stage: Stage) -> None:
    stage.run(share_access_store.add_access, TENANT, b"token", "parent", expires_at=NOW + 300)
    assert stage.run(share_access_store.find_access, TENANT, b"token", now=NOW + 299) == "parent"
    for tenant, digest, now in (
        (TENANT, b"token", NOW + 300),
        (TENANT, b"other", NOW),
        ("https://other.example", b"token", NOW),
    ):
        with refused("token_invalid"):
            stage.run(share_access_store.find_access, tenant, digest, now=now)
    stage.sweep(300)
    with refused("token_invalid"):
        stage.run(share_access_store.find_access, TENANT, b"token", now=NOW)


def test_nothing_tells_secrets_when_it_is_shown(stage: Stage) -> None:
    new = stage.new_share(stage.original(), level="key", jkt="thumbprint-of-a-friend")
    stage.run(share_store.create_share, new, now=stage.now)
    offer_terms = stage.run(share_redemption.terms_of, new.id)
    assert "friend" not in repr(new) + repr(offer_terms)


def test_the_service_tidies_up_shares(tmp_path: Path) -> None:
    async def main() -> None:
        async with await Database.open(f"sqlite:///{tmp_path}/issuer.db", branch=ISSUER) as database:
            stage = Stage(database.run_sync)
            offer = await asyncio.to_thread(lambda: stage.share(stage.original(), offered=60))
            await Housekeeping((), database=database, clock=lambda: NOW + 60).sweep()
            assert await asyncio.to_thread(stage.state, offer) == "expired"
            await Housekeeping((), database=database, clock=lambda: NOW + 60 + 86400).sweep()
            assert await asyncio.to_thread(stage.state, offer) == "gone"

    asyncio.run(main())
