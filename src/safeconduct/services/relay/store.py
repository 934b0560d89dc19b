"""What the relay remembers: each function is one transaction, safe under several processes.

A mailbox is in force as long as the statement that touches it finds `expires_at` in the future, so nobody
gets what the sweep has only not deleted yet. Ids and claims are bytes; `claim` is a digest of
`claims.claim_digest` unless said otherwise, and digests are what statements compare: how long that takes can
tell nothing of the claim.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, case, delete, func, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from safeconduct import limits
from safeconduct.protocols.transfer import mailbox as life
from safeconduct.protocols.transfer.claims import verify_proof
from safeconduct.protocols.transfer.mailbox import Mailbox, MailboxUnknown, State, Write
from safeconduct.services.relay.tables import mailboxes
from safeconduct.storage.prepared import Prepared
from safeconduct.storage.turns import by_turns

_c = mailboxes.c


class NewMailbox(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox to be made. creation: digest of claim and request. display, payload: JSON. claim_key: raw."""

    id: bytes
    creation: bytes
    claim: bytes
    rights: int
    claim_key: bytes | None
    display: bytes
    payload: bytes
    expires_at: int

    def __repr__(self) -> str:
        return f"<NewMailbox expires_at={self.expires_at}>"


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """Who reads. claim, proof: as they came. binds: whether a stranger may become the receiver."""

    mailbox: bytes
    claim: bytes
    digest: bytes
    proof: bytes | None
    binds: bool

    def __repr__(self) -> str:
        return "<Reader>"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader gets. payload, display: JSON. state: for the sender only. bound: by this very read."""

    payload: bytes
    display: bytes
    expires_at: int
    sequence: int
    state: State | None
    bound: bool

    def __repr__(self) -> str:
        return f"<Reading sequence={self.sequence}>"


class Written(msgspec.Struct, frozen=True):
    """What became of an update or relinquishment. repeated: whether it had been done before.

    sequence: the one that it led to, then too.
    """

    sequence: int
    repeated: bool


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many mailboxes there are in each state."""

    unclaimed: int
    claimed: int
    relinquished: int


def create(connection: Connection, new: NewMailbox, *, now: int) -> bytes:
    """Makes a mailbox; returns its id, or that of the one which the same request has made before."""
    by_turns(connection)
    while True:
        if _CREATE.run(connection, **_row(new)):
            return new.id
        found = _CREATED.first(connection, creation=new.creation)
        if found is not None and found.expires_at > now:
            return bytes(found.id)
        _UNCREATE.run(connection, creation=new.creation, now=now)  # it has expired and is not swept yet


def read(connection: Connection, reader: Reader, *, now: int) -> Reading:
    """Reads for a party; the first stranger becomes the receiver. Of several at once, one does.

    Raises MailboxUnknown "mailbox_unknown", AlreadyClaimed "claim_refused", RightMissing "right_missing",
    ClaimProofWrong "claim_proof_missing", "claim_proof_wrong".
    """
    by_turns(connection)
    if reader.binds and reader.proof is None:
        bound = _BIND.first(connection, mailbox=reader.mailbox, claim=reader.digest, now=now)
        if bound is not None:
            return _reading(bound, None, bound=True)
    row = _MAILBOX.first(connection, mailbox=reader.mailbox, now=now)
    found = _mailbox(row)
    who = life.reader(found, reader.digest)
    if who is not None:
        return _reading(row, found.state if who == "sender" else None, bound=False)
    if not reader.binds:  # it was a party when it began to wait
        raise life.ClaimRefused("claim_refused", "The claim is no longer of a party of this mailbox.")
    if row.claim_key is not None:
        verify_proof(row.claim_key, reader.proof, mailbox=reader.mailbox, claim=reader.claim)
    bound = _BIND_PROVED.first(connection, mailbox=reader.mailbox, claim=reader.digest, now=now)
    if bound is None:  # somebody else was bound between the two statements
        raise life.AlreadyClaimed("claim_refused", "Another receiver has this mailbox.")
    return _reading(bound, None, bound=True)


