"""S7: a move over HTTP. Never two valid credentials, never none after a failure, also if a wallet lies."""

import asyncio
from pathlib import Path

import pytest
from tests.flows.sharing_stage import (
    CLAIMS,
    DISCLOSED,
    FORMATS,
    Holder,
    change,
    owner,
    parent_id,
    play,
    receiver,
    refused,
    standings,
    uri_of,
    with_token,
)
from tests.flows.small_wallet import House

from safeconduct.crypto.keys import Key


@pytest.mark.parametrize("kind", FORMATS)
def test_s7_a_move_that_is_accepted(tmp_path: Path, kind: str) -> None:
    async def story(house: House) -> None:
        sender = await owner(house, kind)
        share = await sender.share(mode="move")
        assert await standings(house, share) == ("valid", None)
        wallet = await with_token(house, share)
        assert await standings(house, share) == ("valid", None)
        friend = Holder(house, wallet, kind, "", None)
        given = wallet.given(await wallet.ask())
        friend.credential, friend.notification_id = given.credentials[0], given.notification_id
        assert await standings(house, share) == ("suspended", "valid")
        assert await sender.states() == ["issued"]
        refused(await sender.ask(), "parent_invalid", status=403)
        await friend.says("credential_accepted")
        assert await standings(house, share) == ("invalid", "valid")
        # The sender sees it, with a credential that is revoked; and has nothing to take back any more.
        await sender.open_access()
        assert await sender.states() == ["moved"]
        assert await sender.end(share) == {"outcome": "already_over", "state": "moved"}
        await friend.says("credential_failure")  # too late to say
        assert await standings(house, share) == ("invalid", "valid")
        # The receiver stands where the sender stood: it may share, and move, as the sender might.
        await friend.claims()
        onward = await friend.share(mode="move")
        third = await receiver(house, onward, kind=kind)
        assert await standings(house, onward) == ("suspended", "valid")
        await third.says("credential_accepted")
        assert await standings(house, onward) == ("invalid", "valid")

    play(tmp_path, story)


