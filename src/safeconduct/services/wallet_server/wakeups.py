"""Wake-ups: the server cannot poll for a deferred credential, so it tells the wallet when to.

All that it learns is that a session waits for an issuer, which it saw when it passed the answer on. Only a
session with such an answer may register one, so strangers cannot fill the table.
"""

import asyncio
import hmac
import time
from collections.abc import Callable
from typing import Annotated

import msgspec

from safeconduct import limits
from safeconduct.clock import Clock
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import Fetcher
from safeconduct.services.wallet_server import store
from safeconduct.services.wallet_server.polls import Polls
from safeconduct.services.wallet_server.sessions import Session
from safeconduct.settings import WalletServerSettings
from safeconduct.storage import Database
from safeconduct.telemetry import Telemetry

POLL_SECONDS = 5.0
"""How often a waiting wallet's wake-ups are looked up, in case that it registers one meanwhile."""

PUSH_AGAIN = (30, 300, 3600)
"""Seconds between tries to tell the gateway."""

PUSHES = 100
"""Most wake-ups that are pushed in one round."""


class Wish(msgspec.Struct, frozen=True):
    """What a wallet asks for. after: seconds. ticket: from the issuer's answer. handle: for the gateway."""

    issuer: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.URL_CHARS)]
    after: Annotated[int, msgspec.Meta(ge=1, le=limits.WAKEUP_SECONDS)]
    ticket: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]
    handle: Annotated[str, msgspec.Meta(pattern=r"^(?:[A-Za-z0-9_-]{16,128})?\Z")] = ""

    def __repr__(self) -> str:
        return "<Wish>"


class Due(msgspec.Struct, frozen=True):
    """Issuers to ask now. next: seconds until the next one, None if there is none."""

    issuers: list[str]
    next: int | None


class Wakeups:
    """Keeps wake-ups, hands them out, and tells the operator's push gateway."""

    def __init__(
        self,
        *,
        settings: WalletServerSettings,
        database: Database,
        fetcher: Fetcher,
        clock: Clock,
        telemetry: Telemetry,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._database = database
        self._fetcher = fetcher
        self._clock = clock
        self._log = telemetry.log
        self._timer = timer
        self._polls = Polls()

    async def put(self, session: Session, wish: Wish) -> None:
        """Keep a wake-up, in the place of an older one for the same issuer. Raises SessionFull."""
        due_at = self._clock() + wish.after
        await self._database.run(
            store.put_wakeup,
            session.owner,
            wish.issuer,
            due_at=due_at,
            expires_at=session.ends,
            handle=wish.handle if self._settings.wake_url else "",
        )

    async def take(self, session: Session, *, wait: float) -> Due:
        """Hand out what is due, after at most `wait` seconds if nothing is yet."""
        with self._polls.admitted(wait) as granted:
            until = self._timer() + granted
            while True:
                now = self._clock()
                issuers, next_at = await self._database.run(store.take_wakeups, session.owner, now=now)
                left = until - self._timer()
                if issuers or left <= 0:
                    return Due(issuers, None if next_at is None else next_at - now)
                soon = POLL_SECONDS if next_at is None else min(POLL_SECONDS, next_at - now)
                await asyncio.sleep(min(left, soon))

    async def drop(self, session: Session) -> None:
        """Forget all wake-ups of the session."""
        await self._database.run(store.drop_wakeups, session.owner)

    async def push(self) -> None:
        """Tell the gateway of wake-ups that are due; what it does not take is tried again later."""
        if not self._settings.wake_url:
            return
        taken = await self._database.run(
            store.take_pushes, now=self._clock(), again_after=PUSH_AGAIN, most=PUSHES
        )
        for push in taken:
            if await self._tell(push.handle):
                await self._database.run(store.forget_handle, push)

    async def _tell(self, handle: str) -> bool:
        secret = self._settings.wake_secret
        assert secret is not None  # the settings want it together with the URL
        body = json.dumps({"handle": handle})
        headers = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: signature(secret.reveal(), body, now=self._clock()),
        }
        try:
            answer = await self._fetcher.request(
                "POST", self._settings.wake_url, headers=headers, content=body, max_bytes=limits.FORM_BYTES
            )
        except SafeconductError as error:
            self._log.warning("wakeup_not_pushed", code=error.code)
            return False
        if not 200 <= answer.status < 300:
            self._log.warning("wakeup_not_pushed", status=answer.status)
            return False
        return True


SIGNATURE_HEADER = "Safeconduct-Signature"


def signature(secret: str, body: bytes, *, now: int) -> str:
    """Return the header by which the gateway knows a push: the time, and HMAC-SHA256 over time and body."""
    mac = hmac.digest(secret.encode(), b"%d." % now + body, "sha256")
    return f"t={now},v1={mac.hex()}"
