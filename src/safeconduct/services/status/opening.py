"""How the status service is put together from its settings."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from safeconduct.clock import Clock
from safeconduct.services.status.admin import admin_routes
from safeconduct.services.status.publication import Publication, Publish
from safeconduct.services.status.representations import Representations
from safeconduct.services.status.routes import routes
from safeconduct.settings import Settings, StatusSettings
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
    published and no database opened. Raises SettingsError (key files), MigrationError, StorageUnavailable and
    OSError of the first publication.
    """
    own = settings.status
    async with AsyncExitStack() as stack:
        publication = None
        if own.refresh and publish is not None:
            publication = Publication(publish, telemetry=telemetry, clock=clock)
            await publication.now()
            again = repeatedly(publication.again, seconds=own.refresh, telemetry=telemetry, on_entering=False)
            await stack.enter_async_context(again)
        yield _listeners(own, publication, telemetry)


def _listeners(
    settings: StatusSettings, publication: Publication | None, telemetry: Telemetry
) -> list[Listener]:
    async def healthy() -> bool:
        return settings.tree.is_dir()

    files = Representations(settings.tree)
    public = routes(files, base=urlsplit(settings.url).path, max_age=settings.refresh or UNPUBLISHED_SECONDS)
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
