"""The token endpoint: what it refuses, and what a refusal costs (OpenID4VCI 1.0 §6, RFC 9449)."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.flows.small_wallet import ISSUER, House, SmallWallet, issuer_house

from safeconduct.crypto.keys import Key
from safeconduct.net.fetch import Response
from safeconduct.protocols.oauth import token
from safeconduct.protocols.oauth.authorization_details import CredentialDetail

PRE_AUTHORIZED = quote(token.PRE_AUTHORIZED_CODE)


def _refused(answer: Response, error: str, *, status: int = 400) -> None:
    members = answer.json()
    assert (answer.status, members["error"]) == (status, error), answer.body
    assert members.keys() <= {"error", "error_description"}
    assert answer.content_type == "application/json"
    assert answer.headers["cache-control"] == "no-store"


async def _ready(house: House) -> SmallWallet:
    wallet = house.wallet()
    await wallet.nonces()
    return wallet


async def _code(wallet: SmallWallet, uri: str) -> str:
    offer = await wallet.read_offer(uri)
    assert offer.pre_authorized is not None
    return offer.pre_authorized.code


@pytest.mark.parametrize(
    ("form", "error"),
    [
        (b"", "invalid_request"),
        (b"grant_type=", "invalid_request"),
        (b"grant_type=password&username=a&password=b", "unsupported_grant_type"),
        (b"grant_type=authorization_code&code=x", "invalid_client"),
        (b"grant_type=authorization_code&client_id=w&code=x", "invalid_client"),
        (b"grant_type=refresh_token&refresh_token=x", "invalid_grant"),
        (f"grant_type={PRE_AUTHORIZED}&pre-authorized_code=a&scope=%22".encode(), "invalid_scope"),
        (f"grant_type={PRE_AUTHORIZED}&pre-authorized_code=a&client_id=%00".encode(), "invalid_request"),
        (f"grant_type={PRE_AUTHORIZED}".encode(), "invalid_request"),
        (f"grant_type={PRE_AUTHORIZED}&pre-authorized_code=unknown".encode(), "invalid_grant"),
        (
            f"grant_type={PRE_AUTHORIZED}&pre-authorized_code=a&pre-authorized_code=b".encode(),
            "invalid_request",
        ),
        (
            f"grant_type={PRE_AUTHORIZED}&pre-authorized_code=a&authorization_details=%5B%5D".encode(),
            "invalid_authorization_details",
        ),
        (b"\xff\xfe", "invalid_request"),
    ],
)
def test_a_bad_form_is_named_by_its_error(tmp_path: Path, form: bytes, error: str) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _ready(house)
            status = 401 if error == "invalid_client" else 400
            _refused(await wallet.redeem_form(form), error, status=status)

    asyncio.run(main())


def test_a_body_that_is_no_form_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            answer = await house.fetcher.request("POST", f"{ISSUER}/token", content=b"{}")
            _refused(answer, "invalid_request", status=415)

    asyncio.run(main())


def test_a_missing_or_repeated_proof_burns_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            offer = await house.offer()
            wallet = await _ready(house)
            code = await _code(wallet, offer["offer_uri"])
            form = token.token_request_form(token.TokenRequest(pre_authorized_code=code))
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            for extra in ({}, {"DPoP": "a, b"}, {"DPoP": "rubbish"}):
                answer = await house.fetcher.request(
                    "POST", f"{ISSUER}/token", headers={**headers, **extra}, content=form
                )
                _refused(answer, "invalid_dpop_proof")
            assert await house.state(offer) == "pending"
            assert (await wallet.redeem_form(form)).status == 200

    asyncio.run(main())


def test_a_nonce_challenge_burns_neither_the_code_nor_an_attempt(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, tx_code_attempts=1) as house:
            offer = await house.offer(tx_code=True)
            wallet = house.wallet()
            for nonce in (None, "made-up"):
                wallet.dpop_nonce = nonce
                answer = await wallet.redeem(offer["offer_uri"], tx_code="000000x")
                _refused(answer, "use_dpop_nonce")
                assert answer.headers["dpop-nonce"] != nonce
            # The nonce of the challenge is good, and the one attempt is still there.
            answer = await wallet.redeem(offer["offer_uri"], tx_code=offer["tx_code"])
            assert answer.status == 200

    asyncio.run(main())


def test_a_stale_dpop_nonce_is_challenged(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, dpop_nonce_lifetime=30) as house:
            offer = await house.offer()
            wallet = await _ready(house)
            house.clock.now += 31
            _refused(await wallet.redeem(offer["offer_uri"]), "use_dpop_nonce")
            assert (await wallet.redeem(offer["offer_uri"])).status == 200

    asyncio.run(main())


def test_a_dpop_proof_is_good_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            offer = await house.offer()
            wallet = await _ready(house)
            proof = wallet.proof_of_possession("/token")
            assert (await wallet.redeem((await house.offer())["offer_uri"], proof=proof)).status == 200
            _refused(await wallet.redeem(offer["offer_uri"], proof=proof), "invalid_dpop_proof")
            assert await house.state(offer) == "pending"

    asyncio.run(main())


def test_a_repeated_proof_does_not_lock_the_code_that_it_redeemed(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            offer = await house.offer()
            wallet = await _ready(house)
            proof = wallet.proof_of_possession("/token")
            assert (await wallet.redeem(offer["offer_uri"], proof=proof)).status == 200
            _refused(await wallet.redeem(offer["offer_uri"], proof=proof), "invalid_dpop_proof")
            assert await house.state(offer) == "redeemed"

    asyncio.run(main())


def test_nothing_is_kept_of_requests_with_an_unknown_code(tmp_path: Path) -> None:
    async def main() -> None:
        file = tmp_path / "issuer.db"
        async with issuer_house(tmp_path, database=f"sqlite:///{file}") as house:
            wallet = await _ready(house)
            form = f"grant_type={PRE_AUTHORIZED}&pre-authorized_code=unknown".encode()
            for _ in range(3):
                _refused(await wallet.redeem_form(form), "invalid_grant")
            with contextlib.closing(sqlite3.connect(file)) as database:
                assert database.execute("SELECT count(*) FROM issuer_seen").fetchone() == (0,)

    asyncio.run(main())


@pytest.mark.parametrize(
    "bent",
    [
        {"method": "GET"},
        {"url": f"{ISSUER}/credential"},
        {"url": "https://other.example/token"},
        {"now": 0},
    ],
)
def test_a_proof_for_another_request_is_refused(tmp_path: Path, bent: dict[str, object]) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            offer = await house.offer()
            wallet = await _ready(house)
            proof = wallet.proof_of_possession("/token", **bent)
            _refused(await wallet.redeem(offer["offer_uri"], proof=proof), "invalid_dpop_proof")
            assert await house.state(offer) == "pending"

    asyncio.run(main())


def test_a_code_is_good_once_and_its_second_use_revokes_the_token(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            offer = await house.offer()
            wallet = house.wallet()
            await wallet.take_token(offer["offer_uri"])
            thief = await _ready(house)
            _refused(await thief.redeem(offer["offer_uri"]), "invalid_grant")
            assert await house.state(offer) == "locked"
            answer = await wallet.ask()
            assert (answer.status, answer.json()["error"]) == (401, "invalid_token")
            _refused(await thief.redeem(offer["offer_uri"]), "invalid_grant")

    asyncio.run(main())


def test_once_a_credential_is_delivered_a_second_use_stops_nobody(tmp_path: Path) -> None:
    """Whoever has seen an offer can present its code; a theft would be over, so none must suffer."""

    async def main() -> None:
        async with issuer_house(tmp_path, credentials_per_identifier=2, batch_size=1) as house:
            offer = await house.offer()
            wallet = house.wallet()
            await wallet.take_token(offer["offer_uri"])
            assert (await wallet.ask()).status == 200
            thief = await _ready(house)
            _refused(await thief.redeem(offer["offer_uri"]), "invalid_grant")
            _refused(await wallet.redeem(offer["offer_uri"]), "invalid_grant")
            assert await house.state(offer) == "issued"
            wallet.holder = Key.generate("ES256")
            assert (await wallet.ask()).status == 200

    asyncio.run(main())


def test_a_wallet_whose_answer_was_lost_asks_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, retry_window=60) as house:
            offer = await house.offer(tx_code=True)
            wallet = house.wallet()
            await wallet.take_token(offer["offer_uri"], tx_code=offer["tx_code"])
            first, first_identifiers = wallet.access_token, wallet.identifiers
            house.clock.now += 60
            await wallet.take_token(offer["offer_uri"], tx_code=offer["tx_code"])
            assert await house.state(offer) == "redeemed"
            assert wallet.access_token != first
            assert not set(first_identifiers) & set(wallet.identifiers)

            second, wallet.access_token = wallet.access_token, first
            answer = await wallet.ask()
            assert (answer.status, answer.json()["error"]) == (401, "invalid_token")
            wallet.access_token = second
            assert (await wallet.ask()).status == 200

    asyncio.run(main())


@pytest.mark.parametrize("why", ["too late", "another key", "no transaction code", "switched off"])
def test_nobody_else_can_ask_again_and_not_for_long(tmp_path: Path, why: str) -> None:
    async def main() -> None:
        window = 0 if why == "switched off" else 60
        async with issuer_house(tmp_path, retry_window=window) as house:
            offer = await house.offer(tx_code=True)
            wallet = house.wallet()
            await wallet.take_token(offer["offer_uri"], tx_code=offer["tx_code"])
            house.clock.now += 61 if why == "too late" else 1
            if why == "another key":
                wallet.dpop_key = Key.generate("ES256")
            tx_code = None if why == "no transaction code" else offer["tx_code"]
            _refused(await wallet.redeem(offer["offer_uri"], tx_code=tx_code), "invalid_grant")
            assert await house.state(offer) == ("redeemed" if why == "no transaction code" else "locked")

    asyncio.run(main())


@pytest.mark.parametrize("guess", [None, "wrong!"])
def test_a_second_use_without_the_transaction_code_revokes_nothing(tmp_path: Path, guess: str | None) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            offer = await house.offer(tx_code=True)
            wallet, thief = await _ready(house), await _ready(house)
            await wallet.take_token(offer["offer_uri"], tx_code=offer["tx_code"])
            _refused(await thief.redeem(offer["offer_uri"], tx_code=guess), "invalid_grant")
            assert await house.state(offer) == "redeemed"
            _refused(await thief.redeem(offer["offer_uri"], tx_code=offer["tx_code"]), "invalid_grant")
            assert await house.state(offer) == "locked"

    asyncio.run(main())


def test_an_expired_code_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, offer_lifetime=60) as house:
            offer = await house.offer()
            house.clock.now += 60
            wallet = await _ready(house)
            _refused(await wallet.redeem(offer["offer_uri"]), "invalid_grant")
            assert await house.state(offer) == "expired"

    asyncio.run(main())


def test_a_transaction_code_that_is_missing_or_unexpected_costs_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, tx_code_attempts=1) as house:
            with_code, without = await house.offer(tx_code=True), await house.offer()
            wallet = await _ready(house)
            _refused(await wallet.redeem(with_code["offer_uri"]), "invalid_request")
            _refused(await wallet.redeem(without["offer_uri"], tx_code="123456"), "invalid_request")
            await wallet.take_token(with_code["offer_uri"], tx_code=with_code["tx_code"])
            await wallet.take_token(without["offer_uri"])

    asyncio.run(main())


def test_wrong_transaction_codes_kill_the_code_after_the_limit(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, tx_code_attempts=3) as house:
            offer = await house.offer(tx_code=True)
            wallet = await _ready(house)
            for state in ("pending", "pending", "locked"):
                _refused(await wallet.redeem(offer["offer_uri"], tx_code="wrong!"), "invalid_grant")
                assert await house.state(offer) == state
            _refused(await wallet.redeem(offer["offer_uri"], tx_code=offer["tx_code"]), "invalid_grant")

    asyncio.run(main())


def test_tries_at_once_have_no_more_attempts_than_tries_in_turn(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path, tx_code_attempts=3) as house:
            offer = await house.offer(tx_code=True)
            wallet = await _ready(house)
            await asyncio.gather(*[wallet.redeem(offer["offer_uri"], tx_code="wrong!") for _ in range(8)])
            assert await house.state(offer) == "locked"
            _refused(await wallet.redeem(offer["offer_uri"], tx_code=offer["tx_code"]), "invalid_grant")

    asyncio.run(main())


def test_of_two_redemptions_at_once_no_two_tokens_live(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            offer = await house.offer()
            wallets = [await _ready(house) for _ in range(4)]
            answers = await asyncio.gather(*[wallet.redeem(offer["offer_uri"]) for wallet in wallets])
            assert [answer.status for answer in answers].count(200) == 1
            assert await house.state(offer) == "locked"

    asyncio.run(main())


def test_details_must_be_among_what_is_offered(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            offer = await house.offer()
            wallet = await _ready(house)
            code = await _code(wallet, offer["offer_uri"])
            for detail in (
                CredentialDetail("another"),
                CredentialDetail("identity", ("https://other.example",)),
            ):
                request = token.TokenRequest(pre_authorized_code=code, authorization_details=(detail,))
                answer = await wallet.redeem_form(token.token_request_form(request))
                _refused(answer, "invalid_authorization_details")
            assert await house.state(offer) == "pending"

    asyncio.run(main())


def test_a_request_with_details_gets_identifiers_that_nobody_can_guess(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _ready(house)
            seen = set()
            for _ in range(3):
                answer = await wallet.redeem((await house.offer())["offer_uri"])
                members = answer.json()
                (detail,) = members["authorization_details"]
                seen.add(detail["credential_identifiers"][0])
                assert detail["type"] == "openid_credential"
                assert detail["credential_configuration_id"] == "identity"
                assert members["token_type"] == "DPoP"
                assert members["expires_in"] <= 300
                assert "refresh_token" not in members  # unless the settings say so
                assert answer.headers["cache-control"] == "no-store"
            assert len(seen) == 3
            assert all(len(identifier) >= 22 for identifier in seen)  # 128 bits in base64url

    asyncio.run(main())


def test_a_request_without_details_gets_none(tmp_path: Path) -> None:
    """OpenID4VCI 1.0 §6.2: with identifiers in the answer, a wallet that knows none could not go on."""

    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = await _ready(house)
            code = await _code(wallet, (await house.offer())["offer_uri"])
            form = token.token_request_form(token.TokenRequest(pre_authorized_code=code))
            assert (await wallet.redeem_form(form)).json().keys() == {
                "access_token",
                "token_type",
                "expires_in",
            }

    asyncio.run(main())


def test_a_token_is_bound_to_the_key_of_its_proof(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = house.wallet()
            await wallet.take_token((await house.offer())["offer_uri"])
            own, wallet.dpop_key = wallet.dpop_key, Key.generate("ES256")
            answer = await wallet.ask()
            assert (answer.status, answer.json()["error"]) == (401, "invalid_token")
            wallet.dpop_key = own
            assert (await wallet.ask()).status == 200

    asyncio.run(main())
