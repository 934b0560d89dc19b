"""The issuer-signed JWT: type, headers, registered claims, times, issuer (RFC 9901 §7.1, SD-JWT VC)."""

from typing import Any

import pytest
from tests.negative.sd_jwt_builder import (
    AUDIENCE,
    EXP,
    GOOD,
    HOLDER_KEY,
    IAT,
    ISSUER,
    ISSUER_KEY,
    NOW,
    OTHER_KEY,
    PLAIN,
    VCT,
    b64,
    code_of,
    digest,
    disclosure,
    element,
    issued_code_of,
    salt,
    verify,
)

from safeconduct.formats import sd_jwt
from safeconduct.trust import WAIVED, Trust

# Type and header


@pytest.mark.parametrize("typ", ["dc+sd-jwt", "application/dc+sd-jwt", "DC+SD-JWT"])
def test_a_credential_is_typed_as_one(typ: str) -> None:
    assert verify(GOOD.headed({"typ": typ})).profile == "sd-jwt-vc"


@pytest.mark.parametrize("typ", ["example+sd-jwt", "sd-jwt", "application/example+sd-jwt", ...])
def test_any_other_sd_jwt_may_have_a_type_of_its_own_or_none(typ: Any) -> None:
    assert verify(GOOD.headed({"typ": typ})).profile == "sd-jwt"
    assert code_of(GOOD.headed({"typ": typ}), profiles=("sd-jwt-vc",)) == "sd_jwt_typ"


@pytest.mark.parametrize("typ", ["kb+jwt", "JWT", "at+jwt", "vc+sd-jwt", "sd+jwt", "", 1, ["dc+sd-jwt"]])
def test_any_other_type_is_rejected(typ: Any) -> None:
    token = GOOD.headed({"typ": typ})
    assert code_of(token) == "sd_jwt_typ"
    assert issued_code_of(token) == "sd_jwt_typ"


def test_a_credential_is_never_read_as_another_sd_jwt() -> None:
    assert code_of(GOOD, profiles=("sd-jwt",)) == "sd_jwt_typ"
    assert code_of(GOOD.headed({"typ": "vc+sd-jwt"}), profiles=("sd-jwt",)) == "sd_jwt_typ"


@pytest.mark.parametrize(("name", "typ"), [("vc-sd-jwt", "vc+sd-jwt"), ("typ-jwt", "JWT")])
def test_each_leniency_admits_its_type_alone(name: str, typ: str) -> None:
    token = GOOD.headed({"typ": typ})
    assert verify(token, accept=frozenset({name})).claims["vct"] == VCT
    other = frozenset(sd_jwt.LENIENCIES) - {name}
    assert code_of(token, accept=other) == "sd_jwt_typ"
    assert code_of(GOOD.headed({"typ": "at+jwt"}), accept=frozenset(sd_jwt.LENIENCIES)) == "sd_jwt_typ"
    assert (
        code_of(GOOD.headed({"typ": ...}), accept=frozenset({name}), profiles=("sd-jwt-vc",)) == "sd_jwt_typ"
    )


def test_an_unknown_leniency_is_not_supported() -> None:
    assert code_of(GOOD, accept=frozenset({"anything"})) == "leniency_unknown"


def test_what_was_parsed_under_other_rules_is_not_verified() -> None:
    lenient = sd_jwt.parse(GOOD.headed({"typ": "JWT"}).text(), accept={"typ-jwt"})
    assert code_of(lenient) == "profile_not_accepted"
    plain = sd_jwt.parse(PLAIN.text())
    assert code_of(plain, profiles=("sd-jwt-vc",)) == "profile_not_accepted"
    assert verify(sd_jwt.parse(GOOD.text())).claims["vct"] == VCT


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "RS256", "es256", "", "ES384"])
def test_the_algorithm_is_one_that_is_known_and_fits_the_key(alg: str) -> None:
    assert code_of(GOOD.headed({"alg": alg})) == "algorithm_unsupported"


@pytest.mark.parametrize("alg", [..., None, 1, ["ES256"]])
def test_a_header_names_its_algorithm(alg: Any) -> None:
    assert code_of(GOOD.headed({"alg": alg})) == "jws_malformed"


