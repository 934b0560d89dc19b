"""Bringing a copy of a pack up to date: by its head alone, by deltas, or whole.

The host learns that somebody has the pack and how old that copy is; never which card is looked up in it.
"""

import glob
import hashlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final, Literal

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.evidence import disk
from safeconduct.evidence.packs import SeenVersions, open_pack
from safeconduct.net.fetch import Fetcher, Response
from safeconduct.status.compact import blocks, pack_delta, pack_file, pack_head, pack_updates
from safeconduct.status.compact.pack import Pack
from safeconduct.status.compact.pack_head import Head
from safeconduct.trust import Waived

Way = Literal["unchanged", "head", "delta", "full"]


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a copy. way: how it was brought up to date. received: bytes of the answers' bodies.

    fault: the code of what kept the deltas from being the way, None if nothing did.
    """

    way: Way
    head: Head
    received: int
    fault: str | None = None


async def pull(
    url: str,
    path: Path,
    *,
    keys: Collection[PublicKey] | Waived,
    fetcher: Fetcher,
    now: int,
    seen: SeenVersions | None = None,
) -> Pulled:
    """Bring the pack in a file up to date with the one at a URL; the file need not be there yet.

    url: of the pack; its head and deltas are beside it, as `mirror_tree` writes them. keys: of the mirrors
    that are believed. now: seconds since 1970. seen: versions met before.

    Raises what `Pack.open` raises; Rejected "pack_expired" (the host has only a pack that has expired),
    "pack_rolled_back" (it has an older one than the copy), "pack_name" (another one), "fetch_status"; what a
    fetcher raises; OSError. The copy then is as it was.
    """
    if not url.endswith(_SUFFIX):
        raise Malformed("pack_url", "The URL of a pack ends in .pack.")
    async with disk.alone(path.parent / f".{path.name}-turn"):
        one = _Pull(url, path, keys, fetcher)
        copy = _copy(path, keys)
        text, head = await one.head()
        _check_head(head, copy, seen, now)
        pulled = await one.bring(text, head, copy)
        if seen is not None:
            seen.note(head.name, head.version)
        return pulled


class _Pull:
    def __init__(self, url: str, path: Path, keys: Collection[PublicKey] | Waived, fetcher: Fetcher) -> None:
        self._url, self._base = url, url.removesuffix(_SUFFIX)
        self._path, self._keys, self._fetcher = path, keys, fetcher
        self._received = 0

    async def head(self) -> tuple[str, Head]:
        """Fetch the head and verify it."""
        text = await self._get(f"{self._url}.jws", limits.PACK_HEAD_BYTES)
        head = pack_head.verify(text, keys=self._keys)
        return text.decode("ascii"), head

    async def bring(self, text: str, head: Head, copy: Pack | None) -> Pulled:
        """Make the copy what the head names."""
        if copy is not None and copy.head.digest == head.digest:
            if head.iat <= copy.head.iat:
                return self._pulled("unchanged", copy.head)
            self._replace_head(text, head)
            return self._pulled("head", head)
        fault = None
        if copy is not None:
            try:
                return await self._by_deltas(text, head, copy)
            except SafeconductError as error:
                fault = error.code
        await self._whole(text, head)
        return self._pulled("full", head, fault)

    async def _by_deltas(self, text: str, head: Head, copy: Pack) -> Pulled:
        document = await self._get(f"{self._base}.updates.json", limits.JSON_BYTES)
        # Nobody has signed that document: how long the pack is says the head.
        updates = msgspec.structs.replace(pack_updates.parse(document), size=_size(text, head))
        way = updates.way(copy.head.version)
        if not way:
            raise Rejected("pack_no_delta", "There are no deltas that are shorter than the whole pack.")
        for step in way:
            most = min(step.size, limits.PACK_DELTA_BYTES)
            delta = await self._get(f"{self._base}-deltas/{step.start}-{step.end}.delta", most)
            data = pack_delta.apply(delta, to=copy, keys=self._keys)
            copy = Pack.open(data, keys=self._keys)
            if copy.head.version != step.end:  # else a chain could lead from a version to itself without end
                raise Rejected("pack_delta_mismatch", "A delta does not lead to the version that it is for.")
        if copy.head.version < head.version:
            raise Rejected("pack_delta_mismatch", "The deltas do not lead to the newest version.")
        if copy.head.digest == head.digest:  # it may have been signed anew since the delta was made
            data = _with_head(text, data)
        else:
            head = copy.head
        self._install(data, head)
        return self._pulled("delta", head)

    def _replace_head(self, text: str, head: Head) -> None:
        self._install(_with_head(text, self._path.read_bytes()), head)

    async def _whole(self, text: str, head: Head) -> None:
        """Fetch all of the pack, from where an interrupted fetch left off."""
        expected = _size(text, head)
        if expected > limits.PACK_BYTES:
            raise Rejected("pack_too_large", "The pack is larger than accepted.")
        part = self._path.with_name(f".{self._path.name}.{_mark(head)}.part")
        for left in part.parent.glob(f".{glob.escape(self._path.name)}.*.part"):
            if left != part:
                left.unlink(missing_ok=True)  # of a version that is no longer there to be fetched
        data = disk.read(part, max_bytes=expected) or b""
        with part.open("ab") as file:
            while len(data) < expected:
                more, begin = await self._piece(len(data), expected)
                data = data[:begin] + more
                file.truncate(begin)
                file.write(more)
        part.unlink()
        self._install(data, head)

    async def _piece(self, begin: int, expected: int) -> tuple[bytes, int]:
        """Fetch the next piece. Return it and where it begins."""
        end = min(begin + limits.PACK_PIECE_BYTES, expected) - 1
        answer = await self._fetcher.request(
            "GET", self._url, headers={"Range": f"bytes={begin}-{end}"}, max_bytes=expected
        )
        self._received += len(answer.body)
        whole = answer.status == 200 and len(answer.body) == expected
        if whole:
            return answer.body, 0
        if answer.status != 206 or not _is_range(answer, begin) or len(answer.body) != end + 1 - begin:
            raise Rejected("fetch_status", "The server did not answer with the part that was asked for.")
        return answer.body, begin

    def _install(self, data: bytes, head: Head) -> None:
        """Put a pack in the copy's place if all of it is what was signed."""
        opened = pack_file.open_file(data, keys=self._keys)
        if opened.head.digest != head.digest:
            raise Rejected("pack_digest", "The pack is not what was signed.")
        opened.body.read(0, len(opened.body))
        disk.write(self._path, data, mode=disk.PUBLIC)

    async def _get(self, url: str, max_bytes: int) -> bytes:
        answer = await self._fetcher.request("GET", url, max_bytes=max_bytes)
        self._received += len(answer.body)
        if answer.status != 200:
            raise Rejected("fetch_status", "The server answered with another status than 200.")
        return answer.body

    def _pulled(self, way: Way, head: Head, fault: str | None = None) -> Pulled:
        return Pulled(way=way, head=head, received=self._received, fault=fault)


