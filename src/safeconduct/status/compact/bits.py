"""Numbers of a fixed width, side by side without gaps: the first in the lowest bits, little-endian."""

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_WHOLE: Final = {8: "B", 16: "H", 32: "I", 64: "Q"}
_TURN: Final = 64
"""Numbers that are put together at once: so many of any width fill whole bytes."""


def write(values: Iterable[int], width: int) -> bytes:
    """Returns the numbers, each in `width` bits. width: 0 to 64; numbers of width 0 take no place."""
    if width in _WHOLE:
        return _little(array(_WHOLE[width], values)).tobytes()
    if width == 0:
        return b""
    return b"".join(_turns(values, width))


def read(data: bytes | memoryview, width: int, *, count: int) -> Sequence[int]:
    """Returns the first `count` numbers of what `write` made; `size` says how many bytes they take."""
    if width in _WHOLE:
        values = array(_WHOLE[width], bytes(data[: size(width, count)]))
        return _little(values)
    if width == 0:
        return [0] * count
    return list(_taken(data, width, count))


def at(data: bytes | memoryview, place: int, width: int) -> int:
    """Returns the number whose bits begin at bit `place` of `data`, which ends with its last byte."""
    return int.from_bytes(data, "little") >> place & ((1 << width) - 1)


def size(width: int, count: int) -> int:
    """Returns how many bytes `count` numbers take."""
    return (width * count + 7) >> 3


def _turns(values: Iterable[int], width: int) -> Iterator[bytes]:
    word, filled, full = 0, 0, _TURN * width
    for value in values:
        word |= value << filled
        filled += width
        if filled == full:
            yield word.to_bytes(full >> 3, "little")
            word = filled = 0
    yield word.to_bytes((filled + 7) >> 3, "little")


def _taken(data: bytes | memoryview, width: int, count: int) -> Iterator[int]:
    mask, step = (1 << width) - 1, _TURN * width >> 3
    for turn in range(0, count, _TURN):
        begin = (turn // _TURN) * step
        word = int.from_bytes(data[begin : begin + step], "little")
        for _ in range(min(_TURN, count - turn)):
            yield word & mask
            word >>= width


def _little(values: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        values.byteswap()
    return values
