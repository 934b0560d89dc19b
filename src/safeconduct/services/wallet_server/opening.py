"""How the wallet server is put together from its settings."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from safeconduct.clock import Clock
from safeconduct.net.fetch import Fetcher, HttpFetcher
from safeconduct.protocols.oauth.urls import is_loopback
from safeconduct.services.wallet_server.routes import admin_routes, routes
from safeconduct.services.wallet_server.service import WalletServer
from safeconduct.settings import WalletServerSettings
from safeconduct.storage import Database
from safeconduct.storage.migrations import WALLET_SERVER
from safeconduct.telemetry import Telemetry
from safeconduct.web.app import admin_app, public_app
from safeconduct.web.problems import RFC9457
from safeconduct.web.serve import Listener, Tls
from safeconduct.web.upkeep import answers, repeatedly

SWEEP_SECONDS = 60
"""How often expired rows are deleted."""


@asynccontextmanager
async def open_wallet_server(
    settings: WalletServerSettings, *, telemetry: Telemetry, clock: Clock, fetcher: Fetcher | None = None
) -> AsyncIterator[list[Listener]]:
    """Opens the wallet server's database and yields its listeners, the public one first.

    fetcher: to reach issuers with; its own over HTTP unless given, which reaches this machine only if an
    allowed issuer is here. Raises MigrationError, StorageUnavailable.
    """
    async with AsyncExitStack() as stack:
        if fetcher is None:
            here = any(is_loopback(issuer) for issuer in settings.issuers)
            fetcher = await stack.enter_async_context(
                HttpFetcher(allow_loopback=here, timeout=settings.forward_timeout)
            )
        database = await stack.enter_async_context(
            await Database.open(settings.database, branch=WALLET_SERVER)
        )
        server = WalletServer(
            settings=settings, database=database, fetcher=fetcher, clock=clock, telemetry=telemetry
        )
        await stack.enter_async_context(repeatedly(server.sweep, seconds=SWEEP_SECONDS, telemetry=telemetry))
        yield _listeners(settings, server, database, telemetry)


def _listeners(
    settings: WalletServerSettings, server: WalletServer, database: Database, telemetry: Telemetry
) -> list[Listener]:
    public = public_app(
        routes(server), telemetry=telemetry, problems=RFC9457, max_body=settings.request_bytes
    )
    admin = admin_app(
        admin_routes(server),
        telemetry=telemetry,
        token=settings.admin_token,
        healthy=lambda: answers(database),
    )
    tls = None
    if settings.tls_certificate and settings.tls_key:
        tls = Tls(settings.tls_certificate, settings.tls_key)
    return [
        Listener("wallet-server", public, settings.host, settings.port, tls),
        Listener("wallet-server-admin", admin, settings.admin_host, settings.admin_port),
    ]