_SUFFIX: Final = ".pack"
_RANGE: Final = re.compile(r"bytes (\d{1,15})-\d{1,15}/(?:\d{1,15}|\*)", re.ASCII)


def _copy(path: Path, keys: Collection[PublicKey] | Waived) -> Pack | None:
    """The copy that is there; None if there is none, or one that is of no use."""
    try:
        return open_pack(path, keys=keys)
    except (FileNotFoundError, SafeconductError):
        return None


def _check_head(head: Head, copy: Pack | None, seen: SeenVersions | None, now: int) -> None:
    if now >= head.exp:
        raise Rejected("pack_expired", "The host has only a pack that has expired.")
    if copy is not None and copy.head.name != head.name:
        raise Rejected("pack_name", "The host has another pack than the copy is of.")
    newest = max(copy.head.version if copy is not None else 0, seen.of(head.name) if seen is not None else 0)
    if head.version < newest:
        raise Rejected("pack_rolled_back", "The pack is older than one seen before.")


def _with_head(text: str, data: bytes) -> bytes:
    _, rest = pack_file.split(data)
    return pack_file.beginning(text) + bytes(rest)


def _size(text: str, head: Head) -> int:
    """How long the file of a pack is."""
    return len(pack_file.beginning(text)) + blocks.table_bytes(head.length) + head.length


def _mark(head: Head) -> str:
    """What tells the parts of one version from those of another: also the head is in the file."""
    return hashlib.sha256(f"{head.digest} {head.iat}".encode()).hexdigest()[:16]


def _is_range(answer: Response, begin: int) -> bool:
    found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    return found is not None and int(found[1]) == begin
