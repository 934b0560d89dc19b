"""Authorization responses: a wallet takes a code only from the server it asked, for its own request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected
from safeconduct.protocols.oauth import authorization_response as answers
from safeconduct.protocols.oauth.errors import InvalidRequest

ISSUER = "https://issuer.example/tenant"
CALLBACK = "http://127.0.0.1:49152/callback"


def url(**changes: str | None) -> str:
    members = {"issuer": ISSUER, "state": "s 1", "code": "abc", **changes}
    return answers.redirect_to(CALLBACK, answers.AuthorizationAnswer(**members))  # type: ignore[arg-type]


def read(response: str, *, state: str | None = "s 1") -> str:
    return answers.parse_authorization_response(response, issuer=ISSUER, state=state)


def test_a_code_is_read_as_it_was_written() -> None:
    assert read(url()) == "abc"
    assert read(url().partition("?")[2]) == "abc"
    assert read("com.example.wallet:/cb?" + url().partition("?")[2]) == "abc"
    assert read(url(state=None), state=None) == "abc"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (url(issuer="https://other.example"), "iss_mismatch"),
        (url(issuer=ISSUER + "/"), "iss_mismatch"),
        (f"{CALLBACK}?code=abc&state=s+1", "iss_missing"),
        (url(state="other"), "state_mismatch"),
        (url(state=None), "state_mismatch"),
        (url(code=None), "code_missing"),
    ],
)
def test_an_answer_of_another_server_or_request_is_refused(response: str, code: str) -> None:
    """RFC 9207 §2.4, RFC 6749 §10.12"""
    with pytest.raises(Rejected) as caught:
        read(response)
    assert caught.value.code == code


def test_an_error_is_told_apart_and_comes_from_the_right_server_only() -> None:
    """fapi2-security-profile-final-user-rejects-authentication"""
    with pytest.raises(answers.AuthorizationRefused) as caught:
        read(url(code=None, error="access_denied"))
    assert (caught.value.code, caught.value.error) == ("authorization_refused", "access_denied")
    with pytest.raises(Rejected) as foreign:
        read(url(code=None, error="access_denied", issuer="https://other.example"))
    assert foreign.value.code == "iss_mismatch"


def test_an_errors_text_is_restricted() -> None:
    with pytest.raises(answers.AuthorizationRefused) as caught:
        read(url(code=None, error="\x1b[31m"))
    assert caught.value.error == ""


def test_a_response_is_bounded_and_says_each_thing_once() -> None:
    with pytest.raises(Malformed) as caught:
        read(url(code="a" * limits.FORM_BYTES))
    assert caught.value.code == "response_too_long"
    with pytest.raises(InvalidRequest) as repeated:
        read(url() + "&code=other")
    assert repeated.value.code == "parameter_repeated"


def test_what_is_no_url_is_malformed() -> None:
    with pytest.raises(Malformed) as caught:
        read("https://[::1?code=abc")
    assert caught.value.code == "response_malformed"


def test_a_repr_shows_no_code() -> None:
    assert "abc" not in repr(answers.AuthorizationAnswer(issuer=ISSUER, state=None, code="abc"))


@given(st.text() | st.from_regex(r"[a-z:\[\]/]{0,9}\?iss=x&code=.{0,9}", fullmatch=True))
def test_any_text_is_a_response_or_a_safeconduct_error(text: str) -> None:
    read_or_refused(lambda: answers.parse_authorization_response(text, issuer="x", state=None), str)
