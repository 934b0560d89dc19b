"""Lines of the OpenID Foundation's test suite that no other test plays; the ledger of rules has them all.

Each test names the module, or the detail that the suite looks at in every module.
"""

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests import pki
from tests.flows.code_flow import browser, code_wallet, login_house, parameters_of
from tests.flows.small_wallet import ISSUER, NOW, House, issuer_house
from tests.flows.test_issuer_code_flow import refused
from tests.flows.test_issuer_formats import CLAIMS, KINDS, LISTS

from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.envelope import jws
from safeconduct.formats import sd_jwt
from safeconduct.protocols import jwt
from safeconduct.protocols.oauth import dpop, form, token

SERVER_MEMBERS = {
    *("issuer", "authorization_endpoint", "token_endpoint", "pushed_authorization_request_endpoint"),
    *("require_pushed_authorization_requests", "scopes_supported", "response_types_supported"),
    *("grant_types_supported", "token_endpoint_auth_methods_supported", "code_challenge_methods_supported"),
    *("authorization_response_iss_parameter_supported", "dpop_signing_alg_values_supported"),
    *("authorization_details_types_supported", "pre-authorized_grant_anonymous_access_supported"),
    "status_list_aggregation_endpoint",  # draft-ietf-oauth-status-list §9.1
}
"""RFC 8414, 9126, 9207, 9396, 9449 and OpenID4VCI 1.0 §12.3, as far as this server has them."""
JOSE = {"ES256", "ES384", "ES512", "EdDSA", "Ed25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"}
"""Names of asymmetric signature algorithms."""
ACCEPTS = ["*/*", "application/json;charset=UTF-8", "application/json, text/plain;q=0.5, */*;q=0.1"]


