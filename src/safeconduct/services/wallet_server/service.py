"""The wallet server's flow: it passes sealed requests on, and answers back when the wallet comes for them.

It sees the sealed request, the wallet's `Authorization` and `DPoP` headers, and the answer's status. Token
requests, offers, codes, nonces and notifications never come here. Of a request it stores nothing; of an
answer, what the wallet has yet to fetch. Sessions are anonymous, and good for as long as a wallet wants to be
one and the same to the server.

It could put a request of its own under the wallet's headers; the issuer refuses that, because a request must
name a credential identifier that only the wallet knows. It could answer falsely; the wallet notices, because
it takes keys and nonces from the issuer itself.
"""

import hashlib
import re
import secrets

import msgspec

from safeconduct import limits
from safeconduct.clock import Clock
from safeconduct.encoding import b64
from safeconduct.errors import Malformed
from safeconduct.ids import Random
from safeconduct.net.fetch import Fetcher
from safeconduct.services.wallet_server import store
from safeconduct.services.wallet_server.allow_list import AllowList
from safeconduct.services.wallet_server.forwarding import Ended, Forwarding, Pending
from safeconduct.services.wallet_server.issuers import Document, Issuers
from safeconduct.services.wallet_server.line import Errand, Lines
from safeconduct.services.wallet_server.reliability import Reliability, Summary
from safeconduct.services.wallet_server.sessions import (
    EPOCH_SECONDS,
    KEY_BYTES,
    Opened,
    Seal,
    Session,
    delivery_id,
)
from safeconduct.services.wallet_server.wakeups import Due, Wakeups, Wish
from safeconduct.settings import SettingsError, WalletServerSettings
from safeconduct.storage import Database, StorageUnavailable
from safeconduct.storage.erasure import erase_traces
from safeconduct.telemetry import Telemetry
from safeconduct.web.quota import Quota
from safeconduct.web.rate_limit import RateLimit

GRACE_SECONDS = 5.0
"""How long exchanges under way may take when the service stops."""

_IDEMPOTENCY_KEY = re.compile(f'"?([A-Za-z0-9._~-]{{16,{limits.IDEMPOTENCY_KEY_CHARS}}})"?')


class Wishes(msgspec.Struct, frozen=True):
    """How a wallet wants its request treated. wait: seconds until a delivery is promised; None: as usual."""

    idempotency_key: str | None = None
    wait: float | None = None

    def __repr__(self) -> str:
        return "<Wishes>"


class Reply(msgspec.Struct, frozen=True):
    """An answer for a wallet. ticket: for a wake-up, if the issuer deferred the credential."""

    ended: Ended
    ticket: str | None

    def __repr__(self) -> str:
        return "<Reply>"


