"""The authorization code flow over HTTP: push, log in, decide, redeem (RFC 9126, FAPI 2.0, OpenID4VCI §5).

Where the OpenID Foundation's test suite has a module for a rule, the test names it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.flows.code_flow import (
    ACCOUNTS,
    CALLBACK,
    NATIVE,
    SUBJECT,
    CodeWallet,
    browser,
    code_wallet,
    login_house,
    parameters_of,
)
from tests.flows.small_wallet import ISSUER, NOW, House

from safeconduct import limits, sd_cwt
from safeconduct.crypto.keys import Key
from safeconduct.net.fetch import Response
from safeconduct.protocols.oauth import dpop
from safeconduct.protocols.oauth.authorization_details import CredentialDetail, requested_json

FAPI = "fapi2-security-profile-final-"
DIPLOMA = requested_json((CredentialDetail("diploma"),))
BOTH = requested_json((CredentialDetail("identity"), CredentialDetail("diploma")))


def play(folder: Path, story: Callable[[House], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with login_house(folder, **settings) as house:
            await story(house)

    asyncio.run(main())


def refused(answer: Response, error: str, *, status: int = 400) -> None:
    members = answer.json()
    assert (answer.status, members["error"]) == (status, error), answer.body
    assert members.keys() <= {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"


async def shown_error(wallet: CodeWallet, house: House, **bent: str | None) -> str:
    """Opens the authorization endpoint, which answers with a page that says what is wrong."""
    async with browser(house) as person:
        page = await person.open(wallet.url(**bent))
        assert page.status_code in (400, 401), page.text
        assert page.headers["content-type"].startswith("text/html")
        return page.text


def test_the_whole_flow_ends_with_a_credential(tmp_path: Path) -> None:
    """fapi2-security-profile-final-happy-flow, oid4vci-1_0-issuer-happy-flow"""

    async def story(house: House) -> None:
        async with browser(house) as person:
            wallet = code_wallet(house)
            pushed = await wallet.push()
            assert pushed.status == 201, pushed.body
            assert pushed.headers["cache-control"] == "no-store"
            assert pushed.json().keys() == {"request_uri", "expires_in"}

            page = await person.open(wallet.url())
            assert page.status_code == 200
            assert "Example Wallet" in page.text
            page = await person.sign_in()
            assert "Identity" in page.text
            assert SUBJECT in page.text
            target = await person.decide()
            assert target.startswith(f"{CALLBACK}?")
            answer = parameters_of(target)
            assert answer.keys() == {"code", "state", "iss"}
            assert (answer["state"], answer["iss"]) == ("the state", ISSUER)

            wallet.keep(await wallet.redeem_code(answer["code"]))
            assert wallet.identifiers
            assert (await wallet.ask()).status == 200

    play(tmp_path, story)


def test_two_clients_use_the_flow_at_once(tmp_path: Path) -> None:
    """oid4vci-1_0-issuer-happy-flow-multiple-clients"""

    async def story(house: House) -> None:
        wallets = [code_wallet(house), code_wallet(house, client_id="other-wallet")]
        codes = [await wallet.authorized(house) for wallet in wallets]
        for wallet, code in zip(wallets, codes, strict=True):
            wallet.keep(await wallet.redeem_code(code))
            assert (await wallet.ask()).status == 200

    play(tmp_path, story)


def test_the_metadata_say_what_there_is(tmp_path: Path) -> None:
    """fapi2-security-profile-final-discovery-end-point-verification"""

    async def story(house: House) -> None:
        answer = await house.fetcher.request("GET", f"{ISSUER}/.well-known/oauth-authorization-server")
        members = answer.json()
        assert members["issuer"] == ISSUER
        assert members["authorization_endpoint"] == f"{ISSUER}/authorize"
        assert members["pushed_authorization_request_endpoint"] == f"{ISSUER}/par"
        assert members["token_endpoint"] == f"{ISSUER}/token"
        assert members["require_pushed_authorization_requests"] is True
        assert members["authorization_response_iss_parameter_supported"] is True
        assert members["response_types_supported"] == ["code"]
        assert members["code_challenge_methods_supported"] == ["S256"]
        assert members["scopes_supported"] == ["diploma", "identity"]
        assert set(members["grant_types_supported"]) == {
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:pre-authorized_code",
        }
        assert members["token_endpoint_auth_methods_supported"] == ["none"]
        assert "ES256" in members["dpop_signing_alg_values_supported"]
        assert members["pre-authorized_grant_anonymous_access_supported"] is True
        assert members["authorization_details_types_supported"] == ["openid_credential"]
        assert "client_attestation_signing_alg_values_supported" not in members

    play(tmp_path, story)


# The endpoint for pushed requests.


@pytest.mark.parametrize(
    ("bent", "error", "status"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request", 400),
        ({"code_challenge_method": "plain"}, "invalid_request", 400),
        ({"code_challenge_method": None}, "invalid_request", 400),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request", 400),
        ({"request": "a.b.c"}, "invalid_request", 400),
        ({"redirect_uri": None}, "invalid_request", 400),
        ({"redirect_uri": f"{CALLBACK}/"}, "invalid_request", 400),
        ({"redirect_uri": "https://evil.example/callback"}, "invalid_request", 400),
        ({"redirect_uri": "javascript:alert(1)"}, "invalid_request", 400),
        ({"redirect_uri": "http://127.0.0.1:5000/other"}, "invalid_request", 400),
        ({"response_type": "token"}, "unsupported_response_type", 400),
        ({"response_type": "code id_token"}, "unsupported_response_type", 400),
        ({"response_type": None}, "invalid_request", 400),
        ({"client_id": "unknown"}, "invalid_client", 401),
        ({"client_id": None}, "invalid_client", 401),
        ({"client_id": "wal\0let"}, "invalid_request", 400),
        ({"issuer_state": "made up"}, "invalid_request", 400),
        ({"authorization_details": None}, "invalid_scope", 400),
        ({"scope": "unknown", "authorization_details": None}, "invalid_scope", 400),
        ({"authorization_details": "[]"}, "invalid_authorization_details", 400),
        (
            {"authorization_details": requested_json((CredentialDetail("other"),))},
            "invalid_authorization_details",
            400,
        ),
        (
            {
                "authorization_details": requested_json(
                    (CredentialDetail("identity", ("https://o.example",)),)
                )
            },
            "invalid_authorization_details",
            400,
        ),
        ({"state": "s" * (limits.STATE_CHARS + 1)}, "invalid_request", 400),
    ],
)
def test_an_unacceptable_push_has_its_error(
    tmp_path: Path, bent: dict[str, str | None], error: str, status: int
) -> None:
    """fapi2-security-profile-final- par-ensure-pkce-required, par-plain-pkce-rejected,
    par-authorization-request-containing-request_uri(-form-param),
    ensure-redirect-uri-in-authorization-request,
    ensure-response-type-token-fails, ensure-response-type-code-idtoken-fails"""

    async def story(house: House) -> None:
        refused(await code_wallet(house).push(**bent), error, status=status)

    play(tmp_path, story)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_requests_are_pushed_by_post_only(tmp_path: Path, method: str) -> None:
    """fapi2-security-profile-final-par-attempt-invalid-http-method"""

    async def story(house: House) -> None:
        answer = await house.fetcher.request(method, f"{ISSUER}/par")
        assert answer.status == 405

    play(tmp_path, story)


def test_a_push_challenges_for_a_nonce_and_takes_a_proof_once(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        answer = await wallet.push(proof=wallet.proof_of_possession("/par"))
        refused(answer, "use_dpop_nonce")
        assert answer.headers["dpop-nonce"] == wallet.dpop_nonce
        proof = wallet.proof_of_possession("/par")
        answer = await wallet.push(proof=proof)
        assert answer.status == 201
        assert "dpop-nonce" in answer.headers
        refused(await wallet.push(proof=proof), "invalid_dpop_proof")
        refused(await wallet.push(proof=wallet.proof_of_possession("/token")), "invalid_dpop_proof")

    play(tmp_path, story)


def test_strangers_cannot_fill_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STRANGERS_ROWS", 3)

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        for _ in range(3):
            assert (await wallet.push()).status == 201
        answer = await wallet.push()
        refused(answer, "temporarily_unavailable", status=503)
        assert "retry-after" in answer.headers
        house.clock.now += 61
        refused(await wallet.push(), "temporarily_unavailable", status=503)  # they are still there

    play(tmp_path, story)


# The authorization endpoint.


def test_a_reference_may_be_opened_again_until_the_person_has_decided(tmp_path: Path) -> None:
    """fapi2-security-profile-final-par-ensure-reused-request-uri-prior-to-auth-completion-succeeds"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as first, browser(house) as second:
            await first.open(wallet.url())
            await first.open(wallet.url())
            await first.sign_in()
            await second.open(wallet.url())  # another browser takes it over, and must log in itself
            assert "password" in second.page.text  # type: ignore[union-attr]
            assert (await first.submit(decision="allow")).status_code == 400
            await second.sign_in()
            assert "code" in parameters_of(await second.decide())

    play(tmp_path, story)


