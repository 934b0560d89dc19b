"""The stage of a transfer: an issuer that publishes status, a relay, a verifier, and two people's wallets."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from safeconduct.clock import Clock
from safeconduct.crypto.keys import Key
from safeconduct.demo.parties import Network, Offer, Party, port_of, recorded
from safeconduct.encoding import json
from safeconduct.net.fetch import Response
from safeconduct.net.recording import Exchange, RecordingFetcher
from safeconduct.protocols.oauth import urls
from safeconduct.services.issuer import open_issuer
from safeconduct.services.relay import open_relay
from safeconduct.services.status import open_status
from safeconduct.services.verifier import open_verifier
from safeconduct.settings import (
    DatabaseUrl,
    IssuerSettings,
    KeyPlace,
    RelaySettings,
    Secret,
    Settings,
    StatusSettings,
    VerifierSettings,
    WalletSettings,
)
from safeconduct.wallet import store
from safeconduct.wallet.safe import open_safe
from safeconduct.wallet.wallet import Notice, Wallet, open_wallet

PARTIES = ("issuer", "status", "relay", "verifier")

CONFIGURATIONS = """
[[configurations]]
id = "car_key"
format = "dc+sd-jwt"
vct = "https://issuer.example/credentials/car-key"
name = "Car key"
status = true

[configurations.claims]
vehicle = { mandatory = true }
owner = {}
"access_rights[]" = {}

[configurations.sharing]
modes = ["share", "move"]
rights = "access_rights"
claims = ["vehicle", "access_rights"]
"""
"""What the issuer issues, and how it may be shared, as its operator writes it."""


class MovingClock:
    """The time of day, which the story may put forward."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = 0

    def __call__(self) -> int:
        """Return the time in seconds."""
        return self._clock() + self._ahead

    def later(self, seconds: int) -> None:
        """Let so much time pass for everybody."""
        self._ahead += seconds


class Person(msgspec.Struct):
    """Somebody with a wallet. tape: what the wallet sent and got. shown: what it showed to its user."""

    name: str
    wallet: Wallet
    directory: Path
    tape: list[Exchange]
    notices: list[Notice]
    shown: list[str] = []

    async def known(self) -> dict[str, bytes]:
        """Return all that the wallet has."""
        async with open_safe(WalletSettings(store=self.directory)) as safe:
            records = await safe.run(store.read_all)
        return {
            "traffic": b"\n".join(exchange.everything() for exchange in self.tape),
            "records": b"\n".join(record.content for record in records),
            "screen": "\n".join(self.shown).encode(),
        }

    async def newest_key(self) -> Key:
        """Return the key of the credential that came last."""
        newest = (await self.wallet.list())[0]
        async with open_safe(WalletSettings(store=self.directory)) as safe:
            return (await safe.run(store.find_credential, newest.id)).holder_key


class Stage(msgspec.Struct, frozen=True):
    """All who take part. admin: where issuer and status host are managed, by name; token: with what."""

    network: Network
    clock: MovingClock
    parties: dict[str, Party]
    admin: dict[str, str]
    token: Secret

    def __getitem__(self, name: str) -> Party:
        return self.parties[name]

    async def offer(self, claims: dict[str, Any]) -> Offer:
        """Make an offer of a car key as the issuer's operator does."""
        wish = {"configuration_id": "car_key", "claims": claims, "tx_code": True}
        made = (await self._manage("issuer", "/offers", wish)).json()
        return Offer(made["offer_uri"], made["tx_code"])

    async def publish(self) -> None:
        """Publish what has changed of the status of credentials."""
        await self._manage("status", "/publish", None)

    @asynccontextmanager
    async def person(self, name: str, directory: Path) -> AsyncIterator[Person]:
        """Open somebody's wallet."""
        tape: list[Exchange] = []
        notices: list[Notice] = []
        settings = WalletSettings(
            store=directory, allow_loopback_http=self.network.loopback, relay=self["relay"].url
        )
        async with self.network.fetcher() as line:
            opened = open_wallet(
                settings,
                clock=self.clock,
                fetcher=RecordingFetcher(line, party=name, tape=tape),
                report=notices.append,
            )
            async with opened as wallet:
                yield Person(name, wallet, directory, tape, notices)

    async def _manage(self, party: str, path: str, wish: dict[str, Any] | None) -> Response:
        headers = {"Authorization": f"Bearer {self.token.reveal()}", "Content-Type": "application/json"}
        content = b"" if wish is None else json.dumps(wish)
        async with self.network.fetcher() as fetcher:
            answer = await fetcher.request("POST", self.admin[party] + path, headers=headers, content=content)
        assert answer.status in (200, 201), answer.status
        return answer


