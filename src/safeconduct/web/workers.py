"""Several processes of one service that share its ports, and the parent that keeps them running.

The parent forks before anything is opened and does nothing but watch: it replaces a worker that died, a
little later each time, and at SIGTERM or SIGINT lets all of them finish. A worker learns from a pipe that its
parent is gone, and then finishes as well. POSIX only.
"""

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

PAUSES = (0.1, 0.5, 2.0, 5.0, 15.0, 30.0)
"""Seconds before a worker is replaced, the more often it died the longer."""

STEADY_SECONDS = 60.0
"""A worker that lived so long did not die of what its predecessor died of."""

STOP_SECONDS = 20.0
"""Time for all workers to finish; longer than a listener's own grace."""


class Worker:
    """This process, as one of several. group: what it shall do."""

    def __init__(self, group: str, *, lifeline: int, pipe: int) -> None:
        self.group = group
        self.lifeline = lifeline
        self._pipe = pipe

    def announce(self, line: str) -> None:
        """Tells the parent a line for people; with the first one, that this process is ready."""
        os.write(self._pipe, f"{line}\n".encode())


def supervise(
    groups: Mapping[str, int], *, announce: Callable[[str], None], replaced: Callable[[str, int], None]
) -> Worker:
    """Returns in each worker. In the parent it never returns: it raises SystemExit when all have ended.

    groups: how many workers of each. announce: told the lines of the first worker of each group.
    replaced: told a group, and the number of its worker's deaths in a row, when one is replaced.
    The status is 0 after a signal, else that of a worker which could not start.
    """
    parent = _Parent(groups, announce=announce, replaced=replaced)
    with _signals() as wakeup:
        worker = parent.run(wakeup)
    if worker is None:
        raise SystemExit(parent.status)
    return worker


class _Slot:
    """The place of one worker."""

    def __init__(self, group: str, *, first: bool) -> None:
        self.group = group
        self.first = first
        self.pid = 0
        self.pipe: int | None = None
        self.ready = False
        self.begun = 0.0
        self.deaths = 0
        self.due: float | None = 0.0 if first else None
        self.heard = b""


class _Parent:
    def __init__(
        self,
        groups: Mapping[str, int],
        *,
        announce: Callable[[str], None],
        replaced: Callable[[str, int], None],
    ) -> None:
        self.status = 0
        self._announce = announce
        self._replaced = replaced
        self._slots = [
            _Slot(group, first=number == 0) for group, count in groups.items() for number in range(count)
        ]
        self._lifeline = os.pipe()
        self._stop_by: float | None = None

    def run(self, wakeup: socket.socket) -> Worker | None:
        while self._stop_by is None or any(slot.pid for slot in self._slots):
            for slot in self._due():
                worker = self._start(slot)
                if worker is not None:
                    return worker
            self._wait(wakeup)
            self._hear()
            self._reap()
            if self._stop_by is not None and time.monotonic() > self._stop_by:
                self._signal(signal.SIGKILL)
        return None

    def _due(self) -> list[_Slot]:
        now = time.monotonic()
        waiting = [slot for slot in self._slots if not slot.pid and slot.due is not None]
        return [] if self._stop_by else [slot for slot in waiting if slot.due is not None and slot.due <= now]

    def _start(self, slot: _Slot) -> Worker | None:
        reading, writing = os.pipe()
        slot.ready, slot.begun, slot.due, slot.heard = False, time.monotonic(), None, b""
        sys.stdout.flush()
        sys.stderr.flush()
        slot.pid = os.fork()
        if slot.pid:
            os.close(writing)
            slot.pipe = reading
            return None
        for inherited in [reading, self._lifeline[1], *(one.pipe for one in self._slots if one.pipe)]:
            os.close(inherited)
        return Worker(slot.group, lifeline=self._lifeline[0], pipe=writing)

    def _wait(self, wakeup: socket.socket) -> None:
        pipes = [slot.pipe for slot in self._slots if slot.pipe is not None]
        dues = [slot.due for slot in self._slots if slot.due is not None and not slot.pid]
        times = [self._stop_by] if self._stop_by is not None else dues
        timeout = max(0.0, min(times) - time.monotonic()) if times else None
        ready, _, _ = select.select([wakeup.fileno(), *pipes], [], [], timeout)
        if wakeup.fileno() in ready and {signal.SIGTERM, signal.SIGINT} & set(wakeup.recv(4096)):
            self._stop()

    def _stop(self) -> None:
        if self._stop_by is None:
            self._stop_by = time.monotonic() + STOP_SECONDS
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.pid:
                os.kill(slot.pid, number)

    def _hear(self) -> None:
        pipes = [slot.pipe for slot in self._slots if slot.pipe is not None]
        speaking, _, _ = select.select(pipes, [], [], 0)
        for slot in self._slots:
            if slot.pipe in speaking and slot.pipe is not None:
                self._take(slot, os.read(slot.pipe, 4096))

    def _take(self, slot: _Slot, data: bytes) -> None:
        if not data:
            self._hang_up(slot)
            return
        *lines, slot.heard = (slot.heard + data).split(b"\n")
        for line in lines:
            if slot.first and not slot.deaths:
                self._announce(line.decode())
        if lines and not slot.ready:
            slot.ready = True
            for other in self._slots:
                if other.group == slot.group and not other.begun and other.due is None:
                    other.due = 0.0

    def _hang_up(self, slot: _Slot) -> None:
        if slot.pipe is not None:
            os.close(slot.pipe)
        slot.pipe = None

    def _reap(self) -> None:
        for slot in self._slots:
            if slot.pid:
                pid, status = os.waitpid(slot.pid, os.WNOHANG)
                if pid:
                    self._died(slot, os.waitstatus_to_exitcode(status))

    def _died(self, slot: _Slot, status: int) -> None:
        if slot.pipe is not None:
            self._hear()
        self._hang_up(slot)
        slot.pid = 0
        if self._stop_by is not None:
            return
        if slot.first and not slot.ready and not slot.deaths:  # nothing has ever run: no use in trying again
            self.status = status if status > 0 else 1
            self._stop()
            return
        now = time.monotonic()
        slot.deaths = 1 if now - slot.begun >= STEADY_SECONDS else slot.deaths + 1
        slot.due = now + PAUSES[min(slot.deaths, len(PAUSES)) - 1]
        self._replaced(slot.group, slot.deaths)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Signals arrive as bytes at a socket, so that none is missed between two looks."""
    receiving, sending = socket.socketpair()
    receiving.setblocking(False)
    sending.setblocking(False)
    numbers: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = [signal.signal(number, _ignore) for number in numbers]
    old = signal.set_wakeup_fd(sending.fileno(), warn_on_full_buffer=False)
    try:
        yield receiving
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        receiving.close()
        sending.close()


def _ignore(_number: int, _frame: object) -> None:
    """A handler, so that the signal is written to the socket and nothing else happens."""