def test_an_unsigned_token_is_rejected() -> None:
    header, payload, _ = GOOD.jwt().split(".")
    unsigned = b64('{"alg":"none","typ":"dc+sd-jwt"}')
    text = GOOD.text()
    for jwt in (f"{unsigned}.{payload}.", f"{header}.{payload}."):
        assert code_of(text.replace(GOOD.jwt(), jwt)) in ("algorithm_unsupported", "signature_invalid")


def test_algorithms_are_those_of_the_policy() -> None:
    assert code_of(GOOD, algorithms=frozenset({"Ed25519"})) == "algorithm_unsupported"


@pytest.mark.parametrize("entry", [{"crit": ["exp"]}, {"crit": []}, {"b64": False}])
def test_critical_extensions_are_not_understood(entry: dict[str, Any]) -> None:
    assert code_of(GOOD.headed(entry)) == "crit_unsupported"
    assert code_of(GOOD.binding_headed(entry)) == "crit_unsupported"


@pytest.mark.parametrize("kid", [1, ["x"], {}])
def test_a_kid_is_text(kid: Any) -> None:
    assert code_of(GOOD.headed({"kid": kid})) == "jws_malformed"


@pytest.mark.parametrize("claims", ["[]", '"text"', "1", "null"])
def test_the_claims_are_an_object(claims: str) -> None:
    assert code_of(GOOD.but(claims=claims)) == "claims_not_object"
    assert code_of(GOOD.but(kb_claims=claims)) == "claims_not_object"


# The issuer


def test_only_a_trusted_issuers_key_signs() -> None:
    assert code_of(GOOD.but(issuer_key=OTHER_KEY)) == "signature_invalid"
    assert code_of(GOOD.claiming({"iss": "https://other.example"})) == "issuer_unknown"
    assert code_of(GOOD, trust=Trust()) == "issuer_unknown"
    assert issued_code_of(GOOD.but(issuer_key=OTHER_KEY)) == "signature_invalid"


def test_a_pinned_key_signs_for_whatever_issuer_or_none() -> None:
    trust = Trust.key(ISSUER_KEY.public)
    assert verify(GOOD.claiming({"iss": ...}), trust=trust).issuer is None
    assert verify(GOOD, trust=trust).issuer == ISSUER
    assert code_of(GOOD.claiming({"iss": ...})) == "issuer_unknown"


def test_kid_picks_among_an_issuers_keys() -> None:
    trust = Trust.of({ISSUER: [OTHER_KEY.public.with_kid("a"), ISSUER_KEY.public.with_kid("b")]})
    assert verify(GOOD.headed({"kid": "b"}), trust=trust).issuer_key == ISSUER_KEY.public
    assert verify(GOOD, trust=trust).issuer_key == ISSUER_KEY.public
    assert code_of(GOOD.headed({"kid": "a"}), trust=trust) == "signature_invalid"
    assert code_of(GOOD.headed({"kid": "c"}), trust=trust) == "issuer_unknown"


def test_the_issuers_check_can_be_waived_by_name() -> None:
    verified = verify(GOOD.but(issuer_key=OTHER_KEY), trust=Trust.issuer_not_checked())
    assert verified.issuer_key is None


def test_an_issuer_revealed_by_a_disclosure_is_rejected() -> None:
    """The key was found without it: it could name somebody else."""
    text = disclosure(salt(9), "iss", "https://other.example")
    trust = Trust.key(ISSUER_KEY.public)
    for token in (GOOD, PLAIN):
        hidden = token.claiming({"iss": ..., "_sd": [digest(text)]}).showing(text)
        assert code_of(hidden, trust=trust) == "claim_not_redactable"


# Registered claims


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("iss", 1), ("sub", 1), ("jti", 1), ("vct", 1), ("vct", None), ("vct#integrity", 1)),
        *(("exp", str(EXP)), ("nbf", True), ("iat", None), ("exp", [EXP])),
        *(("aud", 1), ("aud", [AUDIENCE, 1]), ("aud", {}), ("cnf", []), ("cnf", "x"), ("status", "x")),
    ],
)
def test_a_registered_claim_has_its_type(name: str, value: Any) -> None:
    expected = {"iss": "issuer_unknown"}.get(name, "claim_type")
    assert code_of(GOOD.claiming({name: value})) == expected
    assert issued_code_of(GOOD.claiming({name: value})) == "claim_type"


