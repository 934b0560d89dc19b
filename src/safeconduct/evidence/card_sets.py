"""Revoked cards as sorted records of one size, which can be looked up in a mapped file without reading it.

The records are those of `status.compact.hashed`. A list and a log that say the same give the same bytes.
"""

import mmap
from collections.abc import Mapping
from typing import Final

import msgspec

from safeconduct.status.card_revocation.log import Log
from safeconduct.status.card_revocation.methods import METHODS
from safeconduct.status.card_revocation.rids import Reach, covers
from safeconduct.status.compact import hashed
from safeconduct.status.states import GOOD, REVOKED, Status

RECORD_BYTES: Final = hashed.RECORD_BYTES


def of_list(entries: Mapping[str, Reach]) -> bytes:
    """Return the records of a list's entries."""
    return hashed.records(entries)


def of_log(log: Log) -> bytes:
    """Return the records of what a log says at its end."""
    reaches = ((name, hashed.ALWAYS if reach is None else reach) for name, reach in log.reaches())
    return b"".join(sorted(name + time.to_bytes(_TIME_BYTES, "big") for name, time in reaches))


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
        name = hashed.prefix(identifier).to_bytes(_NAME_BYTES, "big")
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
        return (None,) if time == hashed.ALWAYS else (time,)

    def status(self, identifier: str | None, nbf: float) -> Status:
        """Return what the list says of a card; arguments as of `RevocationList.status`."""
        found = None if identifier is None else self.reach(identifier)
        return REVOKED if found is not None and covers(found[0], nbf) else GOOD

    def __repr__(self) -> str:
        return f"<CardSet {len(self.records) // RECORD_BYTES} entries>"


_NAME_BYTES: Final = hashed.PREFIX_BYTES
_TIME_BYTES: Final = RECORD_BYTES - _NAME_BYTES
