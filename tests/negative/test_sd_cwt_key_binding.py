"""The key binding token, the confirmed key, nonce, audience and trust (SD-CWT-08 §8, §9 steps 1 to 9)."""

from typing import Any

import cbor2
import pytest
from cbor2 import CBORTag
from tests.negative.builder import (
    AUDIENCE,
    BOUND_AT,
    CLAIMS,
    GOOD,
    HOLDER_KEY,
    ISSUED,
    ISSUER,
    ISSUER_KEY,
    NONCE,
    OTHER_KEY,
    REDACTED,
    SHOWN,
    check_issued,
    code_of,
    cose_sign1,
    issued_code_of,
    policy,
    present,
    verify,
)

from safeconduct.crypto.keys import Key
from safeconduct.errors import Rejected, SafeconductError, Unsupported
from safeconduct.formats import sd_cwt
from safeconduct.trust import WAIVED, Policy, Trust

# Step 1: the key binding token and the SD-CWT in it


def test_an_issued_token_is_no_presentation() -> None:
    assert code_of(ISSUED.issued()) == "key_binding_missing"
    assert code_of(GOOD.issued()) == "key_binding_missing"


def test_kcwt_in_the_unprotected_header_is_not_found() -> None:
    moved = cose_sign1(
        cbor2.dumps(dict(GOOD.kbt_header)),
        {13: GOOD.token()},
        cbor2.dumps(dict(GOOD.kbt_claims)),
        HOLDER_KEY,
    )
    assert code_of(cbor2.dumps(moved)) == "key_binding_missing"


@pytest.mark.parametrize("carried", [None, 7, "token", {}, b"", [], True])
def test_kcwt_is_a_tagged_COSE_Sign1(carried: Any) -> None:
    assert code_of(GOOD.but(kcwt=lambda _: carried)) == "kcwt_malformed"


def test_kcwt_is_not_another_key_binding_token() -> None:
    assert code_of(GOOD.but(kcwt=lambda _: cbor2.loads(GOOD.encoded()))) == "sd_cwt_typ"


@pytest.mark.parametrize("typ", [294, "application/kb+cwt", "kb+cwt"])
def test_every_type_of_a_key_binding_token_is_accepted(typ: Any) -> None:
    assert verify(GOOD.binding_headed({16: typ})).claims.wire == SHOWN


@pytest.mark.parametrize(
    "typ", [..., 293, 0, "", "application/sd-cwt", "application/x+kb+cwt", b"kb+cwt", 294.0, True, [294]]
)
def test_any_other_type_of_a_key_binding_token_is_rejected(typ: Any) -> None:
    assert code_of(GOOD.binding_headed({16: typ})) == "kbt_typ"


@pytest.mark.parametrize("where", ["kbt_header", "kbt_unprotected"])
def test_a_key_binding_token_has_no_CWT_Claims_header(where: str) -> None:
    header = {**getattr(GOOD, where), 15: {3: AUDIENCE}}
    assert code_of(GOOD.but(**{where: header})) == "kbt_cwt_claims"


# Step 2: the issuer


def test_an_SD_CWT_signed_by_another_key_is_rejected() -> None:
    assert code_of(GOOD.but(issuer_key=OTHER_KEY)) == "signature_invalid"
    assert issued_code_of(ISSUED.but(issuer_key=OTHER_KEY)) == "signature_invalid"


def test_an_SD_CWT_signed_by_its_holder_is_rejected() -> None:
    assert code_of(GOOD.but(issuer_key=HOLDER_KEY)) == "signature_invalid"


@pytest.mark.parametrize("alter", [0, 2, 3])
def test_an_altered_SD_CWT_is_rejected(alter: int) -> None:
    parts = list(GOOD.token().value)
    other = list(GOOD.claiming({500: False}).headed({4: b"kid"}).token().value)
    parts[alter] = other[alter]
    assert code_of(GOOD.but(kcwt=lambda _: CBORTag(18, parts))) == "signature_invalid"


