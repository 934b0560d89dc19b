"""Telling the issuer what became of its credentials: directly, since notifications are not encrypted.

Nothing depends on it: an issuer that cannot be told is left alone.
"""

from safeconduct.errors import SafeconductError
from safeconduct.protocols.openid4vci import notification
from safeconduct.protocols.openid4vci.encryption import PLAIN
from safeconduct.protocols.openid4vci.notification import Notification, NotificationEvent
from safeconduct.wallet.context import Context, Notice
from safeconduct.wallet.line import IssuerLine
from safeconduct.wallet.records import Access


async def tell(
    context: Context,
    line: IssuerLine,
    access: Access,
    *,
    endpoint: str | None,
    notification_id: str | None,
    event: NotificationEvent,
) -> None:
    """Tell the issuer, if it wants to be told. Faults are reported and end nothing."""
    if endpoint is None or notification_id is None:
        return
    body = notification.encode_notification(Notification(notification_id=notification_id, event=event))
    try:
        response = await line.send(await line.refreshed(access), body, url=endpoint, content_type=PLAIN)
    except SafeconductError as error:
        context.report(Notice("notification_failed", f"The issuer could not be told: {error.reason}"))
        return
    if not 200 <= response.status < 300:
        context.report(
            Notice("notification_failed", f"The issuer did not listen (HTTP status {response.status}).")
        )
