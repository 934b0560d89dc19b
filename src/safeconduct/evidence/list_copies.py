"""Copies of an issuer's Token Status Lists in a folder, for verifiers that are offline afterwards.

All lists that the issuer's aggregation names are fetched, whether they will be needed or not: so nobody
learns which. Nothing is verified here; who uses a copy verifies it as if it had just come. But no list takes
the place of a copy that says it is newer: that would bring back what was revoked meanwhile.
"""

import asyncio
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from safeconduct import limits
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.evidence import disk
from safeconduct.net.fetch import Fetcher
from safeconduct.status import token_list
from safeconduct.status.token_list import CWT_TYPE, JWT_TYPE, ParsedListToken, aggregation

_TYPES = {JWT_TYPE: "jwt", CWT_TYPE: "cwt"}
_AT_ONCE = 4


class Copied(msgspec.Struct, frozen=True):
    """What became of one list. code: why it was not copied, None if it was; an older copy stays."""

    uri: str
    code: str | None


async def read_names(aggregation_uri: str, *, fetcher: Fetcher) -> tuple[str, ...]:
    """Returns the URIs of the lists that an aggregation names.

    Raises Rejected "fetch_status", and what `Fetcher.request` and `aggregation.read` raise.
    """
    response = await fetcher.request(
        "GET",
        aggregation_uri,
        headers={"Accept": "application/json"},
        max_bytes=limits.STATUS_AGGREGATION_BYTES,
        content_types={"application/json"},
    )
    if response.status != 200:
        raise _status()
    return aggregation.read(response.body)


async def copy_lists(
    uris: Sequence[str],
    *,
    folder: Path,
    fetcher: Fetcher,
    now: int,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[Copied, ...]:
    """Fetches lists into a folder, which is made if it is not there.

    now: seconds since 1970. progress: hears of each that is done. A list that cannot be had does not keep
    back the others (draft-ietf-oauth-status-list §9). Raises OSError.
    """
    disk.make_folder(folder)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(uri: str) -> Copied:
        async with turns:
            copied = await _copy(uri, folder, fetcher, now)
        progress(1)
        return copied

    return tuple(await asyncio.gather(*map(one, uris)))


def read_copies(folder: Path) -> Iterator[bytes]:
    """Yields the status lists in a folder, copies or published ones. Raises OSError."""
    for path in sorted(folder.iterdir()):
        if path.suffix[1:] in _TYPES.values():
            data = disk.read(path, max_bytes=limits.STATUS_TOKEN_BYTES)
            if data is not None:
                yield data


async def _copy(uri: str, folder: Path, fetcher: Fetcher, now: int) -> Copied:
    try:
        response = await fetcher.request(
            "GET",
            uri,
            headers={"Accept": ", ".join(_TYPES)},
            max_bytes=limits.STATUS_TOKEN_BYTES,
            content_types=set(_TYPES),
        )
        if response.status != 200:
            raise _status()
        parsed = await asyncio.to_thread(token_list.parse, response.body)
        if parsed.named != uri:
            raise Rejected("status_list_mismatch", "The status list is of another URI.")
        # The name says nothing that a URI could smuggle into it.
        place = folder / f"{hashlib.sha256(uri.encode()).hexdigest()[:32]}.{parsed.kind}"
        if _issued_at(parsed, now) < await asyncio.to_thread(_copied_at, place, now):
            raise Rejected("status_list_rolled_back", "The status list is older than the one before it.")
    except SafeconductError as error:
        return Copied(uri, error.code)
    await asyncio.to_thread(disk.write, place, response.body)
    return Copied(uri, None)


def _copied_at(place: Path, now: int) -> float:
    """When the copy that is there says that it was issued; 0 without one."""
    data = disk.read(place, max_bytes=limits.STATUS_TOKEN_BYTES)
    try:
        return 0 if data is None else _issued_at(token_list.parse(data), now)
    except SafeconductError:
        return 0


def _issued_at(parsed: ParsedListToken, now: int) -> float:
    """When a list says that it was issued; 0 for what cannot be, or has not come yet.

    Else a forged list of the far future would keep all others away.
    """
    said = parsed.claims.get("iat")
    if isinstance(said, bool) or not isinstance(said, (int, float)) or not math.isfinite(said):
        return 0
    return said if 0 <= said <= now + limits.CLOCK_SKEW else 0


def _status() -> Rejected:
    return Rejected("fetch_status", "The server answered with another status than 200.")
