"""Whole issuance over HTTP: the issuer's CPU time for a credential, and what one machine serves.

The issuer runs as `safeconduct serve issuer` in its own processes, on SQLite or PostgreSQL. Wallets of this
process take a token, a nonce and a credential each, encrypted and with DPoP. What counts is the CPU time that
the issuer's processes used; the offers are made before the clock starts.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench import floors
from bench.wallets import CONFIGURATION, Line, Wallet
from safeconduct.web.serve import free_port

ADMIN_TOKEN = secrets.token_hex(16)
CREDENTIALS = 80
"""Issued in one round."""

ROUNDS = 8
"""Rounds of a measurement; the best is the one that other programs disturbed least."""


class Site(msgspec.Struct, frozen=True):
    """A running issuer. pid: of its first process."""

    url: str
    admin: str
    pid: int

    def cpu_seconds(self) -> float:
        """Return the CPU time of the issuer's processes so far."""
        return sum(map(_cpu_seconds, _family(self.pid)))


class Run(msgspec.Struct, frozen=True):
    """What a run took. cpu: seconds of the issuer. latencies: seconds of each request, in any order."""

    credentials: int
    cpu: float
    wall: float
    latencies: tuple[float, ...]


@contextmanager
def issuer(database: str, *, workers: int = 1, batch: int = 1) -> Iterator[Site]:
    """Run an issuer of eight-claim SD-JWT VCs. database: a URL; "sqlite" for a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        port, admin_port = free_port(), free_port()
        url = f"http://127.0.0.1:{port}"
        catalogue = Path(folder, "configurations.toml")
        catalogue.write_text(CONFIGURATION)
        settings = {
            "IDENTIFIER": url,
            "PORT": port,
            "ADMIN_PORT": admin_port,
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "DATABASE": f"sqlite:///{folder}/issuer.db" if database == "sqlite" else database,
            "SIGNING_KEY": f"{folder}/key.pem",
            "CONFIGURATIONS": catalogue,
            "BATCH_SIZE": max(batch, 2),
            "OFFER_LIFETIME": 3600,
        }
        environment = {f"SAFECONDUCT_ISSUER__{name}": str(value) for name, value in settings.items()}
        program = Path(sys.executable).with_name("safeconduct")
        command = [program, "serve", "issuer", "--workers", str(workers)]
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment, "SAFECONDUCT_TELEMETRY__LOG_LEVEL": "warning"},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            for _ in range(2):
                assert process.stdout.readline()
            yield Site(url, f"http://127.0.0.1:{admin_port}", process.pid)
        finally:
            process.terminate()
            process.communicate(timeout=30)


def measure(site: Site, *, credentials: int = CREDENTIALS, batch: int = 1, concurrency: int = 4) -> Run:
    """Let wallets take `credentials` credentials, `batch` in a request, `concurrency` wallets at once."""
    return asyncio.run(_measure(site, credentials // batch, batch, concurrency))


def floor_seconds(batch: int = 1) -> float:
    """Return the CPU seconds of one request's cryptography, its two DPoP proofs verified."""
    request = floors.sample_request(batch)
    proof = floors.sample_dpop_proof()
    start = time.process_time()
    for _ in range(CREDENTIALS):
        floors.verify_with_own_key(proof)
        floors.verify_with_own_key(proof)
        floors.issue_sample(request)
    return (time.process_time() - start) / CREDENTIALS


def http() -> dict[str, Any]:
    """One worker on SQLite: CPU time of a credential against its floor; at most 3."""
    with issuer("sqlite") as site:
        measure(site)
        floor_seconds()
        rounds = [(_cost(measure(site)), floor_seconds()) for _ in range(ROUNDS)]
    cost, floor = min(one for one, _ in rounds), min(one for _, one in rounds)
    ratios = sorted(one / other for one, other in rounds)
    return {
        "ratio": round(cost / floor, 3),
        "better": "lower",
        "median_ratio": round(ratios[len(ratios) // 2], 3),
        "cpu_ms": round(cost * 1e3, 3),
        "floor_ms": round(floor * 1e3, 3),
        "credentials_per_cpu_second": round(1 / cost),
    }


def http_batch() -> dict[str, Any]:
    """Credentials per CPU second in batches of 10, against one by one; at least 2.5."""
    with issuer("sqlite", batch=10) as site:
        measure(site)
        rounds = [
            (_cost(measure(site)), _cost(measure(site, credentials=10 * CREDENTIALS, batch=10)))
            for _ in range(ROUNDS)
        ]
    single, batch = min(one for one, _ in rounds), min(one for _, one in rounds)
    return {
        "ratio": round(single / batch, 3),
        "better": "higher",
        "single_cpu_ms": round(single * 1e3, 3),
        "batch_cpu_ms": round(batch * 1e3, 3),
    }


def throughput(database: str, workers: int) -> dict[str, Any]:
    """Requests a second with sixteen wallets at once, which share the machine with the issuer."""
    with issuer(database, workers=workers) as site:
        measure(site, credentials=40, concurrency=16)
        run = measure(site, credentials=400, concurrency=16)
    latencies = sorted(run.latencies)
    return {
        "ratio": round(len(latencies) / run.wall, 1),
        "better": "higher",
        "unit": "requests/s",
        "p50_ms": round(latencies[len(latencies) // 2] * 1e3, 1),
        "p99_ms": round(latencies[len(latencies) * 99 // 100] * 1e3, 1),
        "issuer_cpu_ms": round(run.cpu / run.credentials * 1e3, 2),
    }


async def _measure(site: Site, requests: int, batch: int, concurrency: int) -> Run:
    async with Line.open(site.url) as line:
        offers = [await line.offer(site.admin, ADMIN_TOKEN) for _ in range(requests)]
        wallets = [Wallet(line) for _ in range(concurrency)]
        for wallet in wallets:
            await wallet.meet()
        line.latencies.clear()
        cpu, wall = site.cpu_seconds(), time.perf_counter()
        waiting = iter(offers)
        taken = await asyncio.gather(*[_take(wallet, waiting, batch) for wallet in wallets])
        return Run(
            credentials=sum(taken),
            cpu=site.cpu_seconds() - cpu,
            wall=time.perf_counter() - wall,
            latencies=tuple(line.latencies),
        )


async def _take(wallet: Wallet, offers: Iterator[str], batch: int) -> int:
    taken = 0
    for offer in offers:
        taken += await wallet.accept(offer, batch=batch)
    return taken


def _cost(run: Run) -> float:
    return run.cpu / run.credentials


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _family(int(child)))]


def _cpu_seconds(pid: int) -> float:
    return time.clock_gettime(~pid << 3 | 2)  # Linux: the CPU clock of another process


def _postgres() -> str:
    return os.environ.get("SAFECONDUCT_BENCH_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/test")


FIGURES = {
    "issuance.http": http,
    "issuance.http_batch": http_batch,
    "issuance.http.sqlite_1": lambda: throughput("sqlite", 1),
    "issuance.http.sqlite_2": lambda: throughput("sqlite", 2),
    "issuance.http.postgres_1": lambda: throughput(_postgres(), 1),
    "issuance.http.postgres_2": lambda: throughput(_postgres(), 2),
}

if __name__ == "__main__":
    print(json.dumps(http(), indent=2))
