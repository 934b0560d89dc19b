"""An issuer of cars that can be shared, a relay, a verifier and any number of wallets, in one process.

The wallets' lines can be cut at any request, before it arrives or after, and note every byte that goes out.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from tests.flows import small_wallet
from tests.flows.sharing_stage import CLAIMS, SHARING, sharing_settings
from tests.flows.small_wallet import ADMIN, ADMIN_TOKEN, ISSUER, House

from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import Fetcher, HttpFetcher, Response, Unreachable
from safeconduct.net.in_process import InProcess
from safeconduct.services.issuer import open_issuer
from safeconduct.services.issuer.fetchers import Fetchers
from safeconduct.services.relay import open_relay
from safeconduct.services.status.publishing import publish
from safeconduct.services.verifier import open_verifier
from safeconduct.services.wallet_server import open_wallet_server
from safeconduct.settings import (
    DatabaseUrl,
    IssuerSettings,
    KeyPlace,
    RelaySettings,
    Secret,
    Settings,
    StatusSettings,
    VerifierSettings,
    WalletServerSettings,
    WalletSettings,
)
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER as BRANCH
from safeconduct.telemetry import Telemetry
from safeconduct.wallet.records import Held
from safeconduct.wallet.sharing.receiving import ShareQuestion, Terms
from safeconduct.wallet.sharing.records import Shared, Standing
from safeconduct.wallet.sharing.sending import Wish
from safeconduct.wallet.wallet import Notice, Wallet, open_wallet

RELAY, OTHER_RELAY = "https://relay.example", "https://other-relay.example"
VERIFIER, SERVER = "https://verifier.example", "https://wallet-server.example"
DAY = 86400


class Clock(small_wallet.Clock):
    """One clock for everybody, which sleeping moves."""

    async def sleep(self, seconds: float) -> None:
        self.now += max(int(seconds), 1)


class Crash(BaseException):
    """The wallet's process dies here: no handler of the wallet's may catch it."""


class Sent(msgspec.Struct, frozen=True):
    """A request that a wallet sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def everything(self) -> bytes:
        head = [f"{self.method} {self.url}", *(f"{name}: {value}" for name, value in self.headers.items())]
        return "\n".join(head).encode() + b"\n" + self.body


Hook = Callable[[Sent], None]


class Line:
    """A wallet's line: `before` and `after` may raise for a request that does not, or did, arrive.

    answers: puts another answer in the place of one, as a hostile server does.
    """

    def __init__(self, line: Fetcher, tape: list[Sent]) -> None:
        self._line = line
        self.tape = tape
        self.before: Hook = lambda _sent: None
        self.after: Hook = lambda _sent: None
        self.answers: Callable[[Sent, Response], Response] = lambda _sent, response: response

    async def request(self, method: str, url: str, **arguments: Any) -> Response:
        sent = Sent(method, url, arguments.get("headers") or {}, arguments.get("content") or b"")
        self.tape.append(sent)
        self.before(sent)
        response = await self._line.request(method, url, **arguments)
        self.after(sent)
        return self.answers(sent, response)

    async def get_json(self, url: str, **arguments: Any) -> dict[str, Any]:
        return dict((await self.request("GET", url, **arguments)).json())

    async def close(self) -> None:
        """The stage closes it."""

    def lose(self, method: str, end: str, *, times: int = 1) -> None:
        """Lose the next good answers from URLs with this end; the requests arrive."""
        left = [times]

        def answers(sent: Sent, response: Response) -> Response:
            fits = sent.method == method and sent.url.endswith(end)
            if left[0] and fits and response.status < 300:
                left[0] -= 1
                raise Unreachable("fetch_failed", "The answer was lost.")
            return response

        self.answers = answers

    def cut(self, *hosts: str) -> None:
        """Nothing arrives at these hosts any more; none: all is well again."""

        def before(sent: Sent) -> None:
            if sent.url.startswith(hosts):
                raise Unreachable("fetch_failed", "Nobody listens.")

        self.before = before if hosts else lambda _sent: None

    def crash(self, number: int, *, arrives: bool) -> None:
        """Die at the request of that number, counted from now and from 0; having sent it, or before."""
        count = [number]

        def die(_sent: Sent) -> None:
            count[0] -= 1
            if count[0] < 0:
                raise Crash

        self.before, self.after = (lambda _sent: None, die) if arrives else (die, lambda _sent: None)


