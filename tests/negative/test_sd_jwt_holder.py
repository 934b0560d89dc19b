"""Issuing, the holder's check, and presenting (RFC 9901 §4, §7.2)."""

import json
from typing import Any

import pytest
from tests.negative.sd_jwt_builder import (
    AUDIENCE,
    BOUND_AT,
    EXP,
    GOOD,
    HOLDER_KEY,
    IAT,
    ISSUED,
    ISSUER,
    ISSUER_KEY,
    NONCE,
    OTHER_KEY,
    PLAIN,
    VCT,
    check_issued,
    code_of,
    disclosure,
    issued_code_of,
    present,
    present_code_of,
    salt,
    verify,
)

from safeconduct import decoys, limits, redact, sd_jwt
from safeconduct.encoding import b64
from safeconduct.errors import SafeconductError
from safeconduct.formats.redaction import Decoys
from safeconduct.trust import WAIVED

BASE: dict[str, Any] = {"iss": ISSUER, "vct": VCT}


def issue(claims: dict[Any, Any], **more: Any) -> str:
    usual: dict[str, Any] = {"issuer": ISSUER_KEY, "holder": HOLDER_KEY.public, "now": IAT}
    return sd_jwt.issue({**BASE, **claims}, **{**usual, **more})


def issue_code_of(claims: dict[Any, Any], **more: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        issue(claims, **more)
    return error.value.code


def payload_of(token: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(b64.decode(token.split("~")[0].split(".")[1]))
    return payload


def header_of(token: str) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(b64.decode(token.split(".")[0]))
    return header


# Issuing


def test_an_issued_credential_says_what_it_is() -> None:
    token = issue({"name": redact("Erika")}, kid="key-1", x5c=["MIIB"], header={"trust_chain": []})
    assert header_of(token) == {
        "alg": "ES256",
        "typ": "dc+sd-jwt",
        "kid": "key-1",
        "x5c": ["MIIB"],
        "trust_chain": [],
    }
    payload = payload_of(token)
    assert payload["_sd_alg"] == "sha-256"
    assert payload["iat"] == IAT
    assert "name" not in payload
    assert set(payload["cnf"]["jwk"]) == {"kty", "crv", "x", "y"}
    assert token.endswith("~")


def test_times_that_the_claims_have_stay_as_they_are() -> None:
    assert payload_of(issue({"iat": 5}))["iat"] == 5
    assert "iat" not in payload_of(issue({}, now=None))


def test_every_salt_is_of_16_random_bytes_and_its_own() -> None:
    token = issue({f"c{number}": redact(number) for number in range(40)})
    salts = [json.loads(b64.decode(text))[0] for text in token.split("~")[1:-1]]
    assert len(set(salts)) == 40
    assert {len(b64.decode(text)) for text in salts} == {16}


def test_digests_are_sorted_so_that_their_order_tells_nothing() -> None:
    digests = payload_of(issue({f"c{number}": redact(number) for number in range(20)}))["_sd"]
    assert digests == sorted(digests)


def test_decoys_are_digests_without_disclosures() -> None:
    token = issue({"name": redact("Erika"), decoys(3): None, "list": [redact(1), decoys(2)]})
    assert len(payload_of(token)["_sd"]) == 4
    assert len(payload_of(token)["list"]) == 3
    assert len(token.split("~")) == 2 + 2
    assert check_issued(token).decoys == 5


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": redact(EXP)}, "claim_not_redactable"),
        ({"iss": redact(ISSUER)}, "claim_not_redactable"),
        ({"vct": redact(VCT)}, "claim_not_redactable"),
        ({"status": {"status_list": redact({})}}, "claim_not_redactable"),
        ({"status": {Decoys(1): None}}, "claim_not_redactable"),
        ({"cnf": {"jwk": {}}}, "claim_duplicate"),
        ({"_sd": []}, "claim_reserved"),
        ({"a": {"...": 1}}, "claim_reserved"),
        ({"_sd_alg": "sha-256"}, "claim_reserved"),
        ({"a": {"_sd_alg": "x"}}, "claim_reserved"),
        ({"a": redact({"_sd": 1})}, "claim_reserved"),
        ({"a": redact(redact(1))}, "redaction_misplaced"),
        ({1: "x"}, "claim_key"),
        ({"a": b"bytes"}, "claim_value"),
        ({"exp": "soon"}, "claim_type"),
        ({"exp": IAT}, "jwt_times"),
        ({"sub": redact(1)}, "claim_type"),
        ({"status": {"status_list": {"idx": -1, "uri": "x"}}}, "status_malformed"),
    ],
)
def test_what_no_verifier_would_take_is_not_issued(claims: dict[Any, Any], code: str) -> None:
    assert issue_code_of(claims) == code


def test_a_credential_is_not_issued_without_its_type() -> None:
    with pytest.raises(SafeconductError) as error:
        sd_jwt.issue({"iss": ISSUER}, issuer=ISSUER_KEY, holder=None, now=IAT)
    assert error.value.code == "claim_missing"
    assert sd_jwt.issue({}, issuer=ISSUER_KEY, holder=None, now=None, profile=sd_jwt.SD_JWT)


