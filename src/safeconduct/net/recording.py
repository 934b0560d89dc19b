"""What a party sends and gets, kept byte for byte: for the demonstration and for tests of privacy only."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec

from safeconduct import limits
from safeconduct.net.fetch import Fetcher, Response, json_of


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its answer, as one party saw it.

    direction: whether the party sent the request or received it. Header names are in lower case.
    """

    party: str
    direction: Literal["sent", "received"]
    method: str
    url: str
    request_headers: tuple[tuple[str, str], ...]
    request_body: bytes
    status: int
    response_headers: tuple[tuple[str, str], ...]
    response_body: bytes

    def everything(self) -> bytes:
        """All that the party saw of it, to be searched."""
        headers = (*self.request_headers, *self.response_headers)
        lines = (f"{self.method} {self.url} {self.status}", *(f"{name}: {value}" for name, value in headers))
        return b"\n".join(("\n".join(lines).encode(), self.request_body, self.response_body))


class RecordingFetcher:
    """A fetcher that adds each exchange to a tape. Fetches that failed have no answer and are left out."""

    def __init__(self, fetcher: Fetcher, *, party: str, tape: list[Exchange]) -> None:
        self._fetcher = fetcher
        self._party = party
        self._tape = tape

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        max_bytes: int = limits.FETCH_BYTES,
        content_types: Collection[str] = (),
    ) -> Response:
        """See `Fetcher.request`."""
        response = await self._fetcher.request(
            method, url, headers=headers, content=content, max_bytes=max_bytes, content_types=content_types
        )
        self._keep(method, url, headers or {}, content or b"", response)
        return response

    async def get_json(
        self, url: str, *, headers: Mapping[str, str] | None = None, max_bytes: int = limits.FETCH_BYTES
    ) -> dict[str, Any]:
        """See `Fetcher.get_json`."""
        return await json_of(self, url, headers=headers, max_bytes=max_bytes)

    async def close(self) -> None:
        """See `Fetcher.close`."""
        await self._fetcher.close()

    def _keep(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, response: Response
    ) -> None:
        self._tape.append(
            Exchange(
                party=self._party,
                direction="sent",
                method=method,
                url=url,
                request_headers=tuple((name.lower(), value) for name, value in headers.items()),
                request_body=content,
                status=response.status,
                response_headers=tuple(response.headers.items()),
                response_body=response.body,
            )
        )
