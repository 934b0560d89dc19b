"""One revocation list inside a pack: sorted prefixes of hashed identifiers, and times from a dictionary.

count u64 | buckets u64 | low bits u8 | time bits u8 | method length u16 | times u32      little-endian
method, padded to 8 | times u64 each | ranks | upper bits | low bits | time codes, padded to 8
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from safeconduct.errors import Malformed
from safeconduct.status.compact import bits, elias_fano
from safeconduct.status.compact.elias_fano import Read, SortedNumbers
from safeconduct.status.compact.hashed import ALWAYS, PREFIX_BYTES, RECORD_BYTES

WHENEVER: Final = (1 << 64) - 1
"""As a time: revoked whenever it was made."""

EXACT_BITS: Final = 64
"""With so many low bits a false hit is no likelier than that an issuer draws the same 64-bit rid twice."""

FEWEST_BITS: Final = 8

Entry = tuple[int, int]
"""A value, and the second before which cards are revoked or WHENEVER."""


def entries_of(records: bytes | memoryview, *, buckets: int, low_bits: int) -> Iterator[Entry]:
    """Gives the entries of sorted records (`hashed.records`) in rising order of their values.

    Of entries that fall on one value, the one that revokes more stays.
    """
    scale, view = buckets << low_bits, memoryview(records)
    before, reach = -1, 0
    for at in range(0, len(view), RECORD_BYTES):
        middle = at + PREFIX_BYTES
        value = int.from_bytes(view[at:middle], "big") * scale >> _PREFIX_BITS
        time = int.from_bytes(view[middle : at + RECORD_BYTES], "big")
        until = WHENEVER if time == ALWAYS else time
        if value != before:
            if before >= 0:
                yield before, reach
            before, reach = value, until
        else:
            reach = max(reach, until)
    if before >= 0:
        yield before, reach


def encode(entries: Iterable[Entry], *, method: str, at_most: int, buckets: int, low_bits: int) -> bytes:
    """Returns a list as a pack holds it; equal entries give equal bytes.

    entries: in rising order. at_most: no more than so many. buckets, low_bits: as `elias_fano.encode` has it.
    """
    reaches: list[int] = []

    def values() -> Iterator[int]:
        for value, reach in entries:
            reaches.append(reach)
            yield value

    coded = elias_fano.encode(values(), at_most=at_most, buckets=buckets, low_bits=low_bits)
    times = sorted(set(reaches))
    codes = {time: code for code, time in enumerate(times)}
    time_bits = max(len(times) - 1, 0).bit_length()
    name = method.encode()
    head = _HEAD.pack(coded.count, buckets, low_bits, time_bits, len(name), len(times))
    told = bits.write(map(codes.__getitem__, reaches), time_bits) if time_bits else b""
    parts = (coded.ranks, coded.upper, coded.low, elias_fano.padded(told))
    return b"".join((head, elias_fano.padded(name), bits.write(times, 64), *parts))


class PackedList:
    """A list within a pack, of which only what a look-up needs is read.

    method: how it names cards. count: of entries. lossy: whether a hit may be another card's.
    """

    __slots__ = (
        *("_codes_at", "_numbers", "_read", "_scale", "_time_bits", "_times"),
        *("buckets", "count", "low_bits", "lossy", "method"),
    )

    def __init__(self, read: Read, *, at: int, length: int) -> None:
        """Raises Malformed "pack_malformed" for tables that do not fit together, and what `read` raises."""
        self._read = read
        head: tuple[int, ...] = _HEAD.unpack(read(at, at + _HEAD.size))
        self.count, self.buckets, self.low_bits, self._time_bits, name_bytes, times = head
        if not FEWEST_BITS <= self.low_bits <= EXACT_BITS or self._time_bits > 32:
            raise _malformed()
        name_at = at + _HEAD.size
        times_at = name_at + (name_bytes + 7 & ~7)
        numbers_at = times_at + 8 * times
        self.method = _text(read(name_at, name_at + name_bytes))
        self._times = bits.read(read(times_at, numbers_at), 64, count=times)
        self._numbers = SortedNumbers(
            read, at=numbers_at, count=self.count, buckets=self.buckets, low_bits=self.low_bits
        )
        self._codes_at = self._numbers.end
        self._scale = self.buckets << self.low_bits
        self.lossy = self.low_bits < EXACT_BITS
        codes = bits.size(self._time_bits, self.count) + 7 & ~7
        if self._codes_at + codes != at + length or (self.count and not self._times):
            raise _malformed()

    def reach(self, prefix: int) -> int | None:
        """Returns before which second a card must have been made to be revoked, WHENEVER, or None: never.

        prefix: of its identifier (`hashed.prefix`).
        """
        if not self.count:
            return None
        rank = self._numbers.rank(prefix * self._scale >> _PREFIX_BITS)
        if rank is None:
            return None
        return self._time(rank) if self._time_bits else self._named(0)

    def entries(self) -> Iterator[Entry]:
        """Gives all entries in rising order. Raises Malformed "pack_malformed" if there are more or fewer."""
        if not self.count:
            return
        end = self._codes_at + bits.size(self._time_bits, self.count)
        codes = bits.read(self._read(self._codes_at, end), self._time_bits, count=self.count)
        numbers = iter(self._numbers)
        for code in codes:
            value = next(numbers, None)
            if value is None:
                raise _malformed()
            yield value, self._named(code)
        if next(numbers, None) is not None:
            raise _malformed()

    def _time(self, rank: int) -> int:
        begin = rank * self._time_bits
        at = self._codes_at + (begin >> 3)
        raw = self._read(at, at + ((begin & 7) + self._time_bits + 7 >> 3))
        return self._named(bits.at(raw, begin & 7, self._time_bits))

    def _named(self, code: int) -> int:
        if code >= len(self._times):
            raise _malformed()
        return self._times[code]


_HEAD: Final = struct.Struct("<QQBBHI")
_PREFIX_BITS: Final = 8 * PREFIX_BYTES


def _text(raw: memoryview) -> str:
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError:
        raise _malformed() from None


def _malformed() -> Malformed:
    return Malformed("pack_malformed", "A list in the pack breaks the pack's format.")
