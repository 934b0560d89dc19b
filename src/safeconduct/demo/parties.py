"""Everybody on one stage: issuer, wallet server and verifier, each recorded wholly; on sockets or not."""

import io
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
from starlette.types import ASGIApp

from safeconduct.clock import Clock
from safeconduct.encoding import json
from safeconduct.net.fetch import Fetcher, HttpFetcher, Response
from safeconduct.net.in_process import InProcess
from safeconduct.net.recording import Exchange, RecordingFetcher
from safeconduct.protocols.oauth import urls
from safeconduct.services.issuer import open_issuer
from safeconduct.services.verifier import open_verifier
from safeconduct.services.wallet_server import open_wallet_server
from safeconduct.settings import (
    DatabaseUrl,
    IssuerSettings,
    KeyPlace,
    Secret,
    VerifierSettings,
    WalletServerSettings,
)
from safeconduct.telemetry import Telemetry
from safeconduct.web import serve
from safeconduct.web.recording import record
from safeconduct.web.serve import Listener


class Network(Protocol):
    """Where the parties meet."""

    loopback: bool

    def address(self, name: str) -> str:
        """Return the URL that a party of that name will have."""

    def running(self, listeners: Sequence[Listener]) -> AbstractAsyncContextManager[Any]:
        """Let applications answer at the addresses of their names."""

    def fetcher(self) -> HttpFetcher:
        """Return a connection to all that answer now."""


class Sockets:
    """Real HTTP on loopback ports."""

    loopback = True

    def __init__(self) -> None:
        self._given: set[int] = set()

    def address(self, name: str) -> str:  # noqa: ARG002  any free port will do
        """See `Network.address`."""
        port = serve.free_port()
        while port in self._given:  # free still, because its party has not begun to listen
            port = serve.free_port()
        self._given.add(port)
        return f"http://127.0.0.1:{port}"

    def running(self, listeners: Sequence[Listener]) -> AbstractAsyncContextManager[Any]:
        """See `Network.running`."""
        return serve.running(listeners)

    def fetcher(self) -> HttpFetcher:
        """See `Network.fetcher`."""
        return HttpFetcher(allow_loopback=True)


class Room:
    """One process, no sockets: requests are handed to the applications."""

    loopback = False

    def __init__(self) -> None:
        self._apps: dict[str, ASGIApp] = {}

    def address(self, name: str) -> str:
        """See `Network.address`."""
        return f"https://{name}.example"

    @asynccontextmanager
    async def running(self, listeners: Sequence[Listener]) -> AsyncIterator[None]:
        """See `Network.running`."""
        self._apps |= {self.address(listener.name): listener.app for listener in listeners}
        yield

    def fetcher(self) -> HttpFetcher:
        """See `Network.fetcher`."""
        return HttpFetcher(allow_loopback=False, transport=InProcess(dict(self._apps)))


class Party(msgspec.Struct):
    """A service and all that it ever saw or kept. database: its file; further ones may stand beside it."""

    name: str
    url: str
    database: Path
    tape: list[Exchange] = []
    log: io.StringIO = msgspec.field(default_factory=io.StringIO)

    def telemetry(self) -> Telemetry:
        """Make its telemetry, which writes to `log` all that it may write."""
        return Telemetry.open(self.name, level="debug", stream=self.log)

    def known(self) -> dict[str, bytes]:
        """Return all it has: traffic, log lines, and the pages of its database."""
        return {
            "traffic": b"\n".join(exchange.everything() for exchange in self.tape),
            "log": self.log.getvalue().encode(),
            "database": file_pages(self.database),
        }

    def codes_since(self, position: int, *, route: str) -> tuple[str, ...]:
        """Return the error codes of a route in the log lines from a position of the log on."""
        lines = [json.loads_object(line) for line in self.log.getvalue()[position:].splitlines()]
        return tuple(line["code"] for line in lines if line.get("route") == route and "code" in line)


class Offer(msgspec.Struct, frozen=True):
    """An offer as its holder gets it: the URI on one way, the transaction code on another."""

    uri: str
    tx_code: str | None

    def __repr__(self) -> str:
        return "<Offer>"


