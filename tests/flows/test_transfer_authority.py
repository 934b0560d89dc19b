"""S8 with the real services: a credential passed on through a mailbox, signed by its sender alone."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from tests.flows.sharing_stage import DISCLOSED
from tests.flows.transfer_stage import (
    ISSUER,
    RELAY,
    VERIFIER,
    Actor,
    Crash,
    Sent,
    Stage,
    Wish,
    open_stage,
    refusal,
    wrong,
)

from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci.proof import create_proof
from safeconduct.protocols.transfer import delegation as messages
from safeconduct.protocols.transfer.content import DELEGATION_FORMAT, Content
from safeconduct.wallet import store
from safeconduct.wallet.context import Context
from safeconduct.wallet.formats import DELEGATED
from safeconduct.wallet.holder_keys import signer_of
from safeconduct.wallet.records import Held
from safeconduct.wallet.sharing import (
    authority,
    delegated,
    delegating,
    exchanging,
    receiving,
    register,
    sending,
)
from safeconduct.wallet.sharing.approved import Awaited
from safeconduct.wallet.sharing.delegating import PIN_TRIES, Answered, AuthorityWish
from safeconduct.wallet.sharing.records import Shared, Taken

Scene = Callable[[Stage, Actor, Actor], Awaitable[Any]]

VCT = "https://issuer.example/car"
DEPTH = {"delegation_depth": 2, "delegation_types": (VCT,)}
RIGHTS = AuthorityWish(disclose=("vehicle", *DISCLOSED[1:]), rights={"access_rights": ("open",)})


def play(folder: Path, scene: Scene, *, verifier: dict[str, Any] | None = None) -> None:
    """A sender and a receiver play a scene, at an issuer that lets nothing be shared."""

    async def main() -> None:
        async with (
            open_stage(folder, sharing="", verifier=DEPTH if verifier is None else verifier) as stage,
            stage.actor("sender") as sender,
            stage.actor("receiver") as receiver,
        ):
            await scene(stage, sender, receiver)

    asyncio.run(main())


def context_of(actor: Actor) -> Context:
    return actor.wallet._context


async def passed_on(stage: Stage, sender: Actor, wish: AuthorityWish = RIGHTS) -> Shared:
    return await authority.share(context_of(sender), await stage.give_car(sender), wish)


async def signs(sender: Actor, shared: Shared, *, said: bool | None = True) -> Answered:
    return await authority.answer(context_of(sender), shared.id, confirm=lambda _claimant: said, wait=0)


async def opens(actor: Actor, link: str | None, tx_code: str | None = None) -> Held | Awaited:
    assert link is not None
    outcome = await actor.wallet.receive(link, actor.terms(tx_code=tx_code))
    assert isinstance(outcome, Held | Awaited)
    return outcome


async def given_to(sender: Actor, receiver: Actor, shared: Shared) -> Held:
    """The whole of it, once it is left."""
    assert isinstance(await opens(receiver, shared.link, shared.tx_code), Awaited)
    assert (await signs(sender, shared)).state == "signed"
    held = await opens(receiver, shared.link)
    assert isinstance(held, Held)
    return held


def at_issuer(stage: Stage) -> list[Sent]:
    return [sent for tape in stage.tapes.values() for sent in tape if sent.url.startswith(ISSUER)]


def test_s8_a_credential_is_passed_on_and_shown_without_its_issuer(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        car = await stage.give_car(sender)
        before = len(at_issuer(stage))
        shared = await authority.share(context_of(sender), car, RIGHTS)
        assert shared.link is not None
        assert shared.tx_code is not None
        assert shared.tx_code not in shared.link
        held = await given_to(sender, receiver, shared)

        # Nobody asked the issuer for anything but its public keys.
        assert {sent.method for sent in at_issuer(stage)[before:]} == {"GET"}
        assert await stage.standings() == ["valid"]
        assert (held.format, held.issuer, held.vct) == (DELEGATED, ISSUER, VCT)
        shown = await receiver.wallet.show(held.id)
        assert (shown.claims["vehicle"], shown.claims["access_rights"]) == ("A 1", ["open"])
        assert not {"owner", "garage"} & shown.claims.keys()
        assert [question.step for question in receiver.asked] == ["claim", "redeem"]
        assert "signed by its sender" in receiver.asked[1].description

        await stage.publish()
        disclose = ["access_rights"]
        outcome = await receiver.wallet.present_to(held.id, verifier=VERIFIER, disclose=disclose)
        assert outcome.accepted, outcome.code
        assert outcome.claims["access_rights"] == ["open"]
        assert "vehicle" not in outcome.claims
        assert "status" not in outcome.claims
        # The mailbox is gone, and nothing waits on either side.
        assert await refusal(opens(receiver, shared.link)) == "mailbox_gone"
        assert await receiver.wallet.opened() == ()
        assert await refusal(signs(sender, shared)) == "share_over"

    play(tmp_path, scene)


def test_s8_a_verifier_that_does_not_say_so_takes_none(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        held = await given_to(sender, receiver, await passed_on(stage, sender))
        outcome = await receiver.wallet.present_to(held.id, verifier=VERIFIER, disclose=[])
        assert not outcome.accepted

    play(tmp_path, scene, verifier={})


def test_s8_the_senders_revoked_credential_ends_the_receivers(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        held = await given_to(sender, receiver, await passed_on(stage, sender))
        (issued,) = (await stage.house.manage("GET", "/issued")).json()["issued"]
        await stage.house.manage("POST", f"/issued/{issued['issued_id']}/revoke")
        await stage.publish()
        outcome = await receiver.wallet.present_to(held.id, verifier=VERIFIER, disclose=[])
        assert (outcome.accepted, outcome.code) == (False, "status_invalid")

    play(tmp_path, scene)


def test_s8_it_ends_with_its_time_and_within_the_parents(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        held = await given_to(sender, receiver, await passed_on(stage, sender))
        assert held.expires == stage.clock() + delegating.LIFETIME
        stage.clock.now += delegating.LIFETIME
        present = receiver.wallet.present(held.id, disclose=[], audience=VERIFIER, nonce=b"n")
        assert await refusal(present) == "credential_expired"
        car = await stage.give_car(sender)
        longer = AuthorityWish(expires=stage.clock() + 31 * 86400)
        assert await refusal(authority.share(context_of(sender), car, longer)) == "delegation_outlives_parent"

    play(tmp_path, scene)


def test_s8_who_was_given_it_to_pass_on_can(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        wish = AuthorityWish(disclose=DISCLOSED, further=1)
        held = await given_to(sender, receiver, await passed_on(stage, sender, wish))
        onward = AuthorityWish(disclose=DISCLOSED[1:], rights={"access_rights": ("start",)})
        shared = await authority.share(context_of(receiver), held.id, onward)
        async with stage.actor("third") as third:
            last = await given_to(receiver, third, shared)
            await stage.publish()
            outcome = await third.wallet.present_to(last.id, verifier=VERIFIER, disclose=["access_rights"])
            assert outcome.accepted, outcome.code
            assert outcome.claims["access_rights"] == ["start"]
            again = authority.share(context_of(third), last.id, AuthorityWish())
            assert await refusal(again) == "delegation_not_passed_on"

    play(tmp_path, scene)


IMPOSSIBLE = [
    (AuthorityWish(disclose=("rank",)), "claim_not_found"),
    (AuthorityWish(rights={"access_rights": ("open",)}), "claim_not_found"),
    (AuthorityWish(disclose=DISCLOSED, rights={"access_rights": ("fly",)}), "delegation_exceeds_parent"),
    (AuthorityWish(agree=lambda _given: False), "declined"),
    (AuthorityWish(not_before=1), "delegation_outlives_parent"),
]


def test_s8_what_cannot_be_passed_on_leaves_the_wallet_as_it_was(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, _receiver: Actor) -> None:
        car = await stage.give_car(sender)
        before = len(sender.line.tape)
        for wish, code in IMPOSSIBLE:
            assert await refusal(authority.share(context_of(sender), car, wish)) == code
        assert len(sender.line.tape) == before
        (held,) = await sender.wallet.list()
        assert held.unused == 1
        assert await context_of(sender).safe.run(register.list_given) == ()

    play(tmp_path, scene)


def test_s8_only_sd_jwt_vcs_are_passed_on_so(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, _receiver: Actor) -> None:
        car = await stage.give_car(sender, "car_cwt")
        assert await refusal(authority.share(context_of(sender), car, RIGHTS)) == "authority_unsupported"

    play(tmp_path, scene)


# Who else might get it.


def test_a28_wrong_pins_end_it(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await passed_on(stage, sender)
        for tried in range(1, PIN_TRIES + 1):
            assert isinstance(await opens(receiver, shared.link, wrong(shared)), Awaited)
            answered = await signs(sender, shared)
            if tried < PIN_TRIES:
                assert (answered.state, answered.tries_left) == ("pin_wrong", PIN_TRIES - tried)
                assert await refusal(opens(receiver, shared.link)) == "pin_wrong"
        assert answered.state == "refused"
        assert await refusal(opens(receiver, shared.link, shared.tx_code)) == "delegation_refused"
        assert await refusal(opens(receiver, shared.link, shared.tx_code)) == "mailbox_gone"
        assert await receiver.wallet.list() == ()

    play(tmp_path, scene)


def test_a_wrong_pin_can_be_corrected(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await passed_on(stage, sender)
        await opens(receiver, shared.link, wrong(shared))
        assert (await signs(sender, shared)).state == "pin_wrong"
        assert await refusal(opens(receiver, shared.link)) == "pin_wrong"
        assert isinstance(await given_to(sender, receiver, shared), Held)

    play(tmp_path, scene)


def test_a30_the_pin_is_asked_for_after_the_issuer_was_shown(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await passed_on(stage, sender)
        steps: list[str] = []

        def ask(question: Any) -> bool:
            steps.append(f"{question.step} {question.issuer}")
            return True

        def pin(question: Any) -> str | None:
            steps.append(f"{question.step} {question.issuer}")
            return shared.tx_code

        await receiver.wallet.receive(str(shared.link), receiver.terms(ask=ask, pin=pin))
        assert steps == ["claim ", f"redeem {ISSUER}", f"pin {ISSUER}"]

    play(tmp_path, scene)


def test_without_the_pin_nothing_is_sent(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await passed_on(stage, sender)
        assert await refusal(opens(receiver, shared.link)) == "tx_code_missing"
        assert not [sent for sent in receiver.line.tape if sent.method == "PUT"]
        assert (await signs(sender, shared)).state == "waiting"

    play(tmp_path, scene)


def test_a31_the_sender_can_name_the_only_key_that_is_signed_for(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        known = Key.generate("ES256")
        jkt = b64.encode(known.public.jwk_thumbprint())
        wish = msgspec.structs.replace(RIGHTS, pin=False, jkt=jkt)
        shared = await passed_on(stage, sender, wish)
        await opens(receiver, shared.link)
        assert (await signs(sender, shared)).state == "refused"
        assert await refusal(opens(receiver, shared.link)) == "delegation_refused"
        shared = await passed_on(stage, sender, wish)
        text = json.dumps(known.to_jwk(private=True)).decode()
        await receiver.wallet.receive(str(shared.link), receiver.terms(key=text))
        assert (await signs(sender, shared)).state == "signed"
        assert isinstance(await opens(receiver, shared.link), Held)

    play(tmp_path, scene)


def test_p20_nothing_is_signed_unless_the_sender_agrees(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await passed_on(stage, sender)
        await opens(receiver, shared.link, shared.tx_code)
        assert (await signs(sender, shared, said=None)).state == "unconfirmed"
        assert isinstance(await opens(receiver, shared.link), Awaited)
        assert (await signs(sender, shared, said=False)).state == "refused"
        assert await refusal(opens(receiver, shared.link)) == "delegation_refused"

    play(tmp_path, scene)


def test_s6_the_sender_takes_it_back_before_it_signed(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await passed_on(stage, sender)
        await opens(receiver, shared.link, shared.tx_code)
        before = len(at_issuer(stage))
        ended = await sender.wallet.revoke_share(shared.id)
        assert (ended.issuer, ended.relay) == ("nothing", "deleted")
        assert len(at_issuer(stage)) == before
        assert await refusal(opens(receiver, shared.link)) == "mailbox_gone"
        assert await refusal(signs(sender, shared)) == "share_over"

    play(tmp_path, scene)


def test_s8_the_list_tells_how_it_stands_and_asks_no_issuer(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        async def standing() -> tuple[str, str, str | None]:
            (found,) = await sender.wallet.shares()
            return found.relay_state, found.issuer_state, found.stage

        shared = await passed_on(stage, sender)
        before = len(at_issuer(stage))
        assert await standing() == ("unclaimed", "not_asked", "left")
        await opens(receiver, shared.link, shared.tx_code)
        assert await standing() == ("claimed", "not_asked", "left")
        await signs(sender, shared)
        assert await standing() == ("gone", "signed", "over")
        assert len(at_issuer(stage)) == before

    play(tmp_path, scene)


def test_s8_what_nobody_answered_is_over_with_its_mailbox(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, _receiver: Actor) -> None:
        shared = await passed_on(stage, sender)
        stage.clock.now += delegating.OPEN
        (found,) = await sender.wallet.shares()
        assert (found.relay_state, found.issuer_state) == ("gone", "not_asked")
        (found,) = await sender.wallet.shares()
        assert (found.issuer_state, found.stage) == ("expired", "over")
        assert await refusal(signs(sender, shared)) == "share_over"

    play(tmp_path, scene)


async def _forged(receiver: Actor, shared: Shared, **bent: Any) -> None:
    """Answer with a proof that is wrong in some way, under the right PIN."""
    context = context_of(receiver)
    taken = await receiving.begin(context, str(shared.link), receiver.terms())
    taken, content = await receiving.claim(context, taken)
    proposal = messages.read_step(content, messages.Proposal)
    made: dict[str, Any] = {"audience": proposal.audience, "nonce": proposal.nonce, "now": context.clock()}
    proof = create_proof(key=Key.generate("ES256"), **{**made, **bent})
    claimed = messages.Claimed(proof=proof, tx_code=shared.tx_code)
    await exchanging.send(context, taken, messages.write_step(claimed))


FOREIGN: tuple[dict[str, Any], ...] = (
    {"audience": "urn:safeconduct:transfer:another"},
    {"nonce": "another"},
    {"nonce": None},
    {"now": 1},
)


def test_a_proof_of_another_transfer_is_not_signed_for(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        for bent in FOREIGN:
            shared = await passed_on(stage, sender)
            await _forged(receiver, shared, **bent)
            assert (await signs(sender, shared)).state == "refused", bent
        # So it was refused for that alone.
        shared = await passed_on(stage, sender)
        await _forged(receiver, shared)
        assert (await signs(sender, shared)).state == "signed"

    play(tmp_path, scene)


def test_what_is_no_answer_is_not_signed_for(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        for content in (Content("sct.other/1", {}), Content(DELEGATION_FORMAT, {"step": 3})):
            shared = await passed_on(stage, sender)
            context = context_of(receiver)
            taken = await receiving.begin(context, str(shared.link), receiver.terms())
            taken, _first = await receiving.claim(context, taken)
            await exchanging.send(context, taken, content)
            assert (await signs(sender, shared)).state == "refused"

    play(tmp_path, scene)


# A hostile sender, and a hostile relay.


async def _answered_with(sender: Actor, shared: Shared, said: messages.Answer) -> None:
    """The sender sends something of its own making as the last message."""
    context = context_of(sender)
    given = await delegating._found(context, shared.id)
    heard, _content = await exchanging.receive(context, given, seconds=0)
    await exchanging.send(context, heard, messages.write_step(said))


async def _signed_for(sender: Actor, shared: Shared, receiver: Actor, **bent: Any) -> str:
    """What the sender would sign for the receiver's key; bent: of what it announced."""
    context = context_of(sender)
    given = await delegating._found(context, shared.id)
    (taken,) = await context_of(receiver).safe.run(register.list_taken)
    about = delegating._details(given).proposal.credential
    changed = delegating._with(
        given,
        proposal=msgspec.structs.replace(
            delegating._details(given).proposal, credential=msgspec.structs.replace(about, **bent)
        ),
    )
    key = signer_of(delegated._kept(taken).holder_key).public
    return delegating._signed(context, changed, await delegating._parent(context, given), key)


