"""The life of a grant as a table: what an offer is, what happens to it, and what it is then.

pending: offered. authorized: a user has logged in and consented, and an authorization code is on its way.
redeemed: traded for a token. issued: a credential was delivered, there may be more to have.
closed: over after that. expired, cancelled: over before or in spite of it. locked: stopped because of misuse,
too many wrong transaction codes or a code that came twice.

The offer of a share is released if its receiver, who had a lease of it, never asked for the credential.
"""

from collections.abc import Mapping
from typing import Literal, get_args

from safeconduct.errors import Rejected

State = Literal["pending", "authorized", "redeemed", "issued", "closed", "expired", "cancelled", "locked"]
Event = Literal[
    "authorize",
    "redeem",
    "retry",
    "release",
    "wrong_tx_code",
    "last_wrong_tx_code",
    "replay",
    "deliver",
    "cancel",
    "expire",
]

STATES: tuple[State, ...] = get_args(State)
EVENTS: tuple[Event, ...] = get_args(Event)

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    ("pending", "authorize"): "authorized",
    ("pending", "redeem"): "redeemed",
    ("pending", "wrong_tx_code"): "pending",
    ("pending", "last_wrong_tx_code"): "locked",
    ("pending", "cancel"): "cancelled",
    ("pending", "expire"): "expired",
    ("authorized", "redeem"): "redeemed",
    ("authorized", "cancel"): "cancelled",
    ("authorized", "expire"): "expired",
    ("redeemed", "retry"): "redeemed",
    ("redeemed", "release"): "pending",
    ("redeemed", "deliver"): "issued",
    ("redeemed", "replay"): "locked",
    ("redeemed", "cancel"): "cancelled",
    ("redeemed", "expire"): "expired",
    ("issued", "deliver"): "issued",
    ("issued", "replay"): "locked",
    ("issued", "cancel"): "cancelled",
    ("issued", "expire"): "closed",
}
"""Every arrow there is. Nothing leads out of closed, expired, cancelled and locked."""

FINAL: frozenset[State] = frozenset(STATES) - {state for state, _ in TRANSITIONS}
"""States without a way out; a grant in one of them keeps no claims, and its tokens are revoked."""

TRADED: frozenset[State] = frozenset({"redeemed", "issued"})
"""States in which the code has been traded for a token."""


class TransitionRefused(Rejected):
    """The grant's state has no such arrow."""

    http_status = 409


def advance(state: State, event: Event) -> State:
    """Returns the state after `event`. Raises TransitionRefused "transition_refused"."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise TransitionRefused("transition_refused", f"An offer that is {state} cannot do that.")
    return after
