"""Notifications (OpenID4VCI 1.0 §11.1): an id, one of three events, and a sentence."""

from typing import Any

import pytest

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.protocols.openid4vci import notification
from safeconduct.protocols.openid4vci.errors import InvalidNotificationRequest

EVENTS = ("credential_accepted", "credential_failure", "credential_deleted")


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("description", [None, "Could not store the Credential."])
def test_a_notification_is_read_as_it_was_written(event: Any, description: str | None) -> None:
    sent = notification.Notification(notification_id="n-1", event=event, event_description=description)
    body = notification.encode_notification(sent)
    assert json.loads_object(body)["event"] == event
    assert notification.parse_notification(body) == sent


def test_unknown_members_are_ignored() -> None:
    body = b'{"notification_id":"n","event":"credential_deleted","x":{}}'
    assert notification.parse_notification(body).event == "credential_deleted"


@pytest.mark.parametrize(
    "change",
    [
        {"event": "credential_stored"},
        {"event": "Credential_Accepted"},
        {"event": None},
        {"notification_id": None},
        {"notification_id": ""},
        {"notification_id": "n" * (limits.CODE_CHARS + 1)},
        {"event_description": 1},
    ],
)
def test_anything_else_is_an_invalid_notification_request(change: dict[str, Any]) -> None:
    members = {"notification_id": "n", "event": "credential_accepted", **change}
    body = json.dumps({name: value for name, value in members.items() if value is not None})
    with pytest.raises(InvalidNotificationRequest):
        notification.parse_notification(body)


@pytest.mark.parametrize("body", [b"", b"[]", b"x", b"{" * 100_000])
def test_rubbish_is_an_invalid_notification_request(body: bytes) -> None:
    with pytest.raises(InvalidNotificationRequest):
        notification.parse_notification(body)


def test_a_notification_has_a_bound() -> None:
    members = {"notification_id": "n", "event": "credential_accepted", "x": "x" * limits.NOTIFICATION_BYTES}
    with pytest.raises(InvalidNotificationRequest) as caught:
        notification.parse_notification(json.dumps(members))
    assert caught.value.code == "json_too_large"


def test_the_id_is_not_shown() -> None:
    assert "n-1" not in repr(notification.Notification(notification_id="n-1", event="credential_deleted"))
