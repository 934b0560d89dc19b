"""SD-JWTs made to be misread: further signatures, look-alike types, tokens that name no issuer, odd URLs."""

import json
from typing import Any

import pytest
from tests.negative.sd_jwt_builder import (
    AUDIENCE,
    GOOD,
    HOLDER_KEY,
    ISSUED,
    ISSUER,
    ISSUER_KEY,
    NAME,
    NOW,
    OTHER_KEY,
    TRUST,
    Presentation,
    check_issued,
    code_of,
    disclosure,
    policy,
    salt,
    verify,
)
from tests.pki import Authority

from safeconduct.crypto import x509
from safeconduct.crypto.x509 import Certificate
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_jwt
from safeconduct.formats.redaction import Disclosure, conceal, random_salts, redact, reveal
from safeconduct.formats.sd_jwt import issuer_metadata
from safeconduct.formats.sd_jwt.codec import CODECS
from safeconduct.trust import Trust

ROOT, STRANGER = Authority.root(), Authority.root("Stranger")
CHAIN = ROOT.chain(ISSUER_KEY, uris=[ISSUER])
CERTIFIED = Trust.certified(ROOT.certificate)


def certified(chain: tuple[Certificate, ...] = CHAIN, token: Presentation = GOOD) -> Presentation:
    return token.headed({"x5c": x509.to_x5c(chain)})


# Several signatures


def signed_twice(*tokens: Presentation) -> str:
    """One payload, signed for several frameworks; disclosures and key binding go with the first."""
    flattened = [token.flattened() for token in tokens]
    signatures = [{name: part[name] for name in ("protected", "signature")} for part in flattened]
    signatures[0] = {**signatures[0], "header": flattened[0]["header"]}
    return json.dumps({"payload": flattened[0]["payload"], "signatures": signatures})


def test_a_chain_from_another_framework_does_not_spoil_the_signature_beside_it() -> None:
    foreign = certified(STRANGER.chain(ISSUER_KEY, uris=[ISSUER]))
    for token in (signed_twice(foreign, certified()), signed_twice(certified(), foreign)):
        assert verify(token, trust=CERTIFIED).issuer_key == ISSUER_KEY.public
    assert code_of(signed_twice(foreign, foreign), trust=CERTIFIED) == "x5c_untrusted"


def test_a_signature_that_is_forged_is_not_helped_by_another_forged_one() -> None:
    forged = GOOD.but(issuer_key=OTHER_KEY)
    assert code_of(signed_twice(forged, forged)) == "signature_invalid"
    assert code_of(signed_twice(forged, certified()), trust=Trust.of({})) == "issuer_unknown"


# Who signed


def test_a_token_that_names_no_issuer_still_says_whose_certificate_signed() -> None:
    nameless = certified(token=GOOD.claiming({"iss": ...}))
    shown = verify(nameless, trust=CERTIFIED)
    assert shown.issuer is None
    assert shown.issuer_certificate == CHAIN[0]
    held = check_issued(certified(token=ISSUED.claiming({"iss": ...})), trust=CERTIFIED)
    assert held.issuer is None
    assert held.issuer_certificate == CHAIN[0]


def test_a_key_that_is_trusted_by_itself_has_no_certificate() -> None:
    assert verify(certified()).issuer_certificate is None
    assert verify(GOOD, trust=Trust.issuer_not_checked()).issuer_certificate is None


def test_a_leaf_cannot_speak_for_an_issuer_that_another_leaf_is_for() -> None:
    other = ROOT.chain(OTHER_KEY, uris=["https://other.example"])
    assert code_of(certified(other).but(issuer_key=OTHER_KEY), trust=CERTIFIED) == "x5c_name_mismatch"


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5t#S256"])
def test_a_header_that_offers_a_key_is_not_asked(member: str) -> None:
    offered: Any = OTHER_KEY.public.to_jwk() if member == "jwk" else "https://evil.example/keys"
    forged = GOOD.headed({member: offered}).but(issuer_key=OTHER_KEY)
    assert code_of(forged) == "signature_invalid"


# One kind of JWT for another