class Parties(msgspec.Struct, frozen=True):
    """The stage. admin_url, admin_token: of the issuer's management."""

    network: Network
    clock: Clock
    issuer: Party
    wallet_server: Party
    verifier: Party
    admin_url: str
    admin_token: Secret

    async def offer(
        self, claims: Mapping[str, Any], *, tx_code: bool, configuration: str = "identity", **wish: Any
    ) -> Offer:
        """Make an offer as the issuer's operator does. wish: more members of the request for it."""
        asked = {"configuration_id": configuration, "claims": claims, "tx_code": tx_code, **wish}
        made = (await self.manage("POST", "/offers", asked)).json()
        return Offer(made["offer_uri"], made.get("tx_code"))

    async def approve(self) -> None:
        """Let the issuer's operator agree to everything that waits for it."""
        for waiting in (await self.manage("GET", "/deferred")).json()["deferred"]:
            await self.manage("POST", f"/deferred/{waiting['transaction_id']}/approve")

    async def manage(self, method: str, path: str, wish: Mapping[str, Any] | None = None) -> Response:
        """Speak to the issuer's management."""
        headers = {
            "Authorization": f"Bearer {self.admin_token.reveal()}",
            "Content-Type": "application/json",
        }
        content = None if wish is None else json.dumps(wish)
        async with self.network.fetcher() as fetcher:
            return await fetcher.request(method, self.admin_url + path, headers=headers, content=content)


def file_pages(database: Path) -> bytes:
    """Return the bytes of an SQLite database and of the files beside it."""
    return b"\n".join(path.read_bytes() for path in sorted(database.parent.glob(f"{database.name}*")))


@asynccontextmanager
async def open_parties(
    directory: Path,
    *,
    network: Network,
    clock: Clock,
    require_encryption: bool = True,
    credentials_per_identifier: int = 1,
    issuer_settings: Mapping[str, Any] = MappingProxyType({}),
) -> AsyncIterator[Parties]:
    """Start all services with their files in a directory.

    require_encryption, credentials_per_identifier: the issuer's settings of these names.
    issuer_settings: any others of them.
    """
    issuer, wallet_server, verifier = (
        Party(name, network.address(name), directory / f"{name}.db")
        for name in ("issuer", "wallet-server", "verifier")
    )
    admin_url, admin_token = network.address("issuer-admin"), Secret("demonstration-only-token")
    settings = IssuerSettings(
        identifier=issuer.url,
        port=port_of(issuer.url),
        admin_port=port_of(admin_url),
        admin_token=admin_token,
        database=DatabaseUrl(f"sqlite:///{issuer.database}"),
        signing_key=KeyPlace(directory / "issuer-key.pem"),
        require_encryption=require_encryption,
        credentials_per_identifier=credentials_per_identifier,
    )
    settings = msgspec.structs.replace(settings, **issuer_settings)
    opened = open_issuer(settings, telemetry=issuer.telemetry(), clock=clock)
    async with (
        opened as listeners,
        network.running(recorded(listeners, issuer)),
        _wallet_server(wallet_server, issuer.url, network, clock),
        _verifier(verifier, issuer.url, directory, network, clock),
    ):
        yield Parties(network, clock, issuer, wallet_server, verifier, admin_url, admin_token)


@asynccontextmanager
async def _wallet_server(party: Party, issuer: str, network: Network, clock: Clock) -> AsyncIterator[None]:
    settings = WalletServerSettings(
        identifier=party.url,
        port=port_of(party.url),
        admin_port=0,
        database=DatabaseUrl(f"sqlite:///{party.database}"),
        issuers=(issuer,),
    )
    async with network.fetcher() as plain:
        fetcher: Fetcher = RecordingFetcher(plain, party=party.name, tape=party.tape)
        opened = open_wallet_server(settings, telemetry=party.telemetry(), clock=clock, fetcher=fetcher)
        async with opened as listeners, network.running(recorded(listeners, party)):
            yield


@asynccontextmanager
async def _verifier(
    party: Party, issuer: str, directory: Path, network: Network, clock: Clock
) -> AsyncIterator[None]:
    trust = directory / "trust.json"
    async with network.fetcher() as fetcher:
        document = await fetcher.get_json(urls.well_known(issuer, "jwt-vc-issuer"))
    trust.write_bytes(json.dumps({issuer: document["jwks"]["keys"]}))
    settings = VerifierSettings(
        identifier=party.url,
        port=port_of(party.url),
        admin_port=0,
        database=DatabaseUrl(f"sqlite:///{party.database}"),
        trust=trust,
    )
    opened = open_verifier(settings, telemetry=party.telemetry(), clock=clock)
    async with opened as listeners, network.running(recorded(listeners, party)):
        yield


def recorded(listeners: Sequence[Listener], party: Party) -> list[Listener]:
    """The listeners, the public one of them recorded."""
    return [
        msgspec.structs.replace(listener, app=record(listener.app, party=party.name, tape=party.tape))
        if listener.name == party.name
        else listener
        for listener in listeners
    ]


def port_of(url: str) -> int:
    """Return the port of a URL, 0 if it names none."""
    return urlsplit(url).port or 0
