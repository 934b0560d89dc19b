"""What the credential, deferred and notification endpoints answer (OpenID4VCI 1.0 §8.3.1.2, §9.3, §11.3).

All are 400 with a JSON body. They stand above RFC 6750's `invalid_request`; an error is never encrypted.
"""

from safeconduct.protocols.oauth.errors import OAuthError


class InvalidCredentialRequest(OAuthError):
    """The request lacks a parameter, has an unsupported value, or is malformed."""

    oauth_error = "invalid_credential_request"


class UnknownCredentialConfiguration(OAuthError):
    """The issuer does not have the configuration asked for."""

    oauth_error = "unknown_credential_configuration"


class UnknownCredentialIdentifier(OAuthError):
    """The token is not good for a dataset of this identifier."""

    oauth_error = "unknown_credential_identifier"


class InvalidProof(OAuthError):
    """A key proof is missing, or one of them is not valid or carries no nonce."""

    oauth_error = "invalid_proof"


class InvalidNonce(OAuthError):
    """A key proof carries a nonce that is not current; the wallet should fetch a new one."""

    oauth_error = "invalid_nonce"


class InvalidEncryptionParameters(OAuthError):
    """Something about the envelope is wrong; code and description never say what.

    One answer for every fault of encryption, so that trying messages on the issuer teaches nothing.
    """

    oauth_error = "invalid_encryption_parameters"

    def __init__(self) -> None:
        super().__init__(
            "invalid_encryption_parameters",
            "The encryption of the request, or that asked for the response, is not acceptable.",
            rule="OpenID4VCI §10",
        )


class CredentialRequestDenied(OAuthError):
    """The issuer will not issue this credential; asking again is of no use."""

    oauth_error = "credential_request_denied"


class InvalidTransactionId(OAuthError):
    """The deferred transaction is not known, or its credential has been fetched."""

    oauth_error = "invalid_transaction_id"


class InvalidNotificationId(OAuthError):
    """The notification is about nothing known."""

    oauth_error = "invalid_notification_id"


class InvalidNotificationRequest(OAuthError):
    """The notification lacks a parameter or is malformed."""

    oauth_error = "invalid_notification_request"
