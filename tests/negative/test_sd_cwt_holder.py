"""What a holder refuses to keep or present, and an issuer to issue (SD-CWT-08 §4.2, §8; RFC 9901 §7.2)."""

from typing import Any

import cbor2
import pytest
from cbor2 import CBORTag
from tests.negative.builder import (
    AUDIENCE,
    BOUND_AT,
    CLAIMS,
    DECOY,
    EXP,
    GOOD,
    HOLDER_KEY,
    IAT,
    ISSUED,
    ISSUER,
    ISSUER_KEY,
    LICENCE,
    NONCE,
    NOW,
    OTHER_KEY,
    REDACTED,
    check_issued,
    code_of,
    disclosure,
    issued_code_of,
    present,
    present_code_of,
    salt,
    verify,
)

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_cwt
from safeconduct.formats.redaction import Decoys, Redacted, decoys, redact
from safeconduct.trust import WAIVED, Trust

ALL_CLAIMS = {
    **{label: CLAIMS[label] for label in (1, 2, 4, 5, 6, 8, 500)},
    501: "ABCD-123456",
    502: [1549560720, 1612560720, 1674004740],
    503: {"country": "us", "region": "ca"},
    "name": "Erika",
}


def test_an_issued_token_gives_all_its_claims() -> None:
    kept = check_issued(ISSUED)
    assert kept.claims.wire == ALL_CLAIMS
    assert (kept.issuer, kept.issuer_key, kept.decoys) == (ISSUER, ISSUER_KEY.public, 1)


def test_a_presentation_is_not_an_issued_token() -> None:
    """RFC 9901 §7.2: whoever sends the holder a key binding wants something of it."""
    assert issued_code_of(GOOD.encoded()) == "key_binding_present"
    assert present_code_of(GOOD.encoded()) == "key_binding_present"


def test_a_token_for_another_holder_is_not_kept_or_presented() -> None:
    other = ISSUED.claiming({8: {1: dict(OTHER_KEY.public.to_cose_key())}})
    assert issued_code_of(other) == "holder_key_mismatch"
    assert present_code_of(other) == "holder_key_mismatch"
    assert issued_code_of(ISSUED.claiming({8: {5: OTHER_KEY.public.cose_thumbprint()}})) == "cnf_key_unknown"


def test_a_token_that_names_the_holders_key_by_kid_or_thumbprint_is_kept() -> None:
    named = HOLDER_KEY.with_kid(b"holder-1")
    by_kid = ISSUED.claiming({8: {3: b"holder-1"}})
    assert check_issued(by_kid, holder=named.public)
    by_thumbprint = ISSUED.claiming({8: {5: HOLDER_KEY.public.cose_thumbprint()}})
    assert check_issued(by_thumbprint)
    assert verify(present(by_thumbprint), holder_keys=(HOLDER_KEY.public,))
    assert verify(present(by_kid, holder=named), holder_keys=(named.public,))


def test_a_token_of_an_unknown_or_false_issuer_is_not_kept() -> None:
    assert issued_code_of(ISSUED, trust=Trust.of({})) == "issuer_unknown"
    assert issued_code_of(ISSUED.but(issuer_key=OTHER_KEY)) == "signature_invalid"


@pytest.mark.parametrize("missing", range(6))
def test_every_digest_needs_its_disclosure(missing: int) -> None:
    partial = tuple(item for place, item in enumerate(ISSUED.disclosures) if place != missing)
    assert issued_code_of(ISSUED.showing(*partial)) == "disclosure_missing"
    assert present_code_of(ISSUED.showing(*partial)) == "disclosure_missing"


def test_every_disclosure_needs_its_digest() -> None:
    stray = ISSUED.showing(*ISSUED.disclosures, disclosure(salt(9), "x", "stray"))
    assert issued_code_of(stray) == "disclosure_unreferenced"
    assert present_code_of(stray) == "disclosure_unreferenced"
    decoy = ISSUED.showing(*ISSUED.disclosures, disclosure(salt(9)))
    assert issued_code_of(decoy) == "disclosure_unreferenced"


