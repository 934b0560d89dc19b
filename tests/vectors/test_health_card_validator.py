"""The cases of the framework's own validator: each is valid here too, or has an error of its class.

The classes and the codes that answer them are listed in docs/rules/health-cards.md. SMART Health Links are
not cards; their cases are refused as what they are.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safeconduct.errors import SafeconductError
from safeconduct.formats import health_card
from safeconduct.formats.health_card import carriers, fhir, findings
from safeconduct.formats.health_card.finding import Finding
from safeconduct.protocols import health_cards_issue
from safeconduct.status.card_revocation.lists import RevocationLists

NOW = 1_700_000_000
ISSUER = "https://spec.smarthealth.cards/examples/issuer"
CASES = 57

CLASSES = {
    "EXPIRATION_ERROR": {"expired", "card_times", "card_exp_milliseconds"},
    "FHIR_SCHEMA_ERROR": {"card_fhir_meta", "card_fhir_coding", "card_fhir_empty"},
    "INFLATION_ERROR": {"card_deflate_malformed"},
    "INVALID_ISSUER_URL": {"card_issuer_url"},
    "INVALID_KEY_X5C": {"card_issuer_url"},
    "INVALID_NUMERIC_QR": {"card_qr_digits"},
    "INVALID_NUMERIC_QR_HEADER": {"card_qr_header"},
    "INVALID_QR": {"card_qr_segments", "card_qr_digits"},
    "INVALID_QR_VERSION": {"card_qr_version_unneeded"},
    "ISSUER_KEY_DOWNLOAD_ERROR": {"card_issuer_untrusted"},
    "ISSUER_KID_MISMATCH": {"card_issuer_untrusted"},
    "JWS_HEADER_ERROR": {"algorithm_unsupported", "card_header_malformed"},
    "JWS_TOO_LONG": {"card_jws_long"},
    "JWS_VERIFICATION_ERROR": {
        *("signature_invalid", "card_issuer_untrusted", "algorithm_unsupported", "card_header_malformed")
    },
    "MISSING_QR_CHUNK": {"card_qr_chunk_missing"},
    "NOT_YET_VALID": {"not_yet_valid"},
    "QR_CHUNKING_DEPRECATED": {"card_qr_chunked", "card_qr_chunk_missing", "card_qr_header"},
    "QR_DECODE_ERROR": {"card_qr_unreadable"},
    "REVOCATION_ERROR": {"card_status_unknown"},
    "SCHEMA_ERROR": {
        *("card_type_missing", "card_type_unneeded", "card_type_old_absent"),
        *("card_fhir_meta", "card_fhir_id", "card_fhir_display", "card_fhir_concept_text"),
    },
    "SIGNATURE_FORMAT_ERROR": {"signature_invalid"},
    "TRAILING_CHARACTERS": {"card_trailing_space", "json_malformed"},
}
"""The codes that answer each class of the validator. A fault that keeps a card from being read at all is
reported alone, where the validator goes on and reports what follows from it as well."""

COUNTED = {110: {"card_fhir_reference"}, 5: {"card_fhir_meta", "card_fhir_id", "card_fhir_display"}}
"""What the cases with a bare count are about: example 02 refers to 55 resources that are not in its bundle,
of each of which the validator's FHIR schema complains twice."""

KINDS = {"jws", "healthcard", "qrnumeric", "qr", "jwspayload", "fhirbundle", "fhirhealthcard"}
WITHOUT_A_FILE = {"Cards: CRL with invalid rid (base64)", "Cards: CRL with invalid rid (too long)"}


class Case(msgspec.Struct, frozen=True):
    """A case of the manifest."""

    name: str
    type: str
    files: list[str]
    expected_errors: int | list[str]
    expected_warnings: int | list[str]
    options: dict[str, Any]


@pytest.fixture(scope="module")
def folder(vectors: Path) -> Path:
    return vectors / "health-card"


@pytest.fixture(scope="module")
def cases(folder: Path) -> list[Case]:
    manifest = json.loads((folder / "validator-cases/manifest.json").read_text("utf-8"))
    return msgspec.convert(manifest["cases"], list[Case])


@pytest.fixture(scope="module")
def trust(folder: Path) -> health_card.CardTrust:
    """The issuer of the examples, and another whose key signs a card in the first one's name."""
    keys = health_card.read_key_set((folder / "spec-examples/issuer/.well-known/jwks.json").read_bytes())
    other = health_card.read_key_set(
        (folder / "validator-cases/issuer.jwks.public.not.smart.json").read_bytes()
    )
    issuers = {ISSUER: keys, "https://other.example": other}
    return health_card.CardTrust(issuers=issuers, pinned=None, directories=())


