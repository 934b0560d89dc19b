"""The way to the operator's own servers: public addresses, or also those near, where a setting says so."""

from types import TracebackType
from typing import Self

from safeconduct.net.fetch import Fetcher, HttpFetcher


class Fetchers:
    """Two fetchers, of which one reaches this machine and private networks. Used as `async with`."""

    def __init__(self, *, timeout: float, public: Fetcher | None = None, near: Fetcher | None = None) -> None:
        """timeout: seconds for an exchange. public, near: in their places, for tests."""
        self._public = public or HttpFetcher(allow_loopback=False, timeout=timeout)
        self._near = near or HttpFetcher(allow_loopback=True, allow_private=True, timeout=timeout)

    def of(self, *, private: bool) -> Fetcher:
        """The one that reaches private addresses as well, or the one that does not."""
        return self._near if private else self._public

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._public.close()
        await self._near.close()
