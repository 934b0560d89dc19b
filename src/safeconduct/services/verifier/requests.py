"""The life of a request for a presentation as a table.

open: its nonce waits. judging: a presentation with good signatures has named the nonce, which is used up.
verified, rejected: the verdict. expired: nothing came in time.
"""

from collections.abc import Mapping
from typing import Literal, get_args

from safeconduct.errors import Rejected

State = Literal["open", "judging", "verified", "rejected", "expired"]
Event = Literal["burn", "accept", "refuse", "expire"]

STATES: tuple[State, ...] = get_args(State)
EVENTS: tuple[Event, ...] = get_args(Event)

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    ("open", "burn"): "judging",
    ("open", "expire"): "expired",
    ("judging", "accept"): "verified",
    ("judging", "refuse"): "rejected",
    ("judging", "expire"): "rejected",
}
"""Every arrow there is. A judge that dies leaves "judging" behind, which time turns into a rejection."""


class TransitionRefused(Rejected):
    """The request's state has no such arrow."""

    http_status = 409


def advance(state: State, event: Event) -> State:
    """Returns the state after `event`. Raises TransitionRefused "transition_refused"."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise TransitionRefused("transition_refused", f"A request that is {state} cannot do that.")
    return after
