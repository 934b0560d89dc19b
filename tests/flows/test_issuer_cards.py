"""The issuer makes health cards: management, FHIR's operation, the holder's page, revocation afterwards."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.flows.card_stage import BORN, BUNDLE, CARDS, FAMILY, GIVEN, LOT, SUBJECT, Stage, bundle, card_stage
from tests.flows.small_wallet import ISSUER, NOW
from tests.pki import Authority, pem

from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.formats import health_card
from safeconduct.formats.health_card import CardClaims, carriers, findings
from safeconduct.protocols import health_cards_issue
from safeconduct.services import signing_keys
from safeconduct.services.issuer import opening
from safeconduct.settings import KeyPlace, SettingsError

DAY = 86400
Scene = Callable[[Stage], Awaitable[None]]


def play(folder: Path, scene: Scene, **settings: Any) -> None:
    async def main() -> None:
        async with card_stage(folder, **settings) as stage:
            await scene(stage)

    asyncio.run(main())


def claims_of(jws: str) -> CardClaims:
    return health_card.parse(jws).unverified_claims()


def resources(claims: CardClaims) -> dict[str, Mapping[str, Any]]:
    return {entry["resource"]["resourceType"]: entry["resource"] for entry in claims.bundle["entry"]}


# Management.


def test_a_bundle_becomes_a_card_that_verifiers_accept(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        made = await stage.make()
        claims = claims_of(made["jws"])
        assert (claims.issuer, claims.nbf, claims.expires) == (CARDS, NOW, None)
        assert claims.rid is not None
        assert len(claims.rid) <= 24
        assert resources(claims)["Patient"]["name"][0]["family"] == FAMILY
        assert await stage.verdict(made["jws"]) == "valid"
        assert made.keys() == {"jws", "file"}
        file = base64.b64decode(made["file"]["data"])
        assert made["file"]["media_type"] == "application/smart-health-card"
        assert json.loads(file) == {"verifiableCredential": [made["jws"]]}

    play(tmp_path, scene)


def test_a_card_is_made_small_unless_it_shall_stay_as_it_is(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        small = claims_of((await stage.make())["jws"])
        errors = [
            found.code for found in findings.of_payload(small.payload, now=NOW) if found.severity != "note"
        ]
        assert errors == []
        whole = claims_of((await stage.make(minimise=False))["jws"])
        assert whole.bundle == BUNDLE

    play(tmp_path, scene)


def test_what_is_asked_for_with_a_card(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        kinds = ["https://smarthealth.cards#immunization"]
        for form, start in (("svg", b"<?xml"), ("png", b"\x89PNG")):
            made = await stage.make(qr=form, expires_at=NOW + DAY, types=kinds)
            picture = base64.b64decode(made["qr"]["data"])
            assert picture.startswith(start)
            assert carriers.unwrap(picture).cards == (made["jws"],)
        claims = claims_of(made["jws"])
        assert claims.expires == NOW + DAY
        assert {*kinds} <= {*claims.types}
        stage.house.clock.now += 2 * DAY
        assert await stage.verdict(made["jws"]) == "expired"

    play(tmp_path, scene)


def test_one_rid_for_a_subject_and_others_for_others(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        rids = [claims_of((await stage.make(subject=name))["jws"]).rid for name in ("a", "a", "b")]
        assert rids[0] == rids[1] != rids[2]

    play(tmp_path, scene)


def test_revoked_cards_of_a_subject_and_new_ones_after_that(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        old = (await stage.make())["jws"]
        other = (await stage.make(subject="another"))["jws"]
        assert await stage.verdict(old) == "valid"
        await stage.revoke(SUBJECT)
        assert await stage.verdict(old) == "revoked"
        assert await stage.verdict(other) == "valid"
        new = (await stage.make())["jws"]
        assert await stage.verdict(new) == "valid"

    play(tmp_path, scene)


NOISE = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(60)]
LONG = bundle(
    entry=[
        *BUNDLE["entry"],
        *(
            {"fullUrl": f"urn:{n}", "resource": {"resourceType": "Observation", "valueString": n}}
            for n in NOISE
        ),
    ]
)
"""A bundle that does not fit into a QR code, also compressed."""

REFUSED: Mapping[str, tuple[dict[str, Any], int, str]] = {
    "no subject": ({"subject": ""}, 400, "message_malformed"),
    "no bundle": ({"bundle": {"resourceType": "Patient"}}, 400, "card_fhir_malformed"),
    "an empty bundle": ({"bundle": bundle(entry=[])}, 400, "card_fhir_malformed"),
    "no bundle, as it is": ({"bundle": {"resourceType": "Patient"}, "minimise": False}, 400, "card_bundle"),
    "in the past": ({"expires_at": NOW - 1}, 400, "card_times"),
    "another member": ({"rid": "x"}, 400, "message_malformed"),
    "an odd picture": ({"qr": "gif"}, 400, "message_malformed"),
    "too long for a QR code": ({"qr": "svg", "bundle": LONG}, 400, "card_qr_too_long"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_is_refused(tmp_path: Path, name: str) -> None:
    members, status, code = REFUSED[name]

    async def scene(stage: Stage) -> None:
        answer = await stage.ask(**members)
        assert (answer.status, answer.json().get("code")) == (status, code)
        for value in (FAMILY, SUBJECT, LOT):
            assert value.encode() not in answer.body

    play(tmp_path, scene)


def test_an_issuer_that_makes_no_cards_says_so(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask()
        assert (answer.status, answer.json()["code"]) == (409, "cards_off")
        answer = await stage.operation("1")
        assert (answer.status, answer.json()["resourceType"]) == (409, "OperationOutcome")
        assert not (stage.folder / "card-key.pem").exists()

    play(tmp_path, scene, card_issuer="")


def test_a_key_that_cannot_sign_cards_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "wrong.pem").write_text(Key.generate("ES384").to_pem(private=True))

    async def scene(_stage: Stage) -> None:
        raise AssertionError("it started")

    with pytest.raises(SettingsError, match="card_signing_key"):
        play(tmp_path, scene, card_signing_key=KeyPlace(tmp_path / "wrong.pem"))


def test_a_new_key_signs_once_it_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`safeconduct key rotate` puts it into the file; the sweep that finds it makes it known first."""
    keeping: list[opening.Housekeeping] = []

    class Caught(opening.Housekeeping):
        def __init__(self, *tenants: Any, **arguments: Any) -> None:
            super().__init__(*tenants, **arguments)
            keeping.append(self)

    monkeypatch.setattr(opening, "Housekeeping", Caught)

    async def scene(stage: Stage) -> None:
        old = (await stage.make())["jws"]
        signing_keys.rotate(tmp_path / "card-key.pem", overlap=DAY, now=stage.house.clock.now)
        await keeping[0].sweep()
        second = (await stage.make())["jws"]
        assert health_card.parse(second).kid == health_card.parse(old).kid
        tree = await stage.publish()
        assert len(health_card.read_key_set((tree / "jwks.json").read_bytes()).keys) == 2
        await keeping[0].sweep()
        new = (await stage.make())["jws"]
        assert health_card.parse(new).kid != health_card.parse(old).kid
        assert [await stage.verdict(jws) for jws in (old, second, new)] == ["valid"] * 3
        await stage.revoke(SUBJECT)
        assert [await stage.verdict(jws) for jws in (old, second, new)] == ["revoked"] * 3

    play(tmp_path, scene)


