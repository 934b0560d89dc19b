"""A right in several formats: the receiver of a share chooses one, and a move takes all the sender has."""

import asyncio
from pathlib import Path

import pytest
from tests.flows.sharing_stage import (
    CLAIMS,
    FORMATS,
    Holder,
    fetched,
    offered,
    owner,
    play,
    refused,
    uri_of,
    with_token,
)
from tests.flows.small_wallet import House, SmallWallet

BOTH = tuple(FORMATS)
OTHER = {"car_cwt": "car_jwt", "car_jwt": "car_cwt"}


async def ask_for(house: House, wallet: SmallWallet, kind: str, kinds: tuple[str, ...] = BOTH) -> Holder:
    """The credential in one of the formats that the wallet has a token for."""
    identifier = wallet.identifiers[kinds.index(kind)]
    given = wallet.given(await wallet.ask(credential_identifier=identifier))
    return Holder(house, wallet, kind, given.credentials[0], given.notification_id)


async def with_both(house: House) -> tuple[Holder, Holder]:
    """Somebody to whom the issuer itself gave the same right in both formats, by one offer."""
    made = await house.offer(configuration_id=None, configuration_ids=list(BOTH), claims=dict(CLAIMS))
    wallet = await house.holder(made)
    return await ask_for(house, wallet, "car_cwt"), await ask_for(house, wallet, "car_jwt")


async def statuses(house: House) -> dict[str, list[str]]:
    """How all that was issued stands, by configuration."""
    found: dict[str, list[str]] = {}
    for entry in (await house.manage("GET", "/issued")).json()["issued"]:
        found.setdefault(entry["configuration_id"], []).append(entry["status"])
    return {name: sorted(standing) for name, standing in found.items()}


# The receiver chooses.


@pytest.mark.parametrize("kind", FORMATS)
def test_an_offer_names_every_format_that_of_the_sender_first(tmp_path: Path, kind: str) -> None:
    async def story(house: House) -> None:
        share = await (await owner(house, kind)).share()
        assert offered(share).credential_configuration_ids == (kind, OTHER[kind])

    play(tmp_path, story)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_receiver_takes_the_other_format(tmp_path: Path, kind: str) -> None:
    """Claims, rights and times are those that were given, whatever the format."""

    async def story(house: House) -> None:
        sender = await owner(house, kind)
        held = await sender.claims()
        end = held["exp"] - 86400
        share = await sender.share(entitlements=["trunk"], expires=end)
        offer = offered(share)
        wallet = await with_token(house, share)
        friend = await ask_for(house, wallet, OTHER[kind], offer.credential_configuration_ids)
        claims = await friend.claims()
        assert claims["vehicle"] == "A 1"
        assert claims["access_rights"] == ["trunk"]
        assert "owner" not in claims
        assert claims["exp"] == end
        assert await sender.states() == ["issued"]
        assert (await sender.end(share))["outcome"] == "revoked"
        assert await statuses(house) == {kind: ["valid"], OTHER[kind]: ["invalid"]}

    play(tmp_path, story)


@pytest.mark.parametrize("first", FORMATS)
def test_a27_whichever_format_is_taken_the_other_is_refused(tmp_path: Path, first: str) -> None:
    async def story(house: House) -> None:
        sender = await owner(house, "car_cwt")
        wallet = await with_token(house, await sender.share())
        await ask_for(house, wallet, first)
        answer = await wallet.ask(credential_identifier=wallet.identifiers[BOTH.index(OTHER[first])])
        refused(answer, "credential_request_denied")
        stood = await statuses(house)
        assert sum(map(len, stood.values())) == 2  # the sender's, and one of the receiver's

    play(tmp_path, story)


def test_a27_both_formats_at_once_give_one(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house, "car_cwt")
        wallet = await with_token(house, await sender.share())
        bodies = [await wallet.sealed(credential_identifier=name) for name in wallet.identifiers]
        answers = await asyncio.gather(*map(wallet.send, bodies))
        assert [answer.status for answer in answers].count(200) == 1
        assert sum(map(len, (await statuses(house)).values())) == 2

    play(tmp_path, story)


def test_p17_a_move_in_another_format_is_a_move(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house, "car_cwt")
        share = await sender.share(mode="move")
        friend = await ask_for(house, await with_token(house, share), "car_jwt")
        assert await statuses(house) == {"car_cwt": ["suspended"], "car_jwt": ["valid"]}
        await friend.says("credential_accepted")
        assert await statuses(house) == {"car_cwt": ["invalid"], "car_jwt": ["valid"]}
        onward = await friend.share(mode="move")  # the new holder's, from the format that it took
        assert offered(onward).credential_configuration_ids == ("car_jwt", "car_cwt")

    play(tmp_path, story)


def test_a_kind_of_one_format_offers_one(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        share = await (await owner(house, "car_cwt")).share()
        assert offered(share).credential_configuration_ids == ("car_cwt",)

    play(tmp_path, story, also=False)


# S7: what the sender has in another format is the same right.


def test_s7_a_move_takes_what_the_sender_has_in_another_format(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        held, _ = await with_both(house)
        share = await held.share(mode="move")
        friend = await fetched(house, await with_token(house, share), "car_cwt")
        assert await statuses(house) == {"car_cwt": ["suspended", "valid"], "car_jwt": ["suspended"]}
        await friend.says("credential_accepted")
        assert await statuses(house) == {"car_cwt": ["invalid", "valid"], "car_jwt": ["invalid"]}

    play(tmp_path, story)


def test_s7_a_move_that_fails_gives_back_every_format(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        _, held = await with_both(house)
        friend = await fetched(house, await with_token(house, await held.share(mode="move")), "car_jwt")
        await friend.says("credential_failure")
        assert await statuses(house) == {"car_cwt": ["valid"], "car_jwt": ["invalid", "valid"]}

    play(tmp_path, story)


def test_s7_a_sender_cannot_fetch_the_other_format_beside_a_move(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        made = await house.offer(configuration_id=None, configuration_ids=list(BOTH), claims=dict(CLAIMS))
        wallet = await house.holder(made)
        held = await ask_for(house, wallet, "car_cwt")
        friend = await fetched(house, await with_token(house, await held.share(mode="move")), "car_cwt")
        refused(await wallet.ask(credential_identifier=wallet.identifiers[1]), "credential_request_denied")
        await friend.says("credential_failure")
        await ask_for(house, wallet, "car_jwt")  # what it could still have, it can have again

    play(tmp_path, story)


def test_p19_copies_in_another_format_give_no_more_room(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        one, other = await with_both(house)
        for sender in (one, other, one):
            await sender.share()
        refused(await other.ask(), "too_many_shares", status=429)

    play(tmp_path, story)


def test_what_was_offered_stays_redeemable_only_once_by_uri(tmp_path: Path) -> None:
    """The same link, opened by a second wallet for the other format, after the first has its credential."""

    async def story(house: House) -> None:
        sender = await owner(house, "car_cwt")
        share = await sender.share()
        await fetched(house, await with_token(house, share), "car_cwt")
        late = house.wallet()
        await late.nonces()
        assert (await late.redeem(uri_of(share))).json()["error"] == "invalid_grant"

    play(tmp_path, story)
