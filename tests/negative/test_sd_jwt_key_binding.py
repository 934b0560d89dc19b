"""The KB-JWT (RFC 9901 §4.3, §7.3) and the holder's key (RFC 7800)."""

from typing import Any

import pytest
from tests.negative.sd_jwt_builder import (
    AUDIENCE,
    BOUND_AT,
    GOOD,
    HOLDER_KEY,
    ISSUED,
    JWK,
    NAME,
    NONCE,
    NOW,
    OTHER_KEY,
    PLAIN,
    code_of,
    digest,
    disclosure,
    present,
    salt,
    verify,
)

from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64
from safeconduct.errors import SafeconductError
from safeconduct.trust import WAIVED

# Whether there is one


def test_a_presentation_without_key_binding_is_rejected_unless_waived() -> None:
    assert code_of(GOOD.issued()) == "key_binding_missing"
    verified = verify(GOOD.issued(), key_binding=WAIVED)
    assert (verified.key_binding, verified.holder) == (None, None)
    assert verified.claims["given_name"] == "Erika"


@pytest.mark.parametrize("key_binding", ["demanded", WAIVED])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"nonce": "other"}, "nonce_mismatch"),
        ({"aud": "https://other.example"}, "kbt_audience_mismatch"),
        ({"sd_hash": digest("other")}, "sd_hash_mismatch"),
    ],
)
def test_a_key_binding_that_is_there_is_checked_also_where_it_is_waived(
    change: dict[str, Any], code: str, key_binding: Any
) -> None:
    assert code_of(GOOD.binding(change), key_binding=key_binding) == code


def test_a_token_that_binds_no_key_cannot_be_bound() -> None:
    assert code_of(GOOD.claiming({"cnf": ...})) == "cnf_missing"
    assert code_of(GOOD.claiming({"cnf": ...}), key_binding=WAIVED) == "cnf_missing"


def test_key_binding_survives_decoys() -> None:
    token = GOOD.claiming({"_sd": [*GOOD.claims["_sd"], *map(digest, "abcdef")]})
    verified = verify(token)
    assert verified.holder == HOLDER_KEY.public
    assert verified.key_binding is not None


# Its header and signature


@pytest.mark.parametrize("typ", ["kb+jwt", "application/kb+jwt", "KB+JWT"])
def test_it_is_typed_as_one(typ: str) -> None:
    assert verify(GOOD.binding_headed({"typ": typ}))


@pytest.mark.parametrize("typ", ["JWT", "dc+sd-jwt", "kb+cwt", "", 1, ["kb+jwt"], ...])
def test_any_other_type_is_rejected(typ: Any) -> None:
    assert code_of(GOOD.binding_headed({"typ": typ})) == "kbt_typ"


def test_only_the_confirmed_key_signs() -> None:
    assert verify(GOOD).holder == HOLDER_KEY.public
    assert code_of(GOOD.but(holder_key=OTHER_KEY)) == "signature_invalid"
    with_key_in_header = GOOD.but(holder_key=OTHER_KEY).binding_headed({"jwk": OTHER_KEY.public.to_jwk()})
    assert code_of(with_key_in_header) == "signature_invalid"


@pytest.mark.parametrize("alg", ["none", "HS256", "ES384", "EdDSA", ""])
def test_the_algorithm_fits_the_key(alg: str) -> None:
    assert code_of(GOOD.binding_headed({"alg": alg})) == "algorithm_unsupported"


@pytest.mark.parametrize("name", ["ES256", "ES384", "ES512", "Ed25519", "ML-DSA-44"])
def test_holders_may_have_keys_of_every_kind(name: str) -> None:
    key = Key.generate(name)
    token = GOOD.claiming({"cnf": {"jwk": key.public.to_jwk()}})
    bound = token.but(holder_key=key).binding_headed({"alg": key.algorithm.jose})
    assert verify(bound).holder == key.public


@pytest.mark.parametrize(
    "binding", ["e30", "e30.e30", "e30.e30.AAAA.AAAA", "!.e30.AAAA", "e30.e30.AAAA", "a b.c.d"]
)
def test_it_is_a_jws(binding: str) -> None:
    assert code_of(GOOD.issued() + binding) == "jws_malformed"


# Its claims


