"""The life of an authorization request as a table: from the wallet's push to the user's decision.

pushed: the wallet has a reference. prompted: a browser has opened it. authorized: the user has consented, and
a code was given. denied: the user has refused, or has failed to log in too often. expired: too late.
"""

from collections.abc import Mapping
from typing import Literal, get_args

from safeconduct.protocols.oauth.errors import InvalidRequest

State = Literal["pushed", "prompted", "authorized", "denied", "expired"]
Event = Literal["open", "log_in", "fail", "consent", "deny", "expire"]

STATES: tuple[State, ...] = get_args(State)
EVENTS: tuple[Event, ...] = get_args(Event)

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    ("pushed", "open"): "prompted",
    ("pushed", "expire"): "expired",
    ("prompted", "open"): "prompted",
    ("prompted", "log_in"): "prompted",
    ("prompted", "fail"): "prompted",
    ("prompted", "consent"): "authorized",
    ("prompted", "deny"): "denied",
    ("prompted", "expire"): "expired",
}
"""Every arrow there is. A reference may be opened until the user has decided: browsers load pages twice."""

FINAL: frozenset[State] = frozenset(STATES) - {state for state, _ in TRANSITIONS}
"""States without a way out; of a request in one of them neither its content nor its user is kept."""


def advance(state: State, event: Event) -> State:
    """Returns the state after `event`. Raises InvalidRequest "request_uri_used"."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise InvalidRequest(
            "request_uri_used", "The authorization request has been used already.", rule="RFC 9126 §4"
        )
    return after
