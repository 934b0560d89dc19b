"""Each OAuth error has its name, status and challenge; bodies hold two members in the legal characters."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected, Unsupported
from safeconduct.protocols.oauth import errors

LEGAL = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
TABLE = [
    (errors.InvalidRequest, "invalid_request", 400, 400, False),
    (errors.InvalidClient, "invalid_client", 401, 401, False),
    (errors.InvalidGrant, "invalid_grant", 400, 400, False),
    (errors.UnauthorizedClient, "unauthorized_client", 400, 400, False),
    (errors.UnsupportedGrantType, "unsupported_grant_type", 400, 400, False),
    (errors.InvalidScope, "invalid_scope", 400, 400, False),
    (errors.InvalidAuthorizationDetails, "invalid_authorization_details", 400, 400, False),
    (errors.MissingToken, "invalid_token", 401, 401, True),
    (errors.InvalidToken, "invalid_token", 401, 401, True),
    (errors.InsufficientScope, "insufficient_scope", 403, 403, True),
    (errors.InvalidDpopProof, "invalid_dpop_proof", 400, 401, True),
    (errors.UseDpopNonce, "use_dpop_nonce", 400, 401, True),
]


@pytest.mark.parametrize(("kind", "name", "at_token", "at_resource", "challenged"), TABLE)
def test_an_error_has_its_name_and_statuses(
    kind: type[errors.OAuthError], name: str, at_token: int, at_resource: int, challenged: bool
) -> None:
    error = kind("some_code", "Some reason.")

    assert error.oauth_error == name
    assert errors.error_status(error, at="token") == at_token
    assert errors.error_status(error, at="resource") == at_resource
    assert (errors.www_authenticate(error, algorithms=["ES256"]) is not None) is challenged


def test_an_error_of_a_lower_floor_is_an_invalid_request() -> None:
    error = Malformed("json_malformed", "Text is not JSON.")

    assert errors.error_body(error) == {"error": "invalid_request", "error_description": "Text is not JSON."}
    assert errors.error_status(error, at="resource") == 400
    assert errors.www_authenticate(error, algorithms=["ES256"]) is None


def test_a_challenge_names_error_description_and_algorithms() -> None:
    error = errors.UseDpopNonce("dpop_nonce_missing", 'Use "our" nonce.')

    assert errors.www_authenticate(error, algorithms=["ES256", "EdDSA"]) == (
        'DPoP error="use_dpop_nonce", error_description="Use \'our\' nonce.", algs="ES256 EdDSA"'
    )


def test_a_request_without_credentials_gets_a_challenge_without_an_error() -> None:
    error = errors.MissingToken("token_missing", "No token.")

    assert errors.www_authenticate(error, algorithms=["ES256"]) == 'DPoP algs="ES256"'


@given(st.text())
def test_a_description_holds_legal_characters_only_and_is_bounded(text: str) -> None:
    described = errors.describe(text)

    assert LEGAL.fullmatch(described)
    assert len(described) <= limits.DESCRIPTION_CHARS


@given(st.text())
def test_an_error_body_has_no_members_but_the_two(reason: str) -> None:
    body = errors.error_body(Rejected("some_code", reason))

    assert set(body) <= {"error", "error_description"}
    assert body["error"] == "invalid_request"
    assert body.get("error_description", "x") != ""


def test_an_answer_of_a_server_is_read_in_harmless_characters() -> None:
    body = json.dumps({"error": "invalid_grant", "error_description": 'wrong\x1b[31m "code"', "extra": 1})

    assert errors.parse_error(body, status=400) == errors.ErrorResponse(
        400, "invalid_grant", "wrong?[31m 'code'"
    )


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error":1}', b'{"error":"a\\nb"}', b'{"error":"' + b"a" * 65 + b'"}']
)
def test_an_answer_that_is_no_error_response_has_an_empty_error(body: bytes) -> None:
    assert errors.parse_error(body, status=502) == errors.ErrorResponse(502, "", "")


@given(st.binary())
def test_any_answer_of_a_server_can_be_read(body: bytes) -> None:
    assert errors.parse_error(body, status=500).status == 500


def test_reporting_an_error_keeps_code_reason_and_rule() -> None:
    with pytest.raises(errors.InvalidDpopProof) as caught, errors.reported_as(errors.InvalidDpopProof):
        raise Unsupported("algorithm_unsupported", "Not here.", rule="RFC 8725 §3.1")

    assert (caught.value.code, caught.value.reason) == ("algorithm_unsupported", "Not here.")
    assert caught.value.rule == "RFC 8725 §3.1"


def test_reporting_keeps_an_error_that_has_an_answer_already() -> None:
    with pytest.raises(errors.InvalidGrant), errors.reported_as(errors.InvalidRequest):
        raise errors.InvalidGrant("code_expired", "The code has expired.")
