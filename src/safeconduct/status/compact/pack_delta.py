"""What turns one version of a pack into another: the rows that differ, and of lists the entries that do.

    "SCPDELT" and a zero byte | length of the head u32 | zero u32 | digest of the version before 32
    | head of the version after | rows, in ZLIB format (RFC 1950)                              little-endian

Whoever applies one compares the result with the signed head, so that a wrong delta can do no harm.
"""

import heapq
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.status.compact import blocks, body, pack_file, pack_head, packed_list
from safeconduct.status.compact.body import EntryRow, Facts, IssuerRow
from safeconduct.status.compact.pack import Pack
from safeconduct.status.compact.packed_list import Entry, PackedList
from safeconduct.trust import Waived

MAGIC: Final = b"SCPDELT\0"


def between(before: Pack, after: Pack) -> bytes:
    """Returns the delta from one version of a pack to a later one.

    Raises what reading them raises; Rejected "pack_delta_too_large" if the whole pack is the shorter way.
    """
    rows = b"".join(_changes(before, after))
    if len(rows) > limits.PACK_DELTA_BYTES:
        raise Rejected("pack_delta_too_large", "The packs differ by more than a delta may hold.")
    head = after.text.encode("ascii")
    start = _START.pack(MAGIC, len(head), _raw_digest(before.head.digest))
    return start + head + zlib.compress(rows, 9)


def apply(delta: bytes, *, to: Pack, keys: Iterable[PublicKey] | Waived) -> bytes:
    """Returns the file of the later version.

    delta: as it was fetched, at most PACK_DELTA_BYTES long. to: the version before. keys: as `Pack.open`.

    Raises Malformed "pack_delta_malformed"; Rejected "pack_delta_mismatch" (for another version, or the
    result is not what the head says), "pack_rolled_back"; what `pack_head.verify` raises.
    """
    text, base, packed = _split(delta)
    head = pack_head.verify(text, keys=keys if isinstance(keys, Waived) else tuple(keys))
    if base != _raw_digest(to.head.digest):
        raise Rejected("pack_delta_mismatch", "The delta is for another version of the pack.")
    if head.version < to.head.version:
        raise Rejected("pack_rolled_back", "The pack is older than one seen before.")
    made = _changed(to, _Cursor(_inflated(packed)))
    table = blocks.table_of(made)
    if len(made) != head.length or pack_file.digest_of(table) != head.digest:
        raise Rejected("pack_delta_mismatch", "The delta does not make what the pack's head names.")
    return pack_file.write(text, made, table=table)


def _changes(before: Pack, after: Pack) -> Iterator[bytes]:
    old_issuers = {row.tag: row for row in before.body.issuers()}
    new_issuers = {row.tag: row for row in after.body.issuers()}
    yield from _counted(tag for tag in old_issuers if tag not in new_issuers)
    yield from _counted(_issuer(row) for tag, row in new_issuers.items() if old_issuers.get(tag) != row)
    old, new = _rows(before), _rows(after)
    yield from _counted(tags for tags in old if tags not in new)
    yield from _counted(
        b"".join(_entry(old.get(tags), row, before, after))
        for tags, row in new.items()
        if _differs(old.get(tags), row)
    )


def _rows(pack: Pack) -> dict[bytes, EntryRow]:
    return {row.tags: row for row in pack.body.rows()}


def _differs(old: EntryRow | None, new: EntryRow) -> bool:
    return old is None or old.facts != new.facts or old.section != new.section


def _issuer(row: IssuerRow) -> bytes:
    url, name = row.url.encode(), row.name.encode()
    return _ISSUER.pack(row.since, len(url), len(name)) + url + name