def test_certificates_of_the_key_are_published(tmp_path: Path) -> None:
    key = Key.generate("ES256")
    (tmp_path / "own.pem").write_text(key.to_pem(private=True))
    (tmp_path / "chain.pem").write_text(pem(*Authority.root().chain(key, uris=[CARDS])))

    async def scene(stage: Stage) -> None:
        made = (await stage.make())["jws"]
        tree = await stage.publish()
        (found,) = health_card.read_key_set((tree / "jwks.json").read_bytes()).keys
        assert len(found.chains) == 1
        assert await stage.verdict(made) == "valid"

    play(
        tmp_path,
        scene,
        card_signing_key=KeyPlace(tmp_path / "own.pem"),
        card_certificate=tmp_path / "chain.pem",
    )


# FHIR's operation.


def write_bundles(folder: Path, **bundles: Any) -> str:
    place = folder / "bundles"
    place.mkdir()
    for name, content in bundles.items():
        (place / f"{name}.json").write_bytes(json.dumps(content))
    return str(place)


def test_a_patients_cards(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.operation("p1")
        assert answer.status == 200
        assert answer.content_type == "application/fhir+json"
        found = health_cards_issue.read_response(answer.body)
        (jws,) = found.cards
        assert await stage.verdict(jws) == "valid"
        assert [(link.card, link.bundled, link.hosted) for link in found.links] == [
            (0, "resource:0", "https://fhir.example/Patient/1"),
            (0, "resource:1", "https://fhir.example/Immunization/2"),
        ]
        await stage.revoke("p1")
        assert await stage.verdict(jws) == "revoked"

    play(tmp_path, scene, card_bundles=write_bundles(tmp_path, p1=BUNDLE))


def test_several_cards_of_a_patient(tmp_path: Path) -> None:
    place = Path(write_bundles(tmp_path))
    (place / "p1").mkdir()
    for name in ("a", "b"):
        (place / "p1" / f"{name}.json").write_bytes(json.dumps(BUNDLE))

    async def scene(stage: Stage) -> None:
        found = health_cards_issue.read_response((await stage.operation("p1")).body)
        assert len(found.cards) == 2
        assert {link.card for link in found.links} == {0, 1}

    play(tmp_path, scene, card_bundles=str(place))


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (("Immunization",), 1),
        (("#immunization",), 1),
        (("https://smarthealth.cards#immunization", "Patient"), 1),
        (("Immunization", "Observation"), 0),
        (("#laboratory",), 0),
        (("https://smarthealth.cards#covid19",), 0),
    ],
)
def test_several_types_are_a_conjunction(tmp_path: Path, wanted: tuple[str, ...], count: int) -> None:
    async def scene(stage: Stage) -> None:
        body = health_cards_issue.write_request(health_cards_issue.Request(types=wanted))
        answer = await stage.operation("p1", body=body)
        assert len(health_cards_issue.read_response(answer.body).cards) == count
        if not count:
            assert answer.json() == {"resourceType": "Parameters"}

    play(tmp_path, scene, card_bundles=write_bundles(tmp_path, p1=BUNDLE))


