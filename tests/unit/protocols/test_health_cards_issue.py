"""`$health-cards-issue`: the request and the answer, both FHIR Parameters."""

import json
from typing import Any

import pytest

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.protocols import health_cards_issue as operation

REQUEST = {
    "resourceType": "Parameters",
    "parameter": [
        {"name": "credentialType", "valueUri": "https://smarthealth.cards#immunization"},
        {"name": "credentialType", "valueUri": "Observation"},
        {"name": "credentialValueSet", "valueUri": "https://terminology.example/vs"},
        {"name": "includeIdentityClaim", "valueString": "Patient.name"},
        {"name": "_since", "valueDateTime": "2023-05-01"},
    ],
}


def _request(*parameters: Any) -> bytes:
    return json.dumps({"resourceType": "Parameters", "parameter": list(parameters)}).encode()


def test_a_request_says_which_cards_are_wanted() -> None:
    request = operation.read_request(json.dumps(REQUEST).encode())
    assert request == operation.Request(
        types=("https://smarthealth.cards#immunization", "Observation"),
        value_sets=("https://terminology.example/vs",),
        identity_claims=("Patient.name",),
        since="2023-05-01",
    )
    assert request.resource_types == ("Immunization", "Observation")
    assert json.loads(operation.write_request(request)) == REQUEST


def test_the_old_names_of_types_mean_resources() -> None:
    names = ("#immunization", "#laboratory", "https://smarthealth.cards#laboratory", "Coverage")
    assert operation.Request(types=names).resource_types == (
        *("Immunization", "Observation", "Observation", "Coverage"),
    )


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{}", "card_parameters_malformed"),
        (b'{"resourceType":"Bundle"}', "card_parameters_malformed"),
        (b'{"resourceType":"Parameters","parameter":{}}', "card_parameters_malformed"),
        (b'{"resourceType":"Parameters"}', "card_type_asked_missing"),
        (_request({"name": "_since", "valueDateTime": "2023"}), "card_type_asked_missing"),
        (_request(1), "card_parameters_malformed"),
        (_request({"valueUri": "Immunization"}), "card_parameters_malformed"),
        (_request({"name": "credentialType"}), "card_parameters_malformed"),
        (_request({"name": "credentialType", "valueUri": ""}), "card_parameters_malformed"),
        (_request({"name": "credentialType", "valueUri": 1}), "card_parameters_malformed"),
        (
            _request({"name": "credentialType", "valueUri": "a", "valueString": "b"}),
            "card_parameters_malformed",
        ),
        (_request({"name": "credentialType", "valueInteger": 1}), "card_parameters_malformed"),
        (
            _request({"name": "credentialType", "valueUri": "a"}, {"name": "_format", "valueString": "json"}),
            "card_parameter_unsupported",
        ),
        (
            _request(
                {"name": "credentialType", "valueUri": "a"},
                {"name": "_since", "valueDateTime": "2023"},
                {"name": "_since", "valueDateTime": "2024"},
            ),
            "card_parameters_malformed",
        ),
        (b"[]", "json_not_object"),
    ],
)
def test_any_other_request_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(SafeconductError) as caught:
        operation.read_request(data)
    assert caught.value.code == code


def test_an_answer_carries_cards_and_where_their_resources_are() -> None:
    answer = operation.Response(
        cards=("a.b.c", "d.e.f"),
        links=(
            operation.ResourceLink(
                bundled="resource:2", hosted="https://fhir.example/Immunization/1", card=1
            ),
            operation.ResourceLink(bundled="resource:0", hosted="https://fhir.example/Patient/1"),
        ),
    )
    data = operation.write_response(answer)
    assert json.loads(data)["parameter"][2] == {
        "name": "resourceLink",
        "part": [
            {"name": "vcIndex", "valueInteger": 1},
            {"name": "bundledResource", "valueUri": "resource:2"},
            {"name": "hostedResource", "valueUri": "https://fhir.example/Immunization/1"},
        ],
    }
    assert operation.read_response(data) == answer
    assert "a.b.c" not in repr(answer)


def test_an_answer_without_cards_has_no_parameters() -> None:
    data = operation.write_response(operation.Response())
    assert data == b'{"resourceType":"Parameters"}'
    assert operation.read_response(data) == operation.Response()


def test_what_an_answer_says_besides_is_ignored() -> None:
    data = _request(
        {"name": "other", "valueString": "x"}, {"name": "verifiableCredential", "valueString": "a.b.c"}
    )
    assert operation.read_response(data).cards == ("a.b.c",)


def _link(*parts: Any) -> dict[str, Any]:
    return {"name": "resourceLink", "part": list(parts)}


BUNDLED = {"name": "bundledResource", "valueUri": "resource:0"}
HOSTED = {"name": "hostedResource", "valueUri": "https://fhir.example/Patient/1"}


@pytest.mark.parametrize(
    "parameter",
    [
        {"name": "verifiableCredential"},
        {"name": "verifiableCredential", "valueString": 1},
        {"name": "resourceLink"},
        _link(BUNDLED),
        _link(HOSTED),
        _link(BUNDLED, BUNDLED, HOSTED),
        _link(BUNDLED, HOSTED, {"name": "vcIndex", "valueInteger": -1}),
        _link(BUNDLED, HOSTED, {"name": "vcIndex", "valueInteger": True}),
        _link(BUNDLED, HOSTED, {"name": "vcIndex", "valueInteger": "0"}),
        _link(BUNDLED, HOSTED, {"name": "vcIndex", "valueInteger": 0}),
    ],
)
def test_any_other_answer_is_malformed(parameter: Any) -> None:
    with pytest.raises(SafeconductError) as caught:
        operation.read_response(_request(parameter))
    assert caught.value.code == "card_parameters_malformed"


def test_more_than_twice_CARD_FILE_CARDS_parameters_are_not_read() -> None:
    card = {"name": "verifiableCredential", "valueString": "a.b.c"}
    assert operation.read_response(_request(*[card] * (2 * limits.CARD_FILE_CARDS)))
    with pytest.raises(SafeconductError) as caught:
        operation.read_response(_request(*[card] * (2 * limits.CARD_FILE_CARDS + 1)))
    assert caught.value.code == "card_parameters_malformed"
