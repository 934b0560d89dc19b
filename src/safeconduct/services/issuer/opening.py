"""How the issuer is put together from its settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Counter
from starlette.routing import Route

from safeconduct.clock import Clock
from safeconduct.services.issuer.admin import admin_routes
from safeconduct.services.issuer.authorization_routes import authorization_routes
from safeconduct.services.issuer.authorization_server import AuthorizationServer
from safeconduct.services.issuer.configuration import load_catalogue
from safeconduct.services.issuer.housekeeping import Housekeeping
from safeconduct.services.issuer.offers import Offers
from safeconduct.services.issuer.routes import routes
from safeconduct.services.issuer.service import Issuer
from safeconduct.services.issuer.signing_key import load_or_create
from safeconduct.services.issuer.tenant import Tenant
from safeconduct.settings import IssuerSettings, SettingsError
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER
from safeconduct.telemetry import Telemetry
from safeconduct.web.app import admin_app, public_app
from safeconduct.web.problems import OAUTH
from safeconduct.web.serve import Listener, Tls
from safeconduct.web.upkeep import answers, repeatedly

SWEEP_SECONDS = 60
"""How often expired rows are deleted."""


@asynccontextmanager
async def open_issuer(
    settings: IssuerSettings, *, telemetry: Telemetry, clock: Clock
) -> AsyncIterator[list[Listener]]:
    """Opens the issuer's database and yields its listeners, the public one first.

    Raises SettingsError (key file, configurations, no identifier), MigrationError, StorageUnavailable.
    """
    if not settings.identifier and settings.port == 0:
        raise SettingsError(("issuer.identifier: expected one, because port 0 is any port",))
    signing = load_or_create(settings.signing_key)
    if signing.created:
        telemetry.log.warning("signing_key_created")
    catalogue = load_catalogue(
        settings.configurations,
        issuer=settings.url,
        signing_algorithm=signing.key.algorithm.cose,
        credential_lifetime=settings.credential_lifetime,
    )
    async with await Database.open(settings.database, branch=ISSUER) as database:
        tenant = Tenant(
            settings=settings,
            database=database,
            catalogue=catalogue,
            signer=signing.key,
            clock=clock,
            telemetry=telemetry,
        )
        issuer = Issuer(tenant, issued=_issued_counter(telemetry))
        offers = Offers(tenant)
        public = [*routes(issuer, offers), *authorization_routes(AuthorizationServer(tenant))]
        keeping = Housekeeping([tenant], database=database, clock=clock)
        async with repeatedly(keeping.sweep, seconds=SWEEP_SECONDS, telemetry=telemetry):
            yield [
                _public_listener(settings, public, telemetry),
                _admin_listener(settings, offers, database, telemetry),
            ]


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
    settings: IssuerSettings, offers: Offers, database: Database, telemetry: Telemetry
) -> Listener:
    app = admin_app(
        admin_routes(offers),
        telemetry=telemetry,
        token=settings.admin_token,
        healthy=lambda: answers(database),
    )
    return Listener("issuer-admin", app, settings.admin_host, settings.admin_port)
