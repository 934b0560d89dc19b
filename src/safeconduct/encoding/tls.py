"""The presentation language of TLS as MLS uses it (RFC 8446 §3, RFC 9420 §2.1): fields in order, no names.

Reading is strict: one encoding for each value, every length bounded by what is there, nothing left over.

    reader = tls.Reader(data)
    version, name = reader.uint16(), reader.opaque()
    reader.finish()

Writing is putting together what `uint`, `opaque`, `vector`, `numbers` and `optional` return. As every value
has one encoding only, what was read and is written again gives the bytes that were received.
"""

import struct
from collections.abc import Callable, Collection, Iterable
from typing import Final, TypeVar

from safeconduct.errors import Malformed, Unsupported

T = TypeVar("T")

LONGEST = (1 << 30) - 1
"""Most bytes that a vector may have: a length has at most 30 bits (RFC 9420 §2.1.2)."""

_RULE = "RFC 9420 §2.1.2"
_SHORT, _MIDDLE = 1 << 6, 1 << 14
_FORMATS: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Reader:
    """Reads fields one after the other from a byte string.

    Every method raises Malformed "tls_truncated" if what it reads is not all there. A reader that has raised
    is not read from again.
    """

    __slots__ = ("_data", "_end", "_place")

    def __init__(self, data: bytes) -> None:
        """data: no longer than the caller has bounded."""
        self._data = data
        self._place = 0
        self._end = len(data)

    @property
    def place(self) -> int:
        """Where the next field begins, in bytes."""
        return self._place

    def since(self, place: int) -> bytes:
        """Returns the bytes from `place` to here exactly as they were received."""
        return self._data[place : self._place]

    def uint8(self) -> int:
        """Returns a number of one byte."""
        return self._data[self._advance(1)]

    def uint16(self) -> int:
        """Returns a number of two bytes."""
        return self._uint(2)

    def uint32(self) -> int:
        """Returns a number of four bytes."""
        return self._uint(4)

    def uint64(self) -> int:
        """Returns a number of eight bytes."""
        return self._uint(8)

    def fixed(self, length: int) -> bytes:
        """Returns so many bytes, `opaque x[length]`."""
        place = self._advance(length)
        return self._data[place : place + length]

    def opaque(self, *, most: int = LONGEST) -> bytes:
        """Returns the bytes of an `opaque x<V>`.

        most: bytes that it may have. Raises Malformed "tls_length_malformed"; Unsupported "tls_too_long".
        """
        return self.fixed(self._length(most))

    def vector(self, item: Callable[["Reader"], T], *, count: int) -> tuple[T, ...]:
        """Returns the items of a vector `T x<V>`, which must fill its bytes exactly.

        item: reads one, and at least one byte. count: most items.
        Raises Malformed "tls_length_malformed"; Unsupported "tls_too_many"; and what `item` raises.
        """
        length = self.varint()
        place = self._advance(length)
        outer, self._place, self._end = self._end, place, place + length
        items: list[T] = []
        while self._place < self._end:
            if len(items) == count:
                raise _too_many()
            items.append(item(self))
        self._end = outer
        return tuple(items)

    def numbers(self, size: int, *, count: int) -> tuple[int, ...]:
        """Returns the numbers of a vector such as `uint16 x<V>`.

        size: bytes of each: 1, 2, 4 or 8. count: most numbers. Raises as `vector`.
        """
        length = self.varint()
        place = self._advance(length)
        if length > size * count:
            raise _too_many()
        if length % size:
            raise _truncated()
        return struct.unpack_from(f">{length // size}{_FORMATS[size]}", self._data, place)

    def optional(self, item: Callable[["Reader"], T]) -> T | None:
        """Returns what an `optional<T>` holds (RFC 9420 §2.1.1); raises Malformed "tls_choice_malformed"."""
        return item(self) if self.choice(_PRESENCE) else None

    def choice(self, known: Collection[int]) -> int:
        """Returns a value of an enumeration of one byte. Raises Malformed "tls_choice_malformed"."""
        value = self.uint8()
        if value not in known:
            raise Malformed("tls_choice_malformed", "A field has a value that its type does not have.")
        return value

    def varint(self) -> int:
        """Returns a length of one, two or four bytes, whichever is the least that holds it.

        Raises Malformed "tls_length_malformed" (RFC 9420 §2.1.2; RFC 9000 §16 has the form).
        """
        place = self._advance(1)
        first = self._data[place]
        if first < _SHORT:
            return first
        size = 1 << (first >> 6)
        if size == 8:
            raise Malformed("tls_length_malformed", "A length has the form that is not used.", rule=_RULE)
        self._advance(size - 1)
        length = int.from_bytes(self._data[place : place + size], "big") & ((1 << (8 * size - 2)) - 1)
        if length < (_SHORT if size == 2 else _MIDDLE):
            raise Malformed("tls_length_malformed", "A length is longer than it must be.", rule=_RULE)
        return length

    def rest(self) -> bytes:
        """Returns all the bytes that are left, which may be none."""
        place, self._place = self._place, self._end
        return self._data[place : self._end]

    def finish(self) -> None:
        """Checks that nothing follows. Raises Malformed "tls_trailing_bytes"."""
        if self._place != self._end:
            raise Malformed("tls_trailing_bytes", "Bytes follow what the message ends with.")

    def _advance(self, length: int) -> int:
        place = self._place
        after = place + length
        if after > self._end:
            raise _truncated()
        self._place = after
        return place

    def _uint(self, length: int) -> int:
        place = self._advance(length)
        return int.from_bytes(self._data[place : place + length], "big")

    def _length(self, most: int) -> int:
        length = self.varint()
        if length > most:
            raise Unsupported("tls_too_long", "A field is longer than accepted here.")
        return length


