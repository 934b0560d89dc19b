"""Token requests and responses (RFC 6749 §4.1.3, §5, §6; OpenID4VCI 1.0 §6)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.protocols.oauth import form, token
from safeconduct.protocols.oauth.authorization_details import CredentialDetail, GrantedDetail
from safeconduct.protocols.oauth.errors import (
    InvalidAuthorizationDetails,
    InvalidClient,
    InvalidRequest,
    InvalidScope,
    UnsupportedGrantType,
)

WISH = CredentialDetail("card")
GRANT = GrantedDetail("card", ("id-1",))
REQUEST = token.TokenRequest(
    pre_authorized_code="code", tx_code="1234", client_id="wallet", authorization_details=(WISH,)
)
RESPONSE = token.TokenResponse(
    access_token="abc",
    token_type="DPoP",
    expires_in=300,
    authorization_details=(GRANT,),
    scope=("diploma",),
    refresh_token="refresh",
)
CODE_REQUEST = token.AuthorizationCodeRequest(
    code="code",
    redirect_uri="https://wallet.example/cb",
    code_verifier="v" * 43,
    client_id="wallet",
    authorization_details=(WISH,),
    resource="https://issuer.example",
)
REFRESH = token.RefreshRequest(
    refresh_token="refresh", client_id="wallet", authorization_details=(WISH,), scope=("diploma",)
)


def body(**parameters: str | None) -> bytes:
    members = {"grant_type": token.PRE_AUTHORIZED_CODE, "pre-authorized_code": "code"} | parameters
    return form.encode_form((name, value) for name, value in members.items() if value is not None)


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST,
        token.TokenRequest(pre_authorized_code="code"),
        token.TokenRequest(pre_authorized_code="code", scope=("a", "b")),
        CODE_REQUEST,
        token.AuthorizationCodeRequest(code="code", redirect_uri=None, code_verifier=None),
        REFRESH,
        token.RefreshRequest(refresh_token="refresh"),
    ],
)
def test_a_request_is_read_as_it_was_written(request_: token.AnyTokenRequest) -> None:
    assert token.parse_token_request(token.token_request_form(request_)) == request_


def test_unknown_parameters_are_ignored() -> None:
    read = token.parse_token_request(body(resource="https://issuer.example", x="1"))
    assert read == token.TokenRequest(pre_authorized_code="code")


@pytest.mark.parametrize(
    ("parameters", "kind", "code"),
    [
        ({"grant_type": None}, InvalidRequest, "grant_type_missing"),
        ({"grant_type": "password"}, UnsupportedGrantType, "grant_type_unsupported"),
        ({"grant_type": "authorization_code"}, InvalidRequest, "code_missing"),
        ({"grant_type": "refresh_token"}, InvalidRequest, "code_missing"),
        ({"scope": "\u00e9"}, InvalidScope, "scope_malformed"),
        ({"scope": "a  b"}, InvalidScope, "scope_malformed"),
        ({"scope": " ".join(map(str, range(limits.LIST_ITEMS + 1)))}, InvalidScope, "scope_malformed"),
        ({"pre-authorized_code": None}, InvalidRequest, "code_missing"),
        ({"pre-authorized_code": ""}, InvalidRequest, "code_missing"),
        ({"pre-authorized_code": "a" * (limits.CODE_CHARS + 1)}, InvalidRequest, "parameter_too_long"),
        ({"tx_code": "a" * (limits.CODE_CHARS + 1)}, InvalidRequest, "parameter_too_long"),
        ({"authorization_details": "[]"}, InvalidAuthorizationDetails, "details_malformed"),
    ],
)
def test_an_unacceptable_request_has_its_error(
    parameters: dict[str, str | None], kind: type[SafeconductError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        token.parse_token_request(body(**parameters))
    assert caught.value.code == code


def test_a_repeated_code_is_an_invalid_request() -> None:
    with pytest.raises(InvalidRequest) as caught:
        token.parse_token_request(body() + b"&pre-authorized_code=other")
    assert caught.value.code == "parameter_repeated"


def test_a_transaction_code_must_be_there_if_expected_and_only_then() -> None:
    without = token.parse_token_request(body(tx_code=""))
    token.check_tx_code_presence(REQUEST, expected=True)
    token.check_tx_code_presence(without, expected=False)

    for request_, expected, code in (
        (without, True, "tx_code_missing"),
        (REQUEST, False, "tx_code_unexpected"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            token.check_tx_code_presence(request_, expected=expected)
        assert caught.value.code == code


def test_an_anonymous_client_is_invalid_unless_allowed() -> None:
    anonymous = token.parse_token_request(body())
    token.check_client_named(anonymous, anonymous_allowed=True)
    token.check_client_named(REQUEST, anonymous_allowed=False)

    with pytest.raises(InvalidClient) as caught:
        token.check_client_named(anonymous, anonymous_allowed=False)
    assert caught.value.code == "client_id_missing"


def test_codes_and_tokens_are_not_shown() -> None:
    assert "1234" not in repr(REQUEST)
    assert "'code'" not in repr(REQUEST)
    assert "abc" not in repr(RESPONSE)
    assert "'code'" not in repr(CODE_REQUEST)
    assert "'refresh'" not in repr(REFRESH)


def test_a_response_is_read_as_it_was_written() -> None:
    written = json.dumps(token.token_response_json(RESPONSE))

    assert token.parse_token_response(written, requested=(WISH,), token_type="DPoP") == RESPONSE


def test_a_response_without_details_is_good_if_none_were_asked_for() -> None:
    read = token.parse_token_response(
        b'{"access_token":"abc","token_type":"dpop","c_nonce":"old"}', requested=(), token_type="DPoP"
    )

    assert read == token.TokenResponse(access_token="abc", token_type="DPoP")


@pytest.mark.parametrize(
    ("changes", "kind", "code"),
    [
        ({"token_type": "Bearer"}, Rejected, "token_type_unexpected"),
        ({"token_type": None}, Malformed, "message_malformed"),
        ({"access_token": ""}, Malformed, "message_malformed"),
        ({"access_token": "a b"}, Malformed, "message_malformed"),
        ({"access_token": "a\r\nX: y"}, Malformed, "message_malformed"),
        ({"access_token": "a\n"}, Malformed, "message_malformed"),
        ({"access_token": "a" * (limits.TOKEN_CHARS + 1)}, Malformed, "message_malformed"),
        ({"expires_in": -1}, Malformed, "message_malformed"),
        ({"refresh_token": "a" * (limits.TOKEN_CHARS + 1)}, Malformed, "message_malformed"),
        ({"refresh_token": "a\n"}, Malformed, "message_malformed"),
        ({"scope": ["a"]}, Malformed, "message_malformed"),
        ({"scope": "\u00e9"}, Malformed, "scope_malformed"),
        ({"expires_in": "300"}, Malformed, "message_malformed"),
        ({"authorization_details": None}, Rejected, "authorization_details_missing"),
        ({"authorization_details": []}, Malformed, "details_malformed"),
        (
            {
                "authorization_details": [
                    {
                        "type": "openid_credential",
                        "credential_configuration_id": "other",
                        "credential_identifiers": ["a"],
                    }
                ]
            },
            Rejected,
            "authorization_details_foreign",
        ),
    ],
)
def test_an_unacceptable_response_is_refused(
    changes: dict[str, Any], kind: type[SafeconductError], code: str
) -> None:
    members = {**token.token_response_json(RESPONSE), **changes}

    with pytest.raises(kind) as caught:
        token.parse_token_response(json.dumps(members), requested=(WISH,), token_type="DPoP")
    assert caught.value.code == code


def test_an_error_never_repeats_what_was_received() -> None:
    with pytest.raises(Malformed) as caught:
        token.parse_token_response(
            b'{"access_token":{"hunter2":1},"token_type":"DPoP"}', requested=(), token_type="DPoP"
        )
    assert "hunter2" not in str(caught.value)
    assert "$.access_token" in caught.value.reason


def test_a_secret_has_256_random_bits() -> None:
    assert token.new_secret(bytes) == "A" * 43
    assert token.new_secret() != token.new_secret()


@given(st.binary())
def test_any_body_is_a_request_or_a_safeconduct_error(data: bytes) -> None:
    kinds = (token.TokenRequest, token.AuthorizationCodeRequest, token.RefreshRequest)
    read_or_refused(lambda: token.parse_token_request(data), kinds)


@given(st.binary() | st.from_regex(rb'\{"access_token":.{0,20}\}', fullmatch=True))
def test_any_body_is_a_response_or_a_safeconduct_error(data: bytes) -> None:
    read_or_refused(
        lambda: token.parse_token_response(data, requested=(), token_type="DPoP"), token.TokenResponse
    )
