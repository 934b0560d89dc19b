"""Pushed authorization requests (RFC 9126) and what answers them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, SafeconductError
from safeconduct.protocols.oauth import authorization_request as pushed
from safeconduct.protocols.oauth import form
from safeconduct.protocols.oauth.authorization_details import CredentialDetail
from safeconduct.protocols.oauth.errors import (
    InvalidAuthorizationDetails,
    InvalidClient,
    InvalidRequest,
    InvalidScope,
    UnsupportedResponseType,
)

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
LEAST = pushed.AuthorizationRequest(
    client_id="wallet", redirect_uri="https://wallet.example/cb", code_challenge=CHALLENGE
)
WHOLE = pushed.AuthorizationRequest(
    client_id="wallet",
    redirect_uri="http://127.0.0.1:49152/callback",
    code_challenge=CHALLENGE,
    state="state&é",
    scope=("identity", "diploma"),
    authorization_details=(CredentialDetail("card", ("https://issuer.example",)),),
    issuer_state="issuer-state",
    dpop_jkt="0" * 43,
    resource="https://issuer.example",
)


def body(**changes: str | None) -> bytes:
    members: dict[str, str | None] = {
        "client_id": "wallet",
        "redirect_uri": "https://wallet.example/cb",
        "response_type": "code",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return form.encode_form((name, value) for name, value in members.items() if value is not None)


@pytest.mark.parametrize("request_", [LEAST, WHOLE])
def test_a_request_is_read_as_it_was_written(request_: pushed.AuthorizationRequest) -> None:
    assert pushed.parse_authorization_request(pushed.authorization_request_form(request_)) == request_


def test_unknown_parameters_are_ignored() -> None:
    assert pushed.parse_authorization_request(body(nonce="n", wallet_issuer="w")) == LEAST


def test_an_authenticated_client_need_not_name_itself_and_cannot_name_another() -> None:
    assert pushed.parse_authorization_request(body(client_id=None), client_id="wallet") == LEAST
    assert pushed.parse_authorization_request(body(), client_id="wallet") == LEAST
    with pytest.raises(InvalidClient) as caught:
        pushed.parse_authorization_request(body(client_id="other"), client_id="wallet")
    assert caught.value.code == "client_id_mismatch"


@pytest.mark.parametrize(
    ("changes", "kind", "code"),
    [
        ({"client_id": None}, InvalidClient, "client_id_missing"),
        ({"redirect_uri": None}, InvalidRequest, "redirect_uri_missing"),
        ({"redirect_uri": "javascript:alert(1)"}, InvalidRequest, "redirect_uri_refused"),
        ({"response_type": None}, InvalidRequest, "response_type_missing"),
        ({"response_type": "token"}, UnsupportedResponseType, "response_type_unsupported"),
        ({"response_type": "code id_token"}, UnsupportedResponseType, "response_type_unsupported"),
        ({"code_challenge": None}, InvalidRequest, "pkce_missing"),
        ({"code_challenge_method": "plain"}, InvalidRequest, "pkce_plain"),
        ({"code_challenge_method": None}, InvalidRequest, "pkce_plain"),
        ({"request_uri": "urn:x"}, InvalidRequest, "request_uri_pushed"),
        ({"request": "a.b.c"}, InvalidRequest, "request_object"),
        ({"state": "s" * (limits.STATE_CHARS + 1)}, InvalidRequest, "state_too_long"),
        ({"dpop_jkt": "short"}, InvalidRequest, "dpop_jkt_malformed"),
        ({"issuer_state": "s" * (limits.CODE_CHARS + 1)}, InvalidRequest, "parameter_too_long"),
        ({"scope": 'a"b'}, InvalidScope, "scope_malformed"),
        ({"authorization_details": "{}"}, InvalidAuthorizationDetails, "details_malformed"),
    ],
)
def test_an_unacceptable_request_has_its_error(
    changes: dict[str, str | None], kind: type[SafeconductError], code: str
) -> None:
    """fapi2-security-profile-final- par-ensure-pkce-required, par-plain-pkce-rejected,
    ensure-response-type-{token,code-idtoken}-fails, par-authorization-request-containing-request_uri,
    ensure-redirect-uri-in-authorization-request"""
    with pytest.raises(kind) as caught:
        pushed.parse_authorization_request(body(**changes))
    assert caught.value.code == code


def test_a_long_state_is_kept_whole() -> None:
    """fapi2-security-profile-final-ensure-authorization-request-with-long-state"""
    state = "s" * limits.STATE_CHARS
    assert pushed.parse_authorization_request(body(state=state)).state == state


def test_scopes_count_once_and_keep_their_order() -> None:
    assert pushed.parse_authorization_request(body(scope="b a b")).scope == ("b", "a")


def test_a_repr_shows_nothing_of_the_request() -> None:
    assert "issuer-state" not in repr(WHOLE)
    assert "urn:secret" not in repr(pushed.PushedResponse("urn:secret", 60))


def test_a_pushed_response_is_read_as_it_was_written() -> None:
    answer = pushed.PushedResponse("urn:ietf:params:oauth:request_uri:x", 60)
    assert pushed.parse_pushed_response(json.dumps(pushed.pushed_response_json(answer))) == answer


@pytest.mark.parametrize("members", [{"request_uri": ""}, {"expires_in": 0}, {"expires_in": "60"}])
def test_a_pushed_response_without_its_members_is_malformed(members: dict[str, object]) -> None:
    with pytest.raises(Malformed) as caught:
        pushed.parse_pushed_response(json.dumps({"request_uri": "urn:x", "expires_in": 60, **members}))
    assert caught.value.code == "message_malformed"


def test_only_the_reference_goes_through_the_browser() -> None:
    url = pushed.authorization_url("https://a.example/authorize?t=1", client_id="w", request_uri="urn:x")
    assert url == "https://a.example/authorize?t=1&client_id=w&request_uri=urn%3Ax"


@given(st.binary() | st.from_regex(rb"redirect_uri=[a-z:/%0-9]{0,20}&code_challenge=x", fullmatch=True))
def test_any_body_is_a_request_or_a_safeconduct_error(data: bytes) -> None:
    read_or_refused(lambda: pushed.parse_authorization_request(data), pushed.AuthorizationRequest)


@given(st.binary())
def test_any_body_is_a_pushed_response_or_a_safeconduct_error(data: bytes) -> None:
    read_or_refused(lambda: pushed.parse_pushed_response(data), pushed.PushedResponse)
