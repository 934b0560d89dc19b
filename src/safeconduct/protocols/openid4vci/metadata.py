"""Credential issuer metadata (OpenID4VCI 1.0 §12.2): what an issuer offers, where, and how to encrypt to it.

Whoever encrypts must have got this document from the issuer itself (§13.10): a server in between could put
its own keys into it.
"""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.crypto.agreement import AgreementPublicKey
from safeconduct.encoding import json
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.protocols import wire
from safeconduct.protocols.oauth import urls
from safeconduct.protocols.openid4vci.configuration import (
    CredentialConfiguration,
    Display,
    check_display,
    configuration_json,
    parse_configuration,
)
from safeconduct.protocols.openid4vci.sharing_terms import SharingEndpoints, read_endpoints

_WELL_KNOWN = "openid-credential-issuer"
_RULE = "OpenID4VCI §12.2.4"

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.URL_CHARS)]
_Some = msgspec.Meta(min_length=1, max_length=limits.LIST_ITEMS)


class RequestEncryption(msgspec.Struct, frozen=True, kw_only=True):
    """How requests may be encrypted to the issuer.

    keys: its public keys, each with a unique `kid` and its `alg`; read from a peer, only the usable ones.
    enc_values: content encryptions it takes. zip_values: compressions it takes. required: whether it refuses
    plain requests. signed: whether it understands a request that is signed inside its encryption; that is no
    part of OpenID4VCI, and stands in a member that other wallets ignore.
    """

    keys: tuple[AgreementPublicKey, ...]
    enc_values: tuple[str, ...]
    zip_values: tuple[str, ...] = ()
    required: bool
    signed: bool = False


class ResponseEncryption(msgspec.Struct, frozen=True, kw_only=True):
    """How the issuer can encrypt responses; `required` if it sends no plain ones."""

    alg_values: tuple[str, ...]
    enc_values: tuple[str, ...]
    zip_values: tuple[str, ...] = ()
    required: bool


class IssuerMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a credential issuer says about itself.

    authorization_servers: empty if the issuer is its own. batch_size: most proofs in one request.
    sharing: where holders share what they were issued; None: nowhere.
    """

    credential_issuer: str
    credential_endpoint: str
    configurations: tuple[CredentialConfiguration, ...]
    authorization_servers: tuple[str, ...] = ()
    nonce_endpoint: str | None = None
    deferred_credential_endpoint: str | None = None
    notification_endpoint: str | None = None
    request_encryption: RequestEncryption | None = None
    response_encryption: ResponseEncryption | None = None
    batch_size: int = 1
    display: tuple[Display, ...] = ()
    sharing: SharingEndpoints | None = None

    def configuration(self, identifier: str) -> CredentialConfiguration:
        """Returns the configuration of that name; raises Rejected "configuration_unknown"."""
        for configuration in self.configurations:
            if configuration.id == identifier:
                return configuration
        raise Rejected("configuration_unknown", "The issuer does not have this configuration.")


def issuer_metadata_url(credential_issuer: str) -> str:
    """Returns where the metadata of that issuer stands (OpenID4VCI 1.0 §12.2.2)."""
    return urls.well_known(credential_issuer, _WELL_KNOWN)


def authorization_servers(metadata: IssuerMetadata, *, hint: str | None) -> tuple[str, ...]:
    """Returns the identifiers of the servers that may give a token, the issuer itself if it names none.

    hint: `authorization_server` of the offer's grant, which must be one that the metadata names.

    Source: OpenID4VCI 1.0 §4.1.1, §12.2.4. Raises Rejected "authorization_server_unknown".
    """
    if hint is None:
        return metadata.authorization_servers or (metadata.credential_issuer,)
    if hint not in metadata.authorization_servers:
        raise Rejected("authorization_server_unknown", "The offer names a server that the issuer does not.")
    return (hint,)


def issuer_metadata_json(metadata: IssuerMetadata) -> dict[str, Any]:
    """Returns the JSON members of the metadata document.

    Raises Rejected as `parse_issuer_metadata` for a description that breaks the specification's rules.
    """
    _check_encryption(metadata)
    return wire.plain(
        _Metadata(
            credential_issuer=metadata.credential_issuer,
            credential_endpoint=metadata.credential_endpoint,
            credential_configurations_supported={
                configuration.id: configuration_json(configuration)
                for configuration in metadata.configurations
            },
            authorization_servers=metadata.authorization_servers or None,
            nonce_endpoint=metadata.nonce_endpoint,
            deferred_credential_endpoint=metadata.deferred_credential_endpoint,
            notification_endpoint=metadata.notification_endpoint,
            credential_request_encryption=_request_encryption_wire(metadata.request_encryption),
            credential_response_encryption=_response_encryption_wire(metadata.response_encryption),
            batch_credential_issuance=_Batch(metadata.batch_size) if metadata.batch_size > 1 else None,
            display=metadata.display or None,
            sharing=metadata.sharing,
        )
    )


def parse_issuer_metadata(
    body: bytes, *, credential_issuer: str, allow_http_loopback: bool = False
) -> IssuerMetadata:
    """Reads the metadata document fetched from `issuer_metadata_url(credential_issuer)`.

    allow_http_loopback: takes http URLs of the local machine.

    Raises Malformed; Rejected "issuer_mismatch" (the document is about another issuer), "url_not_https",
    "url_points_inward", "encryption_kid_missing", "encryption_kid_repeated", "encryption_alg_missing",
    "response_encryption_unusable", and what `parse_configuration` raises.
    """
    decoded = json.loads_object(body, max_bytes=limits.METADATA_BYTES)
    return issuer_metadata_from(
        decoded, credential_issuer=credential_issuer, allow_http_loopback=allow_http_loopback
    )


def issuer_metadata_from(
    decoded: dict[str, Any], *, credential_issuer: str, allow_http_loopback: bool = False
) -> IssuerMetadata:
    """As `parse_issuer_metadata`, of the decoded members of the document, such as signed metadata holds."""
    members = wire.read(decoded, _Metadata, what="Issuer metadata")
    # Compared as plain strings, without normalisation (OpenID4VCI 1.0 §12.2.4).
    if members.credential_issuer != credential_issuer:
        raise Rejected("issuer_mismatch", "The metadata is about another issuer.", rule=_RULE)
    metadata = IssuerMetadata(
        credential_issuer=credential_issuer,
        credential_endpoint=members.credential_endpoint,
        configurations=tuple(
            parse_configuration(identifier, value)
            for identifier, value in members.credential_configurations_supported.items()
        ),
        authorization_servers=members.authorization_servers or (),
        nonce_endpoint=members.nonce_endpoint,
        deferred_credential_endpoint=members.deferred_credential_endpoint,
        notification_endpoint=members.notification_endpoint,
        request_encryption=_request_encryption(members.credential_request_encryption),
        response_encryption=_response_encryption(members.credential_response_encryption),
        batch_size=members.batch_credential_issuance.batch_size if members.batch_credential_issuance else 1,
        display=members.display or (),
        sharing=read_endpoints(members.sharing),
    )
    _check_urls(metadata, allow_http_loopback)
    _check_encryption(metadata)
    check_display(metadata.display)
    return metadata


class _Jwks(msgspec.Struct, frozen=True):
    keys: Annotated[tuple[dict[str, Any], ...], _Some]


class _RequestEncryption(msgspec.Struct, frozen=True, omit_defaults=True):
    jwks: _Jwks
    enc_values_supported: Annotated[tuple[_Text, ...], _Some]
    encryption_required: bool
    zip_values_supported: Annotated[tuple[_Text, ...], _Some] | None = None
    safeconduct_signed_requests: bool = False


class _ResponseEncryption(msgspec.Struct, frozen=True, omit_defaults=True):
    alg_values_supported: Annotated[tuple[_Text, ...], _Some]
    enc_values_supported: Annotated[tuple[_Text, ...], _Some]
    encryption_required: bool
    zip_values_supported: Annotated[tuple[_Text, ...], _Some] | None = None


class _Batch(msgspec.Struct, frozen=True):
    batch_size: Annotated[int, msgspec.Meta(ge=2)]


class _Metadata(msgspec.Struct, frozen=True, omit_defaults=True):
    credential_issuer: _Url
    credential_endpoint: _Url
    credential_configurations_supported: Annotated[
        dict[_Text, Any], msgspec.Meta(max_length=limits.LIST_ITEMS)
    ]
    authorization_servers: Annotated[tuple[_Url, ...], _Some] | None = None
    nonce_endpoint: _Url | None = None
    deferred_credential_endpoint: _Url | None = None
    notification_endpoint: _Url | None = None
    credential_request_encryption: _RequestEncryption | None = None
    credential_response_encryption: _ResponseEncryption | None = None
    batch_credential_issuance: _Batch | None = None
    display: Annotated[tuple[Display, ...], _Some] | None = None
    sharing: Any = None


def _request_encryption(block: _RequestEncryption | None) -> RequestEncryption | None:
    if block is None:
        return None
    _check_jwks(block.jwks.keys)
    return RequestEncryption(
        keys=tuple(_usable(block.jwks.keys)),
        enc_values=block.enc_values_supported,
        zip_values=block.zip_values_supported or (),
        required=block.encryption_required,
        signed=block.safeconduct_signed_requests,
    )


def _response_encryption(block: _ResponseEncryption | None) -> ResponseEncryption | None:
    if block is None:
        return None
    return ResponseEncryption(
        alg_values=block.alg_values_supported,
        enc_values=block.enc_values_supported,
        zip_values=block.zip_values_supported or (),
        required=block.encryption_required,
    )


def _request_encryption_wire(encryption: RequestEncryption | None) -> _RequestEncryption | None:
    if encryption is None:
        return None
    jwks = tuple(key.to_jwk() for key in encryption.keys)
    _check_jwks(jwks)
    return _RequestEncryption(
        jwks=_Jwks(jwks),
        enc_values_supported=encryption.enc_values,
        encryption_required=encryption.required,
        zip_values_supported=encryption.zip_values or None,
        safeconduct_signed_requests=encryption.signed,
    )


def _response_encryption_wire(encryption: ResponseEncryption | None) -> _ResponseEncryption | None:
    if encryption is None:
        return None
    return _ResponseEncryption(
        alg_values_supported=encryption.alg_values,
        enc_values_supported=encryption.enc_values,
        encryption_required=encryption.required,
        zip_values_supported=encryption.zip_values or None,
    )


def _check_jwks(jwks: tuple[dict[str, Any], ...]) -> None:
    kids = [jwk.get("kid") for jwk in jwks]
    if not all(isinstance(kid, str) and kid for kid in kids):
        raise Rejected("encryption_kid_missing", "An encryption key has no kid.", rule=_RULE)
    if len(set(kids)) != len(kids):
        raise Rejected("encryption_kid_repeated", "Two encryption keys have one kid.", rule=_RULE)
    if not all(isinstance(jwk.get("alg"), str) for jwk in jwks):
        raise Rejected("encryption_alg_missing", "An encryption key has no alg.", rule="OpenID4VCI §10")


def _usable(jwks: Iterable[dict[str, Any]]) -> Iterable[AgreementPublicKey]:
    """Keys of unknown kinds, or for another use, are not faults: a wallet takes another one."""
    for jwk in jwks:
        try:
            yield AgreementPublicKey.from_jwk(jwk)
        except SafeconductError as error:
            if error.code == "private_key_where_public_expected":
                raise


def _check_urls(metadata: IssuerMetadata, allow_http_loopback: bool) -> None:
    for server in (metadata.credential_issuer, *metadata.authorization_servers):
        urls.check_identifier(server, what="identifier", allow_http_loopback=allow_http_loopback)
        urls.check_not_inward(server, named_by=metadata.credential_issuer)
    for what, url in (
        ("credential_endpoint", metadata.credential_endpoint),
        ("nonce_endpoint", metadata.nonce_endpoint),
        ("deferred_credential_endpoint", metadata.deferred_credential_endpoint),
        ("notification_endpoint", metadata.notification_endpoint),
        *(msgspec.structs.asdict(metadata.sharing).items() if metadata.sharing else ()),
    ):
        if url is not None:
            urls.check_url(url, what=what, allow_http_loopback=allow_http_loopback)
            urls.check_not_inward(url, named_by=metadata.credential_issuer)


def _check_encryption(metadata: IssuerMetadata) -> None:
    request, response = metadata.request_encryption, metadata.response_encryption
    # A response key may only travel in an encrypted request, so this could never be satisfied.
    if response is not None and response.required and request is None:
        raise Rejected(
            "response_encryption_unusable", "Responses must be encrypted, but requests cannot be.", rule=_RULE
        )
