"""Form bodies are bounded, say each parameter once, and treat an empty one as left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.protocols.oauth import form
from safeconduct.protocols.oauth.errors import InvalidRequest


def test_a_form_is_read_as_it_was_written() -> None:
    pairs = [("grant_type", "urn:ietf:x"), ("code", "a+b/c= d&é")]

    assert form.parse_form(form.encode_form(pairs)) == dict(pairs)


@pytest.mark.parametrize("body", [b"a=1&a=1", b"a=1&a=2", b"a=&a=1", b"a=1&%61=2"])
def test_a_parameter_given_twice_is_an_invalid_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        form.parse_form(body)
    assert caught.value.code == "parameter_repeated"


def test_resource_may_be_repeated() -> None:
    assert form.parse_form(b"resource=https://a&resource=https://b&x=1")["x"] == "1"


def test_a_parameter_without_a_value_counts_as_left_out() -> None:
    assert form.parse_form(b"tx_code=&client_id&a=1") == {"a": "1"}


def test_a_body_longer_than_the_limit_is_an_invalid_request() -> None:
    with pytest.raises(InvalidRequest) as caught:
        form.parse_form(b"a=" + b"x" * (limits.FORM_BYTES - 1))
    assert caught.value.code == "form_too_large"
    assert len(form.parse_form(b"a=" + b"x" * (limits.FORM_BYTES - 2))["a"]) == limits.FORM_BYTES - 2


def test_more_parameters_than_the_limit_are_an_invalid_request() -> None:
    body = "&".join(f"p{number}=1" for number in range(limits.FORM_FIELDS + 1))

    with pytest.raises(InvalidRequest) as caught:
        form.parse_form(body)
    assert caught.value.code == "form_malformed"
    assert len(form.parse_form(body.rpartition("&")[0])) == limits.FORM_FIELDS


@pytest.mark.parametrize("body", [b"a=\xff", b"a=%ff"])
def test_a_form_that_is_not_utf8_is_an_invalid_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        form.parse_form(body)
    assert caught.value.code == "form_malformed"


@given(st.binary() | st.text())
def test_any_body_is_a_form_or_a_safeconduct_error(body: bytes | str) -> None:
    try:
        form.parse_form(body)
    except SafeconductError:
        return