@pytest.mark.parametrize("size", [0, 1, 63, 65, 128])
def test_a_signature_of_another_length_is_rejected(size: int) -> None:
    parts = list(GOOD.token().value)
    parts[3] = bytes(size)
    assert code_of(GOOD.but(kcwt=lambda _: CBORTag(18, parts))) == "signature_invalid"
    outer = list(cbor2.loads(GOOD.encoded()).value)
    outer[3] = bytes(size)
    assert code_of(cbor2.dumps(CBORTag(18, outer))) == "signature_invalid"


def test_an_issuer_without_a_trusted_key_is_unknown() -> None:
    assert code_of(GOOD, trust=Trust.of({"https://other.example": ISSUER_KEY.public})) == "issuer_unknown"
    assert code_of(GOOD, trust=Trust()) == "issuer_unknown"
    assert code_of(GOOD, trust=Trust.of({})) == "issuer_unknown"
    assert code_of(GOOD, trust=Trust.of({ISSUER: ()})) == "issuer_unknown"


@pytest.mark.parametrize("name", [ISSUER + "/", ISSUER.upper(), ISSUER + ":443", "issuer.example", ""])
def test_issuers_are_compared_exactly(name: str) -> None:
    assert code_of(GOOD.claiming({1: name})) == "issuer_unknown"


def test_the_key_of_another_issuer_is_not_tried() -> None:
    trust = Trust.of({ISSUER: OTHER_KEY.public, "https://other.example": ISSUER_KEY.public})
    assert code_of(GOOD, trust=trust) == "signature_invalid"


def test_an_issuer_may_have_several_keys() -> None:
    trust = Trust.of({ISSUER: [OTHER_KEY.public, ISSUER_KEY.public]})
    assert verify(GOOD, trust=trust).issuer_key == ISSUER_KEY.public


def test_a_pinned_key_is_accepted_for_any_issuer() -> None:
    assert verify(GOOD.claiming({1: "https://any.example"}), trust=Trust.key(ISSUER_KEY.public))
    assert code_of(GOOD, trust=Trust.key(OTHER_KEY.public)) == "signature_invalid"


KEYS_BY_KID = Trust.of(
    {ISSUER: [OTHER_KEY.public.with_kid(b"old"), ISSUER_KEY.public.with_kid(b"new"), HOLDER_KEY.public]}
)


def test_the_kid_chooses_the_key() -> None:
    assert verify(GOOD.headed({4: b"new"}), trust=KEYS_BY_KID).issuer_key == ISSUER_KEY.public
    assert code_of(GOOD.headed({4: b"old"}), trust=KEYS_BY_KID) == "signature_invalid"
    assert verify(GOOD.but(unprotected={4: b"new"}), trust=KEYS_BY_KID)
    assert code_of(GOOD.but(unprotected={4: b"old"}), trust=KEYS_BY_KID) == "signature_invalid"


def test_a_kid_that_no_key_has_leaves_the_keys_without_one() -> None:
    assert code_of(GOOD.headed({4: b"gone"}), trust=KEYS_BY_KID) == "signature_invalid"
    only_named = Trust.of({ISSUER: ISSUER_KEY.public.with_kid(b"new")})
    assert code_of(GOOD.headed({4: b"gone"}), trust=only_named) == "issuer_unknown"
    assert verify(GOOD.headed({4: b"any"}))


def test_a_token_without_kid_is_tried_with_every_key_of_its_issuer() -> None:
    assert verify(GOOD, trust=KEYS_BY_KID).issuer_key == ISSUER_KEY.public


def test_the_check_of_the_issuer_can_be_waived_by_name_only() -> None:
    shown = verify(GOOD.but(issuer_key=OTHER_KEY), trust=Trust.issuer_not_checked())
    assert shown.issuer_key is None


def test_an_algorithm_that_the_policy_does_not_name_is_rejected() -> None:
    only = frozenset({"Ed25519"})
    assert code_of(GOOD, algorithms=only) == "algorithm_not_accepted"
    assert issued_code_of(ISSUED, algorithms=only) == "algorithm_not_accepted"
    edwards = Key.generate("Ed25519")
    mixed = GOOD.but(issuer_key=edwards).headed({1: -19})
    trust = Trust.key(edwards.public)
    assert verify(mixed, trust=trust)
    assert code_of(mixed, trust=trust, algorithms=only) == "algorithm_not_accepted"


# Step 4: the confirmed key

