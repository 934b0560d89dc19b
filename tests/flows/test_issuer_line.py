"""The issuer's happy line: an offer, a token, a credential that the holder's check accepts."""

import asyncio
from pathlib import Path

import pytest
from tests.flows.small_wallet import CLAIMS, ISSUER, NOW, House, SmallWallet, issuer_house

from safeconduct.crypto.keys import PublicKey
from safeconduct.formats import sd_cwt
from safeconduct.trust import WAIVED, Policy, Trust


async def _trust(house: House) -> Trust:
    answer = await house.fetcher.request("GET", f"{ISSUER}/.well-known/jwt-vc-issuer")
    published = answer.json()
    assert published["issuer"] == ISSUER
    return Trust.of({ISSUER: [PublicKey.from_jwk(jwk) for jwk in published["jwks"]["keys"]]})


@pytest.mark.parametrize("by_reference", [False, True])
@pytest.mark.parametrize("with_tx_code", [False, True])
def test_an_offer_becomes_a_credential_that_its_holder_accepts(
    tmp_path: Path, by_reference: bool, with_tx_code: bool
) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            offer = await house.offer(by_reference=by_reference, tx_code=with_tx_code)
            assert await house.state(offer) == "pending"
            wallet = house.wallet()
            await wallet.take_token(offer["offer_uri"], tx_code=offer.get("tx_code"))
            assert await house.state(offer) == "redeemed"
            (credential,) = wallet.open(await wallet.ask())
            assert await house.state(offer) == "issued"
            held = sd_cwt.check_issued(
                credential, holder=wallet.holder.public, trust=await _trust(house), now=NOW
            )
            shown = held.claims.to_json()
            assert {name: shown[name] for name in CLAIMS} == dict(CLAIMS)
            assert shown["vct"] == f"{ISSUER}/credentials/identity"

    asyncio.run(main())


def test_a_verifier_sees_what_was_disclosed_and_no_more(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = house.wallet()
            await wallet.take_token((await house.offer())["offer_uri"])
            (credential,) = wallet.open(await wallet.ask())
            shown = sd_cwt.present(
                credential,
                holder=wallet.holder,
                disclose=["given_name", "address.country", "nationalities[1]"],
                audience="https://verifier.example",
                nonce=None,
                now=NOW,
            )
            policy = Policy(audience="https://verifier.example", nonce=WAIVED)
            seen = sd_cwt.verify(shown, trust=await _trust(house), policy=policy, now=NOW).claims.to_json()
            assert seen["given_name"] == "Erika"
            assert seen["address"] == {"country": "DE"}
            assert seen["nationalities"] == ["FR"]
            assert "family_name" not in seen
            assert "birthdate" not in seen

    asyncio.run(main())


def test_times_in_credentials_are_whole_days_and_subjects_differ(tmp_path: Path) -> None:
    async def credential(house: House) -> dict[str, object]:
        wallet = house.wallet()
        await wallet.take_token((await house.offer())["offer_uri"])
        (token,) = wallet.open(await wallet.ask())
        trust = await _trust(house)
        held = sd_cwt.check_issued(token, holder=wallet.holder.public, trust=trust, now=house.clock())
        return held.claims.to_json()

    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            first, second = await credential(house), await credential(house)
            for claims in (first, second):
                assert [claims[name] % 86400 for name in ("iat", "nbf", "exp")] == [0, 0, 0]  # type: ignore[operator]
            assert first["sub"] != second["sub"]

    asyncio.run(main())


def test_a_batch_has_one_credential_for_each_key_with_salts_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, batch_size=3, credentials_per_identifier=3) as house:
            wallet = house.wallet()
            await wallet.take_token((await house.offer())["offer_uri"])
            holders = [SmallWallet(house.fetcher, house.clock).holder for _ in range(3)]
            credentials = wallet.open(await wallet.ask(holders=holders), keys=3)
            trust = await _trust(house)
            held = [
                sd_cwt.check_issued(token, holder=key.public, trust=trust, now=NOW)
                for token, key in zip(credentials, holders, strict=True)
            ]
            assert len({entry.claims["sub"] for entry in held}) == 3
            assert len(set(credentials)) == 3

    asyncio.run(main())


def test_a_signed_request_is_served(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = house.wallet()
            await wallet.take_token((await house.offer())["offer_uri"])
            assert len(wallet.open(await wallet.ask(signed=True))) == 1

    asyncio.run(main())


def test_an_issuer_below_a_path_serves_the_same_line(tmp_path: Path) -> None:
    async def main() -> None:
        identifier = f"{ISSUER}/tenant"
        async with issuer_house(tmp_path, identifier=identifier) as house:
            offer = await house.offer(by_reference=True)
            wallet = SmallWallet(house.fetcher, house.clock, issuer=identifier)
            await wallet.take_token(offer["offer_uri"])
            assert len(wallet.open(await wallet.ask())) == 1

    asyncio.run(main())