def put(connection: Connection, mailbox: bytes, claim: bytes, write: Write, *, now: int) -> Written:
    """Puts a party's message into the place of what lies there; a repeated request does nothing.

    Raises MailboxUnknown, and what `mailbox.updated` raises.
    """
    by_turns(connection)
    found = _mailbox(_LOCKED.first(connection, mailbox=mailbox, now=now))
    before = life.repeated(found, write.request)
    if before is not None:
        return Written(before, repeated=True)
    after = life.updated(found, claim, write)
    if after is None:
        return Written(found.sequence, repeated=False)
    _change(connection, mailbox, after)
    return Written(after.sequence, repeated=False)


def relinquish(connection: Connection, mailbox: bytes, claim: bytes, request: bytes, *, now: int) -> Written:
    """Lets the bound receiver step back; a repeated request does nothing. request: its digest.

    Raises MailboxUnknown, ClaimRefused "claim_refused".
    """
    by_turns(connection)
    found = _mailbox(_LOCKED.first(connection, mailbox=mailbox, now=now))
    before = life.repeated(found, request)
    if before is not None:  # whoever repeats it is no party any more
        return Written(before, repeated=True)
    after = life.relinquished(found, claim, request)
    _change(connection, mailbox, after)
    return Written(after.sequence, repeated=False)


def remove(connection: Connection, mailbox: bytes, claim: bytes, *, now: int) -> None:
    """Deletes a party's mailbox. Raises MailboxUnknown, ClaimRefused "claim_refused", RightMissing."""
    by_turns(connection)
    if _DELETE.run(connection, mailbox=mailbox, claim=claim, now=now):
        return
    found = _mailbox(_MAILBOX.first(connection, mailbox=mailbox, now=now))
    life.require_party(found, claim)
    life.check_right(found, life.DELETE)
    raise _unknown()  # somebody else deleted or bound it between the two statements


def find_display(connection: Connection, mailbox: bytes, *, now: int) -> bytes:
    """Returns what anyone may see of a mailbox: JSON. Nothing is bound. Raises MailboxUnknown."""
    by_turns(connection)
    row = _DISPLAY.first(connection, mailbox=mailbox, now=now)
    if row is None:
        raise _unknown()
    return bytes(row.display)


def sequences(connection: Connection, ids: Iterable[bytes], *, now: int) -> dict[bytes, int]:
    """Returns the sequences of those mailboxes that are in force."""
    by_turns(connection)
    query = select(_c.id, _c.sequence).where(_c.id.in_(list(ids)), _c.expires_at > now)
    return {bytes(row.id): row.sequence for row in connection.execute(query)}


def sweep(connection: Connection, *, now: int) -> int:
    """Deletes some mailboxes that have expired, at most `limits.SWEPT_ROWS`; returns how many."""
    by_turns(connection)
    return _SWEEP.run(connection, now=now)


def count(connection: Connection, *, now: int) -> Counts:
    """Counts the mailboxes in force by state."""
    by_turns(connection)
    row = _COUNT.first(connection, now=now)
    return Counts(unclaimed=row.unclaimed, claimed=row.claimed, relinquished=row.relinquished)


def count_rows(connection: Connection) -> int:
    """Counts all rows, whether in force or not; much sooner than `count`."""
    by_turns(connection)
    return int(_ROWS.first(connection).rows)


