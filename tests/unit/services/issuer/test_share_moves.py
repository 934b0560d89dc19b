"""Moves and revocation: never two valid credentials of a move, never none after one failed (S7, A36)."""

from collections.abc import Iterator

import pytest
from tests.unit.services.issuer.share_stage import (
    KIND,
    LEASE,
    NOW,
    TENANT,
    Held,
    Offer,
    Stage,
    memory,
    refused,
    running,
)

from safeconduct.services.issuer import delivery_store, share_life, share_store
from safeconduct.services.issuer.delivery_store import Delivery, Made


@pytest.fixture
def stage() -> Iterator[Stage]:
    engine = memory()
    yield Stage(running(engine))
    engine.dispose()


def moved(stage: Stage, parent: Held, **changes: object) -> tuple[Offer, Held]:
    """Moves a credential as far as its delivery."""
    offer = stage.share(parent, mode="move", **changes)
    return offer, stage.receive(offer)


# S7, step by step.


def test_s7_a_delivery_suspends_the_sender(stage: Stage) -> None:
    parent = stage.original()
    offer = stage.share(parent, mode="move")
    assert stage.standing(parent) == "valid"
    token = stage.redeem(offer)
    assert stage.standing(parent) == "valid"
    child = stage.deliver(offer, token)
    assert stage.standings(parent, child) == ["suspended", "valid"]


def test_s7_acceptance_revokes_the_sender(stage: Stage) -> None:
    parent = stage.original()
    offer, child = moved(stage, parent)
    stage.notify(child, "credential_accepted")
    assert stage.standings(parent, child) == ["invalid", "valid"]
    assert stage.state(offer) == "moved"
    stage.notify(child, "credential_accepted")
    stage.notify(child, "credential_failure")  # a receiver that has accepted cannot take it back
    assert stage.standings(parent, child) == ["invalid", "valid"]


def test_s7_silence_revokes_the_sender_when_the_lease_ends(stage: Stage) -> None:
    parent = stage.original()
    offer, child = moved(stage, parent)
    stage.sweep(LEASE - 1)
    assert stage.standings(parent, child) == ["suspended", "valid"]
    stage.sweep(1)
    assert stage.standings(parent, child) == ["invalid", "valid"]
    assert stage.state(offer) == "moved"


def test_s7_failure_gives_the_sender_its_credential_back(stage: Stage) -> None:
    parent = stage.original()
    offer, child = moved(stage, parent)
    stage.notify(child, "credential_failure")
    assert stage.standings(parent, child) == ["valid", "invalid"]
    assert stage.state(offer) == "failed"
    with refused("token_invalid"):  # a receiver that lies gets nothing more
        stage.notify(child, "credential_accepted")
    with refused("token_invalid"):
        stage.access(child.token)
    offer, child = moved(stage, parent)  # it may be tried again
    stage.notify(child, "credential_accepted")
    assert stage.standings(parent, child) == ["invalid", "valid"]