def test_something_else_than_what_was_shown_is_not_kept(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        later = stage.clock() + 99_999
        for bent in ({"rights": {"access_rights": ("start",)}}, {"expires": later}, {"further": 1}):
            shared = await passed_on(stage, sender)
            await opens(receiver, shared.link, shared.tx_code)
            other = await _signed_for(sender, shared, receiver, **bent)
            await _answered_with(sender, shared, messages.Answer(credential=other))
            assert await refusal(opens(receiver, shared.link)) == "delegation_not_as_announced", bent
            async with stage.actor("receiver") as again:
                (taken,) = await again.wallet.opened()
                await again.wallet.decline(taken.id, way="refuse", terms=again.terms())
        assert await receiver.wallet.list() == ()

    play(tmp_path, scene)


def test_a_credential_for_another_key_is_not_kept(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await passed_on(stage, sender)
        await opens(receiver, shared.link, shared.tx_code)
        context = context_of(sender)
        given = await delegating._found(context, shared.id)
        parent = await delegating._parent(context, given)
        other = delegating._signed(context, given, parent, Key.generate("ES256").public)
        await _answered_with(sender, shared, messages.Answer(credential=other))
        assert await refusal(opens(receiver, shared.link)) == "holder_key_mismatch"

    play(tmp_path, scene)


def test_what_no_issuer_signed_is_not_kept(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        for credential in ("x", "a.b.c~"):
            shared = await passed_on(stage, sender)
            await opens(receiver, shared.link, shared.tx_code)
            await _answered_with(sender, shared, messages.Answer(credential=credential))
            assert await refusal(opens(receiver, shared.link)) in ("sd_jwt_malformed", "jws_malformed")
        assert await receiver.wallet.list() == ()

    play(tmp_path, scene)


def test_a12_a_replayed_last_message_of_an_earlier_transfer_does_not_open(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        bodies: list[Response] = []

        def note(sent: Sent, response: Response) -> Response:
            if sent.method == "POST" and sent.url.startswith(RELAY) and response.status == 200:
                bodies.append(response)
            return response

        receiver.line.answers = note
        first = await passed_on(stage, sender)
        await given_to(sender, receiver, first)
        last = bodies[-1]
        second = await passed_on(stage, sender)
        await opens(receiver, second.link, second.tx_code)
        receiver.line.answers = lambda sent, response: (
            last if sent.method == "POST" and sent.url.startswith(RELAY) else response
        )
        assert await refusal(opens(receiver, second.link)) == "payload_authentication_failed"
        assert len(await receiver.wallet.list()) == 1

    play(tmp_path, scene)


def test_a12_a_message_that_was_read_is_not_taken_again(tmp_path: Path) -> None:
    """The relay repeats the refusal of a wrong PIN after the receiver gave the right one."""

    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await passed_on(stage, sender)
        await opens(receiver, shared.link, wrong(shared))
        await signs(sender, shared)
        bodies: list[Response] = []

        def note(sent: Sent, response: Response) -> Response:
            if sent.method == "POST" and response.status == 200:
                bodies.append(response)
            return response

        receiver.line.answers = note
        assert await refusal(opens(receiver, shared.link)) == "pin_wrong"
        receiver.line.answers = lambda sent, response: (
            bodies[-1] if sent.method == "POST" and sent.url.startswith(RELAY) else response
        )
        assert isinstance(await opens(receiver, shared.link, shared.tx_code), Awaited)
        assert isinstance(await opens(receiver, shared.link), Awaited)
        (taken,) = await context_of(receiver).safe.run(register.list_taken)
        assert taken.tries == 1

    play(tmp_path, scene)


# What breaks on the way.


STEPS = ("receiver", "sender", "receiver")
"""Whose turn it is once the link is there: to prove a key, to sign, to take it."""

POINTS = [(step, number) for step, requests in enumerate((4, 2, 3)) for number in range(requests)]
"""Every request of each step."""


@pytest.mark.parametrize("arrives", [True, False])
def test_a_wallet_that_dies_at_any_request_goes_on_with_the_same_keys(tmp_path: Path, arrives: bool) -> None:
    async def turn(stage: Stage, step: int, shared: Shared, *, crash: int | None = None) -> None:
        async with stage.actor(STEPS[step]) as actor:
            if crash is not None:
                actor.line.crash(crash, arrives=arrives)
            if STEPS[step] == "sender":
                await signs(actor, shared)
            else:
                await opens(actor, shared.link, shared.tx_code)

    async def main() -> None:
        async with open_stage(tmp_path, sharing="", verifier=DEPTH) as stage:
            for step, number in POINTS:
                async with stage.actor("sender") as sender:
                    shared = await passed_on(stage, sender)
                for before in range(step):
                    await turn(stage, before, shared)
                with pytest.raises(Crash):
                    await turn(stage, step, shared, crash=number)
                for after in range(step, len(STEPS)):
                    # Whoever had finished before it died finds nothing left to do.
                    assert await _ended(turn(stage, after, shared)) in ("", "mailbox_gone", "share_over")
            async with stage.actor("receiver") as receiver:
                held = await receiver.wallet.list()
                assert len(held) == len(POINTS)
                await stage.publish()
                for one in held:
                    outcome = await receiver.wallet.present_to(one.id, verifier=VERIFIER, disclose=[])
                    assert outcome.accepted, outcome.code

    asyncio.run(main())


async def _ended(work: Awaitable[None]) -> str:
    """The code of the error that ended the work, "" without one."""
    try:
        await work
    except SafeconductError as error:
        return error.code
    return ""


def test_a_share_whose_mailbox_was_not_made_goes_on(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        car = await stage.give_car(sender)
        sender.line.cut(RELAY)
        assert await refusal(authority.share(context_of(sender), car, RIGHTS)) == "relay_unavailable"
        sender.line.cut()
        (given,) = await context_of(sender).safe.run(register.list_given)
        shared = await sender.wallet.resume_share(given.id)
        assert isinstance(await given_to(sender, receiver, shared), Held)

    play(tmp_path, scene)


def test_a10_the_relay_is_told_neither_secret_nor_pin_nor_claim(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await passed_on(stage, sender)
        assert shared.link is not None
        held = await given_to(sender, receiver, shared)
        (stored,) = await context_of(receiver).safe.run(store.list_instances, held.id)
        secret = shared.link.partition("#")[2].partition(".")[0]
        seen = b"\n".join(
            sent.everything() for tape in stage.tapes.values() for sent in tape if sent.url.startswith(RELAY)
        )
        for hidden in (secret, str(shared.tx_code), "access_rights", ISSUER, VCT):
            assert hidden.encode() not in seen
        assert stored.token not in seen
        assert shared.link.partition("?")[0].rpartition("/")[2].encode() in seen  # the search can find

    play(tmp_path, scene)


def test_a34_a_delegated_credential_is_no_parent_of_an_issuers_share(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            open_stage(tmp_path, verifier=DEPTH) as stage,
            stage.actor("sender") as sender,
            stage.actor("receiver") as receiver,
        ):
            held = await given_to(sender, receiver, await passed_on(stage, sender))
            before = len([sent for sent in at_issuer(stage) if sent.url.endswith("/shares")])
            code = await refusal(receiver.wallet.share(held.id, Wish(level="link")))
            assert code in ("sharing_not_allowed", "format_unsupported", "configuration_unknown")
            assert len([sent for sent in at_issuer(stage) if sent.url.endswith("/shares")]) == before

    asyncio.run(main())


def test_only_the_records_of_this_kind_are_answered(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await passed_on(stage, sender)
        await opens(receiver, shared.link, shared.tx_code)
        (taken,) = await context_of(receiver).safe.run(register.list_taken)
        assert isinstance(taken, Taken)
        mistaken = authority.answer(context_of(receiver), taken.id, confirm=lambda _: True, wait=0)
        assert await refusal(mistaken) == "authority_unwanted"
        assert await refusal(sender.wallet.approve(shared.id, confirm=lambda _: True)) == "approval_unwanted"

    play(tmp_path, scene)


def test_a_proof_that_would_be_good_elsewhere_is_not_made(tmp_path: Path) -> None:
    """A sender that hands an issuer's nonce on, to have its own credential bound to the receiver's key."""

    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        context = context_of(sender)
        given = await delegating.begin(context, await stage.give_car(sender), RIGHTS)
        proposal = msgspec.structs.replace(delegating._details(given).proposal, audience=ISSUER)
        left = await sending.leave(context, given, messages.write_step(proposal))
        assert await refusal(opens(receiver, left.link, left.tx_code)) == "delegation_foreign"
        assert not [sent for sent in receiver.line.tape if sent.method == "PUT"]

    play(tmp_path, scene)


def test_what_a_sender_writes_is_shown_as_text(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        context = context_of(sender)
        given = await delegating.begin(context, await stage.give_car(sender), RIGHTS)
        proposal = delegating._details(given).proposal
        hostile = {"\x1b[2J\u202e": ("a\nb",) * 200}
        about = msgspec.structs.replace(proposal.credential, vct="\x1b]0;x\x07", rights=hostile)
        changed = msgspec.structs.replace(proposal, credential=about)
        left = await sending.leave(context, given, messages.write_step(changed))
        assert await refusal(opens(receiver, left.link)) == "tx_code_missing"
        asked = receiver.asked[1]
        for text in (asked.description, asked.issuer, *asked.configurations):
            assert text.isprintable()
            assert len(text) <= 512

    play(tmp_path, scene)


# The tests can fail: with one protection patched away, the attack that it stops succeeds.


def test_without_the_comparison_any_pin_and_any_key_is_signed_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        monkeypatch.setattr(delegating, "hmac", SimpleNamespace(compare_digest=lambda *_: True))
        shared = await passed_on(stage, sender, msgspec.structs.replace(RIGHTS, jkt="another"))
        await opens(receiver, shared.link, wrong(shared))
        assert (await signs(sender, shared)).state == "signed"

    play(tmp_path, scene)


def test_without_the_checks_something_else_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor) -> None:
        shared = await passed_on(stage, sender)
        await opens(receiver, shared.link, shared.tx_code)
        other = await _signed_for(sender, shared, receiver, further=1)
        await _answered_with(sender, shared, messages.Answer(credential=other))
        monkeypatch.setattr(delegated, "_as_announced", lambda *_: True)
        assert isinstance(await opens(receiver, shared.link), Held)

    play(tmp_path, scene)
