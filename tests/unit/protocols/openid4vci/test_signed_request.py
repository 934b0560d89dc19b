"""A signed request is by the key of its DPoP proof, for this issuer and the presented token, now."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.envelope import jws
from safeconduct.protocols.oauth import dpop
from safeconduct.protocols.openid4vci.errors import InvalidCredentialRequest
from safeconduct.protocols.openid4vci.request import parse_credential_request
from safeconduct.protocols.openid4vci.signed_request import TYPE, sign_request, verify_signed_request

NOW = 1_800_000_000
ISSUER = "https://issuer.example"
KEY, OTHER = Key.generate("ES256"), Key.generate("ES256")
PAYLOAD = b'{"credential_identifier":"id-1"}'


def sign(**changes: Any) -> str:
    arguments = {"key": KEY, "audience": ISSUER, "access_token": "token", "now": NOW}
    return sign_request(PAYLOAD, **{**arguments, **changes})


def verify(text: str, **changes: Any) -> bytes:
    arguments = {"key": KEY.public, "audience": ISSUER, "access_token": "token", "now": NOW}
    return verify_signed_request(text, **{**arguments, **changes})


def refused(text: str, code: str, **changes: Any) -> None:
    with pytest.raises(InvalidCredentialRequest) as caught:
        verify(text, **changes)
    assert caught.value.code == code


def test_a_signed_request_reads_as_the_request() -> None:
    payload = verify(sign())

    assert parse_credential_request(payload, batch_size=1).credential_identifier == "id-1"


@pytest.mark.parametrize("algorithm", ["ES384", "Ed25519"])
def test_other_keys_that_dpop_takes_may_sign(algorithm: str) -> None:
    key = Key.generate(algorithm)

    assert verify(sign(key=key), key=key.public)


def test_a_request_signed_by_another_key_than_the_proof_is_refused() -> None:
    refused(sign(key=OTHER), "request_signature_key")


def test_a_signature_by_another_key_under_the_name_of_the_right_one_is_refused() -> None:
    header, payload, _ = sign().split(".")
    signature = b64.encode(OTHER.sign(f"{header}.{payload}".encode()))

    refused(f"{header}.{payload}.{signature}", "signature_invalid")


def test_a_request_for_another_issuer_is_refused() -> None:
    refused(sign(audience="https://other.example"), "request_aud")


def test_a_request_for_another_token_is_refused() -> None:
    refused(sign(access_token="other"), "request_ath")


def test_a_request_is_good_within_its_window() -> None:
    assert verify(sign(now=NOW - limits.PROOF_MAX_AGE))
    assert verify(sign(now=NOW + limits.PROOF_LEEWAY))
    refused(sign(now=NOW - limits.PROOF_MAX_AGE - 1), "iat_too_old")
    refused(sign(now=NOW + limits.PROOF_LEEWAY + 1), "iat_in_future")


def test_a_jwt_of_another_type_is_refused() -> None:
    claims = json.dumps({"aud": ISSUER, "iat": NOW, "ath": dpop.ath("token")})
    header = {"kid": dpop.thumbprint(KEY.public)}

    refused(jws.sign(claims, signer=KEY, header={**header, "typ": "dpop+jwt"}), "jws_type")
    refused(jws.sign(claims, signer=KEY, header={**header, "typ": f"x-{TYPE}"}), "jws_type")


@pytest.mark.parametrize("missing", ["aud", "iat", "ath"])
def test_a_request_without_a_binding_claim_is_refused(missing: str) -> None:
    claims = {"aud": ISSUER, "iat": NOW, "ath": dpop.ath("token")}
    del claims[missing]  # type: ignore[arg-type]
    header = {"typ": TYPE, "kid": dpop.thumbprint(KEY.public)}

    refused(jws.sign(json.dumps(claims), signer=KEY, header=header), "message_malformed")


def test_members_of_a_request_do_not_replace_the_binding_claims() -> None:
    with pytest.raises(ValueError, match="binding"):
        sign_request(b'{"aud":"x"}', key=KEY, audience=ISSUER, access_token="token", now=NOW)


@given(st.text())
def test_any_text_is_an_invalid_request(text: str) -> None:
    with pytest.raises(InvalidCredentialRequest):
        verify(text)