def test_the_nonce_of_the_request_must_come_back() -> None:
    assert check_issued(ISSUED.claiming({39: NONCE}), nonce=NONCE)
    assert issued_code_of(ISSUED, nonce=NONCE) == "nonce_mismatch"
    assert issued_code_of(ISSUED.claiming({39: b"other"}), nonce=NONCE) == "nonce_mismatch"
    assert issued_code_of(ISSUED.claiming({39: NONCE}), nonce=None) == "nonce_mismatch"
    assert check_issued(ISSUED.claiming({39: NONCE}), nonce=WAIVED)


def test_the_subject_and_audience_can_be_demanded() -> None:
    assert check_issued(ISSUED, subject="https://device.example")
    assert issued_code_of(ISSUED, subject="https://other.example") == "subject_mismatch"
    aimed = ISSUED.claiming({3: [AUDIENCE, "https://second.example"]})
    assert check_issued(aimed, audience=AUDIENCE)
    assert issued_code_of(aimed, audience="https://third.example") == "audience_mismatch"
    assert (
        issued_code_of(ISSUED.claiming({3: AUDIENCE}), audience="https://third.example")
        == "audience_mismatch"
    )
    assert check_issued(ISSUED, audience="https://third.example")


def test_the_claims_that_may_stand_in_clear_can_be_listed() -> None:
    assert check_issued(ISSUED, clear=["500", "502", "503"])
    assert issued_code_of(ISSUED, clear=["500", "502"]) == "claim_in_clear"
    assert issued_code_of(ISSUED, clear=[]) == "claim_in_clear"
    assert issued_code_of(ISSUED.headed({15: {600: 1}}), clear=["500", "502", "503"]) == "claim_in_clear"


@pytest.mark.parametrize("label", [9, 10, 12, 13, 38, 40, 65534, "iss"])
def test_no_other_label_may_stand_in_clear_unlisted(label: Any) -> None:
    token = ISSUED.claiming({label: "x"})
    assert issued_code_of(token, clear=["500", "502", "503"]) == "claim_in_clear"


def test_a_number_of_decoys_can_be_demanded() -> None:
    assert check_issued(ISSUED, decoys=1).decoys == 1
    assert issued_code_of(ISSUED, decoys=2) == "too_few_decoys"


def test_the_issuer_made_no_empty_or_encrypted_list() -> None:
    assert issued_code_of(ISSUED.but(unprotected={171: []})) == "aead_claims_empty"
    assert present_code_of(ISSUED.but(unprotected={171: []})) == "aead_claims_empty"
    assert issued_code_of(ISSUED.headed({172: 3})) == "sd_aead_forbidden"


def test_a_presentation_shows_no_decoy_and_nothing_that_was_not_chosen() -> None:
    shown = present(ISSUED)
    assert DECOY not in shown
    assert verify(shown).claims.wire == ALL_CLAIMS
    nothing = present(ISSUED, disclose=[])
    assert all(item not in nothing for item in ISSUED.disclosures)
    assert 17 not in cbor2.loads(cbor2.loads(nothing).value[0])[13].value[1]


@pytest.mark.parametrize("path", ["nmae", "502[3]", "503.regoin", "501.x", "500[0]", "[0]", '["501"]', "1.2"])
def test_a_path_that_leads_nowhere_is_refused(path: str) -> None:
    assert present_code_of(ISSUED, disclose=[path]) == "claim_not_found"


@pytest.mark.parametrize("path", ["", ".", "a..b", "a.", "[", "[-1]", "[01]", "a[", '["a]', "a b[", "a]b"])
def test_a_path_that_cannot_be_read_is_refused(path: str) -> None:
    assert present_code_of(ISSUED, disclose=[path]) == "claim_path"


