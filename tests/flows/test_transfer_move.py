"""S7: a move. Whatever fails, and whoever lies, exactly one credential is valid, and never two."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.flows.test_transfer_failures import STEP
from tests.flows.transfer_stage import SERVER, Actor, Crash, Sent, Stage, Wish, open_stage, refusal

from safeconduct.net.fetch import Unreachable
from safeconduct.protocols.openid4vci.notification import NotificationEvent
from safeconduct.wallet import issuers, notify, store
from safeconduct.wallet.line import IssuerLine

Scene = Callable[[Stage, Actor, Actor, str], Awaitable[Any]]
LEASE = 600
MOVE = Wish(mode="move", level="link")


def play(folder: Path, scene: Scene) -> None:
    """Somebody with a car, and who is to have it instead."""

    async def main() -> None:
        async with (
            open_stage(folder) as stage,
            stage.actor("sender") as sender,
            stage.actor("receiver") as receiver,
        ):
            await scene(stage, sender, receiver, await stage.give_car(sender))

    asyncio.run(main())


def silent(sent: Sent) -> None:
    """Keeps the issuer from hearing what became of the credential."""
    if sent.url.endswith("/notification"):
        raise Unreachable("fetch_failed", "Nobody listens.")


async def tell(actor: Actor, credential: str, event: NotificationEvent) -> None:
    """Tell the issuer whatever one wants it to believe of a credential."""
    context = actor.wallet._context
    _, stored = await context.safe.run(store.find_stored, credential)
    assert stored.access is not None
    issuer = await issuers.meet(context, stored.issuer, server=None, unencrypted="refused")
    await notify.tell(
        context,
        IssuerLine.resumed(context, issuer, stored.access),
        stored.access,
        endpoint=issuer.metadata.notification_endpoint,
        notification_id=stored.notification_id,
        event=event,
    )


async def only_valid(stage: Stage) -> str:
    """Who has the one valid credential."""
    issued = (await stage.house.manage("GET", "/issued")).json()["issued"]
    shares = (await stage.house.manage("GET", "/shares")).json()["shares"]
    valid = [entry["issued_id"] for entry in issued if entry["status"] == "valid"]
    assert len(valid) == 1, issued
    return "receiver" if valid[0] in [share["issued_id"] for share in shares] else "sender"


@pytest.mark.parametrize("via", [None, SERVER])
def test_s7_a_move_ends_with_the_receivers_alone_and_the_senders_gone(
    tmp_path: Path, via: str | None
) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        shared = await sender.wallet.share(car, MOVE)
        assert await only_valid(stage) == "sender"
        await receiver.receive(shared.link, via=via)
        assert [question.mode for question in receiver.asked] == ["share", "move"]
        assert await only_valid(stage) == "receiver"
        assert [held.id for held in await sender.wallet.list()] == [car]  # nobody has told it yet
        assert (await sender.standing(shared)).issuer_state == "moved"
        assert await sender.wallet.list() == ()
        assert sender.codes() == ["credential_moved"]
        (standing,) = await sender.wallet.shares()
        assert (standing.stage, standing.issuer_state) == ("over", "moved")

    play(tmp_path, scene)


def test_s7_a_move_is_not_settled_before_the_receiver_has_it(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        shared = await sender.wallet.share(car, MOVE)
        receiver.line.before = silent
        await receiver.receive(shared.link)
        assert (await sender.standing(shared)).issuer_state == "issued"
        assert [held.id for held in await sender.wallet.list()] == [car]
        assert await only_valid(stage) == "receiver"
        assert sorted(await stage.standings()) == ["suspended", "valid"]
        stage.clock.now += LEASE + 1
        assert (await sender.standing(shared)).issuer_state == "moved"
        assert await sender.wallet.list() == ()
        assert await only_valid(stage) == "receiver"

    play(tmp_path, scene)


@pytest.mark.parametrize("arrives", [False, True])
def test_s7_a_receiver_that_dies_at_any_request_leaves_one_valid_credential(
    tmp_path: Path, arrives: bool
) -> None:
    async def main() -> None:
        async with open_stage(tmp_path) as stage:
            for number in range(1 + arrives, 100, STEP):
                name = f"{number}"
                async with stage.actor(f"sender-{name}") as sender:
                    car = await stage.give_car(sender)
                    others = (await stage.standings()).count("valid") - 1
                    shared = await sender.wallet.share(car, MOVE)
                died = False
                async with stage.actor(f"receiver-{name}") as receiver:
                    receiver.line.crash(number, arrives=arrives)
                    try:
                        await receiver.receive(shared.link)
                    except Crash:
                        died = True
                assert (await stage.standings()).count("valid") == others + 1
                stage.clock.now += LEASE + 1  # the receiver comes back late, or never
                async with stage.actor(f"sender-{name}") as sender:
                    state = (await sender.standing(shared)).issuer_state
                    assert state in ("pending", "moved")
                    assert len(await sender.wallet.list()) == (state == "pending")
                assert (await stage.standings()).count("valid") == others + 1
                if state == "pending":
                    async with stage.actor(f"receiver-{name}") as receiver:
                        await receiver.receive(shared.link)
                    assert (await stage.standings()).count("valid") == others + 1
                if not died:
                    break
            assert number > 9

    asyncio.run(main())


def test_s7_a_receiver_that_says_failure_gives_it_back(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        shared = await sender.wallet.share(car, MOVE)
        receiver.line.before = silent
        held = await receiver.receive(shared.link)
        receiver.line.cut()
        await tell(receiver, held.id, "credential_failure")  # a lie: it has it, and keeps it
        assert await only_valid(stage) == "sender"
        assert (await sender.standing(shared)).issuer_state == "failed"
        assert [kept.id for kept in await sender.wallet.list()] == [car]
        for event in ("credential_accepted", "credential_failure", "credential_deleted"):
            await tell(receiver, held.id, event)  # type: ignore[arg-type]
            assert await only_valid(stage) == "sender"
        again = await sender.wallet.share(car, MOVE)  # the sender can move it to somebody else
        async with stage.actor("another") as another:
            await another.receive(again.link)
        assert (await stage.standings()).count("valid") == 1

    play(tmp_path, scene)


def test_s7_a_failure_that_is_told_after_acceptance_is_too_late(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        shared = await sender.wallet.share(car, MOVE)
        held = await receiver.receive(shared.link)
        for event in ("credential_failure", "credential_deleted"):
            await tell(receiver, held.id, event)  # type: ignore[arg-type]
            assert await only_valid(stage) == "receiver"
        assert (await sender.standing(shared)).issuer_state == "moved"

    play(tmp_path, scene)


@pytest.mark.parametrize("delivered", [False, True])
def test_s7_a_sender_that_changes_its_mind_has_it_back_before_the_receiver_accepts(
    tmp_path: Path, delivered: bool
) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        shared = await sender.wallet.share(car, MOVE)
        if delivered:
            receiver.line.before = silent
            await receiver.receive(shared.link)
        ended = await sender.wallet.revoke_share(shared.id)
        assert ended.issuer == ("revoked" if delivered else "cancelled")
        assert await only_valid(stage) == "sender"
        stage.clock.now += LEASE + 1
        await sender.wallet.shares()
        assert await only_valid(stage) == "sender"
        assert [kept.id for kept in await sender.wallet.list()] == [car]

    play(tmp_path, scene)


def test_s7_a_sender_cannot_take_back_what_has_moved(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        shared = await sender.wallet.share(car, MOVE)
        await receiver.receive(shared.link)
        assert (await sender.wallet.revoke_share(shared.id)).issuer == "already_over"
        assert await only_valid(stage) == "receiver"
        # The receiver has taken the sender's place: it can share, as the sender could.
        (held,) = await receiver.wallet.list()
        onward = await receiver.wallet.share(held.id, Wish(level="link"))
        assert onward.link is not None

    play(tmp_path, scene)


def test_s7_while_it_is_being_moved_it_is_not_shared_besides(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        shared = await sender.wallet.share(car, MOVE)
        receiver.line.before = silent
        await receiver.receive(shared.link)
        assert await refusal(sender.wallet.share(car, Wish(level="link"))) == "parent_invalid"
        assert await only_valid(stage) == "receiver"

    play(tmp_path, scene)
