"""Management beyond plain offers: what they may ask for, lists in pages, decisions, what is issued, keys."""

import asyncio
import base64
import itertools
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import Connection, insert, select
from tests.flows.small_wallet import ADMIN, ADMIN_TOKEN, CLAIMS, ISSUER, NOW, House, issuer_house

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci.offer import CredentialOffer
from safeconduct.services.issuer import openapi
from safeconduct.services.issuer.admin import admin_routes
from safeconduct.services.issuer.digests import code_of, digest_of
from safeconduct.services.issuer.tables import grants, issued, links, transactions
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER as BRANCH

Store = Callable[[Callable[[Connection], Any]], Awaitable[Any]]
KEY = "idempotency-key-of-the-test"


def played(scene: Callable[[House, Store], Awaitable[None]], folder: Path, **settings: Any) -> None:
    """Play a scene with an issuer, and with a way into its database."""
    url = f"sqlite:///{folder}/issuer.db"

    async def main() -> None:
        async with (
            issuer_house(folder, database=url, **settings) as house,
            await Database.open(url, branch=BRANCH) as database,
        ):
            await scene(house, database.run)

    asyncio.run(main())


def problem(answer: Response) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json"
    return answer.status, answer.json()["code"]


async def read(house: House, offer: dict[str, Any]) -> CredentialOffer:
    return await house.wallet().read_offer(offer["offer_uri"])


@pytest.mark.parametrize("by_reference", [False, True])
@pytest.mark.parametrize(
    "kinds", [["pre-authorized"], ["authorization_code"], ["pre-authorized", "authorization_code"]]
)
def test_an_offer_holds_the_grants_that_were_asked_for(
    tmp_path: Path, kinds: list[str], by_reference: bool
) -> None:
    async def scene(house: House, store: Store) -> None:
        offer = await house.offer(grants=kinds, by_reference=by_reference)
        shown = await read(house, offer)
        assert (shown.pre_authorized is not None) == ("pre-authorized" in kinds)
        assert (shown.authorization_code is not None) == ("authorization_code" in kinds)
        assert await read(house, offer) == shown or not by_reference
        row = (await store(lambda connection: connection.execute(select(grants)).all()))[0]
        if shown.authorization_code is not None:
            assert shown.authorization_code.issuer_state is not None
            assert row.issuer_state_digest == digest_of(shown.authorization_code.issuer_state)
        else:
            assert row.issuer_state_digest is None
        if shown.pre_authorized is not None:
            assert row.code_digest == digest_of(shown.pre_authorized.code)

    played(scene, tmp_path)


def test_an_offer_to_log_in_has_no_code_that_anybody_could_trade(tmp_path: Path) -> None:
    async def scene(house: House, store: Store) -> None:
        offer = await house.offer(grants=["authorization_code"], by_reference=True)
        reference = offer["offer_uri"].rpartition("%2F")[2]
        row = (await store(lambda connection: connection.execute(select(grants)).all()))[0]
        assert row.code_digest != digest_of(code_of(reference))

    played(scene, tmp_path)


def test_subject_reference_and_deferral_are_kept_and_life_may_be_chosen(tmp_path: Path) -> None:
    async def scene(house: House, store: Store) -> None:
        offer = await house.offer(subject="s-1", reference="case 1", deferred=True, lifetime=77)
        assert offer["expires_in"] == 77
        row = (await store(lambda connection: connection.execute(select(grants)).all()))[0]
        assert (row.subject, row.own_reference, row.deferred, row.expires_at) == (
            "s-1",
            "case 1",
            True,
            NOW + 77,
        )
        shown = (await house.manage("GET", f"/offers/{offer['offer_id']}")).json()
        assert (shown["reference"], shown["deferred"]) == ("case 1", True)
        assert "s-1" not in str(shown)

    played(scene, tmp_path)