def test_CLAIM_PATH_CHARS_can_be_read_and_one_more_not() -> None:
    longest = "a" * limits.CLAIM_PATH_CHARS
    assert present_code_of(ISSUED, disclose=[longest]) == "claim_not_found"
    assert present_code_of(ISSUED, disclose=[longest + "a"]) == "claim_path"


def test_a_clear_claim_may_be_named_and_shows_nothing() -> None:
    assert verify(present(ISSUED, disclose=["500", "503.country"])).withheld == 6


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"now": None}, "kbt_iat_or_cti_missing"),
        ({"now": None, "cti": b"id", "not_before": IAT}, "kbt_times"),
        ({"now": EXP}, "kbt_times"),
        ({"now": IAT - 1}, "kbt_times"),
        ({"lifetime": EXP - BOUND_AT + 1}, "kbt_times"),
        ({"lifetime": 0}, "kbt_times"),
        ({"not_before": BOUND_AT + 1}, "kbt_times"),
        ({"not_before": CLAIMS[5] - 1}, "kbt_times"),
        ({"extra": {1: "x"}}, "kbt_claim_forbidden"),
        ({"extra": {2: "x"}}, "kbt_claim_forbidden"),
        ({"extra": {b"x": 1}}, "claim_key"),
        ({"extra": {700: CBORTag(60, b"x")}}, "claim_value"),
    ],
)
def test_a_key_binding_that_no_verifier_would_take_is_not_made(changes: dict[str, Any], code: str) -> None:
    assert present_code_of(ISSUED, **changes) == code


def test_a_holder_without_a_clock_gives_a_cti() -> None:
    shown = verify(present(ISSUED, now=None, cti=b"id"))
    assert shown.key_binding.wire == {3: AUDIENCE, 7: b"id", 39: NONCE}


def test_every_member_of_a_key_binding_is_as_asked_for() -> None:
    shown = verify(present(ISSUED, lifetime=60, not_before=BOUND_AT - 5, extra={700: "x"}, cti=b"id"))
    assert shown.key_binding.wire == {
        3: AUDIENCE,
        4: BOUND_AT + 60,
        5: BOUND_AT - 5,
        6: BOUND_AT,
        7: b"id",
        39: NONCE,
        700: "x",
    }
    assert 39 not in verify(present(ISSUED, nonce=None), nonce=WAIVED).key_binding.wire


# The issuer


def issue(claims: dict[Any, Any], **changes: Any) -> bytes:
    usual: dict[str, Any] = {"issuer": ISSUER_KEY, "holder": HOLDER_KEY.public, "now": IAT}
    return sd_cwt.issue({1: ISSUER, 2: "x", **claims}, **{**usual, **changes})


ISSUER_FAULTS: list[tuple[str, dict[Any, Any], dict[str, Any], str]] = [
    *(
        (f"redacted {label}", {label: redact("x")}, {}, "claim_not_redactable")
        for label in (1, 3, 4, 5, 6, 7, 39)
    ),
    # A verifier cannot miss a status: whoever was revoked would just not show it.
    ("redacted status", {65535: redact({"x": 1})}, {}, "claim_not_redactable"),
    ("redacted in status", {"status": {"status_list": redact({})}}, {}, "claim_not_redactable"),
    ("redacted cnf", {8: redact({1: {}})}, {"holder": None}, "claim_not_redactable"),
    ("redacted in cnf", {8: {1: redact({})}}, {"holder": None}, "claim_not_redactable"),
    ("redacted in aud", {3: [redact("x")]}, {}, "claim_not_redactable"),
    ("decoy in cnf", {8: {decoys(1): None, 3: b"x"}}, {"holder": None}, "claim_not_redactable"),
    ("no cnf", {}, {"holder": None}, "claim_missing"),
    ("two cnf", {8: {3: b"x"}}, {}, "claim_duplicate"),
    ("name and label", {"exp": EXP, 4: EXP}, {}, "claim_duplicate"),
    ("exp before iat", {4: IAT}, {}, "cwt_times"),
    ("nbf after iat", {5: IAT + 1}, {}, "cwt_times"),
    ("infinite exp", {4: float("inf")}, {}, "time_not_finite"),
    ("text exp", {4: "x"}, {}, "claim_type"),
    ("marker", {REDACTED: []}, {}, "claim_reserved"),
    ("bytes key", {b"x": 1}, {}, "claim_key"),
    ("long key", {"x" * 256: 1}, {}, "claim_key"),
    ("tag 60", {700: CBORTag(60, bytes(32))}, {}, "claim_value"),
    ("tag 58", {700: CBORTag(58, 1)}, {}, "claim_value"),
    ("misplaced mark", {700: CBORTag(100, redact(1))}, {}, "redaction_misplaced"),
    ("mark in a mark", {700: redact(redact(1))}, {}, "redaction_misplaced"),
    ("decoys as a value", {700: decoys(1)}, {}, "redaction_misplaced"),
]


