"""The binary log of a revocation list (`crl/<kid>.log`), to which records are only ever appended.

Who has its beginning asks for the rest alone (HTTP Range). A header of 16 bytes: "SCRLOG1" and a zero byte,
and 8 bytes of SHA-256 of the kid. Then records of 16 bytes: 12 of SHA-256 of the identifier, and a time T as
big-endian integer. T = 0: revoked whenever made; T = 2^32-1: no longer revoked; else revoked if made before
T. A later record about an identifier replaces those before. A log gives the verdicts of the list at its end;
the identifiers themselves cannot be read from it.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Self

import msgspec

from safeconduct import limits
from safeconduct.errors import Malformed
from safeconduct.status.card_revocation import rids
from safeconduct.status.card_revocation.changes import GONE, Change, Standing
from safeconduct.status.card_revocation.rids import Reach
from safeconduct.status.states import GOOD, REVOKED, Status

HEADER_BYTES: Final = 16
RECORD_BYTES: Final = 16


class Log(msgspec.Struct, frozen=True):
    """A log that was read: by the beginning of each identifier's hash, the time of its last record."""

    times: Mapping[bytes, int]

    @classmethod
    def parse(cls, data: bytes, *, kid: str) -> Self:
        """Reads a whole log, or the whole records of its beginning. kid: the key that it must be of.

        Raises Malformed "log_malformed" (header, a record in part), "log_too_large".
        """
        if len(data) > HEADER_BYTES + limits.LOG_RECORDS * RECORD_BYTES:
            raise Malformed("log_too_large", "The log is longer than allowed here.")
        if data[:HEADER_BYTES] != header(kid) or (len(data) - HEADER_BYTES) % RECORD_BYTES:
            raise Malformed("log_malformed", "The log is not of this key, or ends within a record.")
        return cls(dict(_RECORD.iter_unpack(data[HEADER_BYTES:])))

    def status(self, identifier: str | None, nbf: float) -> Status:
        """Returns what the log says of a card; arguments as of `RevocationList.status`."""
        time = _GONE if identifier is None else self.times.get(prefix(identifier), _GONE)
        if time == _GONE or not rids.covers(time or None, nbf):
            return GOOD
        return REVOKED

    def reaches(self) -> Iterator[tuple[bytes, Reach]]:
        """Yields by the beginning of each revoked identifier's hash which of its cards are revoked."""
        return ((name, time or None) for name, time in self.times.items() if time != _GONE)

    def agrees(self, entries: Mapping[str, Reach]) -> bool:
        """Whether the log names exactly these entries."""
        listed = {prefix(rid): _time(reach) for rid, reach in entries.items()}
        return listed == {key: time for key, time in self.times.items() if time != _GONE}

    def __repr__(self) -> str:
        return f"<Log {len(self.times)} identifiers>"


def header(kid: str) -> bytes:
    """Returns how the log of a key begins."""
    return _MAGIC + hashlib.sha256(kid.encode()).digest()[:_KID_BYTES]


def records(changes: Iterable[Change]) -> bytes:
    """Returns the records of changes, in their order.

    Raises ValueError for a time that a record has no room for.
    """
    return b"".join([_RECORD.pack(prefix(change.rid), _time(change.after)) for change in changes])


def prefix(identifier: str) -> bytes:
    """Returns what a record holds of an identifier."""
    return hashlib.sha256(identifier.encode()).digest()[:_PREFIX_BYTES]


_MAGIC: Final = b"SCRLOG1\0"
_KID_BYTES: Final = 8
_PREFIX_BYTES: Final = 12
_RECORD: Final = struct.Struct(">12sI")
_ALWAYS: Final = 0
_GONE: Final = 0xFFFF_FFFF


def _time(standing: Standing) -> int:
    if standing == GONE:
        return _GONE
    if standing is None:
        return _ALWAYS
    if not 0 < standing <= rids.LAST_SECOND:
        raise ValueError("a record holds a time after 1970 and before 2106")
    return standing
