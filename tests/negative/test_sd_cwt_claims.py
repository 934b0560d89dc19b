"""Claims and types of an SD-CWT (SD-CWT-08 §4, §5.2): which must be there, never redacted, of what type."""

from typing import Any

import pytest
from cbor2 import CBORTag
from tests.negative.builder import (
    AUDIENCE,
    CLAIMS,
    EXP,
    GOOD,
    HOLDER_KEY,
    IAT,
    ISSUED,
    LICENCE,
    NBF,
    REDACTED,
    SHOWN,
    code_of,
    digest,
    disclosure,
    element,
    issued_code_of,
    salt,
    verify,
)

# typ


@pytest.mark.parametrize("typ", [293, "application/sd-cwt", "sd-cwt", "application/manifest+sd-cwt"])
def test_every_type_of_an_SD_CWT_is_accepted(typ: Any) -> None:
    assert verify(GOOD.headed({16: typ})).claims.wire == SHOWN


@pytest.mark.parametrize(
    "typ",
    [
        *(..., 294, 61, 0, "", "application/cwt", "application/manifest+cwt", "application/sd-cwt+json"),
        *("kb+cwt", "application/sd+cwt", "application/kb+cwt", b"application/sd-cwt", [293], 293.0, True),
    ],
)
def test_any_other_type_is_rejected(typ: Any) -> None:
    assert code_of(GOOD.headed({16: typ})) == "sd_cwt_typ"
    assert issued_code_of(ISSUED.headed({16: typ})) == "sd_cwt_typ"


# Required claims


@pytest.mark.parametrize("label", [1, 8])
def test_iss_and_cnf_must_be_there(label: int) -> None:
    assert code_of(GOOD.claiming({label: ...})) == "claim_missing"
    assert issued_code_of(ISSUED.claiming({label: ...})) == "claim_missing"


def test_sub_may_be_redacted_and_disclosed() -> None:
    sub = disclosure(salt(9), "https://device.example", 2)
    token = GOOD.claiming({2: ...}).redacting(sub)
    assert verify(token).claims["sub"] == "https://device.example"


def test_sub_may_stay_redacted() -> None:
    sub = disclosure(salt(9), "https://device.example", 2)
    token = GOOD.claiming({2: ..., REDACTED: [*CLAIMS[REDACTED], digest(sub)]})
    assert "sub" not in verify(token).claims


def test_sub_that_is_neither_there_nor_redacted_is_missing() -> None:
    bare = {2: ..., 502: [1674004740], 503: {"country": "us"}}
    without = GOOD.claiming({**bare, REDACTED: ...}).but(disclosures=None)
    assert code_of(without) == "claim_missing"
    all_shown = GOOD.claiming({**bare, REDACTED: [digest(LICENCE)]}).showing(LICENCE)
    assert code_of(all_shown) == "claim_missing"
    assert issued_code_of(all_shown) == "claim_missing"


@pytest.mark.parametrize("label", [3, 4, 5, 6, 7, 39])
def test_every_other_registered_claim_is_optional(label: int) -> None:
    assert label not in verify(GOOD.claiming({label: ...})).claims.wire


# Never redacted

NEVER_REDACTED: dict[int, Any] = {
    1: "https://issuer.example",
    3: AUDIENCE,
    4: EXP,
    5: NBF,
    6: IAT,
    7: b"id",
    8: {1: dict(HOLDER_KEY.public.to_cose_key())},
    39: b"nonce",
}
never_redacted = pytest.mark.parametrize("label", NEVER_REDACTED)


@never_redacted
def test_a_claim_that_may_not_be_redacted_is_rejected_when_disclosed(label: int) -> None:
    hidden = disclosure(salt(9), NEVER_REDACTED[label], label)
    token = GOOD.claiming({label: ...}).redacting(hidden)
    expected = "claim_missing" if label in (1, 8) else "claim_not_redactable"
    assert code_of(token) == expected


@never_redacted
def test_such_a_claim_is_rejected_in_the_holders_check(label: int) -> None:
    hidden = disclosure(salt(9), NEVER_REDACTED[label], label)
    expected = "claim_missing" if label in (1, 8) else "claim_not_redactable"
    assert issued_code_of(ISSUED.claiming({label: ...}).redacting(hidden)) == expected


@never_redacted
def test_the_same_label_deeper_down_is_an_ordinary_key(label: int) -> None:
    hidden = disclosure(salt(9), "value", label)
    token = GOOD.claiming({700: {REDACTED: [digest(hidden)]}}).showing(*GOOD.disclosures, hidden)
    assert verify(token).claims[700] == {label: "value"}


