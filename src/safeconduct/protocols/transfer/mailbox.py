"""The life of a mailbox as one table, and what each of its two parties may do with it.

unclaimed: only its sender is known. claimed: a receiver is bound, by the claim of its first read.
relinquished: a receiver was bound and has stepped back; the next one may come. gone: deleted or expired,
which nobody can tell from never having been.

    unclaimed --claim--> claimed --relinquish--> relinquished --claim--> claimed

Messages lie in two slots. What the sender wrote last stays until the sender writes again; what the receiver
wrote lies above it until the sender writes or the receiver steps back. So the next receiver reads what the
sender wrote, and nothing of the one before.

Source: draft-vinokurov-tigress-http-00, sections on the mailbox's operations.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import ClassVar, Literal, get_args

import msgspec
from msgspec.structs import replace

from safeconduct import limits
from safeconduct.errors import Rejected

State = Literal["unclaimed", "claimed", "relinquished", "gone"]
Event = Literal["claim", "sender_update", "receiver_update", "relinquish", "delete", "expire"]
Party = Literal["sender", "receiver"]
Operation = Literal["create", "update", "relinquish"]
"""Operations that are recognised when they are repeated."""

STATES: tuple[State, ...] = get_args(State)
EVENTS: tuple[Event, ...] = get_args(Event)
LIVE: tuple[State, ...] = tuple(state for state in STATES if state != "gone")

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    ("unclaimed", "claim"): "claimed",
    ("unclaimed", "sender_update"): "unclaimed",
    ("unclaimed", "delete"): "gone",
    ("unclaimed", "expire"): "gone",
    ("claimed", "sender_update"): "claimed",
    ("claimed", "receiver_update"): "claimed",
    ("claimed", "relinquish"): "relinquished",
    ("claimed", "delete"): "gone",
    ("claimed", "expire"): "gone",
    ("relinquished", "claim"): "claimed",
    ("relinquished", "sender_update"): "relinquished",
    ("relinquished", "delete"): "gone",
    ("relinquished", "expire"): "gone",
}
"""Every arrow there is."""

READ, WRITE, DELETE = 4, 2, 1
"""Access rights, which may be added. They hold for both parties alike."""

FIRST_SEQUENCE = 1
"""Of a mailbox that was just made. Claims, updates and relinquishments count it up."""

ALREADY_CLAIMED = "urn:safeconduct:relay:already-claimed"
"""The problem type of a read that came after another receiver's."""

_DIGEST_BYTES = 16
_REQUEST_BYTES = _DIGEST_BYTES + 4  # and the sequence that it led to


class MailboxUnknown(Rejected):
    """There is no such mailbox: never, no more, or under an identifier that can be none."""

    http_status = 404


class ClaimRefused(Rejected):
    """The claim is not that of a party that may do this."""

    oauth_error = "access_denied"
    http_status = 401
    http_headers: Mapping[str, str] = {"WWW-Authenticate": "Mailbox-Device-Claim"}
    problem_type: ClassVar[str] = "about:blank"


class AlreadyClaimed(ClaimRefused):
    """Another receiver was first."""

    problem_type = ALREADY_CLAIMED


class RightMissing(Rejected):
    """A party asks for what the mailbox's access rights do not allow."""

    oauth_error = "access_denied"
    http_status = 403


class SequenceConflict(Rejected):
    """Something has happened in the mailbox that the writer has not seen."""

    http_status = 409


class UpdatesUsedUp(Rejected):
    """The mailbox has taken as many messages as it may."""

    http_status = 409


class TransitionRefused(Rejected):
    """The mailbox's state has no such arrow."""

    http_status = 409


