"""The wallet server's flow: it passes sealed credential requests on, and the answers back.

It sees the sealed request, the wallet's `Authorization` and `DPoP` headers, and the answer's status. Token
requests, offers, codes and nonces never come here. Of what passes it keeps nothing but a record for
reliability: issuer, time, size classes, status. The session of a wallet is kept apart, as a digest.

It could put a request of its own under the wallet's headers; the issuer refuses that, because a request must
name a credential identifier that only the wallet knows. It could answer falsely; the wallet notices, because
it takes keys and nonces from the issuer itself.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping

import httpcore2
import httpx2
import msgspec
from prometheus_client import Counter

from safeconduct.clock import Clock
from safeconduct.encoding import b64
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.ids import Random
from safeconduct.net.fetch import Fetcher, Response, TooSlow, Unreachable
from safeconduct.services.wallet_server import store
from safeconduct.services.wallet_server.envelope import SEALED, Credentials
from safeconduct.services.wallet_server.issuers import Issuers, IssuerUnusable
from safeconduct.settings import WalletServerSettings
from safeconduct.storage import Database, StorageUnavailable
from safeconduct.storage.erasure import erase_traces
from safeconduct.telemetry import Telemetry
from safeconduct.telemetry.fields import bucket
from safeconduct.web.quota import Quota

ATTEMPTS = 3
"""How often a connection is tried. What has been sent is never sent again: a proof is good once."""

PAUSE_SECONDS = 0.1

PASSED_BACK = ("content-type", "www-authenticate", "dpop-nonce")
"""Header fields of the issuer's answer that the wallet gets."""

_SESSION_BYTES = 32


class IssuerTimeout(Rejected):
    """The issuer did not answer in time."""

    oauth_error = "temporarily_unavailable"
    http_status = 504


class Session(msgspec.Struct, frozen=True):
    """A new session. token: what the wallet shows. expires_in: seconds."""

    token: str
    expires_in: int

    def __repr__(self) -> str:
        return f"<Session expires_in={self.expires_in}>"


class Forwarded(msgspec.Struct, frozen=True):
    """The issuer's answer: status, the header fields of `PASSED_BACK` that it has, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<Forwarded {self.status}>"


class WalletServer:
    """Forwards for wallets that have a session."""

    def __init__(
        self,
        *,
        settings: WalletServerSettings,
        database: Database,
        fetcher: Fetcher,
        clock: Clock,
        telemetry: Telemetry,
        random: Random = secrets.token_bytes,
    ) -> None:
        self.settings = settings
        self.issuers = Issuers(settings.issuers, fetcher=fetcher, clock=clock)
        self._database = database
        self._fetcher = fetcher
        self._clock = clock
        self._random = random
        self._quota = Quota()
        self._log = telemetry.log
        self._forwarded = Counter(
            "safeconduct_forwarded_total",
            "Requests forwarded to issuers.",
            ["status"],
            registry=telemetry.metrics.registry,
        )

    async def begin_session(self) -> Session:
        """Gives a wallet a session of its own, while there is room. Raises TooMuchOpen."""
        self._quota.take()
        token = b64.encode(self._random(_SESSION_BYTES))
        lifetime = self.settings.record_lifetime
        await self._database.run(store.add_session, _digest(token), expires_at=self._clock() + lifetime)
        return Session(token, lifetime)

    async def end_session(self, token: str | None) -> None:
        """Forgets a session."""
        await self._database.run(store.end_session, _digest(token or ""))

    async def check_session(self, token: str | None) -> None:
        """Raises SessionUnknown "session_unknown" unless the session is in force."""
        await self._database.run(store.check_session, _digest(token or ""), now=self._clock())

    async def forward(self, issuer: str, credentials: Credentials, sealed: bytes) -> Forwarded:
        """Passes a sealed request to the credential endpoint of an allowed issuer, and its answer back.

        Raises IssuerUnusable "issuer_metadata", "issuer_unreachable"; IssuerTimeout "issuer_timeout".
        """
        endpoint = await self.issuers.credential_endpoint(issuer)
        try:
            answer = await self._send(endpoint, credentials, sealed)
        except TooSlow as error:
            await self._record(issuer, len(sealed), 0, status=IssuerTimeout.http_status)
            raise IssuerTimeout("issuer_timeout", "The issuer did not answer in time.") from error
        except SafeconductError as error:
            await self._record(issuer, len(sealed), 0, status=IssuerUnusable.http_status)
            raise IssuerUnusable("issuer_unreachable", "The issuer gave no usable answer.") from error
        await self._record(issuer, len(sealed), len(answer.body), status=answer.status)
        headers = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
        return Forwarded(answer.status, headers, answer.body)

    async def records(self) -> list[store.Record]:
        """Returns the newest records."""
        return await self._database.run(store.list_records)

    async def sweep(self) -> None:
        """Deletes expired sessions and old records."""
        now = self._clock()
        since = now - self.settings.record_lifetime
        self._quota.recount(await self._database.run(store.sweep, now=now, keep_records_since=since))
        await erase_traces(self._database)

    async def _send(self, endpoint: str, credentials: Credentials, sealed: bytes) -> Response:
        headers = {
            "Authorization": credentials.authorization,
            "DPoP": credentials.dpop,
            "Content-Type": SEALED,
            "Accept": f"{SEALED}, application/json",
        }
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._post(endpoint, headers, sealed)
            except Unreachable as error:
                if not _never_connected(error):
                    raise
            await asyncio.sleep(PAUSE_SECONDS * attempt)
        return await self._post(endpoint, headers, sealed)

    async def _post(self, endpoint: str, headers: Mapping[str, str], sealed: bytes) -> Response:
        return await self._fetcher.request(
            "POST", endpoint, headers=headers, content=sealed, max_bytes=self.settings.response_bytes
        )

    async def _record(self, issuer: str, sent: int, received: int, *, status: int) -> None:
        self._forwarded.labels(str(status)).inc()
        record = store.Record(
            issuer=issuer,
            time=self._clock(),
            bytes_in=bucket(sent),
            bytes_out=bucket(received),
            status=status,
        )
        try:
            await self._database.run(store.add_record, record)
        except StorageUnavailable as error:
            # The answer may hold a credential that the issuer gives once.
            self._log.failure(error, event="record_lost")


def _never_connected(error: Unreachable) -> bool:
    """Whether not a byte of the request can have arrived."""
    return isinstance(error.__cause__, httpcore2.ConnectError | httpx2.ConnectError)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