def _entry(old: EntryRow | None, new: EntryRow, before: Pack, after: Pack) -> Iterator[bytes]:
    facts = new.facts
    same_key = old is not None and old.facts.key == facts.key
    same_digest = old is not None and old.facts.digest == facts.digest
    kind, told = _list_change(old, new, before, after)
    flags = same_key * _SAME_KEY | same_digest * _SAME_DIGEST | (facts.key is not None) * _HAS_KEY
    numbers = (facts.ctr, facts.crl_version, facts.since, facts.state, flags, kind)
    yield _ENTRY.pack(new.tags, *numbers)
    yield b"" if same_key or facts.key is None else facts.key
    yield b"" if same_digest else facts.digest
    yield told


def _list_change(old: EntryRow | None, new: EntryRow, before: Pack, after: Pack) -> tuple[int, bytes]:
    """How a list is told: that it is the same, by its entries that differ, or whole."""
    if old is not None and old.section == new.section:
        return _KEPT, b""
    whole = _LENGTH.pack(len(new.section)) + bytes(new.section)
    one, other = _list(before, new.tags), _list(after, new.tags)
    if one is None or other is None or _shape(one) != _shape(other):
        return _WHOLE, whole
    edited = _edits(one, other)
    return (_EDITED, edited) if len(edited) < len(whole) else (_WHOLE, whole)


def _edits(one: PackedList, other: PackedList) -> bytes:
    width = _width(one)
    gone, come = [], []
    for origin, (value, reach) in _unpaired(one.entries(), other.entries()):
        if origin == 0:
            gone.append(value.to_bytes(width, "little"))
        else:
            come.append(value.to_bytes(width, "little") + _TIME.pack(reach))
    return _EDITS.pack(len(gone), len(come)) + b"".join(gone) + b"".join(come)


def _unpaired(one: Iterator[Entry], other: Iterator[Entry]) -> Iterator[tuple[int, Entry]]:
    """The entries of two sorted sequences that are in one alone, with which of them it is."""
    left, right = next(one, None), next(other, None)
    while left is not None or right is not None:
        if left == right:
            left, right = next(one, None), next(other, None)
        elif right is None or (left is not None and left < right):
            yield 0, left or _NO_ENTRY
            left = next(one, None)
        else:
            yield 1, right
            right = next(other, None)


def _changed(to: Pack, rows: "_Cursor") -> bytes:
    issuers = {row.tag: row for row in to.body.issuers()}
    for _ in range(rows.count()):
        issuers.pop(rows.take(body.TAG_BYTES), None)
    for _ in range(rows.count()):
        row = _read_issuer(rows)
        issuers[row.tag] = row
    entries = _rows(to)
    for _ in range(rows.count()):
        entries.pop(rows.take(2 * body.TAG_BYTES), None)
    for _ in range(rows.count()):
        made = _read_entry(rows, entries, to)
        entries[made.tags] = made
    rows.end()
    return body.assemble(issuers.values(), entries.values())


def _read_issuer(rows: "_Cursor") -> IssuerRow:
    since, url_bytes, name_bytes = _ISSUER.unpack(rows.take(_ISSUER.size))
    url, name = rows.take(url_bytes), rows.take(name_bytes)
    try:
        return IssuerRow(url.decode(), name.decode(), since)
    except UnicodeDecodeError:
        raise _malformed() from None


def _read_entry(rows: "_Cursor", known: Mapping[bytes, EntryRow], to: Pack) -> EntryRow:
    tags, ctr, crl_version, since, state, flags, kind = _ENTRY.unpack(rows.take(_ENTRY.size))
    old = known.get(tags, EntryRow(tags, Facts(key=None, crl_version=0, state=body.NO_LIST)))
    key = old.facts.key if flags & _SAME_KEY else rows.take(body.KEY_BYTES) if flags & _HAS_KEY else None
    digest = old.facts.digest if flags & _SAME_DIGEST else rows.take(blocks.DIGEST_BYTES)
    facts = Facts(key=key, crl_version=crl_version, state=state, ctr=ctr, digest=digest, since=since)
    if kind == _KEPT:
        return EntryRow(tags, facts, old.section)
    if kind == _WHOLE:
        return EntryRow(tags, facts, rows.take(_LENGTH.unpack(rows.take(_LENGTH.size))[0]))
    listed = _list(to, tags)
    if kind != _EDITED or listed is None:
        raise _malformed()
    return EntryRow(tags, facts, _edited(rows, listed))


