"""Bundles for `$health-cards-issue`: from another server, and which of them are meant."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.services.issuer.stand_ins import Server, fetchers, refusing

from safeconduct.encoding import json
from safeconduct.errors import Rejected
from safeconduct.net.fetch import Response
from safeconduct.services.issuer.card_sources import (
    MOST_CARDS,
    BundleRequest,
    BundleSource,
    FolderBundles,
    has_types,
    open_bundle_source,
)
from safeconduct.services.issuer.signature import SIGNATURE_HEADER, verify
from safeconduct.settings import IssuerSettings, Secret, SettingsError

NOW = 1_800_000_000
URL = "https://records.example/bundles"
SECRET = Secret("secret-of-the-records-server")
BUNDLE = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Immunization"}}]}
ASKED = BundleRequest(
    patient="p1", types=("Immunization",), value_sets=("https://v.example",), since="2021-03"
)


def answer(status: int, body: bytes, kind: str = "application/json") -> Response:
    return Response(status=status, headers={"content-type": kind}, body=body)


def source(server: Server | Any, **settings: Any) -> BundleSource:
    chosen = IssuerSettings(**{"card_bundles": URL, "card_bundles_secret": SECRET, **settings})
    found = open_bundle_source(chosen, fetchers=fetchers(server), clock=lambda: NOW)
    assert found is not None
    return found


def bundles(of: BundleSource) -> tuple[dict[str, Any], ...]:
    return asyncio.run(of.bundles(ASKED))


def test_another_server_is_asked_signed_and_answers() -> None:
    server = Server(lambda _url, _headers, _body: answer(200, json.dumps({"bundles": [BUNDLE]})))
    assert bundles(source(server)) == (BUNDLE,)
    ((url, headers, body),) = server.received
    assert url == URL
    assert json.loads(body) == {
        "patient": "p1",
        "credential_types": ["Immunization"],
        "value_sets": ["https://v.example"],
        "since": "2021-03",
    }
    verify(SECRET, headers[SIGNATURE_HEADER], body, now=NOW)


def test_without_a_secret_nothing_is_signed() -> None:
    server = Server(lambda _url, _headers, _body: answer(404, b""))
    assert bundles(source(server, card_bundles_secret=None)) == ()
    assert SIGNATURE_HEADER not in server.received[0][1]


def test_what_was_not_asked_for_is_left_out() -> None:
    """A server that looks at no type still gives nobody more than was asked."""
    other = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Observation"}}]}
    server = Server(lambda _url, _headers, _body: answer(200, json.dumps({"bundles": [other, BUNDLE]})))
    assert bundles(source(server)) == (BUNDLE,)


@pytest.mark.parametrize("patient", ["", "p/1", "p 1", "p_1", "x" * 65, "p1\n"])
def test_another_server_is_not_asked_for_what_is_no_id(patient: str) -> None:
    server = Server(lambda _url, _headers, _body: answer(200, json.dumps({"bundles": [BUNDLE]})))
    wanted = msgspec.structs.replace(ASKED, patient=patient)
    assert asyncio.run(source(server).bundles(wanted)) == ()
    assert server.received == []


NOT_ANSWERS: Mapping[str, Response] = {
    "an error": answer(500, b"{}"),
    "a redirect": answer(302, b"{}"),
    "another type": answer(200, b'{"bundles":[]}', "text/html"),
    "no JSON": answer(200, b"{"),
    "no object": answer(200, b"[]"),
    "no list": answer(200, b'{"bundles":{}}'),
    "no objects": answer(200, b'{"bundles":["x"]}'),
    "another member": answer(200, b'{"bundles":[],"x":1}'),
    "too many": answer(200, json.dumps({"bundles": [{}] * (MOST_CARDS + 1)})),
}


@pytest.mark.parametrize("name", NOT_ANSWERS)
def test_what_another_server_may_not_answer(name: str) -> None:
    with pytest.raises(Rejected) as refused:
        bundles(source(Server(lambda _url, _headers, _body: NOT_ANSWERS[name])))
    assert refused.value.code == "source_unavailable"


def test_a_server_near_is_asked_only_where_a_setting_says_so() -> None:
    near = Server(lambda _url, _headers, _body: answer(200, b'{"bundles":[]}'))
    chosen = IssuerSettings(card_bundles=URL, card_bundles_private=True)
    found = open_bundle_source(chosen, fetchers=fetchers(refusing, near), clock=lambda: NOW)
    assert found is not None
    assert bundles(found) == ()
    assert len(near.received) == 1


def test_without_a_setting_there_is_no_source() -> None:
    assert open_bundle_source(IssuerSettings(), fetchers=fetchers(refusing), clock=lambda: NOW) is None


def test_a_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected a folder"):
        FolderBundles(tmp_path / "none")


def test_a_folder_gives_no_more_cards_than_are_made_at_once(tmp_path: Path) -> None:
    (tmp_path / "p1").mkdir()
    for number in range(MOST_CARDS + 3):
        (tmp_path / "p1" / f"{number:02}.json").write_bytes(json.dumps(BUNDLE))
    assert len(bundles(FolderBundles(tmp_path))) == MOST_CARDS


@pytest.mark.parametrize(
    "entry", [None, 1, {}, [], [None], [{}], [{"resource": 1}], [{"resource": {"resourceType": []}}]]
)
def test_odd_bundles_have_no_types(entry: Any) -> None:
    assert not has_types({"entry": entry}, ("Immunization",))
