"""Revoked cards as sorted records of one size, which can be looked up in a mapped file without reading it.

A record has 12 bytes of the SHA-256 of the card's identifier, and 8 bytes of the time before which a card
must have been made to be revoked, all ones for a card revoked whenever it was made. A list and a log that say
the same give the same bytes.
"""

import mmap
from collections.abc import Mapping
from typing import Final

import msgspec

from safeconduct.status.card_revocation.log import Log, prefix
from safeconduct.status.card_revocation.methods import METHODS
from safeconduct.status.card_revocation.rids import Reach, covers
from safeconduct.status.states import GOOD, REVOKED, Status

RECORD_BYTES: Final = 20


def of_list(entries: Mapping[str, Reach]) -> bytes:
    """Return the records of a list's entries."""
    return b"".join(sorted(prefix(rid) + _time(reach) for rid, reach in entries.items()))


def of_log(log: Log) -> bytes:
    """Return the records of what a log says at its end."""
    return b"".join(sorted(name + _time(reach) for name, reach in log.reaches()))


class CardSet(msgspec.Struct, frozen=True, kw_only=True):
    """A list of revoked cards as records; what it cannot do is to name them. method, ctr: of the list."""

    method: str
    ctr: int
    records: bytes | mmap.mmap

    @property
    def understood(self) -> bool:
        """Whether its method is known."""
        return self.method in METHODS

    def reach(self, identifier: str) -> tuple[Reach] | None:
        """Return which cards of an identifier are revoked; None if none are."""
        name = prefix(identifier)
        low, high = 0, len(self.records) // RECORD_BYTES
        while low < high:
            middle = (low + high) // 2
            if self.records[middle * RECORD_BYTES : middle * RECORD_BYTES + _NAME_BYTES] < name:
                low = middle + 1
            else:
                high = middle
        record = self.records[low * RECORD_BYTES : (low + 1) * RECORD_BYTES]
        if record[:_NAME_BYTES] != name:
            return None
        time = int.from_bytes(record[_NAME_BYTES:], "big")
        return (None,) if time == _WHENEVER else (time,)

    def status(self, identifier: str | None, nbf: float) -> Status:
        """Return what the list says of a card; arguments as of `RevocationList.status`."""
        found = None if identifier is None else self.reach(identifier)
        return REVOKED if found is not None and covers(found[0], nbf) else GOOD

    def __repr__(self) -> str:
        return f"<CardSet {len(self.records) // RECORD_BYTES} entries>"


_NAME_BYTES = 12  # as many as in a log
_TIME_BYTES = RECORD_BYTES - _NAME_BYTES
_WHENEVER = (1 << 8 * _TIME_BYTES) - 1


def _time(reach: Reach) -> bytes:
    return (_WHENEVER if reach is None else reach).to_bytes(_TIME_BYTES, "big")
