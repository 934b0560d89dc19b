"""Which URLs are acceptable, where well-known documents stand, and when two URLs are one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.protocols.oauth import urls


@pytest.mark.parametrize(
    "url", ["https://h.example", "https://h.example:8443/a?b=c", "https://[2001:db8::1]/a"]
)
def test_an_https_url_is_acceptable(url: str) -> None:
    assert urls.check_url(url, what="endpoint") == url


@pytest.mark.parametrize(
    "url", ["http://localhost:1/a", "http://127.0.0.1:8080", "http://[::1]/a", "http://127.9.9.9"]
)
def test_http_is_acceptable_on_the_local_machine_if_allowed(url: str) -> None:
    assert urls.check_url(url, what="endpoint", allow_http_loopback=True) == url
    with pytest.raises(Rejected) as caught:
        urls.check_url(url, what="endpoint")
    assert caught.value.code == "url_not_https"


@pytest.mark.parametrize(
    "url", ["http://h.example", "ftp://h.example", "http://localhost.example", "http://127.0.0.1.example"]
)
def test_another_scheme_is_rejected(url: str) -> None:
    with pytest.raises(Rejected) as caught:
        urls.check_url(url, what="endpoint", allow_http_loopback=True)
    assert caught.value.code == "url_not_https"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h.example",
        "/path",
        "https:///path",
        "https://",
        "https://user@h.example",
        "https://h.example/#a",
        "https://h.example:99999",
        "https://h.example:",
        "https://h.example:x",
        "https://h.example/a b",
        "https://h.example/\n",
        "https://hé.example",
        "https://h.example/%zz",
        "https://[::1",
        "https://h.example/" + "a" * limits.URL_CHARS,
    ],
)
def test_what_is_not_an_absolute_url_of_a_host_is_malformed(url: str) -> None:
    with pytest.raises(Malformed) as caught:
        urls.check_url(url, what="endpoint")
    assert caught.value.code == "url_malformed"


@pytest.mark.parametrize("identifier", ["https://h.example?a=b", "https://h.example/a?"])
def test_an_identifier_with_a_query_is_rejected(identifier: str) -> None:
    with pytest.raises(Rejected) as caught:
        urls.check_identifier(identifier, what="issuer")
    assert caught.value.code == "identifier_has_query"


@pytest.mark.parametrize(
    ("identifier", "url"),
    [
        ("https://h.example", "https://h.example/.well-known/name"),
        ("https://h.example:8443", "https://h.example:8443/.well-known/name"),
        ("https://h.example/tenant", "https://h.example/.well-known/name/tenant"),
        ("https://h.example/a/b", "https://h.example/.well-known/name/a/b"),
    ],
)
def test_a_well_known_place_is_between_host_and_path(identifier: str, url: str) -> None:
    assert urls.well_known(identifier, "name") == url


@pytest.mark.parametrize(
    "url",
    [
        "https://Server.Example/token",
        "HTTPS://server.example/token",
        "https://server.example:443/token",
        "https://server.example/%74oken",
        "https://server.example/a/../token",
        "https://server.example/./token",
        "https://server.example/token?query",
        "https://server.example/token#fragment",
    ],
)
def test_equivalent_urls_have_one_normal_form(url: str) -> None:
    assert urls.normalise(url) == "https://server.example/token"


@pytest.mark.parametrize(
    "url",
    [
        "http://server.example/token",
        "https://server.example:8443/token",
        "https://server.example/token/",
        "https://server.example/Token",
        "https://server.example/t%2Foken",
        "https://other.example/token",
    ],
)
def test_urls_that_differ_keep_different_normal_forms(url: str) -> None:
    assert urls.normalise(url) != "https://server.example/token"


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("http://h.example:80", "http://h.example/"),
        ("https://h.example/a/b/..", "https://h.example/a/"),
        ("https://h.example/../..", "https://h.example/"),
        ("https://h.example/%7euser/%c3%a9", "https://h.example/~user/%C3%A9"),
        ("https://[2001:DB8::1]:443/a", "https://[2001:db8::1]/a"),
    ],
)
def test_the_normal_form_is_that_of_rfc_3986(url: str, normal: str) -> None:
    assert urls.normalise(url) == normal


@given(st.text() | st.from_regex(r"https?://[a-z\[\]:@%.]{0,12}[/?#a-z.%0-9]{0,12}", fullmatch=True))
def test_any_text_is_normalised_or_a_safeconduct_error(text: str) -> None:
    try:
        normal = urls.normalise(text)
    except SafeconductError:
        return
    assert urls.normalise(normal) == normal
