"""Bytes of which each block is checked when it is first read, so that opening them costs nothing.

The table has the SHA-256 of each block; whoever signs the digest of the table signs all of it.
"""

import hashlib
from typing import Final

from safeconduct.errors import Malformed, Rejected

_SHIFT: Final = 13
BLOCK_BYTES: Final = 1 << _SHIFT
"""8 KiB: hashed in a few microseconds, and the table adds 0.4 per cent."""

DIGEST_BYTES: Final = 32


def table_of(body: bytes | memoryview) -> bytes:
    """Returns the digests of all blocks, one after the other."""
    view = memoryview(body)
    places = range(0, len(view), BLOCK_BYTES)
    return b"".join(hashlib.sha256(view[place : place + BLOCK_BYTES]).digest() for place in places)


def table_bytes(length: int) -> int:
    """Returns how long the table of a body of `length` bytes is."""
    return DIGEST_BYTES * -(-length // BLOCK_BYTES)


class CheckedBytes:
    """A body whose blocks are compared with their digests before anything is taken from them."""

    __slots__ = ("_body", "_checked", "_length", "_table")

    def __init__(self, body: memoryview, table: memoryview) -> None:
        """table: as long as `table_bytes` says, and believed."""
        self._body, self._table, self._length = body, table, len(body)
        self._checked = bytearray(len(table) // DIGEST_BYTES)

    def __len__(self) -> int:
        return self._length

    def read(self, begin: int, end: int) -> memoryview:
        """Returns the bytes from one place up to another.

        Raises Rejected "pack_digest" where they are not what was signed, Malformed "pack_malformed" where
        there are none.
        """
        if not 0 <= begin <= end <= self._length:
            raise Malformed("pack_malformed", "The pack names a place that it does not have.")
        checked, first, last = self._checked, begin >> _SHIFT, end - 1 >> _SHIFT
        # Most that is read lies in one block, or in two.
        if last - first > 1 or not (checked[last] and checked[first]):
            self._check(first, last)
        return self._body[begin:end]

    def _check(self, first: int, last: int) -> None:
        for block in range(first, last + 1):
            if not self._checked[block]:
                self._compare(block)

    def _compare(self, block: int) -> None:
        at = block << _SHIFT
        expected = self._table[block * DIGEST_BYTES : (block + 1) * DIGEST_BYTES]
        if hashlib.sha256(self._body[at : at + BLOCK_BYTES]).digest() != expected:
            raise Rejected("pack_digest", "A part of the pack is not what was signed.")
        self._checked[block] = 1