@pytest.mark.parametrize(("form", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_an_offer_comes_as_a_picture(tmp_path: Path, form: str, start: bytes) -> None:
    async def scene(house: House, store: Store) -> None:
        offer = await house.offer(qr=form, by_reference=True)
        assert base64.b64decode(offer["qr"]["data"]).startswith(start)
        assert offer["qr"]["media_type"] == {"svg": "image/svg+xml", "png": "image/png"}[form]

    played(scene, tmp_path)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"grants": []}, "message_malformed"),
        ({"grants": ["password"]}, "message_malformed"),
        ({"grants": ["authorization_code"], "tx_code": True}, "tx_code_without_code"),
        ({"grants": ["authorization_code", "pre-authorized"], "tx_code": True}, "tx_code_without_subject"),
        ({"qr": "gif"}, "message_malformed"),
        ({"lifetime": 0}, "message_malformed"),
        ({"lifetime": limits.OFFER_SECONDS + 1}, "message_malformed"),
        ({"subject": ""}, "message_malformed"),
        ({"subject": "a\u0000b"}, "message_malformed"),
        ({"reference": "a\nb"}, "message_malformed"),
        ({"reference": "a\n"}, "message_malformed"),
        ({"reference": "x" * (limits.MANAGEMENT_TEXT_CHARS + 1)}, "message_malformed"),
    ],
)
def test_an_offer_asked_for_wrongly_is_refused(tmp_path: Path, members: dict[str, Any], code: str) -> None:
    async def scene(house: House, store: Store) -> None:
        body = {"configuration_id": "identity", "claims": dict(CLAIMS), **members}
        assert problem(await house.manage("POST", "/offers", body)) == (400, code)
        assert await store(lambda connection: connection.execute(select(grants)).all()) == []

    played(scene, tmp_path)


PEOPLE = """
[[configurations]]
id = "badge"
vct = "https://issuer.example/badge"
[configurations.claims]
level = { mandatory = true }
[configurations.source]
kind = "csv"
path = "people.csv"
key = "id"
"""


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"subject": "7"}, None),
        ({"reference": "7"}, None),
        ({"grants": ["authorization_code"]}, None),
        ({}, "subject_missing"),
        ({"subject": "7", "claims": {"level": 3}}, "claims_not_wanted"),
    ],
)
def test_where_a_source_knows_the_claims_an_offer_says_whose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, Any], code: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kinds.toml").write_text(PEOPLE)
    (tmp_path / "people.csv").write_text("id,level\n7,3\n")

    async def scene(house: House, store: Store) -> None:
        answer = await house.manage("POST", "/offers", {"configuration_id": "badge", **members})
        if code is not None:
            assert problem(answer) == (400, code)
            return
        assert answer.status == 201, answer.body
        row = (await store(lambda connection: connection.execute(select(grants)).all()))[0]
        assert row.claims is None

    played(scene, tmp_path, configurations=tmp_path / "kinds.toml")


def test_a_repeated_request_with_its_key_makes_one_offer(tmp_path: Path) -> None:
    async def scene(house: House, store: Store) -> None:
        body = {"configuration_id": "identity", "claims": dict(CLAIMS)}
        first, second = [await _create(house, body, KEY) for _ in range(2)]
        assert first.status == 201
        assert problem(second) == (409, "offer_exists")
        assert (await _create(house, body, f'"{KEY}-2"')).status == 201
        for key in ("short", "x" * 129, "ä" * 20, "with spaces in between"):
            assert problem(await _create(house, body, key))[0] == 400
        assert len((await house.manage("GET", "/offers")).json()["offers"]) == 2
        assert KEY.encode() not in _pages(tmp_path)

    played(scene, tmp_path)


def _pages(folder: Path) -> bytes:
    return b"".join(page.read_bytes() for page in folder.glob("issuer.db*"))


async def _create(house: House, body: Any, key: str) -> Response:
    headers = {
        "Authorization": "Bearer management-token-of-the-test",
        "Content-Type": "application/json",
        "Idempotency-Key": key.encode().decode("latin-1"),
    }
    return await house.fetcher.request(
        "POST", "https://admin.example/offers", headers=headers, content=json.dumps(body)
    )