@pytest.mark.parametrize("name", ["aud", "iat", "nonce", "sd_hash"])
def test_its_four_claims_must_be_there(name: str) -> None:
    assert code_of(GOOD.but(kb_claims={**GOOD.kb_claims, name: ...})) == "kbt_claim_missing"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("aud", [AUDIENCE]), ("aud", 1), ("aud", None)),
        *(("iat", str(BOUND_AT)), ("iat", True), ("iat", None)),
        *(("nonce", 1), ("nonce", None), ("nonce", [NONCE])),
        *(("sd_hash", 1), ("sd_hash", None), ("exp", "x"), ("nbf", "x"), ("iss", 1)),
    ],
)
def test_its_claims_have_their_types(name: str, value: Any) -> None:
    assert code_of(GOOD.binding({name: value})) == "claim_type"


def test_further_claims_are_handed_out() -> None:
    binding = verify(GOOD.binding({"transaction_data_hashes": ["x"]})).key_binding
    assert binding == {
        "aud": AUDIENCE,
        "iat": BOUND_AT,
        "nonce": NONCE,
        "transaction_data_hashes": ["x"],
    }


@pytest.mark.parametrize("nonce", ["", "other", NONCE + "x", NONCE[:-1], NONCE.upper()])
def test_the_nonce_is_the_one_that_was_asked_for(nonce: str) -> None:
    assert code_of(GOOD.binding({"nonce": nonce})) == "nonce_mismatch"
    assert verify(GOOD.binding({"nonce": nonce}), nonce=WAIVED)


def test_a_policy_may_decide_on_the_nonce_itself() -> None:
    asked = []
    assert verify(GOOD, nonce=lambda nonce: not asked.append(nonce))
    assert asked == [NONCE]
    assert code_of(GOOD, nonce=lambda _nonce: False) == "nonce_mismatch"


def test_a_nonce_is_judged_only_after_signatures_and_sd_hash() -> None:
    """Whoever cannot bind a presentation cannot use up its nonce."""
    asked: list[str] = []

    def judge(nonce: str) -> bool:
        asked.append(nonce)
        return True

    assert code_of(GOOD.but(holder_key=OTHER_KEY), nonce=judge) == "signature_invalid"
    assert code_of(GOOD.but(issuer_key=OTHER_KEY), nonce=judge) == "signature_invalid"
    assert code_of(GOOD.binding({"sd_hash": digest("other")}), nonce=judge) == "sd_hash_mismatch"
    assert asked == []
    assert verify(GOOD, nonce=judge)
    assert asked == [NONCE]


@pytest.mark.parametrize("aud", ["", "https://other.example", AUDIENCE + "/", AUDIENCE.upper()])
def test_its_audience_is_the_verifier(aud: str) -> None:
    assert code_of(GOOD.binding({"aud": aud})) == "kbt_audience_mismatch"
    assert verify(GOOD.binding({"aud": aud}), audience=WAIVED)


def test_a_verifier_may_have_several_names() -> None:
    assert verify(GOOD, audience=("https://other.example", AUDIENCE))
    assert code_of(GOOD, audience=("https://other.example",)) == "kbt_audience_mismatch"


def test_it_is_neither_too_old_nor_of_the_future() -> None:
    assert verify(GOOD.binding({"iat": NOW}))
    assert code_of(GOOD.binding({"iat": NOW + 1})) == "kbt_from_future"
    assert verify(GOOD.binding({"iat": NOW + 1}), leeway=1)
    assert verify(GOOD.binding({"iat": NOW - 60}), max_age=60)
    assert code_of(GOOD.binding({"iat": NOW - 61}), max_age=60) == "kbt_too_old"
    assert verify(GOOD.binding({"iat": NOW - 61}), max_age=60, leeway=1)


def test_its_own_validity_is_checked() -> None:
    assert verify(GOOD.binding({"exp": NOW + 1, "nbf": NOW}))
    assert code_of(GOOD.binding({"exp": NOW})) == "expired"
    assert code_of(GOOD.binding({"nbf": NOW + 1})) == "not_yet_valid"
    assert code_of(GOOD.binding({"exp": BOUND_AT})) == "jwt_times"


# What it binds


def test_sd_hash_binds_jwt_and_disclosures() -> None:
    bound = GOOD.key_binding()
    assert verify(GOOD.issued() + bound)
    for other in (
        GOOD.showing(),
        GOOD.showing(*GOOD.disclosures[:-2]),
        GOOD.showing(*reversed(GOOD.disclosures)),
        GOOD.claiming({"more": 1}),
    ):
        assert code_of(other.issued() + bound) == "sd_hash_mismatch"


