"""Builds the body of a pack from what was gathered of issuers, within a budget of bytes."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from safeconduct.errors import Rejected
from safeconduct.status.card_keys import CardKey
from safeconduct.status.compact import body, packed_list
from safeconduct.status.compact.blocks import table_bytes
from safeconduct.status.compact.body import Body, EntryRow, Facts, IssuerRow
from safeconduct.status.compact.hashed import RECORD_BYTES
from safeconduct.status.compact.packed_list import EXACT_BITS, FEWEST_BITS, PackedList

USUAL_BITS: Final = 32
"""Bits that are kept of each identifier beyond those that its place gives: one false hit in 2^32 look-ups."""


class HashedList(msgspec.Struct, frozen=True, kw_only=True):
    """A revocation list as a pack needs it. records: sorted, as `hashed.records` makes them."""

    method: str
    ctr: int
    digest: bytes
    records: bytes | memoryview

    @property
    def count(self) -> int:
        """How many entries it has."""
        return len(self.records) // RECORD_BYTES

    def __repr__(self) -> str:
        return f"<HashedList {self.count} entries>"


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one key of an issuer. key: None if only its list is known.

    state: of `body`, of the list. listed: the list, if there is one, or the list that an earlier pack holds.
    since: when the list was last had, 0: as the evidence was gathered.
    """

    kid: str
    key: CardKey | None
    state: int = body.NO_LIST
    listed: "HashedList | CarriedList | None" = None
    since: int = 0


class CarriedList(msgspec.Struct, frozen=True):
    """A list that is taken over from an earlier pack as it lies there."""

    facts: Facts
    section: bytes | memoryview


class GatheredIssuer(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an issuer. since: when its keys were last had, 0: as the evidence was gathered."""

    url: str
    name: str = ""
    since: int = 0
    keys: tuple[Gathered, ...] = ()


def build(
    issuers: Sequence[GatheredIssuer],
    *,
    previous: Body | None = None,
    low_bits: int = USUAL_BITS,
    budget: int | None = None,
) -> bytes:
    """Returns the body of a pack.

    previous: of the version before; a list keeps its number of buckets while that suits it, so that an update
    can name its changes alone. low_bits: 8 to 64, see `USUAL_BITS`. budget: bytes that the whole pack may
    have; then as many bits are kept as fit, from 8 to 64.

    Raises Rejected "pack_budget".
    """
    if budget is None:
        return _build(issuers, previous, low_bits)
    room = budget - _HEAD_ROOM
    for bits in range(_most_bits(issuers, room), FEWEST_BITS - 1, -1):
        for earlier in (previous, None) if previous is not None else (None,):
            made = _build(issuers, earlier, bits)
            needed = len(made) + table_bytes(len(made))
            if needed <= room:
                return made
    raise Rejected("pack_budget", f"The pack does not fit: it needs {needed + _HEAD_ROOM} bytes at least.")


def count_of(made: Body) -> tuple[int, int]:
    """Returns how many lists a body has, and how many entries in them."""
    counts = [
        PackedList(made.read, at=entry.at, length=entry.length).count
        for entry in made.entries()
        if entry.length
    ]
    return len(counts), sum(counts)


_HEAD_ROOM: Final = 2048
"""For what stands before the table: a head has some 600 bytes, with an ML-DSA signature more."""


def _most_bits(issuers: Sequence[GatheredIssuer], room: int) -> int:
    """With more bits than these the lists cannot fit."""
    bare = [msgspec.structs.replace(issuer, keys=tuple(map(_bare, issuer.keys))) for issuer in issuers]
    lists = [each.listed for issuer in issuers for each in issuer.keys]
    count = sum(each.count for each in lists if isinstance(each, HashedList))
    left = 8 * (room - len(_build(bare, None, FEWEST_BITS)))
    return max(FEWEST_BITS, min(EXACT_BITS, left // count - 1)) if count else EXACT_BITS


def _bare(gathered: Gathered) -> Gathered:
    """Without a list that is yet to be coded."""
    coded = not isinstance(gathered.listed, HashedList)
    return gathered if coded else msgspec.structs.replace(gathered, listed=None)


def _build(issuers: Sequence[GatheredIssuer], previous: Body | None, low_bits: int) -> bytes:
    before = {} if previous is None else _shapes(previous)
    rows = [_row(issuer.url, gathered, before, low_bits) for issuer in issuers for gathered in issuer.keys]
    return body.assemble([IssuerRow(each.url, each.name, each.since) for each in issuers], rows)


def _row(url: str, gathered: Gathered, before: Mapping[bytes, int], low_bits: int) -> EntryRow:
    key, listed = gathered.key, gathered.listed
    tags = body.tags_of(url, gathered.kid)
    facts = Facts(
        key=None if key is None else key.key.to_raw()[1:],
        crl_version=0 if key is None else key.crl_version or 0,
        state=gathered.state,
        since=gathered.since,
    )
    if listed is None:
        return EntryRow(tags, facts)
    if isinstance(listed, CarriedList):
        kept = msgspec.structs.replace(facts, ctr=listed.facts.ctr, digest=listed.facts.digest)
        return EntryRow(tags, kept, listed.section)
    buckets = _buckets(listed.count, before.get(tags))
    section = packed_list.encode(
        packed_list.entries_of(listed.records, buckets=buckets, low_bits=low_bits),
        method=listed.method,
        at_most=listed.count,
        buckets=buckets,
        low_bits=low_bits,
    )
    return EntryRow(tags, msgspec.structs.replace(facts, ctr=listed.ctr, digest=listed.digest), section)


def _shapes(previous: Body) -> dict[bytes, int]:
    """How many buckets each list has."""
    return {
        entry.tags: PackedList(previous.read, at=entry.at, length=entry.length).buckets
        for entry in previous.entries()
        if entry.length
    }


def _buckets(count: int, before: int | None) -> int:
    """As many as there are entries costs least; from half to five fourths costs and errs little more."""
    if before and count <= before + before // 4 and before <= 2 * count:
        return before
    return max(count, 1)
