"""A share redeemed at the ordinary endpoints: a new credential, for one key, with no more than was given."""

import asyncio
from pathlib import Path

import pytest
from tests.flows.sharing_stage import (
    CLAIMS,
    DISCLOSED,
    FORMATS,
    SHARING,
    change,
    fetched,
    offered,
    owner,
    parent_id,
    play,
    receiver,
    refused,
    sharing_house,
    standings,
    thumbprint,
    uri_of,
    with_token,
)
from tests.flows.small_wallet import ISSUER, NOW, Clock, House

from safeconduct.crypto.keys import Key
from safeconduct.protocols.openid4vci import encryption
from safeconduct.protocols.openid4vci.request import encode_credential_request
from safeconduct.protocols.openid4vci.response import CredentialResponse, parse_credential_response

DAY = 86400


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("line", ["encrypted", "plain"])
def test_the_receiver_gets_a_credential_of_its_own(tmp_path: Path, kind: str, line: str) -> None:
    async def story(house: House) -> None:
        sender = await owner(house, kind)
        share = await sender.share(entitlements=["open", "trunk"])
        wallet = await with_token(house, share)
        if line == "plain":
            body = encode_credential_request(await wallet.request(response=None))
            answer = await wallet.send(body, content_type=encryption.PLAIN)
            given = parse_credential_response(answer.body, keys=1)
            assert isinstance(given, CredentialResponse)
            friend = await owner(house, kind)  # as any holder; what it holds is put in below
            friend.wallet, friend.credential = wallet, given.credentials[0]
        else:
            friend = await fetched(house, wallet, kind)
        held, claims = await sender.claims(), await friend.claims()  # for its own key, or this would raise
        assert friend.key.public != sender.key.public
        assert friend.credential != sender.credential
        # What was disclosed, the rights that were given, and nothing else.
        own = {"iss", "sub", "exp", "nbf", "iat", "cnf", "vct", "status"}
        assert {name: value for name, value in claims.items() if name not in own} == {
            "vehicle": "A 1",
            "access_rights": ["open", "trunk"],
        }
        # Nothing but type, issuer and day is the sender's as well.
        assert claims["sub"] != held["sub"]
        assert claims["status"]["status_list"] != held["status"]["status_list"]
        assert claims["cnf"] != held["cnf"]
        assert claims["exp"] <= held["exp"]
        assert await standings(house, share) == ("valid", "valid")
        assert await sender.states() == ["issued"]

    play(tmp_path, story, require_encryption=False)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_new_credential_keeps_within_the_times_that_were_given(tmp_path: Path, kind: str) -> None:
    async def story(house: House) -> None:
        sender = await owner(house, kind)
        held = await sender.claims()
        until = NOW + 5 * DAY + 17
        brief = await (await receiver(house, await sender.share(expires=until), kind=kind)).claims()
        assert (brief["nbf"], brief["exp"]) == (held["nbf"], until)
        later = NOW + 600
        share = await sender.share(not_before=later, expires=until)
        house.clock.now = later
        starts = await (await receiver(house, share, kind=kind)).claims()
        assert (starts["nbf"], starts["exp"]) == (later, until)
        assert starts["iat"] <= later
        house.clock.now = NOW + 20 * DAY
        whole = await (await receiver(house, await sender.share(), kind=kind)).claims()
        assert whole["exp"] == held["exp"]  # not thirty days more

    play(tmp_path, story)


def test_what_holds_only_what_was_withheld_is_left_out(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house, "car_jwt")
        friend = await receiver(house, await sender.share(), kind="car_jwt")
        assert "garage" not in await friend.claims()
        share = await sender.share(disclose=[*DISCLOSED, "garage"])
        friend = await receiver(house, share, kind="car_jwt")
        assert (await friend.claims())["garage"] == {"door": 4}

    play(tmp_path, story, more='redact = ["vehicle", "access_rights[]", "garage.door"]')


def test_the_claims_are_those_that_the_sender_showed_not_those_of_a_source(tmp_path: Path) -> None:
    """A source knows people; the receiver of a share is nobody whom it knows."""
    (tmp_path / "people.csv").write_text("subject,vehicle,owner\nerika,A 1,Erika\n")
    more = f'source = {{ kind = "csv", key = "subject", path = "{tmp_path}/people.csv" }}'

    async def story(house: House) -> None:
        sender = await owner(house, claims=None, subject="erika")
        share = await sender.share(disclose=["vehicle"])
        friend = await receiver(house, share)
        assert (await friend.claims())["vehicle"] == "A 1"
        assert "owner" not in await friend.claims()

    play(tmp_path, story, more=more)