def test_entries_of_aud_may_be_marked_in_a_plain_sd_jwt_but_not_aud() -> None:
    assert issue({"aud": [redact(AUDIENCE)]}, profile=sd_jwt.SD_JWT)
    assert issue_code_of({"aud": redact(AUDIENCE)}, profile=sd_jwt.SD_JWT) == "claim_not_redactable"


@pytest.mark.parametrize("status", [redact({"x": 1}), {"x": redact(1)}, {Decoys(1): None}])
def test_a_status_is_never_the_holders_to_withhold(status: Any) -> None:
    """A verifier cannot miss it: whoever was revoked would just not show it."""
    assert issue_code_of({"status": status}, profile=sd_jwt.SD_JWT) == "claim_not_redactable"


def test_DISCLOSURES_can_be_issued_and_one_more_not() -> None:
    most = {f"c{number}": redact(number) for number in range(limits.DISCLOSURES)}
    assert len(check_issued(issue(most)).redactable) == limits.DISCLOSURES
    assert issue_code_of({**most, "more": redact(1)}) == "too_many_disclosures"


def test_a_hash_that_is_none_of_ours_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="sha-512"):
        issue({}, hash_name="sha-1")


# The holder's check


def test_the_holder_sees_everything_and_what_can_be_withheld() -> None:
    held = check_issued(ISSUED)
    assert held.claims["nationalities"] == ["DE", "AT", "FR"]
    assert ("address", "region") in held.redactable
    assert held.disclosed_paths() == held.redactable
    assert (held.issuer, held.issuer_key, held.profile) == (ISSUER, ISSUER_KEY.public, "sd-jwt-vc")
    assert "Erika" not in repr(held)


def test_an_issued_token_that_carries_a_key_binding_is_rejected() -> None:
    assert issued_code_of(GOOD.text()) == "key_binding_present"
    assert present_code_of(GOOD.text()) == "key_binding_present"
    assert issued_code_of(json.dumps(GOOD.flattened())) == "key_binding_present"


def test_the_token_is_bound_to_this_holder() -> None:
    assert issued_code_of(ISSUED, holder=OTHER_KEY.public) == "holder_key_mismatch"
    assert issued_code_of(ISSUED.claiming({"cnf": ...})) == "cnf_missing"
    assert check_issued(ISSUED.claiming({"cnf": ...}), holder=WAIVED).held.holder is None


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"subject": "urn:other"}, "subject_mismatch"),
        ({"audience": "https://other.example"}, "audience_mismatch"),
        ({"types": {"https://other.example"}}, "type_not_accepted"),
        ({"clear": ["sub"]}, "claim_in_clear"),
        ({"decoys": 2}, "too_few_decoys"),
        ({"algorithms": {"Ed25519"}}, "algorithm_unsupported"),
        ({"profiles": ("sd-jwt",)}, "sd_jwt_typ"),
    ],
)
def test_the_holder_gets_what_it_asked_for(wanted: dict[str, Any], code: str) -> None:
    assert issued_code_of(ISSUED.claiming({"sub": "urn:x", "aud": AUDIENCE}), **wanted) == code


def test_a_holder_that_gets_it_is_content() -> None:
    token = ISSUED.claiming({"sub": "urn:x", "aud": AUDIENCE})
    assert check_issued(
        token, subject="urn:x", audience=AUDIENCE, types={VCT}, clear=["nationalities"], decoys=1
    )


# Presenting


def test_presenting_nothing_shows_what_is_clear() -> None:
    shown = verify(present(ISSUED, disclose=[]))
    assert shown.claims.keys().isdisjoint({"given_name", "address"})
    assert shown.withheld == 5


def test_paths_predicates_and_all_choose() -> None:
    assert verify(present(ISSUED, disclose=["nationalities[2]"])).claims["nationalities"] == ["AT", "FR"]
    assert verify(present(ISSUED, disclose=["address.region"])).claims["address"]["region"] == "NI"
    by_value = present(ISSUED, disclose=lambda _path, value: value == "Erika")
    assert verify(by_value).claims["given_name"] == "Erika"
    assert verify(present(ISSUED)).withheld == 1


def test_a_path_that_leads_nowhere_is_rejected() -> None:
    assert present_code_of(ISSUED, disclose=["absent"]) == "claim_not_found"
    assert present_code_of(ISSUED, disclose=["a..b"]) == "claim_path"
    assert present(ISSUED, disclose=["vct"])


def test_names_with_dots_and_digits_are_chosen_by_quoting() -> None:
    texts = disclosure(salt(8), "odd.name", 1), disclosure(salt(9), "500", 2)
    token = PLAIN.redacting(*texts)
    shown = verify(present(token, disclose=['["odd.name"]', "500"]))
    assert (shown.claims["odd.name"], shown.claims["500"]) == (1, 2)
    assert present_code_of(token, disclose=["odd.name"]) == "claim_not_found"


