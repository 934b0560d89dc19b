"""Whatever parties, strangers and time do to a mailbox, it is what the table and a plain model say."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from safeconduct.errors import SafeconductError
from safeconduct.protocols.transfer import mailbox as life
from safeconduct.protocols.transfer.mailbox import Event, State, Write
from safeconduct.services.relay import store
from safeconduct.storage import Database
from safeconduct.storage.migrations import RELAY

T = TypeVar("T")

MAILBOX = b"m" * 16
CLAIMS = [bytes([number]) * 32 for number in range(4)]
"""The first is the sender's; any other may come to be the receiver's."""

PAYLOADS = [b"%d" % number for number in range(4)]
REQUESTS = [bytes([number]) * 16 for number in range(14)]
BEGIN, LIFETIME, UPDATES = 1000, 60, 12

claims = st.sampled_from(CLAIMS)
requests = st.sampled_from(REQUESTS)


@dataclass
class Model:
    """What a mailbox is, told as plainly as can be: messages as a list, and what was done."""

    rights: int
    ends: int
    messages: list[tuple[str, bytes]]
    receiver: bytes | None = None
    sequence: int = 1
    updates: int = 0
    state: State = "unclaimed"
    done: dict[str, list[tuple[str, bytes, bytes, int]]] = field(
        default_factory=lambda: {"sender": [], "receiver": []}
    )

    def move(self, event: Event) -> None:
        """Follow an arrow of the table."""
        self.state = life.TRANSITIONS[self.state, event]
        self.sequence += 1

    def who(self, claim: bytes) -> str | None:
        """Whose claim it is."""
        if claim == CLAIMS[0]:
            return "sender"
        return "receiver" if claim == self.receiver else None

    def done_as(self, operation: str, claim: bytes, request: bytes) -> int | None:
        """The sequence that the request led to, if it is one of the last eight of either party."""
        for last in self.done.values():
            for *what, sequence in last[-8:]:
                if what == [operation, claim, request]:
                    return sequence
        return None


class Mailboxes(RuleBasedStateMachine):
    """One mailbox after the other under one id, in a real table."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.database = self.loop.run_until_complete(Database.open("sqlite://", branch=RELAY))
        self.now = BEGIN
        self.model: Model | None = None

    def teardown(self) -> None:
        self.loop.run_until_complete(self.database.close())
        self.loop.close()

    @initialize(rights=st.sampled_from([7, 7, 7, 6, 5, 3]))
    def begin(self, rights: int) -> None:
        self.create(rights)

    @rule(rights=st.integers(1, 7))
    def create(self, rights: int) -> None:
        new = store.NewMailbox(
            id=MAILBOX,
            creation=b"c" * 16,
            claim=CLAIMS[0],
            rights=rights,
            claim_key=None,
            display=b"{}",
            payload=PAYLOADS[0],
            expires_at=self.now + LIFETIME,
        )
        assert self.run(store.create, new, now=self.now) == MAILBOX
        if self.model is None:  # else it was a repetition, which changes nothing
            self.model = Model(rights, self.now + LIFETIME, [("sender", PAYLOADS[0])])

    @rule(claim=claims)
    def read(self, claim: bytes) -> None:
        reader = store.Reader(mailbox=MAILBOX, claim=b"", digest=claim, proof=None, binds=True)
        found = self.outcome(lambda: self.run(store.read, reader, now=self.now))
        model = self.model
        if model is None:
            assert found == "mailbox_unknown"
        elif model.who(claim) is None and model.receiver is not None:
            assert found == "claim_refused"
        elif not model.rights & life.READ:
            assert found == "right_missing"
        else:
            bound = model.who(claim) is None
            if bound:
                model.receiver = claim
                model.move("claim")
            assert isinstance(found, store.Reading)
            state = model.state if claim == CLAIMS[0] else None
            assert (found.payload, found.sequence, found.state, found.bound) == (
                model.messages[-1][1],
                model.sequence,
                state,
                bound,
            )

    @rule(
        claim=claims,
        payload=st.sampled_from(PAYLOADS),
        request=requests,
        behind=st.none() | st.integers(0, 1),
    )
    def put(self, claim: bytes, payload: bytes, request: bytes, behind: int | None) -> None:
        model = self.model
        known = None if model is None or behind is None else model.sequence - behind
        write = Write(
            payload=payload,
            request=life.request_digest("update", claim, request),
            if_sequence=known,
            most_updates=UPDATES,
        )
        found = self.outcome(lambda: self.run(store.put, MAILBOX, claim, write, now=self.now))
        if model is None:
            assert found == "mailbox_unknown"
            return
        who = model.who(claim)
        before = model.done_as("update", claim, request)
        if before is not None:
            assert found == store.Written(before, repeated=True)
        elif who is None:
            assert found == "claim_refused"
        elif not model.rights & life.WRITE:
            assert found == "right_missing"
        elif behind == 1 and model.messages[-1] == (who, payload):
            assert found == store.Written(model.sequence, repeated=False)
        elif behind == 1:
            assert found == "sequence_conflict"
        elif model.updates == UPDATES:
            assert found == "updates_used_up"
        else:
            model.move("sender_update" if who == "sender" else "receiver_update")
            model.updates += 1
            model.messages.append((who, payload))
            model.done[who].append(("update", claim, request, model.sequence))
            assert found == store.Written(model.sequence, repeated=False)

    @rule(claim=claims, request=requests)
    def relinquish(self, claim: bytes, request: bytes) -> None:
        digest = life.request_digest("relinquish", claim, request)
        found = self.outcome(lambda: self.run(store.relinquish, MAILBOX, claim, digest, now=self.now))
        model = self.model
        before = None if model is None else model.done_as("relinquish", claim, request)
        if model is None:
            assert found == "mailbox_unknown"
        elif before is not None:
            assert found == store.Written(before, repeated=True)
        elif model.who(claim) != "receiver":
            assert found == "claim_refused"
        else:
            model.move("relinquish")
            model.receiver = None
            model.messages = [last for last in model.messages if last[0] == "sender"]
            model.done["receiver"].append(("relinquish", claim, request, model.sequence))
            assert found == store.Written(model.sequence, repeated=False)

    @rule(claim=claims)
    def remove(self, claim: bytes) -> None:
        found = self.outcome(lambda: self.run(store.remove, MAILBOX, claim, now=self.now))
        model = self.model
        if model is None:
            assert found == "mailbox_unknown"
        elif model.who(claim) is None:
            assert found == "claim_refused"
        elif not model.rights & life.DELETE:
            assert found == "right_missing"
        else:
            assert found is None
            self.model = None

    @rule(seconds=st.sampled_from([1, 5, LIFETIME - 1, LIFETIME]))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        if self.model is not None and self.model.ends <= self.now:
            self.model = None

    @rule()
    def sweep(self) -> None:
        self.run(store.sweep, now=self.now)
        assert self.run(store.count_rows) == (self.model is not None)

    @invariant()
    def the_table_counts_it(self) -> None:
        counts = self.run(store.count, now=self.now)
        found = {state: getattr(counts, state) for state in life.LIVE}
        state = "gone" if self.model is None else self.model.state
        assert found == {one: int(one == state) for one in life.LIVE}

    def run(self, fn: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Run a transaction in the way that the service does."""
        return self.loop.run_until_complete(self.database.run_prepared(fn, *args, **kwargs))

    @staticmethod
    def outcome(work: Callable[[], T]) -> T | str:
        """What the work gives, or the code of its error."""
        try:
            return work()
        except SafeconductError as error:
            return error.code


TestMailboxes = Mailboxes.TestCase
TestMailboxes.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
