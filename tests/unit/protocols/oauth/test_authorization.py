"""The Authorization header presents one access token, and a URL presents none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.protocols.oauth import authorization as auth
from safeconduct.protocols.oauth.errors import InvalidRequest, MissingToken


@pytest.mark.parametrize("value", ["DPoP abc", "dpop abc", "DPOP  abc", " DPoP abc "])
def test_the_case_of_the_scheme_does_not_matter(value: str) -> None:
    assert auth.parse_authorization(value) == auth.AccessToken("DPoP", "abc")


def test_a_header_is_read_as_it_was_written() -> None:
    token = auth.AccessToken("Bearer", "a.b-c_~+/==")

    assert auth.parse_authorization(auth.authorization(token)) == token


@pytest.mark.parametrize("value", [None, "", "Basic abc", "abc"])
def test_a_request_without_a_token_is_told_so(value: str | None) -> None:
    with pytest.raises(MissingToken) as caught:
        auth.parse_authorization(value)
    assert caught.value.code == "token_missing"


@pytest.mark.parametrize(
    "value", ["DPoP", "DPoP a b", "DPoP a,b", "DPoP é", "DPoP =", "Bearer a=b", "DPoP \ta"]
)
def test_a_malformed_token_is_an_invalid_request(value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        auth.parse_authorization(value)
    assert caught.value.code == "token_malformed"


def test_an_oversized_token_is_an_invalid_request() -> None:
    assert auth.parse_authorization("DPoP " + "a" * limits.TOKEN_CHARS)
    with pytest.raises(InvalidRequest) as caught:
        auth.parse_authorization("DPoP " + "a" * (limits.TOKEN_CHARS + 1))
    assert caught.value.code == "token_malformed"


def test_a_token_in_the_query_is_an_invalid_request() -> None:
    auth.check_no_token_in_query("tenant=1")
    with pytest.raises(InvalidRequest) as caught:
        auth.check_no_token_in_query("tenant=1&access_token=abc")
    assert caught.value.code == "token_in_query"


def test_the_token_is_not_shown() -> None:
    assert "secret" not in repr(auth.AccessToken("DPoP", "secret"))


@given(st.text())
def test_any_header_is_a_token_or_a_safeconduct_error(value: str) -> None:
    try:
        auth.parse_authorization(value)
    except SafeconductError:
        return
