"""What other implementations were found to take or to refuse, against RFC 9901; ours does neither."""

import copy
import json
from typing import Any

import pytest
from jwcrypto.jwk import JWK
from sd_jwt.verifier import SDJWTVerifier
from tests.negative.sd_jwt_builder import (
    AUDIENCE,
    CLEAR,
    EXP,
    FIRST,
    GOOD,
    ISSUED,
    ISSUER_KEY,
    NAME,
    NONCE,
    NOW,
    PLAIN,
    Presentation,
    code_of,
    digest,
    disclosure,
    element,
    present,
    salt,
    verify,
)

from safeconduct.trust import WAIVED


def reference(token: Presentation) -> dict[str, Any]:
    """What the reference implementation of Python makes of a presentation."""
    key = JWK.from_json(json.dumps(ISSUER_KEY.public.to_jwk()))
    judged = SDJWTVerifier(token.text(), lambda _issuer, _header: key, AUDIENCE, NONCE)
    payload: dict[str, Any] = judged.get_verified_payload()
    return payload


STRAY = disclosure(salt(20), "admin", True)
UNREFERENCED = PLAIN.showing(*PLAIN.disclosures, STRAY)
DOUBLED = PLAIN.claiming({"a": [element(FIRST), element(FIRST)], "nationalities": []}).showing(FIRST)
NAMED_SD = PLAIN.redacting(disclosure(salt(21), "_sd", ["x"]))
NAMED_DOTS = PLAIN.redacting(disclosure(salt(22), "...", "x"))
EXPIRED = PLAIN.claiming({"exp": NOW - 1})
_EXPIRY = disclosure(salt(23), "exp", NOW - 1)
DISCLOSED_EXPIRY = PLAIN.claiming({"exp": ..., "_sd": [digest(_EXPIRY)]}).showing(_EXPIRY)
SHA_384 = PLAIN.but(hash_name="sha384").redacting(NAME, _sd_alg="sha-384")

FAULTS = {
    "unreferenced disclosure": (UNREFERENCED, "disclosure_unreferenced"),
    "duplicate digests in an array": (DOUBLED, "digest_duplicate"),
    "claim name _sd": (NAMED_SD, "claim_reserved"),
    "claim name ...": (NAMED_DOTS, "claim_reserved"),
    "expired": (EXPIRED, "expired"),
    "disclosed and expired exp": (DISCLOSED_EXPIRY, "expired"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_the_reference_takes_against_the_rfc_is_rejected(name: str) -> None:
    token, code = FAULTS[name]
    assert reference(token), "the reference has changed: it refuses this now"
    assert code_of(token) == code


def test_sha_384_which_the_reference_refuses_is_taken() -> None:
    with pytest.raises(Exception, match="digest"):
        reference(SHA_384)
    assert verify(SHA_384).claims["given_name"] == "Erika"


def test_the_reference_takes_what_both_should_take() -> None:
    assert reference(PLAIN)["given_name"] == verify(PLAIN).claims["given_name"] == "Erika"


# The audit of another implementation, point by point


def test_validity_is_judged_after_disclosures_are_applied() -> None:
    assert code_of(DISCLOSED_EXPIRY) == "expired"
    early = disclosure(salt(24), "nbf", NOW + 1)
    token = PLAIN.claiming({"nbf": ..., "_sd": [digest(early)]}).showing(early)
    assert code_of(token) == "not_yet_valid"


def test_exp_equal_to_now_is_expired() -> None:
    assert code_of(GOOD, now=EXP) == "expired"


def test_disclosures_have_their_exact_shape() -> None:
    for parts in ((salt(1),), (salt(1), "a", 1, 2), (1, "a", 2), (salt(1), 7, 2)):
        assert code_of(PLAIN.redacting(disclosure(*parts))) == "disclosure_malformed"


def test_none_is_no_algorithm_in_either_jwt() -> None:
    assert code_of(GOOD.headed({"alg": "none"})) == "algorithm_unsupported"
    assert code_of(GOOD.binding_headed({"alg": "none"})) == "algorithm_unsupported"


def test_the_audience_is_judged_in_both_jwts() -> None:
    assert code_of(GOOD.claiming({"aud": "https://other.example"})) == "audience_mismatch"
    assert code_of(GOOD.binding({"aud": "https://other.example"})) == "kbt_audience_mismatch"


def test_duplicate_salts_are_rejected() -> None:
    twins = disclosure(salt(25), "a", 1), disclosure(salt(25), "b", 2)
    assert code_of(PLAIN.redacting(*twins)) == "salt_duplicate"


def test_truncated_digests_are_rejected() -> None:
    assert code_of(PLAIN.claiming({"_sd": [digest(NAME)[:22]]}).showing(NAME)) == "digest_malformed"
    assert code_of(GOOD.binding({"sd_hash": digest(GOOD.issued())[:22]})) == "sd_hash_mismatch"
    assert code_of(GOOD.claiming({"_sd_alg": "sha-256-128"})) == "sd_alg_unsupported"


def test_dots_in_claim_names_do_not_lead_into_objects() -> None:
    text = disclosure(salt(26), "address.region", "elsewhere")
    claims = verify(PLAIN.redacting(text, address={"region": "NI"})).claims
    assert (claims["address.region"], claims["address"]) == ("elsewhere", {"region": "NI"})


def test_in_general_json_only_the_first_header_carries_disclosures() -> None:
    flat = GOOD.flattened()
    first = {name: flat[name] for name in ("protected", "signature", "header")}
    second = copy.deepcopy(first)
    for carried in ({"disclosures": flat["header"]["disclosures"]}, {"kb_jwt": flat["header"]["kb_jwt"]}):
        second["header"] = carried
        general = {"payload": flat["payload"], "signatures": [first, second]}
        assert code_of(general) == "sd_jwt_malformed"
    swapped = {"payload": flat["payload"], "signatures": [{**first, "header": {}}, first]}
    assert code_of(swapped) == "sd_jwt_malformed"


def test_presenting_without_choosing_anything_works() -> None:

    assert verify(present(ISSUED, disclose=())).claims == {**CLEAR, "nationalities": ["AT"]}
    assert verify(present(ISSUED, disclose=()), key_binding=WAIVED).holder is not None