def _edited(rows: "_Cursor", listed: PackedList) -> bytes:
    gone_count, come_count = _EDITS.unpack(rows.take(_EDITS.size))
    width = _width(listed)
    gone = {rows.number(width) for _ in range(rows.fitting(gone_count, width))}
    come = [
        (rows.number(width), rows.number(_TIME.size))
        for _ in range(rows.fitting(come_count, width + _TIME.size))
    ]
    kept = (entry for entry in listed.entries() if entry[0] not in gone)
    return packed_list.encode(
        _rising(heapq.merge(kept, come), below=listed.buckets << listed.low_bits),
        method=listed.method,
        at_most=listed.count + len(come),
        buckets=listed.buckets,
        low_bits=listed.low_bits,
    )


def _rising(entries: Iterable[Entry], *, below: int) -> Iterator[Entry]:
    before = -1
    for entry in entries:
        if not before < entry[0] < below:
            raise _malformed()
        before = entry[0]
        yield entry


def _list(pack: Pack, tags: bytes) -> PackedList | None:
    found = pack.body.find(tags)
    if found is None or not found.length:
        return None
    return PackedList(pack.body.read, at=found.at, length=found.length)


def _shape(listed: PackedList) -> tuple[str, int, int]:
    return listed.method, listed.buckets, listed.low_bits


def _width(listed: PackedList) -> int:
    return ((listed.buckets << listed.low_bits).bit_length() + 7) >> 3


def _counted(parts: Iterable[bytes]) -> Iterator[bytes]:
    found = [*parts]
    yield _COUNT.pack(len(found))
    yield from found


def _split(delta: bytes) -> tuple[str, bytes, bytes]:
    if len(delta) > limits.PACK_DELTA_BYTES or len(delta) < _START.size:
        raise _malformed()
    magic, length, base = _START.unpack_from(delta)
    if magic != MAGIC or length > limits.PACK_HEAD_BYTES:
        raise _malformed()
    end = _START.size + length
    try:
        return delta[_START.size : end].decode("ascii"), base, delta[end:]
    except UnicodeDecodeError:
        raise _malformed() from None


def _inflated(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        rows = inflater.decompress(packed, limits.PACK_DELTA_BYTES + 1)
    except zlib.error:
        raise _malformed() from None
    if len(rows) > limits.PACK_DELTA_BYTES or not inflater.eof or inflater.unused_data:
        raise _malformed()
    return rows


def _raw_digest(name: str) -> bytes:
    """The bytes of a digest that a head names; whatever it is, what is compared later decides."""
    try:
        return b64.decode(name.removeprefix("sha-256:"), max_bytes=blocks.DIGEST_BYTES)
    except SafeconductError:
        return b""


class _Cursor:
    """Reads rows one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise _malformed()
        taken, self._at = self._data[self._at : end], end
        return taken

    def count(self) -> int:
        return self.fitting(self.number(_COUNT.size), 1)

    def fitting(self, count: int, size: int) -> int:
        """So many things of a size have to be left."""
        if count * size > len(self._data) - self._at:
            raise _malformed()
        return count

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def end(self) -> None:
        if self._at != len(self._data):
            raise _malformed()


_START: Final = struct.Struct("<8sI4x32s")
_ISSUER: Final = struct.Struct("<QHH")
_ENTRY: Final = struct.Struct("<32sQQQBBB")
_EDITS: Final = struct.Struct("<II")
_COUNT: Final = struct.Struct("<I")
_LENGTH: Final = struct.Struct("<Q")
_TIME: Final = struct.Struct("<Q")
_HAS_KEY, _SAME_KEY, _SAME_DIGEST = 1, 2, 4
_KEPT, _WHOLE, _EDITED = range(3)
_NO_ENTRY: Final[Entry] = (0, 0)


def _malformed() -> Malformed:
    return Malformed("pack_delta_malformed", "The delta breaks its format.")
