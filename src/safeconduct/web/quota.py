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
    """Counts rows or bytes between two looks at the database; others' count from the next look on."""

    def __init__(self, most: int | None = None) -> None:
        """most: `limits.STRANGERS_ROWS` unless given."""
        self._most = most
        self._kept = 0

    @property
    def is_full(self) -> bool:
        """Whether there is room for nothing more."""
        return self._kept >= (limits.STRANGERS_ROWS if self._most is None else self._most)

    def take(self) -> None:
        """Count one row more. Raises TooMuchOpen "too_much_open"."""
        if self.is_full:
            raise TooMuchOpen("too_much_open", "Too much is open here already; try again later.")
        self._kept += 1

    def count(self, amount: int) -> None:
        """Count what was kept anyway."""
        self._kept += amount

    def recount(self, kept: int) -> None:
        """Go on from what the database holds."""
        self._kept = kept
