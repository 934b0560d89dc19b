"""The issuers that may be asked, and where their credential endpoints are, in their own words."""

from collections.abc import Sequence

import msgspec

from safeconduct import limits
from safeconduct.clock import Clock
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.net.fetch import Fetcher
from safeconduct.protocols.openid4vci.metadata import (
    IssuerMetadata,
    issuer_metadata_url,
    parse_issuer_metadata,
)

METADATA_SECONDS = 300
"""How long an endpoint is taken from memory before the issuer is asked again."""


class IssuerNotAllowed(Rejected):
    """The issuer is not on the list."""

    oauth_error = "access_denied"
    http_status = 403


class IssuerUnusable(Rejected):
    """The issuer's metadata cannot be had, or names no endpoint to forward to."""

    oauth_error = "temporarily_unavailable"
    http_status = 502


class _Known(msgspec.Struct, frozen=True):
    endpoint: str
    until: int


class Issuers:
    """The allow-list. Wallets name an issuer, never a URL to send to."""

    def __init__(self, allowed: Sequence[str], *, fetcher: Fetcher, clock: Clock) -> None:
        self.allowed = tuple(allowed)
        self._fetcher = fetcher
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def check(self, issuer: str | None) -> str:
        """Returns the issuer if it is on the list. Raises IssuerNotAllowed "issuer_not_allowed"."""
        if issuer is None or issuer not in self.allowed:
            raise IssuerNotAllowed("issuer_not_allowed", "Nothing is forwarded to this issuer.")
        return issuer

    async def credential_endpoint(self, issuer: str) -> str:
        """Returns the endpoint that an allowed issuer names. Raises IssuerUnusable "issuer_metadata"."""
        now = self._clock()
        known = self._known.get(issuer)
        if known is None or known.until <= now:
            known = _Known(await self._ask(issuer), now + METADATA_SECONDS)
            self._known[issuer] = known
        return known.endpoint

    async def _ask(self, issuer: str) -> str:
        try:
            answer = await self._fetcher.request(
                "GET",
                issuer_metadata_url(issuer),
                headers={"Accept": "application/json"},
                max_bytes=limits.METADATA_BYTES,
                content_types={"application/json"},
            )
            if answer.status != 200:
                raise Rejected("status_unexpected", "The issuer gives no metadata.")
            metadata = parse_issuer_metadata(answer.body, credential_issuer=issuer, allow_http_loopback=True)
        except SafeconductError as error:
            raise IssuerUnusable("issuer_metadata", "The issuer's metadata cannot be used.") from error
        return _endpoint(metadata)


def _endpoint(metadata: IssuerMetadata) -> str:
    others = (
        metadata.nonce_endpoint,
        metadata.deferred_credential_endpoint,
        metadata.notification_endpoint,
    )
    if metadata.credential_endpoint in others:
        raise IssuerUnusable("issuer_metadata", "The issuer's metadata cannot be used.")
    return metadata.credential_endpoint