def play(folder: Path, story: Callable[[House], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with login_house(folder, **settings) as house:
            await story(house)

    asyncio.run(main())


def _kinds(folder: Path) -> dict[str, Any]:
    key = Key.generate("ES256")
    (folder / "kinds.toml").write_text(KINDS)
    (folder / "issuer.pem").write_text(key.to_pem(private=True))
    chain = pki.Authority.root().authority("CA").chain(key, uris=[ISSUER])
    (folder / "chain.pem").write_text(pki.pem(*chain))
    return {
        "configurations": folder / "kinds.toml",
        "status_list_uri": LISTS,
        "signing_certificate": folder / "chain.pem",
    }


def _texts(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Every text in a document, with the name of the member it stands under."""
    if isinstance(value, dict):
        return [text for member, inner in value.items() for text in _texts(inner, member)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner, name)]
    return [(name, value)] if isinstance(value, str) else []


def _displays(value: Any) -> list[list[dict[str, Any]]]:
    if isinstance(value, dict):
        own = [value["display"]] if isinstance(value.get("display"), list) else []
        return own + [found for inner in value.values() for found in _displays(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in _displays(inner)]
    return []


def test_the_metadata_stand_up_to_the_suite(tmp_path: Path) -> None:
    """oid4vci-1_0-issuer-metadata-test; https everywhere, display locales, algorithms, co-presence"""

    async def main() -> None:
        async with issuer_house(tmp_path, **_kinds(tmp_path)) as house:
            where = f"{ISSUER}/.well-known/"
            issuer = (await house.fetcher.request("GET", f"{where}openid-credential-issuer")).json()
            server = (await house.fetcher.request("GET", f"{where}oauth-authorization-server")).json()
        assert issuer["credential_issuer"] == server["issuer"] == ISSUER
        assert server.keys() <= SERVER_MEMBERS
        places = [
            text
            for document in (issuer, server)
            for name, text in _texts(document)
            if name in ("credential_issuer", "issuer", "uri") or name.endswith("_endpoint")
        ]
        assert len(places) > 9
        assert [place for place in places if not place.startswith("https://")] == []
        displays = _displays(issuer)
        assert len(displays) == 5  # the issuer's; and for each format that of the credential and a claim
        for entries in displays:
            locales = [entry["locale"] for entry in entries]
            assert len(set(locales)) == len(locales)
            assert [name for name in locales if not re.fullmatch(r"[a-z]{2,3}(-[A-Z]{2})?", name)] == []
        for configuration in issuer["credential_configurations_supported"].values():
            assert configuration["scope"] in server["scopes_supported"]
            assert configuration["cryptographic_binding_methods_supported"]
            assert configuration["proof_types_supported"]
            for proof in configuration["proof_types_supported"].values():
                assert set(proof["proof_signing_alg_values_supported"]) <= JOSE
            signing = configuration["credential_signing_alg_values_supported"]
            assert {type(value) for value in signing} == (
                {int} if configuration["format"] == "application/sd-cwt" else {str}
            )
        assert set(server["dpop_signing_alg_values_supported"]) <= JOSE

    asyncio.run(main())


@pytest.mark.parametrize("accept", ACCEPTS)
def test_further_requests_under_permissive_accept_headers_are_served(tmp_path: Path, accept: str) -> None:
    """oid4vci-1_0-issuer-happy-flow-additional-requests, -happy-flow-skip-notification"""

    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            wallet = house.wallet()
            wallet_headers = {"Accept": accept}
            nonce = await house.fetcher.request(
                "POST", f"{ISSUER}/nonce", headers=wallet_headers, content=b""
            )
            wallet.dpop_nonce = nonce.headers["dpop-nonce"]
            offer = await wallet.read_offer((await house.offer())["offer_uri"])
            assert offer.pre_authorized is not None
            request = token.TokenRequest(pre_authorized_code=offer.pre_authorized.code)
            answer = await house.fetcher.request(
                "POST",
                f"{ISSUER}/token",
                headers={
                    **wallet_headers,
                    "Content-Type": form.MEDIA_TYPE,
                    "DPoP": wallet.proof_of_possession("/token"),
                },
                content=token.token_request_form(request),
            )
            assert answer.status == 200, answer.body
            wallet.access_token, wallet.identifiers = answer.json()["access_token"], ("",)
            by_name = {"credential_identifier": None, "credential_configuration_id": "identity"}
            for _ in range(3):
                body = await wallet.sealed(**by_name, holders=[Key.generate("ES256")])
                given = await wallet.send(body, accept=accept)
                assert (given.status, given.content_type) == (200, "application/jwt")
                assert len(wallet.open(given)) == 1

    asyncio.run(main())


def test_an_sd_jwt_batch_has_only_its_dataset_in_common(tmp_path: Path) -> None:
    """oid4vci-1_0-issuer-batch-issuance: cnf, salts, times and status indices of SD-JWT VCs"""

    async def main() -> None:
        async with issuer_house(tmp_path, **_kinds(tmp_path)) as house:
            offer = await house.offer(configuration_id="id_jwt", claims=CLAIMS)
            wallet = await house.holder(offer)
            holders = [Key.generate("ES256") for _ in range(6)]
            answer = wallet.given(await wallet.ask(holders=holders), keys=6)
            payloads: list[dict[str, Any]] = []
            salts: list[str] = []
            for text in answer.credentials:
                issued, *disclosures, bound = text.split("~")
                assert bound == ""
                payloads.append(json.loads_object(b64.decode(issued.split(".")[1])))
                salts.extend(json.loads(b64.decode(disclosure))[0] for disclosure in disclosures)
            trust = await house.trust()
            shown = [
                sd_jwt.check_issued(text, holder=key.public, trust=trust, now=NOW).claims.to_json()
                for text, key in zip(answer.credentials, holders, strict=True)
            ]
        assert [{name: one[name] for name in CLAIMS} for one in shown] == [CLAIMS] * 6
        assert [one["cnf"]["jwk"]["x"] for one in shown] == [key.public.to_jwk()["x"] for key in holders]
        assert len(set(salts)) == len(salts) > 6
        digests = [digest for payload in payloads for digest in payload["_sd"]]
        assert len(set(digests)) == len(digests)
        assert {payload[name] % 86400 for payload in payloads for name in ("iat", "nbf", "exp")} == {0}
        places = [payload["status"]["status_list"] for payload in payloads]
        indices = [place["idx"] for place in places]
        assert len(set(indices)) == 6
        assert len({later - earlier for earlier, later in itertools.pairwise(indices)}) > 1
        assert all(place["uri"].startswith(f"{LISTS}/") for place in places)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("bent", "good"),
    [
        ({"exp": NOW + 60, "nbf": NOW - 60}, True),
        ({"exp": NOW - 3600}, False),
        ({"nbf": NOW + 3600}, False),
    ],
)
def test_the_times_in_a_dpop_proof_are_heeded(tmp_path: Path, bent: dict[str, int], good: bool) -> None:
    """fapi2-security-profile-final-check-dpop-proof-nbf-exp"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        code = await wallet.authorized(house)
        await wallet.nonces()
        claims = {"jti": "j", "htm": "POST", "htu": f"{ISSUER}/token", "iat": NOW, "nonce": wallet.dpop_nonce}
        header = {"typ": dpop.TYPE, "jwk": jwt.public_jwk(wallet.dpop_key)}
        proof = jws.sign(json.dumps({**claims, **bent}), signer=wallet.dpop_key, header=header)
        answer = await wallet.redeem_code(code, proof=proof)
        if good:
            wallet.keep(answer)
        else:
            refused(answer, "invalid_dpop_proof")

    play(tmp_path, story)


def test_neither_code_nor_token_is_good_without_a_proof(tmp_path: Path) -> None:
    """fapi2-security-profile-final-ensure-holder-of-key-required"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        code = await wallet.authorized(house)
        members = {
            "grant_type": token.AUTHORIZATION_CODE,
            "code": code,
            "redirect_uri": wallet.redirect_uri,
            "code_verifier": wallet.verifier,
            "client_id": wallet.client_id,
        }
        answer = await house.fetcher.request(
            "POST",
            f"{ISSUER}/token",
            headers={"Content-Type": form.MEDIA_TYPE},
            content=form.encode_form(members.items()),
        )
        refused(answer, "invalid_dpop_proof")
        wallet.keep(await wallet.redeem_code(code))
        body = await wallet.sealed()
        for headers in ({"dpop": None}, {"dpop": None, "authorization": f"Bearer {wallet.access_token}"}):
            assert (await wallet.send(body, **headers)).status == 401
        assert (await wallet.ask()).status == 200

    play(tmp_path, story)


def test_a_request_uri_in_the_form_is_not_looked_up(tmp_path: Path) -> None:
    """fapi2-security-profile-final-par-authorization-request-containing-request_uri-form-param"""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        pushed = (await wallet.push()).json()
        refused(await wallet.push(request_uri=pushed["request_uri"]), "invalid_request")
        async with browser(house) as person:  # and the one that was named is as good as before
            await person.open(wallet.url())
            await person.sign_in()
            assert "code" in parameters_of(await person.decide())

    play(tmp_path, story)
