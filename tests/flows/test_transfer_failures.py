"""S2 going wrong: processes that die at each request, answers that get lost, services that are down.

With SAFECONDUCT_LOAD_CRASHES (`make load`) wallets die at every request there is; without, at some.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.flows.transfer_stage import (
    ISSUER,
    RELAY,
    SERVER,
    Crash,
    Stage,
    Wish,
    open_stage,
    refusal,
)

from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import Unreachable
from safeconduct.wallet.records import Held
from safeconduct.wallet.sharing import register
from safeconduct.wallet.sharing.declining import Way
from safeconduct.wallet.sharing.records import Shared

Scene = Callable[[Stage], Awaitable[Any]]

STEP = 1 if os.environ.get("SAFECONDUCT_LOAD_CRASHES") else 8


def play(folder: Path, scene: Scene, **settings: Any) -> None:
    async def main() -> None:
        async with open_stage(folder, **settings) as stage:
            await scene(stage)

    asyncio.run(main())


async def given_car(stage: Stage) -> str:
    async with stage.actor("sender") as sender:
        return await stage.give_car(sender)


async def shared_once(stage: Stage, car: str, number: int, *, arrives: bool) -> tuple[Shared, bool]:
    """A share whose sender's process dies once, and goes on; whether it died at all."""
    async with stage.actor("sender") as sender:
        sender.line.crash(number, arrives=arrives)
        try:
            return await sender.wallet.share(car, Wish()), False
        except Crash:
            pass
    async with stage.actor("sender") as sender:
        standings = await sender.wallet.shares()
        unfinished = [standing for standing in standings if standing.stage in ("begun", "granted", "left")]
        if not unfinished:  # it died before there was anything to keep
            return await sender.wallet.share(car, Wish()), True
        return await sender.wallet.resume_share(unfinished[0].id), True


@pytest.mark.parametrize("arrives", [False, True])
def test_a_sender_that_dies_at_any_request_makes_one_share_of_it(tmp_path: Path, arrives: bool) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        for number in range(2 * arrives, 100, STEP):
            shared, died = await shared_once(stage, car, number, arrives=arrives)
            async with stage.actor(f"receiver-{number}") as receiver:
                await receiver.receive(shared.link, shared.tx_code)
            async with stage.actor("sender") as sender:
                states = [standing.issuer_state for standing in await sender.wallet.shares()]
                assert states.count("issued") == 1
                assert not {"pending", "redeeming"} & set(states)
                assert (await sender.wallet.revoke_share(shared.id)).issuer == "revoked"
            if not died:
                break
        assert number > 6
        live = {"pending", "redeeming", "issued"}
        assert not live & set(await stage.share_states())

    play(tmp_path, scene)


@pytest.mark.parametrize(("arrives", "via"), [(False, None), (True, None), (True, SERVER)])
def test_a_receiver_that_dies_at_any_request_gets_one_credential(
    tmp_path: Path, arrives: bool, via: str | None
) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        for number in range(2 * arrives, 100, STEP):
            async with stage.actor("sender") as sender:
                shared = await sender.wallet.share(car, Wish())
            died = await received_once(stage, shared, number, arrives=arrives, via=via)
            async with stage.actor("sender") as sender:
                assert (await sender.standing(shared)).issuer_state == "issued"
                assert (await sender.wallet.revoke_share(shared.id)).issuer == "revoked"
            if not died:
                break
        assert number > 9
        shares = (await stage.share_states()).count("revoked")
        assert await stage.standings() == ["invalid"] * shares + ["valid"]

    play(tmp_path, scene)


async def received_once(stage: Stage, shared: Shared, number: int, *, arrives: bool, via: str | None) -> bool:
    name = f"receiver-{number}"
    died = False
    async with stage.actor(name) as receiver:
        receiver.line.crash(number, arrives=arrives)
        try:
            await receiver.receive(shared.link, shared.tx_code, via=via)
        except Crash:
            died = True
    async with stage.actor(name) as receiver:
        if died and not await receiver.wallet.list():
            held = await receiver.receive(shared.link, shared.tx_code, via=via)
            assert isinstance(held, Held)
        await receiver.wallet.resume_transfers()
        assert len(await receiver.wallet.list()) == 1
        assert await receiver.wallet.opened() == ()
        assert await receiver.wallet.pending() == ()
    return died


