"""The breaker follows its table, and lets one request probe."""

from itertools import product
from typing import Any, get_args

import pytest

from safeconduct.services.wallet_server.breaker import TRANSITIONS, Breaker, Event, State
from safeconduct.services.wallet_server.outcomes import IssuerPausing


class Timer:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def breaker() -> tuple[Breaker, Timer]:
    timer = Timer()
    return Breaker(failures=2, seconds=30, timer=timer), timer


def rests(made: Breaker) -> int:
    with pytest.raises(IssuerPausing) as error:
        made.check()
    assert error.value.code == "issuer_resting"
    return int(error.value.http_headers["Retry-After"])


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not() -> None:
    made, _ = breaker()
    for event in ("failed", "worked", "failed", "abandoned"):
        made.admit()
        made.note(event)  # type: ignore[arg-type]
    made.admit()
    made.note("failed")
    assert made.state == "open"
    assert rests(made) == 30


def opened() -> tuple[Breaker, Timer]:
    made, timer = breaker()
    for _ in range(2):
        made.admit()
        made.note("failed")
    return made, timer


def test_after_its_rest_one_request_probes() -> None:
    made, timer = opened()
    timer.now = 29.5
    assert rests(made) == 1
    timer.now = 30
    made.admit()
    assert made.state == "probing"
    rests(made)
    made.note("worked")
    assert made.state == "closed"
    made.admit()


def test_a_failed_probe_begins_another_rest() -> None:
    made, timer = opened()
    timer.now = 40
    made.admit()
    made.note("failed")
    assert rests(made) == 30
    timer.now = 70
    made.admit()


def test_a_probe_that_came_to_nothing_lets_the_next_one_go_at_once() -> None:
    made, timer = opened()
    timer.now = 40
    made.admit()
    made.note("abandoned")
    assert made.state == "open"
    made.admit()
    assert made.state == "probing"


def test_what_was_under_way_when_it_opened_has_a_say() -> None:
    made, _ = opened()
    made.note("failed")
    assert made.state == "open"
    made.note("worked")
    assert made.state == "closed"


def test_every_state_knows_what_every_request_can_come_to() -> None:
    ends: tuple[Any, ...] = ("worked", "failed", "failed_too_often", "abandoned")
    assert set(product(get_args(State), ends)) <= TRANSITIONS.keys()
    assert {event for _, event in TRANSITIONS} == set(get_args(Event))
