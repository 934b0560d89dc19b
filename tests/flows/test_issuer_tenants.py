"""Several issuers in one process on one database: nothing of one works at another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.flows.code_flow import (
    ACCOUNTS,
    CLIENTS,
    CONFIGURATIONS,
    browser,
    code_wallet,
    parameters_of,
)
from tests.flows.small_wallet import ADMIN, ADMIN_TOKEN, CLAIMS, NOW, Clock, House, SmallWallet

from safeconduct.encoding import json
from safeconduct.net.fetch import HttpFetcher
from safeconduct.net.in_process import InProcess
from safeconduct.protocols.oauth import token
from safeconduct.services.issuer import open_issuer
from safeconduct.settings import DatabaseUrl, IssuerSettings, KeyPlace, Secret
from safeconduct.telemetry import Telemetry

HOST = "https://issuer.example"
TOWN, SCHOOL = f"{HOST}/town", f"{HOST}/school"


@contextlib.asynccontextmanager
async def two_tenants(folder: Path, *, of_both: Mapping[str, Any], **of_school: Any) -> AsyncIterator[House]:
    base = IssuerSettings(
        database=DatabaseUrl(f"sqlite:///{folder}/issuer.db"), admin_token=Secret(ADMIN_TOKEN), **of_both
    )
    town = msgspec.structs.replace(base, name="town", identifier=TOWN, signing_key=KeyPlace(folder / "a.pem"))
    school = msgspec.structs.replace(
        base, name="school", identifier=SCHOOL, signing_key=KeyPlace(folder / "b.pem"), **of_school
    )
    settings = msgspec.structs.replace(base, tenants=(town, school))
    clock, telemetry = Clock(NOW), Telemetry.silent("issuer")
    async with open_issuer(settings, telemetry=telemetry, clock=clock) as [public, admin]:
        transport = InProcess({HOST: public.app, ADMIN: admin.app})
        async with HttpFetcher(allow_loopback=True, transport=transport) as fetcher:
            yield House(fetcher, clock, telemetry, settings)


def played(
    scene: Callable[[House], Awaitable[None]],
    folder: Path,
    *,
    of_both: Mapping[str, Any] | None = None,
    **of_school: Any,
) -> None:
    async def main() -> None:
        async with two_tenants(folder, of_both=of_both or {}, **of_school) as house:
            await scene(house)

    asyncio.run(main())


def wallet_at(house: House, issuer: str) -> SmallWallet:
    return SmallWallet(house.fetcher, house.clock, issuer=issuer)


async def offer_of(house: House, tenant: str, **members: Any) -> dict[str, Any]:
    body = {"configuration_id": "identity", "claims": dict(CLAIMS), **members}
    answer = await house.manage("POST", f"/tenants/{tenant}/offers", body)
    assert answer.status == 201, answer.body
    return answer.json()


def test_each_issues_under_its_own_name_and_key(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        signed = []
        for tenant, issuer in (("town", TOWN), ("school", SCHOOL)):
            wallet = wallet_at(house, issuer)
            await wallet.take_token((await offer_of(house, tenant))["offer_uri"])
            (credential,) = wallet.open(await wallet.ask())
            assert issuer.encode() in credential
            path = issuer.removeprefix(HOST)
            keys = await house.fetcher.request("GET", f"{HOST}/.well-known/jwt-vc-issuer{path}")
            assert keys.json()["issuer"] == issuer
            signed.append(keys.json()["jwks"]["keys"][0]["x"])
        assert len(set(signed)) == 2
        listed = (await house.manage("GET", "/tenants")).json()["tenants"]
        assert listed == [
            {"name": "town", "identifier": TOWN},
            {"name": "school", "identifier": SCHOOL},
        ]

    played(scene, tmp_path)


def test_each_has_settings_of_its_own(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        town, school = await wallet_at(house, TOWN).metadata(), await wallet_at(house, SCHOOL).metadata()
        assert town.request_encryption is not None
        assert school.request_encryption is not None
        assert (town.request_encryption.required, school.request_encryption.required) == (True, False)
        kids = [{key.kid for key in one.request_encryption.keys} for one in (town, school)]  # type: ignore[union-attr]
        assert kids[0].isdisjoint(kids[1])

    played(scene, tmp_path, require_encryption=False)


def test_a_code_is_worth_nothing_at_another(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        offer = await offer_of(house, "town")
        here, there = wallet_at(house, TOWN), wallet_at(house, SCHOOL)
        read = await here.read_offer(offer["offer_uri"])
        assert read.pre_authorized is not None
        form = token.token_request_form(token.TokenRequest(pre_authorized_code=read.pre_authorized.code))
        await there.nonces()
        refused = await there.redeem_form(form)
        assert (refused.status, refused.json()["error"]) == (400, "invalid_grant")
        await here.nonces()
        assert (await here.redeem_form(form)).status == 200

    played(scene, tmp_path)


def test_an_offer_by_reference_is_served_by_its_own_alone(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        offer = await offer_of(house, "town", by_reference=True)
        assert (await wallet_at(house, TOWN).read_offer(offer["offer_uri"])).credential_issuer == TOWN
        with pytest.raises(AssertionError, match="There is no such offer"):
            await wallet_at(house, SCHOOL).read_offer(offer["offer_uri"].replace("town", "school"))

    played(scene, tmp_path)


def test_a_token_is_worth_nothing_at_another(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        here, there = wallet_at(house, TOWN), wallet_at(house, SCHOOL)
        await here.take_token((await offer_of(house, "town"))["offer_uri"])
        there.access_token, there.identifiers, there.dpop_key = (
            here.access_token,
            here.identifiers,
            here.dpop_key,
        )
        refused = await there.ask()
        assert (refused.status, refused.json()["error"]) == (401, "invalid_token")
        assert (await here.ask()).status == 200

    played(scene, tmp_path)


def test_nonces_are_worth_nothing_at_another(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        here, there = wallet_at(house, TOWN), wallet_at(house, SCHOOL)
        await here.take_token((await offer_of(house, "town"))["offer_uri"])
        foreign = await there.nonces()
        refused = await here.ask(c_nonce=foreign)
        assert refused.json()["error"] == "invalid_nonce"
        body = await here.sealed()
        here.dpop_nonce = there.dpop_nonce
        refused = await here.send(body)
        assert (refused.status, refused.json()["error"]) == (401, "use_dpop_nonce")
        assert (await here.ask()).status == 200

    played(scene, tmp_path)


def test_a_request_encrypted_to_another_is_not_opened(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        here, there = wallet_at(house, TOWN), wallet_at(house, SCHOOL)
        await here.take_token((await offer_of(house, "town"))["offer_uri"])
        body = await here.sealed()
        elsewhere = wallet_at(house, SCHOOL)
        await elsewhere.take_token((await offer_of(house, "school"))["offer_uri"])
        refused = await elsewhere.send(body)
        assert refused.json()["error"] == "invalid_encryption_parameters"
        await there.nonces()

    played(scene, tmp_path)


def test_management_of_one_does_not_reach_another(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        offer = await offer_of(house, "town")
        path = f"offers/{offer['offer_id']}"
        assert (await house.manage("GET", f"/tenants/town/{path}")).status == 200
        for method in ("GET", "DELETE"):
            refused = await house.manage(method, f"/tenants/school/{path}")
            assert (refused.status, refused.json()["code"]) == (404, "offer_unknown")
        assert (await house.manage("GET", "/tenants/school/offers")).json()["offers"] == []
        for path, code in (("/offers", "not_found"), ("/tenants/church/offers", "tenant_unknown")):
            unknown = await house.manage("GET", path)
            assert (unknown.status, unknown.json()["code"]) == (404, code)
        refused = await house.manage("GET", "/tenants/town/offers", token="another-token-of-some-length")
        assert refused.status == 401
        refused = await house.manage("PUT", "/tenants/town/offers")
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, POST")

    played(scene, tmp_path)


def test_the_log_names_routes_and_no_tenants_path_parameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main() -> None:
        base = IssuerSettings(database=DatabaseUrl("sqlite://"), admin_token=Secret(ADMIN_TOKEN))
        town = msgspec.structs.replace(
            base, name="town", identifier=TOWN, signing_key=KeyPlace(tmp_path / "a.pem")
        )
        settings = msgspec.structs.replace(base, tenants=(town,))
        telemetry = Telemetry.open("issuer")
        async with (
            open_issuer(settings, telemetry=telemetry, clock=Clock()) as [_, admin],
            HttpFetcher(allow_loopback=True, transport=InProcess({ADMIN: admin.app})) as fetcher,
        ):
            house = House(fetcher, Clock(), telemetry, settings)
            await house.manage("GET", "/tenants/town/offers/0123456789abcdef0123456789abcdef")

    asyncio.run(main())
    lines = [json.loads_object(line) for line in capsys.readouterr().err.splitlines()]
    assert {line.get("route") for line in lines if line["event"] == "request_answered"} == {
        "/offers/{offer_id}"
    }


def test_what_a_login_at_one_gives_is_worth_nothing_at_another(tmp_path: Path) -> None:
    for name, text in {"clients": CLIENTS, "accounts": ACCOUNTS, "configurations": CONFIGURATIONS}.items():
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    files = {name: tmp_path / f"{name}.toml" for name in ("clients", "accounts", "configurations")}

    async def scene(house: House) -> None:
        here, there = code_wallet(house, issuer=TOWN), code_wallet(house, issuer=SCHOOL)
        there.dpop_key, there.verifier = here.dpop_key, here.verifier
        await here.push()
        there.pushed = here.pushed
        async with browser(house) as person:
            assert (await person.open(there.url())).status_code == 400
            await person.open(here.url())
            await person.sign_in()
            code = parameters_of(await person.decide())["code"]
        refused = await there.redeem_code(code)
        assert (refused.status, refused.json()["error"]) == (400, "invalid_grant")
        granted = await here.redeem_code(code)
        here.keep(granted)
        refresh_token = granted.json()["refresh_token"]
        refused = await there.refresh(refresh_token)
        assert (refused.status, refused.json()["error"]) == (400, "invalid_grant")
        assert (await here.refresh(refresh_token)).status == 200

    played(scene, tmp_path, of_both={**files, "refresh_token_lifetime": 600})


def test_an_invitation_and_a_login_link_lead_to_their_own_issuer_alone(tmp_path: Path) -> None:
    (tmp_path / "clients.toml").write_text(CLIENTS, encoding="utf-8")

    async def scene(house: House) -> None:
        offer = await offer_of(house, "town", grants=["authorization_code"])
        read = await wallet_at(house, TOWN).read_offer(offer["offer_uri"])
        assert read.authorization_code is not None
        for issuer, status in ((SCHOOL, 400), (TOWN, 201)):
            wallet = code_wallet(house, issuer=issuer)
            answer = await wallet.push(issuer_state=read.authorization_code.issuer_state)
            assert answer.status == status, answer.body
        link = (await house.manage("POST", "/tenants/town/links", {"subject": "s"})).json()["url"]
        assert link.startswith(f"{TOWN}/login/")
        for tenant, logged_in in (("school", False), ("town", True)):
            async with browser(house) as person:
                page = await person.open(link.replace("/town/", f"/{tenant}/"))
                assert (page.status_code < 400) == logged_in, page.text

    played(scene, tmp_path, of_both={"clients": tmp_path / "clients.toml"})
