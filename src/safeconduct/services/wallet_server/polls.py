"""How many wallets may wait for news at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from safeconduct import limits


class Polls:
    """Counts those who wait in this process."""

    def __init__(self) -> None:
        self._waiting = 0

    @contextmanager
    def admitted(self, wait: float) -> Iterator[float]:
        """Give the seconds that a wallet may wait: as asked; 0 while `limits.LONG_POLLS` others do."""
        if wait <= 0 or self._waiting >= limits.LONG_POLLS:
            yield 0
            return
        self._waiting += 1
        try:
            yield wait
        finally:
            self._waiting -= 1