def test_only_what_is_asked_for_is_said_of_the_patient(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        asked = [
            {"name": "includeIdentityClaim", "valueString": name}
            for name in ("Patient.name", "Patient.birthDate")
        ]
        (jws,) = health_cards_issue.read_response((await stage.operation("p1", *asked)).body).cards
        assert resources(claims_of(jws))["Patient"].keys() == {"resourceType", "name", "birthDate"}
        (jws,) = health_cards_issue.read_response((await stage.operation("p1")).body).cards
        assert "telecom" in resources(claims_of(jws))["Patient"]

    play(tmp_path, scene, card_bundles=write_bundles(tmp_path, p1=BUNDLE))


@pytest.mark.parametrize(
    "patient", ["nobody", ".", "..", "%2e%2e%2fsecret", "p1%00", "x" * 65, "%F0%9F%98%80", "p1.json"]
)
def test_a_patient_who_is_not_known_has_no_cards(tmp_path: Path, patient: str) -> None:
    (tmp_path / "secret.json").write_bytes(json.dumps(BUNDLE))

    async def scene(stage: Stage) -> None:
        answer = await stage.operation(patient)
        assert answer.status in (200, 404)
        assert b"verifiableCredential" not in answer.body

    play(tmp_path, scene, card_bundles=write_bundles(tmp_path, p1=BUNDLE))


BROKEN: Mapping[str, bytes] = {
    "no JSON": b"{",
    "two members of one name": b'{"resourceType":"Bundle","resourceType":"Bundle"}',
    "no object": b"[]",
    "too large": b'{"resourceType":"Bundle","x":"' + b"x" * 300_000 + b'"}',
    "too deep": b'{"entry":' + b"[" * 100 + b"]" * 100 + b"}",
    "a concept without a code": json.dumps(
        bundle(entry=[{"resource": {"resourceType": "Immunization", "vaccineCode": {"text": "a vaccine"}}}])
    ),
    "one URL twice": json.dumps(bundle(entry=BUNDLE["entry"][:1] + BUNDLE["entry"] * 2)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told_without_its_content(tmp_path: Path, name: str) -> None:
    place = Path(write_bundles(tmp_path))
    (place / "p1.json").write_bytes(BROKEN[name])

    async def scene(stage: Stage) -> None:
        answer = await stage.operation("p1")
        outcome = answer.json()
        assert (answer.status, outcome["resourceType"]) == (503, "OperationOutcome")
        assert outcome["issue"][0]["code"] == "transient"

    play(tmp_path, scene, card_bundles=str(place))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "json_malformed"),
        (b'{"resourceType":"Parameters"}', "card_type_asked_missing"),
        (b'{"resourceType":"Bundle"}', "card_parameters_malformed"),
        (b'{"resourceType":"Parameters","parameter":[{"name":"x"}]}', "card_parameter_unsupported"),
    ],
)
def test_an_operation_that_is_refused_has_an_outcome(tmp_path: Path, body: bytes, code: str) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.operation("p1", body=body)
        assert (answer.status, answer.content_type) == (400, "application/fhir+json")
        (issue,) = answer.json()["issue"]
        assert issue["details"]["coding"][0]["code"] == code

    play(tmp_path, scene, card_bundles=write_bundles(tmp_path, p1=BUNDLE))


