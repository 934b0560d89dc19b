"""A herd of wallets against several issuer processes on one database, which are killed in the middle.

Every wallet repeats a request whose answer it did not get, at another process, as a real one would: with the
same code and the same keys. Some codes are in two hands at once. What comes out is counted, not judged.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.flows.small_wallet import SmallWallet

from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.net.fetch import HttpFetcher, Response, Unreachable
from safeconduct.protocols.openid4vci import encryption
from safeconduct.protocols.openid4vci.response import CredentialResponse, parse_credential_response
from safeconduct.web.serve import free_port

IDENTIFIER = "http://127.0.0.1:9"
"""No one listens there: what is meant for the issuer is sent to one of its processes."""

ADMIN_TOKEN = "management-token-of-the-test"
CLAIMS = {"given_name": "Erika", "family_name": "Mustermann"}
CONFIGURATION = """
[[configurations]]
id = "card"
format = "dc+sd-jwt"
vct = "https://issuer.example/card"
status = true
[configurations.claims]
given_name = { mandatory = true }
family_name = {}
"""
RIVALS_EVERY = 5
"""Of so many codes, one is in two hands."""

PATIENCE = 30.0
"""Seconds that a wallet goes on trying."""


class Process:
    """One `safeconduct serve issuer`, which can be killed and started again."""

    def __init__(self, folder: Path, database: str) -> None:
        self.port, self.admin_port = free_port(), free_port()
        settings = {
            "IDENTIFIER": IDENTIFIER,
            "PORT": self.port,
            "ADMIN_PORT": self.admin_port,
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "DATABASE": database,
            "SIGNING_KEY": folder / "key.pem",
            "CONFIGURATIONS": folder / "card.toml",
            "STATUS_LIST_URI": "https://status.example/lists",
            "OFFER_LIFETIME": 3600,
        }
        self._environment = {f"SAFECONDUCT_ISSUER__{name}": str(value) for name, value in settings.items()}
        self._child: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._child = subprocess.Popen(
            [str(Path(sys.executable).with_name("safeconduct")), "serve", "issuer"],
            env={**os.environ, **self._environment, "SAFECONDUCT_TELEMETRY__LOG_LEVEL": "error"},
            stdout=subprocess.PIPE,
            text=True,
        )

    def await_start(self) -> None:
        assert self._child is not None
        assert self._child.stdout is not None
        for _ in range(2):
            assert self._child.stdout.readline(), "the issuer does not start"

    def kill(self) -> None:
        assert self._child is not None
        self._child.send_signal(signal.SIGKILL)
        self._child.communicate()

    def stop(self) -> None:
        if self._child is not None:
            self._child.terminate()
            self._child.communicate(timeout=30)


@dataclass
class Spread:
    """Sends what is for the identifier to the processes in turn."""

    processes: list[Process]
    inner: HttpFetcher
    turn: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0

    async def request(self, method: str, url: str, **arguments: Any) -> Response:
        self.turn += 1
        process = self.processes[self.turn % len(self.processes)]
        place = url.replace(IDENTIFIER, f"http://127.0.0.1:{process.port}", 1)
        try:
            answer = await self.inner.request(method, place, **arguments)
        except Unreachable:
            self.lost += 1
            raise
        self.statuses[answer.status] += 1
        return answer


@dataclass
class Fate:
    """What became of one wallet. contended: its code was in two hands.

    tokens: how many hands got one. credentials: status indices, one for each. refusals: errors it was told.
    """

    contended: bool
    tokens: int = 0
    credentials: tuple[tuple[str, int], ...] = ()
    told: bool = False
    refusals: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """All fates; the answers by status, requests without an answer, seconds, kills."""

    fates: list[Fate]
    statuses: Counter[int]
    lost: int
    seconds: float
    kills: int


@contextmanager
def processes(folder: Path, database: str, count: int) -> Iterator[list[Process]]:
    (folder / "card.toml").write_text(CONFIGURATION)
    (folder / "key.pem").write_text(Key.generate("ES256").to_pem(private=True))
    started: list[Process] = []
    try:
        for _ in range(count):
            process = Process(folder, database)
            process.start()
            started.append(process)
        for process in started:
            process.await_start()
        yield started
    finally:
        for process in started:
            process.stop()


async def run(site: list[Process], *, wallets: int, batch: int = 2, kills: int = 2) -> Outcome:
    """Let the wallets take their credentials, all at once, and kill a process `kills` times meanwhile."""
    async with HttpFetcher(allow_loopback=True, timeout=60) as inner:
        spread = Spread(site, inner)
        offers = [await _offer(spread) for _ in range(wallets)]
        fates = [Fate(contended=number % RIVALS_EVERY == 0) for number in range(wallets)]
        start = time.monotonic()
        lives = [
            asyncio.create_task(_live(spread, offer, fate, batch))
            for offer, fate in zip(offers, fates, strict=True)
        ]
        killed = await _kill(site, lives, kills)
        return Outcome(fates, spread.statuses, spread.lost, time.monotonic() - start, killed)


async def issued(site: list[Process]) -> list[Mapping[str, Any]]:
    """What management says was issued."""
    found: list[Mapping[str, Any]] = []
    async with HttpFetcher(allow_loopback=True) as inner:
        cursor = ""
        while True:
            page = (await _manage(inner, site[0], "GET", f"/issued?limit=100{cursor}")).json()
            found += page["issued"]
            if "next" not in page:
                return found
            cursor = f"&cursor={page['next']}"


async def _kill(site: list[Process], lives: list[asyncio.Task[None]], kills: int) -> int:
    """Kill a process each time that a further part of the wallets is through; start it again at once."""
    for through, life in enumerate(asyncio.as_completed(lives), start=1):
        await life
        number, due = divmod(through * (kills + 1), len(lives))
        if due < kills + 1 and 0 < number <= kills:
            process = site[number % len(site)]
            await asyncio.to_thread(process.kill)
            process.start()
            await asyncio.to_thread(process.await_start)
    return kills


async def _live(spread: Spread, offer: str, fate: Fate, batch: int) -> None:
    wallet = _wallet(spread)
    hands = [wallet, _wallet(spread)] if fate.contended else [wallet]
    got = await asyncio.gather(*[_take_token(hand, offer, fate) for hand in hands])
    fate.tokens = sum(got)
    for hand, has_token in zip(hands, got, strict=True):
        if has_token:
            await _take_credentials(hand, fate, batch)


async def _take_token(wallet: SmallWallet, offer: str, fate: Fate) -> bool:
    async with _patience() as more:
        while more():
            try:
                if wallet.dpop_nonce is None:
                    await wallet.nonces()
                answer = await wallet.redeem(offer)
            except Unreachable:
                await asyncio.sleep(0.05)
                continue
            if answer.status == 200:
                granted = answer.json()
                wallet.access_token = granted["access_token"]
                wallet.identifiers = tuple(granted["authorization_details"][0]["credential_identifiers"])
                return True
            if answer.status != 503:  # too busy for now
                fate.refusals.append(f"token {answer.json()['error']}")
                return False
    raise TimeoutError


async def _take_credentials(wallet: SmallWallet, fate: Fate, batch: int) -> None:
    holders = [Key.generate("ES256") for _ in range(batch)]
    async with _patience() as more:
        while more():
            try:
                answer = await wallet.ask(holders=holders)
            except Unreachable:
                await asyncio.sleep(0.05)
                continue
            if answer.status == 200:
                response = _opened(wallet, answer, batch)
                fate.credentials = tuple(map(_status_index, response.credentials))
                await _tell(wallet, response.notification_id or "", fate)
                return
            error = answer.json()["error"]
            if answer.status == 503 or error in ("use_dpop_nonce", "invalid_nonce"):
                continue
            fate.refusals.append(f"credential {error}")
            return
    raise TimeoutError


async def _tell(wallet: SmallWallet, notification_id: str, fate: Fate) -> None:
    body = json.dumps({"notification_id": notification_id, "event": "credential_accepted"})
    async with _patience() as more:
        while more():
            proof = wallet.proof_of_possession("/notification", access_token=wallet.access_token)
            headers = {
                "Authorization": f"DPoP {wallet.access_token}",
                "DPoP": proof,
                "Content-Type": "application/json",
            }
            try:
                answer = await wallet.fetcher.request(
                    "POST", f"{IDENTIFIER}/notification", headers=headers, content=body
                )
            except Unreachable:
                await asyncio.sleep(0.05)
                continue
            if answer.status == 204:
                fate.told = True
                return
            if answer.status != 503:
                fate.refusals.append(f"notification {answer.json()['error']}")
                return
    raise TimeoutError


def _opened(wallet: SmallWallet, answer: Response, batch: int) -> CredentialResponse:
    assert wallet.response_key is not None
    payload = encryption.open_response(
        answer.body, content_type=answer.headers["content-type"], key=wallet.response_key
    )
    response = parse_credential_response(payload, keys=batch)
    assert isinstance(response, CredentialResponse)
    return response


def _status_index(token: str) -> tuple[str, int]:
    payload = json.loads_object(b64.decode(token.split(".")[1]))
    place = payload["status"]["status_list"]
    return place["uri"], place["idx"]


def _wallet(spread: Spread) -> SmallWallet:
    return SmallWallet(spread, lambda: int(time.time()), issuer=IDENTIFIER)  # type: ignore[arg-type]


async def _offer(spread: Spread) -> str:
    body = {"configuration_id": "card", "claims": CLAIMS}
    answer = await _manage(spread.inner, spread.processes[0], "POST", "/offers", body)
    assert answer.status == 201, answer.body
    return str(answer.json()["offer_uri"])


async def _manage(inner: HttpFetcher, process: Process, method: str, path: str, body: Any = None) -> Response:
    return await inner.request(
        method,
        f"http://127.0.0.1:{process.admin_port}{path}",
        headers={"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"},
        content=None if body is None else json.dumps(body),
    )


@asynccontextmanager
async def _patience() -> AsyncIterator[Any]:
    end = time.monotonic() + PATIENCE
    yield lambda: time.monotonic() < end
