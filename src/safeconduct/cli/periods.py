"""Times as people write them: how long from now, or a day."""

import re
from datetime import UTC, datetime

from safeconduct.cli.faults import WrongUse

_PERIOD = re.compile(r"([1-9][0-9]{0,8})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def seconds(option: str, text: str) -> int:
    """Read a length of time, such as 30m, 12h, 7d or 2w, as seconds. Raises WrongUse."""
    found = _PERIOD.fullmatch(text)
    if found is None:
        raise WrongUse(f"{option} wants a length of time, such as 30m, 12h, 7d or 2w")
    return int(found[1]) * _SECONDS[found[2]]


def moment(option: str, text: str, *, now: int) -> int:
    """Read an end: a length of time from now, or a date or time with its offset, as seconds since 1970.

    A date is the midnight in UTC with which it begins. Raises WrongUse.
    """
    if _PERIOD.fullmatch(text):
        return now + seconds(option, text)
    try:
        read = datetime.fromisoformat(text)
        if len(text) == len("2026-12-01"):
            read = read.replace(tzinfo=UTC)
        if read.tzinfo is not None and int(read.timestamp()) > now:
            return int(read.timestamp())
    except (ValueError, OverflowError):
        pass
    raise WrongUse(f"{option} wants a time to come: 7d, 2026-12-01 or 2026-12-01T18:00:00Z")
