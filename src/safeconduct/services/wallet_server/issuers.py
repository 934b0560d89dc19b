"""What is known of the allowed issuers, in their own words: their metadata and their endpoints."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, Literal, TypeVar

import msgspec

from safeconduct import limits
from safeconduct.clock import Clock
from safeconduct.errors import Rejected, SafeconductError, Unsupported
from safeconduct.net.fetch import Fetcher, Response, Unreachable
from safeconduct.protocols.openid4vci.metadata import (
    IssuerMetadata,
    issuer_metadata_url,
    parse_issuer_metadata,
)
from safeconduct.services.wallet_server.outcomes import (
    Undelivered,
    deferred_unsupported,
    issuer_metadata,
    issuer_unreachable,
)

METADATA_SECONDS = 300
"""How long metadata is taken from memory before the issuer is asked again."""

FAILURE_SECONDS = 5
"""How long a failure is: many wallets must not become many requests to an issuer in trouble."""

FAILING = frozenset({502, 503, 504})
"""Statuses by which a proxy says that the issuer behind it is in trouble. A 500 may be one wallet's doing."""

SIGNED = "application/jwt"
PLAIN = "application/json"

Kind = Literal["credential", "deferred"]
"""What may be forwarded."""

_COMPACT_JWS = re.compile(rb"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}")

T = TypeVar("T")


class MetadataUnsigned(Unsupported):
    """The issuer has no signed metadata."""

    http_status = 406


class Document(msgspec.Struct, frozen=True):
    """A metadata document, byte for byte as the issuer gave it."""

    media_type: str
    body: bytes


class Issuers:
    """Asks allowed issuers, and remembers for a while what they said."""

    def __init__(self, *, fetcher: Fetcher, clock: Clock) -> None:
        self._fetcher = fetcher
        self._documents: _Memory[Document] = _Memory(clock)
        self._endpoints: _Memory[dict[Kind, str | None]] = _Memory(clock)

    async def endpoint(self, issuer: str, kind: Kind) -> str:
        """Return the endpoint of an allowed issuer.

        Raises IssuerUnusable "issuer_metadata", "issuer_unreachable"; DeferredUnsupported
        "deferred_unsupported".
        """
        endpoints = await self._endpoints.get(issuer, lambda: self._learn(issuer))
        endpoint = endpoints[kind]
        if endpoint is None:
            raise deferred_unsupported()
        return endpoint

    async def document(self, issuer: str, *, signed: bool) -> Document:
        """Return the metadata of an allowed issuer as it is, verified by nobody.

        Raises IssuerUnusable "issuer_metadata", "issuer_unreachable"; MetadataUnsigned "metadata_unsigned".
        """
        return await self._documents.get((issuer, signed), lambda: self._fetch(issuer, signed=signed))

    async def _learn(self, issuer: str) -> dict[Kind, str | None]:
        document = await self.document(issuer, signed=False)
        try:
            metadata = parse_issuer_metadata(
                document.body, credential_issuer=issuer, allow_http_loopback=True
            )
            return _endpoints(metadata)
        except SafeconductError as error:
            self._documents.forget((issuer, False))  # else its mending would show only when it is old
            raise issuer_metadata() from error

    async def _fetch(self, issuer: str, *, signed: bool) -> Document:
        wanted = SIGNED if signed else PLAIN
        try:
            answer = await self._fetcher.request(
                "GET",
                issuer_metadata_url(issuer),
                headers={"Accept": wanted},
                max_bytes=limits.METADATA_BYTES,
            )
        except Unreachable as error:
            raise issuer_unreachable() from error
        except SafeconductError as error:
            raise issuer_metadata() from error
        if answer.status in FAILING:
            raise issuer_unreachable()
        if signed and not _is_signed(answer):
            raise MetadataUnsigned("metadata_unsigned", "The issuer gives no signed metadata.")
        if answer.status != 200 or answer.content_type != wanted:
            raise issuer_metadata()
        return Document(wanted, answer.body)


def _is_signed(answer: Response) -> bool:
    typed = answer.status == 200 and answer.content_type == SIGNED
    return typed and _COMPACT_JWS.fullmatch(answer.body) is not None


def _endpoints(metadata: IssuerMetadata) -> dict[Kind, str | None]:
    """What is forwarded must not end up where it is read otherwise."""
    sealed = (metadata.credential_endpoint, metadata.deferred_credential_endpoint)
    others = {metadata.nonce_endpoint, metadata.notification_endpoint} - {None}
    if others & {*sealed} or sealed[0] == sealed[1]:
        raise issuer_metadata()
    return {"credential": sealed[0], "deferred": sealed[1]}


class _Memory(Generic[T]):
    """What was found out, or that it could not be; asked for by many at once, found out by one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[Hashable, tuple[int, T | Rejected | Unsupported]] = {}
        self._asking: dict[Hashable, asyncio.Task[T | Rejected | Unsupported]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        until, known = self._known.get(key, (0, None))
        if known is None or until <= self._clock():
            known = await self._ask(key, ask)
        if isinstance(known, Rejected | Unsupported):
            raise known.with_traceback(None)
        return known

    def forget(self, key: Hashable) -> None:
        self._known.pop(key, None)

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T | Rejected | Unsupported:
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._find_out(key, ask))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def _find_out(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T | Rejected | Unsupported:
        found: T | Rejected | Unsupported
        try:
            found, seconds = await ask(), METADATA_SECONDS
        except (Undelivered, MetadataUnsigned) as error:
            found, seconds = error, FAILURE_SECONDS
        self._known[key] = (self._clock() + seconds, found)
        return found
