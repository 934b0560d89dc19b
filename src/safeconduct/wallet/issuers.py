"""What the wallet learns about an issuer, from the issuer itself and never through a server in between."""

from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.errors import Rejected, SafeconductError, Unsupported
from safeconduct.protocols import wire
from safeconduct.protocols.oauth import metadata as server_metadata
from safeconduct.protocols.oauth import urls
from safeconduct.protocols.openid4vci import metadata as issuer_metadata
from safeconduct.protocols.openid4vci.configuration import JWT_PROOF, SD_CWT, CredentialConfiguration
from safeconduct.protocols.openid4vci.metadata import IssuerMetadata
from safeconduct.trust import Trust
from safeconduct.wallet import store
from safeconduct.wallet.context import Context, Unencrypted

_KEYS_DOCUMENT = "jwt-vc-issuer"
_DPOP_ALGORITHM = "ES256"


class Issuer(msgspec.Struct, frozen=True):
    """An issuer as it described itself. keys: those that sign its credentials."""

    metadata: IssuerMetadata
    token_endpoint: str
    keys: tuple[PublicKey, ...]

    @property
    def identifier(self) -> str:
        """The Credential Issuer Identifier."""
        return self.metadata.credential_issuer

    @property
    def encrypts(self) -> bool:
        """Whether requests and responses can be encrypted."""
        return _offers_encryption(self.metadata)

    @property
    def trust(self) -> Trust:
        """These keys, for this issuer's name alone."""
        return Trust.of({self.identifier: self.keys})


async def meet(context: Context, identifier: str, *, server: str | None, unencrypted: Unencrypted) -> Issuer:
    """Fetch what the issuer says about itself, and hold it to what it demanded before.

    1. The issuer's metadata must be about this identifier.
    2. It must not demand less encryption than it once did.
    3. It must offer encryption both ways, unless the user allows none.
    4. Its authorization server must take pre-authorized codes, and DPoP proofs. It is the one that the offer
       names in `server`, if the issuer names it too.
    5. Its signing keys must be about this identifier, too.

    Raises Rejected: encryption_not_offered, encryption_downgraded, issuer_mismatch, issuer_keys_missing,
    authorization_server_unknown, and what fetching and reading raise; Unsupported: dpop_unsupported.
    """
    metadata = await _issuer_metadata(context, identifier)
    await context.safe.run(
        store.meet_issuer,
        identifier,
        encryption_required=_demands_encryption(metadata),
        signed=False,
        now=context.clock(),
    )
    if unencrypted == "refused" and not _offers_encryption(metadata):
        raise Rejected(
            "encryption_not_offered",
            "The issuer offers no encryption, so servers in between could read the credential. "
            "Accept the offer only if that is allowed in so many words.",
        )
    token_endpoint = await _token_endpoint(context, metadata, server)
    return Issuer(metadata, token_endpoint, await _signing_keys(context, identifier))


def choose_configuration(
    metadata: IssuerMetadata, offered: tuple[str, ...], wanted: str | None
) -> CredentialConfiguration:
    """Return the configuration to accept.

    offered: those of the offer. wanted: the user's choice among them, None where there is one only.
    Raises Rejected: configuration_ambiguous, configuration_not_offered, configuration_unknown; Unsupported:
    format_unsupported.
    """
    if wanted is None and len(offered) > 1:
        raise Rejected("configuration_ambiguous", "The offer holds several credentials; name one.")
    if wanted is not None and wanted not in offered:
        raise Rejected("configuration_not_offered", "The offer does not hold this credential.")
    configuration = metadata.configuration(wanted or offered[0])
    if configuration.format != SD_CWT or JWT_PROOF not in configuration.proof_algorithms:
        raise Unsupported("format_unsupported", "The credential is of a format that this wallet cannot hold.")
    return configuration


async def _issuer_metadata(context: Context, identifier: str) -> IssuerMetadata:
    body = await _document(context, issuer_metadata.issuer_metadata_url(identifier))
    return issuer_metadata.parse_issuer_metadata(
        body, credential_issuer=identifier, allow_http_loopback=context.allow_http_loopback
    )


async def _token_endpoint(context: Context, metadata: IssuerMetadata, named: str | None) -> str:
    issuer = issuer_metadata.authorization_servers(metadata, hint=named)[0]
    body = await _document(context, server_metadata.server_metadata_url(issuer))
    server = server_metadata.parse_server_metadata(
        body, issuer=issuer, allow_http_loopback=context.allow_http_loopback
    )
    if _DPOP_ALGORITHM not in server.dpop_signing_alg_values_supported:
        raise Unsupported("dpop_unsupported", "The issuer does not bind tokens to keys that this wallet has.")
    return server_metadata.pre_authorized_token_endpoint(server)


async def _signing_keys(context: Context, identifier: str) -> tuple[PublicKey, ...]:
    body = await _document(context, urls.well_known(identifier, _KEYS_DOCUMENT))
    document = wire.read_json(body, _Keys, what="Issuer keys", max_bytes=limits.METADATA_BYTES)
    if document.issuer != identifier:
        raise Rejected("issuer_mismatch", "The keys are those of another issuer.")
    keys = tuple(key for jwk in document.jwks.keys if (key := _usable(jwk)) is not None)
    if not keys:
        raise Rejected("issuer_keys_missing", "The issuer publishes no signing key that this wallet knows.")
    return keys


async def _document(context: Context, url: str) -> bytes:
    response = await context.fetcher.request(
        "GET",
        url,
        headers={"Accept": "application/json"},
        max_bytes=limits.METADATA_BYTES,
        content_types={"application/json"},
    )
    if response.status != 200:
        raise Rejected("issuer_metadata_missing", "The issuer does not describe itself; check the offer.")
    return response.body


class _Jwks(msgspec.Struct, frozen=True):
    keys: tuple[dict[str, Any], ...]


class _Keys(msgspec.Struct, frozen=True):
    issuer: str
    jwks: _Jwks


def _usable(jwk: dict[str, Any]) -> PublicKey | None:
    try:
        return PublicKey.from_jwk(jwk)
    except SafeconductError:
        return None


def _offers_encryption(metadata: IssuerMetadata) -> bool:
    return metadata.request_encryption is not None and metadata.response_encryption is not None


def _demands_encryption(metadata: IssuerMetadata) -> bool:
    request, response = metadata.request_encryption, metadata.response_encryption
    return request is not None and request.required and response is not None and response.required
