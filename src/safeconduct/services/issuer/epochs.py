"""The keys that live for an epoch: those that requests are encrypted to, and those that make nonces.

Whoever gets a private key later can open every request that was encrypted to it and recorded. So each is
destroyed soon: a request key is published for one epoch, works for as long after it as wallets may still use
the old metadata, and is then deleted from the database and from memory. All processes on one database share
the keys. Those of the next epoch are made one epoch ahead, so that a process whose clock is behind can open
what was encrypted to them. An operator may have fresh keys at any time: they are published once all processes
know them, and what is published then ends early.
"""

import secrets
from collections.abc import Mapping

import msgspec

from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey, Curve
from safeconduct.encoding import b64
from safeconduct.ids import Random
from safeconduct.protocols.oauth.stateless import C_NONCE, DPOP_NONCE, PRESENTATION_NONCE, StatelessNonces
from safeconduct.services.issuer.key_store import StoredKey, replace_keys, rotate_keys
from safeconduct.settings import IssuerSettings
from safeconduct.storage import Database

CURVES: tuple[Curve, ...] = ("P-256", "X25519")
"""Request keys on offer, the one that every wallet can use first."""

RING_SECONDS = 5
"""How old what a process knows of the keys may be."""

_LEAD_SECONDS = 2 * RING_SECONDS
"""From when keys are made on demand until they are published: every process knows them by then."""

_NONCE = "nonce"
_NONCE_KEY_BYTES = 32
_KID_BYTES = 9


class RequestKey(msgspec.Struct, frozen=True):
    """A key that requests are encrypted to, from when it may be published, and until when it works."""

    published_from: int
    expires_at: int
    key: AgreementKey


class Rotation(msgspec.Struct, frozen=True):
    """When keys made on demand are published, and when those before them are gone. Unix seconds."""

    published_at: int
    destroyed_at: int


class KeyRing(msgspec.Struct, frozen=True):
    """The keys at hand in one epoch; each may expire while the ring is in use."""

    epoch: int
    request_keys: tuple[RequestKey, ...]
    nonce_secrets: tuple[StoredKey, ...]

    def __repr__(self) -> str:
        return f"<KeyRing of epoch {self.epoch}>"

    def published(self, now: int) -> tuple[AgreementPublicKey, ...]:
        """Returns the newest public request key of each curve, in the order of `CURVES`."""
        begun = [entry for entry in self.request_keys if entry.published_from <= now < entry.expires_at]
        newest = {entry.key.curve: entry.key.public for entry in sorted(begun, key=_published_from)}
        return tuple(newest[curve] for curve in CURVES if curve in newest)

    def private(self, now: int) -> Mapping[str, AgreementKey]:
        """Returns the private request keys that may still be used, by `kid`."""
        return {entry.key.kid or "": entry.key for entry in self.request_keys if entry.expires_at > now}

    def nonce_keys(self, now: int) -> tuple[bytes, ...]:
        """Returns the keys of nonces, this epoch's first."""
        own = [key.secret for key in self.nonce_secrets if key.epoch == self.epoch and key.expires_at > now]
        return (
            *own,
            *[key.secret for key in self.nonce_secrets if key.epoch != self.epoch and key.expires_at > now],
        )


