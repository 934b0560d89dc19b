"""How entries of a revocation list come and go, without a thought for where they are kept."""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from safeconduct.status.card_revocation import rids
from safeconduct.status.card_revocation.deltas import Delta
from safeconduct.status.card_revocation.rids import Reach

Gone = Literal["gone"]
GONE: Final[Gone] = "gone"
"""In place of a reach: no card of the identifier is revoked."""

Standing = Reach | Gone
"""What becomes of the cards of an identifier."""


class Change(msgspec.Struct, frozen=True):
    """What a list changed about an identifier."""

    rid: str
    before: Standing
    after: Standing


def extended(standing: Standing, reach: Reach) -> Standing:
    """Returns what stands when cards within `reach` are revoked as well: nothing is taken back by that."""
    return reach if standing == GONE else rids.wider(standing, reach)


def storable(reach: Reach) -> Standing:
    """Returns what a reach that was read elsewhere amounts to, within the times that are written here."""
    if reach == 0:
        return GONE
    return None if reach is None or reach > rids.LAST_SECOND else reach


def would_be_revoked(standing: Standing, now: int) -> bool:
    """Whether a card that is made at this second would be revoked from the start."""
    return standing != GONE and rids.covers(standing, now)


def net(changes: Iterable[Change]) -> list[Change]:
    """Returns what changes amount to together, by rid; changes: in the order in which they were made."""
    first: dict[str, Change] = {}
    last: dict[str, Change] = {}
    for change in changes:
        first.setdefault(change.rid, change)
        last[change.rid] = change
    whole = [Change(rid, first[rid].before, last[rid].after) for rid in sorted(first)]
    return [change for change in whole if change.before != change.after]


def delta(changes: Iterable[Change], *, kid: str, method: str, start: int, end: int, digest: str) -> Delta:
    """Returns the delta that changes amount to; digest: of the list at `end`."""
    whole = net(changes)
    return Delta(
        kid=kid,
        method=method,
        start=start,
        end=end,
        add={change.rid: change.after for change in whole if change.after != GONE},
        remove={change.rid: change.before for change in whole if change.before != GONE},
        digest=digest,
    )
