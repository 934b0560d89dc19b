"""Static functions on known elements, hardly larger than their values: equations in a ribbon.

Each element has a row: a random pattern of `WIDTH` bits that begins at a random slot. A value's bit is what
the row selects from a column of slots, added up modulo 2. Solving the equations of all elements fills the
slots, of which there are some more than elements (Dillinger and Walzer, "Ribbon filter", 2021). The few
elements whose equations contradict others are listed as exceptions. On any other element the value is as
good as random. All of it depends on a seed that is drawn when the elements are fixed, so that nobody can
choose elements whose equations contradict one another.
"""

import hashlib
import struct
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

WIDTH: Final = 128
"""Bits of a row. 64 leave more exceptions, 256 take longer and gain nothing."""

SLACK: Final = 50
"""One slot more for so many elements: less leaves more exceptions than it saves."""

SEED_BYTES: Final = 32
_ENDS: Final = struct.Struct(f">Q{WIDTH // 8}xQ")
_ROW_BYTES: Final = _ENDS.size
_WINDOW_BYTES: Final = WIDTH // 8 + 1


Row = tuple[int, int, int]
"""Where an element's pattern begins, the pattern (its lowest bit set), and what is the element's own."""


class Rows(msgspec.Struct, frozen=True):
    """Gives elements their rows. purpose: at most 16 bytes, another one for each function of a seed."""

    seed: bytes
    purpose: bytes
    slots: int

    def row(self, element: bytes) -> Row:
        """The row of an element in at least `WIDTH` slots."""
        digest = hashlib.blake2b(element, digest_size=_ROW_BYTES, key=self.seed, person=self.purpose).digest()
        start, own = _ENDS.unpack(digest)
        pattern = int.from_bytes(digest[8:-8], "big") | 1
        return start * (self.slots - WIDTH + 1) >> 64, pattern, own


class Function(msgspec.Struct, frozen=True):
    """A static function. bits: of a value. exceptions: values by what is an element's own.

    columns: one for each bit, `stride` bytes each; a slot is bit n % 8, from the lowest, of byte n // 8.
    """

    rows: Rows
    bits: int
    stride: int
    columns: bytes | memoryview
    exceptions: Mapping[int, int]

    def value(self, element: bytes) -> int:
        """The value of an element."""
        start, pattern, own = self.rows.row(element)
        if own in self.exceptions:
            return self.exceptions[own]
        found = 0
        for column in range(self.bits):
            found |= self._bit(column, start, pattern) << column
        return found

    def agrees(self, element: bytes) -> bool:
        """Whether the value is the element's own; stops at the first bit that is not."""
        start, pattern, own = self.rows.row(element)
        if own in self.exceptions:
            return True
        column = 0
        while column < self.bits and self._bit(column, start, pattern) == own >> column & 1:
            column += 1
        return column == self.bits

    def _bit(self, column: int, start: int, pattern: int) -> int:
        place = column * self.stride + (start >> 3)
        window = int.from_bytes(self.columns[place : place + _WINDOW_BYTES], "little")
        return (window >> (start & 7) & pattern).bit_count() & 1


def slots_for(elements: int) -> int:
    """How many slots a function on so many elements has."""
    return max(WIDTH, elements + elements // SLACK + WIDTH // 4) if elements else 0


def column_bytes(slots: int) -> int:
    """The bytes of a column."""
    return (slots + 7) // 8


def fingerprints(elements: Collection[bytes], *, rows: tuple[bytes, bytes], bits: int) -> Function:
    """A function that agrees with each element, and with any other one in 2^bits times.

    rows: seed and purpose.
    """
    source = Rows(*rows, slots_for(len(elements)))
    mask = (1 << bits) - 1
    given = (source.row(element) for element in elements)
    return _solved(source, [(row, row[2] & mask) for row in given], bits)


def values(elements: Mapping[bytes, int], *, rows: tuple[bytes, bytes], bits: int) -> Function:
    """A function with these values. rows: seed and purpose."""
    source = Rows(*rows, slots_for(len(elements)))
    return _solved(source, [(source.row(element), value) for element, value in elements.items()], bits)


def _solved(source: Rows, equations: list[tuple[Row, int]], bits: int) -> Function:
    if not bits or not equations:
        return Function(Rows(source.seed, source.purpose, 0), 0, 0, b"", {})
    patterns, sums, exceptions = _eliminated(source.slots, sorted(equations))
    return Function(source, bits, column_bytes(source.slots), _columns(patterns, sums, bits), exceptions)


def _eliminated(slots: int, equations: list[tuple[Row, int]]) -> tuple[list[int], list[int], dict[int, int]]:
    """Bring the equations into a form where each begins at a slot of its own."""
    patterns, sums = [0] * slots, [0] * slots
    exceptions = {}
    for row, value in equations:
        slot, pattern, own = row
        rest = value
        while pattern and patterns[slot]:
            pattern ^= patterns[slot]
            rest ^= sums[slot]
            zeros = (pattern & -pattern).bit_length() - 1
            if pattern:
                pattern >>= zeros
                slot += zeros
        if pattern:
            patterns[slot], sums[slot] = pattern, rest
        elif rest:
            exceptions[own] = value
    return patterns, sums, exceptions


def _columns(patterns: list[int], sums: list[int], bits: int) -> bytes:
    """Fill the slots from the last to the first; where no equation begins, the slot stays 0."""
    return b"".join(_column(patterns, [total >> bit & 1 for total in sums]) for bit in range(bits))


def _column(patterns: list[int], sums: list[int]) -> bytes:
    mask = (1 << WIDTH) - 1
    window = 0
    filled = bytearray(len(patterns))
    for slot in range(len(patterns) - 1, -1, -1):
        window = window << 1 & mask
        pattern = patterns[slot]
        if pattern:
            bit = (pattern & window).bit_count() & 1 ^ sums[slot]
            window |= bit
            filled[slot] = bit
    filled.reverse()
    digits = filled.translate(_DIGITS)
    return int(digits, 2).to_bytes(column_bytes(len(patterns)), "little")


_DIGITS: Final = b"01" + bytes(254)
