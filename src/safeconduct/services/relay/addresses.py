"""How often one address may make mailboxes and fail: what the relay knows of addresses, and forgets.

An address is known by a keyed hash only, in the memory of one process. The key is made anew every hour, so
that not even the process could say whom it has seen the day before. Failures count by address and never by
mailbox, or a stranger could close a mailbox by guessing at it (A9).
"""

import hashlib
import ipaddress
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from safeconduct.errors import Rejected, SafeconductError
from safeconduct.settings import RelaySettings, Secret
from safeconduct.web.rate_limit import RateLimit

Endpoint = Callable[[Request], Awaitable[Response]]
Random = Callable[[int], bytes]

KEY_SECONDS = 3600.0
"""How long addresses are hashed with one key."""

_CALLER = "safeconduct.relay.caller"

FAILURES = frozenset({401, 404})
"""Statuses that a guess at a mailbox, a claim, a proof or a creation token gets."""


class NavigationRefused(Rejected):
    """A browser opens as a page what is for programs (A21)."""

    oauth_error = "access_denied"
    http_status = 403


class CreationTokenMissing(Rejected):
    """This relay makes mailboxes only for those who have a token of its operator's."""

    oauth_error = "access_denied"
    http_status = 401


class Gate:
    """Stands before the endpoints, and counts by address what was made and what failed."""

    def __init__(
        self,
        settings: RelaySettings,
        *,
        timer: Callable[[], float] = time.monotonic,
        random: Random = secrets.token_bytes,
    ) -> None:
        self._settings = settings
        self._addresses = Addresses(trust_forwarded=settings.trust_forwarded, timer=timer, random=random)
        self._creations = _a_minute(settings.create_rate, timer)
        self._failures = _a_minute(settings.failure_rate, timer)

    def guarding(self, endpoint: Endpoint, *, may_navigate: bool = False) -> Endpoint:
        """Returns the endpoint behind this gate.

        may_navigate: whether a browser may open it as a page. The endpoint raises NavigationRefused
        "navigation_refused" and RateLimited "rate_limited" as well.
        """

        async def guarded(request: Request) -> Response:
            if not may_navigate:
                refuse_navigation(request)
            caller = request.scope[_CALLER] = self._addresses.digest(request)
            self._failures.check(caller)
            try:
                return await endpoint(request)
            except SafeconductError as error:
                if error.http_status in FAILURES:
                    self._failures.take(caller)
                raise

        return guarded

    def check_creation(self, request: Request, attestation: str | None) -> None:
        """Check whether the request may make a mailbox, and count it.

        attestation: the header field that carries a creation token. Raises CreationTokenMissing
        "creation_token_missing", RateLimited "rate_limited".
        """
        check_token(attestation, self._settings.creation_tokens)
        self._creations.take(request.scope.get(_CALLER) or self._addresses.digest(request))


class Addresses:
    """Says who asks, by a keyed hash that nobody can turn back into an address once its key is gone."""

    def __init__(self, *, trust_forwarded: bool, timer: Callable[[], float], random: Random) -> None:
        """trust_forwarded: whether a proxy of the operator's ends X-Forwarded-For with the client's."""
        self._trust_forwarded = trust_forwarded
        self._timer = timer
        self._random = random
        self._key = random(32)
        self._since = timer()

    def digest(self, request: Request) -> bytes:
        """Returns the hash of the address that the request comes from, 16 bytes."""
        now = self._timer()
        if now - self._since >= KEY_SECONDS:
            self._key, self._since = self._random(32), now
        source = network_of(self._address(request))
        return hashlib.blake2b(source.encode(), key=self._key, digest_size=16).digest()

    def _address(self, request: Request) -> str:
        if self._trust_forwarded:
            # Only what the proxy itself has added last is known to be true.
            forwarded = ",".join(request.headers.getlist("X-Forwarded-For")).rpartition(",")[2].strip()
            if forwarded:
                return forwarded
        client = request.scope.get("client")
        return str(client[0]) if client else ""


def network_of(address: str) -> str:
    """Returns whom an address belongs to, in one spelling: an IPv4 address, or the /64 of an IPv6 address.

    What is no address is one and the same "", so that nobody gets a bucket of his own by making one up.
    """
    if _IPV4.fullmatch(address):
        return address  # the most frequent kind, in its only spelling
    try:
        found = ipaddress.ip_address(_PORT.sub(r"\1\2", address).partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
        found = found.ipv4_mapped
    return str(found)


_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}", re.ASCII)
_PORT = re.compile(r"^\[([0-9A-Fa-f:.%a-z]+)\](?::[0-9]{1,5})?$|^([0-9.]+):[0-9]{1,5}$")
"""An address with a port after it, or in brackets, as some proxies write it."""


def refuse_navigation(request: Request) -> None:
    """Refuse what a browser opens as a page, by its Fetch Metadata.

    Raises NavigationRefused "navigation_refused".
    """
    modes = [value for name, value in request.scope["headers"] if name == b"sec-fetch-mode"]
    if b"navigate" in b",".join(modes).lower():
        raise NavigationRefused("navigation_refused", "This is for wallets, and not shown as a page.")


def check_token(given: str | None, tokens: Sequence[Secret]) -> None:
    """Check a creation token, in constant time. tokens: the operator's; where there is none, none is wanted.

    Raises CreationTokenMissing "creation_token_missing".
    """
    matches = [token.matches(given or "") for token in tokens]  # all of them, whichever is the right one
    if tokens and not any(matches):
        raise CreationTokenMissing("creation_token_missing", "A token is needed to make a mailbox here.")


def _a_minute(rate: int, timer: Callable[[], float]) -> RateLimit:
    return RateLimit(per_second=rate / 60, burst=rate, timer=timer)