@pytest.mark.parametrize(
    "typ",
    [
        "\N{KELVIN SIGN}b+jwt",
        "dpop+jwt",
        "openid4vci-proof+jwt",
        "key-attestation+jwt",
        "oauth-client-attestation-pop+jwt",
        "dc+sd-jwt",
    ],
)
def test_another_jwt_of_the_holder_is_no_key_binding(typ: str) -> None:
    assert code_of(GOOD.binding_headed({"typ": typ})) == "kbt_typ"


@pytest.mark.parametrize("typ", ["key-attestation+jwt", "openidvci-issuer-metadata+jwt", "statuslist+jwt"])
def test_another_jwt_of_the_issuer_is_no_sd_jwt(typ: str) -> None:
    assert code_of(GOOD.headed({"typ": typ})) == "sd_jwt_typ"


def test_a_presentation_inside_a_presentation_is_nothing() -> None:
    assert code_of(f"{GOOD.key_binding()}~{GOOD.key_binding()}") == "sd_jwt_typ"
    assert code_of(GOOD.text() + "~") == "disclosure_malformed"
    assert code_of(GOOD.text() + "\n") == "jws_malformed"


# The issuer's well-known path


@pytest.mark.parametrize(
    "path", ["/..", "/../x", "/a/../../x", "/.", "/a/./b", "/%2e%2E/x", "/.%2e/x", "/a/..", "/a/../"]
)
def test_an_issuer_cannot_lead_away_from_the_well_known_path(path: str) -> None:
    with pytest.raises(SafeconductError) as error:
        issuer_metadata.url_for(f"https://shared.example{path}")
    assert error.value.code == "issuer_not_url"


def test_dots_within_a_name_lead_nowhere() -> None:
    expected = "https://shared.example/.well-known/jwt-vc-issuer/.a/b..c/..."
    assert issuer_metadata.url_for("https://shared.example/.a/b..c/...") == expected


# What is shown of what is held


def test_nothing_that_holds_claims_shows_them() -> None:
    codec = CODECS["sha-256"]
    concealed = conceal({"name": redact("Erika"), "town": "Ulm"}, codec, salts=random_salts())
    revealed = reveal((concealed.tree,), concealed.disclosures, codec, locate=True)
    held = check_issued(ISSUED)
    shown = [concealed, revealed, *revealed.located, *concealed.disclosures, held, held.held]
    shown += [*held.held.located, sd_jwt.parse(GOOD.text()), verify(GOOD), verify(GOOD).opened]
    shown.append(Disclosure("element", salt(1), disclosure(salt(1), "Erika").encode(), "Erika"))
    for holder in shown:
        for secret in ("Erika", "Ulm", "name", "DE", NAME, salt(1)):
            assert secret not in repr(holder)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"audience": "https://other.example"}, "kbt_audience_mismatch"),
        ({"audience": (AUDIENCE.removesuffix("/app"), AUDIENCE + "/")}, "kbt_audience_mismatch"),
        ({"nonce": "another"}, "nonce_mismatch"),
        ({"nonce": ""}, "nonce_mismatch"),
    ],
)
@pytest.mark.parametrize("form", ["compact", "flattened", "parsed"])
def test_another_verifiers_presentation_is_refused_in_every_form(
    form: str, changes: dict[str, Any], code: str
) -> None:
    text = json.dumps(GOOD.flattened()) if form == "flattened" else GOOD.text()
    data = sd_jwt.parse(text) if form == "parsed" else text
    with pytest.raises(SafeconductError) as error:
        sd_jwt.verify(data, trust=TRUST, policy=policy(**changes), now=NOW)
    assert error.value.code == code


def test_a_holder_who_signs_as_issuer_is_unknown() -> None:
    forged = GOOD.but(issuer_key=HOLDER_KEY)
    assert code_of(forged) == "signature_invalid"
    assert code_of(forged.claiming({"iss": "https://holder.example"})) == "issuer_unknown"


def test_a_part_of_a_claim_cannot_be_let_stand_in_clear_with_the_rest_of_it_unseen() -> None:
    token = ISSUED.claiming({"residence": {"country": "DE", "street": "Am Ring 1"}})
    assert check_issued(token, clear=["nationalities", "residence"])
    with pytest.raises(ValueError, match="whole claim"):
        check_issued(token, clear=["nationalities", "residence.country"])