class Epochs:
    """Gives out the key ring of the present epoch, made or read from the database when it begins."""

    def __init__(
        self, database: Database, settings: IssuerSettings, *, random: Random = secrets.token_bytes
    ) -> None:
        self._database = database
        self._settings = settings
        self._random = random
        self._ring: KeyRing | None = None
        self._read_at = 0
        self._nonces: tuple[tuple[bytes, ...], StatelessNonces, StatelessNonces] | None = None

    async def ring(self, now: int) -> KeyRing:
        """Returns the keys at hand at the second `now`."""
        epoch = now // self._settings.encryption_epoch
        if self._ring is None or self._ring.epoch != epoch:
            return await self.renew(now)
        if not 0 <= now - self._read_at < RING_SECONDS:
            self._read_at = now  # requests meanwhile go on with what is known
            return await self.renew(now)
        return self._ring

    async def renew(self, now: int) -> KeyRing:
        """Destroys expired keys, makes missing ones, and forgets what the database no longer has."""
        epoch = now // self._settings.encryption_epoch
        fresh = [*self._fresh(epoch), *self._fresh(epoch + 1)]
        stored = await self._database.run(rotate_keys, self._settings.url, fresh, now=now)
        self._ring, self._read_at, self._nonces = self._ring_of(epoch, stored), now, None
        return self._ring

    async def rotate_now(self, now: int) -> Rotation:
        """Makes fresh request keys, which are published soon, and ends those that are known till then early.

        The keys of the next epoch are made anew as well: whoever has seen the database knows them.
        """
        settings = self._settings
        published_at = now + _LEAD_SECONDS
        boundary = (now // settings.encryption_epoch + 1) * settings.encryption_epoch
        if boundary <= published_at + settings.clock_skew:
            # Some process may publish the next epoch's keys already: they must be followed, not replaced.
            published_at = max(published_at, boundary + 1)
        epoch = published_at // settings.encryption_epoch
        destroyed_at = published_at + settings.clock_skew + settings.metadata_lifetime
        await self._database.run(
            replace_keys,
            settings.url,
            [*self._fresh_request_keys(epoch, as_epoch=-published_at), *self._fresh_request_keys(epoch + 1)],
            kinds=CURVES,
            last_epoch=epoch,
            expires_at=destroyed_at,
        )
        await self.renew(now)
        return Rotation(published_at, destroyed_at)

    async def c_nonces(self, now: int) -> StatelessNonces:
        """Returns the maker and judge of nonces for key proofs."""
        return (await self.nonces(now))[0]

    async def dpop_nonces(self, now: int) -> StatelessNonces:
        """Returns the maker and judge of nonces for DPoP proofs."""
        return (await self.nonces(now))[1]

    async def presentation_nonces(self, now: int) -> StatelessNonces:
        """Returns the maker and judge of nonces for what holders show to the issuer itself."""
        keys = (await self.ring(now)).nonce_keys(now)
        return StatelessNonces(keys, PRESENTATION_NONCE, self._settings.nonce_lifetime)

    async def nonces(self, now: int) -> tuple[StatelessNonces, StatelessNonces]:
        """Returns the makers and judges of nonces for key proofs and for DPoP proofs."""
        keys = (await self.ring(now)).nonce_keys(now)
        if self._nonces is None or self._nonces[0] != keys:
            self._nonces = (
                keys,
                StatelessNonces(keys, C_NONCE, self._settings.nonce_lifetime),
                StatelessNonces(keys, DPOP_NONCE, self._settings.dpop_nonce_lifetime),
            )
        return self._nonces[1:]

    def _fresh(self, epoch: int) -> list[StoredKey]:
        settings = self._settings
        longest = max(settings.nonce_lifetime, settings.dpop_nonce_lifetime)
        nonce_key = self._stored(
            _NONCE, epoch, secret=self._random(_NONCE_KEY_BYTES), expires_at=self._end(epoch) + longest
        )
        return [*self._fresh_request_keys(epoch), nonce_key]

    def _fresh_request_keys(self, epoch: int, *, as_epoch: int | None = None) -> list[StoredKey]:
        """as_epoch: minus the second from which keys are published that do not begin with an epoch."""
        return [
            self._stored(
                curve,
                epoch if as_epoch is None else as_epoch,
                secret=AgreementKey.generate(curve).to_raw(private=True),
                expires_at=self._end(epoch) + self._settings.metadata_lifetime,
            )
            for curve in CURVES
        ]

    def _end(self, epoch: int) -> int:
        return (epoch + 1) * self._settings.encryption_epoch + self._settings.clock_skew

    def _stored(self, kind: str, epoch: int, *, secret: bytes, expires_at: int) -> StoredKey:
        kid = b64.encode(self._random(_KID_BYTES))
        return StoredKey(kid=kid, kind=kind, epoch=epoch, secret=secret, expires_at=expires_at)

    def _ring_of(self, epoch: int, stored: list[StoredKey]) -> KeyRing:
        request_keys = [
            RequestKey(
                -key.epoch if key.epoch < 0 else key.epoch * self._settings.encryption_epoch,
                key.expires_at,
                AgreementKey.from_raw(key.secret, curve, kid=key.kid),
            )
            for key in stored
            for curve in CURVES
            if key.kind == curve
        ]
        return KeyRing(epoch, tuple(request_keys), tuple(key for key in stored if key.kind == _NONCE))


def _published_from(entry: RequestKey) -> int:
    return entry.published_from