@asynccontextmanager
async def open_stage(directory: Path, *, network: Network, clock: Clock) -> AsyncIterator[Stage]:
    """Start all services with their files in a directory."""
    moving = MovingClock(clock)
    parties = {
        name: Party(name=name, url=network.address(name), database=directory / f"{name}.db")
        for name in PARTIES
    }
    admin = {name: network.address(f"{name}-admin") for name in ("issuer", "status")}
    stage = Stage(network, moving, parties, admin, Secret(secrets.token_hex(16)))
    settings = _settings(stage, directory)
    issuer = open_issuer(settings.issuer, telemetry=parties["issuer"].telemetry(), clock=moving)
    async with issuer as listeners, network.running(recorded(listeners, parties["issuer"])):
        await _write_trust(stage, settings)
        status = open_status(settings, telemetry=parties["status"].telemetry(), clock=moving)
        relay = open_relay(settings.relay, telemetry=parties["relay"].telemetry(), clock=moving)
        async with (
            status as status_listeners,
            network.running(recorded(status_listeners, parties["status"])),
            relay as relay_listeners,
            network.running(recorded(relay_listeners, parties["relay"])),
            _verifier(stage, settings),
        ):
            yield stage


@asynccontextmanager
async def _verifier(stage: Stage, settings: Settings) -> AsyncIterator[None]:
    party = stage["verifier"]
    async with stage.network.fetcher() as fetcher:
        opened = open_verifier(
            settings.verifier, telemetry=party.telemetry(), clock=stage.clock, fetcher=fetcher
        )
        async with opened as listeners, stage.network.running(recorded(listeners, party)):
            yield


async def _write_trust(stage: Stage, settings: Settings) -> None:
    """Let the verifier believe the issuer's keys."""
    issuer = stage["issuer"].url
    async with stage.network.fetcher() as fetcher:
        document = await fetcher.get_json(urls.well_known(issuer, "jwt-vc-issuer"))
    assert settings.verifier.trust is not None
    settings.verifier.trust.write_bytes(json.dumps({issuer: document["jwks"]["keys"]}))


def _settings(stage: Stage, directory: Path) -> Settings:
    configurations = directory / "configurations.toml"
    configurations.write_text(CONFIGURATIONS, encoding="utf-8")
    return Settings(
        issuer=IssuerSettings(
            **_place(stage, "issuer"),
            database=_database(stage["issuer"]),
            admin_token=stage.token,
            signing_key=KeyPlace(directory / "issuer-key.pem"),
            configurations=configurations,
            status_list_uri=f"{stage['status'].url}/.well-known/status-lists",
            status_list_size=4096,
        ),
        status=StatusSettings(
            **_place(stage, "status"),
            admin_token=stage.token,
            tree=directory / "tree",
            key=KeyPlace(directory / "status-key.pem"),
        ),
        relay=RelaySettings(**_place(stage, "relay"), database=_database(stage["relay"])),
        verifier=VerifierSettings(
            **_place(stage, "verifier"),
            database=_database(stage["verifier"]),
            trust=directory / "trust.json",
        ),
    )


def _place(stage: Stage, name: str) -> dict[str, Any]:
    admin = stage.admin.get(name)
    url = stage[name].url
    return {"identifier": url, "port": port_of(url), "admin_port": port_of(admin) if admin else 0}


def _database(party: Party) -> DatabaseUrl:
    return DatabaseUrl(f"sqlite:///{party.database}")