@dataclass
class Actor:
    """A person with a wallet."""

    wallet: Wallet
    line: Line
    notices: list[Notice]
    asked: list[ShareQuestion] = field(default_factory=list)

    def terms(self, **terms: Any) -> Terms:
        """Agrees to everything, and notes what it was asked; terms bend that."""

        def ask(question: ShareQuestion) -> bool:
            self.asked.append(question)
            return True

        return Terms(**{"ask": ask, **terms})

    async def receive(self, link: str | None, tx_code: str | None = None, **terms: Any) -> Held:
        assert link is not None
        held = await self.wallet.receive(link, self.terms(tx_code=tx_code, **terms))
        assert isinstance(held, Held)
        return held

    async def standing(self, shared: Shared) -> Standing:
        """How a share stands."""
        return next(found for found in await self.wallet.shares() if found.id == shared.id)

    def codes(self) -> list[str]:
        return [notice.code for notice in self.notices]


@dataclass
class Stage:
    """The services, and the folder of the wallets."""

    folder: Path
    house: House
    clock: Clock
    transport: httpx2.AsyncBaseTransport
    settings: Settings
    tapes: dict[str, list[Sent]] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def actor(self, name: str, **settings: Any) -> AsyncIterator[Actor]:
        """Open the wallet of that name; opened again, it is the same one."""
        chosen = WalletSettings(
            **{"store": self.folder / name, "allow_loopback_http": False, "relay": RELAY, **settings}
        )
        notices: list[Notice] = []
        async with HttpFetcher(allow_loopback=False, transport=self.transport) as fetcher:
            line = Line(fetcher, self.tapes.setdefault(name, []))
            async with open_wallet(
                chosen, clock=self.clock, fetcher=line, report=notices.append, sleep=self.clock.sleep
            ) as wallet:
                yield Actor(wallet, line, notices)

    async def give_car(self, actor: Actor, kind: str = "car_jwt") -> str:
        """The issuer gives somebody a car of their own; returns the wallet's id of it."""
        made = await self.house.offer(configuration_id=kind, claims=dict(CLAIMS))
        held = await actor.wallet.accept(made["offer_uri"])
        return held.id

    async def standings(self) -> list[str]:
        """How all credentials stand that the issuer ever gave, in no order."""
        issued = (await self.house.manage("GET", "/issued")).json()["issued"]
        return sorted(entry["status"] for entry in issued)

    async def share_states(self) -> list[str]:
        """The states of all shares at the issuer, as its management sees them."""
        return sorted(
            share["state"] for share in (await self.house.manage("GET", "/shares")).json()["shares"]
        )

    async def publish(self) -> None:
        """Publish how credentials stand, for the verifier."""
        async with await Database.open(self.settings.issuer.database, branch=BRANCH) as database:
            await publish(self.settings, database, now=self.clock())


