"""The issuer's flow: a code is traded for a token, a token and key proofs for credentials.

What is kept, and for how long:
- an offer: its claims until they are issued or the offer is over; its state and times for a day after that;
- codes, transaction codes, tokens, credential identifiers: digests only, until they expire;
- the thumbprint of the DPoP key: as long as the token, at most five minutes unless set otherwise;
- DPoP proofs and used nonces: digests, until they would be too old anyway;
- keys of the epochs: see `epochs`.
Of an issued credential nothing is kept: no holder key, no claim, no salt, no copy.
"""

import secrets
from collections.abc import Callable, Sequence

import msgspec
from prometheus_client import Counter

from safeconduct.clock import Clock
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import json
from safeconduct.ids import Random
from safeconduct.protocols import jwt
from safeconduct.protocols.oauth import authorization, authorization_details, dpop, token
from safeconduct.protocols.oauth.authorization_details import GrantedDetail
from safeconduct.protocols.oauth.dpop import DpopProof
from safeconduct.protocols.oauth.errors import InvalidGrant, InvalidToken
from safeconduct.protocols.oauth.metadata import AuthorizationServer
from safeconduct.protocols.openid4vci import encryption
from safeconduct.protocols.openid4vci.configuration import JWT_PROOF
from safeconduct.protocols.openid4vci.encryption import IssuerEncryption, Sender
from safeconduct.protocols.openid4vci.errors import InvalidCredentialRequest, UnknownCredentialConfiguration
from safeconduct.protocols.openid4vci.metadata import (
    IssuerMetadata,
    RequestEncryption,
    ResponseEncryption,
)
from safeconduct.protocols.openid4vci.proof import verify_proofs
from safeconduct.protocols.openid4vci.request import CredentialRequest, ResponseParameters, proofs_for
from safeconduct.protocols.openid4vci.response import (
    CredentialResponse,
    encode_credential_response,
    sd_cwt_text,
)
from safeconduct.services.issuer import store
from safeconduct.services.issuer.configuration import Catalogue, Kind
from safeconduct.services.issuer.credential import make_credential
from safeconduct.services.issuer.digests import digest_of, nonce_digest, proof_digest, tx_digest
from safeconduct.services.issuer.epochs import Epochs
from safeconduct.settings import IssuerSettings
from safeconduct.storage import Database
from safeconduct.storage.erasure import erase_traces
from safeconduct.telemetry import Telemetry

ENC_VALUES = ("A128GCM", "A256GCM")
"""Content encryptions on offer: both that HAIP asks for."""

RESPONSE_ALGORITHMS = ("ECDH-ES",)

GRANT_MEMORY = 86400
"""Seconds that an offer's end stays visible to management."""


class Nonces(msgspec.Struct, frozen=True):
    """Fresh nonces for a key proof and for a DPoP proof."""

    c_nonce: str
    dpop_nonce: str


