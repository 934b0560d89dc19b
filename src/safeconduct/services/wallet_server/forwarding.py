"""Store and forward: each request goes out once, and its answer waits for the wallet if it has to.

An exchange with an issuer runs apart from the wallet's own request. If it ends in time, the wallet has the
answer at once; else it gets the name of a delivery to ask for. What is stored is the answer, never the
request: a process that dies loses what it had not sent, and its wallets come again.
"""

import asyncio
import time
from collections.abc import Callable

import msgspec

from safeconduct.clock import Clock
from safeconduct.services.wallet_server import outcomes, store
from safeconduct.services.wallet_server.line import Errand, Lines, Progress
from safeconduct.services.wallet_server.outcomes import Answer, NeedsFreshProof, Undelivered
from safeconduct.services.wallet_server.polls import Polls
from safeconduct.services.wallet_server.reliability import Reliability
from safeconduct.services.wallet_server.sessions import Session
from safeconduct.services.wallet_server.store import Delivery, NewDelivery, Room
from safeconduct.settings import WalletServerSettings
from safeconduct.storage import Database, StorageUnavailable
from safeconduct.telemetry import Telemetry
from safeconduct.web.quota import Quota, TooMuchOpen

POLL_SECONDS = 1.0
"""How often a delivery is looked up that another process works on, while its wallet waits."""

STORE_PAUSES = (0.2, 1.0, 3.0)
"""Pauses between attempts to store an answer while the database is out of reach."""

STALE_FACTOR = 2
"""A delivery that is pending for this many times the longest possible exchange was lost with its process."""


class StorageFull(TooMuchOpen):
    """So many sealed answers wait for their wallets that no more are taken on."""


class Ended(msgspec.Struct, frozen=True):
    """A delivery that is over. id: "" if it was not stored."""

    id: str
    issuer: str
    answer: Answer


class Pending(msgspec.Struct, frozen=True):
    """A delivery that is not."""

    id: str


