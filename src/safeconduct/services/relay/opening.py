"""How the relay is put together from its settings."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from safeconduct.clock import Clock
from safeconduct.services.relay.addresses import Gate
from safeconduct.services.relay.routes import Marked, admin_routes, routes
from safeconduct.services.relay.service import Relay
from safeconduct.settings import RelaySettings, SettingsError
from safeconduct.storage import Database
from safeconduct.storage.migrations import RELAY
from safeconduct.telemetry import Telemetry
from safeconduct.web.app import admin_app, public_app
from safeconduct.web.problems import RFC9457
from safeconduct.web.serve import Listener, Tls
from safeconduct.web.upkeep import answers, ready, repeatedly

SWEEP_SECONDS = 60
"""How often expired mailboxes are deleted."""

LOOK_SECONDS = 1
"""How often those who wait are told of what another process, or time, has done."""


@asynccontextmanager
async def open_relay(
    settings: RelaySettings, *, telemetry: Telemetry, clock: Clock
) -> AsyncIterator[list[Listener]]:
    """Opens the relay's database and yields its listeners, the public one first.

    Raises SettingsError (no identifier), MigrationError, StorageUnavailable.
    """
    if not settings.identifier and settings.port == 0:
        raise SettingsError(("relay.identifier: expected one, because port 0 is any port",))
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(await Database.open(settings.database, branch=RELAY))
        relay = Relay(settings=settings, database=database, clock=clock)
        await relay.recount()
        # Much may have expired while the relay was down: it is deleted beside what wallets do.
        sweeping = repeatedly(
            relay.sweep, seconds=SWEEP_SECONDS, telemetry=telemetry, on_entering=False, pause=0
        )
        await stack.enter_async_context(sweeping)
        looking = repeatedly(relay.look, seconds=LOOK_SECONDS, telemetry=telemetry)
        await stack.enter_async_context(looking)
        yield _listeners(settings, relay, database, telemetry)


def _listeners(
    settings: RelaySettings, relay: Relay, database: Database, telemetry: Telemetry
) -> list[Listener]:
    public = public_app(
        routes(relay, Gate(settings)), telemetry=telemetry, problems=RFC9457, max_body=settings.body_bytes
    )
    admin = admin_app(
        admin_routes(relay),
        telemetry=telemetry,
        token=settings.admin_token,
        healthy=lambda: answers(database),
        ready=lambda: ready(database, RELAY),
    )
    tls = None
    if settings.tls_certificate and settings.tls_key:
        tls = Tls(settings.tls_certificate, settings.tls_key)
    return [
        Listener("relay", Marked(public, settings), settings.host, settings.port, tls),
        Listener("relay-admin", admin, settings.admin_host, settings.admin_port),
    ]
