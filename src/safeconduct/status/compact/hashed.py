"""What a card is looked up by where its identifier is not kept: the beginning of its SHA-256."""

import hashlib
from collections.abc import Mapping
from typing import Final

RECORD_BYTES: Final = 16
PREFIX_BYTES: Final = 12
ALWAYS: Final = 0
"""In a record: revoked whenever it was made. Any other number is the second before which it was made."""

_LAST_SECOND: Final = 0xFFFFFFFE


def prefix(identifier: str) -> int:
    """Returns the first 96 bits of the SHA-256 of an identifier, as the log of an issuer has them."""
    return int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:PREFIX_BYTES], "big")


def records(entries: Mapping[str, int | None]) -> bytes:
    """Returns sorted records of a list: the prefix of each identifier, then the time as 32 bits, big-endian.

    entries: identifiers with the second before which a card must have been made to be revoked, None: whenever
    it was. A time beyond 32 bits covers all cards that there are.
    """
    return b"".join(
        sorted(
            hashlib.sha256(identifier.encode()).digest()[:PREFIX_BYTES] + _time(reach).to_bytes(4, "big")
            for identifier, reach in entries.items()
        )
    )


def _time(reach: int | None) -> int:
    # A time of 0 and less covers no card that was ever made; 1 says the same, and 0 has another meaning.
    return ALWAYS if reach is None or reach > _LAST_SECOND else max(reach, 1)
