"""What a pack holds: issuers, their keys, and the lists of revoked cards of these, each found by bisection.

    header 64: issuers u32 | entries u32 | texts u64 | lists u64 | zeros      little-endian, sizes in bytes
    issuer records, by tag | entry records, by tags of kid and issuer | texts | lists
    issuer record: tag 16 | text offset u32 | URL u16 | name u16 | since u64
    entry record: kid tag 16 | issuer tag 16 | list offset u64 | length u64 | ctr u64 | crlVersion u64
        | digest 32 | key x y 64 | key there u8 | state u8 | zeros u16 u32 | since u64

A tag is the beginning of a SHA-256. What is in a record but offsets makes a row: packs of equal rows are
equal bytes, which is what lets an update name rows alone.
"""

import hashlib
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from safeconduct.errors import Malformed
from safeconduct.status.compact.blocks import CheckedBytes

TAG_BYTES: Final = 16
KEY_BYTES: Final = 64
NO_LIST, LISTED, MISSING, MALFORMED, UNVERIFIED, UNSUPPORTED = range(6)
"""What is known of a key's list: that there is none, the list, or why it could not be had."""

Buffer = bytes | memoryview


class IssuerRow(msgspec.Struct, frozen=True):
    """An issuer. since: when its keys were last had from it, 0: as the pack's evidence was gathered."""

    url: str
    name: str = ""
    since: int = 0

    @property
    def tag(self) -> bytes:
        """What the issuer is found by."""
        return tag(self.url)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one key of one issuer and of its list.

    key: its coordinates x and y, None if only the list is known. crl_version: as the issuer announces it, 0:
    it announces none. ctr: of the list, 0 without one. digest: SHA-256 of the list's canonical file, zeros
    without one. since: when the list was last had from the issuer, 0: as the pack's evidence was gathered.
    """

    key: bytes | None
    crl_version: int
    state: int
    ctr: int = 0
    digest: bytes = bytes(32)
    since: int = 0


class EntryRow(msgspec.Struct, frozen=True):
    """A key of an issuer by its tags, what is known of it, and its coded list, empty without one."""

    tags: bytes
    facts: Facts
    section: Buffer = b""


def tag(name: str) -> bytes:
    """Returns what an issuer or a kid is found by."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:TAG_BYTES]


def tags_of(issuer: str, kid: str) -> bytes:
    """Returns what a key of an issuer is found by."""
    return tag(kid) + tag(issuer)


def assemble(issuers: Iterable[IssuerRow], entries: Iterable[EntryRow]) -> bytes:
    """Returns the body that holds these rows, each once, in whatever order they come."""
    by_tag = sorted(issuers, key=lambda row: row.tag)
    by_tags = sorted(entries, key=lambda row: row.tags)
    texts, issuer_records = _issuer_records(by_tag)
    offset, entry_records = 0, []
    for row in by_tags:
        entry_records.append(_record(row, offset))
        offset += len(row.section)
    head = _HEAD.pack(len(by_tag), len(by_tags), len(texts), offset)
    return b"".join((head, *issuer_records, *entry_records, texts, *(row.section for row in by_tags)))


