"""Messages are read by type; an error names our own members only, never what was received."""

from typing import Any

import msgspec
import pytest

from safeconduct.errors import Malformed
from safeconduct.protocols import wire


class Inner(msgspec.Struct, frozen=True):
    number: int


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    inner: dict[str, Inner] = {}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({}, "Message lacks the member name."),
        ({"name": 1}, "Message holds a value of the wrong type or length at $.name."),
        ({"name": "a", "inner": {"hunter2": {}}}, "Message lacks the member number at $.inner[...]."),
        ([], "Message holds a value of the wrong type or length."),
    ],
)
def test_an_error_names_the_place_and_nothing_received(value: Any, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        wire.read(value, Message, what="Message")
    assert caught.value.reason == reason


def test_a_message_is_read_as_it_was_written() -> None:
    message = Message("a", {"b": Inner(1)})

    assert wire.read_json(wire.encode(wire.plain(message)), Message, what="Message") == message
    assert wire.plain(Message("a")) == {"name": "a"}


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        ("application/jwt", "application/jwt"),
        ("Application/JWT; charset=utf-8", "application/jwt"),
        (" application/json ;a=b", "application/json"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_media_type_is_compared_without_case_and_parameters(header: str | None, media_type: str) -> None:
    assert wire.media_type(header) == media_type