def test_reloading_the_page_keeps_the_login(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            await person.open(wallet.url())
            await person.sign_in()
            page = await person.open(wallet.url())
            assert "Do not allow" in page.text
            assert "code" in parameters_of(await person.decide())

    play(tmp_path, story)


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_a_reference_is_used_up_by_the_decision(tmp_path: Path, decision: str) -> None:
    """fapi2-security-profile-final-par-attempt-reuse-request_uri"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            await person.open(wallet.url())
            await person.sign_in()
            consent = person.page
            await person.decide(decision)
            person.page = consent
            assert (await person.submit(decision="allow")).status_code == 400
        assert "has been used already" in await shown_error(wallet, house)

    play(tmp_path, story)


def test_an_expired_reference_is_refused(tmp_path: Path) -> None:
    """fapi2-security-profile-final-par-attempt-to-use-expired-request_uri"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        pushed = await wallet.push()
        house.clock.now += pushed.json()["expires_in"]
        for _ in range(2):
            assert "unknown or expired" in await shown_error(wallet, house)

    play(tmp_path, story)


def test_a_login_that_takes_too_long_is_over(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            await person.open(wallet.url())
            house.clock.now += 599  # longer than the reference, as long as a login may take
            await person.sign_in()
            house.clock.now += 1
            answer = await person.submit(decision="allow")
            assert answer.status_code == 400
            assert "unknown or expired" in answer.text

    play(tmp_path, story, login_lifetime=600)


def test_a_reference_is_its_clients_only(tmp_path: Path) -> None:
    """fapi2-security-profile-final-par-attempt-to-use-request_uri-for-different-client"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        assert "another client" in await shown_error(wallet, house, client_id="other-wallet")
        await shown_error(wallet, house, client_id=None)
        async with browser(house) as person:  # and nothing was spent by that
            assert (await person.open(wallet.url())).status_code == 200

    play(tmp_path, story)


def test_a_request_that_was_not_pushed_is_refused(tmp_path: Path) -> None:
    """fapi2-security-profile-final-ensure-unsigned-authorization-request-without-using-par-fails"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        async with browser(house) as person:
            page = await person.open(f"{ISSUER}/authorize?{wallet.parameters().decode()}")
            assert page.status_code == 400
            assert "must be pushed" in page.text

    play(tmp_path, story)


def test_a_request_need_not_be_pushed_if_the_settings_say_so(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        async with browser(house) as person:
            bad = wallet.parameters(redirect_uri="https://evil.example/cb").decode()
            assert (await person.open(f"{ISSUER}/authorize?{bad}")).status_code == 400
            await person.open(f"{ISSUER}/authorize?{wallet.parameters().decode()}")
            await person.sign_in()
            code = parameters_of(await person.decide())["code"]
            wallet.keep(await wallet.redeem_code(code))

    play(tmp_path, story, require_pushed_requests=False)


def test_what_stands_beside_the_reference_is_ignored(tmp_path: Path) -> None:
    """fapi2-security-profile-final-par-without-duplicate-parameters"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            await person.open(wallet.url(state="other", redirect_uri="https://evil.example"))
            await person.sign_in()
            target = await person.decide()
            assert target.startswith(CALLBACK)
            assert parameters_of(target)["state"] == "the state"

    play(tmp_path, story)


@pytest.mark.parametrize("state", [None, "s" * 1000, "s" * limits.STATE_CHARS, 'é"<&\r\n'])
def test_a_state_is_echoed_as_it_is_and_may_be_missing(tmp_path: Path, state: str | None) -> None:
    """fapi2-security-profile-final-ensure-authorization-request-with-long-state,
    -ensure-authorization-request-without-state-success"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push(state=state)
        async with browser(house) as person:
            await person.open(wallet.url())
            await person.sign_in()
            assert parameters_of(await person.decide()).get("state") == state

    play(tmp_path, story)


def test_a_person_who_refuses_sends_the_wallet_away(tmp_path: Path) -> None:
    """fapi2-security-profile-final-user-rejects-authentication"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            await person.open(wallet.url())
            await person.sign_in()
            answer = parameters_of(await person.decide("deny"))
            assert answer == {"error": "access_denied", "state": "the state", "iss": ISSUER}

    play(tmp_path, story)


@pytest.mark.parametrize("redirect_uri", ["http://127.0.0.1:49152/callback", "com.example.wallet:/callback"])
def test_applications_get_their_code_too(tmp_path: Path, redirect_uri: str) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house, redirect_uri=redirect_uri)
        await wallet.push()
        async with browser(house) as person:
            page = await person.open(wallet.url())
            source = redirect_uri.removesuffix("/callback")
            assert f"form-action 'self' {source};" in page.headers["content-security-policy"]
            await person.sign_in()
            target = await person.decide()
            assert target.startswith(f"{redirect_uri}?code=")
            wallet.keep(await wallet.redeem_code(parameters_of(target)["code"]))

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("setting", "redirect_uri", "status"),
    [
        ("refused", "http://127.0.0.1:49152/cb", 401),
        ("loopback", "http://127.0.0.1:49152/cb", 201),
        ("loopback", "https://anywhere.example/cb", 400),
        ("loopback", "com.example.any:/cb", 400),
        ("any", "https://anywhere.example/cb", 201),
        ("any", "javascript:alert(1)", 400),
    ],
)
def test_clients_that_are_not_registered_follow_the_setting(
    tmp_path: Path, setting: str, redirect_uri: str, status: int
) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house, client_id="anybody", redirect_uri=redirect_uri)
        assert (await wallet.push()).status == status
        if status == 201:
            async with browser(house) as person:
                await person.open(wallet.url())
                page = await person.sign_in()
                assert "This application is not known here" in page.text

    play(tmp_path, story, unregistered_clients=setting)


# The token endpoint.


@pytest.mark.parametrize(
    ("bent", "error", "status"),
    [
        ({"code_verifier": None}, "invalid_grant", 400),
        ({"code_verifier": "x" * 43}, "invalid_grant", 400),
        ({"code": "unknown"}, "invalid_grant", 400),
        ({"code": None}, "invalid_request", 400),
        ({"redirect_uri": None}, "invalid_grant", 400),
        ({"redirect_uri": NATIVE}, "invalid_grant", 400),
        ({"client_id": None}, "invalid_client", 401),
        ({"client_id": "unknown"}, "invalid_client", 401),
        ({"client_id": "other-wallet"}, "invalid_grant", 400),
        ({"authorization_details": DIPLOMA}, "invalid_authorization_details", 400),
        (
            {"grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code", "code": None},
            "invalid_request",
            400,
        ),
    ],
)
def test_a_bad_redemption_is_refused_and_spends_nothing(
    tmp_path: Path, bent: dict[str, str | None], error: str, status: int
) -> None:
    """fapi2-security-profile-final- ensure-pkce-code-verifier-required,
    incorrect-pkce-code-verifier-rejected, ensure-authorization-code-is-bound-to-client,
    ensure-client-id-in-token-endpoint"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        code = await wallet.authorized(house)
        refused(await wallet.redeem_code(code, **bent), error, status=status)
        wallet.keep(await wallet.redeem_code(code))

    play(tmp_path, story)


def test_a_code_is_no_pre_authorized_code_and_the_other_way_round(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        code = await wallet.authorized(house)
        grant = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
        members = {"grant_type": grant, "pre-authorized_code": code, "code": None}
        refused(await wallet.redeem_code(code, **members), "invalid_grant")
        wallet.keep(await wallet.redeem_code(code))
        refused(await wallet.redeem_code(code, **members), "invalid_grant")
        assert (await wallet.ask()).status == 200  # it revokes nothing either

        offer = await wallet.read_offer((await house.offer(claims={"given_name": "E"}))["offer_uri"])
        assert offer.pre_authorized is not None
        refused(await wallet.redeem_code(offer.pre_authorized.code), "invalid_grant")

    play(tmp_path, story)


def test_a_token_request_without_a_proof_is_refused(tmp_path: Path) -> None:
    """fapi2-security-profile-final-ensure-holder-of-key-required"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        code = await wallet.authorized(house)
        refused(await wallet.redeem_code(code, proof="rubbish"), "invalid_dpop_proof")
        wallet.keep(await wallet.redeem_code(code))

    play(tmp_path, story)


@pytest.mark.parametrize(
    "bent", [{"method": "GET"}, {"url": f"{ISSUER}/par"}, {"url": "https://other.example/token"}, {"now": 0}]
)
def test_a_proof_for_something_else_is_refused(tmp_path: Path, bent: dict[str, Any]) -> None:
    """fapi2-security-profile-final-dpop-negative-tests"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        code = await wallet.authorized(house)
        await wallet.nonces()
        proof = wallet.proof_of_possession("/token", **bent)
        refused(await wallet.redeem_code(code, proof=proof), "invalid_dpop_proof")
        wallet.keep(await wallet.redeem_code(code))

    play(tmp_path, story)


@pytest.mark.parametrize("skew", [-10, 10])
def test_a_proof_of_ten_seconds_ago_or_ahead_is_good(tmp_path: Path, skew: int) -> None:
    """fapi2-security-profile-final-ensure-dpopproof-with-iat-10seconds-{before,after}-succeeds"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.nonces()
        now = house.clock() + skew
        assert (await wallet.push(proof=wallet.proof_of_possession("/par", now=now))).status == 201
        async with browser(house) as person:
            await person.open(wallet.url())
            await person.sign_in()
            code = parameters_of(await person.decide())["code"]
        wallet.keep(await wallet.redeem_code(code, proof=wallet.proof_of_possession("/token", now=now)))

    play(tmp_path, story)


def test_a_nonce_challenge_does_not_spend_the_code(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        code = await wallet.authorized(house)
        wallet.dpop_nonce = "made up"
        refused(await wallet.redeem_code(code), "use_dpop_nonce")
        wallet.keep(await wallet.redeem_code(code))

    play(tmp_path, story)


@pytest.mark.parametrize("how", ["proof", "dpop_jkt", "both"])
def test_a_code_is_bound_to_the_key_that_the_push_named(tmp_path: Path, how: str) -> None:
    """fapi2-security-profile-final- ensure-dpop-auth-code-binding-success,
    ensure-dpopproof-at-par-endpoint-binding-success,
    ensure-token-endpoint-fails-with-mismatched-dpop-{jkt,proof-jkt}"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.nonces()
        jkt = None if how == "proof" else dpop.thumbprint(wallet.dpop_key.public)
        proof = None if how == "dpop_jkt" else wallet.proof_of_possession("/par")
        assert (await wallet.push(proof=proof, dpop_jkt=jkt)).status == 201
        async with browser(house) as person:
            await person.open(wallet.url())
            await person.sign_in()
            code = parameters_of(await person.decide())["code"]
        own, wallet.dpop_key = wallet.dpop_key, Key.generate("ES256")
        refused(await wallet.redeem_code(code), "invalid_grant")
        wallet.dpop_key = own
        wallet.keep(await wallet.redeem_code(code))

    play(tmp_path, story)


def test_a_push_that_names_two_keys_is_refused(tmp_path: Path) -> None:
    """fapi2-security-profile-final-ensure-mismatched-dpop-jkt-fails"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.nonces()
        jkt = dpop.thumbprint(Key.generate("ES256").public)
        answer = await wallet.push(proof=wallet.proof_of_possession("/par"), dpop_jkt=jkt)
        refused(answer, "invalid_request")

    play(tmp_path, story)


def test_a_code_presented_twice_revokes_the_token(tmp_path: Path) -> None:
    """fapi2-security-profile-final-attempt-reuse-authorization-code-after-one-second"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        code = await wallet.authorized(house)
        wallet.keep(await wallet.redeem_code(code))
        house.clock.now += 1
        refused(await wallet.redeem_code(code), "invalid_grant")
        answer = await wallet.ask()
        assert (answer.status, answer.json()["error"]) == (401, "invalid_token")

    play(tmp_path, story)


@pytest.mark.parametrize("bent", [{"code_verifier": "x" * 43}, {"client_id": "other-wallet"}])
def test_a_thief_who_has_the_code_alone_revokes_nothing(tmp_path: Path, bent: dict[str, str]) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        code = await wallet.authorized(house)
        wallet.keep(await wallet.redeem_code(code))
        thief = code_wallet(house)
        refused(await thief.redeem_code(code, **bent), "invalid_grant")
        assert (await wallet.ask()).status == 200

    play(tmp_path, story)


def test_a_code_expires(tmp_path: Path) -> None:
    """fapi2-security-profile-final-ensure-token-endpoint-fails-with-expired-auth-code"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        code = await wallet.authorized(house)
        house.clock.now += 60
        refused(await wallet.redeem_code(code), "invalid_grant")

    play(tmp_path, story)


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP"])
def test_the_tokens_scheme_is_written_as_one_likes(tmp_path: Path, scheme: str) -> None:
    """fapi2-security-profile-final-access-token-type-header-case-sensitivity"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        wallet.keep(await wallet.redeem_code(await wallet.authorized(house)))
        answer = await wallet.send(await wallet.sealed(), authorization=f"{scheme} {wallet.access_token}")
        assert answer.status == 200

    play(tmp_path, story)


# What is granted.


def test_a_scope_grants_what_bears_it_and_unknown_ones_are_ignored(tmp_path: Path) -> None:
    """oid4vci-1_0-wallet-happy-path-with-scopes-without-authorization-details-in-token-response"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        code = await wallet.authorized(house, scope="openid diploma unknown", authorization_details=None)
        answer = await wallet.redeem_code(code)
        wallet.keep(answer)
        assert answer.json()["scope"] == "diploma"
        assert "authorization_details" not in answer.json()
        asked = await wallet.ask(credential_identifier=None, credential_configuration_id="diploma")
        assert asked.status == 200
        refused_ = await wallet.ask(credential_identifier=None, credential_configuration_id="identity")
        assert (refused_.status, refused_.json()["error"]) == (403, "insufficient_scope")

    play(tmp_path, story)


def test_details_win_over_a_scope_for_the_same_configuration(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        details = requested_json((CredentialDetail("identity"),))
        code = await wallet.authorized(house, scope="identity diploma", authorization_details=details)
        members = (await wallet.redeem_code(code)).json()
        (granted,) = members["authorization_details"]
        assert granted["credential_configuration_id"] == "identity"
        assert members["scope"] == "identity diploma"

    play(tmp_path, story)


def test_a_redemption_may_take_less_than_was_granted(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        code = await wallet.authorized(house, authorization_details=BOTH)
        answer = await wallet.redeem_code(code, authorization_details=DIPLOMA)
        (granted,) = answer.json()["authorization_details"]
        assert granted["credential_configuration_id"] == "diploma"

    play(tmp_path, story)


# Offers that ask for a login.


async def _issuer_state(house: House, **members: Any) -> tuple[str, dict[str, Any]]:
    offer = await house.offer(claims={"given_name": "Offered"}, grants=["authorization_code"], **members)
    parsed = await code_wallet(house).read_offer(offer["offer_uri"])
    assert parsed.authorization_code is not None
    assert parsed.authorization_code.issuer_state is not None
    return parsed.authorization_code.issuer_state, offer


def test_the_first_who_consents_takes_the_offer(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        state, offer = await _issuer_state(house)
        wallet, other = code_wallet(house), code_wallet(house)
        await other.push(issuer_state=state)
        code = await wallet.authorized(house, issuer_state=state)
        assert await house.state(offer) == "authorized"
        async with browser(house) as person:
            await person.open(other.url())
            await person.sign_in("max")
            assert parameters_of(await person.decide())["error"] == "access_denied"
        refused(await other.push(issuer_state=state), "invalid_request")
        wallet.keep(await wallet.redeem_code(code))
        assert await house.state(offer) == "redeemed"
        assert (await wallet.ask()).status == 200

    play(tmp_path, story)


def test_an_offer_for_somebody_is_for_nobody_else(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        state, offer = await _issuer_state(house, subject=SUBJECT)
        wallet = code_wallet(house)
        await wallet.push(issuer_state=state)
        async with browser(house) as person:
            await person.open(wallet.url())
            await person.sign_in("max")
            assert parameters_of(await person.decide())["error"] == "access_denied"
        assert await house.state(offer) == "pending"
        wallet.keep(await wallet.redeem_code(await wallet.authorized(house, issuer_state=state)))

    play(tmp_path, story)


async def _given_name(house: House, wallet: CodeWallet) -> Any:
    (issued,) = wallet.open(await wallet.ask())
    held = sd_cwt.check_issued(issued, holder=wallet.holder.public, trust=await house.trust(), now=NOW)
    return held.claims["given_name"]


def test_an_offer_without_claims_takes_those_of_the_account(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        offer = await house.offer(claims=None, grants=["authorization_code"])
        grant = (await code_wallet(house).read_offer(offer["offer_uri"])).authorization_code
        assert grant is not None
        wallet = code_wallet(house)
        code = await wallet.authorized(house, issuer_state=grant.issuer_state)
        wallet.keep(await wallet.redeem_code(code))
        assert await _given_name(house, wallet) == "Erika"

    play(tmp_path, story)


def test_an_account_without_a_claim_that_the_credential_must_have_gets_none(tmp_path: Path) -> None:
    accounts = tmp_path / "poor.toml"
    accounts.write_text(ACCOUNTS.replace("given_name =", "nickname ="))

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        wallet.keep(await wallet.redeem_code(await wallet.authorized(house)))
        answer = await wallet.ask()
        assert (answer.status, answer.json()["error"]) == (400, "credential_request_denied")

    play(tmp_path, story, accounts=accounts)


def test_the_claims_of_an_offer_come_before_those_of_the_account(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        state, _ = await _issuer_state(house)
        wallet = code_wallet(house)
        wallet.keep(await wallet.redeem_code(await wallet.authorized(house, issuer_state=state)))
        assert await _given_name(house, wallet) == "Offered"

    play(tmp_path, story)


def test_an_offer_that_needs_no_login_brings_its_claims(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        for grants in (["pre-authorized"], ["pre-authorized", "authorization_code"]):
            answer = await house.manage("POST", "/offers", {"configuration_id": "identity", "grants": grants})
            assert (answer.status, answer.json()["code"]) == (400, "claims_wanted")

    play(tmp_path, story)


def test_an_offer_is_for_what_it_says_only(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        state, _ = await _issuer_state(house)
        wallet = code_wallet(house)
        answer = await wallet.push(issuer_state=state, authorization_details=DIPLOMA)
        refused(answer, "invalid_authorization_details")
        answer = await wallet.push(issuer_state=state, scope="diploma", authorization_details=None)
        refused(answer, "invalid_scope")

    play(tmp_path, story)


# Refresh tokens.


async def _refreshable(house: House, **bent: str | None) -> tuple[CodeWallet, dict[str, Any]]:
    wallet = code_wallet(house)
    answer = await wallet.redeem_code(await wallet.authorized(house, **bent))
    wallet.keep(answer)
    return wallet, answer.json()


def test_a_refresh_token_gives_another_token_for_the_same_identifiers(tmp_path: Path) -> None:
    """fapi2-security-profile-final-refresh-token"""

    async def story(house: House) -> None:
        wallet, first = await _refreshable(house)
        house.clock.now += 301
        assert (await wallet.ask()).status == 401
        for _ in range(2):  # it is not rotated
            answer = await wallet.refresh(first["refresh_token"])
            wallet.keep(answer)
            assert answer.json()["authorization_details"] == first["authorization_details"]
            assert answer.json()["access_token"] != first["access_token"]
            assert "refresh_token" not in answer.json()
        assert (await wallet.ask()).status == 200

    play(tmp_path, story, refresh_token_lifetime=3600)


def test_a_refreshed_token_gives_no_new_credit(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet, first = await _refreshable(house)
        assert (await wallet.ask()).status == 200
        wallet.keep(await wallet.refresh(first["refresh_token"]))
        wallet.holder = Key.generate("ES256")
        answer = await wallet.ask()
        assert (answer.status, answer.json()["error"]) == (400, "credential_request_denied")

    play(tmp_path, story, refresh_token_lifetime=3600, credentials_per_identifier=1)


@pytest.mark.parametrize("why", ["another key", "another client", "expired", "unknown", "revoked"])
def test_a_refresh_token_is_bound_and_ends(tmp_path: Path, why: str) -> None:
    async def story(house: House) -> None:
        wallet, first = await _refreshable(house)
        refresh_token, bent = first["refresh_token"], {}
        if why == "another key":
            wallet.dpop_key = Key.generate("ES256")
        elif why == "another client":
            bent = {"client_id": "other-wallet"}
        elif why == "expired":
            house.clock.now += 3600
            await wallet.nonces()
        elif why == "unknown":
            refresh_token = "x"
        else:
            (grant,) = (await house.manage("GET", "/offers")).json()["offers"]
            assert (await house.manage("DELETE", f"/offers/{grant['offer_id']}")).status == 204
        refused(await wallet.refresh(refresh_token, **bent), "invalid_grant")

    play(tmp_path, story, refresh_token_lifetime=3600)


def test_a_refreshed_token_may_be_good_for_less_and_never_for_more(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet, first = await _refreshable(house, authorization_details=BOTH)
        answer = await wallet.refresh(first["refresh_token"], authorization_details=DIPLOMA)
        narrow = code_wallet(house, dpop_key=wallet.dpop_key, dpop_nonce=wallet.dpop_nonce)
        narrow.keep(answer)
        assert len(narrow.identifiers) == 1
        assert set(narrow.identifiers) < set(wallet.identifiers)
        assert (await narrow.ask()).status == 200
        other = next(name for name in wallet.identifiers if name not in narrow.identifiers)
        narrow.holder = Key.generate("ES256")
        assert (await narrow.ask(credential_identifier=other)).status in (400, 403)

        one, members = await _refreshable(house, scope="identity", authorization_details=None)
        answer = await one.refresh(members["refresh_token"], scope="identity diploma")
        refused(answer, "invalid_scope")
        answer = await one.refresh(members["refresh_token"], authorization_details=DIPLOMA)
        refused(answer, "invalid_authorization_details")
        assert (await one.refresh(members["refresh_token"], scope="identity")).json()["scope"] == "identity"

    play(tmp_path, story, refresh_token_lifetime=3600)


def test_without_the_setting_there_is_no_refresh_token_but_for_what_is_deferred(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        _, members = await _refreshable(house)
        assert "refresh_token" not in members
        wallet = code_wallet(house)
        offer = await house.offer(claims={"given_name": "E"}, deferred=True)
        await wallet.nonces()
        assert "refresh_token" in (await wallet.redeem(offer["offer_uri"])).json()

    play(tmp_path, story)


# Nothing is good at another tenant, and the database holds no secret.


def test_nothing_of_one_tenant_is_good_at_another(tmp_path: Path) -> None:
    """One database, two identifiers: what the one has given out is unknown to the other."""
    database = f"sqlite:///{tmp_path}/issuer.db"
    other = "https://issuer.example/other"

    async def main() -> None:
        async with (
            login_house(tmp_path, database=database, refresh_token_lifetime=3600) as house,
            login_house(tmp_path, database=database, identifier=other, refresh_token_lifetime=3600) as second,
        ):
            wallet = code_wallet(house)
            code = await wallet.authorized(house)
            stranger = code_wallet(second, issuer=other, verifier=wallet.verifier, dpop_key=wallet.dpop_key)
            refused(await stranger.redeem_code(code), "invalid_grant")
            answer = await wallet.redeem_code(code)
            refused(await stranger.refresh(answer.json()["refresh_token"]), "invalid_grant")
            await wallet.push()
            stranger.pushed = wallet.pushed
            assert "unknown or expired" in await shown_error(stranger, second)

    asyncio.run(main())


def test_the_database_holds_no_secret_of_the_flow(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            await person.open(wallet.url())
            await person.sign_in()
            secrets = [wallet.pushed.request_uri.rpartition(":")[2], *person.client.cookies.values()]  # type: ignore[union-attr]
            code = parameters_of(await person.decide())["code"]
        members = (await wallet.redeem_code(code)).json()
        (detail,) = members["authorization_details"]
        secrets += [code, wallet.verifier, members["access_token"], members["refresh_token"]]
        secrets += detail["credential_identifiers"]
        assert len(secrets) >= 7
        pages = b"".join(file.read_bytes() for file in sorted(tmp_path.glob("issuer.db*")))  # noqa: ASYNC240
        assert SUBJECT.encode() in pages  # so the search can find something
        for secret in secrets:
            assert secret.encode() not in pages

    play(tmp_path, story, database=f"sqlite:///{tmp_path}/issuer.db", refresh_token_lifetime=3600)
