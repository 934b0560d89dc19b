"""Who looks after a share: whoever holds any credential of the same offer, and nobody else (A33)."""

from collections.abc import Iterator

import pytest
from tests.unit.services.issuer.share_stage import TENANT, Held, Offer, Stage, memory, refused, running

from safeconduct.services.issuer import share_store


@pytest.fixture
def stage() -> Iterator[Stage]:
    engine = memory()
    yield Stage(running(engine))
    engine.dispose()


def seen(stage: Stage, holder: Held) -> list[str]:
    return [view.share_id for view in stage.listed(holder)]


def pinned(stage: Stage, offer: Offer, holder: Held) -> None:
    stage.run(share_store.pin_share, TENANT, offer.share_id, "key", parent_id=holder.issued_id, now=stage.now)


def test_a33_who_renewed_its_credential_still_sees_and_ends_its_shares(stage: Stage) -> None:
    first = stage.original(uses=2)
    offer = stage.share(first)
    renewed = stage.another(first.token, first.grant_id)
    assert seen(stage, renewed) == [offer.share_id]
    assert stage.end(offer, renewed) == share_store.Ended("cancelled", "cancelled")


def test_a33_a_renewed_credential_approves(stage: Stage) -> None:
    first = stage.original(uses=2)
    offer = stage.share(first, level="approve")
    pinned(stage, offer, stage.another(first.token, first.grant_id))
    assert stage.view(offer).pinned


def test_a_stranger_sees_and_ends_nothing(stage: Stage) -> None:
    first = stage.original(uses=2)
    offer = stage.share(first, level="approve")
    receiver = stage.receive(stage.share(first))
    for stranger in (stage.original(), receiver, stage.original(shareable=False)):
        assert seen(stage, stranger) == []
        with refused("share_unknown"):
            stage.end(offer, stranger)
        with refused("share_unknown"):
            pinned(stage, offer, stranger)


def test_another_kind_of_the_same_offer_sees_nothing(stage: Stage) -> None:
    """An offer may hold a car and a house: whoever shows the car at the door learns nothing of the house."""
    first = stage.original(uses=2)
    offer = stage.share(first)
    house = stage.another(first.token, first.grant_id, kind="house")
    assert seen(stage, house) == []
    with refused("share_unknown"):
        stage.end(offer, house)


def test_who_received_a_move_does_not_see_what_the_sender_shared(stage: Stage) -> None:
    parent = stage.original()
    offer = stage.share(parent, mode="move")
    child = stage.receive(offer)
    stage.notify(child, "credential_accepted")
    assert seen(stage, child) == []
    assert seen(stage, parent) == [offer.share_id]