_IN_FORCE = and_(_c.id == bindparam("mailbox"), _c.expires_at > bindparam("now"))
_CREATE = Prepared.insert_once(mailboxes, *(column.name for column in mailboxes.columns))
_CREATED = Prepared(select(_c.id, _c.expires_at).where(_c.creation == bindparam("creation")))
_UNCREATE = Prepared(
    delete(mailboxes).where(_c.creation == bindparam("creation"), _c.expires_at <= bindparam("now"))
)
_READ_COLUMNS = (_c.from_sender, _c.from_receiver, _c.display, _c.expires_at, _c.sequence)
_MAILBOX_COLUMNS = [_c[name] for name in Mailbox.__struct_fields__]
_MAILBOX = Prepared(select(*_MAILBOX_COLUMNS, _c.display, _c.expires_at, _c.claim_key).where(_IN_FORCE))
_LOCKED = Prepared(select(*_MAILBOX_COLUMNS).where(_IN_FORCE).with_for_update())


def _bind(*conditions: ColumnElement[bool]) -> Prepared:
    """The one statement by which a receiver is bound: of any number at once, one finds the place free."""
    return Prepared(
        update(mailboxes)
        .where(
            _IN_FORCE,
            _c.receiver_claim.is_(None),
            _c.sender_claim != bindparam("claim"),
            _c.rights.bitwise_and(life.READ) != 0,
            *conditions,
        )
        .values(
            receiver_claim=bindparam("claim"),
            state=life.advance("unclaimed", "claim"),
            sequence=_c.sequence + 1,
        )
        .returning(*_READ_COLUMNS)
    )


_BIND = _bind(_c.claim_key.is_(None))
_BIND_PROVED = _bind()
_CHANGED = [name for name in Mailbox.__struct_fields__ if name not in ("rights", "sender_claim")]
_CHANGE = Prepared(
    update(mailboxes)
    .where(_c.id == bindparam("mailbox"))
    .values({name: bindparam(name) for name in _CHANGED})
)
_DELETE = Prepared(
    delete(mailboxes).where(
        _IN_FORCE,
        or_(_c.sender_claim == bindparam("claim"), _c.receiver_claim == bindparam("claim")),
        _c.rights.bitwise_and(life.DELETE) != 0,
    )
)
_DISPLAY = Prepared(select(_c.display).where(_IN_FORCE))
_SWEEP = Prepared(
    delete(mailboxes).where(
        _c.id.in_(
            select(_c.id)
            .where(_c.expires_at <= bindparam("now"))
            .order_by(_c.expires_at)
            .limit(limits.SWEPT_ROWS)
        )
    )
)


def _in_state(state: State) -> ColumnElement[int]:
    there = and_(_c.state == state, _c.expires_at > bindparam("now"))
    return func.coalesce(func.sum(case((there, 1), else_=0)), 0).label(state)


_COUNT = Prepared(select(*map(_in_state, life.LIVE)).select_from(mailboxes))
_ROWS = Prepared(select(func.count().label("rows")).select_from(mailboxes))


def _row(new: NewMailbox) -> dict[str, Any]:
    return {
        "id": new.id,
        "creation": new.creation,
        "state": "unclaimed",
        "expires_at": new.expires_at,
        "rights": new.rights,
        "sequence": life.FIRST_SEQUENCE,
        "updates": 0,
        "sender_claim": new.claim,
        "receiver_claim": None,
        "claim_key": new.claim_key,
        "sender_requests": b"",
        "receiver_requests": b"",
        "display": new.display,
        "from_sender": new.payload,
        "from_receiver": None,
    }


def _mailbox(row: Any) -> Mailbox:
    if row is None:
        raise _unknown()
    return Mailbox(**{name: getattr(row, name) for name in Mailbox.__struct_fields__})


def _change(connection: Connection, mailbox: bytes, after: Mailbox) -> None:
    _CHANGE.run(connection, mailbox=mailbox, **{name: getattr(after, name) for name in _CHANGED})


def _reading(row: Any, state: State | None, *, bound: bool) -> Reading:
    return Reading(
        payload=row.from_sender if row.from_receiver is None else row.from_receiver,
        display=row.display,
        expires_at=row.expires_at,
        sequence=row.sequence,
        state=state,
        bound=bound,
    )


def _unknown() -> MailboxUnknown:
    return MailboxUnknown("mailbox_unknown", "There is no such mailbox, or none any more.")