def test_s7_failure_revokes_first(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """No moment of the transaction has two valid credentials, whoever publishes in between."""
    parent = stage.original()
    _, child = moved(stage, parent)
    order: list[tuple[str, str]] = []
    genuine = share_life.places.change_standing

    def noted(connection: object, issued_id: str, to: str, *rest: object) -> int:
        order.append((issued_id, to))
        return genuine(connection, issued_id, to, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(share_life.places, "change_standing", noted)
    stage.notify(child, "credential_failure")
    assert order == [(child.issued_id, "invalid"), (parent.issued_id, "valid")]


def test_s7_a_receiver_that_deletes_what_it_got_has_had_it(stage: Stage) -> None:
    parent = stage.original()
    offer, child = moved(stage, parent)
    stage.notify(child, "credential_deleted")
    assert stage.state(offer) == "moved"
    assert stage.standing(parent) == "invalid"


def test_s7_the_sender_takes_it_back_before_it_is_settled(stage: Stage) -> None:
    parent = stage.original()
    offer, child = moved(stage, parent)
    assert stage.end(offer, parent) == share_store.Ended("revoked", "revoked")
    assert stage.standings(parent, child) == ["valid", "invalid"]


def test_s7_the_sender_cannot_take_back_what_is_settled(stage: Stage) -> None:
    parent = stage.original()
    offer, child = moved(stage, parent)
    stage.now += LEASE  # the lease is over, although nobody has tidied up
    assert stage.end(offer, parent) == share_store.Ended("already_over", "moved")
    assert stage.standings(parent, child) == ["invalid", "valid"]


@pytest.mark.parametrize("step", ["offered", "redeemed", "lease over", "offer over"])
def test_s7_a_move_that_stops_before_delivery_leaves_the_sender_as_it_was(stage: Stage, step: str) -> None:
    parent = stage.original()
    offer = stage.share(parent, mode="move")
    if step != "offered":
        stage.redeem(offer)
    if step == "lease over":
        stage.sweep(LEASE)
    if step == "offer over":
        stage.sweep(86400)
    assert stage.standing(parent) == "valid"
    stage.end(offer)
    assert stage.standing(parent) == "valid"


@pytest.mark.parametrize("broken", ["suspend_sender", "_outlive", "step"])
def test_s7_a_delivery_that_breaks_in_the_middle_changes_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    parent = stage.original()
    offer = stage.share(parent, mode="move")
    token = stage.redeem(offer)

    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError

    place = share_life if broken == "step" else delivery_store.share_redemption
    with monkeypatch.context() as patch:
        patch.setattr(place, broken, breaks)
        with pytest.raises(RuntimeError):
            stage.deliver(offer, token)
    assert stage.standing(parent) == "valid"
    assert stage.state(offer) == "redeeming"
    child = stage.deliver(offer, token)
    assert stage.standings(parent, child) == ["suspended", "valid"]


@pytest.mark.parametrize("broken", ["end_shares_of", "lift_suspension", "end"])
def test_s7_a_failure_that_breaks_in_the_middle_changes_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    parent = stage.original()
    offer, child = moved(stage, parent)

    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(share_life, broken, breaks)
        with pytest.raises(RuntimeError):
            stage.notify(child, "credential_failure")
    assert stage.standings(parent, child) == ["suspended", "valid"]
    assert stage.state(offer) == "issued"
    stage.notify(child, "credential_failure")
    assert stage.standings(parent, child) == ["valid", "invalid"]


def test_s7_the_receiver_can_complain_as_long_as_that_counts(stage: Stage) -> None:
    """Its token lives as long, so that nobody is left without a credential for want of a token."""
    parent = stage.original()
    offer = stage.share(parent, mode="move")
    token = stage.redeem(offer)
    stage.sweep(299)
    child = stage.deliver(offer, token)
    stage.sweep(LEASE - 1)
    stage.notify(child, "credential_failure")
    assert stage.standings(parent, child) == ["valid", "invalid"]


def test_s7_of_two_moves_one_is_delivered(stage: Stage) -> None:
    parent = stage.original()
    first, second = stage.share(parent, mode="move"), stage.share(parent, mode="move")
    tokens = stage.redeem(first), stage.redeem(second)
    child = stage.deliver(first, tokens[0])
    with refused("parent_invalid"):
        stage.deliver(second, tokens[1])
    stage.notify(child, "credential_failure")
    other = stage.deliver(second, tokens[1])  # its lease still runs
    assert stage.standings(parent, child, other) == ["suspended", "invalid", "valid"]


def test_s7_a_share_that_was_open_is_refused_while_the_parent_moves(stage: Stage) -> None:
    parent = stage.original()
    open_one = stage.share(parent)
    moved(stage, parent)
    with refused("parent_invalid"):
        stage.redeem(open_one)
    with refused("parent_invalid"):
        stage.share(parent)
    stage.sweep(LEASE)
    assert stage.state(open_one) == "cancelled"


def test_without_suspension_a_move_has_two_valid_credentials(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_store.share_redemption, "suspend_sender", lambda *_: True)
    parent = stage.original()
    _, child = moved(stage, parent)
    assert stage.standings(parent, child) == ["valid", "valid"]


# What else the sender holds of the same offer.


def test_a_move_takes_all_that_the_sender_holds_of_the_offer(stage: Stage) -> None:
    parent = stage.original(uses=3)
    twin = stage.another(parent.token, parent.grant_id)
    _, child = moved(stage, parent)
    assert stage.standings(parent, twin, child) == ["suspended", "suspended", "valid"]
    with refused("parent_invalid"):
        stage.share(twin)
    stage.notify(child, "credential_accepted")
    assert stage.standings(parent, twin, child) == ["invalid", "invalid", "valid"]


def test_a_move_that_fails_gives_all_of_it_back(stage: Stage) -> None:
    parent = stage.original(uses=3)
    twin = stage.another(parent.token, parent.grant_id)
    gone = stage.another(parent.token, parent.grant_id)
    stage.change(gone, "invalid")
    _, child = moved(stage, parent)
    stage.notify(child, "credential_failure")
    assert stage.standings(parent, twin, gone, child) == ["valid", "valid", "invalid", "invalid"]


def test_a_sender_gets_no_more_of_what_it_moves(stage: Stage) -> None:
    parent = stage.original(uses=3)
    _, child = moved(stage, parent)
    with refused("identifier_used_up"):
        stage.another(parent.token, parent.grant_id)
    stage.notify(child, "credential_failure")
    again = stage.another(parent.token, parent.grant_id)
    assert stage.standing(again) == "valid"
    _, child = moved(stage, parent)
    stage.notify(child, "credential_accepted")
    with refused("identifier_used_up"):
        stage.another(parent.token, parent.grant_id)


def test_the_claims_are_kept_while_a_move_may_still_fail(stage: Stage) -> None:
    parent = stage.original(uses=3, refresh=True)
    _, child = moved(stage, parent)
    stage.sweep(400)  # the repeatable deliveries are over
    stage.notify(child, "credential_failure")
    assert stage.claims_of(parent) is not None


def test_what_waits_to_be_delivered_later_is_not_delivered_beside_a_move(stage: Stage) -> None:
    parent = stage.original(uses=2)
    moved(stage, parent)
    later = Delivery(
        tenant=TENANT,
        token_digest=parent.token,
        grant_id=parent.grant_id,
        digest=b"transaction",
        configuration_id=KIND,
        count=1,
        made=Made("later", ()),
        expires_at=NOW + 300,
        own_reference=None,
        notification_digest=None,
        event=None,
        purge_at=NOW + 300,
        shareable=True,
    )
    with refused("transaction_denied"):
        stage.run(delivery_store.deliver_deferred, later, now=stage.now)


def test_what_was_issued_before_moving_was_allowed_is_not_moved(stage: Stage) -> None:
    """Nothing says what else its holder has."""
    parent = stage.original(shareable=False)
    with refused("sharing_unmovable"):
        stage.share(parent, mode="move")
    stage.share(parent)


def test_a_sender_whose_credentials_are_partly_suspended_moves_nothing(stage: Stage) -> None:
    """Else the move would lift what management has decided."""
    parent = stage.original(uses=2)
    twin = stage.another(parent.token, parent.grant_id)
    stage.change(twin, "suspended")
    offer = stage.share(parent, mode="move")
    with refused("parent_invalid"):
        stage.receive(offer)
    assert stage.standings(parent, twin) == ["valid", "suspended"]


# What management says while a move is under way.


def test_management_cannot_reinstate_what_a_move_suspended(stage: Stage) -> None:
    parent = stage.original()
    moved(stage, parent)
    with refused("move_under_way"):
        stage.change(parent, "valid")
    assert stage.standing(parent) == "suspended"


def test_what_management_suspends_meanwhile_stays_suspended(stage: Stage) -> None:
    parent = stage.original()
    _, child = moved(stage, parent)
    assert stage.change(parent, "suspended") == 0
    stage.notify(child, "credential_failure")
    assert stage.standings(parent, child) == ["suspended", "invalid"]
    stage.change(parent, "valid")
    assert stage.standing(parent) == "valid"


def test_management_may_think_again(stage: Stage) -> None:
    parent = stage.original()
    _, child = moved(stage, parent)
    stage.change(parent, "suspended")
    assert stage.change(parent, "valid") == 0
    stage.notify(child, "credential_failure")
    assert stage.standing(parent) == "valid"


def test_a36_a_sender_revoked_meanwhile_takes_the_receiver_with_it(stage: Stage) -> None:
    parent = stage.original()
    offer, child = moved(stage, parent)
    stage.change(parent, "invalid")
    assert stage.standings(parent, child) == ["invalid", "invalid"]
    assert stage.state(offer) == "revoked"


def test_a_receiver_revoked_meanwhile_leaves_the_sender_its_credential(stage: Stage) -> None:
    parent = stage.original()
    offer, child = moved(stage, parent)
    stage.change(child, "invalid")
    assert stage.standings(parent, child) == ["valid", "invalid"]
    assert stage.state(offer) == "revoked"


# The cascade.


def test_revoking_a_credential_ends_all_that_came_of_it(stage: Stage) -> None:
    parent = stage.original()
    given, leased, open_one = stage.share(parent), stage.share(parent), stage.share(parent)
    child = stage.receive(given)
    token = stage.redeem(leased)
    below, below_open = stage.share(child), stage.share(child)
    grandchild = stage.receive(below)
    bystander = stage.original()
    assert stage.change(parent, "invalid") == 1
    assert stage.standings(parent, child, grandchild) == ["invalid"] * 3
    assert [stage.state(one) for one in (given, leased, open_one, below, below_open)] == [
        "revoked",
        "cancelled",
        "cancelled",
        "revoked",
        "cancelled",
    ]
    assert stage.standing(bystander) == "valid"
    with refused("token_invalid"):
        stage.deliver(leased, token)
    for offer in (open_one, below_open):
        with refused("code_unknown"):
            stage.redeem(offer)


def test_revoking_a_share_ends_what_was_shared_of_it(stage: Stage) -> None:
    parent = stage.original()
    given = stage.share(parent)
    child = stage.receive(given)
    grandchild = stage.receive(stage.share(child))
    stage.end(given, parent)
    assert stage.standings(parent, child, grandchild) == ["valid", "invalid", "invalid"]


def test_revoking_by_reference_ends_shares_as_well(stage: Stage) -> None:
    parent = stage.original()
    child = stage.receive(stage.share(parent))
    assert stage.change_all("4711", "invalid") == 1  # the other is revoked already
    assert stage.standings(parent, child) == ["invalid", "invalid"]


def test_suspending_a_credential_leaves_what_was_given(stage: Stage) -> None:
    parent = stage.original()
    child = stage.receive(stage.share(parent))
    stage.change(parent, "suspended")
    assert stage.standing(child) == "valid"
    stage.change(parent, "valid")


def test_without_the_cascade_the_child_of_a_revoked_credential_stays_valid(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_life, "credential_revoked", lambda *_, **__: None)
    parent = stage.original()
    child = stage.receive(stage.share(parent))
    stage.change(parent, "invalid")
    assert stage.standing(child) == "valid"


# The receiver of a move takes the sender's place.


def test_a_settled_move_is_not_undone_by_its_past(stage: Stage) -> None:
    parent = stage.original()
    _, child = moved(stage, parent)
    stage.notify(child, "credential_accepted")
    with refused("status_final"):
        stage.change(parent, "valid")
    stage.change(parent, "invalid")
    assert stage.standing(child) == "valid"


def test_a_moved_credential_has_the_depth_of_the_one_before(stage: Stage) -> None:
    parent = stage.original()
    _, child = moved(stage, parent)
    stage.notify(child, "credential_accepted")
    stage.sweep(2 * 86400)
    assert stage.parent(child).depth == 0
    shared = stage.receive(stage.share(child, max_depth=1))
    _, further = moved(stage, shared, max_depth=1)
    stage.notify(further, "credential_accepted")
    stage.sweep(2 * 86400)
    assert stage.parent(further).depth == 1
    with refused("sharing_too_deep"):
        stage.share(further, max_depth=1)


def test_whoever_could_revoke_what_was_moved_can_revoke_what_it_became(stage: Stage) -> None:
    owner = stage.original()
    given = stage.share(owner, entitlements=("open", "trunk"))
    friend = stage.receive(given)
    _, other = moved(stage, friend, entitlements=("open",), credential_expires=NOW + 5000)
    stage.notify(other, "credential_accepted")
    assert stage.standings(owner, friend, other) == ["valid", "invalid", "valid"]
    view = stage.view(given)
    assert (view.state, view.issued_id) == ("issued", other.issued_id)
    assert stage.parent(other).entitlements == ("open",)
    with refused("validity_exceeds_parent"):
        stage.share(other, entitlements=("open",), credential_expires=NOW + 5001)
    assert stage.end(given, owner).outcome == "revoked"
    assert stage.standings(owner, other) == ["valid", "invalid"]


def test_revoking_the_root_reaches_what_was_moved_below_it(stage: Stage) -> None:
    owner = stage.original()
    friend = stage.receive(stage.share(owner))
    _, other = moved(stage, friend)
    stage.notify(other, "credential_accepted")
    stage.change(owner, "invalid")
    assert stage.standings(owner, friend, other) == ["invalid"] * 3


def test_shares_of_what_is_moved_end_with_it(stage: Stage) -> None:
    """Its new holder does not know them."""
    parent = stage.original()
    guest = stage.receive(stage.share(parent))
    _, child = moved(stage, parent)
    assert stage.standing(guest) == "valid"  # the move may still fail
    stage.notify(child, "credential_accepted")
    assert stage.standings(parent, guest, child) == ["invalid", "invalid", "valid"]


def test_what_is_not_settled_is_not_shared(stage: Stage) -> None:
    _, child = moved(stage, stage.original())
    for mode in ("share", "move"):
        with refused("sharing_unsettled"):
            stage.share(child, mode=mode)
    stage.notify(child, "credential_accepted")
    stage.share(child, mode="move")


# A move whose time to complain is over counts as settled, also before anybody has tidied up.


def test_s7_what_management_revokes_after_the_lease_does_not_bring_the_sender_back(stage: Stage) -> None:
    parent = stage.original()
    offer, child = moved(stage, parent)
    stage.now += LEASE
    stage.change(child, "invalid")
    assert stage.standings(parent, child) == ["invalid", "invalid"]
    assert stage.state(offer) == "moved"


def test_s7_a_sender_revoked_after_the_lease_has_nothing_to_do_with_the_receiver(stage: Stage) -> None:
    parent = stage.original()
    offer, child = moved(stage, parent)
    stage.now += LEASE
    stage.change(parent, "invalid")
    assert stage.standings(parent, child) == ["invalid", "valid"]
    assert stage.state(offer) == "moved"


def test_s7_the_standing_of_a_sender_after_the_lease_is_final(stage: Stage) -> None:
    parent = stage.original()
    _, child = moved(stage, parent)
    stage.now += LEASE
    with refused("status_final"):
        stage.change(parent, "valid")
    assert stage.standing(child) == "valid"


def test_s7_what_was_moved_and_settled_can_be_shared_before_anybody_tidies_up(stage: Stage) -> None:
    parent = stage.original()
    _, child = moved(stage, parent)
    with refused("sharing_unsettled"):
        stage.share(child)
    stage.now += LEASE
    stage.share(child)


def test_s7_an_answer_that_was_lost_can_be_had_until_the_move_is_settled(stage: Stage) -> None:
    """Else the sender's is revoked in the end, and the receiver has none either."""
    parent = stage.original()
    offer = stage.share(parent, mode="move")
    token = stage.redeem(offer)
    first = stage.deliver(offer, token, digest=b"same")
    stage.sweep(LEASE - 1)
    assert stage.claims_of(first) is not None
    again = stage.deliver(offer, token, digest=b"same")
    assert (again.issued_id, stage.standing(first)) == (first.issued_id, "valid")
    assert stage.standing(parent) == "suspended"
