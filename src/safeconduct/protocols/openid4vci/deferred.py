"""Requests to the deferred credential endpoint (OpenID4VCI 1.0 §9.1), as they are inside any encryption.

The answers are those of the credential endpoint (`response`).
"""

from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.protocols import wire
from safeconduct.protocols.oauth.errors import reported_as
from safeconduct.protocols.openid4vci.errors import InvalidCredentialRequest
from safeconduct.protocols.openid4vci.request import (
    ResponseParameters,
    response_parameters,
    response_parameters_json,
)


class DeferredRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for the credential that an issuer has promised under `transaction_id`.

    response: how this answer shall be encrypted, whatever an earlier request said; None asks for a plain one.
    """

    transaction_id: str
    response: ResponseParameters | None = None

    def __repr__(self) -> str:
        return f"<DeferredRequest encrypted_response={self.response is not None}>"


def parse_deferred_request(body: bytes) -> DeferredRequest:
    """Reads the JSON of a deferred credential request; unknown members are ignored.

    Raises InvalidCredentialRequest; InvalidEncryptionParameters for anything wrong with
    `credential_response_encryption`.
    """
    with reported_as(InvalidCredentialRequest):
        members = wire.read_json(body, _Request, what="Deferred credential request")
    return DeferredRequest(
        transaction_id=members.transaction_id,
        response=response_parameters(members.credential_response_encryption),
    )


def encode_deferred_request(request: DeferredRequest) -> bytes:
    """Returns the JSON of a deferred credential request."""
    members: dict[str, Any] = {"transaction_id": request.transaction_id}
    if request.response is not None:
        members["credential_response_encryption"] = response_parameters_json(request.response)
    return wire.encode(members)


class _Request(msgspec.Struct, frozen=True):
    transaction_id: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]
    credential_response_encryption: Any = None