def test_a_list_is_read_page_by_page_while_it_grows(tmp_path: Path) -> None:
    async def scene(house: House, store: Store) -> None:
        made = []
        for number in range(7):
            house.clock.now = NOW + number // 3  # several in one second
            made.append((await house.offer(reference=f"r-{number % 2}"))["offer_id"])
        seen: list[str] = []
        query = "/offers?limit=3"
        for _ in range(3):
            page = (await house.manage("GET", query)).json()
            seen += [offer["offer_id"] for offer in page["offers"]]
            if len(seen) == 7:
                assert "next" not in page
                break
            await house.offer()
            query = f"/offers?limit=3&cursor={quote(page['next'])}"
        assert len(seen) == 7
        assert set(seen) == set(made)
        half = (await house.manage("GET", "/offers?reference=r-1")).json()["offers"]
        assert {offer["offer_id"] for offer in half} == set(made[1::2])
        assert (await house.manage("GET", "/offers?reference=null")).json() == {"offers": []}
        span = f"/offers?since={NOW + 1}&until={NOW + 2}&reference=r-1"
        found = (await house.manage("GET", span)).json()["offers"]
        assert {offer["offer_id"] for offer in found} == {made[3], made[5]}

    played(scene, tmp_path)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "parameter_malformed"),
        ("limit=101", "parameter_malformed"),
        ("limit=x", "parameter_malformed"),
        ("limit=1&limit=2", "parameter_repeated"),
        ("colour=red", "parameter_malformed"),
        ("since=-1", "parameter_malformed"),
        ("since=99999999999999999999", "parameter_malformed"),
        ("reference=", "parameter_malformed"),
        ("reference=%00", "parameter_malformed"),
        ("since=null", "parameter_malformed"),
        ("cursor=null", "cursor_malformed"),
        ("cursor=!", "cursor_malformed"),
        ("cursor=QQ", "cursor_malformed"),
        ("cursor=" + "A" * 300, "parameter_malformed"),
    ],
)
@pytest.mark.parametrize("path", ["/offers", "/issued"])
def test_a_wrong_parameter_is_refused(tmp_path: Path, path: str, query: str, code: str) -> None:
    async def scene(house: House, store: Store) -> None:
        assert problem(await house.manage("GET", f"{path}?{query}")) == (400, code)

    played(scene, tmp_path)


def _transaction(name: str, grant_id: str, **changes: Any) -> dict[str, Any]:
    row = {
        "id": name,
        "digest": name.encode(),
        "grant_id": grant_id,
        "identifier_digest": b"i",
        "configuration_id": "identity",
        "holders": b"[]",
        "state": "waiting",
        "created_at": NOW,
        "expires_at": NOW + 100,
    }
    return {**row, **changes}


def test_deferred_issuances_are_approved_or_denied_once(tmp_path: Path) -> None:
    async def scene(house: House, store: Store) -> None:
        offer = await house.offer(deferred=True, reference="case 1")
        rows = [
            _transaction("a", offer["offer_id"]),
            _transaction("b", offer["offer_id"], created_at=NOW - 1),
            _transaction("over", offer["offer_id"], expires_at=NOW),
        ]
        await store(lambda connection: connection.execute(insert(transactions), rows))
        listed = (await house.manage("GET", "/deferred?state=waiting")).json()["deferred"]
        assert [one["transaction_id"] for one in listed] == ["a", "b"]
        assert listed[0] == {
            "transaction_id": "a",
            "configuration_id": "identity",
            "reference": "case 1",
            "state": "waiting",
            "created_at": NOW,
            "expires_at": NOW + 100,
        }
        assert (await house.manage("POST", "/deferred/a/approve")).status == 204
        assert (await house.manage("POST", "/deferred/b/deny")).status == 204
        for name, verdict in itertools.product(("a", "b"), ("approve", "deny")):
            again = await house.manage("POST", f"/deferred/{name}/{verdict}")
            assert problem(again) == (409, "transition_refused")
        for name in ("over", "none", "%00", "%C3%A4"):
            unknown = await house.manage("POST", f"/deferred/{name}/approve")
            assert problem(unknown) == (404, "transaction_unknown")
        held = await store(
            lambda connection: connection.execute(
                select(transactions.c.id, transactions.c.state, transactions.c.holders)
            ).all()
        )
        assert set(map(tuple, held)) == {
            ("a", "approved", b"[]"),
            ("b", "denied", None),
            ("over", "waiting", b"[]"),
        }
        assert problem(await house.manage("GET", "/deferred?state=lost")) == (400, "parameter_malformed")

    played(scene, tmp_path)


def test_issued_credentials_are_found_by_configuration_time_and_reference(tmp_path: Path) -> None:
    def row(number: int, **changes: Any) -> dict[str, Any]:
        return {
            "id": f"{number}",
            "tenant": ISSUER,
            "configuration_id": "identity",
            "own_reference": None,
            "count": 2,
            "state": "delivered",
            "status": None,
            "issued_at": NOW + number,
            "purge_at": NOW + 1000,
            **changes,
        }

    async def scene(house: House, store: Store) -> None:
        rows = [
            row(0),
            row(1, own_reference="case 1"),
            row(2, configuration_id="badge"),
            row(3, tenant="https://other.example"),
        ]
        await store(lambda connection: connection.execute(insert(issued), rows))

        async def found(query: str) -> list[str]:
            answer = (await house.manage("GET", f"/issued?{query}")).json()["issued"]
            return [one["issued_id"] for one in answer]

        assert await found("") == ["2", "1", "0"]
        assert await found("configuration_id=identity") == ["1", "0"]
        assert await found("reference=case%201") == ["1"]
        assert await found(f"since={NOW + 1}&until={NOW + 2}") == ["1"]
        first = (await house.manage("GET", "/issued?limit=2")).json()
        assert first["issued"][0] == {
            "issued_id": "2",
            "configuration_id": "badge",
            "reference": None,
            "count": 2,
            "state": "delivered",
            "issued_at": NOW + 2,
            "status": None,
        }
        assert await found(f"cursor={first['next']}") == ["0"]

    played(scene, tmp_path)


