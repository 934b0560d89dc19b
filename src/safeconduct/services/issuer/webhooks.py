"""Telling the operator's own system what happened: a signed POST for each event, again until it is received.

An event is received when the answer is 2xx. It may come more than once (its `id` tells) and out of order.
"""

import asyncio
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter

from safeconduct.clock import Clock
from safeconduct.errors import SafeconductError
from safeconduct.services.issuer import event_store
from safeconduct.services.issuer.event_store import Sending
from safeconduct.services.issuer.fetchers import Fetchers
from safeconduct.services.issuer.signature import SIGNATURE_HEADER, sign
from safeconduct.services.issuer.tenant import Tenant

PAUSES = (30, 60, 120, 300, 900, 1800, 3600, *(7200,) * 10)
"""Seconds after each attempt, then it is given up: some 22 hours in all. The first is three times as long as
an attempt may take, so an attempt is never made twice at once."""

_AT_ONCE = 16
_ANSWER_BYTES = 64 * 1024


class Webhooks:
    """Sends the events of some tenants."""

    def __init__(
        self, tenants: Sequence[Tenant], *, fetchers: Fetchers, clock: Clock, registry: CollectorRegistry
    ) -> None:
        """fetchers: by whether a tenant's webhook may be on this machine or in a private network."""
        self._tenants = [tenant for tenant in tenants if tenant.settings.webhook_url]
        self._fetchers = fetchers
        self._clock = clock
        self._outcomes = Counter(
            "safeconduct_webhooks_total", "Events sent, by outcome.", ["outcome"], registry=registry
        )

    @property
    def wanted(self) -> bool:
        """Whether any tenant has a webhook."""
        return bool(self._tenants)

    async def send_due(self) -> None:
        """Sends what is due, a few at once of each tenant, and forgets what was received or is hopeless."""
        await asyncio.gather(*map(self._send_due_of, self._tenants))

    async def _send_due_of(self, tenant: Tenant) -> None:
        now = self._clock()
        lost = await tenant.database.run(event_store.give_up, tenant.url, now=now, attempts=len(PAUSES))
        if lost:
            self._outcomes.labels("given_up").inc(lost)
            tenant.telemetry.log.error("webhook_given_up", count=lost)
        received = [True]
        while all(received) and received:  # after a failure, what is left waits for the next time
            now = self._clock()
            due = await tenant.database.run(
                event_store.take_due, tenant.url, now=now, pauses=PAUSES, count=_AT_ONCE
            )
            received = await asyncio.gather(*(self._send(tenant, event, now) for event in due))

    async def _send(self, tenant: Tenant, event: Sending, now: int) -> bool:
        settings = tenant.settings
        assert settings.webhook_secret is not None
        headers = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: sign(settings.webhook_secret, event.body, now=now),
        }
        try:
            answer = await self._fetchers.of(private=settings.webhook_private).request(
                "POST", settings.webhook_url, headers=headers, content=event.body, max_bytes=_ANSWER_BYTES
            )
        except SafeconductError as error:
            return self._failed(tenant, event, error.code)
        if not 200 <= answer.status < 300:
            return self._failed(tenant, event, "webhook_refused")
        await tenant.database.run(event_store.sent, event.id)
        self._outcomes.labels("received").inc()
        return True

    def _failed(self, tenant: Tenant, event: Sending, code: str) -> bool:
        self._outcomes.labels("failed").inc()
        tenant.telemetry.log.warning("webhook_failed", code=code, attempt=event.attempt)
        return False
