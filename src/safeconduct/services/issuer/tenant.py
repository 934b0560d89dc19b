"""One credential issuer: an identifier with its configurations and keys, as all parts of the service use it.

A process serves many on one database; each has its own identifier, and nothing of one is good for another.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from safeconduct.clock import Clock
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.crypto.x509 import Certificate
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.ids import Random
from safeconduct.protocols.oauth import dpop
from safeconduct.protocols.oauth.dpop import DpopProof
from safeconduct.protocols.openid4vci.encryption import IssuerEncryption
from safeconduct.protocols.openid4vci.errors import CredentialRequestDenied
from safeconduct.protocols.openid4vci.metadata import RequestEncryption, ResponseEncryption
from safeconduct.services.issuer.configuration import Catalogue
from safeconduct.services.issuer.credential import check_claims, check_mandatory
from safeconduct.services.issuer.epochs import Epochs
from safeconduct.services.issuer.sources import ClaimRequest, ClaimSource
from safeconduct.services.signing_keys import SigningKeys
from safeconduct.settings import IssuerSettings
from safeconduct.storage import Database
from safeconduct.telemetry import Telemetry

ENC_VALUES = ("A128GCM", "A256GCM")
"""Content encryptions on offer: both that HAIP asks for."""

RESPONSE_ALGORITHMS = ("ECDH-ES",)


class Nonces(msgspec.Struct, frozen=True):
    """Fresh nonces for a key proof and for a DPoP proof."""

    c_nonce: str
    dpop_nonce: str


class Tenant:
    """What the endpoints of one issuer share."""

    def __init__(
        self,
        *,
        settings: IssuerSettings,
        database: Database,
        catalogue: Catalogue,
        signing: SigningKeys,
        clock: Clock,
        telemetry: Telemetry,
        random: Random = secrets.token_bytes,
        sources: Mapping[str, ClaimSource] = {},
    ) -> None:
        """settings: those of the service, with what this tenant has of its own put in.

        sources: of claims, by configuration id; claims of others come with their offers.
        """
        self.settings = settings
        self.url = settings.url
        self.database = database
        self.catalogue = catalogue
        self.signing = signing
        self.clock = clock
        self.telemetry = telemetry
        self.random = random
        self._sources = sources
        self.epochs = Epochs(database, settings, random=random)

    @property
    def signer(self) -> Signer:
        """The key that signs now; it may be another for the next request."""
        return self.signing.signer

    @property
    def signing_keys(self) -> tuple[PublicKey, ...]:
        """The public keys to publish, the newest first. Raises SettingsError (the files were broken)."""
        return self.signing.published(self.clock())

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """The certificates of the key that signs now, its own first; () without."""
        return self.signing.chain

    async def claims_for(self, wanted: ClaimRequest, *, offered: bytes | None) -> Mapping[str, Any] | None:
        """Returns the claims of one credential, or None if they are not ready and issuance is deferred.

        offered: the claims of the offer or of the account that logged in, JSON. Raises
        CredentialRequestDenied "claims_missing" (there are none), "claims_unusable" (they are not those of
        the kind); SourceUnavailable.
        """
        kind, source = self.catalogue[wanted.configuration_id], self._sources.get(wanted.configuration_id)
        if source is not None:
            found = await source.claims(wanted)
            return None if found is None else self._fitting(found, lambda: check_claims(found, [kind]))
        if offered is None:
            raise CredentialRequestDenied("claims_missing", "The issuer has no claims for this credential.")
        claims = json.loads_object(offered)  # of all kinds of an offer together
        return self._fitting(claims, lambda: check_mandatory(claims, kind))

    def _fitting(self, claims: Mapping[str, Any], check: Callable[[], None]) -> Mapping[str, Any]:
        try:
            check()
        except SafeconductError as error:
            self.telemetry.log.failure(error, event="claims_unusable", code=error.code)
            raise CredentialRequestDenied(
                "claims_unusable", "The issuer's claims for this credential cannot be used."
            ) from None
        return claims

    async def nonces(self) -> Nonces:
        """Returns fresh nonces (OpenID4VCI 1.0 §7)."""
        now = self.clock()
        c_nonces, dpop_nonces = await self.epochs.nonces(now)
        return Nonces(c_nonces.create(now, random=self.random), dpop_nonces.create(now, random=self.random))

    async def dpop_nonce(self) -> str:
        """Returns a fresh nonce for a DPoP proof."""
        now = self.clock()
        return (await self.epochs.dpop_nonces(now)).create(now, random=self.random)

    async def c_nonce_check(self, now: int) -> Callable[[str], bool]:
        """Returns what tells whether a nonce of a key proof is one of ours and current."""
        nonces = await self.epochs.c_nonces(now)
        return lambda nonce: nonces.accepts(nonce, now=now)

    async def verify_dpop(
        self,
        headers: Sequence[str],
        *,
        path: str,
        now: int,
        access_token: str | None,
        thumbprint: str | None,
    ) -> DpopProof:
        """Returns the one DPoP proof of a POST to `path` below the identifier.

        access_token, thumbprint: of the token that it must go with; None where there is none yet.
        Raises InvalidDpopProof, UseDpopNonce. The caller remembers the proof, so that it is good once.
        """
        nonces = await self.epochs.dpop_nonces(now)
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

    async def encryption(self, now: int) -> IssuerEncryption:
        """Returns the encryption that is on offer, and the private keys that still work."""
        ring = await self.epochs.ring(now)
        required = self.settings.require_encryption
        return IssuerEncryption(
            request=RequestEncryption(
                keys=ring.published(now), enc_values=ENC_VALUES, required=required, signed=True
            ),
            response=ResponseEncryption(
                alg_values=RESPONSE_ALGORITHMS, enc_values=ENC_VALUES, required=required
            ),
            keys=ring.private(now),
            signed_requests=self.settings.signed_requests,
        )

    @property
    def batch_size(self) -> int:
        """Most proofs in a request, which may not ask for more than an identifier is good for."""
        return min(self.settings.batch_size, self.settings.credentials_per_identifier)
