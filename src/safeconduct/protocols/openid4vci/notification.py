"""Notifications (OpenID4VCI 1.0 §11.1): the wallet tells what became of the credentials of a response.

They are plain JSON and go to the issuer itself.
"""

from typing import Annotated, Literal

import msgspec

from safeconduct import limits
from safeconduct.protocols import wire
from safeconduct.protocols.oauth.errors import reported_as
from safeconduct.protocols.openid4vci.errors import InvalidNotificationRequest

NotificationEvent = Literal["credential_accepted", "credential_failure", "credential_deleted"]
"""Stored; could not be stored; deleted by the user, or refused."""

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]


class Notification(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the credentials of the response with that `notification_id`.

    event_description: for the developers of the other side, in the characters of an `error_description`.
    """

    notification_id: _Id
    event: NotificationEvent
    event_description: str | None = None

    def __repr__(self) -> str:
        return f"<Notification {self.event}>"


def parse_notification(body: bytes) -> Notification:
    """Reads the JSON of a notification; unknown members are ignored.

    Raises InvalidNotificationRequest, also for an event that there is not.
    """
    with reported_as(InvalidNotificationRequest):
        return wire.read_json(body, Notification, what="Notification", max_bytes=limits.NOTIFICATION_BYTES)


def encode_notification(notification: Notification) -> bytes:
    """Returns the JSON of a notification."""
    return wire.encode(wire.plain(notification))