def test_s7_the_lease_ends_with_a_delivered_credential(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share = await sender.share(mode="move")
        friend = await receiver(house, share)
        assert await standings(house, share) == ("suspended", "valid")
        house.clock.now += 601
        await sender.open_access()
        assert await sender.states() == ["moved"]
        assert await standings(house, share) == ("invalid", "valid")
        await friend.claims()

    play(tmp_path, story)


def test_s7_the_lease_ends_without_one(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share = await sender.share(mode="move")
        wallet = await with_token(house, share)
        house.clock.now += 601
        refused(await wallet.ask(), "invalid_token", status=401)
        await sender.open_access()
        assert await sender.states() == ["pending"]
        assert await standings(house, share) == ("valid", None)

    play(tmp_path, story)


@pytest.mark.parametrize("kind", FORMATS)
def test_s7_a_receiver_that_lies_about_a_failure_ends_with_nothing(tmp_path: Path, kind: str) -> None:
    async def story(house: House) -> None:
        sender = await owner(house, kind)
        share = await sender.share(mode="move")
        friend = await receiver(house, share, kind=kind)
        await friend.says("credential_failure")  # and keeps what it was given
        assert await standings(house, share) == ("valid", "invalid")
        assert await sender.states() == ["failed"]
        refused(await friend.ask(), "parent_invalid", status=403)
        refused(await friend.notify("credential_accepted"), "invalid_token", status=401)  # too late
        assert await standings(house, share) == ("valid", "invalid")
        refused(await friend.wallet.ask(), "invalid_token", status=401)
        assert (await sender.ask()).status == 201

    play(tmp_path, story)


def test_s7_the_sender_takes_it_back_before_it_is_accepted(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share = await sender.share(mode="move")
        assert await sender.end(share) == {"outcome": "cancelled", "state": "cancelled"}
        share = await sender.share(mode="move")
        friend = await receiver(house, share)
        assert await sender.end(share) == {"outcome": "revoked", "state": "revoked"}
        assert await standings(house, share) == ("valid", "invalid")
        refused(await friend.notify("credential_accepted"), "invalid_token", status=401)
        assert await standings(house, share) == ("valid", "invalid")

    play(tmp_path, story)


def test_s7_what_the_receiver_deletes_stays_moved(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share = await sender.share(mode="move")
        friend = await receiver(house, share)
        await friend.says("credential_deleted")
        assert (await standings(house, share))[0] == "invalid"
        await sender.open_access()
        assert await sender.states() == ["moved"]

    play(tmp_path, story)


def test_s7_two_moves_of_one_credential_end_with_one(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        moves = [await sender.share(mode="move") for _ in range(2)]
        plain = await sender.share()
        wallets = [await with_token(house, share) for share in (*moves, plain)]
        answers = [await wallet.ask() for wallet in wallets]
        assert [answer.status for answer in answers] == [200, 400, 400]
        refused(answers[1], "credential_request_denied")
        first = wallets[0].given(answers[0])
        assert first.notification_id is not None
        await wallets[0].notify(first.notification_id, "credential_accepted")
        assert await standings(house, moves[0]) == ("invalid", "valid")
        for wallet in wallets[1:]:
            assert (await wallet.ask()).status in (400, 401)
        assert len((await house.manage("GET", "/issued")).json()["issued"]) == 2

    play(tmp_path, story)


def test_s7_a_batch_is_moved_whole_and_no_more_can_be_had_of_it(tmp_path: Path) -> None:
    """Else the sender could move one instance and go on with another."""

    async def story(house: House) -> None:
        wallet = await house.holder(await house.offer(configuration_id="car_jwt", claims=dict(CLAIMS)))
        keys = [Key.generate("ES256") for _ in range(2)]
        given = wallet.given(await wallet.ask(holders=keys), keys=2).credentials
        own = house.wallet()
        own.holder = keys[0]
        sender = Holder(house, own, "car_jwt", given[0], None)
        share = await sender.share(mode="move")
        friend = await receiver(house, share, kind="car_jwt")
        refused(await wallet.ask(holders=[Key.generate("ES256")]), "credential_request_denied")
        await friend.says("credential_accepted")
        assert await standings(house, share) == ("invalid", "valid")
        own.holder = keys[1]
        other = Holder(house, own, "car_jwt", given[1], None)
        refused(await other.ask(), "parent_invalid", status=403)

    play(tmp_path, story)


def test_s7_management_revokes_in_the_middle(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share = await sender.share(mode="move")
        friend = await receiver(house, share)
        parent = await parent_id(house, share)
        answer = await house.manage("POST", f"/issued/{parent}/reinstate")
        assert (answer.status, answer.json()["code"]) == (409, "move_under_way")
        await change(house, parent, "revoke")
        assert await standings(house, share) == ("invalid", "invalid")
        refused(await friend.notify("credential_failure"), "invalid_token", status=401)
        assert await standings(house, share) == ("invalid", "invalid")

    play(tmp_path, story)


def test_s7_a_move_gives_the_rights_that_were_chosen(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share = await sender.share(mode="move", entitlements=["open"], disclose=DISCLOSED)
        friend = await receiver(house, share)
        assert (await friend.claims())["access_rights"] == ["open"]

    play(tmp_path, story)


def test_s7_of_two_receivers_at_once_one_has_it(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        moves = [await sender.share(mode="move") for _ in range(3)]
        wallets = [await with_token(house, share) for share in moves]
        bodies = [await wallet.sealed() for wallet in wallets]
        answers = await asyncio.gather(
            *(wallet.send(body) for wallet, body in zip(wallets, bodies, strict=True))
        )
        assert sorted(answer.status for answer in answers) == [200, 400, 400]
        late = house.wallet()
        await late.nonces()
        refused(await late.redeem(uri_of(moves[0])), "invalid_grant")

    play(tmp_path, story, database=f"sqlite:///{tmp_path}/issuer.db")
