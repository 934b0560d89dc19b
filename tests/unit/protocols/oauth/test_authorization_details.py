"""Authorization details name configurations in requests, and identifiers of datasets in answers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.protocols.oauth import authorization_details as details
from safeconduct.protocols.oauth.errors import InvalidAuthorizationDetails

ISSUER = "https://issuer.example"
WISH = details.CredentialDetail("card", (ISSUER,))
GRANT = details.GrantedDetail("card", ("a", "b"))


def entry(**members: Any) -> dict[str, Any]:
    return {"type": "openid_credential", "credential_configuration_id": "card"} | members


def test_requested_details_are_read_as_they_were_written() -> None:
    assert details.parse_requested(details.requested_json((WISH,))) == (WISH,)


def test_unknown_members_are_ignored() -> None:
    assert details.parse_requested(json.dumps([entry(claims=[{"path": ["a"]}], other=1)]).decode()) == (
        details.CredentialDetail("card"),
    )


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({}, "details_malformed"),
        ([], "details_malformed"),
        ([1], "details_malformed"),
        ([{"credential_configuration_id": "card"}], "details_malformed"),
        ([entry(type=1)], "details_malformed"),
        ([entry(type="payment_initiation")], "details_type_unknown"),
        ([{"type": "openid_credential"}], "message_malformed"),
        ([entry(credential_configuration_id="")], "message_malformed"),
        ([entry(credential_configuration_id="a" * (limits.CODE_CHARS + 1))], "message_malformed"),
        ([entry(locations=ISSUER)], "message_malformed"),
        ([entry()] * (limits.AUTHORIZATION_DETAILS + 1), "details_malformed"),
    ],
)
def test_other_details_are_invalid_authorization_details(value: Any, code: str) -> None:
    with pytest.raises(InvalidAuthorizationDetails) as caught:
        details.parse_requested(json.dumps(value).decode())
    assert caught.value.code == code


@pytest.mark.parametrize("text", ["", "[", "openid_credential", "[" * 40 + "]" * 40])
def test_text_that_is_not_json_is_invalid_authorization_details(text: str) -> None:
    with pytest.raises(InvalidAuthorizationDetails):
        details.parse_requested(text)


def test_details_must_name_the_issuer_where_it_has_servers_of_its_own() -> None:
    details.check_locations((WISH,), credential_issuer=ISSUER, required=True)
    details.check_locations((details.CredentialDetail("card"),), credential_issuer=ISSUER, required=False)

    with pytest.raises(InvalidAuthorizationDetails) as caught:
        details.check_locations((details.CredentialDetail("card"),), credential_issuer=ISSUER, required=True)
    assert caught.value.code == "location_missing"


@pytest.mark.parametrize("required", [True, False])
def test_details_for_another_issuer_are_invalid(required: bool) -> None:
    with pytest.raises(InvalidAuthorizationDetails) as caught:
        details.check_locations((WISH,), credential_issuer=f"{ISSUER}/", required=required)
    assert caught.value.code == "location_foreign"


def test_granted_details_are_read_as_they_were_written() -> None:
    assert details.parse_granted(details.granted_json((GRANT,))) == (GRANT,)


@pytest.mark.parametrize(
    ("value", "kind", "code"),
    [
        ([entry()], Malformed, "message_malformed"),
        ([entry(credential_identifiers=[])], Malformed, "message_malformed"),
        ([entry(credential_identifiers=[""])], Malformed, "message_malformed"),
        ([entry(credential_identifiers=[1])], Malformed, "message_malformed"),
        (
            [entry(credential_identifiers=[str(n) for n in range(limits.CREDENTIAL_IDENTIFIERS + 1)])],
            Malformed,
            "message_malformed",
        ),
        ([entry(credential_identifiers=["a", "a"])], Rejected, "identifier_repeated"),
        ([entry(credential_identifiers=["a"])] * 2, Rejected, "identifier_repeated"),
        ([entry(type="other", credential_identifiers=["a"])], Rejected, "details_type_unknown"),
        ([], Malformed, "details_malformed"),
    ],
)
def test_other_granted_details_are_refused(value: Any, kind: type[SafeconductError], code: str) -> None:
    with pytest.raises(kind) as caught:
        details.parse_granted(value)
    assert caught.value.code == code


@given(st.text())
def test_any_text_is_details_or_a_safeconduct_error(text: str) -> None:
    read_or_refused(lambda: details.parse_requested(text), tuple)