class Forwarding:
    """Runs exchanges, and keeps their outcomes for the sessions that want them."""

    def __init__(
        self,
        *,
        settings: WalletServerSettings,
        database: Database,
        lines: Lines,
        reliability: Reliability,
        clock: Clock,
        telemetry: Telemetry,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._database = database
        self._lines = lines
        self._reliability = reliability
        self._clock = clock
        self._log = telemetry.log
        self._timer = timer
        self._stored = Quota(settings.stored_bytes)
        self._exchanges: set[asyncio.Task[Answer]] = set()
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._polls = Polls()

    async def forward(
        self, session: Session, errand: Errand, *, id_: str, keyed: bool, request: bytes, wait: float
    ) -> Ended | Pending:
        """Forward a request, or find what became of an equal one.

        id_: of its delivery. keyed: whether the wallet chose it by an idempotency key. request: SHA-256 over
        what the key stands for. wait: seconds until a delivery is promised instead of an answer.

        Raises Undelivered, SessionUnknown, IdempotencyKeyReused, SessionFull, StorageFull.
        """
        new = NewDelivery(
            id=id_,
            owner=session.owner,
            request=request,
            issuer=errand.issuer,
            expires_at=self._pending_until(),
        )
        stored = keyed or wait <= 0
        if stored:
            before = await self._claim(new)
            if before is not None:
                return await self.read(session, id_, wait=wait)
        else:
            await self._database.run(store.check_session, session.owner)
        try:
            self._lines.check(errand.issuer)
        except Undelivered as error:
            self._reliability.count(errand.issuer, errand.kind, error, seconds=0, sent=len(errand.sealed))
            if stored:
                await self._database.run(store.release_claim, id_)
            raise
        exchange, progress = self._begin(errand)
        if stored:
            self._keep(id_, exchange, progress)
        if wait <= 0:
            return Pending(id_)
        await asyncio.wait({exchange}, timeout=wait)
        if not exchange.done() and not stored:
            stored = await self._claim_late(new)
            if stored:
                self._keep(id_, exchange, progress)
            else:
                await asyncio.wait({exchange})
        if not exchange.done():
            return Pending(id_)
        progress.handed_out = True
        return Ended(id_ if stored else "", errand.issuer, _result(exchange, progress))

    async def read(self, session: Session, id_: str, *, wait: float) -> Ended | Pending:
        """Return a delivery's answer, after at most `wait` seconds.

        Raises Undelivered, SessionUnknown, DeliveryUnknown.
        """
        with self._polls.admitted(wait) as granted:
            until = self._timer() + granted
            while True:
                delivery = await self._read(session, id_)
                left = until - self._timer()
                if delivery.state != "pending" or left <= 0:
                    return _shown(delivery)
                await self._until_news(id_, left)

    async def drop(self, session: Session, id_: str) -> None:
        """Delete a delivery of the session. Raises SessionUnknown."""
        await self._database.run(store.drop_delivery, id_, session.owner)

    def recount(self, stored_bytes: int) -> None:
        """Go on from what the database holds."""
        self._stored.recount(stored_bytes)

    @property
    def stale_before(self) -> int:
        """Before this, a delivery that is still pending was made by a process that is gone."""
        return self._clock() - self._longest() * STALE_FACTOR

    async def close(self, *, grace: float) -> None:
        """Let exchanges end for some seconds; then give them up, and keep what became of them."""
        if self._exchanges:
            await asyncio.wait(set(self._exchanges), timeout=grace)
        for exchange in set(self._exchanges):
            exchange.cancel()
        if self._keepers:
            await asyncio.wait(set(self._keepers.values()), timeout=sum(STORE_PAUSES))

    def _begin(self, errand: Errand) -> tuple[asyncio.Task[Answer], Progress]:
        progress = Progress()
        begun = self._timer()
        exchange = asyncio.create_task(self._lines.run(errand, progress))
        self._exchanges.add(exchange)

        def count(ended: asyncio.Task[Answer]) -> None:
            self._exchanges.discard(ended)
            outcome = _outcome(ended, progress)
            if outcome is not None:
                seconds = self._timer() - begun
                self._reliability.count(
                    errand.issuer, errand.kind, outcome, seconds=seconds, sent=len(errand.sealed)
                )

        exchange.add_done_callback(count)
        return exchange, progress

    async def _claim(self, new: NewDelivery) -> Delivery | None:
        if self._stored.is_full:
            raise StorageFull("storage_full", "Too many answers wait for their wallets; try again later.")
        room = Room(self._settings.session_deliveries, self._settings.session_bytes)
        return await self._database.run(store.claim_delivery, new, room=room, now=self._clock())

    async def _claim_late(self, new: NewDelivery) -> bool:
        """Whether there is room for a delivery of a request that is on its way already."""
        try:
            await self._claim(new)
        except (StorageFull, store.SessionFull, StorageUnavailable):
            return False
        return True

    async def _read(self, session: Session, id_: str) -> Delivery:
        return await self._database.run(
            store.read_delivery,
            id_,
            session.owner,
            now=self._clock(),
            grace=self._settings.delivery_grace,
        )

    async def _until_news(self, id_: str, left: float) -> None:
        keeper = self._keepers.get(id_)
        if keeper is None:
            await asyncio.sleep(min(left, POLL_SECONDS))
        else:
            await asyncio.wait({keeper}, timeout=left)

    def _keep(self, id_: str, exchange: asyncio.Task[Answer], progress: Progress) -> None:
        keeper = asyncio.create_task(self._keep_outcome(id_, exchange, progress))
        self._keepers[id_] = keeper

        def forget(ended: asyncio.Task[None]) -> None:
            if self._keepers.get(id_) is ended:
                del self._keepers[id_]

        keeper.add_done_callback(forget)

    async def _keep_outcome(self, id_: str, exchange: asyncio.Task[Answer], progress: Progress) -> None:
        await asyncio.wait({exchange})
        await asyncio.sleep(0)  # the wallet's own request, if it still waits, takes the answer first
        outcome = _outcome(exchange, progress)
        if outcome is None:
            self._log.failure(exchange.exception() or AssertionError(), event="exchange_failed")
            outcome = outcomes.outcome_unknown()
        if isinstance(outcome, Answer) and outcome.sealed:
            self._stored.count(len(outcome.body))
        for pause in STORE_PAUSES:
            if await self._stored_now(id_, outcome, progress, event="delivery_delayed"):
                return
            await asyncio.sleep(pause)
        await self._stored_now(id_, outcome, progress, event="delivery_lost")

    async def _stored_now(
        self, id_: str, outcome: Answer | Undelivered, progress: Progress, *, event: str
    ) -> bool:
        try:
            await self._database.run(
                store.finish_delivery,
                id_,
                outcome if isinstance(outcome, Answer) else outcome.code,
                now=self._clock(),
                lifetime=self._settings.delivery_lifetime,
                handed_out=progress.handed_out,
            )
        except StorageUnavailable as error:
            self._log.failure(error, event=event)
            return False
        return True

    def _pending_until(self) -> int:
        return self._clock() + self._longest() * STALE_FACTOR + self._settings.delivery_lifetime

    def _longest(self) -> int:
        return self._settings.proof_lifetime + int(self._settings.forward_timeout) + 1


def _outcome(exchange: asyncio.Task[Answer], progress: Progress) -> Answer | Undelivered | None:
    """What became of an exchange that is over; None if it failed by an error of ours."""
    if exchange.cancelled():
        return outcomes.outcome_unknown() if progress.sent else NeedsFreshProof()
    error = exchange.exception()
    if error is None:
        return exchange.result()
    return error if isinstance(error, Undelivered) else None


def _result(exchange: asyncio.Task[Answer], progress: Progress) -> Answer:
    outcome = _outcome(exchange, progress)
    if isinstance(outcome, Answer):
        return outcome
    if outcome is not None:
        raise outcome
    return exchange.result()  # raises the error of ours


def _shown(delivery: Delivery) -> Ended | Pending:
    if delivery.state == "pending":
        return Pending(delivery.id)
    if delivery.answer is None:
        raise outcomes.problem(delivery.code)
    return Ended(delivery.id, delivery.issuer, delivery.answer)