# A27: once, by one.


def test_a27_a_share_is_redeemed_once(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share = await sender.share()
        wallet = await with_token(house, share)
        stranger = house.wallet()
        await stranger.nonces()
        refused(await stranger.redeem(uri_of(share)), "invalid_grant")  # leased to the first
        friend = await fetched(house, wallet, "car_cwt")
        refused(await stranger.redeem(uri_of(share)), "invalid_grant")
        refused(await friend.wallet.redeem(uri_of(share)), "invalid_grant")
        wallet.holder = Key.generate("ES256")  # one credential, to one key
        refused(await wallet.ask(), "credential_request_denied")
        assert await standings(house, share) == ("valid", "valid")
        assert len((await house.manage("GET", "/issued")).json()["issued"]) == 2

    play(tmp_path, story)


def test_a27_of_many_racers_one_gets_the_credential(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share = await sender.share()
        racers = [house.wallet() for _ in range(6)]
        for racer in racers:
            await racer.nonces()
        answers = await asyncio.gather(*(racer.redeem(uri_of(share)) for racer in racers))
        won = [racer for racer, answer in zip(racers, answers, strict=True) if answer.status == 200]
        assert sorted(answer.status for answer in answers) == [200, *[400] * 5]
        (winner,) = won
        (granted,) = [answer.json() for answer in answers if answer.status == 200]
        assert "refresh_token" not in granted
        winner.access_token = granted["access_token"]
        details = granted["authorization_details"]  # one for each format
        winner.identifiers = tuple(name for detail in details for name in detail["credential_identifiers"])
        named = (*winner.identifiers, winner.identifiers[0])
        bodies = [await winner.sealed(credential_identifier=name) for name in named]
        outcomes = await asyncio.gather(*(winner.send(body) for body in bodies))
        assert {answer.status for answer in outcomes} <= {200, 400}
        assert len((await house.manage("GET", "/issued")).json()["issued"]) == 2

    play(tmp_path, story, database=f"sqlite:///{tmp_path}/issuer.db")


def test_a27_who_has_the_lease_may_repeat_and_then_another_may_try(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share = await sender.share()
        first = await with_token(house, share)
        await first.take_token(uri_of(share))  # the answer was lost
        assert await sender.states() == ["redeeming"]
        second = house.wallet()
        await second.nonces()
        refused(await second.redeem(uri_of(share)), "invalid_grant")
        house.clock.now += 601  # the lease is over, and nothing was delivered
        await sender.open_access()
        assert await sender.states() == ["pending"]
        friend = await receiver(house, share)
        assert await sender.states() == ["issued"]
        await friend.claims()
        refused(await first.ask(), "invalid_token", status=401)

    play(tmp_path, story)


def test_a27_an_answer_that_was_lost_is_given_again(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = await with_token(house, await (await owner(house)).share())
        first = wallet.given(await wallet.ask())
        again = wallet.given(await wallet.ask())
        assert first.notification_id == again.notification_id
        assert len((await house.manage("GET", "/issued")).json()["issued"]) == 2

    play(tmp_path, story)


def test_a_share_gives_one_credential_to_one_key(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = await with_token(house, await (await owner(house)).share())
        keys = [Key.generate("ES256") for _ in range(2)]
        refused(await wallet.ask(holders=keys), "credential_request_denied")
        assert (await wallet.ask()).status == 200

    play(tmp_path, story)


# A28: the transaction code.


def test_a28_five_wrong_codes_lock_the_share(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share = await sender.share(level="pin")
        wrong = "".join(str((int(digit) + 1) % 10) for digit in share["tx_code"])
        wallet = house.wallet()
        await wallet.nonces()
        refused(await wallet.redeem(uri_of(share)), "invalid_request")  # without: costs nothing
        for attempt in range(5):
            assert await sender.states() == ["pending"], attempt
            refused(await wallet.redeem(uri_of(share), tx_code=wrong), "invalid_grant")
        assert await sender.states() == ["locked"]
        refused(await wallet.redeem(uri_of(share), tx_code=share["tx_code"]), "invalid_grant")
        assert await sender.end(share) == {"outcome": "already_over", "state": "locked"}
        other = await sender.share(level="pin")
        refused(await wallet.redeem(uri_of(other), tx_code=wrong), "invalid_grant")
        await receiver(house, other, tx_code=other["tx_code"])
        assert sorted(await sender.states()) == ["issued", "locked"]

    play(tmp_path, story)


# Levels key and approve: the pinned key.


def test_a_share_for_a_key_is_for_that_key(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        friend = Key.generate("ES256")
        sender = await owner(house)
        share = await sender.share(level="key", jkt=thumbprint(friend))
        wallet = await with_token(house, share)  # with a key of its own
        refused(await wallet.ask(), "invalid_proof")
        assert await sender.states() == ["redeeming"]
        wallet.holder = friend
        await (await fetched(house, wallet, "car_cwt")).claims()
        assert await sender.states() == ["issued"]

    play(tmp_path, story)


def test_a_share_that_is_to_be_approved_waits_for_it(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        friend, thief = Key.generate("ES256"), Key.generate("ES256")
        sender = await owner(house)
        share = await sender.share(level="approve")
        wallet = house.wallet()
        wallet.holder = friend
        await wallet.nonces()
        for _ in range(6):  # asking early costs nothing
            refused(await wallet.redeem(uri_of(share)), "invalid_grant")
        answer = await sender.pin(share, friend)
        assert (answer.status, answer.json()["pinned"], answer.json()["state"]) == (200, True, "pending")
        refused(await sender.pin(share, friend), "share_refused", status=409)  # once
        refused(await sender.pin(share, thief), "share_refused", status=409)
        other = await with_token(house, share, key=thief)
        refused(await other.ask(), "invalid_proof")
        other.holder = friend
        await (await fetched(house, other, "car_cwt")).claims()

    play(tmp_path, story)


def test_only_a_share_that_is_to_be_approved_is_pinned(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        friend = Key.generate("ES256")
        sender = await owner(house)
        refused(await sender.pin(await sender.share(), friend), "share_refused", status=409)
        refused(await sender.pin({"share_id": "0" * 32}, friend), "share_unknown", status=404)
        share = await sender.share(level="approve")
        for body in ({"jkt": "short"}, {"jkt": 1}, {}, {"jkt": "A" * 2000}):
            answer = await sender.call("PATCH", f"/shares/{share['share_id']}", body)
            assert answer.status in (400, 413), body
        await sender.end(share)
        refused(await sender.pin(share, friend), "share_refused", status=409)

    play(tmp_path, story)


# A35, A36: judged again when it is redeemed.


def test_a36_a_parent_that_is_revoked_takes_its_open_offers_along(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        waiting, taken = await sender.share(), await sender.share()
        wallet = await with_token(house, taken)
        await change(house, await parent_id(house, taken), "revoke")
        refused(await wallet.ask(), "invalid_token", status=401)
        late = house.wallet()
        await late.nonces()
        refused(await late.redeem(uri_of(waiting)), "invalid_grant")
        assert await sender.states() == ["cancelled", "cancelled"]
        assert len((await house.manage("GET", "/issued")).json()["issued"]) == 1

    play(tmp_path, story)


def test_a36_a_suspended_parent_gives_nothing_while_it_is_suspended(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share, taken = await sender.share(), await sender.share()
        wallet = await with_token(house, taken)
        parent = await parent_id(house, share)
        await change(house, parent, "suspend")
        refused(await wallet.ask(), "credential_request_denied")
        late = house.wallet()
        await late.nonces()
        refused(await late.redeem(uri_of(share)), "invalid_grant")
        await change(house, parent, "reinstate")
        await receiver(house, share)
        assert (await wallet.ask()).status == 200

    play(tmp_path, story)


def test_a36_what_was_issued_is_revoked_with_the_parent_all_the_way_down(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share = await sender.share()
        friend = await receiver(house, share)
        onward = await friend.share()
        await receiver(house, onward)
        await change(house, await parent_id(house, share), "revoke")
        assert await standings(house, share) == ("invalid", "invalid")
        assert await standings(house, onward) == ("invalid", "invalid")
        refused(await friend.ask(), "parent_invalid", status=403)

    play(tmp_path, story, sharing=f"{SHARING}max_depth = 2")


def test_a35_what_the_kind_does_not_pass_on_any_more_is_cut_at_redemption(tmp_path: Path) -> None:
    """The rules have changed since the share was made: those of today count."""
    database = f"sqlite:///{tmp_path}/issuer.db"

    async def main() -> None:
        clock = Clock()
        async with sharing_house(tmp_path, clock=clock, database=database) as house:
            sender = await owner(house)
            shares = [await sender.share(disclose=[*DISCLOSED, "garage.door"]) for _ in range(2)]
            moved = await sender.share(mode="move")
        narrower = '[configurations.sharing]\nrights = "access_rights"\nclaims = ["vehicle", "access_rights"]'
        async with sharing_house(tmp_path, clock=clock, sharing=narrower, database=database) as house:
            claims = await (await receiver(house, shares[0])).claims()
            assert claims["access_rights"] == CLAIMS["access_rights"]
            assert "garage" not in claims
            refused(await (await with_token(house, moved)).ask(), "credential_request_denied")
        async with sharing_house(tmp_path, clock=clock, sharing="", database=database) as house:
            refused(await (await with_token(house, shares[1])).ask(), "credential_request_denied")

    asyncio.run(main())


def test_a_share_that_has_expired_is_not_redeemed(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        share = await sender.share(lifetime=600)
        wallet = await with_token(house, await sender.share(expires=NOW + 200))
        house.clock.now += 200  # the token lives longer, but the credential would have expired
        refused(await wallet.ask(), "credential_request_denied")
        house.clock.now += 400
        late = house.wallet()
        await late.nonces()
        refused(await late.redeem(uri_of(share)), "invalid_grant")
        await sender.open_access()
        assert await sender.states() == ["expired", "expired"]
        assert await sender.end(share) == {"outcome": "already_expired", "state": "expired"}

    play(tmp_path, story)


def test_what_is_taken_back_is_not_redeemed(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        waiting, taken, given = [await sender.share() for _ in range(3)]
        wallet = await with_token(house, taken)
        await receiver(house, given)
        assert await sender.end(waiting) == {"outcome": "cancelled", "state": "cancelled"}
        assert await sender.end(taken) == {"outcome": "cancelled", "state": "cancelled"}
        assert await sender.end(given) == {"outcome": "revoked", "state": "revoked"}
        assert await sender.end(given) == {"outcome": "already_over", "state": "revoked"}
        late = house.wallet()
        await late.nonces()
        refused(await late.redeem(uri_of(waiting)), "invalid_grant")
        refused(await wallet.ask(), "invalid_token", status=401)
        assert await standings(house, given) == ("valid", "invalid")

    play(tmp_path, story)


def test_the_offer_of_a_share_is_an_ordinary_one(tmp_path: Path) -> None:
    """Any wallet of OpenID4VCI takes it; nothing in it tells whose credential it comes from."""

    async def story(house: House) -> None:
        share = await (await owner(house)).share()
        assert offered(share).credential_issuer == ISSUER
        assert share["credential_offer"].keys() == {
            "credential_issuer",
            "credential_configuration_ids",
            "grants",
        }
        answer = await house.manage("GET", "/offers")
        assert [one["state"] for one in answer.json()["offers"]] == ["issued"]  # the owner's alone

    play(tmp_path, story)


@pytest.mark.postgres
def test_shares_are_made_redeemed_and_taken_back_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        answers = await asyncio.gather(*(sender.ask(level="pin") for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [201] * 3 + [429] * 2
        share, other, third = [answer.json() for answer in answers if answer.status == 201]
        racers = [house.wallet() for _ in range(4)]
        for racer in racers:
            await racer.nonces()
        redeemed = await asyncio.gather(
            *(racer.redeem(uri_of(share), tx_code=share["tx_code"]) for racer in racers)
        )
        assert sorted(answer.status for answer in redeemed) == [200, 400, 400, 400]
        friend = await receiver(house, other, tx_code=other["tx_code"])
        await friend.claims()
        assert await sender.end(third) == {"outcome": "cancelled", "state": "cancelled"}
        move = await sender.share(mode="move")
        friend = await receiver(house, move)
        assert await standings(house, move) == ("suspended", "valid")
        await friend.says("credential_accepted")
        assert await standings(house, move) == ("invalid", "valid")
        assert await standings(house, other) == ("invalid", "invalid")

    play(tmp_path, story, database=postgres_url)
