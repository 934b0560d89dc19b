"""S2 with the real services: a share by link and by PIN, from one wallet to another."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.flows.transfer_stage import (
    OTHER_RELAY,
    RELAY,
    SERVER,
    VERIFIER,
    Actor,
    Stage,
    Wish,
    open_stage,
    refusal,
    wrong,
)

Scene = Callable[[Stage, Actor, Actor], Awaitable[Any]]


def play(folder: Path, scene: Scene, **settings: Any) -> None:
    """A sender and a receiver play a scene."""

    async def main() -> None:
        async with (
            open_stage(folder, **settings) as stage,
            stage.actor("sender") as sender,
            stage.actor("receiver") as receiver,
        ):
            await scene(stage, sender, receiver)

    asyncio.run(main())


@pytest.mark.parametrize(("kind", "via"), [("car_jwt", None), ("car_cwt", SERVER)])
def test_s2_a_pin_share_ends_with_a_credential_of_the_receivers_own(
    tmp_path: Path, kind: str, via: str | None
) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        car = await stage.give_car(sender, kind)
        shared = await sender.wallet.share(car, Wish(entitlements=("open", "trunk")))
        assert (shared.level, shared.mode) == ("pin", "share")
        assert shared.link is not None
        assert shared.tx_code is not None
        assert shared.tx_code not in shared.link
        (standing,) = await sender.wallet.shares()
        assert (standing.relay_state, standing.issuer_state) == ("unclaimed", "pending")
        held = await receiver.receive(shared.link, shared.tx_code, via=via)
        shown = await receiver.wallet.show(held.id)
        assert shown.claims["access_rights"] == ["open", "trunk"]
        assert "owner" not in shown.claims
        (standing,) = await sender.wallet.shares()
        assert (standing.relay_state, standing.issuer_state) == ("gone", "issued")
        assert await stage.standings() == ["valid", "valid"]
        assert await receiver.wallet.opened() == ()
        assert [question.step for question in receiver.asked] == ["claim", "redeem"]
        assert receiver.notices == []

    play(tmp_path, scene)


def test_s10_the_receiver_shows_it_and_the_verifier_learns_nothing_of_the_sender(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        car = await stage.give_car(sender)
        shared = await sender.wallet.share(car, Wish(level="link"))
        held = await receiver.receive(shared.link)
        await stage.publish()
        disclose = ["access_rights"]
        outcome = await receiver.wallet.present_to(held.id, verifier=VERIFIER, disclose=disclose)
        assert outcome.accepted, outcome.code
        assert outcome.claims["access_rights"] == ["open", "start", "trunk"]
        assert not {"Erika", shared.share_id, shared.id} & set(str(outcome.claims).split("'"))
        ended = await sender.wallet.revoke_share(shared.id)
        assert (ended.issuer, ended.relay) == ("revoked", "gone")
        await stage.publish()
        stage.clock.now += 86400
        outcome = await receiver.wallet.present_to(held.id, verifier=VERIFIER, disclose=disclose)
        assert (outcome.accepted, outcome.code) == (False, "status_invalid")

    play(tmp_path, scene)


def test_s2_wrong_pins_lock_the_share_and_the_sender_is_told(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish())
        for tried in range(1, 6):
            code = await refusal(receiver.receive(shared.link, wrong(shared)))
            assert code == ("pin_refused" if tried < 5 else "pin_locked")
        assert await refusal(receiver.receive(shared.link, shared.tx_code)) == "pin_locked"
        (standing,) = await sender.wallet.shares()
        assert standing.issuer_state == "locked"
        assert await stage.standings() == ["valid"]

    play(tmp_path, scene)


def test_a_wrong_pin_can_be_corrected_with_the_link_or_the_transfer(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish())
        assert await refusal(receiver.receive(shared.link, wrong(shared))) == "pin_refused"
        (taken,) = await receiver.wallet.opened()
        held = await receiver.receive(taken.id, shared.tx_code)
        assert held.id == taken.id
        assert await stage.share_states() == ["issued"]

    play(tmp_path, scene)


def test_a30_the_issuer_is_shown_before_the_pin_is_asked_for(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish())
        order: list[str] = []

        def ask(question: Any) -> bool:
            order.append(f"{question.step} {question.issuer}")
            return True

        def pin(question: Any) -> str | None:
            order.append(f"{question.step} {question.issuer}")
            return shared.tx_code

        assert shared.link is not None
        await receiver.wallet.receive(shared.link, receiver.terms(ask=ask, pin=pin))
        assert order == ["claim ", "redeem https://issuer.example", "pin https://issuer.example"]

    play(tmp_path, scene)


@pytest.mark.parametrize(("step", "state"), [("claim", "unclaimed"), ("redeem", "claimed")])
def test_who_says_no_takes_nothing(tmp_path: Path, step: str, state: str) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish(level="link"))
        told = receiver.receive(shared.link, ask=lambda question: question.step != step)
        assert await refusal(told) == "declined"
        (standing,) = await sender.wallet.shares()
        assert (standing.relay_state, standing.issuer_state) == (state, "pending")
        await receiver.receive(shared.link)  # changed their mind

    play(tmp_path, scene)


def test_a5_who_comes_second_is_told_so_and_changes_nothing(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish(level="link"))
        assert await refusal(receiver.receive(shared.link, ask=lambda q: q.step == "claim")) == "declined"
        async with stage.actor("second") as second:
            assert await refusal(second.receive(shared.link)) == "share_taken"
            assert await second.wallet.opened() == ()
            assert shared.link is not None
            way = await receiver.wallet.decline(shared.link, way="give_back", terms=receiver.terms())
            assert way == "given_back"
            assert (await sender.wallet.shares())[0].relay_state == "relinquished"
            await second.receive(shared.link)
        assert await refusal(receiver.receive(shared.link)) == "mailbox_gone"

    play(tmp_path, scene)


@pytest.mark.parametrize("opened", [False, True])
def test_s6_a_receiver_refuses_and_the_sender_sees_it(tmp_path: Path, opened: bool) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish(level="link"))
        assert shared.link is not None
        if opened:
            await refusal(receiver.receive(shared.link, ask=lambda q: q.step == "claim"))
        assert await receiver.wallet.decline(shared.link, way="refuse", terms=receiver.terms()) == "refused"
        assert await receiver.wallet.opened() == ()
        (standing,) = await sender.wallet.shares()
        assert (standing.relay_state, standing.issuer_state) == ("gone", "pending")
        ended = await sender.wallet.revoke_share(shared.id)
        assert (ended.issuer, ended.relay) == ("cancelled", "gone")

    play(tmp_path, scene)


def test_s2_an_expired_mailbox_leaves_a_grant_that_the_sender_cancels(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        wish = Wish(level="link", lifetime=10 * 86400)
        shared = await sender.wallet.share(await stage.give_car(sender), wish)
        stage.clock.now += 3601
        assert await refusal(receiver.receive(shared.link)) == "mailbox_gone"
        (standing,) = await sender.wallet.shares()
        assert (standing.relay_state, standing.issuer_state) == ("gone", "pending")
        assert (await sender.wallet.revoke_share(shared.id)).issuer == "cancelled"

    play(tmp_path, scene, relay={"lifetime_most": 3600, "lifetime_default": 3600})


def test_p22_the_sender_chooses_the_relay_and_the_receiver_is_asked_about_it(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        car = await stage.give_car(sender)
        shared = await sender.wallet.share(car, Wish(level="link", relay=OTHER_RELAY))
        assert shared.link is not None
        assert shared.link.startswith(OTHER_RELAY)
        before = len(receiver.line.tape)
        assert await refusal(receiver.receive(shared.link, ask=None)) == "relay_unlisted"
        assert await refusal(receiver.receive(shared.link, ask=lambda _q: False)) == "declined"
        assert receiver.line.tape[before:] == []
        await receiver.receive(shared.link)
        assert [question.step for question in receiver.asked] == ["relay", "claim", "redeem"]

    play(tmp_path, scene)


def test_s2_a_relay_that_is_down_is_left_for_another(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        car = await stage.give_car(sender)
        sender.line.cut(RELAY)
        assert await refusal(sender.wallet.share(car, Wish(level="link"))) == "relay_unavailable"
        await sender.wallet.resume_transfers()
        assert "share_unfinished" in sender.codes()
        (standing,) = await sender.wallet.shares()
        shared = await sender.wallet.share_elsewhere(standing.id, relay=OTHER_RELAY)
        await receiver.receive(shared.link)
        assert await stage.share_states() == ["issued"]

    play(tmp_path, scene)


def test_a_share_moves_to_another_relay_and_its_first_link_is_dead(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        first = await sender.wallet.share(await stage.give_car(sender), Wish(level="link"))
        second = await sender.wallet.share_elsewhere(first.id, relay=OTHER_RELAY)
        assert second.link is not None
        assert first.link is not None
        assert second.link.partition("#")[2] != first.link.partition("#")[2]
        assert await refusal(receiver.receive(first.link)) == "mailbox_gone"
        await receiver.receive(second.link)

    play(tmp_path, scene)


def test_draft_payloads_are_told_as_such_and_taken(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish(payloads="draft"))
        assert shared.link is not None
        assert "." not in shared.link.partition("#")[2]
        await receiver.receive(shared.link, shared.tx_code)
        assert [question.legacy for question in receiver.asked] == [True, True]

    play(tmp_path, scene)


def test_s1_what_the_issuer_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, _receiver: Actor) -> None:
        car = await stage.give_car(sender)
        wishes = {
            "entitlement_exceeds_parent": Wish(entitlements=("fly",)),
            "validity_exceeds_parent": Wish(expires=stage.clock() + 400 * 86400),
        }
        for code, wish in wishes.items():
            assert await refusal(sender.wallet.share(car, wish)) == code
        for _ in range(3):
            await sender.wallet.share(car, Wish(level="link"))
        assert await refusal(sender.wallet.share(car, Wish())) == "too_many_shares"
        assert len(await sender.wallet.shares()) == 3

    play(tmp_path, scene)


def test_a34_what_was_received_is_not_shared_on_without_leave(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish(level="link"))
        held = await receiver.receive(shared.link)
        assert await refusal(receiver.wallet.share(held.id, Wish(level="link"))) == "sharing_not_allowed"

    play(tmp_path, scene)


def test_a_kind_that_is_not_shared_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, _receiver: Actor) -> None:
        car = await stage.give_car(sender)
        before = len(sender.line.tape)
        assert await refusal(sender.wallet.share(car, Wish())) == "sharing_not_allowed"
        assert {sent.method for sent in sender.line.tape[before:]} == {"GET"}  # metadata alone

    play(tmp_path, scene, sharing="")


def test_a33_another_wallet_of_the_holder_lists_and_revokes(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        car = await stage.give_car(sender)
        backup = await sender.wallet.backup("correct horse battery staple")
        shared = await sender.wallet.share(car, Wish(level="link"))
        await receiver.receive(shared.link)
        async with stage.actor("spare") as spare:
            await spare.wallet.restore(backup, "correct horse battery staple")
            (standing,) = await spare.wallet.shares(car)
            assert (standing.id, standing.share_id, standing.issuer_state) == ("", shared.share_id, "issued")
            ended = await spare.wallet.revoke_share(shared.share_id)
        assert ended.issuer == "revoked"
        assert sorted(await stage.standings()) == ["invalid", "valid"]

    play(tmp_path, scene)


@pytest.mark.parametrize(("wanted", "taken"), [(None, "car_cwt"), ("car_jwt", "car_jwt")])
def test_the_receiver_chooses_among_the_formats_of_the_right(
    tmp_path: Path, wanted: str | None, taken: str
) -> None:
    """The sender need not know what the receiver's wallet can hold; without a choice it is the sender's."""

    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        car = await stage.give_car(sender, "car_cwt")
        shared = await sender.wallet.share(car, Wish(level="link", entitlements=("trunk",)))
        held = await receiver.receive(shared.link, configuration=wanted)
        assert held.configuration == taken
        shown = await receiver.wallet.show(held.id)
        assert shown.claims["access_rights"] == ["trunk"]
        assert receiver.asked[-1].configurations == ("car_cwt", "car_jwt")

    play(tmp_path, scene)
