"""One credential issuer: an identifier with its configurations and keys, as all parts of the service use it.

A process serves many on one database; each has its own identifier, and nothing of one is good for another.
"""

import secrets
from collections.abc import Callable, Sequence

import msgspec

from safeconduct.clock import Clock
from safeconduct.crypto.signing import Signer
from safeconduct.ids import Random
from safeconduct.protocols.oauth import dpop
from safeconduct.protocols.oauth.dpop import DpopProof
from safeconduct.protocols.openid4vci.encryption import IssuerEncryption
from safeconduct.protocols.openid4vci.metadata import RequestEncryption, ResponseEncryption
from safeconduct.services.issuer.configuration import Catalogue
from safeconduct.services.issuer.epochs import Epochs
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
        signer: Signer,
        clock: Clock,
        telemetry: Telemetry,
        random: Random = secrets.token_bytes,
    ) -> None:
        """settings: those of the service, with what this tenant has of its own put in."""
        self.settings = settings
        self.url = settings.url
        self.database = database
        self.catalogue = catalogue
        self.signer = signer
        self.clock = clock
        self.telemetry = telemetry
        self.random = random
        self.epochs = Epochs(database, settings, random=random)

    async def nonces(self) -> Nonces:
        """Returns fresh nonces (OpenID4VCI 1.0 §7)."""
        now = self.clock()
        c_nonces, dpop_nonces = await self.epochs.c_nonces(now), await self.epochs.dpop_nonces(now)
        return Nonces(c_nonces.create(now, random=self.random), dpop_nonces.create(now, random=self.random))

    async def dpop_nonce(self) -> str:
        """Returns a fresh nonce for a DPoP proof."""
        return (await self.nonces()).dpop_nonce

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
                keys=ring.published(), enc_values=ENC_VALUES, required=required, signed=True
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
