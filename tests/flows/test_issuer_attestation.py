"""Wallet attestation as client authentication, at the endpoints for pushed requests and tokens (HAIP 1.0)."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.flows.code_flow import CodeWallet, browser, code_wallet, login_house, parameters_of
from tests.flows.small_wallet import ISSUER, NOW, House
from tests.flows.test_issuer_code_flow import refused

from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.protocols.oauth import client_attestation as attestations

ATTESTER = Key.generate("ES256", kid="attester")
INSTANCE = Key.generate("ES256")
WALLET = "https://wallet-maker.example/wallet"


def play(
    folder: Path, story: Callable[[House], Awaitable[None]], mode: str = "required", **settings: Any
) -> None:
    anchors = folder / "attesters.json"
    known = {"https://attester.example": {"keys": [ATTESTER.public.to_jwk()]}}
    anchors.write_bytes(json.dumps(known))

    async def main() -> None:
        chosen = {"client_attestation": mode, "client_attestation_anchors": anchors, **settings}
        async with login_house(folder, **chosen) as house:
            await story(house)

    asyncio.run(main())


def attest(wallet: CodeWallet, *, now: int = NOW, **bent: Any) -> None:
    """Gives the wallet headers for its next request."""
    claims = {
        "attester": ATTESTER,
        "client_id": WALLET,
        "key": INSTANCE.public,
        "now": now,
        "lifetime": 3600,
        "issuer": "https://attester.example",
        "wallet_name": "Maker's Wallet",
    }
    proof = {"key": INSTANCE, "client_id": WALLET, "audience": ISSUER, "now": now}
    wallet.extra = {
        attestations.ATTESTATION_HEADER: attestations.create_attestation(
            **{**claims, **{name: value for name, value in bent.items() if name in claims}}
        ),
        attestations.POP_HEADER: attestations.create_pop(**{**proof, **_of_the_proof(bent)}),
    }


def _of_the_proof(bent: dict[str, Any]) -> dict[str, Any]:
    return {name[4:]: value for name, value in bent.items() if name.startswith("pop_")}


def test_an_attested_wallet_gets_a_credential_without_being_registered(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house, client_id=WALLET, redirect_uri="https://wallet-maker.example/cb")
        attest(wallet)
        assert (await wallet.push()).status == 201
        async with browser(house) as person:
            assert "Maker&#39;s Wallet" in (await person.open(wallet.url())).text
            page = await person.sign_in()
            assert "not known here" not in page.text
            code = parameters_of(await person.decide())["code"]
        await wallet.nonces()
        attest(wallet)
        wallet.keep(await wallet.redeem_code(code, client_id=None))
        assert wallet.identifiers

    play(tmp_path, story)


def test_the_metadata_say_so(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        answer = await house.fetcher.request("GET", f"{ISSUER}/.well-known/oauth-authorization-server")
        members = answer.json()
        assert members["token_endpoint_auth_methods_supported"] == ["attest_jwt_client_auth"]
        assert "ES256" in members["client_attestation_signing_alg_values_supported"]
        assert "ES256" in members["client_attestation_pop_signing_alg_values_supported"]
        assert "pre-authorized_grant_anonymous_access_supported" not in members  # its default is false

    play(tmp_path, story)


@pytest.mark.parametrize(
    "bent",
    [
        {"attester": Key.generate("ES256", kid="attester")},
        {"key": Key.generate("ES256").public},
        {"pop_key": Key.generate("ES256")},
        {"pop_audience": "https://other.example"},
        {"now": NOW - 7200},
        {"client_id": ""},
        {"pop_client_id": "other"},
        {"pop_now": NOW - 7200},
    ],
)
def test_a_bad_attestation_is_refused_at_both_endpoints(tmp_path: Path, bent: dict[str, Any]) -> None:
    """oid4vci-1_0-issuer-fail- invalid-client-attestation-signature,
    invalid-client-attestation-pop-signature, client-attestation-exp-in-past, client-attestation-no-sub,
    client-attestation-pop-wrong-aud, mismatched-client-attestation-pop-key"""

    async def story(house: House) -> None:
        wallet = code_wallet(house, client_id=WALLET)
        attest(wallet, **bent)
        refused(await wallet.push(), "invalid_client", status=401)
        await wallet.nonces()
        refused(await wallet.redeem_code("code"), "invalid_client", status=401)

    play(tmp_path, story)


def test_a_missing_repeated_or_halved_attestation_is_refused(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)  # registered, which is not enough here
        refused(await wallet.push(), "invalid_client", status=401)
        attest(wallet)
        whole = dict(wallet.extra)
        for name in whole:
            wallet.extra = {name: whole[name]}
            refused(await wallet.push(client_id=WALLET), "invalid_client", status=401)
            wallet.extra = {**whole, name: f"{whole[name]}, {whole[name]}"}
            refused(await wallet.push(client_id=WALLET), "invalid_client", status=401)
        offer = await house.offer(claims={"given_name": "E"})
        await wallet.nonces()
        wallet.extra = {}
        refused(await wallet.redeem(offer["offer_uri"]), "invalid_client", status=401)

    play(tmp_path, story)


def test_a_wallet_cannot_name_another_client_and_its_proof_is_good_once(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        attest(wallet)
        refused(await wallet.push(client_id="wallet"), "invalid_client", status=401)
        attest(wallet)
        assert (await wallet.push(client_id=WALLET)).status == 201
        refused(await wallet.push(client_id=WALLET), "invalid_client", status=401)

    play(tmp_path, story)


def test_a_nonce_challenge_does_not_spend_the_proof(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        attest(wallet)
        answer = await wallet.push(client_id=WALLET, proof=wallet.proof_of_possession("/par"))
        refused(answer, "use_dpop_nonce")
        answer = await wallet.push(client_id=WALLET, proof=wallet.proof_of_possession("/par"))
        assert answer.status == 201

    play(tmp_path, story)


def test_where_it_is_optional_registered_clients_do_without(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        assert (await code_wallet(house).push()).status == 201
        wallet = code_wallet(house, client_id=WALLET)
        refused(await wallet.push(), "invalid_client", status=401)
        attest(wallet)
        assert (await wallet.push()).status == 201
        attest(wallet, pop_key=Key.generate("ES256"))
        refused(await wallet.push(), "invalid_client", status=401)

    play(tmp_path, story, mode="optional")