HOLDER_MEMBERS = dict(HOLDER_KEY.public.to_cose_key())
BY_KID = {3: b"holder-1"}
BY_THUMBPRINT = {5: HOLDER_KEY.public.cose_thumbprint()}
KNOWN = HOLDER_KEY.public.with_kid(b"holder-1")


def test_a_known_key_may_be_confirmed_by_kid_or_thumbprint() -> None:
    for cnf in (BY_KID, BY_THUMBPRINT):
        token = GOOD.claiming({8: cnf})
        assert verify(token, holder_keys=(OTHER_KEY.public, KNOWN)).holder == HOLDER_KEY.public
        assert code_of(token) == "cnf_key_unknown"
        assert code_of(token, holder_keys=(OTHER_KEY.public.with_kid(b"other"),)) == "cnf_key_unknown"


def test_the_known_key_that_is_named_must_have_signed() -> None:
    token = GOOD.claiming({8: BY_KID})
    assert code_of(token, holder_keys=(OTHER_KEY.public.with_kid(b"holder-1"),)) == "signature_invalid"


def test_an_empty_kid_does_not_name_a_key_without_kid() -> None:
    assert code_of(GOOD.claiming({8: {3: b""}}), holder_keys=(HOLDER_KEY.public,)) == "cnf_key_unknown"
    assert issued_code_of(ISSUED.claiming({8: {3: b""}})) == "cnf_key_unknown"


@pytest.mark.parametrize("label", [1, 2, 3, 5])
@pytest.mark.parametrize("value", [None, 7, "text", [], True])
def test_a_confirmation_has_the_type_of_its_method(label: int, value: Any) -> None:
    expected = "cnf_encrypted" if label == 2 else "cnf_malformed"
    assert code_of(GOOD.claiming({8: {label: value}}), holder_keys=(KNOWN,)) == expected


def test_an_encrypted_key_that_nobody_opens_is_not_supported() -> None:
    encrypted = [cbor2.dumps({1: 1}), {5: bytes(12)}, bytes(48)]
    for carried in (encrypted, CBORTag(16, encrypted)):
        assert code_of(GOOD.claiming({8: {2: carried}})) == "cnf_encrypted"


def test_one_key_is_confirmed() -> None:
    for cnf in (
        {1: HOLDER_MEMBERS, **BY_KID},
        {1: HOLDER_MEMBERS, **BY_THUMBPRINT},
        {**BY_KID, **BY_THUMBPRINT},
    ):
        assert code_of(GOOD.claiming({8: cnf}), holder_keys=(KNOWN,)) == "cnf_ambiguous"


@pytest.mark.parametrize("cnf", [{}, {4: b"x"}, {"jwk": {}}, {6: BY_THUMBPRINT}])
def test_an_unknown_confirmation_method_is_not_supported(cnf: dict[Any, Any]) -> None:
    assert code_of(GOOD.claiming({8: cnf}), holder_keys=(KNOWN,)) == "cnf_unsupported"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "key_malformed"),
        ({**HOLDER_MEMBERS, -2: bytes(31)}, "key_malformed"),
        ({**HOLDER_MEMBERS, -3: bytes(32)}, "key_malformed"),
        ({**HOLDER_MEMBERS, 1: 4}, "key_unsupported"),
        ({**HOLDER_MEMBERS, -4: bytes(31) + b"\x02"}, "private_key_where_public_expected"),
    ],
)
def test_a_confirmed_key_is_a_sound_public_key(members: dict[Any, Any], code: str) -> None:
    assert code_of(GOOD.claiming({8: {1: members}})) == code


# Step 5: its signature


def test_a_key_binding_by_another_key_is_rejected() -> None:
    assert code_of(GOOD.but(holder_key=OTHER_KEY)) == "signature_invalid"
    assert code_of(GOOD.but(holder_key=ISSUER_KEY)) == "signature_invalid"


def test_disclosures_cannot_change_after_the_key_binding_was_made() -> None:
    protected = cbor2.loads(cbor2.loads(GOOD.encoded()).value[0])
    for disclosures in (GOOD.disclosures[:2], GOOD.disclosures[::-1], ISSUED.disclosures, None):
        parts = list(cbor2.loads(GOOD.encoded()).value)
        parts[0] = cbor2.dumps({**protected, 13: GOOD.but(disclosures=disclosures).token()})
        assert code_of(cbor2.dumps(CBORTag(18, parts))) == "signature_invalid"


