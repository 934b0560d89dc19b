"""The segments of a QR code, which readers do not tell: taken from its modules (ISO/IEC 18004 §7).

The modules must be free of errors: nothing is corrected here.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, product
from typing import Any, cast

import msgspec
from segno import consts

_TERMINATOR = 0
_LEVELS = {"L": consts.ERROR_LEVEL_L, "M": consts.ERROR_LEVEL_M, "Q": consts.ERROR_LEVEL_Q}
_LEVELS["H"] = consts.ERROR_LEVEL_H

_MASKS: tuple[Callable[[int, int], bool], ...] = (
    lambda i, j: (i + j) % 2 == 0,
    lambda i, _: i % 2 == 0,
    lambda _, j: j % 3 == 0,
    lambda i, j: (i + j) % 3 == 0,
    lambda i, j: (i // 2 + j // 3) % 2 == 0,
    lambda i, j: i * j % 2 + i * j % 3 == 0,
    lambda i, j: (i * j % 2 + i * j % 3) % 2 == 0,
    lambda i, j: ((i + j) % 2 + i * j % 3) % 2 == 0,
)


class Segment(msgspec.Struct, frozen=True):
    """A part of what a code says. mode: how it is written. characters: how many it has."""

    mode: str
    characters: int


def segments(modules: Sequence[bytes], *, version: int, level: str, mask: int) -> tuple[Segment, ...]:
    """Returns the segments of a code; the last is of mode "other" where one is of a mode not followed here.

    modules: rows, 1 dark, 0 light. version: 1 to 40. level: L, M, Q or H. mask: 0 to 7.
    """
    flip = _MASKS[mask]
    bits = [modules[i][j] ^ flip(i, j) for i, j in _data_places(version)]
    codewords = [int("".join(map(str, bits[at : at + 8])), 2) for at in range(0, len(bits) - 7, 8)]
    data = bytes(_in_order(codewords, version, level))
    return tuple(_walk(data, version))


@lru_cache(maxsize=40)
def _data_places(version: int) -> tuple[tuple[int, int], ...]:
    """Where the bits of a code stand, in their order: up and down in columns of two, from the right."""
    side = 4 * version + 17
    taken = _patterns(version, side)
    places: list[tuple[int, int]] = []
    upward = True
    for right in (*range(side - 1, 6, -2), 5, 3, 1):
        for i in range(side - 1, -1, -1) if upward else range(side):
            places += [(i, j) for j in (right, right - 1) if (i, j) not in taken]
        upward = not upward
    return tuple(places)


def _patterns(version: int, side: int) -> set[tuple[int, int]]:
    """The modules that hold no data."""
    near, far = range(9), range(side - 8, side)
    taken = {
        (i, j) for rows, columns in ((near, near), (near, far), (far, near)) for i in rows for j in columns
    }
    taken |= {(6, at) for at in range(side)} | {(at, 6) for at in range(side)}
    if version >= 7:
        taken |= {place for i in range(6) for j in range(side - 11, side - 8) for place in ((i, j), (j, i))}
    if version >= 2:
        centres = consts.ALIGNMENT_POS[version - 2]
        corners = {(6, 6), (6, centres[-1]), (centres[-1], 6)}
        for row, column in set(product(centres, centres)) - corners:
            taken |= set(product(range(row - 2, row + 3), range(column - 2, column + 3)))
    return taken


def _in_order(codewords: list[int], version: int, level: str) -> Iterator[int]:
    """The data codewords, which stand interleaved: the first of each block, the second of each, and so on."""
    groups = cast(Any, consts.ECC)[version][_LEVELS[level]]
    sizes = [group.num_data for group in groups for _ in range(group.num_blocks)]
    stream = iter(codewords)
    blocks: list[list[int]] = [[] for _ in sizes]
    for place in range(max(sizes)):
        for block, size in zip(blocks, sizes, strict=True):
            if place < size:
                block.append(next(stream))
    return chain.from_iterable(blocks)


def _walk(data: bytes, version: int) -> Iterator[Segment]:
    bits = "".join(f"{byte:08b}" for byte in data)
    at = 0
    while len(bits) - at >= 4:
        mode = int(bits[at : at + 4], 2)
        if mode == _TERMINATOR:
            return
        kind = _KINDS.get(mode)
        if kind is None:
            yield Segment("other", 0)
            return
        name, lengths, size = kind
        at += 4
        width = lengths[(version > 9) + (version > 26)]
        count = int(bits[at : at + width] or "0", 2)
        yield Segment(name, count)
        at += width + size(count)


_KINDS: dict[int, tuple[str, tuple[int, int, int], Callable[[int], int]]] = {
    consts.MODE_NUMERIC: ("numeric", (10, 12, 14), lambda n: n // 3 * 10 + (0, 4, 7)[n % 3]),
    consts.MODE_ALPHANUMERIC: ("alphanumeric", (9, 11, 13), lambda n: n // 2 * 11 + n % 2 * 6),
    consts.MODE_BYTE: ("byte", (8, 16, 16), lambda n: 8 * n),
}
