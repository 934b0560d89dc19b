"""One exchange with an issuer: connections are tried again with back-off, what was sent never is.

Nothing of the request is stored: token, proof and sealed body live in this process's memory, and only until
the exchange ends.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Literal

import httpcore2
import httpx2
import msgspec

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import Fetcher, Response, TooSlow, Unreachable
from safeconduct.services.wallet_server import outcomes, shims
from safeconduct.services.wallet_server.breaker import Breaker
from safeconduct.services.wallet_server.envelope import SEALED, Credentials, is_sealed
from safeconduct.services.wallet_server.issuers import FAILING, Issuers, Kind
from safeconduct.services.wallet_server.outcomes import Answer, NeedsFreshProof, Undelivered
from safeconduct.settings import Shim, WalletServerSettings

PAUSE_SECONDS = 0.1
"""The first pause between attempts; each is twice as long as the one before, up to `LONGEST_PAUSE`."""

LONGEST_PAUSE = 4.0

_NEVER_CONNECTED = (
    httpcore2.ConnectError,
    httpcore2.ConnectTimeout,
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
)


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """A request to be brought to an issuer."""

    issuer: str
    kind: Kind
    credentials: Credentials
    sealed: bytes

    def __repr__(self) -> str:
        return f"<Errand {self.kind}>"


class Progress(msgspec.Struct):
    """How far an exchange is.

    sent: whether something of the request may have reached the issuer. handed_out: whether the wallet has had
    the outcome.
    """

    sent: bool = False
    handed_out: bool = False


class Lines:
    """The ways to all issuers, each with its own bounds."""

    def __init__(
        self,
        *,
        settings: WalletServerSettings,
        issuers: Issuers,
        fetcher: Fetcher,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._issuers = issuers
        self._fetcher = fetcher
        self._timer = timer
        self._lines: dict[str, _Line] = {}

    def check(self, issuer: str) -> None:
        """Raises IssuerPausing "issuer_resting", "issuer_busy" if the issuer can take no errand now."""
        line = self._line(issuer)
        line.breaker.check()
        if line.waiting >= self._settings.issuer_waiting:
            raise outcomes.issuer_busy()

    async def run(self, errand: Errand, progress: Progress) -> Answer:
        """Bring the request to the issuer and return its answer. Raises Undelivered."""
        line = self._line(errand.issuer)
        line.waiting += 1
        try:
            return await self._try_until_old(line, errand, progress)
        finally:
            line.waiting -= 1

    async def _try_until_old(self, line: "_Line", errand: Errand, progress: Progress) -> Answer:
        old_at = self._timer() + self._settings.proof_lifetime
        for pause in _pauses():
            try:
                endpoint = await self._issuers.endpoint(errand.issuer, errand.kind)
                async with line.slots:
                    if self._timer() >= old_at:
                        raise NeedsFreshProof
                    line.breaker.admit()
                    return await self._attempt(line, endpoint, errand, progress)
            except Undelivered as error:
                if error.code not in _TRIED_AGAIN:
                    raise
                outcome = error.outcome
            if self._timer() + pause >= old_at:
                raise NeedsFreshProof(outcome=outcome)
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def _attempt(self, line: "_Line", endpoint: str, errand: Errand, progress: Progress) -> Answer:
        """Send the request once, and tell the breaker how it went."""
        event: Literal["worked", "failed", "abandoned"] = "abandoned"
        progress.sent = True
        try:
            response = await self._post(endpoint, errand)
            event = "failed" if response.status in FAILING else "worked"
        except Unreachable as error:
            event = "failed"
            if isinstance(error.__cause__, _NEVER_CONNECTED):
                progress.sent = False
                raise outcomes.issuer_unreachable() from error
            if isinstance(error, TooSlow):
                raise outcomes.issuer_timeout() from error
            raise outcomes.outcome_unknown() from error
        except SafeconductError as error:
            if error.code in _NOTHING_SENT:
                progress.sent = False
                raise outcomes.issuer_metadata() from error
            raise outcomes.answer_unusable() from error
        finally:
            line.breaker.note(event)
        return _answer(response, self._settings.shims.get(errand.issuer, ()))

    async def _post(self, endpoint: str, errand: Errand) -> Response:
        chosen = self._settings.shims.get(errand.issuer, ())
        headers = {
            "Authorization": errand.credentials.authorization,
            "DPoP": errand.credentials.dpop,
            "Content-Type": shims.request_media_type(chosen),
            "Accept": shims.accepted_media_types(chosen),
        }
        return await self._fetcher.request(
            "POST", endpoint, headers=headers, content=errand.sealed, max_bytes=self._settings.response_bytes
        )

    def _line(self, issuer: str) -> "_Line":
        line = self._lines.get(issuer)
        if line is None:
            line = self._lines[issuer] = _Line(self._settings, self._timer)
        return line


_TRIED_AGAIN = frozenset({"issuer_unreachable", "issuer_resting"})
_NOTHING_SENT = frozenset(
    {"fetch_address_refused", "fetch_insecure", "fetch_url_invalid", "fetch_header_invalid"}
)


class _Line:
    """One issuer's: how many errands wait, how many may be on their way at once, and whether it rests."""

    def __init__(self, settings: WalletServerSettings, timer: Callable[[], float]) -> None:
        self.waiting = 0
        self.slots = asyncio.Semaphore(settings.issuer_concurrency)
        self.breaker = Breaker(
            failures=settings.breaker_failures, seconds=settings.breaker_seconds, timer=timer
        )


def _pauses() -> Iterator[float]:
    pause = PAUSE_SECONDS
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)


def _answer(response: Response, chosen: Collection[Shim]) -> Answer:
    """Return what may be passed on: a sealed 200 or 202, or an error in JSON or without a body (RFC 6750)."""
    sealed = is_sealed(response.body)
    head = shims.applied(
        shims.Head(response.status, response.content_type, sealed, not sealed and _is_error(response.body)),
        chosen,
    )
    if head.status in (200, 202) and head.sealed and head.media_type == SEALED:
        return Answer(head.status, _headers(response, SEALED), response.body, sealed=True)
    if 400 <= head.status < 600 and not response.body:
        return Answer(head.status, _headers(response, None), b"", sealed=False)
    if 400 <= head.status < 600 and head.error and head.media_type == shims.ERROR:
        return Answer(head.status, _headers(response, shims.ERROR), response.body, sealed=False)
    raise outcomes.answer_unusable(head.status)


def _is_error(body: bytes) -> bool:
    try:
        return "error" in json.loads_object(body, max_bytes=limits.ISSUER_ERROR_BYTES)
    except SafeconductError:
        return False


_PASSED_BACK = {"www-authenticate": limits.ISSUER_ERROR_BYTES, "dpop-nonce": limits.NONCE_CHARS}
"""Header fields of the issuer's answer that the wallet gets, with their greatest length."""


def _headers(response: Response, media_type: str | None) -> Mapping[str, str]:
    passed = {
        name: response.headers[name]
        for name, most in _PASSED_BACK.items()
        if len(response.headers.get(name, "")) <= most and name in response.headers
    }
    return passed if media_type is None else {"content-type": media_type, **passed}
