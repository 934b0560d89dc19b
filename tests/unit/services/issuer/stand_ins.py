"""Other servers as the issuer meets them, without a network."""

from collections.abc import Callable, Mapping
from typing import Any

from safeconduct.net.fetch import Response
from safeconduct.services.issuer.fetchers import Fetchers

Answer = Callable[[str, Mapping[str, str], bytes], Response]


class Server:
    """A fetcher that asks a function, and remembers what was sent."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.received: list[tuple[str, Mapping[str, str], bytes]] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        **_bounds: Any,
    ) -> Response:
        assert method == "POST"
        self.received.append((url, headers or {}, content or b""))
        return self.answer(url, headers or {}, content or b"")

    async def get_json(self, url: str, **_named: Any) -> dict[str, Any]:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing to close."""


def fetchers(public: Answer | Server, near: Answer | Server | None = None) -> Fetchers:
    first = public if isinstance(public, Server) else Server(public)
    second = near if isinstance(near, Server) else Server(near or refusing)
    return Fetchers(timeout=1, public=first, near=second)


def refusing(url: str, headers: Mapping[str, str], content: bytes) -> Response:
    raise AssertionError("nothing is to be fetched here")
