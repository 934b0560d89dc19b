"""What the issuer keeps and writes of health cards: nothing of the bundle, the subject, the rid or the link.

Not in its log, its metrics or its answers to management beyond the card itself; in its database only behind
secrets that it does not keep.
"""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.flows.card_stage import BORN, BUNDLE, CARDS, FAMILY, GIVEN, LOT, SUBJECT, Stage, card_stage
from tests.services.live import ADMIN_TOKEN, Live, live_issuer
from tests.services.test_hostile_requests import Answer, asked

from safeconduct.crypto import aead
from safeconduct.encoding import json
from safeconduct.formats import health_card
from safeconduct.settings import KeyPlace
from safeconduct.telemetry import logs

PATIENT = "patient-0815-4711"
BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PERSONAL = (FAMILY, GIVEN, BORN, LOT, SUBJECT, PATIENT)


# The log and the metrics.


def seen_by_the_operator(folder: Path) -> tuple[str, set[str]]:
    """Log and metrics of an issuer that was asked for cards in every way, and all that is to be secret."""
    bundles = folder / "bundles"
    bundles.mkdir()
    (bundles / f"{PATIENT}.json").write_bytes(json.dumps(BUNDLE))
    (bundles / f"{PATIENT}-broken.json").write_bytes(json.dumps(BUNDLE)[:-1])
    with live_issuer(
        folder,
        card_issuer=CARDS,
        card_signing_key=KeyPlace(folder / "card.pem"),
        card_bundles=str(bundles),
    ) as site:
        secrets = {*PERSONAL, *_cards(site), *_operations(site), *_refused(site)}
        metrics = asked(site.admin, "GET", "/metrics").body.decode()
        return site.log.getvalue() + metrics, secrets


def _cards(site: Live) -> Iterator[str]:
    made = _make(site, link=True, code=True, qr="svg").members
    yield from _secrets_of(made["jws"])
    link, code = made["link"]["url"].rpartition("/")[2], made["link"]["code"]
    yield from (link, made["link"]["link_id"])
    path = f"/cards/{link}"
    assert asked(site.public, "GET", path).status == 200
    assert asked(site.public, "POST", path, body=b"code=nonsense", headers=FORM).status == 403
    for action in ("show", "file", "remove"):
        body = f"code={code}&action={action}".encode()
        assert asked(site.public, "POST", path, body=body, headers=FORM).status == 200
    assert asked(site.public, "GET", path).status == 404
    assert (
        asked(site.admin, "DELETE", f"/cards/links/{made['link']['link_id']}", headers=BEARER).status == 404
    )


def _operations(site: Live) -> Iterator[str]:
    body = b'{"resourceType":"Parameters","parameter":[{"name":"credentialType","valueUri":"Immunization"}]}'
    headers = {**BEARER, "Content-Type": "application/fhir+json"}
    for patient, status in ((PATIENT, 200), (f"{PATIENT}-broken", 503), (f"{PATIENT}%2f..", 404)):
        path = f"/fhir/Patient/{patient}/$health-cards-issue"
        answer = asked(site.admin, "POST", path, body=body, headers=headers)
        assert answer.status == status
        if status == 200:
            (card,) = answer.members["parameter"][:1]
            yield from _secrets_of(card["valueString"])


def _refused(site: Live) -> Iterator[str]:
    for members in ({"qr": FAMILY}, {"expires_at": 1}, {FAMILY: LOT}, {"bundle": {FAMILY: LOT}}):
        assert _make(site, **members).status == 400
    yield FAMILY


def _make(site: Live, **members: Any) -> Answer:
    body = json.dumps({"bundle": BUNDLE, "subject": SUBJECT, **members})
    return asked(
        site.admin, "POST", "/cards", body=body, headers={**BEARER, "Content-Type": "application/json"}
    )


def _secrets_of(jws: str) -> Iterator[str]:
    rid = health_card.parse(jws).unverified_claims().rid
    assert rid is not None
    yield from (rid, *jws.split("."))


def found(text: str, secrets: set[str]) -> set[str]:
    return {secret for secret in secrets if secret in text}


def test_the_operator_sees_no_person_card_or_link(tmp_path: Path) -> None:
    text, secrets = seen_by_the_operator(tmp_path)
    assert found(text, secrets) == set()
    assert '"dropped"' not in text
    for route in (
        "/cards/{secret}",
        "/fhir/Patient/{patient_id}/$health-cards-issue",
        "/cards/links/{link_id}",
    ):
        assert f'"route":"{route}"' in text.replace(": ", ":")


def test_that_test_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With raw paths for routes and a log that lets everything pass, people and links are seen."""
    monkeypatch.setattr("safeconduct.web.middleware.route", lambda scope: scope["path"])
    monkeypatch.setattr(logs.Log, "_keep_allowed", lambda _self, _logger, _level, given: given)
    text, secrets = seen_by_the_operator(tmp_path)
    assert PATIENT in found(text, secrets)
    assert any(re.fullmatch(r"[A-Za-z0-9_-]{43}", secret) for secret in found(text, secrets))


# The database.


def in_database(folder: Path) -> bytes:
    return b"".join(page.read_bytes() for page in folder.glob("issuer.db*"))


def kept(folder: Path, **settings: Any) -> tuple[bytes, set[str]]:
    """All bytes of the database while a card waits behind a link, and what is to be in none of them."""

    async def scene(stage: Stage) -> set[str]:
        made = await stage.make(link=True, code=True)
        header, payload, signature = made["jws"].split(".")
        link = made["link"]
        return {*PERSONAL, header, payload, signature, link["url"].rpartition("/")[2]}

    async def main() -> tuple[bytes, set[str]]:
        async with card_stage(folder, **settings) as stage:
            secrets = await scene(stage)
            return in_database(folder), secrets

    return asyncio.run(main())


def test_the_database_holds_a_waiting_card_sealed(tmp_path: Path) -> None:
    data, secrets = kept(tmp_path)
    assert {secret for secret in secrets if secret.encode() in data} == set()


def test_that_test_of_the_database_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aead, "seal", lambda _id, _key, _nonce, plain, _aad=b"": (plain, bytes(16)))
    data, secrets = kept(tmp_path)
    assert len([secret for secret in secrets if secret.encode() in data]) == 3  # the card's parts


def test_a_card_is_gone_with_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safeconduct.services.issuer import opening

    keeping: list[opening.Housekeeping] = []

    class Caught(opening.Housekeeping):
        def __init__(self, *tenants: Any, **arguments: Any) -> None:
            super().__init__(*tenants, **arguments)
            keeping.append(self)

    monkeypatch.setattr(opening, "Housekeeping", Caught)
    monkeypatch.setattr(aead, "seal", lambda _id, _key, _nonce, plain, _aad=b"": (plain, bytes(16)))

    async def main() -> None:
        async with card_stage(tmp_path, card_link_lifetime=600) as stage:
            jws = (await stage.make(link=True))["jws"]
            for seconds, there in ((599, True), (1, False)):
                stage.house.clock.now += seconds
                await keeping[0].sweep()
                data = in_database(tmp_path)
                assert (jws.encode() in data) is there

    asyncio.run(main())
