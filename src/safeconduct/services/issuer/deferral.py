"""The life of a deferred issuance as a table: what the wallet was told to wait for, and what came of it.

waiting: for management, or for the source of the claims. approved: management agreed. denied: there will be
none. delivered: the wallet got it, and may get it again for a moment, in case the answer was lost.
"""

from collections.abc import Mapping
from typing import Literal, get_args

from safeconduct.errors import Rejected

State = Literal["waiting", "approved", "denied", "delivered"]
Event = Literal["approve", "deny", "deliver"]

STATES: tuple[State, ...] = get_args(State)
EVENTS: tuple[Event, ...] = get_args(Event)

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    ("waiting", "approve"): "approved",
    ("waiting", "deny"): "denied",
    ("waiting", "deliver"): "delivered",
    ("approved", "deny"): "denied",
    ("approved", "deliver"): "delivered",
}
"""Every arrow there is. Nothing leads out of denied and delivered."""


class TransitionRefused(Rejected):
    """The transaction's state has no such arrow."""

    http_status = 409


def advance(state: State, event: Event) -> State:
    """Returns the state after `event`. Raises TransitionRefused "transition_refused"."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise TransitionRefused("transition_refused", f"A transaction that is {state} cannot do that.")
    return after
