"""Publishing anew while the service runs: the tree is brought up to what the issuer's database says."""

import asyncio
from collections.abc import Awaitable, Callable

from prometheus_client import Counter, Gauge

from safeconduct.clock import Clock
from safeconduct.errors import SafeconductError
from safeconduct.settings import SettingsError
from safeconduct.storage import StorageUnavailable
from safeconduct.telemetry import Telemetry

Publish = Callable[[], Awaitable[int]]
"""Brings the tree up to date, and returns how many files it has written."""


class Publication:
    """Publishes, one run at a time, and counts how it went."""

    def __init__(self, publish: Publish, *, telemetry: Telemetry, clock: Clock) -> None:
        self._publish = publish
        self._log = telemetry.log
        self._clock = clock
        self._turn = asyncio.Lock()
        registry = telemetry.metrics.registry
        self._runs = Counter(
            "safeconduct_status_publications_total",
            "Runs of publishing, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self._files = Counter(
            "safeconduct_status_files_written_total", "Files of the tree written.", registry=registry
        )
        self._last = Gauge(
            "safeconduct_status_published_seconds",
            "Unix time at which the tree was last known to be up to date.",
            registry=registry,
            multiprocess_mode="max",
        )

    async def now(self) -> int:
        """Publishes now; returns the number of files written, 0 if nothing had changed.

        Raises StorageUnavailable, OSError, SettingsError (a key file), and SafeconductErrors.
        """
        async with self._turn:
            try:
                written = await self._publish()
            except (StorageUnavailable, OSError, SettingsError, SafeconductError):
                self._runs.labels("failed").inc()
                raise
        self._runs.labels("changed" if written else "unchanged").inc()
        self._files.inc(written)
        self._last.set(self._clock())
        if written:
            self._log.info("status_published", count=written)
        return written

    async def again(self) -> None:
        """Publishes while the service runs: what goes wrong is logged, and the tree stays as it stands.

        A full disk or a broken key file must not end a service that still has files to give out.
        """
        try:
            await self.now()
        except (StorageUnavailable, OSError, SettingsError, SafeconductError) as error:
            self._log.failure(error, event="status_publication_failed")
