"""The CWT Claims header (RFC 9597, SD-CWT-08 §5.3): a second claim set that may not contradict the first."""

from typing import Any

import pytest
from tests.negative.builder import (
    CLAIMS,
    FIRST_DATE,
    GOOD,
    HOLDER_KEY,
    ISSUED,
    ISSUER_KEY,
    LICENCE,
    REDACTED,
    REGION,
    SHOWN,
    check_issued,
    code_of,
    digest,
    disclosure,
    element,
    issued_code_of,
    salt,
    verify,
)

from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_cwt
from safeconduct.formats.redaction import redact

IN_HEADER = disclosure(salt(20), "ABCD-123456", 501)


def test_claims_of_the_header_are_claims() -> None:
    shown = verify(GOOD.headed({15: {600: "more", 500: True}}))
    assert shown.claims.wire == {**SHOWN, 600: "more"}


@pytest.mark.parametrize("value", [[], b"", None, "claims", 7])
def test_the_header_is_a_map(value: Any) -> None:
    assert code_of(GOOD.headed({15: value})) == "claims_not_map"


@pytest.mark.parametrize(
    ("label", "value"),
    [
        *((500, False), (500, 1), (500, 1.0), (500, "true"), (1, "https://other.example"), (4, 0), (8, {})),
        *((502, [1549560720, 1674004741]), (503, {"country": "mx", "region": "ca"})),
    ],
)
def test_a_claim_in_both_has_one_value(label: int, value: Any) -> None:
    both = GOOD.headed({15: {label: value}}).claiming(
        {REDACTED: [digest(LICENCE)], 502: [element(FIRST_DATE), 1674004740]}
    )
    assert code_of(both) == "claim_mismatch"
    assert issued_code_of(both) == "claim_mismatch"


def test_a_claim_in_both_may_be_equal() -> None:
    header = {15: {500: True, 503: {"region": "ca", "country": "us"}, 1: CLAIMS[1]}}
    assert verify(GOOD.headed(header)).claims.wire == SHOWN


def test_a_claim_may_be_redacted_in_the_header_alone() -> None:
    token = GOOD.claiming({501: "ABCD-123456", REDACTED: []}).headed({15: {REDACTED: [digest(IN_HEADER)]}})
    assert verify(token.showing(IN_HEADER, FIRST_DATE, REGION)).claims.wire == SHOWN
    assert verify(token.showing(FIRST_DATE, REGION)).claims.wire == SHOWN
    other = disclosure(salt(20), "other", 501)
    contradicting = token.headed({15: {REDACTED: [digest(other)]}})
    assert code_of(contradicting.showing(other, FIRST_DATE, REGION)) == "claim_mismatch"


def test_a_claim_may_be_redacted_in_the_payload_alone() -> None:
    token = GOOD.headed({15: {501: "ABCD-123456"}})
    assert verify(token).claims.wire == SHOWN
    assert verify(token.showing(FIRST_DATE, REGION)).claims.wire == SHOWN
    assert code_of(GOOD.headed({15: {501: "other"}})) == "claim_mismatch"


def test_a_claim_may_be_redacted_in_both_with_a_disclosure_for_each() -> None:
    token = GOOD.headed({15: {REDACTED: [digest(IN_HEADER)]}})
    for shown in ((LICENCE,), (IN_HEADER,), (LICENCE, IN_HEADER)):
        assert verify(token.showing(*shown, FIRST_DATE, REGION)).claims.wire == SHOWN
    assert 501 not in verify(token.showing(FIRST_DATE)).claims
    other = disclosure(salt(20), "other", 501)
    contradicting = GOOD.headed({15: {REDACTED: [digest(other)]}})
    assert code_of(contradicting.showing(*GOOD.disclosures, other)) == "claim_mismatch"


def test_one_disclosure_does_not_serve_both() -> None:
    token = GOOD.headed({15: {REDACTED: [digest(LICENCE)]}})
    assert code_of(token) == "digest_duplicate"


def test_what_stays_hidden_inside_one_of_two_equal_values_is_no_contradiction() -> None:
    hidden = disclosure(salt(20), 1549560720)
    token = GOOD.claiming({502: [element(FIRST_DATE), 1674004740]})
    header = token.headed({15: {502: [element(hidden), 1674004740]}})
    for shown in ((LICENCE, FIRST_DATE, REGION), (hidden,), (LICENCE,)):
        assert verify(header.showing(*shown)).claims[502][-1] == 1674004740


def test_claims_of_the_header_obey_the_rules_of_claims() -> None:
    assert code_of(GOOD.headed({15: {b"key": 1}})) == "claim_key"
    assert code_of(GOOD.claiming({4: ...}).headed({15: {4: float("inf")}})) == "time_not_finite"
    assert code_of(GOOD.claiming({1: ...}).headed({15: {1: b"iss"}})) == "claim_type"
    hidden = disclosure(salt(20), 1, 4)
    token = GOOD.claiming({4: ...}).headed({15: {REDACTED: [digest(hidden)]}})
    assert code_of(token.showing(hidden)) == "claim_not_redactable"


@pytest.mark.parametrize("label", [1, 8])
def test_a_required_claim_may_stand_in_the_header(label: int) -> None:
    moved = GOOD.claiming({label: ...}).headed({15: {label: CLAIMS[label]}})
    assert verify(moved).claims.wire == SHOWN


def test_the_confirmed_key_of_the_header_signs() -> None:
    moved = GOOD.claiming({8: ...}).headed({15: {8: CLAIMS[8]}})
    assert verify(moved).holder == HOLDER_KEY.public
    assert check_issued(ISSUED.claiming({8: ...}).headed({15: {8: CLAIMS[8]}})).claims["cnf"] == CLAIMS[8]


def test_an_issuer_does_not_sign_a_contradiction() -> None:
    claims = {1: CLAIMS[1], 2: "x", 500: redact(True)}
    for value in (False, redact(False), 1):
        with pytest.raises(SafeconductError) as error:
            sd_cwt.issue(
                claims, issuer=ISSUER_KEY, holder=HOLDER_KEY.public, now=CLAIMS[6], header_claims={500: value}
            )
        assert error.value.code == "claim_mismatch"
    token = sd_cwt.issue(
        claims, issuer=ISSUER_KEY, holder=HOLDER_KEY.public, now=CLAIMS[6], header_claims={500: redact(True)}
    )
    assert check_issued(token).claims[500] is True
