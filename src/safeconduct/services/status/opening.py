"""How the status service is put together from its settings."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from safeconduct.clock import Clock
from safeconduct.services.status import publishing
from safeconduct.services.status.admin import admin_routes
from safeconduct.services.status.publication import Publication, Publish
from safeconduct.services.status.representations import Representations
from safeconduct.services.status.routes import routes
from safeconduct.settings import Settings, SettingsError, StatusSettings
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER
from safeconduct.telemetry import Telemetry
from safeconduct.web.app import admin_app, public_app
from safeconduct.web.problems import RFC9457
from safeconduct.web.serve import Listener, Tls
from safeconduct.web.upkeep import repeatedly

UNPUBLISHED_SECONDS = 60
"""How long caches may keep files that something else publishes, at a time that is not known here."""


@asynccontextmanager
async def open_status(
    settings: Settings, *, telemetry: Telemetry, clock: Clock, publish: Publish | None = None
) -> AsyncIterator[list[Listener]]:
    """Yields the listeners of a published tree, the public one first; publishes it anew every while.

    publish: brings the tree up to date; from the issuer's database unless given. With `refresh` 0 nothing is
    published and no database opened. Raises SettingsError (keys, paths), MigrationError, and what the first
    publication does: StorageUnavailable, OSError, Rejected "status_tree_newer".
    """
    own = settings.status
    async with AsyncExitStack() as stack:
        publication = None
        if own.refresh:
            publish = publish or await _publisher(settings, stack, clock)
            publication = Publication(publish, telemetry=telemetry, clock=clock)
            await publication.now()
            again = repeatedly(publication.again, seconds=own.refresh, telemetry=telemetry, on_entering=False)
            await stack.enter_async_context(again)
        yield _listeners(own, _trees(settings), publication, telemetry)


async def _publisher(settings: Settings, stack: AsyncExitStack, clock: Clock) -> Publish:
    database = await stack.enter_async_context(await Database.open(settings.issuer.database, branch=ISSUER))

    async def publish() -> int:
        return (await publishing.publish(settings, database, now=clock())).changed

    return publish


def _trees(settings: Settings) -> dict[str, Path]:
    """The folders to give out, by the path of the URL below which each stands.

    A tenant's cards name a URL of the tenant's own. Raises SettingsError (two of them have one path).
    """
    own, found = urlsplit(settings.status.url).path, dict[str, Path]()
    if not settings.issuer.tenants:
        found[urlsplit(settings.card_issuer_of(settings.issuer)).path] = settings.status.tree
        return {**found, own: settings.status.tree}
    for tenant in settings.issuer.tenants:
        url = settings.card_issuer_of(tenant)
        path = urlsplit(url).path if url else f"{own}/{tenant.name}"
        if path in found:
            raise SettingsError((f"issuer.tenants.{tenant.name}.card_issuer: expected a path of its own",))
        found[path] = settings.status.tree / tenant.name
    return found


def _listeners(
    settings: StatusSettings,
    trees: Mapping[str, Path],
    publication: Publication | None,
    telemetry: Telemetry,
) -> list[Listener]:
    async def healthy() -> bool:
        return settings.tree.is_dir()

    max_age = settings.refresh or UNPUBLISHED_SECONDS
    public = [
        route
        for base, folder in trees.items()
        for route in routes(Representations(folder), base=base, max_age=max_age)
    ]
    tls = None
    if settings.tls_certificate and settings.tls_key:
        tls = Tls(settings.tls_certificate, settings.tls_key)
    app = public_app(public, telemetry=telemetry, problems=RFC9457)
    management = admin_app(
        admin_routes(publication), telemetry=telemetry, token=settings.admin_token, healthy=healthy
    )
    return [
        Listener("status", app, settings.host, settings.port, tls),
        Listener("status-admin", management, settings.admin_host, settings.admin_port),
    ]