def test_a_key_binding_cannot_be_moved_to_another_token_of_the_holder() -> None:
    other = GOOD.claiming({"vct": "https://issuer.example/types/other"})
    assert code_of(other.issued() + GOOD.key_binding()) == "sd_hash_mismatch"


@pytest.mark.parametrize("name", ["sha384", "sha512"])
def test_sd_hash_is_of_the_tokens_hash(name: str) -> None:
    sd_alg = f"{name[:3]}-{name[3:]}"
    token = PLAIN.but(hash_name=name).redacting(NAME, _sd_alg=sd_alg)
    assert verify(token)
    other = token.binding({"sd_hash": digest(token.issued(), "sha256")})
    assert code_of(other) == "sd_hash_mismatch"


def test_sd_hash_is_over_all_up_to_the_last_tilde() -> None:
    assert code_of(GOOD.binding({"sd_hash": digest(GOOD.issued()[:-1])})) == "sd_hash_mismatch"
    assert code_of(GOOD.binding({"sd_hash": digest(GOOD.jwt())})) == "sd_hash_mismatch"


# cnf


@pytest.mark.parametrize(
    ("confirmation", "code"),
    [
        ({}, "cnf_unsupported"),
        ({"jku": "https://keys.example"}, "cnf_unsupported"),
        ({"jwe": "e30.e30.e30.e30.e30"}, "cnf_encrypted"),
        ({"jwk": JWK, "jwe": "x"}, "cnf_ambiguous"),
        ({"jwk": JWK, "jkt": "x"}, "cnf_ambiguous"),
        ({"kid": "a", "jkt": "x"}, "cnf_ambiguous"),
        ({"kid": 1}, "cnf_malformed"),
        ({"jkt": None}, "cnf_malformed"),
        ({"kid": "unknown"}, "cnf_key_unknown"),
        ({"jkt": "unknown"}, "cnf_key_unknown"),
        ({"jwk": []}, "key_malformed"),
        ({"jwk": {**JWK, "x": "AAAA"}}, "key_malformed"),
        ({"jwk": HOLDER_KEY.to_jwk(private=True)}, "private_key_where_public_expected"),
        ({"jwk": {**JWK, "use": "enc"}}, "key_use_mismatch"),
        ({"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}, "key_unsupported"),
        ({"jwk": {"kty": "oct", "k": "AAAA"}}, "private_key_where_public_expected"),
    ],
)
def test_a_confirmation_names_one_usable_key(confirmation: dict[str, Any], code: str) -> None:
    assert code_of(GOOD.claiming({"cnf": confirmation})) == code


def test_a_known_key_may_be_confirmed_by_kid_or_thumbprint() -> None:
    known = HOLDER_KEY.public.with_kid("holder-1")
    for confirmation in ({"kid": "holder-1"}, {"jkt": b64.encode(known.jwk_thumbprint())}):
        token = GOOD.claiming({"cnf": confirmation})
        assert verify(token, holder_keys=(OTHER_KEY.public, known)).holder == known
        assert code_of(token, holder_keys=(OTHER_KEY.public,)) == "cnf_key_unknown"


def test_a_confirmation_that_is_disclosed_counts_in_a_plain_sd_jwt() -> None:
    text = disclosure(salt(9), "cnf", {"jwk": JWK})
    token = PLAIN.claiming({"cnf": ..., "_sd": [digest(text)]})
    assert verify(token.showing(text)).holder == HOLDER_KEY.public
    assert code_of(token.showing()) == "cnf_missing"


# Every byte


def test_every_changed_byte_of_a_presentation_is_rejected() -> None:
    text = present(ISSUED).encode()
    assert verify(text)
    accepted = []
    for place, byte in enumerate(text):
        for other in {byte ^ 1, byte ^ 2, byte ^ 32, ord("~"), ord("."), ord("A"), 0} - {byte}:
            changed = text[:place] + bytes([other]) + text[place + 1 :]
            if _is_accepted(changed):
                accepted.append((place, other))
    assert accepted == []


def test_every_missing_or_doubled_byte_of_a_presentation_is_rejected() -> None:
    text = present(ISSUED, disclose=["given_name"]).encode()
    accepted = [
        place
        for place in range(len(text))
        for changed in (text[:place] + text[place + 1 :], text[: place + 1] + text[place:], text[:place])
        if _is_accepted(changed)
    ]
    assert accepted == []


def _is_accepted(data: bytes) -> bool:
    try:
        verify(data)
    except SafeconductError:
        return False
    return True
