"""What the drafts leave open, each hole with its decision; and attacks that the relay fends off."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.flows.relay_stage import NOW, PAYLOAD, RELAY, Answer, Clock, Stage, message, new_id, stage

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64
from safeconduct.protocols.transfer.claims import claim_message
from safeconduct.services.relay import service, waiting

Work = Callable[[Stage], Awaitable[None]]


def play(work: Work, **settings: Any) -> None:
    """Let a test work on a relay of its own."""

    async def main() -> None:
        async with stage(**settings) as relay:
            await work(relay)

    asyncio.run(main())


# Holes 1 and 2


def test_hole_1_the_next_receiver_reads_what_the_sender_wrote_and_nothing_of_the_one_before() -> None:
    async def work(relay: Stage) -> None:
        sender, first, second = new_id(), new_id(), new_id()
        path = await relay.mailbox(sender, payload=message(1))
        await relay.read(path, first)
        await relay.put(path, sender, message(2))
        await relay.put(path, first, message(3))
        assert (await relay.read(path, sender)).members["payload"] == message(3)
        await relay.relinquish(path, first)
        for reader in (sender, second):
            assert (await relay.read(path, reader)).members["payload"] == message(2)

    play(work)


def test_hole_2_a_message_that_was_not_seen_is_not_overwritten() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)
        seen = (await relay.read(path, receiver)).members["sequence"]
        assert (await relay.put(path, receiver, message(1))).members["sequence"] == seen + 1
        expecting = ("Mailbox-If-Sequence", str(seen))
        assert (await relay.put(path, sender, message(2), expecting)).fault == (409, "sequence_conflict")
        assert (await relay.read(path, sender)).members["payload"] == message(1)
        fresh = ("Mailbox-If-Sequence", str(seen + 1))
        assert (await relay.put(path, sender, message(2), fresh)).members["sequence"] == seen + 2

    play(work)


def test_hole_2_the_same_message_again_is_no_conflict_and_counts_nothing() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)
        await relay.read(path, receiver)
        expecting = ("Mailbox-If-Sequence", "2")
        assert (await relay.put(path, receiver, message(1), expecting)).members["sequence"] == 3
        again = await relay.put(path, receiver, message(1), expecting)
        assert (again.status, again.members["sequence"]) == (200, 3)
        reflected = await relay.put(path, sender, message(1), expecting)
        assert reflected.fault == (409, "sequence_conflict"), "it is not the sender's own"
        assert (await relay.put(path, sender, message(2))).members["sequence"] == 4
        assert (await relay.put(path, receiver, message(3))).fault == (409, "updates_used_up")

    play(work, updates=2)


def test_hole_2_a_senders_message_below_a_receivers_like_one_is_not_the_current_one() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender, payload=message(1))
        await relay.read(path, receiver)
        await relay.put(path, receiver, message(1))
        stale = ("Mailbox-If-Sequence", "2")
        assert (await relay.put(path, sender, message(1), stale)).fault == (409, "sequence_conflict")

    play(work)


@pytest.mark.parametrize("value", ["", "-1", "x", "1.0", "٣", "1" * 10])
def test_a_sequence_that_is_no_number_is_refused(value: str) -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender)
        text = value.encode().decode("latin-1")
        assert (await relay.put(path, sender, PAYLOAD, ("Mailbox-If-Sequence", text))).fault == (
            400,
            "sequence_malformed",
        )
        assert (await relay.read(path, sender, ("Mailbox-Known-Sequence", text))).fault == (
            400,
            "sequence_malformed",
        )

    play(work)


# Hole 4


def test_hole_4_a_retry_of_a_after_b_does_not_do_a_again() -> None:
    async def work(relay: Stage) -> None:
        sender, a, b = new_id(), new_id(), new_id()
        path = await relay.mailbox(sender)
        assert (await relay.put(path, sender, message(1), request_id=a)).status == 200
        assert (await relay.put(path, sender, message(2), request_id=b)).status == 200
        retried = await relay.put(path, sender, message(1), request_id=a)
        assert (retried.status, retried.members["sequence"]) == (201, 2), "that of the first time"
        assert (await relay.read(path, sender)).members["payload"] == message(2)

    play(work)


def test_hole_4_who_repeats_a_message_whose_answer_was_lost_still_gets_what_came_after_it() -> None:
    """A sequence of now would tell the writer that it has seen an answer which it has not."""

    async def work(relay: Stage) -> None:
        sender, receiver, request_id = new_id(), new_id(), new_id()
        path = await relay.mailbox(sender)
        await relay.read(path, receiver)
        await relay.put(path, receiver, message(1), request_id=request_id)  # its answer is lost
        await relay.put(path, sender, message(2))
        known = (await relay.put(path, receiver, message(1), request_id=request_id)).members["sequence"]
        news = await relay.read(path, receiver, ("Mailbox-Known-Sequence", str(known)))
        assert (news.status, news.members["payload"]) == (200, message(2))
        known = (await relay.put(path, receiver, message(1), request_id=request_id)).members["sequence"]
        over = await relay.put(path, receiver, message(3), ("Mailbox-If-Sequence", str(known)))
        assert over.fault == (409, "sequence_conflict"), "what it has not read is not written over"

    play(work)


def test_hole_4_a_receiver_that_has_left_learns_nothing_by_repeating_its_requests() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver, put, left = new_id(), new_id(), new_id(), new_id()
        path = await relay.mailbox(sender)
        await relay.read(path, receiver)
        first = await relay.put(path, receiver, message(1), request_id=put)
        back = await relay.relinquish(path, receiver, request_id=left)
        await relay.read(path, new_id())
        await relay.put(path, sender, message(2))
        again = await relay.put(path, receiver, message(1), request_id=put)
        assert (again.status, again.members) == (201, first.members)
        again = await relay.relinquish(path, receiver, request_id=left)
        assert (again.status, again.members) == (201, back.members)

    play(work)


def test_hole_4_the_window_holds_eight_requests_of_each_party() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)
        await relay.read(path, receiver)
        ids = [new_id() for _ in range(limits.REPEATED_REQUESTS + 1)]
        for number, request_id in enumerate(ids):
            assert (await relay.put(path, sender, message(number), request_id=request_id)).status == 200
            assert (await relay.put(path, receiver, message(50), request_id=new_id())).status == 200
        for request_id in ids[1:]:
            assert (await relay.put(path, sender, message(99), request_id=request_id)).status == 201
        assert (await relay.put(path, sender, message(99), request_id=ids[0])).status == 200

    assert limits.REPEATED_REQUESTS == 8
    play(work)


def test_hole_4_a_request_id_belongs_to_a_claim_and_an_operation() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver, request_id = new_id(), new_id(), new_id()
        path = await relay.mailbox(sender, request_id=request_id)
        await relay.read(path, receiver)
        assert (await relay.put(path, sender, message(1), request_id=request_id)).status == 200
        assert (await relay.put(path, receiver, message(2), request_id=request_id)).status == 200
        assert (await relay.relinquish(path, receiver, request_id=request_id)).status == 200
        other = await relay.mailbox(new_id())
        assert (await relay.read(other, sender)).status == 200
        assert (await relay.put(other, sender, message(1), request_id=request_id)).status == 200

    play(work)


def test_hole_4_a_refused_request_is_not_remembered() -> None:
    async def work(relay: Stage) -> None:
        sender, request_id = new_id(), new_id()
        path = await relay.mailbox(sender)
        stale = ("Mailbox-If-Sequence", "7")
        assert (await relay.put(path, sender, message(1), stale, request_id=request_id)).status == 409
        assert (await relay.put(path, sender, message(1), request_id=request_id)).status == 200

    play(work)


# Hole 6, A2: the path alone binds nothing


def _proof(key: Key, path: str, claim: str) -> tuple[str, str]:
    signed = claim_message(path.rpartition("/")[2], claim)
    return "Mailbox-Claim-Proof", b64.encode(key.sign(signed))


def test_hole_6_a2_the_path_alone_binds_nothing_and_shows_nothing() -> None:
    async def work(relay: Stage) -> None:
        key, sender, receiver = Key.generate("Ed25519"), new_id(), new_id()
        terms = {"claimKey": b64.encode(key.public.to_raw())}
        path = await relay.mailbox(sender, configuration=terms)
        other = await relay.mailbox(new_id(), configuration=terms)
        missing = await relay.read(path, new_id())
        assert missing.fault == (401, "claim_proof_missing")
        thief = new_id()
        for proof in (
            _proof(Key.generate("Ed25519"), path, thief),
            _proof(key, path, receiver),
            _proof(key, other, thief),
            ("Mailbox-Claim-Proof", "AAAA"),
            ("Mailbox-Claim-Proof", "=" * 400),
            ("Mailbox-Claim-Proof", ""),
        ):
            refused = await relay.read(path, thief, proof)
            assert refused.fault == (401, "claim_proof_wrong")
            assert PAYLOAD["data"].encode() not in refused.body
        assert (await relay.read(path, sender)).members["state"] == "unclaimed"
        claimed = await relay.read(path, receiver.upper(), _proof(key, path, receiver))
        assert (claimed.status, claimed.members["payload"]) == (200, PAYLOAD)
        assert (await relay.read(path, receiver)).status == 200, "the proof is for the first read only"
        late = new_id()
        assert (await relay.read(path, late, _proof(key, path, late))).fault == (401, "claim_refused")

    play(work)


def test_hole_6_without_a_key_the_path_alone_does_bind() -> None:
    """What the protection is for: the same thief succeeds where the sender left no key."""

    async def work(relay: Stage) -> None:
        path = await relay.mailbox(new_id())
        assert (await relay.read(path, new_id())).members["payload"] == PAYLOAD
        assert (await relay.read(path, new_id())).fault == (401, "claim_refused")

    play(work)


def test_hole_6_a_proof_is_taken_where_none_is_wanted() -> None:
    async def work(relay: Stage) -> None:
        claim = new_id()
        path = await relay.mailbox(new_id())
        assert (await relay.read(path, claim, _proof(Key.generate("Ed25519"), path, claim))).status == 200

    play(work)


def test_hole_6_after_a_relinquishment_the_next_receiver_has_to_prove_itself_too() -> None:
    async def work(relay: Stage) -> None:
        key, first, second = Key.generate("Ed25519"), new_id(), new_id()
        path = await relay.mailbox(new_id(), configuration={"claimKey": b64.encode(key.public.to_raw())})
        await relay.read(path, first, _proof(key, path, first))
        await relay.relinquish(path, first)
        assert (await relay.read(path, second)).fault == (401, "claim_proof_missing")
        assert (await relay.read(path, second, _proof(key, path, second))).status == 200

    play(work)


# Holes 7, 8, 9 and 11


def test_hole_7_and_11_links_begin_with_the_configured_url_whatever_the_host_field_says() -> None:
    async def work(relay: Stage) -> None:
        fields = (("Host", "evil.example"), ("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil"))
        made = await relay.create(new_id(), None, *fields)
        assert made.members["urlLink"].startswith(f"{RELAY}/v1/m/")
        path = made.members["urlLink"].removeprefix(RELAY)
        page = await relay.ask("GET", path, *fields)
        assert b"evil" not in made.body + page.body

    play(work)


def test_hole_8_the_sender_sees_that_somebody_claimed_and_the_receiver_sees_no_state() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)
        seen = []
        for step in ("made", "read", "left", "taken"):
            if step in ("read", "taken"):
                assert "state" not in (await relay.read(path, receiver)).members
            if step == "left":
                await relay.relinquish(path, receiver)
            found = (await relay.read(path, sender)).members
            seen.append((found["state"], found["sequence"]))
        assert seen == [("unclaimed", 1), ("claimed", 2), ("relinquished", 3), ("claimed", 4)]

    play(work)


def test_hole_9_a_receiver_that_crashed_reads_again_with_the_same_claim() -> None:
    async def work(relay: Stage) -> None:
        receiver = new_id()
        path = await relay.mailbox(new_id())
        first = await relay.read(path, receiver)
        assert [(await relay.read(path, receiver)).body for _ in range(3)] == [first.body] * 3

    play(work)


# A6, A8


def test_a6_of_many_that_read_at_once_one_is_bound() -> None:
    async def work(relay: Stage) -> None:
        for _ in range(20):
            path = await relay.mailbox(new_id())
            answers = await asyncio.gather(*[relay.read(path, new_id()) for _ in range(16)])
            assert sorted(answer.status for answer in answers) == [200] + [401] * 15

    play(work)


def test_a8_unknown_expired_deleted_and_impossible_ids_are_answered_alike() -> None:
    async def work(relay: Stage) -> None:
        sender, other = new_id(), new_id()
        deleted, expired = await relay.mailbox(sender), await relay.mailbox(sender)
        await relay.delete(deleted, sender)
        relay.clock.now = NOW + 3600
        places = [f"/v1/m/{new_id()}", deleted, expired, "/v1/m/x", f"/v1/m/{'%'}", "/v1/m/ü", "/v1/m/0-0"]

        async def ask(method: str, claim: str, path: str) -> Answer:
            fields = (("Mailbox-Device-Claim", claim), ("Mailbox-Request-ID", other))
            body = {"payload": PAYLOAD} if method == "PUT" else None
            return await relay.ask(method, path, *fields, body=body)

        for method in ("POST", "PUT", "PATCH", "DELETE", "GET"):
            for claim in (sender, new_id()):
                answers = [await ask(method, claim, path) for path in places]
                assert {answer.status for answer in answers} == {404}
                assert len({answer.body for answer in answers}) == 1, method
                assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1

    play(work)


# P10, A26: expiry


def test_a26_a_mailbox_is_there_until_its_last_second_and_then_gone() -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender, configuration={"expiration": "2027-01-15T08:10:00.999999Z"})
        relay.clock.now = NOW + 599
        assert (await relay.read(path, sender)).members["expiration"] == "2027-01-15T08:10:00Z"
        relay.clock.now = NOW + 600
        for answer in (
            await relay.read(path, sender),
            await relay.read(path, new_id()),
            await relay.put(path, sender),
            await relay.relinquish(path, sender),
            await relay.delete(path, sender),
        ):
            assert answer.fault == (404, "mailbox_unknown")
        assert (await relay.ask("GET", path)).status == 404

    play(work)


@pytest.mark.parametrize(
    ("expiration", "kept"),
    [
        ("2027-01-15T08:30:00Z", "2027-01-15T08:30:00Z"),
        ("2027-01-15t08:30:00.5z", "2027-01-15T08:30:00Z"),
        ("2027-01-15T09:30:00+01:00", "2027-01-15T08:30:00Z"),
        ("2027-01-15T08:00:01Z", "2027-01-15T08:01:00Z"),
        ("9999-12-31T23:59:59Z", "2027-01-17T08:00:00Z"),
        ("2027-02-01T00:00:00-12:00", "2027-01-17T08:00:00Z"),
    ],
)
def test_a26_an_expiration_is_kept_within_what_the_relay_allows(expiration: str, kept: str) -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender, configuration={"expiration": expiration})
        assert (await relay.read(path, sender)).members["expiration"] == kept

    play(work)


@pytest.mark.parametrize(
    ("expiration", "code"),
    [
        ("2027-01-15T08:00:00Z", "mailbox_expiration_past"),
        ("2027-01-15T08:00:00.999Z", "mailbox_expiration_past"),
        ("0001-01-01T00:00:00+14:00", "mailbox_expiration_past"),
        ("2027-01-15T24:00:00Z", "mailbox_expiration_malformed"),
        ("2027-01-15T23:59:60Z", "mailbox_expiration_malformed"),
        ("2027-02-29T00:00:00Z", "mailbox_expiration_malformed"),
        ("2027-01-15T09:00:00", "mailbox_expiration_malformed"),
        ("2027-01-15 09:00:00Z", "mailbox_expiration_malformed"),
        ("2027-01-15T09:00:00+0100", "mailbox_expiration_malformed"),
        ("2027-01-15T09:00:00+24:00", "mailbox_expiration_malformed"),
        ("0000-01-01T00:00:00Z", "mailbox_expiration_malformed"),
        ("٢٠٢٧-01-15T09:00:00Z", "mailbox_expiration_malformed"),
        ("2027-01-15T09:00:00Z\n", "mailbox_expiration_malformed"),
        ("", "mailbox_expiration_malformed"),
    ],
)
def test_a26_an_expiration_that_is_past_or_no_time_is_refused(expiration: str, code: str) -> None:
    async def work(relay: Stage) -> None:
        assert (await relay.create(new_id(), configuration={"expiration": expiration})).fault == (400, code)

    play(work)


# Waiting


async def _soon(waiting_one: asyncio.Task[Answer]) -> Answer:
    """The answer of one who waits for at least half a minute, long before that."""
    return await asyncio.wait_for(waiting_one, timeout=10)


def test_a_reader_that_waits_is_woken_by_each_event() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)

        async def waiting_one(claim: str, known: int) -> asyncio.Task[Answer]:
            fields = (("Mailbox-Wait", "30"), ("Mailbox-Known-Sequence", str(known)))
            task = asyncio.create_task(relay.read(path, claim, *fields))
            for _ in range(5):
                await asyncio.sleep(0)
            assert not task.done()
            return task

        task = await waiting_one(sender, 1)
        await relay.read(path, receiver)
        assert (await _soon(task)).members["state"] == "claimed"
        task = await waiting_one(receiver, 2)
        await relay.put(path, sender, message(1))
        assert (await _soon(task)).members["payload"] == message(1)
        task = await waiting_one(sender, 3)
        await relay.relinquish(path, receiver)
        assert (await _soon(task)).members["state"] == "relinquished"
        task = await waiting_one(sender, 4)
        await relay.delete(path, sender)
        assert (await _soon(task)).fault == (404, "mailbox_unknown")

    play(work)


def test_a_reader_that_waits_and_steps_back_is_not_bound_again_by_its_waiting() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)
        await relay.read(path, receiver)
        fields = (("Mailbox-Wait", "30"), ("Mailbox-Known-Sequence", "2"))
        task = asyncio.create_task(relay.read(path, receiver, *fields))
        await asyncio.sleep(0.01)
        await relay.relinquish(path, receiver)
        assert (await _soon(task)).fault == (401, "claim_refused")
        assert (await relay.read(path, sender)).members["state"] == "relinquished"

    play(work)


def test_a_reader_that_knows_less_or_another_sequence_does_not_wait() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)
        for fields in (
            [("Mailbox-Wait", "30")],
            [("Mailbox-Wait", "30"), ("Mailbox-Known-Sequence", "0")],
            [("Mailbox-Wait", "30"), ("Mailbox-Known-Sequence", "999999999")],
        ):
            task = asyncio.create_task(relay.read(path, sender, *fields))
            assert (await _soon(task)).status == 200
        bound = relay.read(path, receiver, ("Mailbox-Wait", "30"), ("Mailbox-Known-Sequence", "2"))
        assert (await _soon(asyncio.create_task(bound))).members["sequence"] == 2, "it has nothing yet"

    play(work)


def test_who_has_waited_long_enough_gets_204() -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender)
        for wait in ([], [("Mailbox-Wait", "0")], [("Mailbox-Wait", "9999")]):
            answer = await relay.read(path, sender, ("Mailbox-Known-Sequence", "1"), *wait)
            assert (answer.status, answer.body) == (204, b"")

    play(work, wait_most=0)


@pytest.mark.parametrize("value", ["", "-1", "x", "1.5", "1" * 10])
def test_a_wait_that_is_no_number_is_refused(value: str) -> None:
    async def work(relay: Stage) -> None:
        path = await relay.mailbox(new_id())
        assert (await relay.read(path, new_id(), ("Mailbox-Wait", value))).fault == (400, "wait_malformed")
        counted = (await relay.manage("/mailboxes")).members["mailboxes"]
        assert counted["claimed"] == 0

    play(work)


def test_expiry_wakes_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    from safeconduct.services.relay import opening

    monkeypatch.setattr(opening, "LOOK_SECONDS", 0.01)

    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender)
        fields = (("Mailbox-Wait", "30"), ("Mailbox-Known-Sequence", "1"))
        task = asyncio.create_task(relay.read(path, sender, *fields))
        await asyncio.sleep(0.01)
        relay.clock.now = NOW + 3600
        assert (await _soon(task)).fault == (404, "mailbox_unknown")

    play(work)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_what_another_process_does_wakes_those_who_wait(
    kind: str, tmp_path: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safeconduct.services.relay import opening

    monkeypatch.setattr(opening, "LOOK_SECONDS", 0.01)
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else f"sqlite:///{tmp_path}/relay.db"

    async def main() -> None:
        clock = Clock()
        async with stage(clock=clock, database=url) as relay, stage(clock=clock, database=url) as other:
            sender, receiver = new_id(), new_id()
            path = await relay.mailbox(sender)
            fields = (("Mailbox-Wait", "30"), ("Mailbox-Known-Sequence", "1"))
            task = asyncio.create_task(relay.read(path, sender, *fields))
            await asyncio.sleep(0.01)
            await other.read(path, receiver)
            assert (await _soon(task)).members["state"] == "claimed"

    asyncio.run(main())


def test_p10_a_relay_that_finds_much_expired_answers_before_all_of_it_is_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        begun = asyncio.Event()

        async def long_sweep(_relay: service.Relay) -> None:
            begun.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(service.Relay, "sweep", long_sweep)
        async with asyncio.timeout(10), stage() as relay:
            await begun.wait()
            assert (await relay.create(new_id())).status == 200

    asyncio.run(main())


def test_only_so_many_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LONG_POLLS", 1)

    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender)
        fields = (("Mailbox-Wait", "30"), ("Mailbox-Known-Sequence", "1"))
        first = asyncio.create_task(relay.read(path, sender, *fields))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(relay.read(path, sender, *fields))
        assert (await _soon(second)).status == 204
        assert not first.done()
        await relay.put(path, sender)
        assert (await _soon(first)).status == 200

    play(work)


def test_a22_one_party_takes_only_so_many_of_the_places_to_wait_and_none_of_the_others() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)
        await relay.read(path, receiver)
        fields = (("Mailbox-Wait", "30"), ("Mailbox-Known-Sequence", "2"))
        tasks = [
            asyncio.create_task(relay.read(path, claim, *fields))
            for claim in [sender] * limits.LONG_POLLS_OF_PARTY + [receiver]
        ]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in tasks)
        one_more = asyncio.create_task(relay.read(path, sender, *fields))
        assert (await _soon(one_more)).status == 204
        await relay.put(path, sender)
        assert [(await _soon(task)).status for task in tasks] == [200] * len(tasks)
        again = asyncio.create_task(relay.read(path, sender, fields[0], ("Mailbox-Known-Sequence", "3")))
        await asyncio.sleep(0.01)
        assert not again.done(), "their places are free again"
        await relay.delete(path, sender)
        assert (await _soon(again)).status == 404

    play(work)


def test_nothing_is_remembered_of_those_who_have_waited() -> None:
    async def main() -> None:
        waiters = waiting.Waiting()
        with waiters.listening(b"a", reader=b"r", known=1, seconds=30) as (bell, granted):
            assert (granted, waiters.mailboxes) == (30, [b"a"])
            waiters.compare(b"a", 1)
            await bell.heard(0)
            waiters.wake(b"b")
            waiters.compare(b"a", None)
            await asyncio.wait_for(bell.heard(30), timeout=10)
        assert waiters.mailboxes == []

    asyncio.run(main())
    assert service.Relay.look.__doc__
