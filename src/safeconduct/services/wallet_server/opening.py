"""How the wallet server is put together from its settings."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from safeconduct.clock import Clock
from safeconduct.net.fetch import Fetcher, HttpFetcher
from safeconduct.protocols.oauth.urls import is_loopback
from safeconduct.services.wallet_server.allow_list import AllowList
from safeconduct.services.wallet_server.routes import admin_routes, routes
from safeconduct.services.wallet_server.service import WalletServer
from safeconduct.settings import WalletServerSettings
from safeconduct.storage import Database
from safeconduct.storage.migrations import WALLET_SERVER
from safeconduct.telemetry import Telemetry
from safeconduct.web.app import admin_app, public_app
from safeconduct.web.problems import RFC9457
from safeconduct.web.serve import Listener, Tls
from safeconduct.web.upkeep import answers, ready, repeatedly

SWEEP_SECONDS = 60
"""How often expired rows are deleted, and the file of issuers is read."""

COUNT_SECONDS = 10
"""How often counts are added to those in the database."""

PUSH_SECONDS = 5
"""How often it is looked whether wake-ups are due."""

MOST_CONNECTIONS = 1024
"""To all issuers together."""


@asynccontextmanager
async def open_wallet_server(
    settings: WalletServerSettings, *, telemetry: Telemetry, clock: Clock, fetcher: Fetcher | None = None
) -> AsyncIterator[list[Listener]]:
    """Opens the wallet server's database and yields its listeners, the public one first.

    fetcher: to reach issuers and the push gateway with; its own over HTTP unless given, which reaches this
    machine only if an allowed issuer is here. Raises SettingsError (file of issuers), MigrationError,
    StorageUnavailable.
    """
    async with AsyncExitStack() as stack:
        allow_list = AllowList(settings)
        database = await stack.enter_async_context(
            await Database.open(settings.database, branch=WALLET_SERVER)
        )
        to_issuers: Fetcher
        to_gateway: Fetcher
        if fetcher is None:
            to_issuers = await stack.enter_async_context(_to_issuers(settings, allow_list))
            to_gateway = await stack.enter_async_context(_to_gateway(settings))
        else:
            to_issuers = to_gateway = fetcher
        server = WalletServer(
            settings=settings,
            allow_list=allow_list,
            database=database,
            fetcher=to_issuers,
            pusher=to_gateway,
            clock=clock,
            telemetry=telemetry,
        )
        stack.push_async_callback(server.close)
        for work, seconds in (
            (server.sweep, SWEEP_SECONDS),
            (server.reliability.keep, COUNT_SECONDS),
            (server.wakeups.push, PUSH_SECONDS),
        ):
            await stack.enter_async_context(repeatedly(work, seconds=seconds, telemetry=telemetry))
        yield _listeners(settings, server, database, telemetry)


def _to_issuers(settings: WalletServerSettings, allow_list: AllowList) -> HttpFetcher:
    return HttpFetcher(
        allow_loopback=any(is_loopback(issuer) for issuer in allow_list.issuers),
        timeout=settings.forward_timeout,
        connect_timeout=min(settings.connect_timeout, settings.forward_timeout),
        connections=min(settings.issuer_concurrency * max(1, len(allow_list.issuers)), MOST_CONNECTIONS),
    )


def _to_gateway(settings: WalletServerSettings) -> HttpFetcher:
    """The gateway is the operator's own, and may stand in a private network."""
    here = bool(settings.wake_url) and is_loopback(settings.wake_url)
    return HttpFetcher(allow_loopback=here, allow_private=True, timeout=settings.forward_timeout)


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
        ready=lambda: ready(database, WALLET_SERVER),
    )
    tls = None
    if settings.tls_certificate and settings.tls_key:
        tls = Tls(settings.tls_certificate, settings.tls_key)
    return [
        Listener("wallet-server", public, settings.host, settings.port, tls),
        Listener("wallet-server-admin", admin, settings.admin_host, settings.admin_port),
    ]
