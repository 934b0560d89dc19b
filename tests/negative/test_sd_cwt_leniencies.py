"""Each leniency: off it rejects, on it accepts its own departure, and on it accepts nothing else."""

from collections.abc import Mapping
from typing import Any

import cbor2
import pytest
from cbor2 import CBORTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.negative.builder import (
    DECOY,
    FIRST_DATE,
    GOOD,
    IAT,
    LICENCE,
    REDACTED,
    REGION,
    SECOND_DATE,
    SHOWN,
    Presentation,
    check_issued,
    code_of,
    present,
    raw_digest,
    verify,
)

from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_cwt
from safeconduct.formats.redaction import Decoys, Redacted
from safeconduct.trust import AeadKey

KEY = bytes(16)
SEALED = AESGCM(KEY).encrypt(KEY, cbor2.dumps(LICENCE), b"")

RAW = GOOD.claiming(
    {
        502: [CBORTag(60, raw_digest(FIRST_DATE)), CBORTag(60, raw_digest(SECOND_DATE)), 1674004740],
        503: {"country": "us", REDACTED: [raw_digest(REGION)]},
        REDACTED: [raw_digest(LICENCE), raw_digest(DECOY)],
    }
)

DEPARTURES: Mapping[str, tuple[Presentation, str]] = {
    "raw-digest": (RAW, "disclosure_unreferenced"),
    "kcwt-bstr": (GOOD.but(kcwt=cbor2.dumps), "kcwt_malformed"),
    "kcwt-untagged": (GOOD.but(kcwt=lambda token: token.value), "kcwt_malformed"),
    "old-media-types": (GOOD.headed({16: "application/sd+cwt"}), "sd_cwt_typ"),
    "aead-nonce-16": (
        GOOD.showing(FIRST_DATE, REGION).but(unprotected={171: [[KEY, SEALED[:-16], SEALED[-16:]]]}),
        "aead_entry_malformed",
    ),
}
"""What each leniency of a presentation accepts, and the code without it."""

BEFORE_ISSUANCE: Mapping[str, tuple[Any, Any, str]] = {
    "decoy-tag-61": ({CBORTag(61, 1): None}, {Decoys(1, 1): None}, "claim_key"),
    "tag-58-on-value": ({700: CBORTag(58, [1])}, {700: Redacted([1])}, "claim_value"),
}


def code_with(presentation: Presentation, accept: set[str]) -> str | None:
    try:
        verify(presentation, accept=frozenset(accept), aead_keys=(AeadKey(KEY),))
    except SafeconductError as error:
        return error.code
    return None


def test_every_leniency_is_tested_here() -> None:
    assert {*DEPARTURES, *BEFORE_ISSUANCE} == set(sd_cwt.LENIENCIES)


@pytest.mark.parametrize("name", DEPARTURES)
def test_a_departure_is_rejected_by_default_and_by_every_other_leniency(name: str) -> None:
    departure, code = DEPARTURES[name]
    assert code_with(departure, set()) == code
    assert code_with(departure, set(sd_cwt.LENIENCIES) - {name}) == code


@pytest.mark.parametrize("name", DEPARTURES)
def test_a_leniency_accepts_its_departure_with_the_same_claims(name: str) -> None:
    departure, _ = DEPARTURES[name]
    shown = verify(departure, accept=frozenset({name}), aead_keys=(AeadKey(KEY),))
    assert shown.claims.wire == SHOWN


@pytest.mark.parametrize("name", DEPARTURES)
def test_a_leniency_accepts_no_other_departure(name: str) -> None:
    for other, (departure, code) in DEPARTURES.items():
        if other != name:
            assert code_with(departure, {name}) == code
    assert code_with(GOOD, {name}) is None


@pytest.mark.parametrize("name", sd_cwt.LENIENCIES)
def test_a_leniency_weakens_no_other_check(name: str) -> None:
    departure = DEPARTURES[name][0] if name in DEPARTURES else GOOD
    accept = {name}
    assert code_with(departure.but(issuer_key=GOOD.holder_key), accept) == "signature_invalid"
    assert code_with(departure.but(holder_key=GOOD.issuer_key), accept) == "signature_invalid"
    assert code_with(departure.binding({39: b"x"}), accept) == "nonce_mismatch"
    assert code_with(departure.binding({3: "x"}), accept) == "kbt_audience_mismatch"
    assert code_with(departure.headed({16: 294}), accept) == "sd_cwt_typ"
    assert code_with(departure.binding_headed({16: 293}), accept) == "kbt_typ"
    assert code_with(departure.claiming({8: ...}), accept) == "claim_missing"
    stray = departure.showing(*departure.disclosures, cbor2.dumps([KEY, "x", "stray"]))
    assert code_with(stray, accept) == "disclosure_unreferenced"


