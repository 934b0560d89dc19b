"""A bound on what strangers make a service store, for requests that nothing has to be shown for."""

from collections.abc import Mapping

from safeconduct import limits
from safeconduct.errors import Rejected


class TooMuchOpen(Rejected):
    """Strangers have made the service keep as much as it will."""

    oauth_error = "temporarily_unavailable"
    http_status = 503
    http_headers: Mapping[str, str] = {"Retry-After": "60"}


class Quota:
    """Counts rows between two looks at the database; other processes' rows count from the next look on."""

    def __init__(self) -> None:
        self._rows = 0

    def take(self) -> None:
        """Count one row more. Raises TooMuchOpen "too_much_open"."""
        if self._rows >= limits.STRANGERS_ROWS:
            raise TooMuchOpen("too_much_open", "Too much is open here already; try again later.")
        self._rows += 1

    def recount(self, rows: int) -> None:
        """Go on from what the database holds."""
        self._rows = rows
