"""The nonce endpoint's answer holds one nonce (OpenID4VCI 1.0 §7.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed
from safeconduct.protocols.openid4vci import nonce


def test_a_nonce_is_read_as_it_was_written() -> None:
    assert nonce.parse_nonce_response(json.dumps(nonce.nonce_response_json("abc"))) == "abc"


@pytest.mark.parametrize("value", ["", None, 1, "a" * (limits.NONCE_CHARS + 1)])
def test_what_is_not_a_nonce_is_malformed(value: object) -> None:
    with pytest.raises(Malformed) as caught:
        nonce.parse_nonce_response(json.dumps({"c_nonce": value}))
    assert caught.value.code == "message_malformed"


@given(st.binary())
def test_any_body_is_a_nonce_or_a_safeconduct_error(body: bytes) -> None:
    read_or_refused(lambda: nonce.parse_nonce_response(body), str)