def test_s2_a_sender_whose_answers_get_lost_makes_one_share(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender, stage.actor("receiver") as receiver:
            for method, end in (("POST", "/shares"), ("POST", "/v1/m")):
                sender.line.lose(method, end)
                shared = await sender.wallet.share(car, Wish(level="link"))
                await receiver.receive(shared.link)
                live = [state for state in await stage.share_states() if state != "cancelled"]
                assert live.count("issued") == 1
                await sender.wallet.revoke_share(shared.id)

    play(tmp_path, scene)


def test_s2_a_receiver_whose_answers_get_lost_gets_one_credential(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender:
            for end in ("/token", "/credential", "/nonce", "/notification", "mailbox"):
                async with stage.actor(f"receiver-{end.strip('/')}") as receiver:
                    shared = await sender.wallet.share(car, Wish())
                    assert shared.link is not None
                    mailbox = shared.link.partition("?")[0].rpartition("/")[2]
                    receiver.line.lose("POST", mailbox if end == "mailbox" else end)
                    try:
                        await receiver.receive(shared.link, shared.tx_code)
                    except SafeconductError:
                        await receiver.receive(shared.link, shared.tx_code)
                    assert len(await receiver.wallet.list()) == 1
                    assert (await stage.standings()).count("valid") == 2
                    await sender.wallet.revoke_share(shared.id)

    play(tmp_path, scene)


def test_s2_a_token_whose_answer_is_lost_is_the_same_keys_alone(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender, stage.actor("receiver") as receiver:
            shared = await sender.wallet.share(car, Wish(level="link"))
            receiver.line.lose("POST", "/token", times=9)
            assert await refusal(receiver.receive(shared.link)) == "fetch_failed"
            assert (await sender.standing(shared)).issuer_state == "redeeming"
            receiver.line.lose("POST", "nothing")
            async with stage.actor("thief") as thief:
                (taken,) = await receiver.wallet.opened()
                assert taken.offer is not None
                stolen = await thief.wallet._context.safe.run(_kept_as_is, taken)
                assert await refusal(thief.receive(stolen)) == "grant_refused"
            await receiver.receive(shared.link)

    play(tmp_path, scene)


def _kept_as_is(connection: Any, vault: Any, taken: Any) -> str:
    """A thief with the receiver's offer, but without the key that its code is leased to."""
    register.put(connection, vault, msgspec.structs.replace(taken, dpop_key="", stage="offered"))
    return str(taken.id)


def test_s2_a_delete_that_is_lost_is_made_good_by_the_sender_or_the_next_start(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender, stage.actor("receiver") as receiver:
            for made_good_by in ("receiver", "sender"):
                shared = await sender.wallet.share(car, Wish(level="link"))
                receiver.line.before = _no_deletes
                await receiver.receive(shared.link)
                assert receiver.codes() == ["mailbox_left"]
                assert len(await receiver.wallet.opened()) == 1
                receiver.line.cut()
                if made_good_by == "receiver":
                    await receiver.wallet.resume_transfers()
                    assert (await sender.standing(shared)).relay_state == "gone"
                else:
                    assert (await sender.standing(shared)).relay_state == "claimed"
                    assert (await sender.standing(shared)).relay_state == "gone"
                    await receiver.wallet.resume_transfers()
                assert await receiver.wallet.opened() == ()
                receiver.notices.clear()

    play(tmp_path, scene)


def _no_deletes(sent: Any) -> None:
    if sent.method == "DELETE":
        raise Unreachable("fetch_failed", "Nobody listens.")


def test_s2_while_the_relay_is_down_nothing_is_lost(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender, stage.actor("receiver") as receiver:
            shared = await sender.wallet.share(car, Wish(level="link"))
            for actor in (sender, receiver):
                actor.line.cut(RELAY)
            assert await refusal(receiver.receive(shared.link)) == "relay_unavailable"
            assert (await sender.standing(shared)).relay_state == "unreachable"
            for actor in (sender, receiver):
                actor.line.cut()
            await receiver.receive(shared.link)

    play(tmp_path, scene)


def test_s6_each_of_the_two_answers_for_itself_and_what_failed_is_tried_again(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender, stage.actor("receiver") as receiver:
            shared = await sender.wallet.share(car, Wish(level="link"))
            assert shared.link is not None
            sender.line.cut(ISSUER)
            ended = await sender.wallet.revoke_share(shared.id)
            assert (ended.issuer, ended.relay, ended.complete) == ("fetch_failed", "deleted", False)
            assert await refusal(receiver.receive(shared.link)) == "mailbox_gone"
            assert await refusal(sender.wallet.resume_share(shared.id)) == "share_over"
            sender.line.cut()
            await sender.wallet.resume_transfers()
            assert await stage.share_states() == ["cancelled"]
            (standing,) = await sender.wallet.shares()
            assert (standing.stage, standing.issuer_state) == ("over", "cancelled")

            shared = await sender.wallet.share(car, Wish(level="link"))
            sender.line.cut(RELAY)
            ended = await sender.wallet.revoke_share(shared.id)
            assert (ended.issuer, ended.relay) == ("cancelled", "relay_unavailable")
            assert await refusal(receiver.receive(shared.link)) == "grant_refused"
            sender.line.cut()
            ended = await sender.wallet.revoke_share(shared.id)
            assert (ended.issuer, ended.relay, ended.complete) == ("cancelled", "deleted", True)

    play(tmp_path, scene)


def test_s6_the_issuer_is_told_first(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender:
            shared = await sender.wallet.share(car, Wish(level="link"))
            await sender.wallet.revoke_share(shared.share_id[:8])
            deletes = [sent.url for sent in sender.line.tape if sent.method == "DELETE"]
            assert [url.startswith(host) for url, host in zip(deletes, (ISSUER, RELAY), strict=True)]
            again = await sender.wallet.revoke_share(shared.id)
            assert (again.issuer, again.relay) == ("already_over", "gone")

    play(tmp_path, scene)


@pytest.mark.parametrize("arrives", [False, True])
def test_s6_a_sender_that_dies_while_taking_back_still_takes_back(tmp_path: Path, arrives: bool) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        for number in range(2 * arrives, 100, STEP):
            async with stage.actor("sender") as sender:
                shared = await sender.wallet.share(car, Wish(level="link"))
                sender.line.crash(number, arrives=arrives)
                died = False
                try:
                    await sender.wallet.revoke_share(shared.id)
                except Crash:
                    died = True
            async with stage.actor("sender") as sender:
                await sender.wallet.resume_transfers()
                assert {standing.stage for standing in await sender.wallet.shares()} == {"over"}
            async with stage.actor("receiver") as receiver:
                assert await refusal(receiver.receive(shared.link)) == "mailbox_gone"
            if not died:
                break
        assert set(await stage.share_states()) == {"cancelled"}

    play(tmp_path, scene)


def test_a36_a_parent_that_is_revoked_takes_its_open_shares_along(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender, stage.actor("receiver") as receiver:
            shared = await sender.wallet.share(car, Wish(level="link"))
            issued = (await stage.house.manage("GET", "/issued")).json()["issued"]
            await stage.house.manage("POST", f"/issued/{issued[0]['issued_id']}/revoke")
            assert await refusal(receiver.receive(shared.link)) == "grant_refused"
            assert await refusal(sender.wallet.share(car, Wish())) == "parent_invalid"
            (standing,) = await sender.wallet.shares()
            assert standing.issuer_state == "cancelled"

    play(tmp_path, scene)


def test_a_credential_that_was_deleted_leaves_its_shares_to_the_issuer(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender:
            shared = await sender.wallet.share(car, Wish(level="link"))
            await sender.wallet.delete(car)
            assert sender.codes() == ["shares_left"]
            (standing,) = await sender.wallet.shares()
            assert (standing.relay_state, standing.issuer_state) == ("unclaimed", "credential_gone")
            ended = await sender.wallet.revoke_share(shared.id)
            assert (ended.issuer, ended.relay) == ("credential_gone", "deleted")
            await sender.wallet.resume_transfers()
            assert sender.codes() == ["shares_left"]

    play(tmp_path, scene)


def test_the_shares_of_a_credential_that_has_expired_are_over(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender:
            shared = await sender.wallet.share(car, Wish(level="link"))
            stage.clock.now += 31 * 86400
            assert await refusal(sender.wallet.share(car, Wish())) == "credential_expired"
            standing = await sender.standing(shared)
            assert (standing.relay_state, standing.issuer_state) == ("gone", "expired")
            assert (await sender.standing(shared)).stage == "over"

    play(tmp_path, scene)


def test_p20_nothing_is_kept_or_sent_unless_the_sender_agrees(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender:
            code = await refusal(sender.wallet.share(car, Wish(level="link", agree=lambda _given: False)))
            assert code == "declined"
            assert await sender.wallet.shares() == ()
            assert await stage.share_states() == []

    play(tmp_path, scene)


def test_transfers_are_in_a_backup_and_go_on_after_it_was_restored(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender, stage.actor("receiver") as receiver:
            shared = await sender.wallet.share(car, Wish())
            assert await refusal(receiver.receive(shared.link, ask=lambda q: q.step == "claim")) == "declined"
            (taken,) = await receiver.wallet.opened()
            sent = await sender.wallet.backup("correct horse battery staple")
            got = await receiver.wallet.backup("correct horse battery staple")
        async with stage.actor("sender-again") as sender, stage.actor("receiver-again") as receiver:
            await sender.wallet.restore(sent, "correct horse battery staple")
            await receiver.wallet.restore(got, "correct horse battery staple")
            assert (await sender.wallet.resume_share(shared.id)).link == shared.link
            await receiver.receive(taken.id, shared.tx_code)
            assert (await sender.wallet.revoke_share(shared.id)).issuer == "revoked"

    play(tmp_path, scene)


def test_a_credential_that_was_renewed_still_takes_its_shares_back(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender, stage.actor("receiver") as receiver:
            shared = await sender.wallet.share(car, Wish(level="link"))
            renewed = await sender.wallet.renew(car)
            assert renewed.id != car
            await receiver.receive(shared.link)
            assert (await sender.standing(shared)).issuer_state == "issued"
            assert (await sender.wallet.revoke_share(shared.id)).issuer == "revoked"
            again = await sender.wallet.share(renewed.id, Wish(level="link"))
            assert again.link is not None

    play(tmp_path, scene, credentials_per_identifier=10, refresh_token_lifetime=2592000)


def test_what_waits_for_a_person_is_told_until_its_time_is_over(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender, stage.actor("receiver") as receiver:
            for step in ("claim", "redeem"):
                shared = await sender.wallet.share(car, Wish())
                code = await refusal(receiver.receive(shared.link, ask=lambda q, s=step: q.step != s))
                assert code == "declined"
            sender.line.cut(RELAY)
            assert await refusal(sender.wallet.share(car, Wish())) == "relay_unavailable"
            sender.line.cut()
            for actor in (sender, receiver):
                await actor.wallet.resume_transfers()
            assert (sender.codes(), receiver.codes()) == (["share_unfinished"] * 2, ["transfer_unfinished"])
            stage.clock.now += 86400
            for actor in (sender, receiver):
                await actor.wallet.resume_transfers()
            assert "expired" in [given.issuer_state for given in await sender.wallet.shares()]
            stage.clock.now += 30 * 86400
            for actor in (sender, receiver):
                await actor.wallet.resume_transfers()
            assert await receiver.wallet.opened() == ()
            assert (sender.codes().count("share_unfinished"), receiver.codes()[1:]) == (
                2,
                ["transfer_unfinished"],
            )

    play(tmp_path, scene)


@pytest.mark.parametrize("way", ["refuse", "give_back"])
@pytest.mark.parametrize("arrives", [False, True])
def test_s6_a_receiver_that_dies_while_declining_still_declines(
    tmp_path: Path, arrives: bool, way: Way
) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender, stage.actor("receiver") as receiver:
            shared = await sender.wallet.share(car, Wish(level="link"))
            assert await refusal(receiver.receive(shared.link, ask=lambda q: q.step == "claim")) == "declined"
            (taken,) = await receiver.wallet.opened()
            receiver.line.crash(0, arrives=arrives)
            with pytest.raises(Crash):
                await receiver.wallet.decline(taken.id, way=way, terms=receiver.terms())
        async with stage.actor("sender") as sender, stage.actor("receiver") as receiver:
            assert await refusal(receiver.receive(taken.id)) == "transfer_over"
            await receiver.wallet.resume_transfers()
            assert await receiver.wallet.opened() == ()
            state = (await sender.standing(shared)).relay_state
            assert state == ("gone" if way == "refuse" else "relinquished")

    play(tmp_path, scene)


def test_what_was_never_claimed_or_is_here_already_is_not_given_back(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        car = await given_car(stage)
        async with stage.actor("sender") as sender, stage.actor("receiver") as receiver:
            shared = await sender.wallet.share(car, Wish(level="link"))
            assert shared.link is not None
            terms = receiver.terms()
            assert await receiver.wallet.decline(shared.link, way="give_back", terms=terms) == "forgotten"
            assert (await sender.standing(shared)).relay_state == "unclaimed"
            assert (
                await refusal(receiver.wallet.decline("0000", way="refuse", terms=terms))
                == "transfer_unknown"
            )
            receiver.line.before = _no_deletes
            held = await receiver.receive(shared.link)
            code = await refusal(receiver.wallet.decline(held.id, way="refuse", terms=terms))
            assert code == "transfer_over"
            assert await refusal(sender.wallet.receive(shared.id, terms)) == "transfer_unknown"

    play(tmp_path, scene)
