"""What the wallet learns about an issuer, from the issuer itself or under a signature that the user trusts.

What a server in between says about an issuer counts only if it is signed by whom the user pinned.
"""

from urllib.parse import quote

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import json
from safeconduct.envelope import jws
from safeconduct.errors import Rejected, SafeconductError, Unsupported
from safeconduct.formats.sd_jwt import issuer_metadata as key_documents
from safeconduct.net.fetch import Response
from safeconduct.protocols.oauth import metadata as server_metadata
from safeconduct.protocols.oauth import urls
from safeconduct.protocols.oauth.metadata import AuthorizationServer
from safeconduct.protocols.openid4vci import metadata as issuer_metadata
from safeconduct.protocols.openid4vci import signed_metadata
from safeconduct.protocols.openid4vci.configuration import JWT_PROOF, CredentialConfiguration
from safeconduct.protocols.openid4vci.metadata import IssuerMetadata
from safeconduct.trust import Trust
from safeconduct.wallet import store
from safeconduct.wallet.context import Context, Notice, Unencrypted
from safeconduct.wallet.formats import issued_format_of
from safeconduct.wallet.records import KnownIssuer

_KEYS_DOCUMENT = "jwt-vc-issuer"
_DPOP_ALGORITHM = "ES256"
_JSON = "application/json"


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer as it described itself.

    server: its authorization server. trust: whose signatures on its credentials count. passed: whether the
    metadata came through a wallet server.
    """

    metadata: IssuerMetadata
    server: AuthorizationServer
    trust: Trust
    passed: bool = False

    @property
    def identifier(self) -> str:
        """The Credential Issuer Identifier."""
        return self.metadata.credential_issuer

    @property
    def token_endpoint(self) -> str:
        """Where codes are traded. Raises Rejected: token_endpoint_missing."""
        if self.server.token_endpoint is None:
            raise Rejected(
                "token_endpoint_missing", "The server names no token endpoint.", rule="RFC 8414 §2"
            )
        return self.server.token_endpoint

    @property
    def encrypts(self) -> bool:
        """Whether requests and responses can be encrypted."""
        return _offers_encryption(self.metadata)


async def meet(
    context: Context,
    identifier: str,
    *,
    server: str | None,
    unencrypted: Unencrypted,
    via: str | None = None,
) -> Issuer:
    """Learn what the issuer says about itself, and hold it to what it said before.

    1. The issuer's metadata must be about this identifier, and signed by whom the user pinned, if the user
       pinned a CA and the issuer signs. Only such may come through the wallet server `via`.
    2. It must not demand less encryption than it once did, nor stop signing.
    3. It must offer encryption both ways, unless the user allows none.
    4. Its authorization server must take DPoP proofs. It is the one that `server` names, if the issuer names
       it too.
    5. Its signing keys must be about this identifier, too; or be those that the user pinned.

    Raises Rejected: encryption_not_offered, encryption_downgraded, signature_downgraded, issuer_mismatch,
    issuer_keys_missing, authorization_server_unknown, and what fetching and reading raise; Unsupported:
    dpop_unsupported.
    """
    known = await context.safe.run(store.known_issuer, identifier)
    found = await _metadata(context, known, via)
    await context.safe.run(
        store.meet_issuer,
        identifier,
        encryption_required=_demands_encryption(found.metadata),
        signed=found.signed,
        now=context.clock(),
    )
    if unencrypted == "refused" and not _offers_encryption(found.metadata):
        raise Rejected(
            "encryption_not_offered",
            "The issuer offers no encryption, so servers in between could read the credential. "
            "Accept the offer only if that is allowed in so many words.",
        )
    chosen = await _authorization_server(context, found.metadata, server)
    trust = await _trust(context, known)
    return Issuer(metadata=found.metadata, server=chosen, trust=trust, passed=found.passed)


async def trust_in(context: Context, identifier: str) -> Trust:
    """Return whose signatures count on the credentials of an issuer that is asked for none: as `meet` does.

    Raises Rejected: issuer_keys_missing, url_not_https, and what fetching and reading raise.
    """
    urls.check_identifier(identifier, what="of the issuer", allow_http_loopback=context.allow_http_loopback)
    return await _trust(context, await context.safe.run(store.known_issuer, identifier))


async def _trust(context: Context, known: KnownIssuer) -> Trust:
    if known.pinned:
        return known.trust
    return Trust.of({known.identifier: await _signing_keys(context, known.identifier)})


def choose_configuration(
    metadata: IssuerMetadata, offered: tuple[str, ...], wanted: str | None
) -> CredentialConfiguration:
    """Return the configuration to accept.

    offered: those of the offer. wanted: the user's choice among them, None where there is one only.
    Raises Rejected: configuration_ambiguous, configuration_not_offered, configuration_unknown; Unsupported:
    format_unsupported.
    """
    if wanted is None and len(offered) > 1:
        raise _ambiguous()
    if wanted is not None and wanted not in offered:
        raise Rejected("configuration_not_offered", "The offer does not hold this credential.")
    return usable_configuration(metadata, wanted or offered[0])


def choose_format(metadata: IssuerMetadata, offered: tuple[str, ...]) -> CredentialConfiguration:
    """Return the first configuration of an offer that this wallet can hold.

    offered: one credential in several formats. Raises Unsupported: format_unsupported; Rejected:
    configuration_unknown, configuration_ambiguous (they are of several types).
    """
    usable: list[CredentialConfiguration] = []
    for identifier in offered:
        try:
            usable.append(usable_configuration(metadata, identifier))
        except Unsupported:
            if identifier == offered[-1] and not usable:
                raise
    if len({one.vct for one in usable}) > 1:
        raise _ambiguous()
    return usable[0]


def usable_configuration(metadata: IssuerMetadata, identifier: str) -> CredentialConfiguration:
    """Return the configuration of that name.

    Raises Rejected: configuration_unknown; Unsupported: format_unsupported.
    """
    configuration = metadata.configuration(identifier)
    issued_format_of(configuration.format)
    if JWT_PROOF not in configuration.proof_algorithms:
        raise Unsupported("format_unsupported", "The credential is of a format that this wallet cannot hold.")
    return configuration


def _ambiguous() -> Rejected:
    return Rejected(
        "configuration_ambiguous", "The offer holds several credentials; name one by its configuration."
    )


class _Found(msgspec.Struct, frozen=True):
    metadata: IssuerMetadata
    signed: bool
    passed: bool


async def _metadata(context: Context, known: KnownIssuer, via: str | None) -> _Found:
    if not known.certificates:
        response = await _document(
            context, issuer_metadata.issuer_metadata_url(known.identifier), accept=_JSON
        )
        return _Found(_from_json(context, known, response), signed=False, passed=False)
    if via is not None:
        try:
            return await _passed_metadata(context, known, via)
        except SafeconductError as error:
            context.report(Notice(error.code, f"Metadata through the wallet server: {error.reason}"))
    response = await _document(
        context,
        issuer_metadata.issuer_metadata_url(known.identifier),
        accept=f"{signed_metadata.MEDIA_TYPE}, {_JSON};q=0.5",
    )
    if response.content_type == signed_metadata.MEDIA_TYPE:
        return _Found(_from_jwt(context, known, response), signed=True, passed=False)
    return _Found(_from_json(context, known, response), signed=False, passed=False)


async def _passed_metadata(context: Context, known: KnownIssuer, via: str) -> _Found:
    """What the wallet server passes on: signed, and for a limited time, so that it cannot keep old keys."""
    url = f"{via.rstrip('/')}/metadata?issuer={quote(known.identifier, safe='')}"
    response = await _document(context, url, accept=signed_metadata.MEDIA_TYPE)
    metadata = _from_jwt(context, known, response)
    if "exp" not in json.loads_object(jws.parse(_text(response)).payload, max_bytes=limits.METADATA_BYTES):
        raise Rejected("metadata_endless", "The signed metadata never ends, so it could be of any age.")
    return _Found(metadata, signed=True, passed=True)


def _from_jwt(context: Context, known: KnownIssuer, response: Response) -> IssuerMetadata:
    members = signed_metadata.verify_signed_metadata(
        _text(response), credential_issuer=known.identifier, trust=known.trust, now=context.clock()
    )
    return issuer_metadata.issuer_metadata_from(
        members, credential_issuer=known.identifier, allow_http_loopback=context.allow_http_loopback
    )


def _from_json(context: Context, known: KnownIssuer, response: Response) -> IssuerMetadata:
    return issuer_metadata.parse_issuer_metadata(
        response.body,
        credential_issuer=known.identifier,
        allow_http_loopback=context.allow_http_loopback,
    )


def _text(response: Response) -> str:
    return response.body.decode("ascii", "replace")


async def _authorization_server(
    context: Context, metadata: IssuerMetadata, named: str | None
) -> AuthorizationServer:
    issuer = issuer_metadata.authorization_servers(metadata, hint=named)[0]
    response = await _document(context, server_metadata.server_metadata_url(issuer), accept=_JSON)
    server = server_metadata.parse_server_metadata(
        response.body, issuer=issuer, allow_http_loopback=context.allow_http_loopback
    )
    if _DPOP_ALGORITHM not in server.dpop_signing_alg_values_supported:
        raise Unsupported("dpop_unsupported", "The issuer does not bind tokens to keys that this wallet has.")
    return server


async def _signing_keys(context: Context, identifier: str) -> tuple[PublicKey, ...]:
    response = await _document(context, urls.well_known(identifier, _KEYS_DOCUMENT), accept=_JSON)
    published = key_documents.parse(
        response.body, issuer=identifier, allow_http_loopback=context.allow_http_loopback
    )
    keys = published.keys
    if published.jwks_uri is not None:
        urls.check_url(published.jwks_uri, what="jwks_uri", allow_http_loopback=context.allow_http_loopback)
        urls.check_not_inward(published.jwks_uri, named_by=identifier)
        keys = key_documents.parse_jwks((await _document(context, published.jwks_uri, accept=_JSON)).body)
    if not keys:
        raise Rejected("issuer_keys_missing", "The issuer publishes no signing key that this wallet knows.")
    return keys


async def _document(context: Context, url: str, *, accept: str) -> Response:
    response = await context.fetcher.request(
        "GET",
        url,
        headers={"Accept": accept},
        max_bytes=limits.METADATA_BYTES,
        content_types={kind.partition(";")[0].strip() for kind in accept.split(",")},
    )
    if response.status != 200:
        raise Rejected("issuer_metadata_missing", "The issuer does not describe itself; check the offer.")
    return response


def _offers_encryption(metadata: IssuerMetadata) -> bool:
    return metadata.request_encryption is not None and metadata.response_encryption is not None


def _demands_encryption(metadata: IssuerMetadata) -> bool:
    request, response = metadata.request_encryption, metadata.response_encryption
    return request is not None and request.required and response is not None and response.required
