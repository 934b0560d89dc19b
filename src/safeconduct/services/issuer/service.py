"""The issuer's flow: a token and key proofs are traded for credentials.

What is kept, and for how long:
- an offer: its claims until they are issued or the offer is over; its state and times for a day after that;
- codes, transaction codes, tokens, credential identifiers: digests only, until they expire;
- the thumbprint of the DPoP key: as long as the token, at most five minutes unless set otherwise;
- DPoP proofs and used nonces: digests, until they would be too old anyway;
- keys of the epochs: see `epochs`.
Of an issued credential nothing is kept: no holder key, no claim, no salt, no copy.
"""

from collections.abc import Sequence

import msgspec
from prometheus_client import Counter

from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import json
from safeconduct.protocols.oauth import authorization
from safeconduct.protocols.oauth.errors import InvalidToken
from safeconduct.protocols.openid4vci import encryption
from safeconduct.protocols.openid4vci.configuration import JWT_PROOF
from safeconduct.protocols.openid4vci.encryption import Sender
from safeconduct.protocols.openid4vci.errors import InvalidCredentialRequest, UnknownCredentialConfiguration
from safeconduct.protocols.openid4vci.metadata import (
    IssuerMetadata,
)
from safeconduct.protocols.openid4vci.proof import verify_proofs
from safeconduct.protocols.openid4vci.request import CredentialRequest, ResponseParameters, proofs_for
from safeconduct.protocols.openid4vci.response import (
    CredentialResponse,
    encode_credential_response,
    sd_cwt_text,
)
from safeconduct.services.issuer import delivery_store, grant_store
from safeconduct.services.issuer.configuration import Kind
from safeconduct.services.issuer.credential import make_credential
from safeconduct.services.issuer.digests import digest_of, nonce_digest, proof_digest
from safeconduct.services.issuer.tenant import Tenant


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

    def __init__(self, tenant: Tenant, *, issued: Counter) -> None:
        """issued: counts the credentials of all tenants together."""
        self.tenant = tenant
        self.settings = tenant.settings
        self.url = tenant.url
        self._issued = issued

    # What the issuer says about itself.

    async def issuer_metadata(self) -> IssuerMetadata:
        """Returns the issuer metadata with this epoch's request keys (OpenID4VCI 1.0 §12.2)."""
        offered = await self.tenant.encryption(self.tenant.clock())
        return IssuerMetadata(
            credential_issuer=self.url,
            credential_endpoint=f"{self.url}/credential",
            nonce_endpoint=f"{self.url}/nonce",
            configurations=tuple(kind.configuration for kind in self.tenant.catalogue.values()),
            request_encryption=offered.request,
            response_encryption=offered.response,
            batch_size=self.tenant.batch_size,
        )

    def signing_keys(self) -> tuple[PublicKey, ...]:
        """Returns the public keys that its credentials are signed with."""
        return (self.tenant.signer.public,)

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
        now = self.tenant.clock()
        presented = authorization.parse_authorization(message.authorization)
        bound = await self._find_token(presented, now)
        proof = await self.tenant.verify_dpop(
            message.dpop,
            path="/credential",
            now=now,
            access_token=presented.token,
            thumbprint=bound.thumbprint,
        )
        digest = proof_digest(proof.thumbprint, proof.jti)
        await self.tenant.database.run(grant_store.remember_proof, digest, expires_at=proof.expires)
        request = await self._open(message, presented.token, proof.key, now)
        token_digest, identifier_digest = digest_of(presented.token), _identifier_digest(request)
        count = len(request.proofs.values) if request.proofs else 1
        dataset = await self.tenant.database.run(
            delivery_store.find_dataset, token_digest, identifier_digest, count=count
        )
        holders, used = await self._check_proofs(request, self._kind(dataset), now)
        answer = self._make_answer(dataset, holders, request.response, now)
        await self.tenant.database.run(
            delivery_store.deliver,
            self.url,
            token_digest,
            identifier_digest,
            nonce_digests=used,
            count=count,
            now=now,
            nonces_expire_at=now + self.settings.nonce_lifetime + self.settings.clock_skew + 1,
        )
        self._issued.inc(answer.count)
        return answer

    async def _find_token(self, presented: authorization.AccessToken, now: int) -> grant_store.Token:
        if presented.scheme != "DPoP":
            raise InvalidToken("token_type", "The token must be presented with DPoP.", rule="RFC 9449 §7.1")
        return await self.tenant.database.run(
            grant_store.find_token, self.url, digest_of(presented.token), now=now
        )

    async def _open(
        self, message: CredentialRequestMessage, access_token: str, key: PublicKey, now: int
    ) -> CredentialRequest:
        received = encryption.receive_request(
            message.body,
            content_type=message.content_type,
            encryption=await self.tenant.encryption(now),
            sender=Sender(audience=self.url, access_token=access_token, key=key),
            batch_size=self.tenant.batch_size,
            now=now,
        )
        return received.request

    async def _check_proofs(
        self, request: CredentialRequest, kind: Kind, now: int
    ) -> tuple[tuple[PublicKey, ...], set[bytes]]:
        """The holder's keys, and what the nonces of their proofs are remembered by."""
        nonces = await self.tenant.epochs.c_nonces(now)
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
        dataset: delivery_store.Dataset,
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
                    signer=self.tenant.signer,
                    holder=holder,
                    now=now,
                    random=self.tenant.random,
                )
            )
            for holder in holders
        )
        payload = encode_credential_response(CredentialResponse(credentials=credentials))
        if response is None:
            return CredentialAnswer(payload, encryption.PLAIN, len(credentials))
        sealed = encryption.seal_response(payload, parameters=response)
        return CredentialAnswer(sealed, encryption.ENCRYPTED, len(credentials))

    def _kind(self, dataset: delivery_store.Dataset) -> Kind:
        kind = self.tenant.catalogue.get(dataset.configuration_id)
        if kind is None:  # taken out of the configuration since the offer was made
            raise UnknownCredentialConfiguration(
                "configuration_unknown", "The issuer does not have this configuration any more."
            )
        return kind


def _identifier_digest(request: CredentialRequest) -> bytes:
    if request.credential_identifier is None:
        raise InvalidCredentialRequest(
            "identifier_missing",
            "The request must name a credential identifier of the token response.",
            rule="OpenID4VCI §8.2",
        )
    return digest_of(request.credential_identifier)