def test_every_case_of_the_manifest_is_played(cases: list[Case]) -> None:
    assert len(cases) == CASES
    assert {case.type for case in cases} - KINDS == {"shlink", "shlpayload", "shlfile"}


@pytest.mark.parametrize("number", range(CASES))
def test_a_case_is_judged_as_the_validator_does(
    number: int, cases: list[Case], folder: Path, trust: health_card.CardTrust
) -> None:
    case = cases[number]
    if case.type not in KINDS:
        _refused_as_no_card(case, folder)
        return
    if case.name in WITHOUT_A_FILE:
        _broken_list(case, folder, trust)
        return
    said = list(_said(case, folder, trust))
    codes = {finding.code for finding in said}

    _expect(case.expected_errors, codes)
    _expect(case.expected_warnings, codes)
    if case.expected_errors == 0:
        assert [finding for finding in said if finding.severity == "error"] == []
    if case.expected_errors == case.expected_warnings == 0:
        assert [finding for finding in said if finding.severity != "note"] == []


def _expect(expected: int | list[str], codes: set[str]) -> None:
    for name in expected if isinstance(expected, list) else ():
        assert codes & CLASSES[name], name
    if isinstance(expected, int) and expected > 1:
        assert COUNTED[expected] <= codes


def _said(case: Case, folder: Path, trust: health_card.CardTrust) -> Iterator[Finding]:
    """Findings, and errors as findings."""
    data = [(folder / name).read_bytes() for name in case.files]
    try:
        if case.type == "fhirbundle":
            yield from _of_text(data[0])
            yield from fhir.examine(json.loads(data[0]))
        elif case.type == "jwspayload":
            yield from _of_text(data[0])
            yield from findings.of_payload(health_card.open_claims(data[0]).payload, now=NOW)
        else:
            carried = _carried(case, data)
            yield from carried.findings
            for card in carried.cards:
                yield from _of_card(card, trust)
    except SafeconductError as error:
        yield _as_finding(error)


def _carried(case: Case, data: list[bytes]) -> carriers.Carried:
    if case.type == "fhirhealthcard":
        return carriers.Carried("file", health_cards_issue.read_response(data[0]).cards)
    carried = carriers.unwrap(*data)
    assert carried.kind == {"qrnumeric": "qr", "qr": "image", "healthcard": "file", "jws": "jws"}[case.type]
    return carried


def _of_text(data: bytes) -> Iterator[Finding]:
    """The examples are written to be read, so that white space within them is no fault."""
    said = findings.of_payload_text(data)
    yield from (finding for finding in said if finding.code == "card_trailing_space")


def _of_card(card: str, trust: health_card.CardTrust) -> Iterator[Finding]:
    open_policy = health_card.CardPolicy(status="fail-open")
    try:
        health_card.verify(card, trust=trust, status=None, policy=open_policy, now=NOW)
    except SafeconductError as error:
        yield _as_finding(error)
    yield from health_card.judge(
        card, trust=trust, status=None, policy=open_policy, now=NOW, findings=True
    ).findings


def _as_finding(error: SafeconductError) -> Finding:
    return Finding(error.code, "error", error.reason)


def _refused_as_no_card(case: Case, folder: Path) -> None:
    with pytest.raises(SafeconductError) as caught:
        carriers.unwrap(*[(folder / name).read_bytes() for name in case.files])
    assert caught.value.code in {"card_shlink_unsupported", "card_file_malformed"}


def _broken_list(case: Case, folder: Path, trust: health_card.CardTrust) -> None:
    """The vectors lack the files of these two cases: their lists are made here as their names say."""
    assert not any((folder / name).exists() for name in case.files)
    card = (folder / "spec-examples/example-00-d-jws.txt").read_text("ascii").strip()
    rid = "not/base64url" if "base64" in case.name else "A" * 25
    kid = health_card.parse(card).kid
    broken = json.dumps({"kid": kid, "method": "rid", "ctr": 1, "rids": [rid]}).encode()
    lists = RevocationLists()
    lists.read(broken, issuer=ISSUER)

    judgement = health_card.judge(card, trust=trust, status=lists, now=NOW)

    assert judgement.verdict == "unknown"
    assert judgement.code in CLASSES["REVOCATION_ERROR"]
    assert judgement.status is not None
    assert judgement.status.reason == "malformed"
