"""Credential requests (OpenID4VCI 1.0 §8.2), as they are inside any encryption."""

from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.crypto.agreement import AgreementPublicKey
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.protocols import wire
from safeconduct.protocols.oauth.errors import reported_as
from safeconduct.protocols.openid4vci import key_attestation
from safeconduct.protocols.openid4vci.configuration import JWT_PROOF, CredentialConfiguration
from safeconduct.protocols.openid4vci.errors import (
    InvalidCredentialRequest,
    InvalidEncryptionParameters,
    InvalidProof,
)

_RULE = "OpenID4VCI §8.2"
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]


class ResponseParameters(msgspec.Struct, frozen=True):
    """How the wallet wants the response encrypted: to which key, and with which algorithms."""

    key: AgreementPublicKey
    enc: str
    zip: str | None = None


class Proofs(msgspec.Struct, frozen=True):
    """The key proofs of a request, all of one type, in the order of the credentials asked for."""

    type: str
    values: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<{len(self.values)} proofs of type {self.type}>"


class CredentialRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for credentials of one configuration and one dataset.

    Exactly one of `credential_identifier` (where the token response gave some) and
    `credential_configuration_id` is set. response: None asks for a plain response.
    """

    credential_identifier: str | None = None
    credential_configuration_id: str | None = None
    proofs: Proofs | None = None
    response: ResponseParameters | None = None

    def __repr__(self) -> str:
        return f"<CredentialRequest {self.proofs!r} encrypted_response={self.response is not None}>"


def parse_credential_request(body: bytes, *, batch_size: int) -> CredentialRequest:
    """Reads the JSON of a credential request; unknown members are ignored.

    batch_size: most proofs, as the issuer's metadata says; they are counted before anything is verified.

    Raises InvalidCredentialRequest; InvalidProof "proof_type_unsupported"; InvalidEncryptionParameters for
    anything wrong with `credential_response_encryption`.
    """
    with reported_as(InvalidCredentialRequest):
        members = wire.read_json(body, _Request, what="Credential request")
        _check_subject(members)
        proofs = None if members.proofs is None else _proofs(members.proofs, batch_size)
    return CredentialRequest(
        credential_identifier=members.credential_identifier,
        credential_configuration_id=members.credential_configuration_id,
        proofs=proofs,
        response=response_parameters(members.credential_response_encryption),
    )


def encode_credential_request(request: CredentialRequest) -> bytes:
    """Returns the JSON of a credential request."""
    members: dict[str, Any] = {
        "credential_identifier": request.credential_identifier,
        "credential_configuration_id": request.credential_configuration_id,
    }
    if request.proofs is not None:
        members["proofs"] = {request.proofs.type: list(request.proofs.values)}
    if request.response is not None:
        members["credential_response_encryption"] = response_parameters_json(request.response)
    return wire.encode({name: value for name, value in members.items() if value is not None})


def proofs_for(request: CredentialRequest, configuration: CredentialConfiguration) -> tuple[str, ...]:
    """Returns the proofs of a request for `configuration`; empty if its credentials are bound to no key.

    Source: OpenID4VCI 1.0 §8.2. Raises InvalidProof "proofs_missing", "proof_type_unsupported".
    """
    if not configuration.proof_algorithms:
        return ()
    if request.proofs is None:
        raise InvalidProof("proofs_missing", "The request has no key proofs.", rule=_RULE)
    if request.proofs.type not in configuration.proof_algorithms:
        raise InvalidProof("proof_type_unsupported", "The proofs are of a type not taken here.", rule=_RULE)
    return request.proofs.values


def response_parameters(value: Any) -> ResponseParameters | None:
    """Reads `credential_response_encryption` of a credential or deferred request; None if it is absent.

    value: the decoded JSON. Raises InvalidEncryptionParameters for whatever is wrong with it.
    """
    if value is None:
        return None
    try:
        members = wire.read(value, _ResponseEncryption, what="Response encryption")
        key = AgreementPublicKey.from_jwk(members.jwk)
    except SafeconductError as error:
        raise InvalidEncryptionParameters from error
    if key.alg is None:  # OpenID4VCI 1.0 §10: alg MUST be present
        raise InvalidEncryptionParameters
    return ResponseParameters(key, members.enc, members.zip)


def response_parameters_json(parameters: ResponseParameters) -> dict[str, Any]:
    """Returns the JSON members of `credential_response_encryption`."""
    members: dict[str, Any] = {"jwk": parameters.key.to_jwk(), "enc": parameters.enc}
    if parameters.zip is not None:
        members["zip"] = parameters.zip
    return members


class _Request(msgspec.Struct, frozen=True):
    credential_identifier: _Text | None = None
    credential_configuration_id: _Text | None = None
    proofs: dict[str, Any] | None = None
    credential_response_encryption: Any = None


class _ResponseEncryption(msgspec.Struct, frozen=True):
    jwk: dict[str, Any]
    enc: _Text
    zip: _Text | None = None


def _check_subject(members: _Request) -> None:
    if (members.credential_identifier is None) == (members.credential_configuration_id is None):
        raise Rejected(
            "request_subject",
            "The request names not exactly one of identifier and configuration.",
            rule=_RULE,
        )


def _proofs(members: dict[str, Any], batch_size: int) -> Proofs:
    if len(members) != 1:
        raise Rejected("proofs_not_one_type", "The proofs are not of exactly one type.", rule=_RULE)
    ((type_, values),) = members.items()
    if not isinstance(values, list) or not values:
        raise Rejected("proofs_empty", "The proofs are not a non-empty array.", rule=_RULE)
    if len(values) > min(batch_size, limits.BATCH_SIZE):
        raise Rejected(
            "proofs_too_many", "The request has more proofs than allowed.", rule="OpenID4VCI §12.2.4"
        )
    if type_ not in (JWT_PROOF, key_attestation.PROOF_TYPE):
        raise InvalidProof("proof_type_unsupported", "The proofs are of a type not taken here.", rule=_RULE)
    if not all(isinstance(value, str) for value in values):
        raise InvalidProof("proof_malformed", "A proof is not a string.", rule="OpenID4VCI §F.1")
    return Proofs(type_, tuple(values))
