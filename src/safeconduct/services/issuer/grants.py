"""The life of a grant as a table: what an offer is, what happens to it, and what it is then.

pending: offered. redeemed: traded for a token. issued: every credential delivered. expired, cancelled: over.
locked: stopped because of misuse, too many wrong transaction codes or a code that came twice.
"""

from collections.abc import Mapping
from typing import Literal, get_args

from safeconduct.errors import Rejected

State = Literal["pending", "redeemed", "issued", "expired", "cancelled", "locked"]
Event = Literal[
    "redeem",
    "wrong_tx_code",
    "last_wrong_tx_code",
    "replay",
    "deliver",
    "deliver_last",
    "cancel",
    "expire",
]

STATES: tuple[State, ...] = get_args(State)
EVENTS: tuple[Event, ...] = get_args(Event)

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    ("pending", "redeem"): "redeemed",
    ("pending", "wrong_tx_code"): "pending",
    ("pending", "last_wrong_tx_code"): "locked",
    ("pending", "cancel"): "cancelled",
    ("pending", "expire"): "expired",
    ("redeemed", "deliver"): "redeemed",
    ("redeemed", "deliver_last"): "issued",
    ("redeemed", "replay"): "locked",
    ("redeemed", "cancel"): "cancelled",
    ("redeemed", "expire"): "expired",
}
"""Every arrow there is. Nothing leads out of issued, expired, cancelled and locked."""

FINAL: frozenset[State] = frozenset(STATES) - {state for state, _ in TRANSITIONS}
"""States without a way out; a grant in one of them keeps no claims."""

REVOKING: frozenset[State] = FINAL - {"issued"}
"""States in which the grant's token is revoked. One that did its work is left to expire, so that its wallet
is told that there is no more to have."""


class TransitionRefused(Rejected):
    """The grant's state has no such arrow."""

    http_status = 409


def advance(state: State, event: Event) -> State:
    """Returns the state after `event`. Raises TransitionRefused "transition_refused"."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise TransitionRefused("transition_refused", f"An offer that is {state} cannot do that.")
    return after
