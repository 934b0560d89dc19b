"""Sparing an issuer that fails: after some failures in a row nothing is sent for a while, then one request.

The states are a table, as everywhere; each process has its own, in memory.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Literal

from safeconduct.services.wallet_server.outcomes import issuer_resting

State = Literal["closed", "open", "probing"]
Event = Literal["worked", "failed", "failed_too_often", "rested", "abandoned"]

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    ("closed", "worked"): "closed",
    ("closed", "failed"): "closed",
    ("closed", "failed_too_often"): "open",
    ("open", "rested"): "probing",
    ("open", "worked"): "closed",
    ("open", "failed"): "open",
    ("open", "failed_too_often"): "open",
    ("probing", "worked"): "closed",
    ("probing", "failed"): "open",
    ("probing", "failed_too_often"): "open",
    ("probing", "abandoned"): "open",
    ("closed", "abandoned"): "closed",
    ("open", "abandoned"): "open",
}
"""In state open, "worked" and "failed" come from requests that were under way when it opened."""


class Breaker:
    """One issuer's. failures: in a row, until it opens. seconds: until a request may probe again."""

    def __init__(self, *, failures: int, seconds: float, timer: Callable[[], float] = time.monotonic) -> None:
        self.state: State = "closed"
        self._failures = failures
        self._seconds = seconds
        self._timer = timer
        self._failed = 0
        self._opened = 0.0

    def check(self) -> None:
        """Raises IssuerPausing "issuer_resting" while nothing may be sent, with the time to wait."""
        if self.state == "probing":
            raise issuer_resting(1)
        if self.state == "open":
            left = self._opened + self._seconds - self._timer()
            if left > 0:
                raise issuer_resting(math.ceil(left))

    def admit(self) -> None:
        """As `check`, when something is about to be sent; `note` must follow."""
        self.check()
        if self.state == "open":
            self._go("rested")

    def note(self, event: Literal["worked", "failed", "abandoned"]) -> None:
        """Take in how it went."""
        if event == "worked":
            self._failed = 0
        elif event == "failed":
            self._failed += 1
        if event == "failed" and self._failed >= self._failures:
            self._go("failed_too_often")
        else:
            self._go(event)

    def _go(self, event: Event) -> None:
        before, self.state = self.state, TRANSITIONS[self.state, event]
        if self.state == "open" and before != "open":
            # An abandoned probe says nothing about the issuer: the next may go at once.
            self._opened = self._timer() - (self._seconds if event == "abandoned" else 0)
