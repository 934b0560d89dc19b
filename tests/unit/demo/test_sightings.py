"""A promise is kept only if something was looked for, and all or nothing of it found."""

from typing import Any

import pytest

from safeconduct.demo.attacks import Attempt
from safeconduct.demo.sightings import Sighting


def sighting(promise: Any, *, searched: int, found: int) -> Sighting:
    return Sighting(secret="key", party="issuer", places=(), promise=promise, searched=searched, found=found)


@pytest.mark.parametrize(
    ("promise", "searched", "found", "kept"),
    [
        ("never", 3, 0, True),
        ("never", 3, 1, False),
        ("must", 3, 3, True),
        ("must", 3, 2, False),
        ("any", 3, 1, True),
        ("never", 0, 0, False),
        ("must", 0, 0, False),
    ],
)
def test_a_promise(promise: str, searched: int, found: int, kept: bool) -> None:
    assert sighting(promise, searched=searched, found=found).kept is kept


@pytest.mark.parametrize(
    ("obtained", "noticed", "repelled"),
    [(0, ("issuer: code",), True), (0, (), False), (1, ("issuer: code",), False)],
)
def test_an_attack_is_repelled_if_it_got_nothing_and_was_noticed(
    obtained: int, noticed: tuple[str, ...], repelled: bool
) -> None:
    attempt = Attempt(name="a", tried="b", obtained=obtained, noticed=noticed)
    assert attempt.repelled is repelled
