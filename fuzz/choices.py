"""Decisions drawn from bytes, so that whatever makes the bytes also makes the structures."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Takes decisions from a byte string, in order; when it has run out, every decision is the first."""

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def number(self, limit: int) -> int:
        """Returns a number from 0 to `limit` - 1, taking one byte, or two where one is too short."""
        width = 1 if limit <= 256 else 2
        return int.from_bytes(self.take(width), "big") % limit

    def pick(self, options: Sequence[T]) -> T:
        """Returns one of `options`."""
        return options[self.number(len(options))]

    def take(self, length: int) -> bytes:
        """Returns the next `length` bytes; those that are missing are zero."""
        taken = self._data[self._offset : self._offset + length]
        self._offset += length
        return taken.ljust(length, b"\0")

    def rest(self) -> bytes:
        """Returns all that is left."""
        return self._data[self._offset :]
