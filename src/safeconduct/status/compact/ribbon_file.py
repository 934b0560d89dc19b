"""A ribbon as a file that is used where it lies, also in mapped memory.

Integers are big-endian. In this order: "SCRIBON1"; `as_of` (8 bytes), the list's counter (8), its entries
(8), the SHA-256 of its canonical bytes (32); the seed (32); issuer, kid and method, each with its length
(2) before it; how many reaches there are (4) and each (8; all ones: cards whenever made), ascending; the
functions listed, exact and reach; the SHA-256 of all that; the seal (`ribbon_seal`), if any. A function:
its bits (1), slots (8) and exceptions (4), these ascending (what is the element's own, 8, and the value,
4), and its columns.
"""

import hashlib
import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Unsupported
from safeconduct.status.card_revocation.files import is_kid
from safeconduct.status.card_revocation.rids import Reach
from safeconduct.status.compact.linear import SEED_BYTES, WIDTH, Function, Rows, column_bytes
from safeconduct.status.compact.ribbon import EXACT, LISTED, REACH, Ribbon

MAGIC: Final = b"SCRIBON1"


def encode(ribbon: Ribbon) -> bytes:
    """Returns the file of a ribbon; equal ribbons have equal files."""
    texts = (text.encode() for text in (ribbon.issuer, ribbon.kid, ribbon.method))
    digest = b64.decode(ribbon.digest.removeprefix(_DIGEST))
    parts = (
        _HEAD.pack(MAGIC, ribbon.as_of, ribbon.ctr, ribbon.count, digest, ribbon.seed),
        *(_LENGTH.pack(len(text)) + text for text in texts),
        _COUNT.pack(len(ribbon.reaches)),
        *(_REACH.pack(_ALWAYS if reach is None else reach) for reach in ribbon.reaches),
        *(_encoded(function) for function in (ribbon.listed, ribbon.exact, ribbon.reach)),
    )
    body = b"".join(parts)
    return body + hashlib.sha256(body).digest()


def read(data: bytes | memoryview) -> Ribbon:
    """Reads a ribbon, which goes on to use the bytes; its seal is not looked at.

    Raises Malformed "ribbon_too_large", "ribbon_malformed"; Unsupported "ribbon_version_unknown".
    """
    return split(data)[0]


def split(data: bytes | memoryview) -> tuple[Ribbon, bytes, bytes]:
    """Returns the ribbon, the SHA-256 of its bytes, and the seal behind them, which may be empty.

    Raises as `read`.
    """
    if len(data) > limits.RIBBON_BYTES:
        raise Malformed("ribbon_too_large", "The ribbon is longer than allowed here.")
    view = memoryview(data)
    if bytes(view[: len(MAGIC) - 1]) == MAGIC[:-1] and bytes(view[: len(MAGIC)]) != MAGIC:
        raise Unsupported("ribbon_version_unknown", "The ribbon has a version that is not known here.")
    cursor = _Cursor(view)
    ribbon = _read(cursor)
    digest = hashlib.sha256(view[: cursor.place]).digest()
    if bytes(cursor.take(_SHA256)) != digest:
        raise _malformed("The ribbon is damaged.")
    return ribbon, digest, bytes(view[cursor.place :])


_HEAD: Final = struct.Struct(f">8sQQQ32s{SEED_BYTES}s")
_LENGTH: Final = struct.Struct(">H")
_COUNT: Final = struct.Struct(">I")
_REACH: Final = struct.Struct(">Q")
_FUNCTION: Final = struct.Struct(">BQI")
_EXCEPTION: Final = struct.Struct(">QI")
_ALWAYS: Final = (1 << 64) - 1
_SHA256: Final = 32
_DIGEST: Final = "sha-256:"
_BITS: Final = 32


def _malformed(reason: str) -> Malformed:
    return Malformed("ribbon_malformed", reason)


class _Cursor:
    """Takes bytes one after another and never beyond the end."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.place = 0

    def take(self, size: int) -> memoryview:
        taken = self._data[self.place : self.place + size]
        if len(taken) != size:
            raise _malformed("The ribbon ends too early.")
        self.place += size
        return taken

    def integers(self, form: struct.Struct) -> tuple[int, ...]:
        return form.unpack(self.take(form.size))

    def text(self) -> str:
        (size,) = self.integers(_LENGTH)
        try:
            return bytes(self.take(size)).decode()
        except UnicodeDecodeError:
            raise _malformed("A name in the ribbon is not UTF-8.") from None


def _read(cursor: _Cursor) -> Ribbon:
    magic, as_of, ctr, count, digest, seed = _HEAD.unpack(cursor.take(_HEAD.size))
    issuer, kid, method = cursor.text(), cursor.text(), cursor.text()
    if magic != MAGIC or not is_kid(kid) or ctr < 1:
        raise _malformed("The ribbon does not say whose it is.")
    reaches = tuple(_reaches(cursor, count))
    listed, exact = _function(cursor, seed, LISTED), _function(cursor, seed, EXACT)
    reach = _function(cursor, seed, REACH)
    if exact.bits != (1 if count else 0) or reach.bits != max(0, len(reaches) - 1).bit_length():
        raise _malformed("The functions of the ribbon do not fit its entries.")
    return Ribbon(
        issuer=issuer,
        kid=kid,
        method=method,
        ctr=ctr,
        digest=_DIGEST + b64.encode(digest),
        count=count,
        as_of=as_of,
        seed=seed,
        reaches=reaches,
        listed=listed,
        exact=exact,
        reach=reach,
    )


def _reaches(cursor: _Cursor, count: int) -> Iterator[Reach]:
    (size,) = cursor.integers(_COUNT)
    if size > count or (count and not size):
        raise _malformed("The ribbon has more reaches than entries, or none.")
    found = [moment for (moment,) in _REACH.iter_unpack(cursor.take(size * _REACH.size))]
    if any(later <= earlier for earlier, later in pairwise(found)):
        raise _malformed("The reaches of the ribbon are not ascending.")
    return (None if moment == _ALWAYS else moment for moment in found)


def _function(cursor: _Cursor, seed: bytes, purpose: bytes) -> Function:
    bits, slots, count = cursor.integers(_FUNCTION)
    if bits > _BITS or (slots < WIDTH if bits else slots + count):
        raise _malformed("A function of the ribbon has no such size.")
    if count > limits.RIBBON_EXCEPTIONS:
        raise Malformed("ribbon_too_large", "The ribbon has more exceptions than allowed here.")
    pairs = list(_EXCEPTION.iter_unpack(cursor.take(count * _EXCEPTION.size)))
    if any(value >> bits for _, value in pairs) or any(
        later[0] <= earlier[0] for earlier, later in pairwise(pairs)
    ):
        raise _malformed("The exceptions of the ribbon are not ascending, or have no such value.")
    stride = column_bytes(slots)
    return Function(Rows(seed, purpose, slots), bits, stride, cursor.take(bits * stride), dict(pairs))


def _encoded(function: Function) -> bytes:
    exceptions = sorted(function.exceptions.items())
    return b"".join(
        (
            _FUNCTION.pack(function.bits, function.rows.slots, len(exceptions)),
            *(_EXCEPTION.pack(*pair) for pair in exceptions),
            bytes(function.columns),
        )
    )
