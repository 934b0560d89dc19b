"""Several relay processes on one database, for tests that kill them or race at them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.relay_client import Answer, Lost

from safeconduct.web.serve import free_port

PROCESS = Path(__file__).with_name("relay_process.py")
PATIENCE = 60.0
"""Seconds that a client goes on asking a relay that is not there."""


@dataclass
class Processes:
    """Their URLs, and the file that says when one dies."""

    urls: list[str]
    armed: Path

    def arm(self, method: str, moment: str) -> None:
        """Let the process die that gets the next request of this method. moment: "before" or "after"."""
        self.armed.write_text(f"{method} {moment}")

    @property
    def is_armed(self) -> bool:
        """Whether nobody has died of it yet."""
        return self.armed.exists()


@contextmanager
def relay_processes(
    folder: Path, database: str, count: int, *, careless: bool = False
) -> Iterator[Processes]:
    """Run so many relays. careless: they bind receivers in a way that loses races."""
    ports = [free_port() for _ in range(count)]
    armed = folder / "armed"
    command = [sys.executable, str(PROCESS), database, str(armed), *map(str, ports)]
    environment = {**os.environ, **({"CARELESS": "1"} if careless else {})}
    root = Path(__file__).parents[2]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root, env=environment)
    try:
        assert started.stdout is not None
        for _ in range(2 * count):
            assert started.stdout.readline(), "a relay does not start"
        yield Processes([f"http://127.0.0.1:{port}" for port in ports], armed)
    finally:
        started.terminate()
        started.communicate()


def insisting(ask: Callable[[], Answer]) -> tuple[Answer, int]:
    """Ask the same again until an answer comes; with how often none came."""
    lost, end = 0, time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            return ask(), lost
        except Lost:
            lost += 1
            time.sleep(0.02)
    raise TimeoutError