class CredentialRequestMessage(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP request to the credential endpoint, as it came.

    authorization: the header's value or None. dpop: the values of all DPoP headers.
    """

    body: bytes
    content_type: str | None
    authorization: str | None
    dpop: Sequence[str]

    def __repr__(self) -> str:
        return f"<CredentialRequestMessage of {len(self.body)} bytes>"


class CredentialAnswer(msgspec.Struct, frozen=True):
    """The body of a credential response and its media type. count: credentials in it."""

    body: bytes
    media_type: str
    count: int

    def __repr__(self) -> str:
        return f"<CredentialAnswer of {self.count} credentials>"


class Issuer:
    """The public side of one issuer, over its database. Raises the errors that the endpoints answer."""

    def __init__(
        self,
        *,
        settings: IssuerSettings,
        database: Database,
        catalogue: Catalogue,
        signer: Signer,
        clock: Clock,
        telemetry: Telemetry,
        random: Random = secrets.token_bytes,
        new_identifier: Callable[[], str] = authorization_details.new_identifier,
    ) -> None:
        """new_identifier: makes the credential identifiers; another than the default is for tests only."""
        self.settings = settings
        self.url = settings.url
        self._database = database
        self._catalogue = catalogue
        self._signer = signer
        self._clock = clock
        self._random = random
        self._new_identifier = new_identifier
        self._epochs = Epochs(database, settings, random=random)
        self._issued = Counter(
            "safeconduct_credentials_issued_total",
            "Credentials issued.",
            registry=telemetry.metrics.registry,
        )

    # What the issuer says about itself.

    async def issuer_metadata(self) -> IssuerMetadata:
        """Returns the issuer metadata with this epoch's request keys (OpenID4VCI 1.0 §12.2)."""
        offered = await self._encryption(self._clock())
        return IssuerMetadata(
            credential_issuer=self.url,
            credential_endpoint=f"{self.url}/credential",
            nonce_endpoint=f"{self.url}/nonce",
            configurations=tuple(kind.configuration for kind in self._catalogue.values()),
            request_encryption=offered.request,
            response_encryption=offered.response,
            batch_size=self._batch_size,
        )

    def server_metadata(self) -> AuthorizationServer:
        """Returns the metadata of the authorization server, which is the issuer itself."""
        return AuthorizationServer(
            issuer=self.url,
            token_endpoint=f"{self.url}/token",
            grant_types_supported=(token.PRE_AUTHORIZED_CODE,),
            token_endpoint_auth_methods_supported=("none",),
            dpop_signing_alg_values_supported=jwt.PROOF_ALGORITHMS,
            authorization_details_types_supported=(authorization_details.TYPE,),
            anonymous_pre_authorized=True,
        )

    def signing_keys(self) -> tuple[PublicKey, ...]:
        """Returns the public keys that its credentials are signed with."""
        return (self._signer.public,)

    async def nonces(self) -> Nonces:
        """Returns fresh nonces (OpenID4VCI 1.0 §7)."""
        now = self._clock()
        c_nonces, dpop_nonces = await self._epochs.c_nonces(now), await self._epochs.dpop_nonces(now)
        return Nonces(c_nonces.create(now, random=self._random), dpop_nonces.create(now, random=self._random))

    async def dpop_nonce(self) -> str:
        """Returns a fresh nonce for a DPoP proof."""
        return (await self.nonces()).dpop_nonce

    # The token endpoint.

    async def redeem(self, body: bytes, *, dpop_headers: Sequence[str]) -> token.TokenResponse:
        """Trades a pre-authorized code for an access token (OpenID4VCI 1.0 §6).

        1. The form is read.
        2. The DPoP proof is verified. Whatever is wrong so far costs neither code nor attempt.
        3. The code, and the transaction code if there is one, are traded for a token, in one transaction,
           which remembers the proof. Of a request whose code is unknown nothing is kept, or strangers could
           fill the database.

        Raises OAuthErrors.
        """
        now = self._clock()
        request = token.parse_token_request(body)
        proof = await self._verify_dpop(
            dpop_headers, path="/token", now=now, access_token=None, thumbprint=None
        )
        access_token = token.new_secret(self._random)
        redemption = store.Redemption(
            code_digest=digest_of(request.pre_authorized_code),
            tx_digest=_optional_tx_digest(request),
            proof_digest=proof_digest(proof.thumbprint, proof.jti),
            proof_expires_at=proof.expires,
            requested=request.authorization_details,
            token_digest=digest_of(access_token),
            thumbprint=proof.thumbprint,
            token_expires_at=now + self.settings.access_token_lifetime,
            new_identifier=self._new_identifier,
            uses=self.settings.credentials_per_identifier,
        )
        authorization_details.check_locations(
            request.authorization_details, credential_issuer=self.url, required=False
        )
        outcome = await self._database.run(store.redeem_grant, redemption, now=now)
        if isinstance(outcome, InvalidGrant):
            raise outcome
        return self._token_response(access_token, outcome)

    def _token_response(self, access_token: str, details: tuple[GrantedDetail, ...]) -> token.TokenResponse:
        return token.TokenResponse(
            access_token=access_token,
            token_type="DPoP",  # noqa: S106  a type, not a token
            expires_in=self.settings.access_token_lifetime,
            authorization_details=details,
        )

    # The credential endpoint.

    async def credential(self, message: CredentialRequestMessage) -> CredentialAnswer:
        """Answers a credential request (OpenID4VCI 1.0 §8).

        1. The access token is one of ours and in force.
        2. The DPoP proof is for this request, by the token's key, and new. Only now is anything decrypted.
        3. The request is opened and read.
        4. Its identifier belongs to the token and has credit left.
        5. The key proofs are verified.
        6. The credentials are signed and the response is sealed.
        7. The identifier's credit and the nonces are used up, in one transaction; nothing before costs any.

        Raises OAuthErrors.
        """
        now = self._clock()
        presented = authorization.parse_authorization(message.authorization)
        bound = await self._find_token(presented, now)
        proof = await self._verify_dpop(
            message.dpop,
            path="/credential",
            now=now,
            access_token=presented.token,
            thumbprint=bound.thumbprint,
        )
        digest = proof_digest(proof.thumbprint, proof.jti)
        await self._database.run(store.remember_proof, digest, expires_at=proof.expires)
        request = await self._open(message, presented.token, proof.key, now)
        token_digest, identifier_digest = digest_of(presented.token), _identifier_digest(request)
        count = len(request.proofs.values) if request.proofs else 1
        dataset = await self._database.run(store.find_dataset, token_digest, identifier_digest, count=count)
        holders, used = await self._check_proofs(request, self._kind(dataset), now)
        answer = self._make_answer(dataset, holders, request.response, now)
        await self._database.run(
            store.deliver,
            token_digest,
            identifier_digest,
            nonce_digests=used,
            count=count,
            now=now,
            nonces_expire_at=now + self.settings.nonce_lifetime + self.settings.clock_skew + 1,
        )
        self._issued.inc(answer.count)
        return answer

    async def sweep(self) -> None:
        """Deletes what has expired, and destroys the keys of past epochs in the database and in memory."""
        now = self._clock()
        await self._database.run(store.sweep, now=now, keep_grants_since=now - GRANT_MEMORY)
        await self._epochs.renew(now)
        await erase_traces(self._database)

    async def _find_token(self, presented: authorization.AccessToken, now: int) -> store.Token:
        if presented.scheme != "DPoP":
            raise InvalidToken("token_type", "The token must be presented with DPoP.", rule="RFC 9449 §7.1")
        return await self._database.run(store.find_token, digest_of(presented.token), now=now)

    async def _verify_dpop(
        self,
        headers: Sequence[str],
        *,
        path: str,
        now: int,
        access_token: str | None,
        thumbprint: str | None,
    ) -> DpopProof:
        nonces = await self._epochs.dpop_nonces(now)
        return dpop.verify(
            dpop.single_header(headers),
            method="POST",
            url=self.url + path,
            now=now,
            access_token=access_token,
            expected_thumbprint=thumbprint,
            nonce_ok=lambda nonce: nonces.accepts(nonce, now=now),
            max_age=self.settings.dpop_proof_lifetime,
            leeway=self.settings.clock_skew,
        )

    async def _open(
        self, message: CredentialRequestMessage, access_token: str, key: PublicKey, now: int
    ) -> CredentialRequest:
        received = encryption.receive_request(
            message.body,
            content_type=message.content_type,
            encryption=await self._encryption(now),
            sender=Sender(audience=self.url, access_token=access_token, key=key),
            batch_size=self._batch_size,
            now=now,
        )
        return received.request

    async def _encryption(self, now: int) -> IssuerEncryption:
        ring = await self._epochs.ring(now)
        required = self.settings.require_encryption
        return IssuerEncryption(
            request=RequestEncryption(
                keys=ring.published(), enc_values=ENC_VALUES, required=required, signed=True
            ),
            response=ResponseEncryption(
                alg_values=RESPONSE_ALGORITHMS, enc_values=ENC_VALUES, required=required
            ),
            keys=ring.private(now),
            signed_requests=self.settings.signed_requests,
        )

    async def _check_proofs(
        self, request: CredentialRequest, kind: Kind, now: int
    ) -> tuple[tuple[PublicKey, ...], set[bytes]]:
        """The holder's keys, and what the nonces of their proofs are remembered by."""
        nonces = await self._epochs.c_nonces(now)
        used: set[bytes] = set()

        def accepts(nonce: str) -> bool:
            used.add(nonce_digest(nonce))
            return nonces.accepts(nonce, now=now)

        holders = verify_proofs(
            proofs_for(request, kind.configuration),
            audience=self.url,
            now=now,
            nonce_ok=accepts,
            client_id=None,
            algorithms=kind.configuration.proof_algorithms[JWT_PROOF],
        )
        return holders, used

    def _make_answer(
        self,
        dataset: store.Dataset,
        holders: tuple[PublicKey, ...],
        response: ResponseParameters | None,
        now: int,
    ) -> CredentialAnswer:
        claims = json.loads_object(dataset.claims)
        credentials = tuple(
            sd_cwt_text(
                make_credential(
                    claims,
                    self._kind(dataset),
                    issuer=self.url,
                    signer=self._signer,
                    holder=holder,
                    now=now,
                    random=self._random,
                )
            )
            for holder in holders
        )
        payload = encode_credential_response(CredentialResponse(credentials=credentials))
        if response is None:
            return CredentialAnswer(payload, encryption.PLAIN, len(credentials))
        sealed = encryption.seal_response(payload, parameters=response)
        return CredentialAnswer(sealed, encryption.ENCRYPTED, len(credentials))

    def _kind(self, dataset: store.Dataset) -> Kind:
        kind = self._catalogue.get(dataset.configuration_id)
        if kind is None:  # taken out of the configuration since the offer was made
            raise UnknownCredentialConfiguration(
                "configuration_unknown", "The issuer does not have this configuration any more."
            )
        return kind

    @property
    def _batch_size(self) -> int:
        """A request may not ask for more than an identifier is good for."""
        return min(self.settings.batch_size, self.settings.credentials_per_identifier)


def _optional_tx_digest(request: token.TokenRequest) -> bytes | None:
    if request.tx_code is None:
        return None
    return tx_digest(request.tx_code, code=request.pre_authorized_code)


def _identifier_digest(request: CredentialRequest) -> bytes:
    if request.credential_identifier is None:
        raise InvalidCredentialRequest(
            "identifier_missing",
            "The request must name a credential identifier of the token response.",
            rule="OpenID4VCI §8.2",
        )
    return digest_of(request.credential_identifier)
