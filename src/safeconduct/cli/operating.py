"""What the commands share that run or ask services: settings, clocks, and what can go wrong around them."""

import asyncio
import os
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from safeconduct.cli.faults import WrongUse, printable
from safeconduct.settings import Settings, SettingsError, load
from safeconduct.storage import StorageUnavailable
from safeconduct.storage.migrations import MigrationError

Result = TypeVar("Result")


def clock() -> int:
    """Return the time in seconds since 1970."""
    return int(time.time())


def settings(config: str | None, overrides: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of this process.

    config: the file, if not the usual one. overrides: variables that win over those of the environment.
    Raises WrongUse with a line for each problem.
    """
    path = None if config is None else Path(config)
    try:
        return load(path, environ={**os.environ, **(overrides or {})})
    except SettingsError as error:
        raise WrongUse(_problems(error)) from None


def carry_out(work: Coroutine[Any, Any, Result]) -> Result:
    """Run asynchronous work to its end. Raises WrongUse for what the operator can mend, and as `work`."""
    try:
        return asyncio.run(work)
    except SettingsError as error:
        raise WrongUse(_problems(error)) from None
    except (StorageUnavailable, MigrationError) as error:
        raise WrongUse(f"the database cannot be used: {error}") from None
    except OSError as error:
        place = f"{printable(os.fsdecode(error.filename))}: " if error.filename else ""
        raise WrongUse(f"{place}{error.strerror or error}") from None


def _problems(error: SettingsError) -> str:
    return "\n".join(map(printable, error.problems))
