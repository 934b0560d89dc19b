"""A verifier's Token Status Lists: fetched when first asked for, kept as long as they say, asked for again.

The host learns which list is wanted, never which place in it, and after the first time, where `renew` is
called, not when somebody shows a credential either. It cannot roll a list back: one that is older than the
list before it is not taken, and no list is used after its `exp`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection

import msgspec

from safeconduct import limits
from safeconduct.clock import Clock
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.net.fetch import Fetcher, Response
from safeconduct.status import token_list
from safeconduct.status.token_list import (
    CWT_TYPE,
    JWT_TYPE,
    Owner,
    StatusReference,
    TokenStatusLists,
    VerifiedListToken,
)
from safeconduct.trust import Trust

_ACCEPT = f"{JWT_TYPE}, {CWT_TYPE}"
_TYPES = {JWT_TYPE, CWT_TYPE}

_Name = tuple[str, tuple[str | None, bytes | None]]
"""What a list is kept under: its URI, and the identity of whom it was verified for."""


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """When a list is asked for again. Seconds.

    least, most: bounds for what a list says with `ttl`: its issuer must make verifiers neither ask without
    end nor never (draft-ietf-oauth-status-list §11.5). retry: after a fetch that failed.
    """

    least: int = 60
    most: int = 86400
    retry: int = 10


class TokenListCache:
    """Status lists in memory, for one verifier: they are verified by what it trusts."""

    def __init__(
        self,
        fetcher: Fetcher,
        *,
        trust: Trust,
        clock: Clock,
        freshness: Freshness | None = None,
        algorithms: Collection[str] = token_list.ANY_ALGORITHM,
        max_bytes: int = limits.STATUS_CACHE_BYTES,
        told: Callable[[str], None] = lambda _outcome: None,
    ) -> None:
        """told: hears of each fetch how it ended: "fetched", "unchanged", or the code of a fault."""
        self._fetcher = fetcher
        self._trust = trust
        self._clock = clock
        self._freshness = freshness or Freshness()
        self._algorithms = frozenset(algorithms)
        self._max_bytes = max_bytes
        self._told = told
        self._kept: OrderedDict[_Name, _Kept] = OrderedDict()
        self._asked: dict[_Name, tuple[Owner, int]] = {}  # for whom, and when last
        self._turns: dict[_Name, _Turn] = {}

    async def lists_for(self, reference: StatusReference, owner: Owner) -> TokenStatusLists:
        """Returns the list that a verified credential names, as evidence; or evidence of why there is none.

        reference, owner: of a credential whose signature has been verified: nobody else may make the verifier
        fetch. Raises nothing that a peer can cause.
        """
        kept = await self._current(reference.uri, owner)
        now = self._clock()
        self._asked[reference.uri, owner.identity] = owner, now
        if kept.token is None or kept.is_over(now, self._freshness):
            missing = Rejected("status_list_missing", "There is no status list for the credential.")
            return TokenStatusLists({reference.uri: kept.fault or missing})
        return TokenStatusLists.verified(kept.token, owner)

    async def renew(self, *, ahead: int = 0) -> None:
        """Asks again for the lists that are due, so that nobody's presentation does and so tells of itself.

        ahead: seconds until it is called again. Lists that nobody asked for as long as `Freshness.most` are
        left alone. Raises nothing that a peer can cause.
        """
        for name, (owner, asked) in list(self._asked.items()):
            kept, now = self._kept.get(name), self._clock()
            due = kept is not None and kept.token is not None and now + ahead >= kept.due
            if due and now < asked + self._freshness.most:
                await self._current(name[0], owner, ahead=ahead)

    async def _current(self, uri: str, owner: Owner, *, ahead: int | None = None) -> "_Kept":
        """ahead: as of `renew`, None if a credential asks."""
        name = (uri, owner.identity)
        kept = self._kept.get(name)
        if kept is not None and self._clock() < kept.due and ahead is None:
            self._kept.move_to_end(name)
            return kept
        turn = self._turns.setdefault(name, _Turn())
        turn.waiting += 1
        try:
            async with turn.lock:  # of many who want a list at once, one fetches it
                kept = self._kept.get(name)
                if kept is None or self._clock() + (ahead or 0) >= kept.due:
                    kept = await self._refreshed(kept or _Kept(), uri, owner)
                    self._keep(name, kept, asked=ahead is None)
                return kept
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[name]

    async def _refreshed(self, kept: "_Kept", uri: str, owner: Owner) -> "_Kept":
        try:
            response = await self._fetch(uri, kept)
            if response.status == 304 and kept.token is not None:
                token, outcome = kept.token, "unchanged"
            else:
                # Inflating a large list takes long enough to keep others waiting.
                token = await asyncio.to_thread(self._verified, response, kept, uri, owner)
                outcome = "fetched"
        except SafeconductError as fault:
            self._told(fault.code)
            due = self._clock() + self._freshness.retry
            return msgspec.structs.replace(kept, fault=fault, due=due)
        self._told(outcome)
        now = self._clock()
        return _Kept(token, response.headers.get("etag", kept.etag), now, self._due(token, now), None)

    async def _fetch(self, uri: str, kept: "_Kept") -> Response:
        headers = {"Accept": _ACCEPT}
        if kept.token is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        response = await self._fetcher.request(
            "GET", uri, headers=headers, max_bytes=limits.STATUS_TOKEN_BYTES, content_types=_TYPES
        )
        if response.status not in (200, 304):
            raise Rejected("fetch_status", "The server answered with another status than 200.")
        return response

    def _verified(self, response: Response, kept: "_Kept", uri: str, owner: Owner) -> VerifiedListToken:
        now = self._clock()
        token = token_list.verify(
            token_list.parse(response.body),
            uri=uri,
            owner=owner,
            trust=self._trust,
            algorithms=self._algorithms,
            now=now,
        )
        token.check_times(now=now, leeway=limits.CLOCK_SKEW)
        if kept.token is not None and token.issued_at < kept.token.issued_at:
            raise Rejected("status_list_rolled_back", "The status list is older than the one before it.")
        return token

    def _due(self, token: VerifiedListToken, now: int) -> int:
        bounds = self._freshness
        wanted = bounds.most if token.ttl is None else min(max(token.ttl, bounds.least), bounds.most)
        until = now + int(wanted)
        if token.expires is None:
            return until
        return max(min(until, int(token.expires)), now + bounds.retry)

    def _keep(self, name: _Name, kept: "_Kept", *, asked: bool) -> None:
        self._kept[name] = kept
        if asked:
            self._kept.move_to_end(name)
        size = sum(one.size for one in self._kept.values())
        while len(self._kept) > 1 and (size > self._max_bytes or len(self._kept) > limits.STATUS_LISTS):
            left, gone = self._kept.popitem(last=False)
            self._asked.pop(left, None)
            size -= gone.size


class _Kept(msgspec.Struct, frozen=True):
    """What is known of a list. due: when to ask again. fault: why the last fetch gave nothing."""

    token: VerifiedListToken | None = None
    etag: str = ""
    fetched_at: int = 0
    due: int = 0
    fault: SafeconductError | None = None

    @property
    def size(self) -> int:
        return 0 if self.token is None else len(self.token.statuses.data)

    def is_over(self, now: int, bounds: Freshness) -> bool:
        """Whether a list without `exp` has not been confirmed for too long. With `exp`, that decides."""
        return (
            self.token is not None and self.token.expires is None and now >= self.fetched_at + 2 * bounds.most
        )


class _Turn:
    """Those who want one list at once."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0