def test_nothing_inside_cnf_or_aud_may_be_redacted() -> None:
    """SD-CWT-08 §4 table 2: the whole claim is never redacted."""
    kid = disclosure(salt(9), b"kid", 3)
    cnf = {**CLAIMS[8], REDACTED: [digest(kid)]}
    assert code_of(GOOD.claiming({8: cnf}).showing(*GOOD.disclosures, kid)) == "claim_not_redactable"
    assert code_of(GOOD.claiming({8: cnf})) == "claim_not_redactable"
    extra = {1: CLAIMS[8][1], 700: [element(disclosure(salt(9), 1))]}
    assert code_of(GOOD.claiming({8: extra})) == "claim_not_redactable"
    audience = element(disclosure(salt(9), AUDIENCE))
    assert code_of(GOOD.claiming({3: [AUDIENCE, audience]})) == "claim_type"


def test_a_disclosure_may_not_reveal_the_marker_of_redacted_claims() -> None:
    hidden = disclosure(salt(9), [digest(LICENCE)], REDACTED)
    assert code_of(GOOD.redacting(hidden)) == "claim_key"


# Types

WRONG_TYPES: list[tuple[int, Any]] = [
    *((1, value) for value in (b"issuer", 7, None, ["https://issuer.example"], True)),
    *((2, value) for value in (b"subject", 7, None, {})),
    *((3, value) for value in (b"aud", 7, {}, [AUDIENCE, 7], [b"aud"], None)),
    *((4, value) for value in ("1700009000", b"1", None, True, [EXP], CBORTag(1, EXP))),
    *((5, value) for value in ("1700000000", None, False, CBORTag(1, NBF))),
    *((6, value) for value in ("1700000100", None, True, CBORTag(1, IAT))),
    *((7, value) for value in ("id", 7, None)),
    *((8, value) for value in (b"key", [], None, "kid")),
    *((11, value) for value in (b"type", -1, 65536, None, True, 1.0)),
    *((39, value) for value in ("nonce", 7, None)),
]


@pytest.mark.parametrize(("label", "value"), WRONG_TYPES)
def test_a_registered_claim_has_its_type(label: int, value: Any) -> None:
    assert code_of(GOOD.claiming({label: value})) == "claim_type"


@pytest.mark.parametrize(("label", "value"), [(2, b"subject"), (11, b"type"), (11, 65536)])
def test_a_disclosed_registered_claim_has_its_type(label: int, value: Any) -> None:
    hidden = disclosure(salt(9), value, label)
    assert code_of(GOOD.claiming({label: ...}).redacting(hidden)) == "claim_type"


KBT_WRONG_TYPES = [(label, value) for label, value in WRONG_TYPES if label not in (1, 2, 8, 11)]


@pytest.mark.parametrize(("label", "value"), KBT_WRONG_TYPES)
def test_a_claim_of_the_key_binding_has_its_type(label: int, value: Any) -> None:
    assert code_of(GOOD.binding({label: value})) == "claim_type"


@pytest.mark.parametrize("value", ["urn:type:1", 0, 65535])
def test_vct_is_text_or_a_16_bit_number(value: Any) -> None:
    assert verify(GOOD.claiming({11: value})).claims["vct"] == value


# Times as numbers

INFINITE = [float("inf"), float("-inf"), float("nan"), 2.0**53 + 2, -(2.0**53) - 2, 1e300]


@pytest.mark.parametrize("label", [4, 5, 6])
@pytest.mark.parametrize("value", INFINITE)
def test_a_time_is_finite_and_a_float_exact(label: int, value: float) -> None:
    assert code_of(GOOD.claiming({label: value})) == "time_not_finite"
    assert code_of(GOOD.binding({label: value})) == "time_not_finite"
    assert issued_code_of(ISSUED.claiming({label: value})) == "time_not_finite"


def test_a_time_may_be_a_float_up_to_the_bound_or_any_integer() -> None:
    verify(GOOD.claiming({4: 2.0**53, 5: -(2.0**53), 6: IAT + 0.5}))
    verify(GOOD.claiming({4: 2**64 - 1, 5: -(2**64)}))


# The same claim twice


def test_a_claim_stands_in_a_map_once() -> None:
    twice = disclosure(salt(9), "other", 500)
    assert code_of(GOOD.redacting(twice)) == "claim_duplicate"
    again = disclosure(salt(9), "other", 501)
    assert code_of(GOOD.redacting(again)) == "claim_duplicate"
    inner = disclosure(salt(9), "mx", "country")
    token = GOOD.claiming({503: {"country": "us", REDACTED: [digest(inner)]}})
    assert code_of(token.showing(LICENCE, inner)) == "claim_duplicate"


def test_a_redacted_claim_that_is_not_shown_collides_with_nothing() -> None:
    twice = disclosure(salt(9), "other", 500)
    assert verify(GOOD.claiming({REDACTED: [*CLAIMS[REDACTED], digest(twice)]})).claims[500] is True
