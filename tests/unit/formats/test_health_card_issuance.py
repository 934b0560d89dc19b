"""Issuing: what is issued verifies, and what a verifier would refuse is not issued."""

import json
from typing import Any

import pytest
from tests.negative.health_card_builder import BUNDLE, ISSUER, KEY, KID, NOW, TRUST

from safeconduct import health_card, limits
from safeconduct.crypto.keys import Key
from safeconduct.errors import SafeconductError
from safeconduct.formats.health_card.claims import FHIR_VERSION


def issue(bundle: Any = BUNDLE, **changes: Any) -> str:
    return health_card.issue(bundle, **{"issuer": ISSUER, "key": KEY, "now": NOW, **changes})


def refused(bundle: Any = BUNDLE, **changes: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        issue(bundle, **changes)
    return error.value.code


def test_a_card_says_what_was_given() -> None:
    card = health_card.verify(
        issue(rid="abc", expires=NOW + 5.5, types=["https://smarthealth.cards#immunization"]),
        trust=TRUST,
        status=None,
        now=NOW,
    )
    claims = card.claims
    assert (card.issuer, card.kid, card.bundle) == (ISSUER, KID, BUNDLE)
    assert (claims.nbf, claims.expires, claims.rid) == (NOW, NOW + 5.5, "abc")
    assert claims.types == ("https://smarthealth.cards#health-card", "https://smarthealth.cards#immunization")
    assert claims.fhir_version == FHIR_VERSION


def test_a_card_is_minified_compressed_and_named_by_its_key() -> None:
    parsed = health_card.parse(issue(now=NOW + 0.25))
    assert parsed.header == {"zip": "DEF", "alg": "ES256", "kid": KID}
    payload = parsed.unverified_payload()
    assert payload == json.dumps(json.loads(payload), separators=(",", ":")).encode()
    assert json.loads(payload)["nbf"] == NOW + 0.25
    assert [*json.loads(payload)] == ["iss", "nbf", "vc"]
    assert len(parsed.compressed) < len(payload)


def test_letters_of_every_script_stay_as_they_are() -> None:
    named = {**BUNDLE, "entry": [{"resource": {"resourceType": "Patient", "name": [{"family": "Łódź 😀"}]}}]}
    assert "Łódź 😀".encode() in health_card.parse(issue(named)).unverified_payload()
    assert health_card.verify(issue(named), trust=TRUST, status=None, now=NOW).bundle == named


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": "http://issuer.example"}, "card_issuer_url"),
        ({"issuer": ISSUER + "/"}, "card_issuer_url"),
        ({"rid": "a.1"}, "card_rid_malformed"),
        ({"rid": ""}, "card_rid_malformed"),
        ({"rid": "a" * 25}, "card_rid_malformed"),
        ({"expires": NOW}, "card_times"),
        ({"expires": NOW - 1}, "card_times"),
        ({"key": Key.generate("ES384")}, "card_key_algorithm"),
        ({"key": Key.generate("Ed25519")}, "card_key_algorithm"),
        ({"bundle": {"resourceType": "Patient"}}, "card_bundle"),
        ({"bundle": {}}, "card_bundle"),
        ({"bundle": {**BUNDLE, "x": "a" * limits.CARD_PAYLOAD_BYTES}}, "json_too_large"),
    ],
)
def test_a_card_that_no_verifier_would_accept_is_not_issued(changes: dict[str, Any], code: str) -> None:
    assert refused(**changes) == code


def test_a_card_that_is_too_long_for_verifiers_is_not_issued() -> None:
    import secrets

    noise = {**BUNDLE, "x": secrets.token_hex(limits.TOKEN_BYTES)}
    assert refused(noise) == "jws_too_large"


def test_a_bundle_that_is_too_deep_is_not_issued() -> None:
    deep: Any = 0
    for _ in range(limits.CARD_DEPTH):
        deep = [deep]
    assert refused({**BUNDLE, "x": deep}) == "json_too_deep"


def test_a_payload_that_somebody_else_made_is_checked_before_it_is_signed() -> None:
    payload = health_card.payload(BUNDLE, issuer=ISSUER, now=NOW)
    assert health_card.parse(health_card.sign_payload(payload, key=KEY)).unverified_payload() == payload
    with pytest.raises(SafeconductError) as error:
        health_card.sign_payload(payload.replace(b"https://smarthealth", b"http://smarthealth"), key=KEY)
    assert error.value.code == "card_type_missing"