def test_a_disclosed_registered_claim_has_its_type() -> None:
    assert code_of(PLAIN.redacting(disclosure(salt(9), "sub", 1))) == "claim_type"


def test_a_credential_has_a_type() -> None:
    assert code_of(GOOD.claiming({"vct": ...})) == "claim_missing"
    assert verify(PLAIN.claiming({"vct": ...})).claims.keys().isdisjoint({"vct"})


@pytest.mark.parametrize("name", ["iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"])
def test_a_credentials_validity_is_never_redacted(name: str) -> None:
    text = disclosure(salt(9), name, GOOD.claims.get(name, "x"))
    token = GOOD.claiming({name: ..., "_sd": [digest(text)]}).showing(text)
    expected = "issuer_unknown" if name == "iss" else "claim_not_redactable"
    assert code_of(token) == expected
    assert code_of(token, trust=Trust.key(ISSUER_KEY.public)) == "claim_not_redactable"


@pytest.mark.parametrize("name", ["cnf", "status"])
def test_nothing_inside_them_is_redacted(name: str) -> None:
    inside = {**GOOD.claims.get(name, {}), "_sd": [digest("x")]}
    assert code_of(GOOD.claiming({name: inside})) == "claim_not_redactable"


@pytest.mark.parametrize("name", ["sub", "iat"])
def test_sub_and_iat_may_be_redacted(name: str) -> None:
    text = disclosure(salt(9), name, {"sub": "urn:x", "iat": IAT}[name])
    token = GOOD.claiming({name: ..., "_sd": [digest(text)]}).showing(text)
    assert name in verify(token).claims


def test_entries_of_aud_may_be_redacted() -> None:
    text = disclosure(salt(9), AUDIENCE)
    token = GOOD.claiming({"aud": [element(text), "https://other.example"], "_sd": []})
    assert verify(token.showing(text)).claims["aud"] == [AUDIENCE, "https://other.example"]
    assert code_of(token.showing()) == "audience_mismatch"


@pytest.mark.parametrize(
    "listed",
    [
        *({}, [], 1, {"idx": 1}, {"uri": "https://s"}, {"idx": 1, "uri": ""}),
        *({"idx": index, "uri": "https://s"} for index in (-1, True, "1", 1.0, None)),
        {"idx": 1, "uri": "https://s/" + "a" * 4096},
    ],
)
def test_a_status_reference_has_index_and_uri(listed: Any) -> None:
    assert code_of(GOOD.claiming({"status": {"status_list": listed}})) == "status_malformed"


def test_a_status_reference_is_handed_out() -> None:
    status = {"status_list": {"idx": 7, "uri": "https://status.example/1"}}
    found = verify(GOOD.claiming({"status": status})).status
    assert found is not None
    assert found.reference == sd_jwt.StatusReference(7, "https://status.example/1")
    assert found.state == "unchecked"
    assert "status.example" not in repr(found) + repr(found.reference)
    assert verify(GOOD).status is None
    elsewhere = verify(GOOD.claiming({"status": {"other": 1}})).status
    assert elsewhere is not None
    assert elsewhere.reference is None


# Times


def test_exp_is_the_first_second_that_is_too_late() -> None:
    assert verify(GOOD, now=EXP - 1)
    assert code_of(GOOD, now=EXP) == "expired"
    assert code_of(GOOD, now=EXP + 1) == "expired"
    assert verify(GOOD, now=EXP, leeway=1)
    assert code_of(GOOD, now=EXP + 1, leeway=1) == "expired"
    assert issued_code_of(GOOD, now=EXP) == "expired"


