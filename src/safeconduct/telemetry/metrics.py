"""Counts and durations for Prometheus, by route template: labels never hold a peer's text."""

from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_1_0_0

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one service, in a registry of its own (`registry`); services add theirs to it."""

    def __init__(self, *, shared: Path | None = None) -> None:
        """shared: the folder where the processes of the service count together.

        It is for a process in which PROMETHEUS_MULTIPROC_DIR named it before this was imported.
        """
        self._shared = shared
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "safeconduct_http_requests_total",
            "Requests answered.",
            ["route", "method", "status", "code"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "safeconduct_http_request_seconds",
            "Time to answer a request.",
            ["route"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._found: dict[tuple[str, str, int, str], tuple[Counter, Histogram]] = {}
        self._dropped = Counter(
            "safeconduct_log_fields_dropped_total",
            "Fields kept out of the log, because they are not on its allow-list.",
            registry=self.registry,
        )

    def request(self, *, route: str, method: str, status: int, code: str, seconds: float) -> None:
        """Count an answered request. route: the template; code: the error's, or ""."""
        labels = (route, method, status, code)
        counters = self._found.get(labels)
        if counters is None:
            counters = self._found[labels] = (
                self._requests.labels(route, method, str(status), code),
                self._seconds.labels(route),
            )
        counters[0].inc()
        counters[1].observe(seconds)

    def fields_dropped(self, count: int) -> None:
        """Count fields that the log refused."""
        self._dropped.inc(count)

    def render(self) -> bytes:
        """All metrics in Prometheus's text format (CONTENT_TYPE)."""
        if self._shared is None:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(together)
