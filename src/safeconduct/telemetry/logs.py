"""JSON lines that tell nothing else: every field passes the allow-list, or is dropped and counted."""

import logging
import sys
from collections.abc import Callable
from pathlib import PurePath
from types import TracebackType
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from safeconduct.telemetry.fields import FIELDS, is_word

Level = Literal["debug", "info", "warning", "error", "off"]

_ALWAYS = ("event", "level", "time", "service")


class Log:
    """The log of one service. Events and fields are named in code; values of other shapes never come out."""

    def __init__(
        self,
        service: str,
        *,
        level: Level = "info",
        stream: TextIO | None = None,
        on_drop: Callable[[int], None] = lambda _count: None,
    ) -> None:
        """level: "off" writes nothing. on_drop: told how many fields a line lost.

        informs: whether `info` writes anything.
        """
        self.dropped = 0
        self.informs = level in ("debug", "info")
        self._on_drop = on_drop
        self._logger = structlog.wrap_logger(
            structlog.PrintLogger(stream or sys.stderr),
            processors=[
                self._keep_allowed,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True, key="time"),
                structlog.processors.JSONRenderer(sort_keys=True),
            ],
            wrapper_class=structlog.make_filtering_bound_logger("critical" if level == "off" else level),
            service=service,
        ).bind()

    def debug(self, event: str, **fields: object) -> None:
        """Log what helps to follow the program."""
        self._logger.debug(event, **fields)

    def info(self, event: str, **fields: object) -> None:
        """Log what happened as it should."""
        self._logger.info(event, **fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log what a person should look at some time."""
        self._logger.warning(event, **fields)

    def error(self, event: str, **fields: object) -> None:
        """Log what a person must look at."""
        self._logger.error(event, **fields)

    def failure(self, error: BaseException, *, event: str = "unexpected_error", **fields: object) -> None:
        """Log an exception by its type and place; its text and its locals stay out."""
        self._logger.error(event, error_type=type(error).__name__, error_at=_place(error), **fields)

    def _keep_allowed(self, _logger: WrappedLogger, _level: str, given: EventDict) -> EventDict:
        kept: dict[str, Any] = {}
        for name, value in given.items():
            if name == "event":
                kept["event"] = value if is_word(value) else "unnamed_event"
            elif name in FIELDS and FIELDS[name](value):
                kept[name] = value
        lost = len(given) - len(kept) + (kept["event"] != given["event"])
        if lost:
            kept["dropped"] = lost
            self.dropped += lost
            self._on_drop(lost)
        return kept


def divert_libraries(log: Log) -> None:
    """Let what libraries say through `logging` appear by library and level only: their texts hold values.

    Replaces the root logger's handlers, so it is for a process that is ours alone.
    """
    logging.root.handlers[:] = [_Diversion(log)]
    logging.root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


class _Diversion(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        source = record.name.partition(".")[0].lstrip("_")
        self._log.warning("library_message", code=source, state=record.levelname.lower())


def _place(error: BaseException) -> str:
    """Module and line where it was raised; the innermost one of ours when a library raised it."""
    frames = list(_frames(error.__traceback__))
    ours = [frame for frame in frames if frame.startswith("safeconduct.")]
    return (ours or frames or ["unknown:0"])[-1]


def _frames(traceback: TracebackType | None) -> list[str]:
    places = []
    while traceback is not None:
        frame = traceback.tb_frame
        module = frame.f_globals.get("__name__") or PurePath(frame.f_code.co_filename).stem
        places.append(f"{module}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return places