def test_only_the_bound_key_presents() -> None:
    assert present_code_of(ISSUED, holder=OTHER_KEY) == "holder_key_mismatch"
    assert present_code_of(check_issued(ISSUED), holder=OTHER_KEY) == "holder_key_mismatch"
    unbound = check_issued(ISSUED.claiming({"cnf": ...}), holder=WAIVED)
    assert present_code_of(unbound) == "holder_key_mismatch"


def test_a_presentation_without_key_binding_is_asked_for_by_name() -> None:
    nothing: dict[str, Any] = {"holder": WAIVED, "audience": None, "nonce": None, "now": None}
    shown = present(ISSUED, **nothing)
    assert shown == ISSUED.issued()
    assert code_of(shown) == "key_binding_missing"
    with pytest.raises(ValueError, match="nowhere"):
        present(ISSUED, **{**nothing, "nonce": NONCE})
    with pytest.raises(ValueError, match="needs"):
        present(ISSUED, nonce=None)


@pytest.mark.parametrize("name", ["iat", "aud", "nonce", "exp", "sd_hash"])
def test_further_claims_do_not_replace_ours(name: str) -> None:
    assert present_code_of(ISSUED, extra={name: 1}) == "kbt_claim_forbidden"


def test_a_presentation_may_expire_and_carry_more() -> None:
    binding = verify(present(ISSUED, lifetime=60, extra={"x": [1]})).key_binding
    assert binding is not None
    assert (binding["exp"], binding["x"]) == (BOUND_AT + 60, [1])


def test_disclosures_stay_in_the_issuers_order() -> None:
    one = present(ISSUED, disclose=["address", "given_name"])
    other = present(ISSUED, disclose=["given_name", "address"])
    assert one.split("~")[:-1] == other.split("~")[:-1]


def test_what_is_presented_is_as_received() -> None:
    token = PLAIN.redacting(disclosure(salt(9), "a", "ü"))
    assert present(token).startswith(token.issued())


def test_a_disclosure_that_answers_nothing_is_not_held() -> None:
    stray = ISSUED.showing(*ISSUED.disclosures, disclosure(salt(9), "a", 1))
    assert issued_code_of(stray) == "disclosure_unreferenced"
    assert present_code_of(stray) == "disclosure_unreferenced"


# The JSON serialisations


@pytest.mark.parametrize("form", ["flattened", "general"])
def test_json_forms_are_issued_held_presented_and_verified(form: Any) -> None:
    token = issue({"name": redact("Erika"), "list": [redact(1), 2]}, form=form)
    held = check_issued(token)
    shown = present(held, disclose=["name"])
    assert json.loads(shown).keys() == json.loads(token).keys()
    assert verify(shown).claims["name"] == "Erika"
    compact = present(held, disclose=["name"], form="compact")
    assert verify(compact).claims["list"] == [2]


def test_a_flattened_token_that_was_made_elsewhere_verifies() -> None:
    assert verify(GOOD.flattened()).claims["given_name"] == "Erika"


def test_the_unprotected_header_repeats_nothing_of_the_protected_one() -> None:
    assert verify(GOOD.flattened(kid="key-1")).issuer_key == ISSUER_KEY.public
    assert code_of(GOOD.headed({"kid": "key-1"}).flattened(kid="key-1")) == "header_duplicate"


@pytest.mark.parametrize("name", ["alg", "crit", "b64", "typ"])
def test_what_must_be_protected_is_not_read_unprotected(name: str) -> None:
    entry = {name: "example+sd-jwt"}
    token = PLAIN.headed({"typ": ...}) if name == "typ" else PLAIN
    assert code_of(token.flattened(**entry)) == "header_duplicate"


def test_a_token_may_have_several_signatures_of_which_one_is_trusted() -> None:
    first, second = GOOD, GOOD.but(issuer_key=OTHER_KEY)
    for token, other in ((first, second), (second, first)):
        flat = token.flattened()
        extra = {name: other.flattened()[name] for name in ("protected", "signature")}
        general = {
            "payload": flat["payload"],
            "signatures": [{name: flat[name] for name in ("protected", "signature", "header")}, extra],
        }
        assert verify(general).issuer_key == ISSUER_KEY.public
    general["signatures"] = general["signatures"][:1]
    assert code_of(general) == "signature_invalid"


def test_signatures_give_one_type() -> None:
    flat, other = GOOD.flattened(), PLAIN.flattened()
    signatures = [
        {name: flat[name] for name in ("protected", "signature", "header")},
        {name: other[name] for name in ("protected", "signature")},
    ]
    assert code_of({"payload": flat["payload"], "signatures": signatures}) == "sd_jwt_typ"


def test_in_json_sd_hash_is_over_the_compact_form() -> None:
    moved = {**GOOD.showing().flattened(), "header": GOOD.flattened()["header"]}
    assert verify(moved)
    dropped = GOOD.flattened()
    dropped["header"]["disclosures"] = dropped["header"]["disclosures"][:-2]
    assert code_of(dropped) == "sd_hash_mismatch"
