"""What goes when its time is over, beside grants and deliveries; one transaction."""

from sqlalchemy import Connection, delete, update

from safeconduct.services.issuer import grants as life
from safeconduct.services.issuer.tables import (
    attempts,
    authorizations,
    events,
    grants,
    links,
    refresh_tokens,
)


def purge(connection: Connection, *, now: int, keep_events_since: int) -> None:
    """Deletes logins and refresh tokens that have expired, and erases of ended grants whom they were for.

    keep_events_since: events of before were not sent, and never will be: nobody has a webhook for them.
    """
    for table in (authorizations, links, attempts, refresh_tokens):
        connection.execute(delete(table).where(table.c.expires_at <= now))
    connection.execute(delete(events).where(events.c.created_at < keep_events_since))
    connection.execute(
        update(grants)
        .where(grants.c.state.in_(life.FINAL), grants.c.subject.is_not(None))
        .values(subject=None)
    )
