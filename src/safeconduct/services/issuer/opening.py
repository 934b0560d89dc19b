"""How the issuer is put together from its settings."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from prometheus_client import Counter
from starlette.routing import Route

from safeconduct.clock import Clock
from safeconduct.services.issuer.admin import admin_routes
from safeconduct.services.issuer.authorization_routes import authorization_routes
from safeconduct.services.issuer.authorization_server import AuthorizationServer
from safeconduct.services.issuer.card_pages import CardPages
from safeconduct.services.issuer.card_sources import open_bundle_source
from safeconduct.services.issuer.cards import Cards
from safeconduct.services.issuer.configuration import load_catalogue
from safeconduct.services.issuer.fetchers import Fetchers
from safeconduct.services.issuer.housekeeping import Housekeeping
from safeconduct.services.issuer.management import Management
from safeconduct.services.issuer.offers import Offers
from safeconduct.services.issuer.routes import routes
from safeconduct.services.issuer.service import Issuer
from safeconduct.services.issuer.share_routes import share_routes
from safeconduct.services.issuer.sharing import ShareCounters, Shares
from safeconduct.services.issuer.sources import ClaimSource, open_source
from safeconduct.services.issuer.tenant import Tenant
from safeconduct.services.issuer.webhooks import Webhooks
from safeconduct.services.signing_keys import SigningKeys
from safeconduct.settings import IssuerSettings, SettingsError
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER
from safeconduct.telemetry import Telemetry
from safeconduct.web.app import admin_app, public_app
from safeconduct.web.problems import OAUTH
from safeconduct.web.serve import Listener, Tls
from safeconduct.web.upkeep import answers, ready, repeatedly

SWEEP_SECONDS = 60
"""How often expired rows are deleted."""

WEBHOOK_SECONDS = 5
"""How often events that are due are sent."""

FETCH_SECONDS = 10.0
"""Time for one exchange with another server of the operator."""


@asynccontextmanager
async def open_issuer(
    settings: IssuerSettings, *, telemetry: Telemetry, clock: Clock, fetchers: Fetchers | None = None
) -> AsyncIterator[list[Listener]]:
    """Opens the issuer's database and yields its listeners, the public one first.

    All its tenants are served: told apart by the path of their identifiers, and on one database.
    fetchers: to reach servers of the operator's with; over HTTP unless given.
    Raises SettingsError (key file, configurations, no identifier), MigrationError, StorageUnavailable.
    """
    if not settings.tenants and not settings.identifier and settings.port == 0:
        raise SettingsError(("issuer.identifier: expected one, because port 0 is any port",))
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(await Database.open(settings.database, branch=ISSUER))
        fetchers = await stack.enter_async_context(fetchers or Fetchers(timeout=FETCH_SECONDS))
        tenants, cards = [], []
        issued = _cards_counter(telemetry)
        for own in settings.issuers:
            tenant, sources = _open_tenant(own, database, fetchers, telemetry=telemetry, clock=clock)
            for source in sources:
                stack.push_async_callback(source.close)
            tenants.append(tenant)
            cards.append(await _open_cards(tenant, fetchers, issued=issued))
        keeping = Housekeeping(tenants, cards=cards, database=database, clock=clock)
        webhooks = Webhooks(tenants, fetchers=fetchers, clock=clock, registry=telemetry.metrics.registry)
        await stack.enter_async_context(repeatedly(keeping.sweep, seconds=SWEEP_SECONDS, telemetry=telemetry))
        if webhooks.wanted:
            await stack.enter_async_context(
                repeatedly(webhooks.send_due, seconds=WEBHOOK_SECONDS, telemetry=telemetry, on_entering=False)
            )
        yield _listeners(settings, list(zip(tenants, cards, strict=True)), database, telemetry)


def _listeners(
    settings: IssuerSettings,
    tenants: Sequence[tuple[Tenant, Cards]],
    database: Database,
    telemetry: Telemetry,
) -> list[Listener]:
    issued = _issued_counter(telemetry)
    counters = ShareCounters(telemetry.metrics.registry)
    public: list[Route] = []
    managed: dict[str, Management] = {}
    for tenant, cards in tenants:
        issuer, server, offers = Issuer(tenant, issued=issued), AuthorizationServer(tenant), Offers(tenant)
        pages = CardPages(cards.links, issuer=tenant.url)
        shares = Shares(tenant, counters=counters)
        public += [*routes(issuer, offers), *share_routes(shares)]
        public += [*authorization_routes(server), *pages.routes()]
        managed[tenant.settings.name] = Management(tenant, offers, server, cards, shares)
    return [
        _public_listener(settings, public, telemetry),
        _admin_listener(settings, managed, database, telemetry),
    ]


def _open_tenant(
    settings: IssuerSettings,
    database: Database,
    fetchers: Fetchers,
    *,
    telemetry: Telemetry,
    clock: Clock,
) -> tuple[Tenant, list[ClaimSource]]:
    signing = SigningKeys(settings.signing_key, certificate=settings.signing_certificate)
    if signing.created:
        telemetry.log.warning("signing_key_created")
    catalogue = load_catalogue(
        settings.configurations,
        issuer=settings.url,
        signing_algorithm=signing.signer.algorithm.cose,
        credential_lifetime=settings.credential_lifetime,
        status_list_uri=settings.status_list_uri,
        status_list_bits=settings.status_list_bits,
        key_attesters=settings.key_attesters is not None,
    )
    sources = {
        name: open_source(kind.source, fetchers=fetchers, clock=clock)
        for name, kind in catalogue.items()
        if kind.source is not None
    }
    tenant = Tenant(
        settings=settings,
        database=database,
        catalogue=catalogue,
        signing=signing,
        clock=clock,
        telemetry=telemetry,
        sources=sources,
    )
    return tenant, list(sources.values())


async def _open_cards(tenant: Tenant, fetchers: Fetchers, *, issued: Counter) -> Cards:
    source = open_bundle_source(tenant.settings, fetchers=fetchers, clock=tenant.clock)
    cards = Cards(tenant, source=source, issued=issued)
    await cards.open()
    return cards


def _cards_counter(telemetry: Telemetry) -> Counter:
    return Counter(
        "safeconduct_health_cards_issued_total",
        "Health cards issued.",
        registry=telemetry.metrics.registry,
    )


def _issued_counter(telemetry: Telemetry) -> Counter:
    return Counter(
        "safeconduct_credentials_issued_total",
        "Credentials issued.",
        registry=telemetry.metrics.registry,
    )


def _public_listener(settings: IssuerSettings, public: list[Route], telemetry: Telemetry) -> Listener:
    app = public_app(public, telemetry=telemetry, problems=OAUTH)
    tls = None
    if settings.tls_certificate and settings.tls_key:
        tls = Tls(settings.tls_certificate, settings.tls_key)
    return Listener("issuer", app, settings.host, settings.port, tls)


def _admin_listener(
    settings: IssuerSettings, managed: Mapping[str, Management], database: Database, telemetry: Telemetry
) -> Listener:
    app = admin_app(
        admin_routes(managed),
        telemetry=telemetry,
        token=settings.admin_token,
        healthy=lambda: answers(database),
        ready=lambda: ready(database, ISSUER),
    )
    return Listener("issuer-admin", app, settings.admin_host, settings.admin_port)
