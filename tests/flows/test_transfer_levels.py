"""S3, S4 and S9 with the real services: shares by approval, for a known key, and without a relay."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.flows.transfer_stage import RELAY, SERVER, Actor, Crash, Sent, Stage, Wish, open_stage, refusal
from tests.softhsm import SoftHsm

from safeconduct import hsm, limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.errors import Rejected
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci.offer import parse_offer, uri_by_value
from safeconduct.protocols.transfer import approval as steps
from safeconduct.protocols.transfer import sealed
from safeconduct.protocols.transfer.channel import Channel, Role
from safeconduct.protocols.transfer.content import Content, encode_content, parse_content
from safeconduct.protocols.transfer.draft_payload import seal_draft
from safeconduct.protocols.transfer.keys import derive_keys
from safeconduct.protocols.transfer.link import link_text, parse_link
from safeconduct.protocols.transfer.payload import Payload
from safeconduct.wallet.holder_keys import signer_of
from safeconduct.wallet.records import Held
from safeconduct.wallet.sharing import approving, exchanging, register
from safeconduct.wallet.sharing.approved import Awaited
from safeconduct.wallet.sharing.records import Given, Shared, Taken
from safeconduct.wallet.sharing.relay_line import TRIES

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


def later(_digits: str) -> bool | None:
    """Nobody has compared anything yet."""
    return None


async def approvable(stage: Stage, sender: Actor, **wish: Any) -> tuple[Shared, str]:
    """A share by approval of a car, and its link."""
    shared = await sender.wallet.share(await stage.give_car(sender), Wish(level="approve", **wish))
    assert shared.link is not None
    assert shared.tx_code is None
    return shared, shared.link


async def awaits(actor: Actor, source: str, **terms: Any) -> str | None:
    """Receives as far as it goes while the sender does nothing; returns the digits that are shown."""
    awaited = await actor.wallet.receive(source, actor.terms(**terms))
    assert isinstance(awaited, Awaited)
    return awaited.digits


async def compare(sender: Actor, shared: Shared, receiver: Actor, **terms: Any) -> None:
    """Both see the same digits, of a share that was opened, and the sender says so."""
    assert shared.link is not None
    digits = (await sender.wallet.approve(shared.id, confirm=later)).digits
    assert digits is not None
    assert await awaits(receiver, shared.link, **terms) == digits
    approval = await sender.wallet.approve(shared.id, confirm=lambda shown: shown == digits)
    assert approval.state == "released"


async def record(actor: Actor, name: str) -> Given | Taken | None:
    return await actor.wallet._context.safe.run(register.get, name)


def offered(offer: Given | dict[str, Any]) -> str:
    """The offer that lies in a share, as an issuer would hand it out."""
    members = offer.offer if isinstance(offer, Given) else offer
    return uri_by_value(parse_offer(json.dumps(members or {})))


# S3: approval.


@pytest.mark.parametrize(("kind", "via"), [("car_jwt", None), ("car_cwt", SERVER)])
def test_s3_the_share_is_released_when_both_have_seen_the_same_digits(
    tmp_path: Path, kind: str, via: str | None
) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        car = await stage.give_car(sender, kind)
        shared = await sender.wallet.share(car, Wish(level="approve", entitlements=("open",)))
        assert shared.link is not None
        assert await sender.wallet.approve(shared.id, confirm=later) == approving.Approval(
            id=shared.id, share_id=shared.share_id, state="waiting", digits=None
        )
        assert await awaits(receiver, shared.link, via=via) is None
        (standing,) = await sender.wallet.shares()
        assert (standing.relay_state, standing.pinned) == ("claimed", False)
        comparing = await sender.wallet.approve(shared.id, confirm=later)
        assert comparing.state == "compare"
        (taken,) = await receiver.wallet.opened()
        assert await awaits(receiver, taken.id, via=via) == comparing.digits
        released = await sender.wallet.approve(shared.id, confirm=lambda shown: shown == comparing.digits)
        assert released.state == "released"
        assert (await sender.wallet.shares())[0].pinned
        held = await receiver.receive(taken.id, via=via)
        assert (await receiver.wallet.show(held.id)).claims["access_rights"] == ["open"]
        assert [question.step for question in receiver.asked] == ["claim", "redeem"]
        (standing,) = await sender.wallet.shares()
        assert (standing.relay_state, standing.issuer_state) == ("gone", "issued")
        assert await receiver.wallet.opened() == ()

    play(tmp_path, scene)


def test_s3_both_at_once_need_one_call_each(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        seen: list[str] = []

        def compared(digits: str) -> bool:
            seen.append(digits)
            return True

        approval, held = await asyncio.gather(
            sender.wallet.approve(shared.id, confirm=compared, wait=60),
            receiver.receive(link, wait_sender=60, show=lambda digits, _issuer: seen.append(digits)),
        )
        assert approval.state == "released"
        assert isinstance(held, Held)
        assert len(seen) == 2
        assert len(set(seen)) == 1
        assert len(seen[0]) == 6

    play(tmp_path, scene)


def test_s3_a_receiver_whose_answer_was_lost_sees_what_the_sender_said_to_it(tmp_path: Path) -> None:
    """The sender has replied before the receiver learns that its own message arrived (hole 4)."""

    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        receiver.line.lose("PUT", "", times=TRIES)
        assert await refusal(awaits(receiver, link)) == "relay_unavailable"
        comparing = await sender.wallet.approve(shared.id, confirm=later)
        assert comparing.state == "compare"
        assert await awaits(receiver, link) == comparing.digits

    play(tmp_path, scene)


def test_s3_the_digits_are_shown_with_the_issuer_that_the_sender_names(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        seen: list[tuple[str, str]] = []
        await awaits(receiver, link)
        comparing = await sender.wallet.approve(shared.id, confirm=later)
        await awaits(receiver, link, show=lambda digits, issuer: seen.append((digits, issuer)))
        assert seen == [(comparing.digits, "https://issuer.example")]

    play(tmp_path, scene)


def test_s3_digits_that_differ_end_the_share_at_the_issuer_and_at_the_relay(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        await awaits(receiver, link)
        refused = sender.wallet.approve(shared.id, confirm=lambda _digits: False)
        assert await refusal(refused) == "digits_differ"
        assert await stage.share_states() == ["cancelled"]
        assert await refusal(receiver.receive(link)) == "share_withdrawn"
        assert await receiver.wallet.opened() == ()
        assert await refusal(sender.wallet.approve(shared.id, confirm=later)) == "share_over"
        (standing,) = await sender.wallet.shares()
        assert (standing.relay_state, standing.stage) == ("gone", "over")

    play(tmp_path, scene)


def test_s3_a_sender_who_is_away_is_waited_for_until_the_mailbox_ends(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        for _ in range(3):
            assert await awaits(receiver, link) is None
        stage.clock.now += limits.OFFER_SECONDS + 86400 * 31
        assert await refusal(receiver.receive(link)) == "share_withdrawn"
        assert await refusal(sender.wallet.approve(shared.id, confirm=later)) == "mailbox_gone"

    play(tmp_path, scene)


def test_a5_a_second_who_opens_the_link_learns_that_and_the_approval_goes_on(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        await awaits(receiver, link)
        async with stage.actor("second") as second:
            assert await refusal(second.receive(link)) == "share_taken"
            assert await second.wallet.opened() == ()
        await compare(sender, shared, receiver)
        await receiver.receive(link)

    play(tmp_path, scene)


def test_s3_a_sender_who_says_yes_before_the_receiver_saw_anything_shares_nothing(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        await awaits(receiver, link)
        await sender.wallet.approve(shared.id, confirm=lambda _digits: True)
        assert await refusal(receiver.receive(link)) == "approval_not_compared"
        assert await receiver.wallet.opened() == ()
        assert await receiver.wallet.list() == ()

    play(tmp_path, scene)


def test_a1_who_read_the_link_and_was_first_gets_nothing_that_nobody_approves(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        async with stage.actor("thief") as thief:
            await awaits(thief, link)
            assert await refusal(receiver.receive(link)) == "share_taken"
            # The receiver sees no digits and says so, or reads out others: the sender takes all back.
            await refusal(sender.wallet.approve(shared.id, confirm=lambda _digits: False))
            assert await refusal(thief.receive(link)) == "share_withdrawn"
            assert await thief.wallet.list() == ()
        assert await stage.standings() == ["valid"]

    play(tmp_path, scene)


@pytest.mark.parametrize("when", ["answered", "compared"])
def test_a5_a_receiver_who_steps_back_makes_room_for_another_with_other_digits(
    tmp_path: Path, when: str
) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        await awaits(receiver, link)
        first = None
        if when == "compared":
            first = (await sender.wallet.approve(shared.id, confirm=later)).digits
        assert await receiver.wallet.decline(link, way="give_back", terms=receiver.terms()) == "given_back"
        async with stage.actor("second") as second:
            assert await awaits(second, link) is None
            state = (await sender.wallet.approve(shared.id, confirm=later)).state
            assert await awaits(second, link) is None or when == "answered"
            approval = await sender.wallet.approve(shared.id, confirm=later)
            assert {state, approval.state} <= {"waiting", "compare"}
            assert approval.state == "compare"
            assert approval.digits != first
            assert await awaits(second, link) == approval.digits
            await sender.wallet.approve(shared.id, confirm=lambda _digits: True)
            await second.receive(link)

    play(tmp_path, scene)


def test_a39_approvals_do_not_begin_anew_without_end(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        seen = set()
        for _ in range(approving.ROUNDS):
            await awaits(receiver, link)
            seen.add((await sender.wallet.approve(shared.id, confirm=later)).digits)
            await receiver.wallet.decline(link, way="give_back", terms=receiver.terms())
            if len(seen) < approving.ROUNDS:
                assert (await sender.wallet.approve(shared.id, confirm=later)).state == "waiting"
        again = sender.wallet.approve(shared.id, confirm=lambda _digits: True)
        assert await refusal(again) == "approval_begun_often"
        assert len(seen) == approving.ROUNDS
        assert (await sender.wallet.revoke_share(shared.id)).complete

    play(tmp_path, scene)


def test_s3_a_share_that_waits_for_nothing_is_not_approved(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, _receiver: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish(level="pin"))
        assert await refusal(sender.wallet.approve(shared.id, confirm=later)) == "approval_unwanted"
        assert await refusal(sender.wallet.approve("ffff", confirm=later)) == "transfer_unknown"

    play(tmp_path, scene)


def test_s3_the_code_is_worth_nothing_before_it_is_pinned_nor_to_another_key_after(tmp_path: Path) -> None:
    """Even with the offer itself, which only a broken wallet would lose."""

    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        given = await record(sender, shared.id)
        assert isinstance(given, Given)
        stolen = offered(given)
        async with stage.actor("thief") as thief:
            assert await refusal(thief.wallet.accept(stolen, configuration="car_jwt")) == "grant_refused"
            await awaits(receiver, link)
            await compare(sender, shared, receiver)
            held = await receiver.receive(link)
            assert await refusal(thief.wallet.accept(stolen, configuration="car_jwt")) == "grant_refused"
            assert await thief.wallet.list() == ()
        assert held.issuer == given.issuer

    play(tmp_path, scene)


# S3: what a crash leaves.


Arm = Callable[[Actor], None]
"""Lets a wallet's line crash."""


