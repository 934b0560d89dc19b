"""The keys that live for an epoch: those that requests are encrypted to, and those that make nonces.

Whoever gets a private key later can open every request that was encrypted to it and recorded. So each is
destroyed soon: a request key is published for one epoch, works for as long after it as wallets may still use
the old metadata, and is then deleted from the database and from memory. All processes on one database share
the keys. Those of the next epoch are made one epoch ahead, so that a process whose clock is behind can open
what was encrypted to them.
"""

import secrets
from collections.abc import Mapping

import msgspec

from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey, Curve
from safeconduct.encoding import b64
from safeconduct.ids import Random
from safeconduct.protocols.oauth.stateless import C_NONCE, DPOP_NONCE, StatelessNonces
from safeconduct.services.issuer.key_store import StoredKey, rotate_keys
from safeconduct.settings import IssuerSettings
from safeconduct.storage import Database

CURVES: tuple[Curve, ...] = ("P-256", "X25519")
"""Request keys on offer, the one that every wallet can use first."""

_NONCE = "nonce"
_NONCE_KEY_BYTES = 32
_KID_BYTES = 9


class RequestKey(msgspec.Struct, frozen=True):
    """A key that requests are encrypted to, and until when it works."""

    epoch: int
    expires_at: int
    key: AgreementKey


class KeyRing(msgspec.Struct, frozen=True):
    """The keys at hand in one epoch; each may expire while the ring is in use."""

    epoch: int
    request_keys: tuple[RequestKey, ...]
    nonce_secrets: tuple[StoredKey, ...]

    def __repr__(self) -> str:
        return f"<KeyRing of epoch {self.epoch}>"

    def published(self) -> tuple[AgreementPublicKey, ...]:
        """Returns the public request keys of this epoch, in the order of `CURVES`."""
        current = [entry.key.public for entry in self.request_keys if entry.epoch == self.epoch]
        return tuple(sorted(current, key=lambda key: CURVES.index(key.curve)))

    def private(self, now: int) -> Mapping[str, AgreementKey]:
        """Returns the private request keys that may still be used, by `kid`."""
        return {entry.key.kid or "": entry.key for entry in self.request_keys if entry.expires_at > now}

    def nonce_keys(self, now: int) -> tuple[bytes, ...]:
        """Returns the keys of nonces, this epoch's first."""
        alive = [key for key in self.nonce_secrets if key.expires_at > now]
        return tuple(key.secret for key in sorted(alive, key=lambda key: key.epoch != self.epoch))


class Epochs:
    """Gives out the key ring of the present epoch, made or read from the database when it begins."""

    def __init__(
        self, database: Database, settings: IssuerSettings, *, random: Random = secrets.token_bytes
    ) -> None:
        self._database = database
        self._settings = settings
        self._random = random
        self._ring: KeyRing | None = None

    async def ring(self, now: int) -> KeyRing:
        """Returns the keys at hand at the second `now`."""
        epoch = now // self._settings.encryption_epoch
        if self._ring is None or self._ring.epoch != epoch:
            return await self.renew(now)
        return self._ring

    async def renew(self, now: int) -> KeyRing:
        """Destroys expired keys, makes missing ones, and forgets what the database no longer has."""
        epoch = now // self._settings.encryption_epoch
        fresh = [*self._fresh(epoch), *self._fresh(epoch + 1)]
        stored = await self._database.run(rotate_keys, self._settings.url, fresh, now=now)
        self._ring = _ring(epoch, stored)
        return self._ring

    async def c_nonces(self, now: int) -> StatelessNonces:
        """Returns the maker and judge of nonces for key proofs."""
        keys = (await self.ring(now)).nonce_keys(now)
        return StatelessNonces(keys, C_NONCE, self._settings.nonce_lifetime)

    async def dpop_nonces(self, now: int) -> StatelessNonces:
        """Returns the maker and judge of nonces for DPoP proofs."""
        keys = (await self.ring(now)).nonce_keys(now)
        return StatelessNonces(keys, DPOP_NONCE, self._settings.dpop_nonce_lifetime)

    def _fresh(self, epoch: int) -> list[StoredKey]:
        settings = self._settings
        end = (epoch + 1) * settings.encryption_epoch + settings.clock_skew
        request_keys = [
            self._stored(
                curve,
                epoch,
                secret=AgreementKey.generate(curve).to_raw(private=True),
                expires_at=end + settings.metadata_lifetime,
            )
            for curve in CURVES
        ]
        longest = max(settings.nonce_lifetime, settings.dpop_nonce_lifetime)
        nonce_key = self._stored(
            _NONCE, epoch, secret=self._random(_NONCE_KEY_BYTES), expires_at=end + longest
        )
        return [*request_keys, nonce_key]

    def _stored(self, kind: str, epoch: int, *, secret: bytes, expires_at: int) -> StoredKey:
        kid = b64.encode(self._random(_KID_BYTES))
        return StoredKey(kid=kid, kind=kind, epoch=epoch, secret=secret, expires_at=expires_at)


def _ring(epoch: int, stored: list[StoredKey]) -> KeyRing:
    request_keys = [
        RequestKey(key.epoch, key.expires_at, AgreementKey.from_raw(key.secret, curve, kid=key.kid))
        for key in stored
        for curve in CURVES
        if key.kind == curve
    ]
    return KeyRing(epoch, tuple(request_keys), tuple(key for key in stored if key.kind == _NONCE))
