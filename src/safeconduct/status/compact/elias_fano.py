"""Sorted numbers in little more room than they need, found without being unpacked (Elias-Fano).

The numbers fall into buckets by their upper part. In the upper bits each bucket has a 1 for each of its
numbers and a 0 at its end; the lower parts stand side by side in a fixed width. With as many buckets as
numbers, that is two bits and the lower part for each. A table tells for every 256th bucket how many numbers
come before it, which is also where its bits begin.

Source: P. Elias, "Efficient storage and retrieval by content and address of static files", JACM 21 (1974);
R. M. Fano, "On the number of bits required to implement an associative memory" (1971).
"""

import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from safeconduct.errors import Malformed
from safeconduct.status.compact import bits

_GROUP_BITS: Final = 8
GROUP: Final = 1 << _GROUP_BITS
"""Buckets for which one place is kept; a look-up reads the bits of one group, some 64 bytes."""

Read = Callable[[int, int], memoryview]
"""Gives the bytes from one place up to another. Raises for what is not there, or is altered."""


class Coded(msgspec.Struct, frozen=True):
    """Sorted numbers as bytes. ranks, upper, low: each padded to 8 bytes. count: how many there are."""

    count: int
    ranks: bytes
    upper: bytes
    low: bytes


def encode(values: Iterable[int], *, at_most: int, buckets: int, low_bits: int) -> Coded:
    """Returns numbers that come in strictly rising order.

    at_most: no more than so many come. buckets: how many there are; each number is below
    buckets * 2^low_bits.
    """
    upper, ranks, count = bytearray(size_of_upper(at_most, buckets)), [0], 0
    group_end, highest = GROUP, buckets - 1

    def lower_parts() -> Iterator[int]:
        nonlocal count, group_end
        mask = (1 << low_bits) - 1
        for value in values:
            high = value >> low_bits
            while high >= group_end:
                ranks.append(count)
                group_end += GROUP
            place = high + count
            upper[place >> 3] |= 1 << (place & 7)
            count += 1
            yield value & mask

    low = bits.write(lower_parts(), low_bits)
    while group_end <= highest + GROUP:
        ranks.append(count)
        group_end += GROUP
    del upper[size_of_upper(count, buckets) :]
    return Coded(count, padded(bits.write(ranks, 32)), bytes(upper), padded(low))


class SortedNumbers:
    """Coded numbers within a larger whole, of which only what a look-up needs is read."""

    __slots__ = (
        "_buckets",
        "_low_at",
        "_low_bits",
        "_mask",
        "_ranks_at",
        "_read",
        "_upper_at",
        "count",
        "end",
    )

    def __init__(self, read: Read, *, at: int, count: int, buckets: int, low_bits: int) -> None:
        """at: where the ranks begin; the upper and lower bits follow, up to `end`."""
        self._read, self.count, self._buckets, self._low_bits = read, count, buckets, low_bits
        self._mask = (1 << low_bits) - 1
        self._ranks_at = at
        self._upper_at = at + size_of_ranks(buckets)
        self._low_at = self._upper_at + size_of_upper(count, buckets)
        self.end = self._low_at + _up_to_8(bits.size(low_bits, count))

    def rank(self, value: int) -> int | None:
        """Returns how many numbers are smaller, if `value` is one of them, else None.

        value: below buckets * 2^low_bits. Raises what `read` raises, and Malformed "pack_malformed".
        """
        high = value >> self._low_bits
        group, bucket = high >> _GROUP_BITS, high & (GROUP - 1)
        before, text = self._group(group)
        # Split from the nearer end, what remains is that bucket's ones and all that lies beyond them.
        if bucket < GROUP >> 1:
            rest = text.rsplit("0", bucket)[0]
            beyond = rest.rstrip("1")
            rank = before + len(text) - len(rest) - bucket
        else:
            rest = text.split("0", min(GROUP, self._buckets - (group << _GROUP_BITS)) - bucket)[-1]
            beyond = rest.lstrip("1")
            rank = before + len(beyond) - bucket
        found = len(rest) - len(beyond)
        return self._among(rank, found, value & self._mask) if found else None

    def __iter__(self) -> Iterator[int]:
        """Gives all numbers in rising order."""
        lower = iter(bits.read(self._read(self._low_at, self.end), self._low_bits, count=self.count))
        for group in range(-(-self._buckets // GROUP)):
            runs = self._group(group)[1][::-1].split("0")
            for bucket, run in enumerate(runs, group * GROUP):
                for _ in run:
                    yield bucket << self._low_bits | _next(lower)

    def _group(self, group: int) -> tuple[int, str]:
        """How many numbers come before a group, and its upper bits as digits, the lowest to the right."""
        at = self._ranks_at + 4 * group
        before, after = _TWO_RANKS.unpack(self._read(at, at + 8))
        begin = before + (group << _GROUP_BITS)
        end = after + min(group + 1 << _GROUP_BITS, self._buckets)
        if not before <= after <= self.count:
            raise Malformed("pack_malformed", "The pack's tables do not fit together.")
        raw = self._read(self._upper_at + (begin >> 3), self._upper_at + (end + 7 >> 3))
        length = end - begin
        # The one above keeps the zeros on top.
        return before, bin(int.from_bytes(raw, "little") >> (begin & 7) | 1 << length + 7)[-length:]

    def _among(self, rank: int, found: int, low: int) -> int | None:
        """The rank of a lower part among `found` of them from `rank` on."""
        if found == 1:
            return rank if self._lower(rank, 1) == low else None
        if found > _FEW:  # an issuer that chooses its identifiers can fill a bucket
            rank += bisect_left(range(found), low, key=lambda place: self._lower(rank + place, 1))
            found = 1 if rank < self.count else 0
        word = self._lower(rank, found)
        for place in range(found):
            if word & self._mask == low:
                return rank + place
            word >>= self._low_bits
        return None

    def _lower(self, rank: int, found: int) -> int:
        """So many lower parts, the first in the lowest bits."""
        begin = rank * self._low_bits
        at, shift = self._low_at + (begin >> 3), begin & 7
        raw = self._read(at, at + (shift + self._low_bits * found + 7 >> 3))
        word = int.from_bytes(raw, "little") >> shift
        return word & self._mask if found == 1 else word


def size_of_ranks(buckets: int) -> int:
    """Returns how many bytes the table of ranks takes."""
    return _up_to_8(4 * (1 + -(-buckets // GROUP)))


def size_of_upper(count: int, buckets: int) -> int:
    """Returns how many bytes the upper bits take."""
    return _up_to_8((count + buckets + 7) >> 3)


def padded(data: bytes) -> bytes:
    """Returns the bytes with zeros up to a multiple of eight."""
    return data.ljust(_up_to_8(len(data)), b"\0")


_FEW: Final = 16
_TWO_RANKS: Final = struct.Struct("<II")


def _up_to_8(size: int) -> int:
    return (size + 7) & ~7


def _next(lower: Iterator[int]) -> int:
    value = next(lower, None)
    if value is None:
        raise Malformed("pack_malformed", "The pack's tables do not fit together.")
    return value