def counted(number: int, *, arrives: bool) -> Callable[[int], Arm]:
    """A crash at the request of that number in the whole share."""
    return lambda sent: lambda actor: actor.line.crash(number - sent, arrives=arrives)


def always(arm: Arm) -> Callable[[int], Arm]:
    return lambda _sent: arm


def on(method: str, part: str, *, arrives: bool) -> Arm:
    """A crash at each request to such a URL."""

    def hook(sent: Sent) -> None:
        if sent.method == method and part in sent.url:
            raise Crash

    def arm(actor: Actor) -> None:
        if arrives:
            actor.line.after = hook
        else:
            actor.line.before = hook

    return arm


async def interrupted(stage: Stage, name: str, who: str, arm: Callable[[int], Arm]) -> bool:
    """Play a share by approval in which somebody crashes; whether anybody did.

    arm: what lets the wallet crash in its turn, by how many requests it has sent before.
    """
    crashed = False
    sent = 0

    async def turn(side: str, work: Callable[[Actor], Awaitable[Any]]) -> Any:
        """Does the work with a wallet, once more if it crashes."""
        nonlocal crashed, sent
        async with stage.actor(f"{side} of {name}") as actor:
            before = len(actor.line.tape)
            if side == who and not crashed:
                arm(sent)(actor)
            try:
                return await work(actor)
            except Crash:
                crashed = True
            finally:
                sent += len(actor.line.tape) - before if side == who else 0
        async with stage.actor(f"{side} of {name}") as actor:
            return await work(actor)

    async with stage.actor(f"sender of {name}") as sender:
        car = await stage.give_car(sender)

    async def share(actor: Actor) -> Shared:
        for standing in await actor.wallet.shares():
            return await actor.wallet.resume_share(standing.id)
        return await actor.wallet.share(car, Wish(level="approve"))

    async def fetch(actor: Actor) -> Held:
        for held in await actor.wallet.list():
            await actor.wallet.resume_transfers()
            return held
        return await actor.receive(shared.link)

    shared = await turn("sender", share)
    assert shared.link is not None
    link = shared.link
    await turn("receiver", lambda actor: awaits(actor, link))
    digits = (await turn("sender", lambda actor: actor.wallet.approve(shared.id, confirm=later))).digits
    assert digits is not None
    assert await turn("receiver", lambda actor: awaits(actor, link)) == digits
    yes = await turn("sender", lambda actor: actor.wallet.approve(shared.id, confirm=lambda _: True))
    assert yes.state == "released"
    await turn("receiver", fetch)
    return crashed


