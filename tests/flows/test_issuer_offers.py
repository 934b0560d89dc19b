"""The issuer's management: offers made, refused, listed, cancelled; and the table of their states."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest
from tests.flows.small_wallet import CLAIMS, issuer_house

from safeconduct.errors import SafeconductError
from safeconduct.services.issuer import grants
from safeconduct.services.issuer.tables import metadata
from safeconduct.settings import SettingsError
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER, differences


def test_management_wants_its_token(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            for method, path in (("GET", "/offers"), ("POST", "/offers"), ("GET", "/configurations")):
                answer = await house.manage(method, path, token="another-token-of-some-length")
                assert answer.status == 401
                assert answer.json()["code"] == "token_wrong"
            assert (await house.fetcher.request("GET", "https://admin.example/healthz")).status == 200

    asyncio.run(main())


def test_an_offer_is_shown_without_what_opens_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            offer = await house.offer(tx_code={"length": 8, "input_mode": "text", "description": "by post"})
            assert len(offer["tx_code"]) == 8
            read = await house.wallet().read_offer(offer["offer_uri"])
            assert read.pre_authorized is not None
            assert read.pre_authorized.tx_code is not None
            assert read.pre_authorized.tx_code.description == "by post"
            shown = (await house.manage("GET", f"/offers/{offer['offer_id']}")).json()
            known = {"offer_id", "state", "configuration_ids", "reference", "deferred"}
            assert shown.keys() == known | {"created_at", "expires_at"}
            listed = (await house.manage("GET", "/offers?state=pending")).json()["offers"]
            assert listed == [shown]
            assert (await house.manage("GET", "/offers?state=issued")).json()["offers"] == []
            assert (await house.manage("GET", "/offers?state=rubbish")).json()["code"] == "state_unknown"

    asyncio.run(main())


@pytest.mark.parametrize("after_token", [False, True])
def test_a_cancelled_offer_gives_nothing_any_more(tmp_path: Path, after_token: bool) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            offer = await house.offer(by_reference=True)
            wallet = house.wallet()
            await wallet.nonces()
            if after_token:
                await wallet.take_token(offer["offer_uri"])
            assert (await house.manage("DELETE", f"/offers/{offer['offer_id']}")).status == 204
            assert await house.state(offer) == "cancelled"
            if after_token:
                assert (await wallet.ask()).json()["error"] == "invalid_token"
            again = await house.manage("DELETE", f"/offers/{offer['offer_id']}")
            assert (again.status, again.json()["code"]) == (409, "transition_refused")
            unknown = await house.manage("DELETE", "/offers/unknown")
            assert (unknown.status, unknown.json()["code"]) == (404, "offer_unknown")

    asyncio.run(main())


def test_an_offer_by_reference_is_served_while_it_is_pending(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            offer = await house.offer(by_reference=True)
            wallet = house.wallet()
            first, second = [await wallet.read_offer(offer["offer_uri"]) for _ in range(2)]
            assert first == second
            await wallet.take_token(offer["offer_uri"])
            with pytest.raises(AssertionError, match="There is no such offer"):
                await wallet.read_offer(offer["offer_uri"])

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "configuration_ambiguous"),
        ({"claims": CLAIMS}, "configuration_ambiguous"),
        ({"configuration_id": "identity", "configuration_ids": ["identity"]}, "configuration_ambiguous"),
        (
            {"configuration_id": None, "configuration_ids": ["identity", "identity"]},
            "configuration_ambiguous",
        ),
        ({"configuration_id": "unknown"}, "configuration_unknown"),
        ({"claims": {"given_name": "Erika"}}, "claim_missing"),
        ({"claims": {**CLAIMS, "shoe_size": 43}}, "claim_unknown"),
        ({"claims": None}, "claims_wanted"),
        ({"claims": {**CLAIMS, "iss": "https://other.example"}}, "claim_unknown"),
        ({"claims": {**CLAIMS, "address": {"planet": "Mars"}}}, "claim_unknown"),
        ({"claims": [1]}, "message_malformed"),
        ({"tx_code": "yes"}, "message_malformed"),
        ({"tx_code": {"length": 2}}, "tx_code_length"),
        ({"tx_code": {"input_mode": "morse"}}, "tx_code_mode_unknown"),
        ({"colour": "red"}, "message_malformed"),
        ({"claims": {**CLAIMS, "email": "x" * 140_000}}, "credential_too_large"),
    ],
)
def test_an_offer_that_could_not_be_kept_is_not_made(tmp_path: Path, body: dict[str, Any], code: str) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            whole = {"configuration_id": "identity", "claims": dict(CLAIMS), **body} if body else {}
            if body == {"claims": CLAIMS}:
                del whole["configuration_id"]
            whole = {name: value for name, value in whole.items() if value is not None}
            answer = await house.manage("POST", "/offers", whole)
            assert (answer.status, answer.json()["code"]) == (400, code), answer.body
            assert answer.content_type == "application/problem+json"
            assert (await house.manage("GET", "/offers")).json()["offers"] == []

    asyncio.run(main())


def test_the_configurations_are_listed(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            (kind,) = (await house.manage("GET", "/configurations")).json()["configurations"]
            assert kind["id"] == "identity"
            assert {"path": ["given_name"], "mandatory": True} in kind["claims"]
            assert {"path": ["nationalities", None], "mandatory": False} in kind["claims"]

    asyncio.run(main())


BADGE = """
[[configurations]]
id = "badge"
vct = "https://issuer.example/badge"
rounding = "hour"
validity = 7200
redact = ["level"]
[configurations.claims]
level = { mandatory = true, name = "Level" }
holder = {}
"""


def test_configurations_come_from_a_folder_of_files(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "kinds").mkdir()
        (tmp_path / "kinds" / "badge.toml").write_text(BADGE)
        (tmp_path / "kinds" / "key.toml").write_text(BADGE.replace("badge", "key"))
        async with issuer_house(tmp_path, configurations=tmp_path / "kinds") as house:
            ids = ["badge", "key"]
            claims = {"level": 3, "holder": "crew"}
            offer = await house.offer(configuration_id=None, configuration_ids=ids, claims=claims)
            wallet = house.wallet()
            await wallet.take_token(offer["offer_uri"])
            assert len(wallet.identifiers) == 2
            assert await house.state(offer) == "redeemed"
            assert (await wallet.ask()).status == 200
            assert (await wallet.ask(credential_identifier=wallet.identifiers[1])).status == 200
            assert await house.state(offer) == "issued"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nonsense", "Expected '='"),
        ("", "no [[configurations]]"),
        (BADGE + BADGE, "given twice"),
        (BADGE.replace("hour", "fortnight"), "Invalid enum value"),
        (BADGE.replace('"level"]', '"shoe_size"]'), "redact names a claim"),
        (BADGE.replace("holder", "iss"), "the issuer's own"),
        (BADGE.replace("holder", '"a..b"'), "a claim is written like"),
    ],
)
def test_a_faulty_configuration_is_named_before_anything_starts(
    tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "kinds.toml").write_text(text)

    async def main() -> None:
        async with issuer_house(tmp_path, configurations=tmp_path / "kinds.toml"):
            pytest.fail("started")

    with pytest.raises(SettingsError) as error:
        asyncio.run(main())
    assert any(problem in line for line in error.value.problems), error.value.problems


def test_a_faulty_key_file_is_named_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "issuer.pem").write_text("rubbish")

    async def main() -> None:
        async with issuer_house(tmp_path):
            pytest.fail("started")

    with pytest.raises(SettingsError):
        asyncio.run(main())


@pytest.mark.parametrize(("state", "event"), list(itertools.product(grants.STATES, grants.EVENTS)))
def test_the_table_has_an_arrow_or_an_error(state: grants.State, event: grants.Event) -> None:
    expected = grants.TRANSITIONS.get((state, event))
    if expected is not None:
        assert grants.advance(state, event) == expected
        return
    with pytest.raises(SafeconductError) as error:
        grants.advance(state, event)
    assert error.value.code == "transition_refused"


def test_every_state_can_be_reached_and_the_final_ones_have_no_way_out() -> None:
    reached = {"pending"} | set(grants.TRANSITIONS.values())
    assert reached == set(grants.STATES)
    assert {"closed", "expired", "cancelled", "locked"} == grants.FINAL


def test_the_migrated_tables_are_the_declared_ones() -> None:
    async def main() -> None:
        async with await Database.open("sqlite://", branch=ISSUER) as database:
            assert await database.run(differences, metadata, prefix="issuer_") == []

    asyncio.run(main())
