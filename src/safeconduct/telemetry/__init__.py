"""What operators may see: logs made of allowed fields only, and metrics by route template."""

import sys
from pathlib import Path
from typing import TextIO

import msgspec

from safeconduct.telemetry.logs import Level, Log
from safeconduct.telemetry.metrics import Metrics

__all__ = ["Log", "Metrics", "Telemetry"]


class Telemetry(msgspec.Struct, frozen=True):
    """The log and the metrics of one service."""

    service: str
    log: Log
    metrics: Metrics

    @classmethod
    def open(
        cls,
        service: str,
        *,
        level: Level = "info",
        stream: TextIO | None = None,
        shared: Path | None = None,
    ) -> "Telemetry":
        """Telemetry that logs to a stream (stderr unless given) from a level upwards.

        shared: the folder where the processes of the service count together, see `Metrics`.
        """
        metrics = Metrics(shared=shared)
        log = Log(service, level=level, stream=stream or sys.stderr, on_drop=metrics.fields_dropped)
        return cls(service, log, metrics)

    @classmethod
    def silent(cls, service: str) -> "Telemetry":
        """Telemetry that writes no log lines."""
        return cls.open(service, level="off")
