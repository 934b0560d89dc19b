"""What `safeconduct health-card verify` fetches, where it is told to: directories, and issuers they list."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from safeconduct.cli import files, operating, output
from safeconduct.cli.faults import WrongUse
from safeconduct.limits import SNAPSHOT_BYTES

if TYPE_CHECKING:
    from safeconduct.cli.health_card.evidence import Fetch
    from safeconduct.evidence.sync import SyncReport
    from safeconduct.net.fetch import HttpFetcher


class Network(msgspec.Struct, frozen=True):
    """How servers are reached. ca: TLS authorities in PEM instead of the system's. loopback: for tests."""

    ca: Path | None = None
    loopback: bool = False

    def fetcher(self) -> "HttpFetcher":
        """Return what fetches."""
        from safeconduct.cli.status.sync import tls_of
        from safeconduct.net.fetch import HttpFetcher

        return HttpFetcher(allow_loopback=self.loopback, timeout=_SECONDS, tls=tls_of(self.ca))


_SECONDS = 60.0


def directory(place: str, network: Network) -> bytes:
    """Return a directory from a file or, if `place` is a URL, from there. Raises WrongUse, Rejected."""
    if not place.startswith(("https://", "http://")):
        return files.read_whole(place, max_bytes=SNAPSHOT_BYTES)

    async def fetch() -> bytes:
        async with network.fetcher() as fetcher:
            answer = await fetcher.request("GET", place, max_bytes=SNAPSHOT_BYTES)
        if answer.status != 200:
            raise WrongUse(f"the directory's server answers {answer.status}: look at the URL")
        return answer.body

    return operating.carry_out(fetch())


@contextmanager
def issuers(store: Path | None, network: Network) -> "Iterator[Fetch]":
    """Give what brings an issuer's keys and lists into a store: the one given, else one for this time only.

    The issuer learns that a card of its is looked at, not which one: the lists of all its keys are fetched.
    What cannot be fetched is said on standard error; a card that nobody can be asked about is not believed.
    """
    from safeconduct.evidence.sync import sync

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if store is None else store

        def fetch(issuer: str) -> Path:
            async def synchronise() -> "SyncReport":
                async with network.fetcher() as fetcher:
                    return await sync([issuer], folder=folder, fetcher=fetcher, clock=operating.clock)

            for outcome in operating.carry_out(synchronise()).outcomes:
                if outcome.code is not None:
                    output.note(f"{outcome.code}: {issuer}: {outcome.reason}")
            return folder

        yield fetch