class WalletServer:
    """Forwards for wallets that have a session."""

    def __init__(
        self,
        *,
        settings: WalletServerSettings,
        allow_list: AllowList,
        database: Database,
        fetcher: Fetcher,
        pusher: Fetcher,
        clock: Clock,
        telemetry: Telemetry,
        random: Random = secrets.token_bytes,
    ) -> None:
        self.settings = settings
        self.allow_list = allow_list
        self.reliability = Reliability(
            database=database, clock=clock, telemetry=telemetry, threshold=settings.small_counts
        )
        self.wakeups = Wakeups(
            settings=settings, database=database, fetcher=pusher, clock=clock, telemetry=telemetry
        )
        self._issuers = Issuers(fetcher=fetcher, clock=clock)
        self._forwarding = Forwarding(
            settings=settings,
            database=database,
            lines=Lines(settings=settings, issuers=self._issuers, fetcher=fetcher),
            reliability=self.reliability,
            clock=clock,
            telemetry=telemetry,
        )
        self._database = database
        self._clock = clock
        self._random = random
        self._log = telemetry.log
        self._seal = Seal(random=random)
        self._ended = Quota()
        self._openings = RateLimit(per_second=settings.global_rate, burst=settings.global_rate)
        self._everybody = RateLimit(per_second=settings.global_rate, burst=settings.global_rate)
        self._each = RateLimit(per_second=settings.session_rate / 60, burst=settings.session_rate)

    async def begin_session(self) -> Opened:
        """Give a wallet a session of its own; nothing is stored. Raises RateLimited."""
        self._openings.take()
        now = self._clock()
        await self._have_key(now)
        session = self._seal.begin(now=now, lifetime=self.settings.session_lifetime)
        return self._seal.token(session, now=now, lifetime=self.settings.session_token_lifetime)

    async def renew_session(self, token: str) -> Opened:
        """Give a wallet another token of its session. Raises SessionUnknown, RateLimited."""
        session = self.session(token)
        await self._database.run(store.check_session, session.owner)
        now = self._clock()
        await self._have_key(now)
        return self._seal.token(session, now=now, lifetime=self.settings.session_token_lifetime)

    def session(self, token: str | None) -> Session:
        """Return the session of a token, and count a request of it. Raises SessionUnknown, RateLimited."""
        session = self._seal.read(token, now=self._clock())
        self._each.take(session.owner)
        self._everybody.take()
        return session

    async def end_session(self, session: Session) -> None:
        """Delete all that is kept for a session, and take its tokens no more."""
        remember = not self._ended.is_full
        self._ended.count(1)
        await self._database.run(store.end_session, session.owner, expires_at=session.ends, remember=remember)

    async def forward(self, session: Session, errand: Errand, wishes: Wishes) -> Reply | Pending:
        """Pass a sealed request to an allowed issuer, and its answer back if it comes in time.

        Raises Undelivered, SessionUnknown, SessionFull, StorageFull, IdempotencyKeyReused.
        """
        key = wishes.idempotency_key
        result = await self._forwarding.forward(
            session,
            errand,
            id_=delivery_id(session, key) if key else b64.encode(self._random(32)),
            keyed=key is not None,
            request=_digest(errand),
            wait=self.settings.patience if wishes.wait is None else wishes.wait,
        )
        return self._reply(session, result)

    async def read_delivery(self, session: Session, id_: str, *, wait: float) -> Reply | Pending:
        """Return the answer of a delivery. Raises Undelivered, SessionUnknown, DeliveryUnknown."""
        return self._reply(session, await self._forwarding.read(session, id_, wait=wait))

    async def drop_delivery(self, session: Session, id_: str) -> None:
        """Delete a delivery. Raises SessionUnknown."""
        await self._forwarding.drop(session, id_)

    async def put_wakeup(self, session: Session, wish: Wish) -> None:
        """Keep a wake-up. Raises IssuerNotAllowed, TicketRefused, SessionUnknown, SessionFull."""
        self.allow_list.check(wish.issuer)
        self._seal.check_ticket(wish.ticket, session, wish.issuer)
        await self.wakeups.put(session, wish)

    async def take_wakeups(self, session: Session, *, wait: float) -> Due:
        """Hand out the wake-ups that are due. Raises SessionUnknown."""
        return await self.wakeups.take(session, wait=wait)

    async def metadata(self, issuer: str, *, signed: bool) -> Document:
        """Return an allowed issuer's metadata, unverified.

        Raises RateLimited, IssuerNotAllowed, IssuerUnusable, MetadataUnsigned.
        """
        self._everybody.take()
        return await self._issuers.document(self.allow_list.check(issuer), signed=signed)

    async def summary(self, *, hours: int) -> Summary:
        """Return counts of the hours that are over."""
        return await self.reliability.summary(hours=hours)

    async def sweep(self) -> None:
        """Delete what has expired, for good; take in what changed in the list of issuers and the keys."""
        now = self._clock()
        await self._refresh_keys(now)
        self._reload_issuers()
        swept = await self._database.run(
            store.sweep,
            now=now,
            stale_before=self._forwarding.stale_before,
            outcomes_since=now - self.settings.record_lifetime,
            keep=self.settings.delivery_lifetime,
        )
        for issuer, number in swept.unfetched:
            self.reliability.count_unfetched(issuer, number)
        self._forwarding.recount(swept.stored_bytes)
        self._ended.recount(swept.ended_sessions)
        await erase_traces(self._database)

    async def close(self) -> None:
        """Let exchanges end, and keep their outcomes and the counts."""
        await self._forwarding.close(grace=GRACE_SECONDS)
        try:
            await self.reliability.keep()
        except StorageUnavailable as error:
            self._log.failure(error, event="counts_lost")

    def _reply(self, session: Session, result: Ended | Pending) -> Reply | Pending:
        if isinstance(result, Pending):
            return result
        deferred = result.answer.sealed and result.answer.status == 202
        ticket = self._seal.ticket(session, result.issuer, now=self._clock()) if deferred else None
        return Reply(result, ticket)

    def _reload_issuers(self) -> None:
        try:
            self.allow_list.reload()
        except SettingsError:
            self._log.warning("issuers_file_unusable")

    async def _have_key(self, now: int) -> None:
        if now // EPOCH_SECONDS not in self._seal.keys:
            await self._refresh_keys(now)

    async def _refresh_keys(self, now: int) -> None:
        """Keys are there a day before they are used, so that every process has them in time."""
        epoch = now // EPOCH_SECONDS
        self._seal.keys = await self._database.run(
            store.refresh_keys, (epoch, epoch + 1), self._make_key, now=now
        )

    def _make_key(self, epoch: int) -> tuple[bytes, int]:
        return self._random(KEY_BYTES), (epoch + 1) * EPOCH_SECONDS + self.settings.session_lifetime


def check_idempotency_key(value: str | None) -> str | None:
    """Return the key of an `Idempotency-Key` header, with or without quotes around it.

    Raises Malformed "idempotency_key_malformed".
    """
    if value is None:
        return None
    key = _IDEMPOTENCY_KEY.fullmatch(value)
    if key is None:
        raise Malformed(
            "idempotency_key_malformed",
            "An idempotency key has 16 to 128 letters, digits and characters of `._~-`.",
        )
    return key[1]


def _digest(errand: Errand) -> bytes:
    """Over what an idempotency key stands for: not the proof, which is another one each time."""
    hashed = hashlib.sha256()
    for part in (errand.kind.encode(), errand.issuer.encode(), errand.sealed):
        hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.digest()
