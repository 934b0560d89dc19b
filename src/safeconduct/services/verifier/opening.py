"""How the verifier is put together from its settings."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from safeconduct.clock import Clock
from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import Fetcher, HttpFetcher
from safeconduct.services.verifier.formats import judges
from safeconduct.services.verifier.routes import admin_routes, routes
from safeconduct.services.verifier.service import Verifier
from safeconduct.services.verifier.statuses import RENEW_SECONDS, Statuses
from safeconduct.services.verifier.trust_file import load_trust
from safeconduct.settings import SettingsError, VerifierSettings, is_loopback
from safeconduct.storage import Database
from safeconduct.storage.migrations import VERIFIER
from safeconduct.telemetry import Telemetry
from safeconduct.web.app import admin_app, public_app
from safeconduct.web.problems import RFC9457
from safeconduct.web.serve import Listener, Tls
from safeconduct.web.upkeep import answers, repeatedly

SWEEP_SECONDS = 60
"""How often expired rows are deleted."""


@asynccontextmanager
async def open_verifier(
    settings: VerifierSettings, *, telemetry: Telemetry, clock: Clock, fetcher: Fetcher | None = None
) -> AsyncIterator[list[Listener]]:
    """Opens the verifier's database and yields its listeners, the public one first.

    fetcher: of status lists, over HTTP unless given.
    Raises SettingsError (trust file, profiles, no identifier), MigrationError, StorageUnavailable.
    """
    _check(settings)
    trust = load_trust(settings.trust)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(await Database.open(settings.database, branch=VERIFIER))
        fetcher = await stack.enter_async_context(_fetching(settings, fetcher))
        statuses = Statuses(
            settings, fetcher=fetcher, trust=trust, clock=clock, registry=telemetry.metrics.registry
        )
        verifier = Verifier(settings=settings, database=database, trust=trust, clock=clock, statuses=statuses)
        async with (
            repeatedly(verifier.sweep, seconds=SWEEP_SECONDS, telemetry=telemetry),
            repeatedly(statuses.renew, seconds=RENEW_SECONDS, telemetry=telemetry),
        ):
            yield _listeners(settings, verifier, database, telemetry)


@asynccontextmanager
async def _fetching(settings: VerifierSettings, given: Fetcher | None) -> AsyncIterator[Fetcher]:
    """A verifier that is on this machine alone may fetch from it as well; others never do."""
    if given is not None:
        yield given
        return
    loopback = is_loopback(urlsplit(settings.url).hostname or "")
    async with HttpFetcher(
        allow_loopback=loopback, allow_private=settings.status_private, timeout=settings.status_timeout
    ) as fetcher:
        yield fetcher


def _check(settings: VerifierSettings) -> None:
    if not settings.identifier and settings.port == 0:
        raise SettingsError(("verifier.identifier: expected one, because port 0 is any port",))
    try:
        judges(settings.profiles, delegated=False)
    except SafeconductError as error:
        raise SettingsError((f"verifier.profiles: {error.reason}",)) from None
    if settings.delegation_depth and not settings.delegation_types:
        raise SettingsError(
            ("verifier.delegation_types: expected the types that holders may pass on, or a depth of 0",)
        )


def _listeners(
    settings: VerifierSettings, verifier: Verifier, database: Database, telemetry: Telemetry
) -> list[Listener]:
    public = public_app(routes(verifier), telemetry=telemetry, problems=RFC9457)
    admin = admin_app(
        admin_routes(verifier),
        telemetry=telemetry,
        token=settings.admin_token,
        healthy=lambda: answers(database),
    )
    tls = None
    if settings.tls_certificate and settings.tls_key:
        tls = Tls(settings.tls_certificate, settings.tls_key)
    return [
        Listener("verifier", public, settings.host, settings.port, tls),
        Listener("verifier-admin", admin, settings.admin_host, settings.admin_port),
    ]
