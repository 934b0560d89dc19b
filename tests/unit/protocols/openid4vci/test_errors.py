"""The credential endpoint's errors (OpenID4VCI 1.0 §8.3.1.2, §9.3, §11.3) are 400, never a challenge."""

import pytest

from safeconduct.protocols.oauth.errors import OAuthError, error_body, error_status, www_authenticate
from safeconduct.protocols.openid4vci import errors


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (errors.InvalidCredentialRequest, "invalid_credential_request"),
        (errors.UnknownCredentialConfiguration, "unknown_credential_configuration"),
        (errors.UnknownCredentialIdentifier, "unknown_credential_identifier"),
        (errors.InvalidProof, "invalid_proof"),
        (errors.InvalidNonce, "invalid_nonce"),
        (errors.CredentialRequestDenied, "credential_request_denied"),
        (errors.InvalidTransactionId, "invalid_transaction_id"),
        (errors.InvalidNotificationId, "invalid_notification_id"),
        (errors.InvalidNotificationRequest, "invalid_notification_request"),
    ],
)
def test_an_error_has_its_name_and_is_a_bad_request(kind: type[OAuthError], name: str) -> None:
    error = kind("some_code", "Some reason.")

    assert error_body(error) == {"error": name, "error_description": "Some reason."}
    assert error_status(error, at="resource") == 400
    assert www_authenticate(error, algorithms=["ES256"]) is None


def test_every_fault_of_an_envelope_has_one_and_the_same_answer() -> None:
    first, second = errors.InvalidEncryptionParameters(), errors.InvalidEncryptionParameters()

    assert error_body(first) == error_body(second)
    assert error_body(first)["error"] == "invalid_encryption_parameters"
    assert (first.code, first.http_status) == ("invalid_encryption_parameters", 400)
    with pytest.raises(TypeError):
        errors.InvalidEncryptionParameters("kid_unknown")  # type: ignore[call-arg]