def test_nbf_is_the_first_second_that_is_not_too_early() -> None:
    token = GOOD.claiming({"iat": ..., "nbf": NOW})
    assert verify(token)
    assert code_of(token.claiming({"nbf": NOW + 1})) == "not_yet_valid"
    assert verify(token.claiming({"nbf": NOW + 1}), leeway=1)
    assert issued_code_of(token.claiming({"nbf": NOW + 1})) == "not_yet_valid"


def test_a_token_is_not_of_the_future() -> None:
    assert code_of(GOOD.claiming({"iat": NOW + 1})) == "issued_in_future"
    assert verify(GOOD.claiming({"iat": NOW + 1}), leeway=1)


@pytest.mark.parametrize("start", ["iat", "nbf"])
def test_validity_does_not_end_before_it_begins(start: str) -> None:
    assert code_of(GOOD.claiming({start: EXP})) == "jwt_times"
    assert issued_code_of(GOOD.claiming({start: EXP})) == "jwt_times"


def test_times_may_have_fractions() -> None:
    assert verify(GOOD.claiming({"exp": EXP + 0.5}), now=EXP)
    assert code_of(GOOD.claiming({"exp": EXP + 0.5}), now=EXP + 1) == "expired"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("exp", NOW, "expired"), ("nbf", NOW + 1, "not_yet_valid"), ("iat", NOW + 1, "issued_in_future")],
)
def test_times_are_checked_after_they_are_disclosed(name: str, value: int, code: str) -> None:
    text = disclosure(salt(9), name, value)
    claims = dict.fromkeys(("exp", "nbf", "iat"), ...)
    token = PLAIN.claiming({**claims, "_sd": [digest(text)]})
    assert code_of(token.showing(text)) == code
    assert verify(token.showing()).withheld == 3


def test_a_policy_can_demand_claims_after_disclosure() -> None:
    text = disclosure(salt(9), "exp", EXP)
    token = PLAIN.claiming({"exp": ..., "_sd": [digest(text)]})
    demand = {"require_claims": frozenset({"exp"})}
    assert verify(token.showing(text), **demand).claims["exp"] == EXP
    assert code_of(token.showing(), **demand) == "claim_missing"


# Audience, type, demands


def test_the_tokens_own_audience_fits_the_verifier() -> None:
    assert verify(GOOD.claiming({"aud": AUDIENCE}))
    assert verify(GOOD.claiming({"aud": ["https://other.example", AUDIENCE]}))
    for other in ("https://other.example", ["https://other.example"], [], AUDIENCE + "/"):
        assert code_of(GOOD.claiming({"aud": other})) == "audience_mismatch"
    assert verify(GOOD.claiming({"aud": "https://other.example"}), audience=WAIVED)


def test_a_policy_names_the_accepted_types() -> None:
    assert verify(GOOD, types=frozenset({VCT}))
    assert code_of(GOOD, types=frozenset({"https://other.example"})) == "type_not_accepted"
    assert code_of(PLAIN.claiming({"vct": ...}), types=frozenset({VCT})) == "type_not_accepted"


def test_a_policy_can_demand_a_disclosure() -> None:
    assert verify(GOOD, require_disclosure=True)
    assert code_of(GOOD.showing(), require_disclosure=True) == "disclosure_required"


def test_needs_tells_what_verification_will_look_for() -> None:
    needs = sd_jwt.parse(GOOD.headed({"kid": "k", "x5c": ["AAAA"]}).text()).needs()
    assert (needs.issuer, needs.kid, needs.x5c, needs.type) == (ISSUER, "k", ["AAAA"], VCT)
    assert ISSUER not in repr(needs)
    bare = sd_jwt.parse(PLAIN.claiming({"iss": ..., "vct": ...}).text()).needs()
    assert (bare.issuer, bare.kid, bare.x5c, bare.type) == (None, None, None, None)


def test_nothing_that_was_received_is_shown_by_a_representation() -> None:
    verified = verify(GOOD)
    parsed = sd_jwt.parse(GOOD.text())
    for shown in map(repr, (verified, verified.claims, parsed, parsed.token, parsed.token.envelope)):
        assert "Erika" not in shown
        assert ISSUER not in shown
        assert HOLDER_KEY.public.to_jwk()["x"] not in shown
