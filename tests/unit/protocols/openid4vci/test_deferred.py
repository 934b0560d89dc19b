"""Deferred credential requests (OpenID4VCI 1.0 §9.1): for what, and how the answer is encrypted."""

from typing import Any

import pytest

from safeconduct import limits
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.protocols.openid4vci import deferred
from safeconduct.protocols.openid4vci.errors import InvalidCredentialRequest, InvalidEncryptionParameters
from safeconduct.protocols.openid4vci.request import ResponseParameters

RESPONSE = ResponseParameters(AgreementKey.generate("P-256", kid="k").public, "A256GCM")


def refused(kind: type[SafeconductError], code: str, body: bytes) -> None:
    with pytest.raises(kind) as caught:
        deferred.parse_deferred_request(body)
    assert (type(caught.value), caught.value.code) == (kind, code)


@pytest.mark.parametrize("response", [None, RESPONSE])
def test_a_request_is_read_as_it_was_written(response: ResponseParameters | None) -> None:
    request = deferred.DeferredRequest(transaction_id="t-1", response=response)
    assert deferred.parse_deferred_request(deferred.encode_deferred_request(request)) == request


def test_the_names_on_the_wire_are_those_of_the_specification() -> None:
    request = deferred.DeferredRequest(transaction_id="t-1", response=RESPONSE)
    written = json.loads_object(deferred.encode_deferred_request(request))
    assert written["transaction_id"] == "t-1"
    assert written["credential_response_encryption"].keys() == {"jwk", "enc"}


def test_unknown_members_are_ignored() -> None:
    assert deferred.parse_deferred_request(b'{"transaction_id":"t","x":[]}').transaction_id == "t"


@pytest.mark.parametrize(
    "members",
    [{}, {"transaction_id": ""}, {"transaction_id": 1}, {"transaction_id": "t" * (limits.CODE_CHARS + 1)}],
)
def test_a_request_without_a_good_transaction_id_is_invalid(members: dict[str, Any]) -> None:
    refused(InvalidCredentialRequest, "message_malformed", json.dumps(members))


def test_rubbish_is_an_invalid_request() -> None:
    refused(InvalidCredentialRequest, "json_malformed", b"rubbish")


@pytest.mark.parametrize("value", ["x", {}, {"jwk": {}, "enc": "A256GCM"}, {"enc": "A256GCM"}])
def test_whatever_is_wrong_with_the_encryption_is_one_error(value: Any) -> None:
    body = json.dumps({"transaction_id": "t", "credential_response_encryption": value})
    refused(InvalidEncryptionParameters, "invalid_encryption_parameters", body)


def test_the_transaction_is_not_shown() -> None:
    assert "t-1" not in repr(deferred.DeferredRequest(transaction_id="t-1"))
