"""Claim sets as readers see them: names and labels are one thing, and JSON says the same."""

from typing import Any

import pytest

from safeconduct.encoding.cbor import Simple, Tag, undefined
from safeconduct.errors import SafeconductError
from safeconduct.formats.redaction import Decoys, Redacted, decoys, redact
from safeconduct.formats.sd_cwt import Claims, claims_from_json, claims_to_json
from safeconduct.formats.sd_cwt.claims import with_labels

WIRE: dict[Any, Any] = {1: "https://issuer.example", 7: b"\x01", 500: {1: "a"}, "iss": "text", "500": True}


def test_a_claim_is_found_by_its_name_or_its_label() -> None:
    claims = Claims(WIRE)
    assert claims["iss"] == claims[1] == "https://issuer.example"
    assert claims["cti"] == b"\x01"
    assert claims[500] == {1: "a"}
    assert claims.get("sub") is None
    assert "exp" not in claims
    assert len(claims) == 5
    assert list(Claims({1: "x", 500: 1, "a": 2})) == ["iss", 500, "a"]


def test_claims_are_equal_by_label() -> None:
    assert Claims({1: "x", "a": 2}) == {"iss": "x", "a": 2}
    assert Claims({1: "x"}) == Claims({1: "x"})
    assert Claims({1: "x"}) != {"iss": "y"}
    assert Claims({1: "x"}) != 7


def test_no_claim_is_in_the_repr() -> None:
    assert "issuer" not in repr(Claims(WIRE))


def test_claims_as_JSON() -> None:
    assert Claims(WIRE).to_json() == {
        "iss": "https://issuer.example",
        "cti": "AQ",
        "500": {"1": "a"},
        '["iss"]': "text",
        '["500"]': True,
    }


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (b"\xfb\xff", "-_8"),
        (Tag(1, 5), {"tag": 1, "value": 5}),
        (Simple(99), {"simple": 99}),
        (undefined, None),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        ([b"", {2: b"\x00"}], ["", {"2": "AA"}]),
        ({"sub": 1, 2: 2, '["x"]': 3}, {"sub": 1, "2": 2, '["[\\"x\\"]"]': 3}),
    ],
)
def test_what_JSON_has_no_word_for_is_written_out(value: Any, written: Any) -> None:
    assert claims_to_json({"x": value}) == {"x": written}


def test_claims_from_JSON() -> None:
    assert claims_from_json(
        {"iss": "x", "500": {"iss": 1, "-5": [{"3": "z"}]}, '["500"]': 2, '["iss"]': 3, "cnonce": "AQ"}
    ) == {1: "x", 500: {"iss": 1, -5: [{3: "z"}]}, "500": 2, "iss": 3, 39: b"\x01"}


def test_marks_pass_through() -> None:
    marked = {"name": redact({"1": "x"}), "list": [redact(1), decoys(2)], "map": {decoys(1): None}}
    assert claims_from_json(marked) == {
        "name": Redacted({1: "x"}),
        "list": [Redacted(1), Decoys(2)],
        "map": {Decoys(1): None},
    }


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": 1, "1": 2}, "claim_duplicate"),
        ({"a": 1, '["a"]': 2}, "claim_duplicate"),
        ({"x": {"a": 1, '["a"]': 2}}, "claim_duplicate"),
        ({"x": [{"y": {"a": 1, '["a"]': 2}}]}, "claim_duplicate"),
        ({"cti": "="}, "base64url_malformed"),
        ({'["a': 1}, "claim_path"),
        ({"x": 2**64}, "claim_value"),
        ({"x": [-(2**64) - 1]}, "claim_value"),
    ],
)
def test_JSON_that_is_no_claim_set_is_refused(claims: dict[str, Any], code: str) -> None:
    with pytest.raises(SafeconductError) as error:
        claims_from_json(claims)
    assert error.value.code == code


def test_a_claim_given_by_name_and_label_is_refused() -> None:
    assert with_labels({"iss": 1, 500: 2}) == {1: 1, 500: 2}
    with pytest.raises(SafeconductError) as error:
        with_labels({"iss": 1, 1: 2})
    assert error.value.code == "claim_duplicate"
