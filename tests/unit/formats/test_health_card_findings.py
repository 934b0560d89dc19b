"""What is said of a card beside its verdict, what it looks like inside, and as a W3C credential."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from safeconduct import Key
from safeconduct.errors import SafeconductError
from safeconduct.formats import health_card
from safeconduct.formats.health_card import files, findings, inspection, vc
from safeconduct.formats.inspected import Node

NOW = 1_700_000_000
ISSUER = "https://issuer.example"
KEY = Key.generate("ES256")
BUNDLE = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [{"fullUrl": "resource:0", "resource": {"resourceType": "Patient", "birthDate": "1951-01-20"}}],
}


def _claims(**others: Any) -> dict[str, Any]:
    return {**json.loads(health_card.payload(BUNDLE, issuer=ISSUER, now=NOW - 10)), **others}


def _vc(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    claims = _claims()
    change(claims["vc"])
    return claims


def _with_resource(kind: str) -> dict[str, Any]:
    claims = _claims()
    claims["vc"]["credentialSubject"]["fhirBundle"] = {
        **BUNDLE,
        "entry": [{"fullUrl": "resource:0", "resource": {"resourceType": kind, "status": "final"}}],
    }
    return claims


def test_nothing_is_said_of_a_good_card() -> None:
    card = health_card.parse(health_card.issue(BUNDLE, issuer=ISSUER, key=KEY, now=NOW - 10))
    assert findings.of_card(card, _claims(), now=NOW) == ()


@pytest.mark.parametrize(
    ("claims", "code", "severity", "path"),
    [
        (_claims(nbf=NOW + 1), "not_yet_valid", "warning", "nbf"),
        (_claims(nbf=NOW * 1000), "card_nbf_milliseconds", "warning", "nbf"),
        (_claims(exp=NOW - 1), "expired", "warning", "exp"),
        (_claims(exp=(NOW + 9) * 1000), "card_exp_milliseconds", "warning", "exp"),
        (_claims(nbf=NOW - 1.5, exp=NOW + 0.5), None, "", ""),
        (_vc(lambda vc: vc.update({"@context": []})), "card_vc_context", "warning", "vc.@context"),
        (_vc(lambda vc: vc["type"].clear()), "card_type_missing", "error", "vc.type"),
        (
            _vc(lambda vc: vc["type"].append("VerifiableCredential")),
            "card_type_unneeded",
            "warning",
            "vc.type",
        ),
        (
            _vc(lambda vc: vc["type"].append("https://smarthealth.cards#covid19")),
            *("card_type_old", "note", "vc.type"),
        ),
        (_with_resource("Immunization"), "card_type_old_absent", "note", "vc.type"),
        (_with_resource("Observation"), "card_type_old_absent", "note", "vc.type"),
        (
            _vc(lambda vc: vc["credentialSubject"].update(fhirVersion="R4")),
            *("card_fhir_version", "warning", "vc.credentialSubject.fhirVersion"),
        ),
        (
            _vc(lambda vc: vc["credentialSubject"]["fhirBundle"].update(id="x")),
            *("card_fhir_id", "warning", "vc.credentialSubject.fhirBundle.id"),
        ),
    ],
)
def test_a_rule_that_is_not_kept_is_said(
    claims: dict[str, Any], code: str | None, severity: str, path: str
) -> None:
    said = [
        (finding.code, finding.severity, finding.path) for finding in findings.of_payload(claims, now=NOW)
    ]
    assert said == ([] if code is None else [(code, severity, path)])


def test_a_card_that_expires_before_it_is_valid_is_said_to_do_so() -> None:
    said = findings.of_payload(_claims(nbf=NOW - 10, exp=NOW - 20), now=NOW)
    assert [(finding.code, finding.severity) for finding in said] == [
        ("expired", "warning"),
        ("card_times", "error"),
    ]


@pytest.mark.parametrize(
    "claims", [{}, {"vc": 1}, {"vc": {"type": 1, "credentialSubject": []}}, {"nbf": "x", "exp": None}]
)
def test_what_is_no_payload_is_not_looked_into(claims: dict[str, Any]) -> None:
    assert {finding.code for finding in findings.of_payload(claims, now=NOW)} == {
        "card_type_missing",
        "card_fhir_malformed",
    }


@pytest.mark.parametrize(
    ("payload", "codes"),
    [
        (b'{"a":"b c","d":"\\" \\\\"}', []),
        (b'{"a": 1}', ["card_not_minified"]),
        (b'{"a":1}\n', ["card_trailing_space"]),
        (b'{"a":"\\"" }', ["card_not_minified"]),
    ],
)
def test_white_space_in_a_payload_is_said(payload: bytes, codes: list[str]) -> None:
    assert [finding.code for finding in findings.of_payload_text(payload)] == codes


def test_what_is_said_of_a_card_counts_its_length_and_white_space() -> None:
    pretty = json.dumps(_claims(nbf=NOW - 10)).encode()
    card = health_card.parse(health_card.sign_payload(pretty, key=KEY))
    assert [finding.code for finding in findings.of_card(card, _claims(), now=NOW)] == ["card_not_minified"]
    assert [finding.code for finding in findings.of_length(1196)] == ["card_jws_long"]
    assert findings.of_length(1195) == ()


def _names(node: Node) -> list[str]:
    return [node.name, *(name for child in node.children for name in _names(child))]


def test_a_card_is_shown_with_what_is_to_be_said_of_it() -> None:
    card = health_card.issue({**BUNDLE, "id": "x"}, issuer=ISSUER, key=KEY, now=NOW - 10, rid="abc")
    seen = inspection.inspect(card.encode(), now=NOW)
    assert (seen.kind, seen.verified, seen.counts) == ("health card", False, {"warning": 1})
    shown, said = seen.parts
    assert {"header", "kid", "claims", "iss", "rid", "fhirBundle", "birthDate", "signature"} <= {
        *_names(shown)
    }
    assert _names(said) == ["findings", "card_fhir_id"]


def test_several_cards_a_payload_and_a_bundle_are_shown() -> None:
    card = health_card.issue(BUNDLE, issuer=ISSUER, key=KEY, now=NOW - 10)
    seen = inspection.inspect(files.write([card, "x.y.z"]), now=NOW)
    assert [part.name for part in seen.parts] == ["card 1", "card 2", "findings"]
    assert seen.counts == {"error": 1}
    assert inspection.inspect(json.dumps(_claims()).encode(), now=NOW).kind == "payload of a health card"
    bundle = inspection.inspect(json.dumps(BUNDLE).encode() + b" \n", now=NOW)
    assert (bundle.kind, bundle.counts) == ("FHIR bundle", {"error": 1})
    assert inspection.inspect(b'{"a": 1}', now=NOW).kind == "JSON that is no health card"


def test_a_card_that_breaks_is_shown_as_far_as_it_goes() -> None:
    header, _, signature = health_card.issue(BUNDLE, issuer=ISSUER, key=KEY, now=NOW).split(".")
    seen = inspection.inspect(f"{header}.AAAA.{signature}".encode(), now=NOW)
    assert {"header", "claims", "card_deflate_malformed"} <= {
        name for part in seen.parts for name in _names(part)
    }


def test_nothing_shown_can_be_obeyed_by_a_terminal() -> None:
    seen = inspection.inspect(json.dumps({"vc": {"\x1b[31m": "\x1b[32m"}}).encode(), now=NOW)
    assert "\x1b" not in repr(seen)


def test_a_card_maps_to_a_credential_of_the_w3c() -> None:
    card = health_card.issue(
        BUNDLE, issuer=ISSUER, key=KEY, now=1_687_450_764.656, expires=1_900_000_000, rid="abc"
    )
    credential = vc.to_vc(health_card.parse(card).unverified_claims())
    assert credential == {
        "@context": [
            "https://www.w3.org/2018/credentials/v1",
            {
                "@vocab": "https://smarthealth.cards#",
                "fhirBundle": {"@id": "https://smarthealth.cards#fhirBundle", "@type": "@json"},
            },
        ],
        "type": ["VerifiableCredential", "https://smarthealth.cards#health-card"],
        "issuer": ISSUER,
        "issuanceDate": "2023-06-22T16:19:24.656000Z",
        "expirationDate": "2030-03-17T17:46:40Z",
        "credentialSubject": {"fhirVersion": "4.0.1", "fhirBundle": BUNDLE},
        "rid": "abc",
    }


def test_a_time_without_a_date_has_no_place_in_such_a_credential() -> None:
    card = health_card.issue(BUNDLE, issuer=ISSUER, key=KEY, now=NOW, expires=1e18)
    with pytest.raises(SafeconductError) as caught:
        vc.to_vc(health_card.parse(card).unverified_claims())
    assert caught.value.code == "card_times"
