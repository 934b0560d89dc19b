"""What changed between two counters of a revocation list, as static files for who has the earlier list.

`crl/<kid>-<to>.json` leads from the counter before to `to`; skip deltas `crl/<kid>-<from>-<to>.json` lead
over 16 and over 256 counters, to multiples of these. A delta states the digest of the list that it leads to,
so that a wrong one does no harm: the list is taken whole then.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Self

import msgspec

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Rejected
from safeconduct.status.card_revocation import rids
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.files import (
    is_digest,
    malformed,
    read_counter,
    read_kid,
    read_members,
    read_method,
    read_names,
)
from safeconduct.status.card_revocation.rids import Reach

SKIPS: Final = (256, 16)
"""Over how many counters skip deltas lead, the longest first."""


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """The step from one list of a key to a later one.

    start, end: the counters of the two lists; in the file, "from" and "to". add, remove: entries; one whose
    time changes is in both. remove has the entries as they stand in the earlier list.
    digest: of the canonical later list.
    """

    kid: str
    method: str
    start: int
    end: int
    add: Mapping[str, Reach]
    remove: Mapping[str, Reach]
    digest: str

    @classmethod
    def parse(cls, data: bytes, *, kid: str | None = None) -> Self:
        """Reads a delta. kid: the key that it must be of.

        Raises Malformed: "crl_too_large", "crl_malformed", "crl_kid", "crl_entry_malformed", "crl_duplicate".
        """
        members = read_members(data)
        start, end = read_counter(members, "from"), read_counter(members, "to")
        if start >= end or not is_digest(members.get("digest")):
            raise malformed("The delta does not lead forward to a list with a digest.")
        return cls(
            kid=read_kid(members, kid),
            method=read_method(members),
            start=start,
            end=end,
            add=rids.read_entries(read_names(members, "add")),
            remove=rids.read_entries(read_names(members, "remove")),
            digest=members["digest"],
        )

    @classmethod
    def between(cls, before: RevocationList, after: RevocationList) -> Self:
        """Returns the step from one list of a key to a later one with the same method."""
        add = {rid: reach for rid, reach in after.entries.items() if not _stands(before.entries, rid, reach)}
        gone = {rid: reach for rid, reach in before.entries.items() if not _stands(after.entries, rid, reach)}
        return cls(
            kid=after.kid,
            method=after.method,
            start=before.ctr,
            end=after.ctr,
            add=add,
            remove=gone,
            digest=after.digest(),
        )

    def encode(self) -> bytes:
        """Returns the canonical file."""
        members = {
            "kid": self.kid,
            "method": self.method,
            "from": self.start,
            "to": self.end,
            "add": rids.write_entries(self.add),
            "remove": rids.write_entries(self.remove),
            "digest": self.digest,
        }
        return json.dumps(members)

    def apply(self, to: RevocationList) -> RevocationList:
        """Returns the list that the delta leads to.

        Raises Rejected "delta_mismatch" if it does not fit the list, or leads to another than it states.
        """
        return follow(to, (self,))

    def __repr__(self) -> str:
        return f"<Delta {self.start} to {self.end}>"


def follow(to: RevocationList, steps: Iterable[Delta]) -> RevocationList:
    """Returns the list that deltas lead to, one after the other.

    Only the list at the end is compared with the digest that its delta states: each comparison costs as much
    as reading the whole list, and whoever serves a long chain would choose how often.
    Raises as `Delta.apply`.
    """
    entries, ctr, stated = dict(to.entries), to.ctr, None
    for step in steps:
        if (step.kid, step.method, step.start) != (to.kid, to.method, ctr):
            raise _mismatch()
        _change(entries, step)
        ctr, stated = step.end, step.digest
    later = RevocationList(kid=to.kid, ctr=ctr, entries=entries, method=to.method)
    if stated is not None and not (later.understood and later.digest() == stated):
        raise _mismatch()
    return later


def file_name(kid: str, start: int, end: int) -> str:
    """Returns the name of the delta between two counters, below `/.well-known/`."""
    return f"crl/{kid}-{end}.json" if start == end - 1 else f"crl/{kid}-{start}-{end}.json"


def starts(end: int) -> list[int]:
    """Returns the counters from which deltas lead to `end`, the nearest first: what a publisher writes."""
    if end < _SECOND:
        return []
    return [end - 1, *(end - span for span in reversed(SKIPS) if end % span == 0 and end > span)]


def chain(start: int, end: int) -> list[tuple[int, int]]:
    """Returns the fewest published deltas that lead from `start`, 1 or more, to `end`, as pairs."""
    steps: list[tuple[int, int]] = []
    while start < end:
        span = next((span for span in SKIPS if start % span == 0 and start + span <= end), 1)
        steps.append((start, start + span))
        start += span
    return steps


_SECOND: Final = 2  # the first counter that a list can be led to


def _change(entries: dict[str, Reach], step: Delta) -> None:
    for rid, reach in step.remove.items():
        if not _stands(entries, rid, reach):
            raise _mismatch()
        del entries[rid]
    if not entries.keys().isdisjoint(step.add) or len(entries) + len(step.add) > limits.CRL_ENTRIES:
        raise _mismatch()
    entries.update(step.add)


def _stands(entries: Mapping[str, Reach], rid: str, reach: Reach) -> bool:
    return rid in entries and entries[rid] == reach


def _mismatch() -> Rejected:
    return Rejected("delta_mismatch", "The delta does not lead from this list to the one that it states.")
