"""What the issuer does from time to time: it deletes what has expired and destroys keys of past epochs."""

from collections.abc import Sequence

from safeconduct import limits
from safeconduct.clock import Clock
from safeconduct.services.issuer import delivery_store, grant_store, retention_store, share_store
from safeconduct.services.issuer.cards import Cards
from safeconduct.services.issuer.tenant import Tenant
from safeconduct.settings import SettingsError
from safeconduct.storage import Database
from safeconduct.storage.erasure import erase_traces

GRANT_MEMORY = 86400
"""Seconds that an offer's end stays visible to management."""

EVENT_MEMORY = 2 * 86400
"""Seconds that an event is kept at most; sending it is given up within a day."""


class Housekeeping:
    """Keeps the database of some tenants clean."""

    def __init__(
        self, tenants: Sequence[Tenant], *, cards: Sequence[Cards] = (), database: Database, clock: Clock
    ) -> None:
        self._tenants = tenants
        self._cards = cards
        self._database = database
        self._clock = clock

    async def sweep(self) -> None:
        """Deletes what has expired, and destroys the keys of past epochs in the database and in memory."""
        now = self._clock()
        while await self._database.run(share_store.lapse_due, now=now, limit=limits.SHARES_LAPSED):
            pass  # until none is due: each turn leaves the database to others for a while
        await self._database.run(grant_store.sweep, now=now, keep_grants_since=now - GRANT_MEMORY)
        await self._database.run(delivery_store.forget, now)
        await self._database.run(retention_store.purge, now=now, keep_events_since=now - EVENT_MEMORY)
        for tenant in self._tenants:
            await tenant.epochs.renew(now)
            _take_new_signing_key(tenant)
        for cards in self._cards:
            await cards.renew()
        await erase_traces(self._database)


def _take_new_signing_key(tenant: Tenant) -> None:
    """Signs with what `safeconduct key rotate` put in place; the operator mends what cannot be used."""
    try:
        if tenant.signing.refresh():
            tenant.telemetry.log.info("signing_key_changed")
    except SettingsError as error:
        tenant.telemetry.log.failure(error, event="signing_key_unusable")
