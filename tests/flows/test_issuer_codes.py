"""By which code a refusal is counted and logged: the ledger, the metrics and the sources name it alike.

Wallets see OAuth's names alone, which stand for several faults each; operators need to tell them apart.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.flows.code_flow import CALLBACK, NATIVE, SUBJECT, browser, code_wallet, login_house
from tests.flows.small_wallet import ADMIN, ADMIN_TOKEN, CLAIMS, ISSUER, House, issuer_house
from tests.flows.test_issuer_attestation import WALLET, attest
from tests.flows.test_issuer_attestation import play as play_attested

from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.protocols.oauth import dpop
from safeconduct.services.issuer import authenticator, authorization_store

Story = Callable[[House], Awaitable[object]]


def counted(house: House) -> set[str]:
    """The codes of all answers so far."""
    return {
        sample.labels["code"]
        for family in house.telemetry.metrics.registry.collect()
        for sample in family.samples
        if sample.labels.get("code")
    }


@contextlib.asynccontextmanager
async def told(house: House, code: str) -> AsyncIterator[None]:
    """What happens inside is counted under `code`, and was not before."""
    assert code not in counted(house)
    yield
    assert code in counted(house)


def play(folder: Path, story: Story, **settings: Any) -> None:
    async def main() -> None:
        async with login_house(folder, **settings) as house:
            await story(house)

    asyncio.run(main())


def play_offered(folder: Path, story: Story, **settings: Any) -> None:
    async def main() -> None:
        async with issuer_house(folder, access_token_lifetime=86400, **settings) as house:
            await story(house)

    asyncio.run(main())


# Pages.


def test_a_page_that_refuses_a_request_has_its_code(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            async with told(house, "request_not_pushed"):
                await person.open(f"{ISSUER}/authorize?{wallet.parameters().decode()}")
            async with told(house, "request_uri_unknown"):
                await person.open(wallet.url(request_uri="urn:ietf:params:oauth:request_uri:x"))
            async with told(house, "request_uri_client"):
                await person.open(wallet.url(client_id="other-wallet"))
            async with told(house, "client_id_missing"):
                await person.open(wallet.url(client_id=None))

    play(tmp_path, story)


def test_a_form_of_another_browser_or_site_has_its_code(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as first, browser(house) as second:
            await first.open(wallet.url())
            async with told(house, "csrf_mismatch"):
                await first.submit(account="erika", password="x", csrf="x")
            await first.open(wallet.url())
            async with told(house, "login_missing"):
                reference = str(wallet.pushed and wallet.pushed.request_uri).rpartition(":")[2]
                await first.open(f"{ISSUER}/authorize/consent?reference={reference}")
            await first.open(wallet.url())
            await second.open(wallet.url())
            async with told(house, "browser_unknown"):
                await first.submit(account="erika", password="x")

    play(tmp_path, story)


def test_a_failed_login_has_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[str] = []
    login = authenticator.BuiltInAuthenticator.login

    async def noted(self: Any, form: Mapping[str, str], *, now: int) -> Any:
        try:
            return await login(self, form, now=now)
        except authenticator.LoginRefused as error:
            codes.append(error.code)
            raise

    monkeypatch.setattr(authenticator.BuiltInAuthenticator, "login", noted)
    monkeypatch.setattr(authenticator, "ACCOUNT_ATTEMPTS", 1)

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            await person.open(wallet.url())
            await person.submit(account="erika", password="wrong")
            await person.submit(account="erika", password="wrong")
            await person.submit(link="wrong")
        assert codes == ["login_wrong", "login_limited", "link_unknown"]

    play(tmp_path, story)


def test_an_offer_for_somebody_else_has_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[str] = []
    consent = authorization_store.consent

    def noted(*place: Any, **arguments: Any) -> Any:
        outcome = consent(*place, **arguments)
        if isinstance(outcome, tuple):
            codes.append(outcome[1].code)
        return outcome

    monkeypatch.setattr(authorization_store, "consent", noted)

    async def story(house: House) -> None:
        offer = await house.offer(claims={"given_name": "E"}, grants=["authorization_code"], subject=SUBJECT)
        wallet = code_wallet(house)
        grant = (await wallet.read_offer(offer["offer_uri"])).authorization_code
        assert grant is not None
        await wallet.push(issuer_state=grant.issuer_state)
        async with browser(house) as person:
            await person.open(wallet.url())
            await person.sign_in("max")
            await person.decide()
        assert codes == ["offer_of_another"]

    play(tmp_path, story)


# Pushed requests and tokens.


def test_a_refused_push_has_its_code(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.nonces()
        async with told(house, "issuer_state_unknown"):
            await wallet.push(issuer_state="made up")
        async with told(house, "client_id_malformed"):
            await wallet.push(client_id="wal\0let")
        async with told(house, "dpop_jkt_mismatch"):
            other = dpop.thumbprint(Key.generate("ES256").public)
            await wallet.push(proof=wallet.proof_of_possession("/par"), dpop_jkt=other)

    play(tmp_path, story)


def test_an_attestation_that_is_missing_or_replayed_has_its_code(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house, client_id=WALLET)
        async with told(house, "client_attestation_missing"):
            await wallet.push()
        attest(wallet)
        await wallet.push()
        async with told(house, "client_attestation_replayed"):
            await wallet.push()

    play_attested(tmp_path, story)


def test_a_refused_code_has_its_code(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        code = await wallet.authorized(house, dpop_jkt=dpop.thumbprint(wallet.dpop_key.public))
        async with told(house, "code_client"):
            await wallet.redeem_code(code, client_id="other-wallet", redirect_uri=CALLBACK)
        async with told(house, "redirect_uri_mismatch"):
            await wallet.redeem_code(code, redirect_uri=NATIVE)
        own, wallet.dpop_key = wallet.dpop_key, Key.generate("ES256")
        async with told(house, "code_key"):
            await wallet.redeem_code(code)
        wallet.dpop_key = own
        answer = (await wallet.redeem_code(code)).json()
        async with told(house, "refresh_client"):
            await wallet.refresh(answer["refresh_token"], client_id="other-wallet")
        wallet.dpop_key = Key.generate("ES256")
        async with told(house, "refresh_key"):
            await wallet.refresh(answer["refresh_token"])

    play(tmp_path, story, refresh_token_lifetime=3600)


def test_a_wrong_transaction_code_has_its_code(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = house.wallet()
        await wallet.nonces()
        offer = await house.offer(tx_code=True)
        async with told(house, "tx_code_wrong"):
            await wallet.redeem(offer["offer_uri"], tx_code="wrong")

    play_offered(tmp_path, story)


# Credentials.


def test_a_refused_credential_request_has_its_code(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = await house.holder(await house.offer(configuration_id="diploma", claims={"given_name": "E"}))
        async with told(house, "token_invalid"):
            await wallet.send(b"x", authorization="DPoP unknown")
        async with told(house, "identifier_unknown"):
            await wallet.ask(credential_identifier="unknown")
        async with told(house, "identifier_missing"):
            await wallet.ask(credential_identifier=None, credential_configuration_id="diploma")
        async with told(house, "configuration_unknown"):
            await wallet.ask(credential_identifier=None, credential_configuration_id="unknown")
        async with told(house, "configuration_not_granted"):
            await wallet.ask(credential_identifier=None, credential_configuration_id="identity")
        await wallet.ask()
        async with told(house, "identifier_used_up"):
            await wallet.ask(holders=[Key.generate("ES256")])
        async with told(house, "notification_unknown"):
            await wallet.notify("unknown", "credential_accepted")
        async with told(house, "media_type_unsupported"):
            await wallet.send(b"{}", path="/notification", content_type="text/plain")

    play(tmp_path, story, credentials_per_identifier=1)


def test_a_refused_poll_has_its_code(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = await house.holder(await house.offer(deferred=True))
        promise = wallet.promised(await wallet.ask())
        async with told(house, "transaction_unknown"):
            await wallet.poll("unknown")
        (waiting,) = (await house.manage("GET", "/deferred")).json()["deferred"]
        await house.manage("POST", f"/deferred/{waiting['transaction_id']}/deny")
        async with told(house, "transaction_denied"):
            await wallet.poll(promise.transaction_id)

    play_offered(tmp_path, story)


def test_claims_of_a_source_that_are_not_those_of_the_configuration_have_their_code(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,first\n1,Ada\n")
    kinds = tmp_path / "kinds.toml"
    kinds.write_text(
        '[[configurations]]\nid = "identity"\nvct = "v"\n[configurations.claims]\n'
        "given_name = { mandatory = true }\nfamily_name = {}\n[configurations.source]\n"
        f'kind = "csv"\npath = "{tmp_path / "people.csv"}"\nkey = "id"\n'
        'claims = { family_name = "first" }\n'
    )

    async def story(house: House) -> None:
        wallet = await house.holder(await house.offer(claims=None, subject="1"))
        async with told(house, "claims_unusable"):
            await wallet.ask()

    play_offered(tmp_path, story, configurations=kinds)


# Management.


def test_a_key_of_another_form_for_repeated_requests_has_its_code(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
        async with told(house, "idempotency_key_malformed"):
            await house.fetcher.request(
                "POST",
                f"{ADMIN}/offers",
                headers={**headers, "Idempotency-Key": "short"},
                content=json.dumps({"configuration_id": "identity", "claims": dict(CLAIMS)}),
            )

    play_offered(tmp_path, story)
