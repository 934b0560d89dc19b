"""Two programs with one wallet go on with the same transfer at once: one does, and nothing is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.flows.transfer_stage import Actor, Crash, Sent, Stage, Wish, open_stage, refusal

from safeconduct.wallet import later
from safeconduct.wallet.records import Held
from safeconduct.wallet.sharing import exchanging, register
from safeconduct.wallet.sharing.delegating import AuthorityWish
from safeconduct.wallet.sharing.records import Taken

Scene = Callable[[Stage, Actor, Actor, Actor], Awaitable[Any]]


def play(folder: Path, scene: Scene, *, both: str) -> None:
    """A sender and a receiver play a scene; a second program has the wallet of one of them, `both`."""

    async def main() -> None:
        async with (
            open_stage(folder) as stage,
            stage.actor("sender") as sender,
            stage.actor("receiver") as receiver,
            stage.actor(both) as other,
        ):
            await scene(stage, sender, receiver, other)

    asyncio.run(main())


def meanwhile(actor: Actor, method: str, end: str, work: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Do the work once, right before the actor's next request of that kind; what came of it is returned."""
    request = actor.line.request
    done: list[Any] = []

    async def held(asked: str, url: str, **arguments: Any) -> Any:
        if not done and asked == method and url.endswith(end):
            done.append(None)
            done[0] = await work()
        return await request(asked, url, **arguments)

    actor.line.request = held  # type: ignore[method-assign,assignment]
    return done


def tokens(tape: list[Sent]) -> int:
    return sum(sent.url.endswith("/token") for sent in tape)


async def sole(actor: Actor) -> Taken:
    (taken,) = await actor.wallet.opened()
    return taken


@pytest.mark.parametrize("careless", [False, True])
def test_a27_of_two_programs_only_one_redeems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, careless: bool
) -> None:
    if careless:  # what the test would see without the protection
        monkeypatch.setattr(register, "is_taken_up", lambda *_, **__: False)

    async def scene(stage: Stage, sender: Actor, receiver: Actor, other: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish(level="link"))

        async def second() -> tuple[str, int]:
            before = tokens(other.line.tape)
            (outcome,) = await asyncio.gather(other.receive(shared.link), return_exceptions=True)
            return getattr(outcome, "code", "held"), tokens(other.line.tape) - before

        told = meanwhile(receiver, "POST", "/token", second)
        await asyncio.gather(receiver.receive(shared.link), return_exceptions=True)
        if careless:
            assert told[0][1] > 0
            return
        assert told == [("transfer_busy", 0)]
        assert len(await other.wallet.list()) == 1
        assert await other.wallet.opened() == ()
        assert await stage.share_states() == ["issued"]

    play(tmp_path, scene, both="receiver")


def test_a_program_that_was_cut_off_while_it_redeemed_keeps_others_out_for_two_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor, other: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish())

        def die(sent: Sent) -> None:
            if sent.url.endswith("/token"):
                monkeypatch.setattr(register, "let_go", lambda *_: None)  # nothing is tidied up
                raise Crash

        receiver.line.after = die
        with pytest.raises(Crash):
            await receiver.receive(shared.link, shared.tx_code)
        monkeypatch.undo()
        key = (await sole(other)).dpop_key
        assert key
        assert await refusal(other.receive(shared.link, shared.tx_code)) == "transfer_busy"
        assert (
            await refusal(other.wallet.decline(shared.link or "", way="refuse", terms=other.terms()))
            == "transfer_busy"
        )
        stage.clock.now += later.ABANDONED
        held = await other.receive(shared.link, shared.tx_code)
        assert [one.id for one in await receiver.wallet.list()] == [held.id]

    play(tmp_path, scene, both="receiver")


def test_two_programs_that_open_a_link_at_once_make_one_claim(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor, other: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish())
        link = shared.link or ""

        async def second() -> str:
            return await refusal(other.receive(link))

        told = meanwhile(receiver, "GET", link.partition("?")[0].rpartition("/")[2], second)
        assert await refusal(receiver.receive(link)) == "tx_code_needed"
        assert told == ["tx_code_needed"]  # and neither: somebody else was first
        assert len(await other.wallet.opened()) == 1
        held = await receiver.receive(link, shared.tx_code)
        assert isinstance(held, Held)

    play(tmp_path, scene, both="receiver")


def test_s8_of_two_programs_only_one_signs(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor, other: Actor) -> None:
        car = await stage.give_car(sender)
        shared = await sender.wallet.delegate(car, AuthorityWish(pin=False))
        link = shared.link or ""
        await receiver.wallet.receive(link, receiver.terms())

        async def second() -> str:
            return (await other.wallet.answer(shared.id, confirm=lambda _claimant: True)).state

        asked: list[str] = []

        def confirm(_claimant: Any) -> bool:
            asked.append("first")
            return True

        told = meanwhile(sender, "POST", link.partition("?")[0].rpartition("/")[2], second)
        code = await refusal(sender.wallet.answer(shared.id, confirm=confirm))
        assert told == ["signed"]
        assert code == "transfer_changed"
        assert isinstance(await receiver.wallet.receive(link, receiver.terms()), Held)

    play(tmp_path, scene, both="sender")


def test_s6_a_share_that_was_taken_back_stays_so_whatever_another_program_was_about_to_keep(
    tmp_path: Path,
) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor, other: Actor) -> None:
        shared = await sender.wallet.share(await stage.give_car(sender), Wish(level="approve"))
        await receiver.wallet.receive(shared.link or "", receiver.terms())
        stale = await sender.wallet._given(shared.id)
        assert (await other.wallet.revoke_share(shared.id)).issuer == "cancelled"
        ended = await sender.wallet._given(shared.id)
        assert await refusal(exchanging.keep(sender.wallet._context, stale)) == "transfer_changed"
        after = await sender.wallet._given(shared.id)
        assert after == ended
        assert (after.stage, after.secret, after.offer) == ("over", b"", None)

    play(tmp_path, scene, both="sender")
