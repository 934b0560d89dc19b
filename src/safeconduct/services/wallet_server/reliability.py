"""How well issuers answer, counted so that no count can be about anybody.

Requests are counted in memory, and added now and then to counts of an hour. Each measure is counted by
itself: which duration went with which size is not kept. What management is shown are whole hours that are
over, rounded down to multiples of a threshold, so that rare events do not show, nor does a single one more.
"""

import math
from collections import Counter as Counts
from collections.abc import Mapping, Sequence

import msgspec
from prometheus_client import Counter, Histogram

from safeconduct.clock import Clock
from safeconduct.protocols.oauth.errors import parse_error
from safeconduct.services.wallet_server import store
from safeconduct.services.wallet_server.outcomes import Answer, Undelivered, error_outcome
from safeconduct.storage import Database
from safeconduct.telemetry import Telemetry
from safeconduct.telemetry.fields import bucket

HOUR = 3600

OUTCOMES = (
    "delivered",
    "issuer_error_4xx",
    "issuer_error_5xx",
    "unusable_answer",
    "timeout",
    "broken_off",
    "unreachable",
    "breaker_open",
    "busy",
    "expired_proof",
    "refused",
    "wallet_never_fetched",
)
"""Every way in which a request can end. The last one comes on top of "delivered"."""

ERRORS = frozenset(
    {
        "access_denied",
        "credential_request_denied",
        "insufficient_scope",
        "invalid_credential_request",
        "invalid_dpop_proof",
        "invalid_encryption_parameters",
        "invalid_nonce",
        "invalid_proof",
        "invalid_request",
        "invalid_token",
        "invalid_transaction_id",
        "server_error",
        "temporarily_unavailable",
        "unknown_credential_configuration",
        "unknown_credential_identifier",
        "use_dpop_nonce",
    }
)
"""Error codes of OAuth, DPoP and OpenID4VCI. Any other could be a mark that an issuer gives a wallet."""

SECONDS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0)
"""Upper ends of the classes of durations."""

HISTORY_HOURS = 168
"""Most hours in one summary."""


class Issuer(msgspec.Struct, frozen=True):
    """Counts of one issuer, by measure ("outcome", "error", "kind", "seconds", "bytes_in", "bytes_out")."""

    issuer: str
    counts: Mapping[str, Mapping[str, int]]


class Summary(msgspec.Struct, frozen=True):
    """Whole hours from `since` to `before`, in seconds. rounded_to: what every count is a multiple of."""

    since: int
    before: int
    rounded_to: int
    issuers: Sequence[Issuer]


class Reliability:
    """Counts, and tells what it counted."""

    def __init__(self, *, database: Database, clock: Clock, telemetry: Telemetry, threshold: int) -> None:
        self._database = database
        self._clock = clock
        self._threshold = threshold
        self._counts: Counts[tuple[str, int, str, str]] = Counts()
        registry = telemetry.metrics.registry
        self._forwarded = Counter(
            "safeconduct_forwarded_total",
            "Requests forwarded to issuers.",
            ["issuer", "kind", "outcome", "error"],
            registry=registry,
        )
        self._seconds = Histogram(
            "safeconduct_forward_seconds",
            "Time from taking a request to its outcome.",
            ["issuer"],
            registry=registry,
            buckets=SECONDS,
        )

    def count(
        self, issuer: str, kind: str, outcome: Answer | Undelivered, *, seconds: float, sent: int
    ) -> None:
        """Count a request. sent: bytes of the sealed request."""
        name, error = _classes(outcome)
        self._forwarded.labels(issuer, kind, name, error).inc()
        self._seconds.labels(issuer).observe(seconds)
        self._add(issuer, kind=kind, outcome=name, error=error)
        self._add(issuer, seconds=_duration(seconds), bytes_in=str(bucket(sent)))
        if isinstance(outcome, Answer):
            self._add(issuer, bytes_out=str(bucket(len(outcome.body))))

    def count_unfetched(self, issuer: str, number: int) -> None:
        """Count answers that no wallet came for."""
        self._forwarded.labels(issuer, "any", "wallet_never_fetched", "none").inc(number)
        self._counts[issuer, self._hour(), "outcome", "wallet_never_fetched"] += number

    async def keep(self) -> None:
        """Add what was counted since the last time to the database. Raises StorageUnavailable."""
        counts, self._counts = self._counts, Counts()
        try:
            if counts:
                await self._database.run(store.add_outcomes, counts)
        except BaseException:
            self._counts.update(counts)
            raise

    async def summary(self, *, hours: int) -> Summary:
        """Return the counts of so many hours that are over, at most `HISTORY_HOURS`."""
        before = self._hour()
        since = before - min(hours, HISTORY_HOURS) * HOUR
        rows = await self._database.run(store.sum_outcomes, since=since, before=before)
        issuers: dict[str, dict[str, dict[str, int]]] = {}
        for issuer, measure, value, count in rows:
            rounded = count - count % self._threshold
            if rounded:
                issuers.setdefault(issuer, {}).setdefault(measure, {})[value] = rounded
        return Summary(
            since, before, self._threshold, [Issuer(name, counts) for name, counts in issuers.items()]
        )

    def _hour(self) -> int:
        now = self._clock()
        return now - now % HOUR

    def _add(self, issuer: str, **values: str) -> None:
        for measure, value in values.items():
            self._counts[issuer, self._hour(), measure, value] += 1


def _classes(outcome: Answer | Undelivered) -> tuple[str, str]:
    """The class of an outcome, and of the error that it names."""
    if isinstance(outcome, Undelivered):
        return outcome.outcome, "none"
    if outcome.sealed:
        return "delivered", "none"
    error = parse_error(outcome.body, status=outcome.status).error
    return error_outcome(outcome.status), error if error in ERRORS else "other"


def _duration(seconds: float) -> str:
    return str(next((end for end in SECONDS if seconds <= end), math.inf))
