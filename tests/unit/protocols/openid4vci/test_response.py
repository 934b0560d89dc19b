"""Credential responses give credentials or defer, never both (OpenID4VCI 1.0 §8.3)."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct import limits as common
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported
from safeconduct.protocols.openid4vci import response as responses

ISSUED = responses.CredentialResponse(credentials=("AAEC", "AwQF"), notification_id="n")
DEFERRED = responses.DeferredResponse(transaction_id="t", interval=60)


def parse(
    members: dict[str, Any], keys: int = 2
) -> responses.CredentialResponse | responses.DeferredResponse:
    return responses.parse_credential_response(json.dumps(members), keys=keys)


@pytest.mark.parametrize("response", [ISSUED, DEFERRED, responses.CredentialResponse(credentials=("AAEC",))])
def test_a_response_is_read_as_it_was_written(
    response: responses.CredentialResponse | responses.DeferredResponse,
) -> None:
    body = responses.encode_credential_response(response)

    assert responses.parse_credential_response(body, keys=2) == response


def test_a_deferred_response_is_accepted_only() -> None:
    assert responses.http_status(ISSUED) == 200
    assert responses.http_status(DEFERRED) == 202


def test_unknown_members_are_ignored() -> None:
    assert parse({"credentials": [{"credential": "AAEC", "x": 1}], "c_nonce": "old"}) == (
        responses.CredentialResponse(credentials=("AAEC",))
    )


def test_a_fraction_of_a_second_is_rounded_up() -> None:
    assert parse({"transaction_id": "t", "interval": 0.5}) == responses.DeferredResponse(
        transaction_id="t", interval=1
    )


@pytest.mark.parametrize(
    ("members", "kind", "code"),
    [
        ({}, Rejected, "response_empty"),
        ({"credentials": []}, Rejected, "response_empty"),
        ({"notification_id": "n"}, Rejected, "response_empty"),
        ({"credentials": [{"credential": "a"}], "transaction_id": "t"}, Rejected, "response_ambiguous"),
        ({"credentials": [{"credential": "a"}], "interval": 1}, Rejected, "response_ambiguous"),
        ({"transaction_id": "t", "interval": 1, "notification_id": "n"}, Rejected, "response_ambiguous"),
        ({"transaction_id": "t"}, Rejected, "response_interval_missing"),
        ({"credentials": [{"credential": "a"}] * 3}, Rejected, "response_too_many"),
        ({"credentials": [{"credential": {"@context": []}}]}, Unsupported, "credential_not_text"),
        ({"credentials": ["a"]}, Malformed, "message_malformed"),
        ({"credentials": [{}]}, Malformed, "message_malformed"),
        ({"credentials": {"credential": "a"}}, Malformed, "message_malformed"),
        ({"credentials": [{"credential": "a"}] * (limits.BATCH_SIZE + 1)}, Malformed, "message_malformed"),
        ({"transaction_id": "t", "interval": 0}, Malformed, "message_malformed"),
        ({"transaction_id": "t", "interval": -1}, Malformed, "message_malformed"),
        ({"transaction_id": "", "interval": 1}, Malformed, "message_malformed"),
    ],
)
def test_an_unacceptable_response_is_refused(
    members: dict[str, Any], kind: type[SafeconductError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        parse(members)
    assert caught.value.code == code


def test_a_request_without_keys_gets_one_credential() -> None:
    assert parse({"credentials": [{"credential": "AAEC"}]}, keys=0)
    with pytest.raises(Rejected) as caught:
        parse({"credentials": [{"credential": "AAEC"}] * 2}, keys=0)
    assert caught.value.code == "response_too_many"


def test_an_sd_cwt_travels_in_base64url() -> None:
    assert responses.sd_cwt_text(b"\x00\x01\xff") == "AAH_"
    assert responses.sd_cwt_bytes("AAH_") == b"\x00\x01\xff"


@pytest.mark.parametrize(
    ("text", "code"),
    [("AAH/", "base64url_malformed"), ("AAE=", "base64url_malformed"), ("é", "base64url_malformed")],
)
def test_another_encoding_of_an_sd_cwt_is_malformed(text: str, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        responses.sd_cwt_bytes(text)
    assert caught.value.code == code


def test_an_oversized_sd_cwt_is_malformed() -> None:
    with pytest.raises(Malformed) as caught:
        responses.sd_cwt_bytes(responses.sd_cwt_text(bytes(common.TOKEN_BYTES + 1)))
    assert caught.value.code == "base64url_too_large"


def test_credentials_are_not_shown() -> None:
    assert "AAEC" not in repr(ISSUED)


@given(st.binary(), st.integers(0, 10))
@example(b'{"credentials":[{"credential":""}]}', 0)
def test_any_body_is_a_response_or_a_safeconduct_error(body: bytes, keys: int) -> None:
    read_or_refused(
        lambda: responses.parse_credential_response(body, keys=keys),
        (responses.CredentialResponse, responses.DeferredResponse),
    )
