"""The life of a mailbox against its table: each state with each event, and the two slots."""

import pytest
from msgspec.structs import replace

from safeconduct import limits
from safeconduct.errors import Rejected
from safeconduct.protocols.transfer import mailbox as life
from safeconduct.protocols.transfer.mailbox import (
    EVENTS,
    LIVE,
    STATES,
    TRANSITIONS,
    AlreadyClaimed,
    ClaimRefused,
    Event,
    Mailbox,
    State,
    TransitionRefused,
    Write,
    advance,
)

SENDER, RECEIVER, STRANGER = b"s" * 32, b"r" * 32, b"x" * 32
ARROWS: dict[State, dict[Event, State]] = {
    "unclaimed": {"claim": "claimed", "sender_update": "unclaimed", "delete": "gone", "expire": "gone"},
    "claimed": {
        "sender_update": "claimed",
        "receiver_update": "claimed",
        "relinquish": "relinquished",
        "delete": "gone",
        "expire": "gone",
    },
    "relinquished": {
        "claim": "claimed",
        "sender_update": "relinquished",
        "delete": "gone",
        "expire": "gone",
    },
    "gone": {},
}
"""Written once more, from the drafts."""


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_each_state_with_each_event(state: State, event: Event) -> None:
    wanted = ARROWS[state].get(event)
    if wanted is None:
        with pytest.raises(TransitionRefused) as refused:
            advance(state, event)
        assert (refused.value.code, refused.value.http_status) == ("transition_refused", 409)
    else:
        assert advance(state, event) == wanted


def test_the_table_has_no_other_arrows() -> None:
    assert {(state, event): after for state, row in ARROWS.items() for event, after in row.items()} == dict(
        TRANSITIONS
    )
    assert LIVE == ("unclaimed", "claimed", "relinquished")


def mailbox(**members: object) -> Mailbox:
    """A new mailbox, but for what is given."""
    new: dict[str, object] = {
        "state": "unclaimed",
        "rights": 7,
        "sender_claim": SENDER,
        "receiver_claim": None,
        "from_sender": b"1",
        "from_receiver": None,
        "sequence": 1,
        "updates": 0,
        "sender_requests": b"",
        "receiver_requests": b"",
    }
    return Mailbox(**{**new, **members})  # type: ignore[arg-type]


def bound(mailbox: Mailbox, claim: bytes) -> Mailbox:
    """The mailbox as the statement that binds a receiver leaves it."""
    state = advance(mailbox.state, "claim")
    return replace(mailbox, state=state, receiver_claim=claim, sequence=mailbox.sequence + 1)


def write(payload: bytes, *, request: bytes = b"q" * 16, if_sequence: int | None = None) -> Write:
    """What a party writes."""
    return Write(payload=payload, request=request, if_sequence=if_sequence, most_updates=64)


def test_parties_are_known_by_their_claims() -> None:
    claimed = bound(mailbox(), RECEIVER)
    assert [life.party(claimed, claim) for claim in (SENDER, RECEIVER, STRANGER)] == [
        "sender",
        "receiver",
        None,
    ]
    assert life.party(mailbox(), RECEIVER) is None
    assert life.reader(mailbox(), STRANGER) is None
    with pytest.raises(AlreadyClaimed):
        life.reader(claimed, STRANGER)
    with pytest.raises(TransitionRefused):
        bound(claimed, STRANGER)


def test_the_two_slots() -> None:
    """What lies there is the sender's last, under the receiver's if that one wrote after it."""
    claimed = bound(mailbox(), RECEIVER)
    by_receiver = life.updated(claimed, RECEIVER, write(b"2"))
    assert by_receiver is not None
    assert (by_receiver.payload, by_receiver.from_sender) == (b"2", b"1")
    by_sender = life.updated(by_receiver, SENDER, write(b"3"))
    assert by_sender is not None
    assert (by_sender.payload, by_sender.from_receiver) == (b"3", None)
    back = life.relinquished(by_receiver, RECEIVER, b"q" * 16)
    assert (back.payload, back.from_receiver, back.receiver_claim) == (b"1", None, None)
    assert (back.state, back.sequence) == ("relinquished", 4)


@pytest.mark.parametrize("claim", [SENDER, STRANGER])
def test_only_the_receiver_steps_back(claim: bytes) -> None:
    with pytest.raises(ClaimRefused) as refused:
        life.relinquished(bound(mailbox(), RECEIVER), claim, b"q" * 16)
    assert refused.value.code == "claim_refused"


@pytest.mark.parametrize("right", [life.READ, life.WRITE, life.DELETE])
def test_each_right_by_itself(right: int) -> None:
    for rights in range(8):
        if rights & right:
            life.check_right(mailbox(rights=rights), right)
        else:
            with pytest.raises(Rejected) as refused:
                life.check_right(mailbox(rights=rights), right)
            assert (refused.value.code, refused.value.http_status) == ("right_missing", 403)


def test_the_window_forgets_the_oldest() -> None:
    window = b""
    digests = [bytes([number]) * 16 for number in range(limits.REPEATED_REQUESTS + 1)]
    for sequence, digest in enumerate(digests, 7):
        window = life.remembered(window, digest, sequence=sequence)
    assert len(window) == 20 * limits.REPEATED_REQUESTS
    for known in (mailbox(sender_requests=window), mailbox(receiver_requests=window)):
        found = [life.repeated(known, digest) for digest in digests]
        assert found == [None, *range(8, 8 + limits.REPEATED_REQUESTS)]


def test_what_lies_across_two_requests_is_not_in_the_window() -> None:
    window = life.remembered(b"", b"a" * 16, sequence=int.from_bytes(b"cccc", "big"))
    window = life.remembered(window, b"b" * 16, sequence=1)
    for across in (b"a" * 12 + b"cccc", b"cccc" + b"b" * 12):
        assert across in window
        assert life.repeated(mailbox(receiver_requests=window), across) is None


def test_a_request_is_known_by_operation_claim_and_id() -> None:
    digests = {
        life.request_digest(operation, claim, request)
        for operation in ("create", "update", "relinquish")
        for claim in (SENDER, RECEIVER)
        for request in (b"1" * 16, b"2" * 16)
    }
    assert len(digests) == 12
    assert {len(digest) for digest in digests} == {16}