class Mailbox(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox in force. Claims are digests, payloads JSON; requests: windows that `remembered` makes."""

    state: State
    rights: int
    sender_claim: bytes
    receiver_claim: bytes | None
    from_sender: bytes
    from_receiver: bytes | None
    sequence: int
    updates: int
    sender_requests: bytes
    receiver_requests: bytes

    def __repr__(self) -> str:
        return f"<Mailbox {self.state} sequence={self.sequence}>"

    @property
    def payload(self) -> bytes:
        """The message that a reader gets, whoever wrote it."""
        return self.from_sender if self.from_receiver is None else self.from_receiver


def advance(state: State, event: Event) -> State:
    """Returns the state after `event`. Raises TransitionRefused "transition_refused"."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise TransitionRefused("transition_refused", f"A mailbox that is {state} cannot do that.")
    return after


def party(mailbox: Mailbox, claim: bytes) -> Party | None:
    """Returns whose claim it is; None for a stranger's. claim: its digest."""
    if hmac.compare_digest(mailbox.sender_claim, claim):
        return "sender"
    if mailbox.receiver_claim is not None and hmac.compare_digest(mailbox.receiver_claim, claim):
        return "receiver"
    return None


def check_right(mailbox: Mailbox, right: int) -> None:
    """Raises RightMissing "right_missing" unless the mailbox's parties have the right."""
    if not mailbox.rights & right:
        raise RightMissing("right_missing", "The mailbox's access rights do not allow this.")


def reader(mailbox: Mailbox, claim: bytes) -> Party | None:
    """Returns which party reads; None for one that is bound by it. claim: its digest.

    Raises AlreadyClaimed "claim_refused", RightMissing "right_missing".
    """
    found = party(mailbox, claim)
    if found is None and mailbox.receiver_claim is not None:
        raise AlreadyClaimed("claim_refused", "Another receiver has this mailbox.")
    check_right(mailbox, READ)
    return found


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """What a party wants to write. request: digest. if_sequence: the one that the writer has seen last."""

    payload: bytes
    request: bytes
    if_sequence: int | None
    most_updates: int

    def __repr__(self) -> str:
        return "<Write>"


def updated(mailbox: Mailbox, claim: bytes, write: Write) -> Mailbox | None:
    """Returns the mailbox with the party's message, or None if it is the party's current one already.

    With a sequence that is not the mailbox's, a message is taken only if the same party's same message lies
    there: then its first sending arrived and only the answer was lost.
    Raises ClaimRefused "claim_refused", RightMissing "right_missing", SequenceConflict "sequence_conflict",
    UpdatesUsedUp "updates_used_up".
    """
    who = require_party(mailbox, claim)
    check_right(mailbox, WRITE)
    if write.if_sequence is not None and write.if_sequence != mailbox.sequence:
        writer: Party = "sender" if mailbox.from_receiver is None else "receiver"
        if (writer, mailbox.payload) != (who, write.payload):
            raise SequenceConflict("sequence_conflict", "The mailbox has changed meanwhile; read it first.")
        return None
    if mailbox.updates >= write.most_updates:
        raise UpdatesUsedUp("updates_used_up", "The mailbox has taken as many messages as it may.")
    sequence = mailbox.sequence + 1
    if who == "sender":
        return replace(
            mailbox,
            state=advance(mailbox.state, "sender_update"),
            from_sender=write.payload,
            from_receiver=None,
            sequence=sequence,
            updates=mailbox.updates + 1,
            sender_requests=remembered(mailbox.sender_requests, write.request, sequence=sequence),
        )
    return replace(
        mailbox,
        state=advance(mailbox.state, "receiver_update"),
        from_receiver=write.payload,
        sequence=sequence,
        updates=mailbox.updates + 1,
        receiver_requests=remembered(mailbox.receiver_requests, write.request, sequence=sequence),
    )


def relinquished(mailbox: Mailbox, claim: bytes, request: bytes) -> Mailbox:
    """Returns the mailbox without its receiver and what that one wrote. claim, request: digests.

    Raises ClaimRefused "claim_refused" unless the claim is the bound receiver's.
    """
    if party(mailbox, claim) != "receiver":
        raise _refused()
    sequence = mailbox.sequence + 1
    return replace(
        mailbox,
        state=advance(mailbox.state, "relinquish"),
        receiver_claim=None,
        from_receiver=None,
        sequence=sequence,
        receiver_requests=remembered(mailbox.receiver_requests, request, sequence=sequence),
    )


def require_party(mailbox: Mailbox, claim: bytes) -> Party:
    """Returns whose claim it is. Raises ClaimRefused "claim_refused" for a stranger's."""
    found = party(mailbox, claim)
    if found is None:
        raise _refused()
    return found


def request_digest(operation: Operation, claim: bytes, request_id: bytes) -> bytes:
    """Returns by what a party's request is known when it comes again: 16 bytes.

    claim: as the party sent it, or its digest; one of equal length for all requests of a mailbox.
    """
    return hashlib.sha256(operation.encode() + b"\0" + claim + request_id).digest()[:_DIGEST_BYTES]


def repeated(mailbox: Mailbox, request: bytes) -> int | None:
    """Returns the sequence that a request led to, if it is one of the last that succeeded; else None.

    It is not the mailbox's own of now: its writer would take what came after the request for read. request:
    its digest.
    """
    for window in (mailbox.sender_requests, mailbox.receiver_requests):
        for place in range(0, len(window), _REQUEST_BYTES):
            sequence_at = place + _DIGEST_BYTES
            if window[place:sequence_at] == request:
                return int.from_bytes(window[sequence_at : place + _REQUEST_BYTES], "big")
    return None


def remembered(window: bytes, request: bytes, *, sequence: int) -> bytes:
    """Returns a party's window with this request, of which the oldest makes room.

    request: its digest. sequence: the one that it led to.
    """
    entry = request + sequence.to_bytes(_REQUEST_BYTES - _DIGEST_BYTES, "big")
    return (window + entry)[-limits.REPEATED_REQUESTS * _REQUEST_BYTES :]


def _refused() -> ClaimRefused:
    return ClaimRefused("claim_refused", "The claim is not of a party of this mailbox that may do this.")
