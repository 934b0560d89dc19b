"""The life of a share as a table: one offer by a holder to one receiver, and what becomes of it.

pending: offered. redeeming: the code was traded for a token; for the time of the lease, the receiver that has
it may do so again, and nobody else. issued: the receiver has a credential of its own. cancelled: taken back
before that, by the sender or because the sender's own credential was revoked. expired: over. locked: too many
wrong transaction codes. revoked: what the receiver had was revoked.

With a `move`, the sender's credential is suspended while the share is issued and not settled: `moved` when
the receiver has accepted or the time to complain is over, and the sender's is revoked; `failed` when the
receiver could not take it: its credential is revoked, and then the sender's is reinstated.
"""

from collections.abc import Mapping
from typing import Literal, get_args

from safeconduct.services.issuer.share_errors import ShareRefused

Mode = Literal["share", "move"]
"""share: the sender keeps its credential. move: the receiver's takes its place."""

Level = Literal["link", "pin", "key", "approve"]
"""How the receiver is known: by the link alone; by a transaction code; by its key; by approval of its key."""

State = Literal[
    "pending", "redeeming", "issued", "moved", "failed", "revoked", "expired", "cancelled", "locked"
]
Event = Literal[
    "pin",
    "wrong_tx_code",
    "last_wrong_tx_code",
    "redeem",
    "retry",
    "release",
    "deliver",
    "complete",
    "fail",
    "cancel",
    "revoke",
    "expire",
]

MODES: tuple[Mode, ...] = get_args(Mode)
LEVELS: tuple[Level, ...] = get_args(Level)
STATES: tuple[State, ...] = get_args(State)
EVENTS: tuple[Event, ...] = get_args(Event)

_UNTIL_ISSUED: Mapping[tuple[State, Event], State] = {
    ("pending", "pin"): "pending",
    ("pending", "wrong_tx_code"): "pending",
    ("pending", "last_wrong_tx_code"): "locked",
    ("pending", "redeem"): "redeeming",
    ("pending", "cancel"): "cancelled",
    ("pending", "expire"): "expired",
    ("redeeming", "retry"): "redeeming",
    ("redeeming", "release"): "pending",
    ("redeeming", "deliver"): "issued",
    ("redeeming", "cancel"): "cancelled",
    ("redeeming", "expire"): "expired",
}

TRANSITIONS: Mapping[Mode, Mapping[tuple[State, Event], State]] = {
    "share": {
        **_UNTIL_ISSUED,
        ("issued", "revoke"): "revoked",
        ("issued", "expire"): "expired",
    },
    "move": {
        **_UNTIL_ISSUED,
        ("issued", "complete"): "moved",
        ("issued", "fail"): "failed",
        ("issued", "revoke"): "revoked",
    },
}
"""Every arrow there is. Nothing leads out of moved, failed, revoked, expired, cancelled and locked."""

LIVE: frozenset[State] = frozenset({"pending", "redeeming", "issued"})
"""States that something may still come of; they count against the receivers that a credential may have."""


def advance(mode: Mode, state: State, event: Event) -> State:
    """Returns the state after `event`. Raises ShareRefused "transition_refused"."""
    after = TRANSITIONS[mode].get((state, event))
    if after is None:
        raise ShareRefused("transition_refused", f"A share that is {state} cannot do that.")
    return after
