"""The wallet with the real issuer, wallet server and verifier, in one process."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from safeconduct.demo.holder import Holder, open_holder
from safeconduct.demo.parties import Offer, Parties, Room, open_parties
from safeconduct.errors import SafeconductError

CLAIMS = {"given_name": "Leokadia", "family_name": "Ostrzewska", "nationalities": ["PL", "BE"]}
NOON = 1_800_014_400

Scene = Callable[[Parties, Holder], Awaitable[Any]]


class Clock:
    """One clock for everybody."""

    now = NOON

    def __call__(self) -> int:
        return self.now


def play(directory: Path, scene: Scene, *, clock: Clock | None = None, **settings: Any) -> Any:
    async def main() -> Any:
        opened = open_parties(directory, network=Room(), clock=clock or Clock(), **settings)
        async with opened as parties, open_holder(parties, directory / "wallet") as holder:
            return await scene(parties, holder)

    return asyncio.run(main())


async def refusal(accepting: Awaitable[Any]) -> str:
    with pytest.raises(SafeconductError) as error:
        await accepting
    return error.value.code


def test_a_credential_is_accepted_directly_shown_presented_and_removed(tmp_path: Path) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        wallet = holder.wallet
        offer = await parties.offer(CLAIMS, tx_code=True)
        held = await wallet.accept(offer.uri, tx_code=offer.tx_code)
        assert parties.wallet_server.tape == []
        shown = await wallet.show(held.id)
        assert shown.claims["nationalities"] == ["PL", "BE"]
        assert "nationalities[1]" in shown.withholdable
        outcome = await wallet.present_to(
            held.id, verifier=parties.verifier.url, disclose=["nationalities[1]"]
        )
        assert outcome.accepted
        assert outcome.claims["nationalities"] == ["BE"]
        assert "given_name" not in outcome.claims
        await wallet.delete(held.id)
        assert await wallet.list() == ()

    play(tmp_path, scene)


def test_an_offer_is_good_once(tmp_path: Path) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        await holder.wallet.accept(offer.uri, via=parties.wallet_server.url)
        assert await refusal(holder.wallet.accept(offer.uri)) == "grant_refused"

    play(tmp_path, scene)


def test_of_two_wallets_at_once_at_most_one_gets_the_credential(tmp_path: Path) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        async with open_holder(parties, tmp_path / "other") as other:
            outcomes = await asyncio.gather(
                holder.wallet.accept(offer.uri), other.wallet.accept(offer.uri), return_exceptions=True
            )
        # A code that comes twice is taken for a stolen one: the issuer may stop the first wallet as well.
        refused = [outcome.code for outcome in outcomes if isinstance(outcome, SafeconductError)]
        assert len(refused) >= 1
        assert set(refused) <= {"grant_refused", "token_refused"}

    play(tmp_path, scene)


def test_a_wrong_transaction_code_can_be_corrected_but_not_for_ever(tmp_path: Path) -> None:
    def wrong(offer: Offer) -> str:
        assert offer.tx_code is not None
        return offer.tx_code[:-1] + str((int(offer.tx_code[-1]) + 1) % 10)

    async def scene(parties: Parties, holder: Holder) -> None:
        accept = holder.wallet.accept
        offer = await parties.offer(CLAIMS, tx_code=True)
        assert await refusal(accept(offer.uri, tx_code=wrong(offer))) == "grant_refused"
        await accept(offer.uri, tx_code=offer.tx_code)
        guessed = await parties.offer(CLAIMS, tx_code=True)
        for _ in range(5):
            assert await refusal(accept(guessed.uri, tx_code=wrong(guessed))) == "grant_refused"
        assert await refusal(accept(guessed.uri, tx_code=guessed.tx_code)) == "grant_refused"

    play(tmp_path, scene)


def test_an_offer_grows_old(tmp_path: Path) -> None:
    clock = Clock()

    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        clock.now += 601
        assert await refusal(holder.wallet.accept(offer.uri)) == "grant_refused"

    play(tmp_path, scene, clock=clock)


def test_an_issuer_that_stops_demanding_encryption_is_refused_by_those_who_knew_it(tmp_path: Path) -> None:
    async def accept(parties: Parties, holder: Holder) -> Any:
        offer = await parties.offer(CLAIMS, tx_code=False)
        return await holder.wallet.accept(offer.uri)

    async def accept_again(parties: Parties, holder: Holder) -> str:
        return await refusal(accept(parties, holder))

    play(tmp_path, accept)
    assert play(tmp_path, accept_again, require_encryption=False) == "encryption_downgraded"


def test_a_server_that_is_no_wallet_server_is_left_out_and_reported(tmp_path: Path) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        held = await holder.wallet.accept(offer.uri, via=parties.verifier.url)
        assert [notice.code for notice in holder.notices] == ["session_refused"]
        assert await holder.wallet.list() == (held,)

    play(tmp_path, scene)


def test_an_issuer_out_of_reach_is_told(tmp_path: Path) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        elsewhere = offer.uri.replace("issuer.example", "nowhere.example")
        assert await refusal(holder.wallet.accept(elsewhere)) == "fetch_failed"

    play(tmp_path, scene)


def test_a_presentation_is_good_for_its_verifier_and_once(tmp_path: Path) -> None:
    async def scene(parties: Parties, holder: Holder) -> None:
        offer = await parties.offer(CLAIMS, tx_code=False)
        held = await holder.wallet.accept(offer.uri)
        first = await holder.wallet.present_to(
            held.id, verifier=parties.verifier.url, disclose=["given_name"]
        )
        assert first.accepted
        misdirected = await holder.wallet.present(
            held.id, disclose=["given_name"], audience="https://other.example", nonce=b"n" * 16
        )
        async with parties.network.fetcher() as line:
            response = await line.request(
                "POST",
                f"{parties.verifier.url}/presentations",
                headers={"Content-Type": "application/kb+cwt"},
                content=misdirected,
            )
        assert response.status == 400

    play(tmp_path, scene)