def test_a_key_binding_cannot_be_moved_to_another_token_of_the_holder() -> None:
    other = GOOD.claiming({500: False})
    mixed = list(cbor2.loads(GOOD.encoded()).value)
    mixed[0] = cbor2.loads(other.encoded()).value[0]
    assert code_of(cbor2.dumps(CBORTag(18, mixed))) == "signature_invalid"


@pytest.mark.parametrize("label", [1, 2])
def test_a_key_binding_has_neither_iss_nor_sub(label: int) -> None:
    assert code_of(GOOD.binding({label: "https://device.example"})) == "kbt_claim_forbidden"


def test_a_key_binding_may_have_other_claims() -> None:
    assert verify(GOOD.binding({"purpose": "entry", 700: [1]})).key_binding[700] == [1]


# Step 6: the nonce


def test_another_nonce_is_rejected() -> None:
    assert code_of(GOOD, nonce=NONCE + b"\x00") == "nonce_mismatch"
    assert code_of(GOOD, nonce=NONCE[:-1]) == "nonce_mismatch"
    assert code_of(GOOD, nonce=b"") == "nonce_mismatch"
    assert code_of(GOOD.binding({39: b""})) == "nonce_mismatch"


def test_a_nonce_that_was_asked_for_must_be_there() -> None:
    assert code_of(GOOD.binding({39: ...})) == "nonce_missing"
    assert code_of(GOOD.binding({39: ...}), nonce=b"") == "nonce_missing"


def test_a_nonce_in_the_SD_CWT_is_for_its_issuer_and_no_answer() -> None:
    assert code_of(GOOD.claiming({39: NONCE}).binding({39: ...})) == "nonce_missing"
    assert verify(GOOD.claiming({39: b"issuance"})).claims["cnonce"] == b"issuance"


def test_a_callable_decides_on_the_nonce_received() -> None:
    received: list[bytes | None] = []

    def known(nonce: bytes | None) -> bool:
        received.append(nonce)
        return nonce == NONCE

    assert verify(GOOD, nonce=known)
    assert code_of(GOOD.binding({39: ...}), nonce=known) == "nonce_mismatch"
    assert code_of(GOOD.binding({39: b"x"}), nonce=known) == "nonce_mismatch"
    assert received == [NONCE, None, b"x"]


def test_the_nonce_can_be_waived_by_name_only() -> None:
    assert verify(GOOD.binding({39: ...}), nonce=WAIVED)
    assert verify(GOOD.binding({39: b"any"}), nonce=WAIVED)
    with pytest.raises(TypeError):
        Policy(audience=AUDIENCE)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Policy(nonce=NONCE)  # type: ignore[call-arg]


def test_the_nonce_is_asked_after_the_signature_is_checked() -> None:
    """A verifier that burns nonces must not burn one for a forger."""
    asked: list[bytes | None] = []
    code_of(GOOD.but(holder_key=OTHER_KEY), nonce=asked.append)
    assert asked == []


# Step 9: the audiences


def test_a_key_binding_without_audience_is_rejected() -> None:
    assert code_of(GOOD.binding({3: ...})) == "kbt_claim_missing"
    assert code_of(GOOD.binding({3: ...}), audience=WAIVED) == "kbt_claim_missing"


@pytest.mark.parametrize(
    "audience", ["https://other.example", "", AUDIENCE + "/", [], ["https://other.example"]]
)
def test_another_audience_is_rejected(audience: Any) -> None:
    assert code_of(GOOD.binding({3: audience})) == "kbt_audience_mismatch"
    assert code_of(GOOD.claiming({3: audience})) == "audience_mismatch"


def test_both_audiences_must_fit_but_need_not_be_the_same() -> None:
    mine = (AUDIENCE, "https://verifier.example")
    assert verify(GOOD.claiming({3: "https://verifier.example"}), audience=mine)
    assert verify(GOOD.claiming({3: ["https://other.example", AUDIENCE]}))
    assert verify(GOOD.binding({3: ["https://other.example", AUDIENCE]}))
    assert code_of(GOOD.claiming({3: "https://verifier.example"})) == "audience_mismatch"
    assert code_of(GOOD, audience=()) == "kbt_audience_mismatch"


