"""A DPoP proof is good for one method, URL, token, key and time (RFC 9449 §4.3); anything else is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.envelope import jws
from safeconduct.errors import SafeconductError
from safeconduct.protocols.oauth import dpop
from safeconduct.protocols.oauth.errors import InvalidDpopProof, InvalidToken, UseDpopNonce

NOW = 1_800_000_000
KEY, OTHER = Key.generate("ES256"), Key.generate("ES256")
URL = "https://issuer.example/credential"
TOKEN = "token-1"

# RFC 9449 §4.1 and §7.1
RFC_PROOF = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOX"
    "pDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNy"
    "diI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW"
    "1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSs"
    "X0x7NVY-FNyJK70nfbV37xRZT3Lg"
)


def verify(proof: str, **changes: Any) -> dpop.DpopProof:
    """Verifies as a server would at which nothing is bound yet and no nonce is asked for."""
    arguments: dict[str, Any] = {
        "method": "POST",
        "url": URL,
        "now": NOW,
        "access_token": None,
        "expected_thumbprint": None,
        "nonce_ok": None,
    }
    return dpop.verify(proof, **arguments | changes)


def forge(header: dict[str, Any] | None = None, *, key: Key = KEY, **claims: Any) -> str:
    """A proof with members replaced, or left out where None."""
    members = {"jti": "id", "htm": "POST", "htu": URL, "iat": NOW} | claims
    head = {"typ": "dpop+jwt", "jwk": KEY.public.to_jwk()} | (header or {})
    return jws.sign(json.dumps(_present(members)), signer=key, header=_present(head))


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def refused(proof: str, code: str, kind: type[SafeconductError] = InvalidDpopProof, **changes: Any) -> None:
    with pytest.raises(kind) as caught:
        verify(proof, **changes)
    assert caught.value.code == code
    assert type(caught.value) is kind


def test_the_proof_of_the_rfc_is_good_at_its_time() -> None:
    proof = verify(RFC_PROOF, url="https://server.example.com/token", now=1562262616)

    assert proof.jti == "-BwC3ESc6acc2lTc"
    assert proof.thumbprint == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "Ed25519"])
def test_a_proof_made_here_is_good_here(algorithm: str) -> None:
    key = Key.generate(algorithm)
    text = dpop.create(key=key, method="POST", url=URL, now=NOW, access_token=TOKEN, nonce="n")

    proof = verify(
        text,
        access_token=TOKEN,
        expected_thumbprint=dpop.thumbprint(key.public),
        nonce_ok=lambda nonce: nonce == "n",
    )

    assert (proof.key, proof.iat, proof.nonce) == (key.public, NOW, "n")


def test_each_proof_has_a_jti_of_its_own() -> None:
    first, second = (verify(dpop.create(key=KEY, method="POST", url=URL, now=NOW)) for _ in range(2))

    assert first.jti != second.jti


def test_a_proof_does_not_tell_the_local_name_of_the_key() -> None:
    proof = dpop.create(key=KEY.with_kid("phone-1"), method="POST", url=URL, now=NOW)

    assert "kid" not in jws.parse(proof).header["jwk"]


@pytest.mark.parametrize("seconds", [-10, 10])
def test_a_proof_ten_seconds_off_is_good(seconds: int) -> None:
    assert verify(dpop.create(key=KEY, method="POST", url=URL, now=NOW + seconds)).iat == NOW + seconds


def test_a_proof_is_good_within_its_window_and_need_not_be_remembered_after() -> None:
    proof = verify(forge(iat=NOW - limits.DPOP_MAX_AGE))
    assert proof.expires == NOW + 1
    assert verify(forge(iat=NOW + limits.DPOP_LEEWAY)).iat == NOW + limits.DPOP_LEEWAY

    refused(forge(iat=NOW - limits.DPOP_MAX_AGE - 1), "iat_too_old")
    refused(forge(iat=NOW + limits.DPOP_LEEWAY + 1), "iat_in_future")


def test_a_fraction_of_a_second_is_legal() -> None:
    assert verify(forge(iat=NOW - 0.5)).iat == NOW - 1


def test_query_and_fragment_do_not_matter_and_equivalent_urls_are_one() -> None:
    assert verify(forge(htu="HTTPS://Issuer.example:443/a/../credential?x=1#y"), url=f"{URL}?z=2")


@pytest.mark.parametrize(
    "htu",
    [
        "https://issuer.example/token",
        "http://issuer.example/credential",
        "https://issuer.example/credential/",
    ],
)
def test_a_proof_for_another_url_is_refused(htu: str) -> None:
    refused(forge(htu=htu), "dpop_htu")


def test_a_proof_with_no_url_at_all_is_refused() -> None:
    refused(forge(htu="credential"), "url_malformed")


@pytest.mark.parametrize("htm", ["GET", "post"])
def test_a_proof_for_another_method_is_refused(htm: str) -> None:
    refused(forge(htm=htm), "dpop_htm")


@pytest.mark.parametrize("claim", ["jti", "htm", "htu", "iat"])
def test_a_proof_without_a_required_claim_is_refused(claim: str) -> None:
    refused(forge(**{claim: None}), "message_malformed")


@pytest.mark.parametrize("claims", [{"jti": 1}, {"iat": "1"}, {"iat": True}, {"htm": ["POST"]}, {"nonce": 1}])
def test_a_claim_of_another_type_is_refused(claims: dict[str, Any]) -> None:
    refused(forge(**claims), "message_malformed")


@pytest.mark.parametrize("jti", ["", "a" * (limits.JTI_CHARS + 1)])
def test_a_jti_that_is_empty_or_too_long_to_remember_is_refused(jti: str) -> None:
    refused(forge(jti=jti), "dpop_jti")
    assert verify(forge(jti="a" * limits.JTI_CHARS))


@pytest.mark.parametrize("typ", [None, "JWT", "openid4vci-proof+jwt"])
def test_a_jwt_of_another_type_is_refused(typ: str | None) -> None:
    refused(forge({"typ": typ}), "jws_type")


def test_a_proof_without_a_key_is_refused() -> None:
    refused(forge({"jwk": None}), "jwk_missing")
    refused(forge({"jwk": "key"}), "jwk_missing")


def test_a_private_key_in_the_header_is_refused() -> None:
    refused(forge({"jwk": KEY.to_jwk(private=True)}), "private_key_where_public_expected")


def test_a_symmetric_key_in_the_header_is_refused() -> None:
    refused(forge({"jwk": {"kty": "oct", "k": "AAAA"}}), "private_key_where_public_expected")


def test_a_signature_by_another_key_is_refused() -> None:
    refused(forge(key=OTHER), "signature_invalid")


@pytest.mark.parametrize("alg", ["none", "HS256", "RS256"])
def test_an_algorithm_without_a_public_key_of_ours_is_refused(alg: str) -> None:
    header, payload, signature = forge().split(".")
    members = json.loads_object(b64.decode(header)) | {"alg": alg}

    refused(f"{b64.encode(json.dumps(members))}.{payload}.{signature}", "algorithm_unsupported")


def test_an_algorithm_outside_the_allowed_ones_is_refused() -> None:
    refused(forge(), "algorithm_unsupported", algorithms=["EdDSA"])


def test_a_proof_before_its_nbf_or_after_its_exp_is_refused() -> None:
    assert verify(forge(nbf=NOW, exp=NOW + 1))
    refused(forge(nbf=NOW + limits.DPOP_LEEWAY + 1), "jwt_not_yet_valid")
    refused(forge(exp=NOW - limits.DPOP_LEEWAY), "jwt_expired")


@pytest.mark.parametrize("ath", [None, "", dpop.ath("token-2"), "é"])
def test_a_proof_without_the_hash_of_the_presented_token_is_refused(ath: str | None) -> None:
    refused(forge(ath=ath), "dpop_ath", access_token=TOKEN)


def test_a_token_presented_by_another_key_than_its_own_is_an_invalid_token() -> None:
    bound = dpop.thumbprint(OTHER.public)

    proof = forge(ath=dpop.ath(TOKEN))
    refused(proof, "dpop_key_binding", InvalidToken, access_token=TOKEN, expected_thumbprint=bound)


def test_a_code_bound_to_another_key_makes_the_proof_invalid() -> None:
    refused(forge(), "dpop_key_binding", expected_thumbprint=dpop.thumbprint(OTHER.public))


def test_a_proof_without_the_nonce_asked_for_is_told_to_use_one() -> None:
    refused(forge(), "dpop_nonce_missing", UseDpopNonce, nonce_ok=lambda _: True)


@pytest.mark.parametrize("nonce", ["", "old", "a" * (limits.NONCE_CHARS + 1)])
def test_a_proof_with_a_nonce_that_is_not_current_is_told_to_use_one(nonce: str) -> None:
    refused(forge(nonce=nonce), "dpop_nonce_stale", UseDpopNonce, nonce_ok=lambda value: len(value) > 400)


def test_an_invalid_proof_is_invalid_whether_or_not_it_has_a_nonce() -> None:
    refused(forge(key=OTHER), "signature_invalid", nonce_ok=lambda _: False)


def test_an_oversized_proof_is_refused() -> None:
    refused("a" * (limits.PROOF_BYTES + 1), "jws_too_large")


def test_a_request_carries_exactly_one_proof() -> None:
    assert dpop.single_header(["a.b.c"]) == "a.b.c"
    for values, code in (([], "dpop_missing"), (["a", "b"], "dpop_repeated"), (["a, b"], "dpop_repeated")):
        with pytest.raises(InvalidDpopProof) as caught:
            dpop.single_header(values)
        assert caught.value.code == code


@given(st.text() | st.builds(lambda *parts: ".".join(map(b64.encode, parts)), *[st.binary(max_size=40)] * 3))
def test_any_text_as_a_proof_is_a_safeconduct_error(text: str) -> None:
    with pytest.raises(SafeconductError):
        verify(text)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.sampled_from(["jti", "htm", "htu", "iat", "ath", "nonce", "nbf", "exp"]), json_values)
def test_any_value_of_a_claim_is_taken_or_a_safeconduct_error(claim: str, value: Any) -> None:
    try:
        verify(forge(**{claim: value}), access_token=TOKEN, nonce_ok=lambda _: True)
    except SafeconductError:
        return


@given(json_values)
def test_any_value_of_the_header_key_is_a_safeconduct_error(value: Any) -> None:
    with pytest.raises(SafeconductError):
        verify(forge({"jwk": value}))
