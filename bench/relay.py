"""The relay over HTTP: transfers a second against the barest relay there can be, and what does not grow.

A transfer puts a mailbox down, reads and binds it as another party, and takes it away. Relay, bare relay
(`bench.bare_relay`) and magic-wormhole's mailbox server run one after the other by turns, each in one process
on SQLite; the clients are in this one, on the other core.
"""

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench import mailboxes, wormhole
from safeconduct.web.serve import free_port

HOST = "127.0.0.1"
TRANSFERS = 400
"""Transfers in one round."""

ROUNDS = 8
CONNECTIONS = 8
OPEN_LOOP_SECONDS = 10
LIVE = (1_000, 1_000_000)
"""Mailboxes that are there while others come and go."""

EXPIRED = 100_000
"""Mailboxes that are left to expire."""

SHORTEST_SECONDS = 61
PATIENCE_SECONDS = 240


class Server(msgspec.Struct, frozen=True):
    """A running server. folder: of its database."""

    port: int
    pid: int
    folder: Path

    def transfers(self, count: int = TRANSFERS, *, connections: int = CONNECTIONS) -> mailboxes.Load:
        """Let clients transfer as fast as they are answered."""
        return asyncio.run(mailboxes.closed_loop(HOST, self.port, transfers=count, connections=connections))

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process so far."""
        return time.clock_gettime(~self.pid << 3 | 2)  # Linux: the CPU clock of another process

    def resident_megabytes(self) -> float:
        """Return the memory that the process has."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def relay(settings: Mapping[str, object] = {}) -> Iterator[Server]:
    """Run the relay, with limits so wide that they do not count."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        chosen = {
            "PORT": port,
            "ADMIN_PORT": 0,
            "DATABASE": f"sqlite:///{folder}/relay.db",
            "CREATE_RATE": 1_000_000,
            "FAILURE_RATE": 1_000_000,
            "MAILBOXES": 10_000_000,
            **settings,
        }
        variables = {f"SAFECONDUCT_RELAY__{name}": str(value) for name, value in chosen.items()}
        program = Path(sys.executable).with_name("safeconduct")
        with _process([str(program), "serve", "relay"], variables, lines=2) as process:
            yield Server(port, process.pid, Path(folder))


@contextmanager
def bare() -> Iterator[Server]:
    """Run the barest relay."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command = [sys.executable, "-m", "bench.bare_relay", str(port), f"{folder}/bare.db"]
        with _process(command, {}, lines=1) as process:
            yield Server(port, process.pid, Path(folder))


def transfers() -> dict[str, Any]:
    """Transfers a second, to those of the bare relay in the same run; at least 0.6."""
    with relay() as ours, bare() as floor:
        for server in (ours, floor):
            server.transfers()
        rounds, costs = [], []
        for _ in range(ROUNDS):
            before = ours.cpu_seconds(), floor.cpu_seconds()
            rounds.append((ours.transfers().rate, floor.transfers().rate))
            costs.append((ours.cpu_seconds() - before[0], floor.cpu_seconds() - before[1]))
        peer = wormhole.exchanges_per_second()
    best, best_floor = max(one for one, _ in rounds), max(one for _, one in rounds)
    ratios = sorted(one / other for one, other in rounds)
    return {
        "ratio": round(best / best_floor, 3),
        "better": "higher",
        "median_ratio": round(ratios[len(ratios) // 2], 3),
        "per_second": round(best),
        "floor_per_second": round(best_floor),
        "cpu_ratio": round(min(one for one, _ in costs) / min(one for _, one in costs), 3),
        "wormhole_per_second": peer,
    }


def latency() -> dict[str, Any]:
    """Milliseconds within which 99 of 100 transfers are done, at half the rate that is possible."""
    with relay() as server:
        server.transfers()
        rate = max(server.transfers().rate for _ in range(3)) / 2
        load = asyncio.run(
            mailboxes.open_loop(
                HOST, server.port, rate=rate, seconds=OPEN_LOOP_SECONDS, connections=4 * CONNECTIONS
            )
        )
    return {
        "ratio": round(load.percentile(99) * 1e3, 1),
        "better": "lower",
        "unit": "ms",
        "p50_ms": round(load.percentile(50) * 1e3, 1),
        "per_second": round(rate),
    }


def growth() -> dict[str, Any]:
    """CPU time of a transfer among 10^6 live mailboxes, to that among 10^3; at most 1.3."""
    costs = []
    for live in LIVE:
        with relay() as server:
            asyncio.run(mailboxes.leave(HOST, server.port, mailboxes=1, lifetime=86_400, connections=1))
            _multiply(server.folder / "relay.db", live)
            server.transfers()
            costs.append(min(_cost(server) for _ in range(ROUNDS)))
    return {
        "ratio": round(costs[1] / costs[0], 3),
        "better": "lower",
        "few_us": round(costs[0] * 1e6),
        "many_us": round(costs[1] * 1e6),
    }


def memory() -> dict[str, Any]:
    """Memory after 10^5 mailboxes came and expired, to that after the first 10^4."""
    with relay() as server:
        _let_expire(server, EXPIRED // 10)
        early = server.resident_megabytes()
        _let_expire(server, EXPIRED - EXPIRED // 10)
        late = server.resident_megabytes()
        left = _rows(server.folder / "relay.db")
    return {
        "ratio": round(late / early, 3),
        "better": "lower",
        "early_mb": round(early, 1),
        "late_mb": round(late, 1),
        "left": left,
    }


def _cost(server: Server) -> float:
    before = server.cpu_seconds()
    server.transfers()
    return (server.cpu_seconds() - before) / TRANSFERS


def _let_expire(server: Server, count: int) -> None:
    """Put mailboxes down for the shortest time there is, and wait until the relay has swept the last away."""
    asyncio.run(
        mailboxes.leave(
            HOST, server.port, mailboxes=count, lifetime=SHORTEST_SECONDS, connections=CONNECTIONS
        )
    )
    end = time.monotonic() + PATIENCE_SECONDS
    while _rows(server.folder / "relay.db"):
        if time.monotonic() > end:
            raise TimeoutError("the relay does not sweep what has expired")
        time.sleep(1)


def _multiply(file: Path, rows: int) -> None:
    """Make many mailboxes out of one, each with names of its own."""
    with sqlite3.connect(file, timeout=60) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(relay_mailboxes)")]
        own = {"id": "randomblob(16)", "creation": "randomblob(16)"}
        values = ", ".join(own.get(column, column) for column in columns)
        database.execute(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "  # noqa: S608
            f"INSERT INTO relay_mailboxes SELECT {values} FROM relay_mailboxes, numbers",
            (rows - 1,),
        )
    database.close()


def _rows(file: Path) -> int:
    database = sqlite3.connect(file, timeout=60)
    try:
        return int(database.execute("SELECT count(*) FROM relay_mailboxes").fetchone()[0])
    finally:
        database.close()


@contextmanager
def _process(
    command: list[str], variables: Mapping[str, str], *, lines: int
) -> Iterator["subprocess.Popen[str]"]:
    """Run a server that says so many lines when it is ready."""
    environment = {**os.environ, **variables, "SAFECONDUCT_TELEMETRY__LOG_LEVEL": "warning"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for _ in range(lines):
            assert process.stdout.readline()
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


FIGURES = {
    "relay.transfers": transfers,
    "relay.latency": latency,
    "relay.growth": growth,
    "relay.memory": memory,
}