def test_the_audience_can_be_waived_by_name_only() -> None:
    assert verify(GOOD.claiming({3: "x"}).binding({3: "y"}), audience=WAIVED)


# The verifier's own demands


def test_the_type_of_the_credential_can_be_demanded() -> None:
    typed = GOOD.claiming({11: 65000})
    assert verify(typed, types=frozenset({65000, "urn:type"}))
    assert code_of(typed, types=frozenset({"urn:type"})) == "type_not_accepted"
    assert code_of(typed, types=frozenset()) == "type_not_accepted"
    assert code_of(GOOD, types=frozenset({65000})) == "type_not_accepted"


def test_a_disclosed_claim_can_be_demanded() -> None:
    assert verify(GOOD, require_disclosure=True)
    assert code_of(GOOD.but(disclosures=None), require_disclosure=True) == "disclosure_required"


def test_a_shown_decoy_discloses_no_claim() -> None:
    decoy = ISSUED.disclosures[-1]
    assert verify(GOOD.showing(decoy)).claims[500] is True
    assert code_of(GOOD.showing(decoy), require_disclosure=True) == "disclosure_required"


# Profiles and names


def test_an_unknown_profile_or_leniency_is_not_supported() -> None:
    assert code_of(GOOD, profiles=("ietf-07",)) == "profile_unknown"
    assert code_of(GOOD, accept=frozenset({"everything"})) == "leniency_unknown"
    for call in (check_issued, lambda token, **more: present(token, **more)):
        with pytest.raises(Unsupported) as error:
            call(ISSUED, accept=frozenset({"everything"}))
        assert error.value.code == "leniency_unknown"


def test_an_IETF_presentation_is_rejected_where_only_the_early_profile_is_accepted() -> None:
    assert code_of(GOOD, profiles=("seed-2024",)) == "profile_not_accepted"
    assert code_of(GOOD, profiles=()) == "profile_not_accepted"


def test_what_was_parsed_under_other_rules_is_not_verified() -> None:
    parsed = sd_cwt.parse(GOOD.encoded())
    assert sd_cwt.verify(parsed, trust=Trust.key(ISSUER_KEY.public), policy=policy(), now=BOUND_AT)
    with pytest.raises(Rejected) as error:
        sd_cwt.verify(
            parsed, trust=Trust.key(ISSUER_KEY.public), policy=policy(profiles=("seed-2024",)), now=BOUND_AT
        )
    assert error.value.code == "profile_not_accepted"
    lenient = sd_cwt.parse(GOOD.encoded(), accept={"raw-digest"})
    with pytest.raises(Rejected) as error:
        sd_cwt.verify(lenient, trust=Trust.key(ISSUER_KEY.public), policy=policy(), now=BOUND_AT)
    assert error.value.code == "profile_not_accepted"


def test_a_parsed_presentation_names_its_needs_and_gives_no_claims() -> None:
    parsed = sd_cwt.parse(GOOD.headed({4: b"key-3"}).encoded())
    assert parsed.needs() == sd_cwt.Needs(ISSUER, b"key-3", None)
    assert "ABCD" not in repr(parsed)
    assert not hasattr(parsed, "claims")


def test_no_reason_holds_a_received_value() -> None:
    marked = "secret-value-4711"
    broken = [
        GOOD.claiming({1: marked}),
        GOOD.claiming({marked * 20: 1}),
        GOOD.claiming({marked: CBORTag(60, b"")}),
        GOOD.claiming({11: marked.encode()}),
        GOOD.headed({16: marked}),
        GOOD.binding({3: marked}),
        GOOD.binding({39: marked.encode()}),
        GOOD.claiming({3: marked}),
        GOOD.claiming({REDACTED: [marked]}),
        GOOD.claiming({8: {3: marked.encode()}}),
        GOOD.claiming({1: ..., marked: 1}),
        GOOD.claiming({2: CLAIMS, marked: 2}),
    ]
    for presentation in broken:
        with pytest.raises(SafeconductError) as error:
            verify(presentation)
        assert marked not in str(error.value) + error.value.rule
