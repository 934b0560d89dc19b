"""What the wallet server remembers: each function is one transaction, safe under several processes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Rejected
from safeconduct.services.wallet_server.outcomes import UNSENT, Answer
from safeconduct.services.wallet_server.sessions import SessionUnknown
from safeconduct.services.wallet_server.tables import (
    deliveries,
    ended,
    keys,
    outcomes,
    records,
    sessions,
    wakeups,
)
from safeconduct.storage.turns import by_turns
from safeconduct.storage.upsert import add_counts, insert_once, insert_or_replace

State = Literal["pending", "ready", "failed", "gone"]
Event = Literal["asked_again", "answered", "gave_up", "wiped"]

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    ("pending", "answered"): "ready",
    ("pending", "gave_up"): "failed",
    ("pending", "wiped"): "gone",
    ("ready", "wiped"): "gone",
    ("failed", "asked_again"): "pending",
}
"""A delivery's life. "asked_again" is for failures before anything was sent; "wiped": the answer was fetched,
is not wanted, or was not fetched in time. What is gone only keeps its key from being used anew."""


class DeliveryUnknown(Rejected):
    """The session has no such delivery, or none any more."""

    http_status = 404


class DeliveryGone(Rejected):
    """The key stands for a request whose answer was fetched, dropped, or not fetched in time."""

    http_status = 410


class IdempotencyKeyReused(Rejected):
    """The key stands for another request of this session."""

    http_status = 422


class SessionFull(Rejected):
    """The session has as many deliveries or wake-ups as one may have."""

    oauth_error = "temporarily_unavailable"
    http_status = 429
    http_headers: Mapping[str, str] = {"Retry-After": "30"}


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A request about to be forwarded. request: SHA-256 over all that an idempotency key stands for."""

    id: str
    owner: bytes
    request: bytes
    issuer: str
    expires_at: int

    def __repr__(self) -> str:
        return f"<NewDelivery expires_at={self.expires_at}>"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as its wallet may see it. answer: in state ready; code: of the problem in state failed."""

    id: str
    issuer: str
    state: State
    code: str
    answer: Answer | None

    def __repr__(self) -> str:
        return f"<Delivery {self.state}>"


class Room(msgspec.Struct, frozen=True):
    """What a session may have at once: deliveries, and bytes of stored answers."""

    deliveries: int
    size: int


class Swept(msgspec.Struct, frozen=True):
    """What a sweep found. unfetched: issuer and number of answers that no wallet came for."""

    unfetched: Sequence[tuple[str, int]]
    stored_bytes: int
    ended_sessions: int


class Push(msgspec.Struct, frozen=True):
    """A wake-up of which the push gateway is to be told."""

    owner: bytes
    issuer: str
    handle: str

    def __repr__(self) -> str:
        return "<Push>"


def refresh_keys(
    connection: Connection, epochs: Iterable[int], make: Callable[[int], tuple[bytes, int]], *, now: int
) -> dict[int, bytes]:
    """Destroys expired keys, adds those of the epochs that no process has added, and returns all by epoch.

    make: gives the secret and the end of life for an epoch.
    """
    by_turns(connection, b"wallet server keys")
    connection.execute(delete(keys).where(keys.c.expires_at <= now))
    known = set(connection.execute(select(keys.c.epoch)).scalars())
    for epoch in epochs:
        if epoch not in known:
            secret, expires_at = make(epoch)
            insert_once(connection, keys, {"epoch": epoch, "secret": secret, "expires_at": expires_at})
    return {row.epoch: row.secret for row in connection.execute(select(keys.c.epoch, keys.c.secret))}


def check_session(connection: Connection, owner: bytes) -> None:
    """Raises SessionUnknown "session_unknown" if the session was ended."""
    by_turns(connection)
    _check_session(connection, owner)


def end_session(connection: Connection, owner: bytes, *, expires_at: int, remember: bool) -> None:
    """Deletes all that is kept for a session; with `remember` its tokens are good no more."""
    by_turns(connection, owner)
    connection.execute(delete(deliveries).where(deliveries.c.owner == owner))
    connection.execute(delete(wakeups).where(wakeups.c.owner == owner))
    if remember:
        insert_once(connection, ended, {"owner": owner, "expires_at": expires_at})


def claim_delivery(connection: Connection, new: NewDelivery, *, room: Room, now: int) -> Delivery | None:
    """Makes a delivery in state pending, or returns the one that its key stands for already.

    Atomic: of any number of equal requests, one gets None and forwards. Raises SessionUnknown, DeliveryGone
    "delivery_gone", IdempotencyKeyReused "idempotency_key_reused", SessionFull "session_full".
    """
    by_turns(connection, new.owner)
    _check_session(connection, new.owner)
    found = connection.execute(
        select(deliveries).where(deliveries.c.id == new.id, deliveries.c.expires_at > now)
    ).first()
    if found is None:
        _check_room(connection, new.owner, room, now)
        connection.execute(delete(deliveries).where(deliveries.c.id == new.id))
        if insert_once(connection, deliveries, _pending(new, now)):
            return None
        found = connection.execute(select(deliveries).where(deliveries.c.id == new.id)).one()
    if found.request != new.request:
        raise IdempotencyKeyReused(
            "idempotency_key_reused", "The idempotency key stands for another request of this session."
        )
    if found.state == "failed" and found.code in UNSENT:
        connection.execute(update(deliveries).where(deliveries.c.id == new.id).values(_pending(new, now)))
        return None
    if found.state == "gone":
        raise DeliveryGone("delivery_gone", "The answer to this request was fetched, or has expired.")
    return _delivery(found)


def release_claim(connection: Connection, id_: str) -> None:
    """Deletes a pending delivery for which nothing was begun."""
    by_turns(connection)
    connection.execute(delete(deliveries).where(deliveries.c.id == id_, deliveries.c.state == "pending"))


def finish_delivery(
    connection: Connection, id_: str, outcome: Answer | str, *, now: int, lifetime: int, handed_out: bool
) -> bool:
    """Keeps the answer, or the code of the problem, of a pending delivery; returns whether it was pending.

    lifetime: seconds that an answer stays; its key is remembered for as long again. handed_out: whether the
    wallet has had the answer already, in the exchange in which it asked.
    """
    by_turns(connection)
    if isinstance(outcome, Answer):
        values: dict[str, Any] = {
            "state": TRANSITIONS["pending", "answered"],
            "status": outcome.status,
            "headers": json.dumps(dict(outcome.headers)),
            "answer": outcome.body,
            "size": len(outcome.body),
            "sealed": int(outcome.sealed),
        }
    else:
        values = {"state": TRANSITIONS["pending", "gave_up"], "code": outcome}
    changed = connection.execute(
        update(deliveries)
        .where(deliveries.c.id == id_, deliveries.c.state == "pending")
        .values(
            **values,
            answer_until=now + lifetime,
            expires_at=now + 2 * lifetime,
            handed_out=int(handed_out),
        )
    )
    return bool(changed.rowcount)


def read_delivery(connection: Connection, id_: str, owner: bytes, *, now: int, grace: int) -> Delivery:
    """Hands a delivery to its session. From its first reading on, an answer stays `grace` seconds more.

    Raises SessionUnknown, DeliveryUnknown "delivery_unknown".
    """
    by_turns(connection, owner)
    _check_session(connection, owner)
    mine = (deliveries.c.id == id_) & (deliveries.c.owner == owner)
    found = connection.execute(select(deliveries).where(mine, deliveries.c.answer_until > now)).first()
    if found is None or found.state == "gone":
        raise DeliveryUnknown("delivery_unknown", "There is no such delivery, or none any more.")
    if found.state == "ready" and grace == 0:
        _wipe(connection, mine)
    elif found.state == "ready" and not found.handed_out:
        until = min(found.answer_until, now + grace)
        connection.execute(update(deliveries).where(mine).values(handed_out=1, answer_until=until))
    return _delivery(found)


def drop_delivery(connection: Connection, id_: str, owner: bytes) -> None:
    """Wipes what a delivery of the session holds or will hold, if there is one. Raises SessionUnknown."""
    by_turns(connection, owner)
    _check_session(connection, owner)
    _wipe(connection, (deliveries.c.id == id_) & (deliveries.c.owner == owner))


def put_wakeup(
    connection: Connection,
    owner: bytes,
    issuer: str,
    *,
    due_at: int,
    expires_at: int,
    handle: str,
) -> None:
    """Keeps one wake-up for session and issuer. Raises SessionUnknown, SessionFull "session_full"."""
    by_turns(connection, owner)
    _check_session(connection, owner)
    others = select(func.count()).where(wakeups.c.owner == owner, wakeups.c.issuer != issuer)
    if connection.execute(others).scalar_one() >= limits.WAKEUPS:
        raise SessionFull("session_full", "The session has as many wake-ups as it may have.")
    values = {"due_at": due_at, "expires_at": expires_at, "handle": handle, "pushes": 0}
    push_at = due_at if handle else None
    insert_or_replace(connection, wakeups, {"owner": owner, "issuer": issuer, "push_at": push_at, **values})


def take_wakeups(connection: Connection, owner: bytes, *, now: int) -> tuple[list[str], int | None]:
    """Hands out, once, the issuers that are due; and when the next one is. Raises SessionUnknown."""
    by_turns(connection, owner)
    _check_session(connection, owner)
    rows = connection.execute(
        select(wakeups.c.issuer, wakeups.c.due_at).where(wakeups.c.owner == owner).order_by(wakeups.c.due_at)
    ).all()
    due = [row.issuer for row in rows if row.due_at <= now]
    if due:
        connection.execute(delete(wakeups).where(wakeups.c.owner == owner, wakeups.c.issuer.in_(due)))
    return due, next((row.due_at for row in rows if row.due_at > now), None)


def drop_wakeups(connection: Connection, owner: bytes) -> None:
    """Forgets all wake-ups of the session. Raises SessionUnknown."""
    by_turns(connection, owner)
    _check_session(connection, owner)
    connection.execute(delete(wakeups).where(wakeups.c.owner == owner))


def take_pushes(connection: Connection, *, now: int, again_after: Sequence[int], most: int) -> list[Push]:
    """Takes the wake-ups of which the gateway is to be told now; each is taken by one process at a time.

    again_after: seconds until the second, third, … try; after the last one the handle is forgotten.
    """
    by_turns(connection, b"wallet server pushes")
    query = select(wakeups).where(wakeups.c.push_at <= now).order_by(wakeups.c.push_at).limit(most)
    rows = connection.execute(query).all()
    for row in rows:
        last = row.pushes >= len(again_after)
        push_at = None if last else now + again_after[row.pushes]
        values = {"push_at": push_at, "pushes": row.pushes + 1}
        connection.execute(update(wakeups).where(_is(row.owner, row.issuer)).values(values))
    return [Push(row.owner, row.issuer, row.handle) for row in rows]


def forget_handle(connection: Connection, push: Push) -> None:
    """Forgets a handle that the gateway has been told."""
    by_turns(connection)
    same = _is(push.owner, push.issuer) & (wakeups.c.handle == push.handle)
    connection.execute(update(wakeups).where(same).values(handle="", push_at=None))


def add_outcomes(connection: Connection, counts: Mapping[tuple[str, int, str, str], int]) -> None:
    """Adds counts by issuer, hour, measure and value."""
    by_turns(connection)
    names = ("issuer", "hour", "measure", "value")
    rows = [{**dict(zip(names, key, strict=True)), "count": n} for key, n in sorted(counts.items())]
    add_counts(connection, outcomes, rows)


def sum_outcomes(connection: Connection, *, since: int, before: int) -> list[tuple[str, str, str, int]]:
    """Returns issuer, measure, value and count, over the hours from `since` to `before`."""
    by_turns(connection)
    query = (
        select(outcomes.c.issuer, outcomes.c.measure, outcomes.c.value, func.sum(outcomes.c.count))
        .where(outcomes.c.hour >= since, outcomes.c.hour < before)
        .group_by(outcomes.c.issuer, outcomes.c.measure, outcomes.c.value)
        .order_by(outcomes.c.issuer, outcomes.c.measure, outcomes.c.value)
    )
    return [(row[0], row[1], row[2], int(row[3])) for row in connection.execute(query)]


def sweep(connection: Connection, *, now: int, stale_before: int, outcomes_since: int, keep: int) -> Swept:
    """Deletes what has expired, and gives up what a process left behind.

    stale_before: pending deliveries made before were lost with their process; whether they were sent is not
    known. keep: seconds that these stay for their wallets.
    """
    by_turns(connection, b"wallet server sweep")
    lost = (deliveries.c.state == "pending") & (deliveries.c.created_at < stale_before)
    given_up = {"state": TRANSITIONS["pending", "gave_up"], "code": "outcome_unknown"}
    until = {"answer_until": now + keep, "expires_at": now + 2 * keep}
    connection.execute(update(deliveries).where(lost).values(**given_up, **until))
    expired = deliveries.c.answer_until <= now
    unfetched = connection.execute(
        select(deliveries.c.issuer, func.count())
        .where(expired, deliveries.c.handed_out == 0, deliveries.c.state == "ready")
        .group_by(deliveries.c.issuer)
    ).all()
    _wipe(connection, expired)
    connection.execute(delete(deliveries).where(deliveries.c.expires_at <= now))
    _drop_oldest_errors(connection)
    for table in (ended, wakeups, sessions):
        connection.execute(delete(table).where(table.c.expires_at <= now))
    connection.execute(delete(outcomes).where(outcomes.c.hour < outcomes_since))
    connection.execute(delete(records).where(records.c.time < outcomes_since))
    return Swept(
        [(row[0], int(row[1])) for row in unfetched],
        int(connection.execute(select(func.coalesce(func.sum(deliveries.c.size), 0))).scalar_one()),
        connection.execute(select(func.count()).select_from(ended)).scalar_one(),
    )


def _check_session(connection: Connection, owner: bytes) -> None:
    if connection.execute(select(ended.c.owner).where(ended.c.owner == owner)).first() is not None:
        raise SessionUnknown("session_unknown", "There is no such session; begin one.")


def _drop_oldest_errors(connection: Connection) -> None:
    # Anybody can cause them. What they leave of a flood must not keep others' answers out.
    unsealed = (deliveries.c.sealed == 0) & (deliveries.c.state != "pending")
    newest = select(deliveries.c.created_at).where(unsealed).order_by(deliveries.c.created_at.desc())
    bound = connection.execute(newest.offset(limits.STORED_ERRORS).limit(1)).scalar()
    if bound is not None:
        connection.execute(delete(deliveries).where(unsealed, deliveries.c.created_at <= bound))


def _check_room(connection: Connection, owner: bytes, room: Room, now: int) -> None:
    mine = (deliveries.c.owner == owner) & (deliveries.c.answer_until > now) & (deliveries.c.state != "gone")
    count, size = connection.execute(
        select(func.count(), func.coalesce(func.sum(deliveries.c.size), 0)).where(mine)
    ).one()
    if count >= room.deliveries or size >= room.size:
        raise SessionFull("session_full", "The session has as many deliveries as it may have; delete some.")


def _wipe(connection: Connection, which: Any) -> None:
    may_be = [state for state, event in TRANSITIONS if event == "wiped"]
    blank = {"state": "gone", "headers": b"{}", "answer": b"", "size": 0, "sealed": 0}
    connection.execute(update(deliveries).where(which, deliveries.c.state.in_(may_be)).values(blank))


def _pending(new: NewDelivery, now: int) -> dict[str, Any]:
    blank = {"code": "", "status": 0, "headers": b"{}", "answer": b"", "size": 0, "sealed": 0}
    return {
        **msgspec.structs.asdict(new),
        **blank,
        "state": "pending",
        "answer_until": new.expires_at,
        "created_at": now,
        "handed_out": 0,
    }


def _delivery(row: Any) -> Delivery:
    answer = None
    if row.state == "ready":
        answer = Answer(row.status, json.loads_object(row.headers), row.answer, sealed=bool(row.sealed))
    return Delivery(id=row.id, issuer=row.issuer, state=row.state, code=row.code, answer=answer)


def _is(owner: bytes, issuer: str) -> Any:
    return (wakeups.c.owner == owner) & (wakeups.c.issuer == issuer)
