"""FHIR bundles: what is said of them, and made small for QR codes."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.formats.health_card import fhir


def _small() -> dict[str, Any]:
    """A bundle as a QR code may hold it."""
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {
                "fullUrl": "resource:0",
                "resource": {
                    "resourceType": "Patient",
                    "name": [{"family": "Anyperson", "given": ["J", "B"]}],
                },
            },
            {
                "fullUrl": "resource:1",
                "resource": {
                    "resourceType": "Immunization",
                    "meta": {"security": [{"system": "https://s.example", "code": "IAL1.2"}]},
                    "status": "completed",
                    "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "207"}]},
                    "patient": {"reference": "resource:0"},
                    "performer": [{"actor": {"display": "ABC General Hospital"}}],
                    "note": [{"text": "a note is no concept"}],
                },
            },
        ],
    }


def _from_a_server() -> dict[str, Any]:
    """The same as a FHIR server has it."""
    bundle = _small()
    bundle = {"resourceType": "Bundle", "id": "b", "meta": {"lastUpdated": "2021-01-01"}, **bundle}
    patient, immunization = bundle["entry"]
    patient["fullUrl"] = "https://fhir.example/Patient/12"
    patient["resource"] |= {
        "id": "12",
        "meta": {"versionId": "3"},
        "text": {"status": "generated", "div": "<div/>"},
    }
    patient["resource"]["telecom"] = []
    immunization["fullUrl"] = "urn:uuid:4fe8a6e6-7b5f-4b7e-9c3e-2b1d3f1c1a11"
    immunization["resource"]["id"] = "7"
    immunization["resource"]["meta"]["profile"] = ["https://p.example"]
    immunization["resource"]["meta"]["security"][0]["display"] = "level"
    immunization["resource"]["vaccineCode"]["text"] = "a vaccine"
    immunization["resource"]["vaccineCode"]["coding"][0]["display"] = "a vaccine"
    immunization["resource"]["patient"]["reference"] = "Patient/12"
    return bundle


def test_what_a_server_has_becomes_what_a_qr_code_may_hold() -> None:
    given = _from_a_server()
    before = copy.deepcopy(given)

    assert fhir.minimise(given) == _small()
    assert given == before, "the bundle that was given has changed"
    assert fhir.examine(fhir.minimise(given)) == ()


def test_a_small_bundle_keeps_its_very_text() -> None:
    assert json.dumps(fhir.minimise(_small())) == json.dumps(_small())


def test_references_within_a_resource_keep_what_they_lead_to() -> None:
    bundle = _small()
    resource = bundle["entry"][1]["resource"]
    resource["contained"] = [{"resourceType": "Location", "id": "here", "text": {"div": "x"}, "name": "Here"}]
    resource["location"] = {"reference": "#here"}
    small = fhir.minimise(bundle)["entry"][1]["resource"]
    assert small["contained"] == [{"resourceType": "Location", "id": "here", "name": "Here"}]
    assert small["location"] == {"reference": "#here"}


def test_a_reference_out_of_the_bundle_is_kept_and_remarked() -> None:
    bundle = _small()
    bundle["entry"][1]["resource"]["location"] = {"reference": "Location/9"}
    small = fhir.minimise(bundle)
    assert small["entry"][1]["resource"]["location"] == {"reference": "Location/9"}
    assert [finding.code for finding in fhir.examine(small)] == ["card_fhir_reference"]


def test_an_id_that_two_entries_share_names_neither() -> None:
    bundle = _from_a_server()
    bundle["entry"].append(
        copy.deepcopy(bundle["entry"][0]) | {"fullUrl": "https://other.example/Patient/12"}
    )
    assert fhir.minimise(bundle)["entry"][1]["resource"]["patient"] == {"reference": "Patient/12"}


def test_positions_of_primitives_are_kept_for_their_extensions() -> None:
    bundle = _small()
    name = bundle["entry"][0]["resource"]["name"][0]
    name |= {"given": ["J", None], "_given": [None, {"extension": [{"url": "u", "valueCode": "masked"}]}]}
    small = fhir.minimise(bundle)["entry"][0]["resource"]["name"][0]
    assert (small["given"], small["_given"]) == (name["given"], name["_given"])


def test_terminology_keeps_its_displays() -> None:
    bundle = _small()
    concepts = {"resourceType": "CodeSystem", "id": "c", "concept": [{"code": "a", "display": "A"}]}
    bundle["entry"][0]["resource"] = concepts
    assert fhir.minimise(bundle)["entry"][0]["resource"] == {
        "resourceType": "CodeSystem",
        "concept": [{"code": "a", "display": "A"}],
    }


@pytest.mark.parametrize(
    "element",
    [
        {"vaccineCode": {"text": "only words"}},
        {"vaccineCode": {"coding": [], "text": "only words"}},
        {"vaccineCode": {"coding": [{"display": "only words"}]}},
        {"reasonCode": [{"text": "only words"}]},
    ],
)
def test_the_only_meaning_of_a_concept_is_not_left_out(element: dict[str, Any]) -> None:
    bundle = _small()
    bundle["entry"][1]["resource"] |= element
    with pytest.raises(SafeconductError) as caught:
        fhir.minimise(bundle)
    assert caught.value.code == "card_fhir_text_alone"
    assert "words" not in str(caught.value).replace("in words", "")


def test_two_entries_of_one_url_are_not_told_apart() -> None:
    bundle = _small()
    bundle["entry"][1]["fullUrl"] = "resource:0"
    with pytest.raises(SafeconductError) as caught:
        fhir.minimise(bundle)
    assert caught.value.code == "card_fhir_url_duplicate"
    assert [finding.code for finding in fhir.examine(bundle)] == ["card_fhir_url_duplicate"]


@pytest.mark.parametrize(
    "bundle",
    [
        {},
        {"resourceType": "Patient"},
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "entry": []},
        {"resourceType": "Bundle", "entry": {}},
        {"resourceType": "Bundle", "entry": [1]},
        {"resourceType": "Bundle", "entry": [{"resource": []}]},
        {"resourceType": "Bundle", "entry": [{"resource": {"id": "a"}}]},
    ],
)
def test_what_is_no_bundle_of_resources_is_malformed(bundle: dict[str, Any]) -> None:
    with pytest.raises(SafeconductError) as caught:
        fhir.minimise(bundle)
    assert caught.value.code == "card_fhir_malformed"
    assert "card_fhir_malformed" in {finding.code for finding in fhir.examine(bundle)}


def _nested(depth: int) -> dict[str, Any]:
    return {"extension": [_nested(depth - 1)]} if depth else {"url": "u"}


def _contained(depth: int) -> dict[str, Any]:
    return {"contained": [_contained(depth - 1)] if depth else [{"resourceType": "A"}], "resourceType": "A"}


@pytest.mark.parametrize("make", [_nested, _contained])
@pytest.mark.parametrize("depth", [limits.JSON_DEPTH, 300])
def test_elements_go_no_deeper_than_json_may(make: Callable[[int], dict[str, Any]], depth: int) -> None:
    bundle = _small()
    bundle["entry"][0]["resource"] |= make(depth)
    with pytest.raises(SafeconductError) as caught:
        fhir.minimise(bundle)
    assert caught.value.code == "card_fhir_malformed"
    assert [finding.code for finding in fhir.examine(bundle)] == ["card_fhir_malformed"]


def _immunization(bundle: dict[str, Any]) -> dict[str, Any]:
    resource: dict[str, Any] = bundle["entry"][1]["resource"]
    return resource


RESOURCE = "entry[1].resource"


@pytest.mark.parametrize(
    ("change", "code", "severity", "path"),
    [
        (lambda b: b.update(id="x"), "card_fhir_id", "warning", "id"),
        (lambda b: _immunization(b).update(id="x"), "card_fhir_id", "warning", f"{RESOURCE}.id"),
        (lambda b: _immunization(b).update(meta="x"), "card_fhir_meta", "warning", f"{RESOURCE}.meta"),
        (lambda b: _immunization(b)["meta"].update(tag=[]), "card_fhir_meta", "warning", f"{RESOURCE}.meta"),
        (
            lambda b: _immunization(b)["meta"].update(security=[{"badKey": "x"}]),
            *("card_fhir_coding", "error", f"{RESOURCE}.meta.security"),
        ),
        (
            lambda b: _immunization(b)["meta"].update(security=[{"code": 1}]),
            *("card_fhir_coding", "error", f"{RESOURCE}.meta.security"),
        ),
        (
            lambda b: _immunization(b)["meta"]["security"][0].update(display="x"),
            *("card_fhir_display", "warning", f"{RESOURCE}.meta.security"),
        ),
        (
            lambda b: _immunization(b).update(text={"div": "x"}),
            "card_fhir_narrative",
            "warning",
            f"{RESOURCE}.text",
        ),
        (
            lambda b: _immunization(b)["vaccineCode"].update(text="x"),
            *("card_fhir_concept_text", "warning", f"{RESOURCE}.vaccineCode.text"),
        ),
        (
            lambda b: _immunization(b)["vaccineCode"]["coding"][0].update(display="x"),
            *("card_fhir_display", "warning", f"{RESOURCE}.vaccineCode.coding[0].display"),
        ),
        (
            lambda b: b["entry"][1].update(fullUrl="urn:uuid:1"),
            "card_fhir_url",
            "warning",
            "entry[1].fullUrl",
        ),
        (lambda b: b["entry"][1].pop("fullUrl"), "card_fhir_url", "warning", "entry[1].fullUrl"),
        (
            lambda b: _immunization(b)["patient"].update(reference="Patient/1"),
            *("card_fhir_reference", "warning", f"{RESOURCE}.patient.reference"),
        ),
        (
            lambda b: _immunization(b)["patient"].update(reference="resource:9"),
            *("card_fhir_reference", "warning", f"{RESOURCE}.patient.reference"),
        ),
        (
            lambda b: _immunization(b).update(lotNumber=""),
            "card_fhir_empty",
            "error",
            f"{RESOURCE}.lotNumber",
        ),
        (
            lambda b: _immunization(b).update(reasonCode=[]),
            "card_fhir_empty",
            "error",
            f"{RESOURCE}.reasonCode",
        ),
        (lambda b: _immunization(b).update(patient={}), "card_fhir_empty", "error", f"{RESOURCE}.patient"),
        (lambda b: b["entry"].append({}), "card_fhir_malformed", "error", "entry[2]"),
    ],
)
def test_a_rule_for_bundles_that_is_not_kept_is_said(
    change: Callable[[dict[str, Any]], Any], code: str, severity: str, path: str
) -> None:
    bundle = _small()
    assert fhir.examine(bundle) == ()
    change(bundle)
    said = fhir.examine(bundle)
    assert [(finding.code, finding.severity, finding.path) for finding in said] == [(code, severity, path)]


def test_what_is_said_repeats_no_value_and_no_odd_name() -> None:
    bundle = _small()
    _immunization(bundle)["Erika Mustermann\n"] = {"id": ""}
    (said,) = fhir.examine(bundle, path="vc.bundle")
    assert said.path == f"vc.bundle.{RESOURCE}.?.id"
    assert "Erika" not in repr(said)


def test_FHIR_FINDINGS_things_are_said_at_most() -> None:
    bundle = _small()
    bundle["entry"] += [{} for _ in range(limits.FHIR_FINDINGS - 1)]
    assert len(fhir.examine(bundle)) == limits.FHIR_FINDINGS - 1
    bundle["entry"] += [{} for _ in range(10)]
    said = fhir.examine(bundle)
    assert len(said) == limits.FHIR_FINDINGS
    assert said[-1].code == "card_findings_many"
