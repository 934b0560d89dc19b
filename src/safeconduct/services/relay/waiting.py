"""Readers that wait for news of a mailbox: woken by this process at once, by another within a second."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from safeconduct import limits


class Bell:
    """What one reader waits for. reader: digest of its claim. known: the sequence that it has seen last."""

    def __init__(self, reader: bytes, known: int) -> None:
        self.reader = reader
        self.known = known
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the reader, or keep it from going to sleep."""
        self._rung.set()

    def hush(self) -> None:
        """Begin anew; to be called before the reader looks."""
        self._rung.clear()

    async def heard(self, seconds: float) -> None:
        """Return when it is rung, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            pass


class Waiting:
    """Who waits at which mailbox, in this process. Mailboxes are known by their 16 bytes."""

    def __init__(self) -> None:
        self._bells: dict[bytes, set[Bell]] = {}
        self._count = 0

    @contextmanager
    def listening(
        self, mailbox: bytes, *, reader: bytes, known: int, seconds: int
    ) -> Iterator[tuple[Bell, int]]:
        """Give a bell, and the seconds that may be waited.

        They are 0 while `limits.LONG_POLLS` others do, or the same reader `limits.LONG_POLLS_OF_PARTY` times.
        """
        bell = Bell(reader, known)
        bells = self._bells.setdefault(mailbox, set())
        own = sum(other.reader == reader for other in bells)
        admitted = self._count < limits.LONG_POLLS and own < limits.LONG_POLLS_OF_PARTY
        granted = seconds if admitted else 0
        self._count += 1
        bells.add(bell)
        try:
            yield bell, granted
        finally:
            self._count -= 1
            bells.discard(bell)
            if not bells:
                del self._bells[mailbox]

    def wake(self, mailbox: bytes) -> None:
        """Wake all who wait at a mailbox."""
        for bell in self._bells.get(mailbox, ()):
            bell.ring()

    @property
    def mailboxes(self) -> list[bytes]:
        """Where somebody waits."""
        return list(self._bells)

    def compare(self, mailbox: bytes, sequence: int | None) -> None:
        """Wake those who know another sequence. sequence: of the mailbox; None if it is gone."""
        for bell in self._bells.get(mailbox, ()):
            if bell.known != sequence:
                bell.ring()