class Body:
    """A body that is read where it lies. Methods raise Malformed "pack_malformed", Rejected "pack_digest"."""

    __slots__ = ("_data", "_entries", "_entries_at", "_issuers", "_lists_at", "_texts_at", "read")

    def __init__(self, data: CheckedBytes) -> None:
        self._data, self.read = data, data.read
        self._issuers, self._entries, texts, lists = _HEAD.unpack(data.read(0, _HEAD.size))
        self._entries_at = _HEAD.size + self._issuers * _ISSUER.size
        self._texts_at = self._entries_at + self._entries * _ENTRY.size
        self._lists_at = self._texts_at + texts
        if self._lists_at + lists != len(data):
            raise _malformed()

    def find(self, tags: bytes) -> "PlacedEntry | None":
        """Returns the entry of an issuer's key."""
        at = bisect_left(range(self._entries), tags, key=self._tags)
        return self._entry(at) if at < self._entries and self._tags(at) == tags else None

    def of_kid(self, kid_tag: bytes) -> Iterator["PlacedEntry"]:
        """Gives the entries of a key, one for each issuer that uses it."""
        at = bisect_left(range(self._entries), kid_tag, key=self._tags)
        while at < self._entries and self._tags(at)[:TAG_BYTES] == kid_tag:
            yield self._entry(at)
            at += 1

    def entries(self) -> Iterator["PlacedEntry"]:
        """Gives all entries."""
        return map(self._entry, range(self._entries))

    def rows(self) -> Iterator[EntryRow]:
        """Gives all entries with their lists as they lie here."""
        for entry in self.entries():
            yield EntryRow(entry.tags, entry.facts, self.read(entry.at, entry.at + entry.length))

    def issuer(self, issuer_tag: bytes) -> IssuerRow | None:
        """Returns the issuer of a tag."""
        at = bisect_left(range(self._issuers), issuer_tag, key=self._issuer_tag)
        found = at < self._issuers and self._issuer_tag(at) == issuer_tag
        return self._issuer(at) if found else None

    def issuers(self) -> Sequence[IssuerRow]:
        """Returns all issuers."""
        return [self._issuer(at) for at in range(self._issuers)]

    def _tags(self, place: int) -> bytes:
        at = self._entries_at + place * _ENTRY.size
        return bytes(self.read(at, at + 2 * TAG_BYTES))

    def _entry(self, place: int) -> "PlacedEntry":
        at = self._entries_at + place * _ENTRY.size
        tags, offset, length, *rest = _ENTRY.unpack(self.read(at, at + _ENTRY.size))
        ctr, crl_version, digest, key, has_key, state, since = rest
        facts = Facts(
            key=key if has_key else None,
            crl_version=crl_version,
            state=state,
            ctr=ctr,
            digest=digest,
            since=since,
        )
        return PlacedEntry(tags, facts, self._lists_at + offset, length)

    def _issuer_tag(self, place: int) -> bytes:
        at = _HEAD.size + place * _ISSUER.size
        return bytes(self.read(at, at + TAG_BYTES))

    def _issuer(self, place: int) -> IssuerRow:
        at = _HEAD.size + place * _ISSUER.size
        _, offset, url_bytes, name_bytes, since = _ISSUER.unpack(self.read(at, at + _ISSUER.size))
        url_at = self._texts_at + offset
        name_at = url_at + url_bytes
        url, name = self.read(url_at, name_at), self.read(name_at, name_at + name_bytes)
        try:
            return IssuerRow(str(url, "utf-8"), str(name, "utf-8"), since)
        except UnicodeDecodeError:
            raise _malformed() from None


class PlacedEntry(msgspec.Struct, frozen=True):
    """An entry within a body. at, length: where its list lies, in bytes."""

    tags: bytes
    facts: Facts
    at: int
    length: int


_HEAD: Final = struct.Struct("<IIQQ40x")
_ISSUER: Final = struct.Struct("<16sIHHQ")
_ENTRY: Final = struct.Struct("<32sQQQQ32s64sBB6xQ")


def _issuer_records(rows: Sequence[IssuerRow]) -> tuple[bytes, list[bytes]]:
    texts, records = bytearray(), []
    for row in rows:
        url, name = row.url.encode(), row.name.encode()
        records.append(_ISSUER.pack(row.tag, len(texts), len(url), len(name), row.since))
        texts += url + name
    return bytes(texts.ljust(len(texts) + 7 & ~7, b"\0")), records


def _record(row: EntryRow, offset: int) -> bytes:
    facts = row.facts
    versions = (facts.ctr, facts.crl_version, facts.digest)
    key = (facts.key or bytes(KEY_BYTES), facts.key is not None)
    return _ENTRY.pack(row.tags, offset, len(row.section), *versions, *key, facts.state, facts.since)


def _malformed() -> Malformed:
    return Malformed("pack_malformed", "The pack breaks its format.")