def test_s3_a_crash_where_it_hurts_ends_nothing(tmp_path: Path) -> None:
    """Both go on after it, and there is one new credential in the end."""
    crashes = [
        ("sender", on("PUT", "/v1/m/", arrives=False)),  # M3 is kept, not sent
        ("sender", on("PATCH", "/shares/", arrives=True)),  # pinned, and nobody knows
        ("receiver", on("PUT", "/v1/m/", arrives=True)),  # M2 is there, and nobody knows
        ("receiver", on("POST", "/credential", arrives=True)),
    ]

    async def main() -> None:
        async with open_stage(tmp_path) as stage:
            for number, (who, arm) in enumerate(crashes):
                assert await interrupted(stage, str(number), who, always(arm))
            assert await stage.standings() == ["valid"] * 2 * len(crashes)

    asyncio.run(main())


@pytest.mark.skipif(not os.environ.get("SAFECONDUCT_LOAD_CRASHES"), reason="make load sets it")
@pytest.mark.parametrize("arrives", [False, True], ids=["before it is sent", "after it was sent"])
@pytest.mark.parametrize("who", ["sender", "receiver"])
def test_s3_a_crash_at_any_request_ends_nothing(tmp_path: Path, who: str, arrives: bool) -> None:
    async def main() -> None:
        async with open_stage(tmp_path) as stage:
            number = 0
            while await interrupted(stage, str(number), who, counted(number, arrives=arrives)):
                number += 1
            assert number > 8
            assert await stage.standings() == ["valid"] * 2 * (number + 1)

    asyncio.run(main())