def test_raw_digest_reads_wrapped_digests_too_but_no_disclosure_twice() -> None:
    accept = {"raw-digest"}
    assert code_with(GOOD, accept) is None
    mixed = GOOD.claiming({REDACTED: [*GOOD.claims[REDACTED], raw_digest(LICENCE)]})
    assert verify(mixed, accept=frozenset(accept)).claims.wire == SHOWN
    assert code_with(RAW.showing(*RAW.disclosures, LICENCE), accept) == "disclosure_duplicate"


def test_kcwt_bstr_holds_exactly_one_token() -> None:
    accept = {"kcwt-bstr"}
    assert (
        code_with(GOOD.but(kcwt=lambda token: cbor2.dumps(token) + b"\x00"), accept) == "cbor_trailing_bytes"
    )
    twice = GOOD.but(kcwt=lambda token: cbor2.dumps(cbor2.dumps(token)))
    assert code_with(twice, accept) == "kcwt_malformed"
    untagged = GOOD.but(kcwt=lambda token: cbor2.dumps(token.value))
    assert code_with(untagged, accept) == "kcwt_malformed"
    assert code_with(untagged, {*accept, "kcwt-untagged"}) is None


def test_kcwt_untagged_accepts_no_other_tag() -> None:
    other = GOOD.but(kcwt=lambda token: CBORTag(17, token.value))
    assert code_with(other, {"kcwt-untagged"}) == "cose_malformed"


def test_old_media_types_are_those_of_the_SD_CWT_alone() -> None:
    accept = {"old-media-types"}
    assert code_with(GOOD.headed({16: "application/sd+cwt2"}), accept) == "sd_cwt_typ"
    assert code_with(GOOD.headed({16: "sd+cwt"}), accept) == "sd_cwt_typ"


def test_the_holder_may_accept_the_same_departures() -> None:
    issued = RAW.showing(LICENCE, FIRST_DATE, SECOND_DATE, REGION, DECOY)
    accept = frozenset({"raw-digest"})
    assert check_issued(issued, accept=accept).claims[501] == "ABCD-123456"
    shown = present(issued, accept=accept)
    assert verify(shown, accept=accept).claims[501] == "ABCD-123456"
    assert code_of(shown) == "disclosure_unreferenced"


@pytest.mark.parametrize("name", BEFORE_ISSUANCE)
def test_a_departure_before_issuance_is_read_under_its_leniency_alone(name: str) -> None:
    claims, expected, code = BEFORE_ISSUANCE[name]
    encoded = cbor2.dumps(claims)
    assert sd_cwt.read_preissued(encoded, accept={name}) == expected
    for accept in (set(), set(sd_cwt.LENIENCIES) - {name}):
        with pytest.raises(SafeconductError) as error:
            issued_from(encoded, accept)
        assert error.value.code == code


def test_the_old_decoy_tag_is_an_ordinary_tag_where_it_is_not_accepted() -> None:
    encoded = cbor2.dumps({700: [CBORTag(61, 1)]})
    assert sd_cwt.read_preissued(encoded, accept={"decoy-tag-61"}) == {700: [Decoys(1, 1)]}
    assert sd_cwt.read_preissued(encoded) == {700: [CBORTag(61, 1)]}


def test_an_unknown_leniency_before_issuance_is_not_supported() -> None:
    with pytest.raises(SafeconductError) as error:
        sd_cwt.read_preissued(cbor2.dumps({}), accept={"everything"})
    assert error.value.code == "leniency_unknown"


def issued_from(encoded: bytes, accept: set[str]) -> bytes:
    claims = {1: "https://issuer.example", 2: "x", **sd_cwt.read_preissued(encoded, accept=accept)}
    return sd_cwt.issue(claims, issuer=GOOD.issuer_key, holder=GOOD.holder_key.public, now=IAT)