def test_the_operation_is_for_bearers_of_the_token(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        url = "https://admin.example/fhir/Patient/p1/$health-cards-issue"
        answer = await stage.house.fetcher.request("POST", url, headers={}, content=b"{}")
        assert answer.status == 401

    play(tmp_path, scene, card_bundles=write_bundles(tmp_path, p1=BUNDLE))


# The holder's page.


def links_in(page: bytes) -> list[str]:
    return re.findall(r'(?:src|href|action)="([^"]*)"', page.decode())


def test_a_holder_gets_the_card_on_a_page(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        made = await stage.make(link=True)
        url = made["link"]["url"]
        assert re.fullmatch(rf"{ISSUER}/cards/[A-Za-z0-9_-]{{43}}", url)
        assert made["link"].keys() == {"link_id", "url", "expires_in"}
        first = await stage.page(url)
        assert first.status == 200
        for value in (FAMILY, BORN, LOT, "<svg"):  # previews and mail scanners open links
            assert value.encode() not in first.body
        shown = await stage.page(url, action="show")
        for value in (FAMILY, GIVEN, BORN, "Immunization", "<svg"):
            assert value.encode() in shown.body
        assert LOT.encode() not in shown.body
        file = await stage.page(url, action="file")
        assert file.content_type == "application/smart-health-card"
        assert file.headers["content-disposition"] == 'attachment; filename="health-card.smart-health-card"'
        assert carriers.unwrap(file.body).cards == (made["jws"],)

    play(tmp_path, scene)


def test_the_code_on_the_page_is_the_card(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        made = await stage.make(link=True)
        page = (await stage.page(made["link"]["url"], action="show")).body
        svg = page[page.index(b"<svg") : page.index(b"</svg>") + 6]
        size = re.search(rb'viewBox="0 0 (\d+) (\d+)"', svg)
        assert size is not None
        sized = svg.replace(size[0], b'width="%s" height="%s"' % (size[1], size[2]))
        assert carriers.unwrap(sized).cards == (made["jws"],)

    play(tmp_path, scene)


def test_pages_have_no_script_and_fetch_nothing(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        url = (await stage.make(link=True))["link"]["url"]
        for page in (
            await stage.page(url),
            await stage.page(url, action="show"),
            await stage.page(f"{ISSUER}/cards/x"),
        ):
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "form-action 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["referrer-policy"] == "no-referrer"
            assert b"<script" not in page.body
            assert b"style=" not in page.body.split(b"</style>")[1]
            assert b"@media print" in page.body
            assert {*links_in(page.body)} <= {url.removeprefix(ISSUER)}
        file = await stage.page(url, action="file")
        assert file.headers["cache-control"] == "no-store"

    play(tmp_path, scene)


def test_a_card_too_long_for_a_code_is_still_a_file(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        url = (await stage.make(link=True, bundle=LONG))["link"]["url"]
        page = await stage.page(url, action="show")
        assert page.status == 200
        assert b"too long for one QR code" in page.body
        assert b"Observation (60)" in page.body
        assert (await stage.page(url, action="file")).status == 200

    play(tmp_path, scene)


def test_what_a_bundle_says_is_no_markup(tmp_path: Path) -> None:
    evil = copy_with_name('</dd><script>alert(1)</script><img src="https://evil.example/x">')

    async def scene(stage: Stage) -> None:
        url = (await stage.make(link=True, bundle=evil))["link"]["url"]
        page = await stage.page(url, action="show")
        assert b"<script" not in page.body
        assert b"<img" not in page.body
        assert b"&lt;script&gt;" in page.body

    play(tmp_path, scene)


ODD_NAMES: tuple[Any, ...] = (
    None, [], {}, "x", [None], [{}], [{"given": 1}], [{"given": [1, None], "family": []}],
    [{"text": {"a": 1}}], [{"text": "x" * 5000}], [{"family": "a\u0000b\u202e\U0001f600"}],
    [{"given": ["x"] * 500}] * 50,
)  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES, ids=range(len(ODD_NAMES)))
def test_a_page_comes_of_any_bundle(tmp_path: Path, name: Any) -> None:
    odd = bundle(
        entry=[{"resource": {"resourceType": "Patient", "name": name, "birthDate": 7}}, *BUNDLE["entry"]]
    )

    async def scene(stage: Stage) -> None:
        url = (await stage.make(link=True, bundle=odd, minimise=False))["link"]["url"]
        page = await stage.page(url, action="show")
        assert page.status == 200
        assert len(page.body) < 60_000

    play(tmp_path, scene)


def copy_with_name(text: str) -> dict[str, Any]:
    patient = {"resourceType": "Patient", "name": [{"text": text}]}
    return bundle(entry=[{"fullUrl": "urn:x", "resource": patient}])


def test_a_link_works_until_it_expires(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        made = await stage.make(link=True)
        assert made["link"]["expires_in"] == 2 * DAY
        url = made["link"]["url"]
        stage.house.clock.now += 2 * DAY - 1
        assert (await stage.page(url)).status == 200
        assert (await stage.page(url, action="show")).status == 200
        stage.house.clock.now += 1
        for page in (
            await stage.page(url),
            await stage.page(url, action="show"),
            await stage.page(url, action="file"),
        ):
            assert page.status == 404
            assert b"does not work" in page.body

    play(tmp_path, scene, card_link_lifetime=2 * DAY)


def test_a_holder_removes_the_card(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        url = (await stage.make(link=True))["link"]["url"]
        assert b"removed" in (await stage.page(url, action="remove")).body
        assert (await stage.page(url, action="show")).status == 404

    play(tmp_path, scene)


def test_management_takes_a_link_back(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        link = (await stage.make(link=True))["link"]
        path = f"/cards/links/{link['link_id']}"
        assert (await stage.house.manage("DELETE", path)).status == 204
        assert (await stage.page(link["url"])).status == 404
        assert (await stage.house.manage("DELETE", path)).json()["code"] == "card_link_unknown"

    play(tmp_path, scene)


@pytest.mark.parametrize("secret", ["x", "A" * 43, "A" * 44, "%00" * 43, "..%2f..%2fadmin", "é" * 43])
def test_a_link_that_nobody_made(tmp_path: Path, secret: str) -> None:
    async def scene(stage: Stage) -> None:
        for page in (
            await stage.page(f"{ISSUER}/cards/{secret}"),
            await stage.page(f"{ISSUER}/cards/{secret}", action="show"),
        ):
            assert page.status == 404

    play(tmp_path, scene)


def test_a_code_is_asked_for_and_few_wrong_ones_are_taken(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        made = await stage.make(code=True)
        url, code = made["link"]["url"], made["link"]["code"]
        assert re.fullmatch(r"\d{6}", code)
        assert b'name="code"' in (await stage.page(url)).body
        wrong = "000000" if code != "000000" else "000001"
        for _ in range(2):
            for fields in ({"code": wrong}, {"code": ""}, {}):
                page = await stage.page(url, action="show", **fields)
                assert page.status == 403
                assert FAMILY.encode() not in page.body
        page = await stage.page(url, action="show", code=f" {code[:3]} {code[3:]}")
        assert FAMILY.encode() in page.body
        assert (await stage.page(url, action="file", code=code)).status == 200
        assert (await stage.page(url, action="remove", code=wrong)).status == 403
        assert (await stage.page(url, action="show", code=code)).status == 404  # that was the last one

    play(tmp_path, scene, tx_code_attempts=7)


def test_a_link_is_good_at_its_own_issuer_only(tmp_path: Path) -> None:
    """What is stored is sealed for one issuer; see also the paths of tenants."""

    async def scene(stage: Stage) -> None:
        url = (await stage.make(link=True))["link"]["url"]
        assert (await stage.page(url.replace("/cards/", "/other/cards/"))).status == 404

    play(tmp_path, scene)
