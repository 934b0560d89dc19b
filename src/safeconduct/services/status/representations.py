"""What is known of the files served: their entity tags, and their contents in gzip, kept while they stay."""

import asyncio
import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from safeconduct.encoding import b64
from safeconduct.services.status.files import OpenFile, Stamp, open_file

GZIP_CACHE_BYTES = 64 * 1024 * 1024
"""What is kept in gzip by one process; of a list of a million entries that is 9 MB."""

GZIP_SOURCE_BYTES = 128 * 1024 * 1024
"""Longest file that is compressed: it is held in memory meanwhile."""

GZIP_WORTH_BYTES = 1024
"""Shortest: what fits into one packet anyway is sent as it is."""

KNOWN_FILES = 10_000
"""Files whose tags are remembered; of another it is computed again."""

CHUNK_BYTES = 256 * 1024

_GZIP_LEVEL = 6
_TAG_BYTES = 16


class Known(msgspec.Struct):
    """A file's digest, and its gzip once somebody wanted it. worthless: that it is not shorter."""

    stamp: Stamp
    tag: str
    gzip: bytes | None = None
    worthless: bool = False

    @property
    def etag(self) -> str:
        """The entity tag of the file as it is: of its content, so that all hosts of a tree have the same."""
        return f'"{self.tag}"'

    @property
    def gzip_etag(self) -> str:
        """That of its gzip, which consists of other bytes (RFC 9110 §8.8.3.3)."""
        return f'"{self.tag}-gzip"'


class Representations:
    """Files of one tree with their tags. For the event loop; work on files is done in threads."""

    def __init__(self, root: Path) -> None:
        """root: the folder that is published; it need not be there yet."""
        self._root = root
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._gzip_bytes = 0
        self._turn = asyncio.Lock()

    async def open(self, path: str, *, compressed: bool) -> tuple[OpenFile, Known]:
        """Opens a file, which the caller has to close, and says what is known of it.

        path: below the tree. compressed: whether its gzip is wanted, if there is a point in it.
        Raises FileUnknown "file_unknown".
        """
        file = await asyncio.to_thread(open_file, self._root, path)
        try:
            return file, await self._describe(path, file, compressed=compressed)
        except BaseException:
            file.close()
            raise

    async def _describe(self, path: str, file: OpenFile, *, compressed: bool) -> Known:
        known = self._known.get(path)
        if known is None or known.stamp != file.stamp or (compressed and _is_due(known)):
            async with self._turn:  # of many that ask at once for something new, one does the work
                known = await self._learn(path, file, compressed=compressed)
        self._known.move_to_end(path)
        return known

    async def _learn(self, path: str, file: OpenFile, *, compressed: bool) -> Known:
        known = self._known.get(path)
        if known is None or known.stamp != file.stamp:
            known = Known(file.stamp, await asyncio.to_thread(_tag, file))
            self._forget(path)
            self._known[path] = known
        if compressed and _is_due(known):
            packed = await asyncio.to_thread(_packed, file)
            known.gzip, known.worthless = packed, packed is None
            self._gzip_bytes += len(packed or b"")
        self._make_room(path)
        return known

    def _make_room(self, kept: str) -> None:
        while len(self._known) > KNOWN_FILES:
            self._forget(next(iter(self._known)))
        for path in list(self._known):
            if self._gzip_bytes <= GZIP_CACHE_BYTES:
                break
            if path != kept:
                self._forget(path)

    def _forget(self, path: str) -> None:
        known = self._known.pop(path, None)
        if known is not None:
            self._gzip_bytes -= len(known.gzip or b"")


def _is_due(known: Known) -> bool:
    return known.gzip is None and not known.worthless


def _tag(file: OpenFile) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(file):
        digest.update(chunk)
    return b64.encode(digest.digest()[:_TAG_BYTES])


def _packed(file: OpenFile) -> bytes | None:
    """The file in gzip, without a name and time, so that equal files have equal ones; None if pointless."""
    if not GZIP_WORTH_BYTES <= file.size <= GZIP_SOURCE_BYTES:
        return None
    packed = gzip.compress(b"".join(_chunks(file)), compresslevel=_GZIP_LEVEL, mtime=0)
    return packed if len(packed) < file.size else None


def _chunks(file: OpenFile) -> Iterator[bytes]:
    place = 0
    while place < file.size:
        chunk = file.read(place, min(CHUNK_BYTES, file.size - place))
        if not chunk:  # somebody has cut it short
            return
        yield chunk
        place += len(chunk)