@pytest.mark.parametrize(
    ("claims", "changes", "code"), [row[1:] for row in ISSUER_FAULTS], ids=[row[0] for row in ISSUER_FAULTS]
)
def test_what_no_verifier_would_take_is_not_issued(
    claims: dict[Any, Any], changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(SafeconductError) as error:
        issue(claims, **changes)
    assert error.value.code == code


def test_sub_must_be_given() -> None:
    with pytest.raises(SafeconductError) as error:
        sd_cwt.issue({1: ISSUER}, issuer=ISSUER_KEY, holder=HOLDER_KEY.public, now=IAT)
    assert error.value.code == "claim_missing"


def test_the_clients_nonce_is_in_the_token() -> None:
    assert check_issued(issue({}, nonce=NONCE), nonce=NONCE).claims["cnonce"] == NONCE


def test_every_salt_is_of_16_random_bytes_and_its_own() -> None:
    token = issue({number: redact(0) for number in range(600, 700)})
    salts = [cbor2.loads(item)[0] for item in cbor2.loads(token).value[1][17]]
    assert len(set(salts)) == 100
    assert {len(item) for item in salts} == {16}


def test_claims_are_issued_to_CLAIM_DEPTH_and_no_deeper() -> None:
    deep: Any = 1
    for _ in range(limits.CLAIM_DEPTH - 1):
        deep = [deep]
    assert check_issued(issue({700: deep})).claims[700] == deep
    with pytest.raises(SafeconductError) as error:
        issue({700: [deep]})
    assert error.value.code == "claim_too_deep"


def test_DISCLOSURES_can_be_issued_and_one_more_not() -> None:
    most = {number: redact(0) for number in range(1000, 1000 + limits.DISCLOSURES)}
    assert len(check_issued(issue(most)).redactable) == limits.DISCLOSURES
    with pytest.raises(SafeconductError) as error:
        issue({**most, 999: redact(0)})
    assert error.value.code == "too_many_disclosures"


def test_DECOYS_can_be_asked_for_at_one_place_and_one_more_not() -> None:
    token = issue({decoys(limits.DECOYS): None})
    assert check_issued(token, decoys=limits.DECOYS).decoys == limits.DECOYS
    for count in (limits.DECOYS + 1, 0, -1):
        with pytest.raises(ValueError, match="decoys"):
            decoys(count)


def test_digests_are_in_an_order_that_tells_nothing() -> None:
    token = issue({"b": redact(1), "a": redact(2), "c": redact(3), decoys(2): None})
    payload = cbor2.loads(cbor2.loads(token).value[2])
    assert payload[REDACTED] == sorted(payload[REDACTED])


# Claims before issuance


def read(claims: Any, **changes: Any) -> dict[Any, Any]:
    return sd_cwt.read_preissued(cbor2.dumps(claims), **changes)


def test_tags_before_issuance_become_marks() -> None:
    claims = {
        CBORTag(58, 501): "ABCD",
        CBORTag(58, "name"): {CBORTag(58, -1): 1, "plain": 2},
        502: [CBORTag(58, 1), CBORTag(62, 1), 3],
        CBORTag(62, 2): None,
        503: CBORTag(100, [CBORTag(58, 1)]),
    }
    assert read(claims) == {
        501: Redacted("ABCD"),
        "name": Redacted({-1: Redacted(1), "plain": 2}),
        502: [Redacted(1), Decoys(1, 1), 3],
        Decoys(1, 2): None,
        503: CBORTag(100, [Redacted(1)]),
    }


PREISSUED_FAULTS: list[tuple[str, Any, str]] = [
    ("no map", [1], "claims_not_map"),
    ("k and 58(k)", {500: 1, CBORTag(58, 500): 2}, "claim_duplicate"),
    ("58(k) and k", {CBORTag(58, "k"): 1, "k": 2}, "claim_duplicate"),
    ("k and 58(k) deeper", {700: [{500: 1, CBORTag(58, 500): 2}]}, "claim_duplicate"),
    ("nested tags in a key", {CBORTag(58, CBORTag(58, 500)): 1}, "claim_key"),
    ("58 round bytes", {CBORTag(58, b"k"): 1}, "claim_key"),
    ("58 round a boolean", {CBORTag(58, True): 1}, "claim_key"),
    ("another tag round a key", {CBORTag(59, 500): 1}, "claim_key"),
    ("60 round a key", {CBORTag(60, 500): 1}, "claim_key"),
    ("decoy 0", {CBORTag(62, 0): None}, "decoy_malformed"),
    ("decoy -1", [CBORTag(62, -1)], "decoy_malformed"),
    ("decoy text", {700: [CBORTag(62, "1")]}, "decoy_malformed"),
    ("decoy true", {700: [CBORTag(62, True)]}, "decoy_malformed"),
    ("decoy with a value", {CBORTag(62, 1): 1}, "decoy_malformed"),
    ("decoy number twice", {CBORTag(62, 1): None, 700: [CBORTag(62, 1)]}, "decoy_duplicate"),
    (
        "decoy number twice in redacted",
        {CBORTag(58, 700): [CBORTag(62, 1)], 701: [CBORTag(62, 1)]},
        "decoy_duplicate",
    ),
    ("old decoy tag in a key", {CBORTag(61, 1): None}, "claim_key"),
]


@pytest.mark.parametrize(
    ("claims", "code"), [row[1:] for row in PREISSUED_FAULTS], ids=[row[0] for row in PREISSUED_FAULTS]
)
def test_faulty_claims_before_issuance_are_refused(claims: Any, code: str) -> None:
    if isinstance(claims, list) and code == "decoy_malformed":
        claims = {700: claims}
    with pytest.raises(SafeconductError) as error:
        read(claims)
    assert error.value.code == code


@pytest.mark.parametrize(
    "value", [CBORTag(58, 1), CBORTag(62, 1), CBORTag(60, 1), [CBORTag(58, CBORTag(62, 1))]]
)
def test_a_misplaced_tag_before_issuance_is_not_issued(value: Any) -> None:
    with pytest.raises(SafeconductError) as error:
        issue(read({700: value}))
    assert error.value.code in ("claim_value", "redaction_misplaced")


def test_the_whole_way_from_tags_to_claims() -> None:
    token = issue(
        read({CBORTag(58, 501): "ABCD", 502: [CBORTag(58, 1), CBORTag(62, 7)], CBORTag(62, 8): None})
    )
    assert check_issued(token).decoys == 2
    assert verify(present(token, now=NOW)).claims[502] == [1]
    assert code_of(token) == "key_binding_missing"
    assert LICENCE not in token