# A39: somebody in the middle.


class Middle:
    """Somebody with the secret and the relay's help, between the two: each hears only what it says."""

    def __init__(self, link: str, share: Any) -> None:
        secret = parse_link(link).secret
        assert secret is not None
        self.secret = secret
        self.keys = derive_keys(secret)
        self.to_sender = Channel(secret, "receiver")
        self.to_receiver = Channel(secret, "sender")
        self.as_sender, first = steps.begin_approval(share)
        self.as_receiver: Any = None
        self.own = Key.generate("ES256")
        self.for_receiver = self._sealed(self.to_receiver, first)
        self.for_sender: Payload | None = None

    def _sealed(self, channel: Channel, content: Content) -> Payload:
        return channel.seal(encode_content(content))

    def _opened(self, role: Role, payload: Payload) -> Content:
        """What one of the two has sent, opened as the other would."""
        return parse_content(Channel(self.secret, role).open(payload))

    def hear_sender(self, payload: Payload) -> None:
        """M1: it answers as the receiver would. M3 is of no use to it."""
        thumbprint = self.own.public.jwk_thumbprint()
        first = self._opened("receiver", payload)
        self.as_receiver, second = steps.answer(first, proof_key_thumbprint=thumbprint)
        self.for_sender = self._sealed(self.to_sender, second)

    def hear_receiver(self, payload: Payload) -> None:
        """M2: it reveals to the receiver as the sender would."""
        second = self._opened("sender", payload)
        self.as_sender, third = steps.take_answer(self.as_sender, second, context=self.keys.context)
        self.for_receiver = self._sealed(self.to_receiver, third)

    def steal(self, reveal: Payload, fourth: Payload) -> Any:
        """Opens the offer that a careless sender released to it."""
        approval = steps.take_reveal(
            self.as_receiver, self._opened("receiver", reveal), context=self.keys.context
        )
        _, offer = steps.take_offer(approval, self._opened("receiver", fourth), keys=self.keys)
        return offer


def instead(payload: Callable[[], Payload | None]) -> Callable[[Sent, Response], Response]:
    """What the relay answers to a read, with another message in it; it says that something has happened."""

    def answer(sent: Sent, response: Response) -> Response:
        found = payload()
        if sent.method != "POST" or "/v1/m/" not in sent.url or response.status >= 400 or found is None:
            return response
        known = {"sequence": int(sent.headers.get("Mailbox-Known-Sequence", 0)) + 1}
        members = known if response.status == 204 else response.json()
        body = json.dumps({**members, "payload": {"type": found.type, "data": found.data}})
        return Response(200, {"content-type": "application/json"}, body)

    return answer


def put(actor: Actor) -> list[Payload]:
    """The messages that somebody put into a mailbox, or made it with."""
    return [
        Payload(**json.loads_object(sent.body)["payload"])
        for sent in actor.line.tape
        if sent.url.startswith(RELAY) and sent.method in ("PUT", "POST") and b'"payload"' in sent.body
    ]


async def between(stage: Stage, sender: Actor, receiver: Actor) -> tuple[Shared, str, Middle, str]:
    """Plays until both see digits, with somebody in the middle; returns also those of the receiver."""
    shared, link = await approvable(stage, sender)
    given = await record(sender, shared.id)
    assert isinstance(given, Given)
    middle = Middle(link, steps.read_sender_approval(given.extra["approval"]).share)
    middle.hear_sender(put(sender)[0])
    sender.line.answers = instead(lambda: middle.for_sender)
    receiver.line.answers = instead(lambda: middle.for_receiver)
    await awaits(receiver, link)
    middle.hear_receiver(put(receiver)[0])
    seen = await awaits(receiver, link)
    assert seen is not None
    return shared, link, middle, seen