def read(data: bytes, item: Callable[[Reader], T], *, most: int = LONGEST) -> T:
    """Returns what `item` reads from all of `data`.

    most: bytes that `data` may have. Raises Unsupported "tls_too_long", and as `Reader` and `Reader.finish`.
    """
    if len(data) > most:
        raise Unsupported("tls_too_long", "The message is longer than accepted here.")
    reader = Reader(data)
    value = item(reader)
    reader.finish()
    return value


def uint(value: int, size: int) -> bytes:
    """Returns a number as so many bytes. Raises OverflowError if it does not fit: a fault of the program."""
    return value.to_bytes(size, "big")


def varint(value: int) -> bytes:
    """Returns a length in the fewest bytes. Raises ValueError above `LONGEST`: a fault of the program."""
    if value < _SHORT:
        return uint(value, 1)
    if value < _MIDDLE:
        return uint(value | 0x4000, 2)
    if value > LONGEST:
        raise ValueError("a vector has at most 2^30 - 1 bytes")
    return uint(value | 0x8000_0000, 4)


def opaque(data: bytes) -> bytes:
    """Returns `opaque x<V>` of the bytes."""
    return varint(len(data)) + data


def vector(items: Iterable[bytes]) -> bytes:
    """Returns `T x<V>` of items that are encoded already."""
    return opaque(b"".join(items))


def numbers(values: Collection[int], size: int) -> bytes:
    """Returns a vector of numbers of so many bytes each; raises struct.error for one that does not fit."""
    return opaque(struct.pack(f">{len(values)}{_FORMATS[size]}", *values))


def optional(item: bytes | None) -> bytes:
    """Returns `optional<T>` of an item that is encoded already."""
    return b"\x00" if item is None else b"\x01" + item


_PRESENCE = (0, 1)


def _truncated() -> Malformed:
    return Malformed("tls_truncated", "The message ends within a field.")


def _too_many() -> Unsupported:
    return Unsupported("tls_too_many", "A list has more items than accepted here.")