class _StatusHost:
    """What is published, for the verifier."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def request(self, _method: str, url: str, **_: Any) -> Response:
        path = next(self._root.rglob(url.rpartition("/")[2]), None)
        if path is None:
            return Response(404, {}, b"")
        kind = f"application/statuslist+{path.suffix[1:]}"
        return Response(200, {"content-type": kind}, path.read_bytes())

    async def get_json(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise NotImplementedError

    async def close(self) -> None:
        pass


@contextlib.asynccontextmanager
async def open_stage(
    folder: Path,
    *,
    sharing: str = SHARING,
    relay: Mapping[str, Any] | None = None,
    verifier: Mapping[str, Any] | None = None,
    **issuer: Any,
) -> AsyncIterator[Stage]:
    """Open all services. sharing: on which terms cars are shared. relay, verifier, issuer: their settings."""
    clock = Clock()
    async with contextlib.AsyncExitStack() as stack:
        chosen = IssuerSettings(
            identifier=ISSUER,
            database=DatabaseUrl(f"sqlite:///{folder}/issuer.db"),
            signing_key=KeyPlace(folder / "issuer.pem"),
            admin_token=Secret(ADMIN_TOKEN),
            status_list_size=4096,
            **sharing_settings(folder, sharing=sharing, **issuer),
        )
        telemetry = Telemetry.silent("issuer")
        nowhere = HttpFetcher(allow_loopback=False, transport=InProcess({}))
        fetchers = Fetchers(timeout=1, public=nowhere, near=nowhere)
        opened = open_issuer(chosen, telemetry=telemetry, clock=clock, fetchers=fetchers)
        public, admin = await stack.enter_async_context(opened)
        apps: dict[str, Any] = {ISSUER: public.app, ADMIN: admin.app}
        to_issuer = HttpFetcher(allow_loopback=False, transport=InProcess(dict(apps)))
        house = House(await stack.enter_async_context(to_issuer), clock, telemetry, chosen)
        services: dict[str, _Opener] = {
            name: partial(_relay, folder, name, clock, relay or {}) for name in (RELAY, OTHER_RELAY)
        }
        services[VERIFIER] = partial(_verifier, folder, house, clock, verifier or {})
        services[SERVER] = partial(_wallet_server, house, clock)
        settings = Settings(issuer=house.settings, status=StatusSettings(tree=folder / "tree"))
        yield Stage(folder, house, clock, _OnDemand(stack, apps, services), settings)


_Opener = Callable[[], contextlib.AbstractAsyncContextManager[Any]]


class _OnDemand(httpx2.AsyncBaseTransport):
    """Hands requests to applications, and opens a service when somebody first asks it something."""

    def __init__(
        self, stack: contextlib.AsyncExitStack, apps: Mapping[str, Any], services: dict[str, _Opener]
    ) -> None:
        self._stack = stack
        self._apps = dict(apps)
        self._services = services

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        origin = f"{request.url.scheme}://{request.url.host}"
        opener = self._services.pop(origin, None)
        if opener is not None:
            self._apps[origin] = await self._stack.enter_async_context(opener())
        return await InProcess(self._apps).handle_async_request(request)


@contextlib.asynccontextmanager
async def _wallet_server(house: House, clock: Clock) -> AsyncIterator[Any]:
    settings = WalletServerSettings(identifier=SERVER, database=DatabaseUrl("sqlite://"), issuers=(ISSUER,))
    telemetry = Telemetry.silent("wallet-server")
    opened = open_wallet_server(settings, telemetry=telemetry, clock=clock, fetcher=house.fetcher)
    async with opened as listeners:
        yield listeners[0].app


@contextlib.asynccontextmanager
async def _relay(folder: Path, name: str, clock: Clock, more: Mapping[str, Any]) -> AsyncIterator[Any]:
    database = DatabaseUrl(f"sqlite:///{folder}/{name.removeprefix('https://')}.db")
    settings = RelaySettings(identifier=name, database=database, **more)
    opened = open_relay(settings, telemetry=Telemetry.silent("relay"), clock=clock)
    async with opened as listeners:
        yield listeners[0].app


@contextlib.asynccontextmanager
async def _verifier(folder: Path, house: House, clock: Clock, more: Mapping[str, Any]) -> AsyncIterator[Any]:
    keys = await house.fetcher.get_json(f"{ISSUER}/.well-known/jwt-vc-issuer")
    (folder / "trust.json").write_bytes(json.dumps({ISSUER: keys["jwks"]}))
    settings = VerifierSettings(
        identifier=VERIFIER, database=DatabaseUrl("sqlite://"), trust=folder / "trust.json", **more
    )
    host = _StatusHost(folder / "tree")
    opened = open_verifier(settings, telemetry=Telemetry.silent("verifier"), clock=clock, fetcher=host)
    async with opened as listeners:
        yield listeners[0].app


async def refusal(work: Any) -> str:
    """The code of the error that the work raises."""
    try:
        await work
    except SafeconductError as error:
        return error.code
    raise AssertionError("nothing was refused")


def wrong(shared: Shared) -> str:
    """Another PIN than the right one, of the same form."""
    assert shared.tx_code is not None
    return shared.tx_code[:-1] + str((int(shared.tx_code[-1]) + 1) % 10)


__all__ = ["ADMIN", "DAY", "ISSUER", "Actor", "Clock", "Crash", "Line", "Sent", "Stage", "Wish", "open_stage"]
