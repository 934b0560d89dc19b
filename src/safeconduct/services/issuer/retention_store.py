"""What goes when its time is over, beside grants and deliveries; one transaction."""

from sqlalchemy import Connection, delete, select, update

from safeconduct.services.issuer import grants as life
from safeconduct.services.issuer.tables import (
    attempts,
    authorizations,
    card_links,
    events,
    grants,
    links,
    refresh_tokens,
    transactions,
)


def purge(connection: Connection, *, now: int, keep_events_since: int) -> None:
    """Deletes what has expired: logins, refresh tokens, waiting cards; erases whom ended grants were for.

    With them go the holder's keys of deferred issuances that will not come about any more.

    keep_events_since: events of before were not sent, and never will be: nobody has a webhook for them.
    """
    for table in (authorizations, links, attempts, refresh_tokens, card_links):
        connection.execute(delete(table).where(table.c.expires_at <= now))
    connection.execute(delete(events).where(events.c.created_at < keep_events_since))
    ended = select(grants.c.id).where(grants.c.state.in_(life.FINAL))
    connection.execute(delete(transactions).where(transactions.c.grant_id.in_(ended)))
    connection.execute(
        update(grants)
        .where(grants.c.state.in_(life.FINAL), grants.c.subject.is_not(None))
        .values(subject=None)
    )