def test_a39_somebody_in_the_middle_shows_as_other_digits_and_gets_nothing(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, _, middle, seen = await between(stage, sender, receiver)
        compared = sender.wallet.approve(shared.id, confirm=lambda digits: digits == seen)
        assert await refusal(compared) == "digits_differ"
        assert await stage.share_states() == ["cancelled"]
        for payload in put(sender):
            assert middle._opened("receiver", payload).format == "sct.approve/1"  # the offer never left

    play(tmp_path, scene)


def test_a39_what_stops_it_is_the_comparison_alone(tmp_path: Path) -> None:
    """A sender who says yes without having listened gives the share away: the test before can fail."""

    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, _, middle, _ = await between(stage, sender, receiver)
        sender_says = await sender.wallet.approve(shared.id, confirm=lambda _digits: True)
        assert sender_says.state == "released"
        _, reveal, fourth = put(sender)
        offer = middle.steal(reveal, fourth)
        stolen = offered(offer.credential_offer)
        async with stage.actor("thief") as thief:
            key = json.dumps(middle.own.to_jwk(private=True)).decode()
            assert isinstance(await thief.wallet.accept(stolen, key=key, configuration="car_jwt"), Held)

    play(tmp_path, scene)


def test_a39_keys_that_were_not_committed_to_end_the_transfer_at_the_receiver(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        given = await record(sender, shared.id)
        assert isinstance(given, Given)
        await awaits(receiver, link)
        share = steps.read_sender_approval(given.extra["approval"]).share
        middle = Middle(link, share)  # its commitment never reached the receiver
        middle.to_receiver = Channel(middle.secret, "sender", sent=7)
        middle.hear_receiver(put(receiver)[0])
        receiver.line.answers = instead(lambda: middle.for_receiver)
        await sender.wallet.approve(shared.id, confirm=later)
        assert await refusal(receiver.receive(link)) == "commitment_mismatch"
        assert await receiver.wallet.opened() == ()
        assert (await sender.wallet.shares())[0].relay_state == "gone"

    play(tmp_path, scene)


def test_a39_a_second_answer_to_one_commitment_is_never_taken(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        await awaits(receiver, link)
        first = await sender.wallet.approve(shared.id, confirm=later)
        before = await record(sender, shared.id)
        assert isinstance(before, Given)
        # The receiver's device, in strange hands, knows all by now, and answers once more.
        taken = (await receiver.wallet.opened())[0]
        taken = await exchanging.keep(
            receiver.wallet._context, msgspec.structs.replace(taken, extra={}, letter=None)
        )
        async with stage.actor("receiver") as again:
            approval, second = steps.answer(
                Content("sct.approve/1", msgspec.to_builtins(_first_message(before))),
                proof_key_thumbprint=bytes(32),
            )
            await exchanging.send(again.wallet._context, taken, second)
        assert approval.state == "answered"
        told = await sender.wallet.approve(shared.id, confirm=lambda _digits: True)
        assert told.state == "waiting"  # with another commitment, not with another answer to the first
        after = await record(sender, shared.id)
        assert isinstance(after, Given)
        assert after.extra["approval"]["key"] != before.extra["approval"]["key"]
        assert after.jkt is None
        assert first.digits is not None

    def _first_message(given: Given) -> Any:
        approval = steps.read_sender_approval(given.extra["approval"])
        return {"share": msgspec.to_builtins(approval.share), "commit": b64.encode(bytes(32)), "step": 1}

    play(tmp_path, scene)


def test_a39_two_programs_of_one_sender_do_not_answer_twice_for_one_commitment(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared, link = await approvable(stage, sender)
        await awaits(receiver, link)
        before = await record(sender, shared.id)
        assert isinstance(before, Given)
        async with stage.actor("sender") as other:
            first, second = await asyncio.gather(
                sender.wallet.approve(shared.id, confirm=later),
                other.wallet.approve(shared.id, confirm=later),
                return_exceptions=True,
            )
        told = [one.digits for one in (first, second) if isinstance(one, approving.Approval)]
        kept = await record(sender, shared.id)
        assert isinstance(kept, Given)
        assert {*told} == {kept.extra["approval"]["digits"]}
        late = exchanging.keep(sender.wallet._context, before)
        assert await refusal(late) == "transfer_changed"

    play(tmp_path, scene)


def test_a14_a_relay_that_plays_the_receiver_has_no_secret_to_answer_with(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, _receiver: Actor) -> None:
        shared, _ = await approvable(stage, sender)
        given = await record(sender, shared.id)
        assert isinstance(given, Given)
        announced = steps.read_sender_approval(given.extra["approval"]).share
        _, first = steps.begin_approval(announced)
        _, answer = steps.answer(first, proof_key_thumbprint=bytes(32))
        guessed = Channel(bytes(32), "receiver").seal(encode_content(answer))
        own = put(sender)[0]
        for payload, code in ((guessed, "payload_authentication_failed"), (own, None)):
            sender.line.answers = instead(lambda payload=payload: payload)  # type: ignore[misc]
            went_on = sender.wallet.approve(shared.id, confirm=lambda _digits: True)
            if code is None:
                assert (await went_on).state == "waiting"  # its own message, handed back, is no answer
            else:
                assert await refusal(went_on) == code
        assert await stage.share_states() == ["pending"]

    play(tmp_path, scene)


# A38: what the link says of version and level holds.


@pytest.mark.parametrize("level", ["approve", "key"])
def test_a38_what_the_link_says_of_version_and_level_cannot_be_weakened(tmp_path: Path, level: Any) -> None:
    """Not by the relay, not by whoever has the secret and the relay's help, not on the link's own way."""

    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await shared_at(stage, sender, receiver, level)
        assert shared.link is not None
        secret = parse_link(shared.link).secret
        assert secret is not None
        given = await record(sender, shared.id)
        assert isinstance(given, Given)
        legacy = seal_draft(secret, b'{"format":"openid4vci.credential_offer","content":{}}')
        receiver.line.answers = instead(lambda: legacy)
        assert await refusal(receiver.receive(shared.link)) == "payload_downgraded"
        offer = {"credential_offer": given.offer, "share": {"id": shared.share_id, "issuer": given.issuer}}
        forged = encode_content(Content("openid4vci.credential_offer", offer))
        receiver.line.answers = instead(lambda: Channel(secret, "sender").seal(forged))
        assert await refusal(receiver.receive(shared.link)) == "content_format_unsupported"
        weaker = link_text(msgspec.structs.replace(parse_link(shared.link), level="link"))
        assert await refusal(receiver.receive(weaker)) == "link_changed"
        await receiver.wallet.decline(shared.link, way="give_back", terms=receiver.terms())
        receiver.line.answers = lambda _sent, response: response
        assert await refusal(receiver.receive(weaker)) == "content_format_unsupported"
        assert await refusal(receiver.receive(shared.link)) == "link_changed"
        assert await receiver.wallet.list() == ()
        assert await stage.share_states() == ["pending"]

    play(tmp_path, scene)


async def shared_at(stage: Stage, sender: Actor, receiver: Actor, level: Any) -> Shared:
    """A share at some level for the receiver."""
    car = await stage.give_car(sender)
    if level != "key":
        return await sender.wallet.share(car, Wish(level=level))
    await introduce(sender, receiver)
    return await sender.wallet.share(car, Wish(), to="Rae")


# S4: for a known key.


async def introduce(sender: Actor, receiver: Actor, name: str = "Rae", **card: Any) -> str:
    """The receiver's card comes to the sender."""
    own, _ = await receiver.wallet.own_card(name=name, **card)
    await sender.wallet.add_contact(own.text)
    return own.text


@pytest.mark.parametrize(("kind", "via"), [("car_jwt", None), ("car_cwt", SERVER)])
def test_s4_a_share_for_a_contact_is_redeemed_with_the_key_of_the_card(
    tmp_path: Path, kind: str, via: str | None
) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        text = await introduce(sender, receiver)
        shared = await sender.wallet.share(await stage.give_car(sender, kind), Wish(), to="Rae")
        assert (shared.level, shared.tx_code) == ("key", None)
        (standing,) = await sender.wallet.shares()
        assert (standing.pinned, standing.contact) == (True, (await sender.wallet.contacts())[0][0].id)
        held = await receiver.receive(shared.link, via=via)
        own, card = await _card(receiver, text)
        credential = await receiver.wallet._context.safe.run(_stored, held.id)
        assert signer_of(credential).public == card
        assert own != (await receiver.wallet.own_card())[0].text  # a used card is not handed out again
        (standing,) = await sender.wallet.shares()
        assert (standing.relay_state, standing.issuer_state) == ("gone", "issued")

    play(tmp_path, scene)


async def _card(actor: Actor, text: str) -> tuple[str, Any]:
    from safeconduct.protocols.transfer.contact import parse_contact

    return text, parse_contact(text, now=actor.wallet._context.clock()).proof_key


def _stored(connection: Any, vault: Any, name: str) -> str:
    from safeconduct.wallet import store

    return store.find_credential(connection, vault, name).key


def test_s4_a_link_that_was_intercepted_gives_nothing_and_stays_good(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        await introduce(sender, receiver)
        shared = await sender.wallet.share(await stage.give_car(sender), Wish(), to="Rae")
        async with stage.actor("thief") as thief:
            await thief.wallet.own_card(name="Rae")
            assert await refusal(thief.receive(shared.link)) == "sealed_for_another"
            assert await thief.wallet.opened() == ()
        assert (await sender.wallet.shares())[0].relay_state == "relinquished"
        await receiver.receive(shared.link)

    play(tmp_path, scene)


def test_s4_the_offer_itself_is_worth_nothing_without_the_key(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        await introduce(sender, receiver)
        shared = await sender.wallet.share(await stage.give_car(sender), Wish(), to="Rae")
        given = await record(sender, shared.id)
        assert isinstance(given, Given)
        async with stage.actor("thief") as thief:
            code = await refusal(thief.wallet.accept(offered(given), configuration="car_jwt"))
            assert code in ("issuer_unwilling", "credential_denied")
            assert await thief.wallet.list() == ()
        assert await stage.standings() == ["valid"]

    play(tmp_path, scene)


def test_s4_the_issuer_is_what_refuses_another_key(tmp_path: Path) -> None:
    """The same offer at level link is anybody's: the test before can fail."""

    async def scene(stage: Stage, sender: Actor, _receiver: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish(level="link"))
        given = await record(sender, shared.id)
        assert isinstance(given, Given)
        async with stage.actor("thief") as thief:
            assert isinstance(await thief.wallet.accept(offered(given), configuration="car_jwt"), Held)

    play(tmp_path, scene)


def test_a31_a_share_for_the_wrong_contact_is_taken_back(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        async with stage.actor("stranger") as stranger:
            await introduce(sender, stranger, "Ray")
            await introduce(sender, receiver)
            shared = await sender.wallet.share(await stage.give_car(sender), Wish(), to="Ray")
            assert await refusal(receiver.receive(shared.link)) == "sealed_for_another"
            ended = await sender.wallet.revoke_share(shared.id)
            assert (ended.issuer, ended.relay) == ("cancelled", "deleted")
            assert await refusal(stranger.receive(shared.link)) == "mailbox_gone"
            given = await sender.wallet.share(
                (await sender.wallet.list())[0].id, Wish(place="file"), to="Ray"
            )
            await sender.wallet.revoke_share(given.id)
            assert await refusal(stranger.receive(given.link)) == "grant_refused"

    play(tmp_path, scene)


def test_s4_another_persona_of_the_receiver_cannot_open_it(tmp_path: Path) -> None:
    from safeconduct.settings import WalletSettings
    from safeconduct.wallet import personas

    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        await introduce(sender, receiver)
        shared = await sender.wallet.share(await stage.give_car(sender), Wish(), to="Rae")
        personas.add(WalletSettings(store=tmp_path / "receiver"), "work")
        async with stage.actor("receiver", persona="work") as work:
            assert await work.wallet.list() == ()
            assert await refusal(work.receive(shared.link)) == "sealed_for_another"
        await receiver.receive(shared.link)

    play(tmp_path, scene)


def test_s4_a_contact_has_to_be_known_and_the_level_allowed(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        car = await stage.give_car(sender)
        assert await refusal(sender.wallet.share(car, Wish(), to="Rae")) == "contact_unknown"
        await introduce(sender, receiver)
        assert await refusal(sender.wallet.share(car, Wish(), to="Rae")) == "share_level_not_allowed"
        assert await sender.wallet.shares() == ()

    sharing = '[configurations.sharing]\nlevels = ["pin"]\nrights = "access_rights"\n'
    play(tmp_path, scene, sharing=sharing)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [('["link", "pin", "key", "approve"]', "pin"), ('["link", "key", "approve"]', "approve")],
)
def test_the_default_level_is_the_pin_and_else_the_approval(
    tmp_path: Path, levels: str, expected: str
) -> None:
    async def scene(stage: Stage, sender: Actor, _receiver: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish())
        assert shared.level == expected

    sharing = f'[configurations.sharing]\nlevels = {levels}\nrights = "access_rights"\n'
    play(tmp_path, scene, sharing=sharing)


# A holder key in a PKCS#11 token.


@pytest.mark.parametrize("level", ["approve", "file"])
def test_what_is_received_is_bound_to_a_key_in_a_token(tmp_path: Path, softhsm: SoftHsm, level: Any) -> None:
    uri = softhsm.uri(f"holder {level}")
    public = hsm.generate_key(uri, "ES256")

    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        car = await stage.give_car(sender)
        if level in ("key", "file"):
            await introduce(sender, receiver, key=uri)
            wish = Wish(place="file" if level == "file" else "relay")
            shared = await sender.wallet.share(car, wish, to="Rae")
            held = await receiver.receive(shared.link)
        else:
            shared = await sender.wallet.share(car, Wish(level=level))
            if level == "approve":
                assert shared.link is not None
                await awaits(receiver, shared.link, key=uri)
                await compare(sender, shared, receiver, key=uri)
            held = await receiver.receive(shared.link, key=uri)
        stored = await receiver.wallet._context.safe.run(_stored, held.id)
        assert stored == uri
        assert signer_of(stored).public == public
        shown = await receiver.wallet.present(
            held.id, disclose=[], audience="https://verifier.example", nonce=b"nonce-of-the-verifier"
        )
        assert shown

    play(tmp_path, scene)


# S9: without a relay.


def in_file(stage: Stage, sender: Actor, kind: str = "car_jwt") -> Awaitable[Shared]:
    async def share() -> Shared:
        return await sender.wallet.share(await stage.give_car(sender, kind), Wish(place="file"), to="Rae")

    return share()


def test_s9_a_share_goes_as_a_text_and_no_relay_hears_of_it(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        await introduce(sender, receiver)
        shared = await in_file(stage, sender, "car_cwt")
        assert shared.link is not None
        assert shared.link.startswith("sct:s1.")
        assert len(shared.link) < 2331  # fits a QR code at level M
        held = await receiver.receive(shared.link)
        assert (await receiver.wallet.show(held.id)).claims["vehicle"] == "A 1"
        assert [question.step for question in receiver.asked] == ["redeem"]
        for actor in (sender, receiver):
            assert not [sent for sent in actor.line.tape if sent.url.startswith(RELAY)]
        (standing,) = await sender.wallet.shares()
        assert (standing.relay_state, standing.issuer_state) == ("none", "issued")
        assert await receiver.wallet.opened() == ()

    play(tmp_path, scene)


def test_s9_a_text_that_was_declined_or_is_for_somebody_else_leaves_nothing(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        await introduce(sender, receiver)
        shared = await in_file(stage, sender)
        assert await refusal(receiver.receive(shared.link, ask=lambda _question: False)) == "declined"
        assert await receiver.wallet.opened() == ()
        async with stage.actor("other") as other:
            assert await refusal(other.receive(shared.link)) == "sealed_for_another"
            await other.wallet.own_card(name="Rae")
            assert await refusal(other.receive(shared.link)) == "sealed_for_another"
            assert await other.wallet.opened() == ()
        await receiver.receive(shared.link)

    play(tmp_path, scene)


def test_s9_an_interrupted_receipt_goes_on_with_the_same_text(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        await introduce(sender, receiver)
        shared = await in_file(stage, sender)
        receiver.line.lose("POST", "/token", times=9)
        with pytest.raises(Rejected):
            await receiver.receive(shared.link)
        (taken,) = await receiver.wallet.opened()
        receiver.line.lose("POST", "/nowhere")
        held = await receiver.receive(shared.link)
        assert held.id == taken.id

    play(tmp_path, scene)


def test_s9_a_text_that_was_taken_back_is_worth_nothing(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        await introduce(sender, receiver)
        shared = await in_file(stage, sender)
        ended = await sender.wallet.revoke_share(shared.id)
        assert (ended.issuer, ended.relay) == ("cancelled", "none")
        assert await refusal(receiver.receive(shared.link)) == "grant_refused"

    play(tmp_path, scene)


def test_s9_what_is_no_sealed_share_is_told(tmp_path: Path) -> None:
    async def scene(_stage: Stage, _sender: Actor, receiver: Actor) -> None:
        await receiver.wallet.own_card(name="Rae")
        for text in ("sct:s1.", "sct:s1.AAAA", "sct:s1.!", "sct:s1." + "A" * 40_000):
            assert await refusal(receiver.receive(text)) == "sealed_file_malformed"
        assert await refusal(receiver.receive("sct:s1." + "A" * 400)) == "sealed_for_another"
        assert await receiver.wallet.opened() == ()

    play(tmp_path, scene)


def test_s9_whoever_seals_an_offer_of_another_issuer_than_the_share_is_not_followed(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        text = await introduce(sender, receiver)
        shared = await in_file(stage, sender)
        given = await record(sender, shared.id)
        assert isinstance(given, Given)
        from safeconduct.protocols.transfer.contact import parse_contact
        from safeconduct.protocols.transfer.content import Offer, Share

        forged = Offer(given.offer or {}, Share(id=shared.share_id, issuer="https://bank.example"))
        recipient = parse_contact(text, now=stage.clock()).receiving_key
        malicious = sealed.seal_file(forged, recipient=recipient)
        assert await refusal(receiver.receive(malicious)) == "share_issuer_mismatch"
        assert await receiver.wallet.opened() == ()

    play(tmp_path, scene)
