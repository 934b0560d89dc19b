"""Events on their way to the operator: kept in the transaction that they tell of, and sent by `webhooks`.

Each function is one transaction, or part of one that the caller has open.
"""

from typing import Literal

import msgspec
from sqlalchemy import Connection, delete, select, update

from safeconduct.encoding import json
from safeconduct.ids import Random
from safeconduct.services.issuer.tables import events

EventKind = Literal["issued", "accepted", "failed", "deleted"]

_ID_BYTES = 16


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to an issued credential; says nothing of claims, keys or wallets.

    accepted, failed, deleted: what the wallet notified (OpenID4VCI 1.0 §11). time: Unix seconds.
    """

    id: str
    kind: EventKind
    tenant: str
    configuration_id: str
    issued_id: str
    own_reference: str | None
    time: int


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """An event that this process alone may send now. attempt: counts from 1."""

    id: str
    body: bytes
    attempt: int


def new_event(
    random: Random,
    *,
    kind: EventKind,
    tenant: str,
    configuration_id: str,
    issued_id: str,
    own_reference: str | None,
    time: int,
) -> Event:
    """Returns an event with an id of its own."""
    return Event(
        id=random(_ID_BYTES).hex(),
        kind=kind,
        tenant=tenant,
        configuration_id=configuration_id,
        issued_id=issued_id,
        own_reference=own_reference,
        time=time,
    )


def append(connection: Connection, event: Event) -> None:
    """Keeps an event to be sent, within the caller's transaction."""
    connection.execute(
        events.insert().values(
            id=event.id,
            tenant=event.tenant,
            kind=event.kind,
            body=_body(event),
            attempts=0,
            next_at=event.time,
            created_at=event.time,
        )
    )


def take_due(
    connection: Connection, tenant: str, *, now: int, pauses: tuple[int, ...], count: int
) -> list[Sending]:
    """Returns events that are due, oldest first, and puts off their next attempt: no other process gets them.

    pauses: seconds after the first, second … attempt; each is longer than an attempt may take. An event whose
    pauses are used up is not returned, but stays for `give_up`.
    """
    due = connection.execute(
        select(events.c.id, events.c.body, events.c.attempts)
        .where(events.c.tenant == tenant, events.c.next_at <= now, events.c.attempts < len(pauses))
        .order_by(events.c.next_at, events.c.id)
        .limit(count)
    ).all()
    for row in due:
        connection.execute(
            update(events)
            .where(events.c.id == row.id)
            .values(attempts=row.attempts + 1, next_at=now + pauses[row.attempts])
        )
    return [Sending(id=row.id, body=row.body, attempt=row.attempts + 1) for row in due]


def give_up(connection: Connection, tenant: str, *, now: int, attempts: int) -> int:
    """Deletes events that were tried that often and whose last pause is over; returns how many."""
    gone = delete(events).where(
        events.c.tenant == tenant, events.c.attempts >= attempts, events.c.next_at <= now
    )
    return connection.execute(gone).rowcount


def sent(connection: Connection, event_id: str) -> None:
    """Forgets an event that was received."""
    connection.execute(delete(events).where(events.c.id == event_id))


def _body(event: Event) -> bytes:
    return json.dumps(
        {
            "id": event.id,
            "kind": event.kind,
            "tenant": event.tenant,
            "credential_configuration_id": event.configuration_id,
            "issued_id": event.issued_id,
            "reference": event.own_reference,
            "time": event.time,
        }
    )
