"""Which way to a newer list costs least, by what is held and what the issuer announces; fetches nothing."""

import math
from collections.abc import Collection
from typing import Final, Literal

import msgspec

from safeconduct import limits
from safeconduct.evidence.card_records import HeldList
from safeconduct.status.card_revocation import deltas
from safeconduct.status.card_revocation.heads import Head

CheapWay = Literal["delta", "log"]
"""What may be used beside the full list."""

Way = Literal["delta", "log", "full"]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a synchronisation wants to arrive. ctr: as announced by the head, or without one by the JWKS."""

    ctr: int
    head: Head | None


def ways(held: HeldList | None, target: Target, *, allowed: Collection[CheapWay], pinned: bool) -> list[Way]:
    """Return the ways that can lead to the target, the one that should cost the fewest bytes first.

    allowed: of the ways beside the full list. The full list is always among them. pinned: whether the head
    is fetched each time anyhow; otherwise who follows a log needs it, and who may follow deltas does not.
    """
    costs: dict[Way, float] = {"full": _full(held, target)}
    if "delta" in allowed and held is not None and held.form == "list" and _leads(held.ctr, target.ctr):
        costs["delta"] = delta_cost(held, target.ctr)
    if "log" in allowed and target.head is not None and target.head.log is not None:
        without = "delta" in allowed and not pinned
        costs["log"] = _log(held, target.head.log.length, later=_HEADS if without else 0)
    return sorted(costs, key=costs.__getitem__)


def delta_cost(held: HeldList, ctr: int) -> float:
    """Return the bytes that deltas from a held list up to a counter should cost, with their requests."""
    if ctr - held.ctr > limits.DELTA_COUNTERS:
        return math.inf
    files = len(deltas.chain(held.ctr, ctr))
    return files * (EXCHANGE + _DELTA) + (ctr - held.ctr) * _CHANGES * _entry(held)


EXCHANGE: Final = 600
"""Bytes of a request, of the headers of its answer, and of the packets around them, about."""

HEAD_COST: Final = EXCHANGE + 700
"""Bytes that a signed head costs, about."""

_HEADS: Final = 30 * 700  # of as many updates, by which a new log must be shorter than the list
_DELTA: Final = 220  # without entries
_LIST: Final = 90  # without entries
_CHANGES: Final = 2  # entries between two counters: the median of what issuers did
_ENTRY: Final = 20  # between 14 for short identifiers and 36 for long ones with a time


def _leads(start: int, end: int) -> bool:
    return 0 < end - start <= limits.DELTA_COUNTERS


def _entry(held: HeldList | None) -> float:
    if held is None or held.form != "list" or not held.count:
        return _ENTRY
    return max(held.size - _LIST, 0) / held.count


def _full(held: HeldList | None, target: Target) -> float:
    if target.head is not None:
        return EXCHANGE + _LIST + target.head.count * _entry(held)
    return EXCHANGE + (held.size if held is not None else _LIST)


def _log(held: HeldList | None, length: int, *, later: float) -> float:
    known = held.size if held is not None and held.form == "log" else 0
    if 0 < known <= length:
        return EXCHANGE + length - known
    return EXCHANGE + length + later