def test_request_keys_are_replaced_on_demand(tmp_path: Path) -> None:
    async def scene(house: House, store: Store) -> None:
        async def kids() -> set[str | None]:
            metadata = await house.wallet().metadata()
            assert metadata.request_encryption is not None
            return {key.kid for key in metadata.request_encryption.keys}

        before = await kids()
        wallet = house.wallet()
        await wallet.take_token((await house.offer())["offer_uri"])
        body = await wallet.sealed()
        answer = (await house.manage("POST", "/keys/rotate")).json()
        house.clock.now = answer["published_at"]
        assert before.isdisjoint(await kids())
        assert (await wallet.send(body)).status == 200
        assert answer["destroyed_at"] > answer["published_at"]

    played(scene, tmp_path)


def test_a_login_link_is_made_for_a_subject_and_kept_as_a_digest(tmp_path: Path) -> None:
    async def scene(house: House, store: Store) -> None:
        made = await house.manage("POST", "/links", {"subject": "account 7"})
        assert made.status == 201
        link = made.json()
        assert link["url"].startswith(f"{ISSUER}/login/")
        assert link["expires_in"] == house.settings.login_link_lifetime
        secret = link["url"].rpartition("/")[2]
        (row,) = await store(lambda connection: connection.execute(select(links)).all())
        assert (row.tenant, row.subject, row.digest) == (ISSUER, "account 7", digest_of(secret))
        for body in ({}, {"subject": ""}, {"subject": "a", "more": 1}):
            assert problem(await house.manage("POST", "/links", body)) == (400, "message_malformed")
        plain = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "text/plain"}
        refused = await house.fetcher.request("POST", f"{ADMIN}/links", headers=plain, content=b"{}")
        assert problem(refused) == (415, "content_type_unsupported")
        large = await house.manage("POST", "/links", {"subject": "x" * limits.JSON_BYTES})
        assert problem(large) == (413, "body_too_large")

    played(scene, tmp_path)


def test_an_answer_to_a_wrong_method_names_all_that_the_path_takes(tmp_path: Path) -> None:
    async def scene(house: House, store: Store) -> None:
        refused = await house.manage("PATCH", "/offers/0")
        assert refused.status == 405
        assert refused.headers["allow"] == "DELETE, GET, HEAD"

    played(scene, tmp_path)


@pytest.mark.parametrize("tenants", [False, True])
def test_the_description_names_every_route_and_nothing_else(tenants: bool) -> None:
    described = {
        (path, method.upper())
        for path, item in openapi.management(tenants=tenants)["paths"].items()
        for method in item
        if method != "parameters"
    }
    served: set[tuple[str, str]] = {(f"/{name}", "GET") for name in ("healthz", "readyz", "metrics")}
    for route in admin_routes({"a" if tenants else "": None}):  # type: ignore[dict-item]
        below, routes = (
            (route.path, route.app.routes)
            if hasattr(route, "app") and not hasattr(route, "methods")
            else ("", [route])
        )  # type: ignore[attr-defined]
        served |= {(f"{below}{one.path}", method) for one in routes for method in one.methods - {"HEAD"}}
    assert described == served


def test_the_description_is_served_and_whole(tmp_path: Path) -> None:
    async def scene(house: House, store: Store) -> None:
        document = (await house.manage("GET", "/openapi.json")).json()
        assert document["openapi"] == "3.1.0"
        text = str(document)
        named = set(re.findall(r"#/components/schemas/(\w+)", text))
        assert named == document["components"]["schemas"].keys()
        operations = [item[m] for item in document["paths"].values() for m in item if m != "parameters"]
        names = [operation["operationId"] for operation in operations]
        assert len(set(names)) == len(names)

    played(scene, tmp_path)
