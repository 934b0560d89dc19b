"""Redirect URIs: a code goes only where its client is, and nowhere that a browser would run it (RFC 8252)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct.protocols.oauth import redirect_uri
from safeconduct.protocols.oauth.errors import InvalidRequest

GOOD = (
    "https://wallet.example/callback",
    "https://wallet.example:8443/cb?tenant=1",
    "http://127.0.0.1:49152/callback",
    "http://[::1]:49152/callback",
    "http://localhost/callback",
    "com.example.wallet:/callback",
    "com.example.wallet://callback/path",
)


@pytest.mark.parametrize("uri", GOOD)
def test_a_redirect_uri_leads_to_a_server_or_an_application(uri: str) -> None:
    assert redirect_uri.check_redirect_uri(uri) == uri


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("javascript:alert(1)", "redirect_uri_refused"),
        ("JavaScript:/alert(1)", "redirect_uri_refused"),
        ("data:text/html,x", "redirect_uri_refused"),
        ("vbscript:/x", "redirect_uri_refused"),
        ("blob:https://wallet.example/x", "redirect_uri_refused"),
        ("file:///etc/passwd", "redirect_uri_refused"),
        ("wallet:/callback", "redirect_uri_refused"),  # RFC 8252 §7.1: no reverse domain name
        ("com.example.wallet:callback", "redirect_uri_refused"),
        ("com.example.wallet", "redirect_uri_refused"),
        ("http://wallet.example/callback", "redirect_uri_refused"),
        ("http://127.0.0.1.evil.example/cb", "redirect_uri_refused"),
        ("https://user@wallet.example/cb", "redirect_uri_refused"),
        ("https:///cb", "redirect_uri_refused"),
        ("https://a;script-src/cb", "redirect_uri_refused"),  # would end a directive of the policy
        ("https://wallet.example/cb#fragment", "redirect_uri_malformed"),
        ("https://wallet.example/c b", "redirect_uri_malformed"),
        ("https://wallet.example/cb\r\nX: y", "redirect_uri_malformed"),
        ("https://wallet.example/" + "a" * limits.URL_CHARS, "redirect_uri_malformed"),
        ("", "redirect_uri_malformed"),
    ],
)
def test_any_other_is_refused(uri: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        redirect_uri.check_redirect_uri(uri)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("registered", "given", "same"),
    [
        ("https://wallet.example/cb", "https://wallet.example/cb", True),
        ("https://wallet.example/cb", "https://wallet.example/cb/", False),
        ("https://wallet.example/cb", "https://wallet.example/cb?x=1", False),
        ("https://wallet.example/cb", "https://wallet.example:443/cb", False),
        ("https://wallet.example/cb", "https://Wallet.example/cb", False),
        ("https://wallet.example:1/cb", "https://wallet.example:2/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", True),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:49152/cb", True),
        ("http://[::1]/cb", "http://[::1]:49152/cb", True),
        ("http://127.0.0.1/cb", "http://127.0.0.1:49152/other", False),
        ("http://127.0.0.1/cb", "http://localhost:49152/cb", False),
        ("com.example.wallet:/cb", "com.example.wallet:/cb", True),
        ("com.example.wallet:/cb", "com.example.wallet:/c", False),
    ],
)
def test_two_are_the_same_by_their_text_but_for_a_loopback_port(
    registered: str, given: str, same: bool
) -> None:
    """fapi2-security-profile-final-ensure-redirect-uri-in-authorization-request"""
    assert redirect_uri.same_redirect_uri(registered, given) is same


def test_an_answer_is_added_to_the_query() -> None:
    answer = [("code", "a b"), ("state", "é&")]

    assert redirect_uri.with_parameters("https://w.example/cb", answer).endswith(
        "/cb?code=a+b&state=%C3%A9%26"
    )
    assert redirect_uri.with_parameters("https://w.example/cb?x=1", answer[:1]).endswith("/cb?x=1&code=a+b")


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://wallet.example:8443/cb?x=1", "https://wallet.example:8443"),
        ("http://127.0.0.1:49152/callback", "http://127.0.0.1:49152"),
        ("http://[::1]:49152/callback", "http:"),
        ("com.example.wallet:/callback", "com.example.wallet:"),
    ],
)
def test_a_policy_names_where_the_form_leads(uri: str, source: str) -> None:
    assert redirect_uri.form_action_source(uri) == source


@given(st.text() | st.from_regex(r"(https?|com\.a):/{0,2}[\[\]a-z:.@/?%;,' ]{0,20}", fullmatch=True))
def test_any_text_is_a_redirect_uri_or_a_safeconduct_error(text: str) -> None:
    def read() -> str:
        uri = redirect_uri.check_redirect_uri(text)
        assert not set(redirect_uri.form_action_source(uri)) & set(" ;,'\"")
        assert redirect_uri.same_redirect_uri(uri, uri)
        return uri

    read_or_refused(read, str)
