"""Authorization server metadata is about the server asked, and names https endpoints (RFC 8414)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected
from safeconduct.protocols.oauth import metadata, token

ISSUER = "https://server.example/tenant"
SERVER = metadata.AuthorizationServer(
    issuer=ISSUER,
    token_endpoint="https://server.example/token",
    grant_types_supported=(token.PRE_AUTHORIZED_CODE,),
    dpop_signing_alg_values_supported=("ES256",),
    authorization_details_types_supported=("openid_credential",),
    anonymous_pre_authorized=True,
)


def parse(**changes: Any) -> metadata.AuthorizationServer:
    members = {**metadata.server_metadata_json(SERVER), **changes}
    return metadata.parse_server_metadata(json.dumps(members), issuer=ISSUER)


def test_metadata_is_read_as_it_was_written() -> None:
    assert parse(unknown={"a": 1}) == SERVER


def test_anonymous_access_has_its_registered_name_and_is_off_unless_said() -> None:
    written = metadata.server_metadata_json(SERVER)

    assert written.pop("pre-authorized_grant_anonymous_access_supported") is True
    read = metadata.parse_server_metadata(json.dumps(written), issuer=ISSUER)
    assert read.anonymous_pre_authorized is False


def test_response_types_may_be_left_out() -> None:
    assert "response_types_supported" not in metadata.server_metadata_json(SERVER)


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://h.example", "https://h.example/.well-known/oauth-authorization-server"),
        ("https://h.example/", "https://h.example/.well-known/oauth-authorization-server"),
        ("https://h.example/t/", "https://h.example/.well-known/oauth-authorization-server/t"),
    ],
)
def test_metadata_stands_between_host_and_path(issuer: str, url: str) -> None:
    assert metadata.server_metadata_url(issuer) == url


@pytest.mark.parametrize("issuer", ["https://other.example", "https://Server.example/tenant", f"{ISSUER}/"])
def test_metadata_about_another_server_is_refused(issuer: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse(issuer=issuer)
    assert caught.value.code == "issuer_mismatch"


@pytest.mark.parametrize(
    "member", ["token_endpoint", "authorization_endpoint", "pushed_authorization_request_endpoint"]
)
def test_an_endpoint_without_tls_is_refused(member: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse(**{member: "http://server.example/x"})
    assert caught.value.code == "url_not_https"


def test_the_local_machine_needs_no_tls_if_allowed() -> None:
    local = {"issuer": "http://127.0.0.1:1", "token_endpoint": "http://127.0.0.1:1/token"}

    read = metadata.parse_server_metadata(
        json.dumps(local), issuer="http://127.0.0.1:1", allow_http_loopback=True
    )
    assert read.token_endpoint == "http://127.0.0.1:1/token"


def test_the_token_endpoint_is_that_for_pre_authorized_codes() -> None:
    assert metadata.pre_authorized_token_endpoint(SERVER) == SERVER.token_endpoint


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"grant_types_supported": ["authorization_code"]}, "grant_type_not_offered"),
        ({"token_endpoint": None}, "token_endpoint_missing"),
    ],
)
def test_a_server_that_takes_no_pre_authorized_codes_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Rejected) as caught:
        metadata.pre_authorized_token_endpoint(parse(**changes))
    assert caught.value.code == code


CODE_FLOW = {
    "authorization_endpoint": "https://server.example/authorize",
    "pushed_authorization_request_endpoint": "https://server.example/par",
    "grant_types_supported": ["authorization_code"],
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
}


def test_a_server_for_the_code_flow_names_its_endpoints() -> None:
    endpoints = metadata.AuthorizationEndpoints(
        "https://server.example/par", "https://server.example/authorize", "https://server.example/token"
    )
    assert metadata.authorization_endpoints(parse(**CODE_FLOW)) == endpoints
    assert metadata.authorization_endpoints(parse(**{**CODE_FLOW, "grant_types_supported": []})) == endpoints


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"pushed_authorization_request_endpoint": None}, "code_flow_not_offered"),
        ({"authorization_endpoint": None}, "code_flow_not_offered"),
        ({"token_endpoint": None}, "code_flow_not_offered"),
        ({"grant_types_supported": [token.PRE_AUTHORIZED_CODE]}, "code_flow_not_offered"),
        ({"code_challenge_methods_supported": ["plain"]}, "pkce_not_offered"),
        ({"authorization_response_iss_parameter_supported": False}, "iss_not_offered"),
    ],
)
def test_a_server_without_what_makes_the_code_flow_safe_is_refused(
    changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(Rejected) as caught:
        metadata.authorization_endpoints(parse(**{**CODE_FLOW, **changes}))
    assert caught.value.code == code


@pytest.mark.parametrize("changes", [{"issuer": 1}, {"grant_types_supported": "x"}, {"token_endpoint": []}])
def test_members_of_other_types_are_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        parse(**changes)
    assert caught.value.code == "message_malformed"


def test_an_oversized_document_is_malformed() -> None:
    with pytest.raises(Malformed) as caught:
        parse(padding="a" * limits.METADATA_BYTES)
    assert caught.value.code == "json_too_large"


@given(st.binary())
def test_any_document_is_metadata_or_a_safeconduct_error(body: bytes) -> None:
    read_or_refused(lambda: metadata.parse_server_metadata(body, issuer=ISSUER), metadata.AuthorizationServer)
