"""The relay's six operations, each with each of its statuses (draft-vinokurov-tigress-http-00)."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.flows.relay_stage import (
    DISPLAY,
    EXPIRATION,
    NOW,
    PAYLOAD,
    RELAY,
    Stage,
    message,
    new_id,
    stage,
)

from safeconduct import limits

MAILBOX = re.compile(
    rf"{RELAY}/v1/m/[0-9a-f]{{8}}-[0-9a-f]{{4}}-4[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}"
)
UNKNOWN = f"/v1/m/{new_id()}"

Work = Callable[[Stage], Awaitable[None]]


def play(work: Work, **settings: Any) -> None:
    """Let a test work on a relay of its own."""

    async def main() -> None:
        async with stage(**settings) as relay:
            await work(relay)
            lines = list(map(json.loads, relay.log.getvalue().splitlines()))
            assert [line for line in lines if line["level"] not in ("info", "debug")] == []

    asyncio.run(main())


# CreateMailbox


def test_create_answers_200_with_the_link_and_that_no_push_is_supported() -> None:
    async def work(relay: Stage) -> None:
        answer = await relay.create(new_id())
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert MAILBOX.fullmatch(answer.members.pop("urlLink"))
        assert {**answer.members, "urlLink": ""} == {"urlLink": "", "isPushNotificationSupported": False}

    play(work)


def test_a25_a_repeated_create_answers_201_with_the_same_link_and_makes_nothing() -> None:
    async def work(relay: Stage) -> None:
        claim, request_id = new_id(), new_id()
        first = await relay.create(claim, request_id)
        again = await relay.create(claim.upper(), request_id.upper())
        assert (first.status, again.status) == (200, 201)
        assert again.body == first.body
        other = await relay.create(claim, request_id, payload=message(9))
        assert (other.status, other.body) == (201, first.body)
        counted = (await relay.manage("/mailboxes")).members["mailboxes"]
        assert counted == {"unclaimed": 1, "claimed": 0, "relinquished": 0}
        path = first.members["urlLink"].removeprefix(RELAY)
        assert (await relay.read(path, new_id())).members["payload"] == PAYLOAD

    play(work)


def test_another_claim_or_another_request_makes_another_mailbox() -> None:
    async def work(relay: Stage) -> None:
        claim, request_id = new_id(), new_id()
        answers = [
            await relay.create(claim, request_id),
            await relay.create(claim, new_id()),
            await relay.create(new_id(), request_id),
        ]
        assert [answer.status for answer in answers] == [200, 200, 200]
        assert len({answer.members["urlLink"] for answer in answers}) == 3

    play(work)


def test_a_repeated_create_after_the_end_of_the_mailbox_makes_a_new_one() -> None:
    async def work(relay: Stage) -> None:
        claim, request_id = new_id(), new_id()
        first = await relay.create(claim, request_id)
        relay.clock.now += 3600
        again = await relay.create(claim, request_id, configuration={"expiration": "2027-02-01T00:00:00Z"})
        assert again.status == 200
        assert again.members["urlLink"] != first.members["urlLink"]

    play(work)


BODY = {
    "payload": PAYLOAD,
    "displayInformation": DISPLAY,
    "mailboxConfiguration": {"accessRights": "RWD", "expiration": EXPIRATION},
}


def _without(*path: str) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(BODY))
    place = copied
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return copied


def _with(value: Any, *path: str) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(BODY))
    place = copied
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return copied


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"{", (400, "json_malformed")),
        (b"[]", (400, "json_not_object")),
        (b'{"payload":1,"payload":2}', (400, "json_duplicate_member")),
        (b'{"a":' + b"[" * 30 + b"]" * 30 + b"}", (400, "json_too_deep")),
        (_without("payload"), (400, "message_malformed")),
        (_without("payload", "type"), (400, "message_malformed")),
        (_without("payload", "data"), (400, "message_malformed")),
        (_without("displayInformation"), (400, "message_malformed")),
        (_without("displayInformation", "title"), (400, "message_malformed")),
        (_without("displayInformation", "description"), (400, "message_malformed")),
        (_without("displayInformation", "imageURL"), (400, "message_malformed")),
        (_without("mailboxConfiguration", "expiration"), (400, "message_malformed")),
        (_with("a" * 129, "displayInformation", "title"), (400, "message_malformed")),
        (_with(7, "payload", "data"), (400, "message_malformed")),
        (_with("no base64!", "payload", "data"), (400, "message_malformed")),
        (_with("", "payload", "data"), (400, "message_malformed")),
        (_with("<b>", "payload", "type"), (400, "message_malformed")),
        (_with("a" * (limits.PAYLOAD_TYPE_CHARS + 1), "payload", "type"), (400, "message_malformed")),
        (_with({"type": "com.apple.apns"}, "notificationToken"), (400, "message_malformed")),
        (_with({"tokenData": "x"}, "notificationToken"), (400, "message_malformed")),
        (_with("", "mailboxConfiguration", "accessRights"), (400, "access_rights_malformed")),
        (_with("RX", "mailboxConfiguration", "accessRights"), (400, "access_rights_malformed")),
        (_with("RR", "mailboxConfiguration", "accessRights"), (400, "access_rights_malformed")),
        (_with("tomorrow", "mailboxConfiguration", "expiration"), (400, "mailbox_expiration_malformed")),
        (
            _with("2027-01-15T08:00:00Z", "mailboxConfiguration", "expiration"),
            (400, "mailbox_expiration_past"),
        ),
        (_with("AAAA", "mailboxConfiguration", "claimKey"), (400, "claim_key_malformed")),
        (_with("A" * 43, "mailboxConfiguration", "claimKey"), (400, "claim_key_malformed")),
        (_with("A" * (32 * 1024 + 1), "payload", "data"), (413, "payload_too_large")),
        (_with("A" * (64 * 1024), "payload", "data"), (413, "body_too_large")),
    ],
)
def test_create_refuses_what_is_no_mailbox(body: Any, fault: tuple[int, str]) -> None:
    async def work(relay: Stage) -> None:
        fields = (("Mailbox-Device-Claim", new_id()), ("Mailbox-Request-ID", new_id()))
        answer = await relay.ask("POST", "/v1/m", *fields, body=body)
        assert answer.fault == fault
        assert set((await relay.manage("/mailboxes")).members["mailboxes"].values()) == {0}

    play(work)


def test_the_largest_payload_is_taken_and_given_back() -> None:
    async def work(relay: Stage) -> None:
        largest = {"type": "A" * limits.PAYLOAD_TYPE_CHARS, "data": "A" * (32 * 1024)}
        path = await relay.mailbox(new_id(), payload=largest)
        assert (await relay.read(path, new_id())).members["payload"] == largest

    play(work)


@pytest.mark.parametrize("operation", ["POST", "PUT"])
def test_a_body_of_another_type_is_415(operation: str) -> None:
    async def work(relay: Stage) -> None:
        claim = new_id()
        path = "/v1/m" if operation == "POST" else await relay.mailbox(claim)
        fields = (("Mailbox-Device-Claim", claim), ("Mailbox-Request-ID", new_id()))
        answer = await relay.ask(operation, path, *fields, body=BODY, content_type="text/plain")
        assert answer.fault == (415, "content_type_unsupported")

    play(work)


def test_a_mailbox_without_a_configuration_may_be_read_and_deleted_for_a_day() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        fields = (("Mailbox-Device-Claim", sender), ("Mailbox-Request-ID", new_id()))
        made = await relay.ask("POST", "/v1/m", *fields, body=_without("mailboxConfiguration"))
        path = made.members["urlLink"].removeprefix(RELAY)
        assert (await relay.read(path, receiver)).members["expiration"] == "2027-01-16T08:00:00Z"
        assert (await relay.put(path, receiver)).fault == (403, "right_missing")
        assert (await relay.delete(path, receiver)).status == 200

    play(work)


def test_a_creation_token_is_wanted_where_the_operator_set_one() -> None:
    from safeconduct.settings import Secret

    async def work(relay: Stage) -> None:
        refused = await relay.create(new_id())
        assert refused.fault == (401, "creation_token_missing")
        wrong = await relay.create(new_id(), None, ("Mailbox-Device-Attestation", "token-two-0000000"))
        assert wrong.fault == (401, "creation_token_missing")
        given = await relay.create(new_id(), None, ("deviceAttestation", "token-one-0000000"))
        assert given.status == 200
        assert (await relay.ask("GET", "/v1")).members["creation"] == "token"

    play(work, creation_tokens=(Secret("token-one-0000000"),))


def test_a_full_relay_answers_503_until_there_is_room() -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender)
        await relay.mailbox(new_id())
        full = await relay.create(new_id())
        assert full.fault == (503, "too_much_open")
        assert int(full.headers["retry-after"]) > 0
        await relay.delete(path, sender)
        assert (await relay.create(new_id())).status == 200

    play(work, mailboxes=2)


def test_a_relay_that_is_asked_too_often_by_one_address_answers_429() -> None:
    async def work(relay: Stage) -> None:
        answers = [await relay.create(new_id()) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert int(answers[-1].headers["retry-after"]) > 0

    play(work, create_rate=3)


# ReadDisplayInformation


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_p13_a_preview_wants_no_claim_and_binds_nothing(method: str) -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender)
        for _ in range(3):
            answer = await relay.ask(method, path, ("Mailbox-Device-Claim", new_id()))
            assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert (await relay.read(path, sender)).members["state"] == "unclaimed"
        assert (await relay.ask(method, UNKNOWN)).status == 404

    play(work)


# ReadSecureContent


def test_a_read_gives_payload_display_and_expiration_and_binds_the_first_stranger() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)
        answer = await relay.read(path, receiver)
        assert answer.status == 200
        assert answer.members == {
            "payload": PAYLOAD,
            "displayInformation": {**DISPLAY, "imageURL": f"{RELAY}/v1/picture.png"},
            "expiration": EXPIRATION,
            "sequence": 2,
        }
        assert (await relay.read(path, receiver)).members == answer.members
        assert (await relay.read(path, new_id())).fault == (401, "claim_refused")
        assert (await relay.read(path, sender)).members["state"] == "claimed"

    play(work)


def test_a5_another_receiver_is_told_that_somebody_was_first() -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender)
        await relay.read(path, new_id())
        late = await relay.read(path, new_id())
        assert late.fault == (401, "claim_refused")
        assert late.members["type"] == "urn:safeconduct:relay:already-claimed"
        assert late.headers["www-authenticate"] == "Mailbox-Device-Claim"
        for refused in (await relay.put(path, new_id()), await relay.delete(path, new_id())):
            assert refused.fault == (401, "claim_refused")
            assert refused.members["type"] == "about:blank"

    play(work)


def test_a_sender_never_becomes_the_receiver_of_its_own_mailbox() -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender)
        assert (await relay.read(path, sender.upper())).members["state"] == "unclaimed"
        assert (await relay.read(path, new_id())).status == 200

    play(work)


@pytest.mark.parametrize(
    ("rights", "allowed"),
    [("R", "R"), ("W", "W"), ("D", "D"), ("DR", "RD"), ("WR", "RW"), ("DW", "WD"), ("DWR", "RWD")],
)
def test_what_the_access_rights_leave_out_is_403_for_both_parties(rights: str, allowed: str) -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender, configuration={"accessRights": rights})
        for claim in (receiver, sender):
            read = await relay.read(path, claim)
            assert read.status == 200 if "R" in allowed else read.fault == (403, "right_missing")
        bound = "R" in allowed
        for claim in (sender, *([receiver] if bound else [])):
            put = await relay.put(path, claim)
            assert put.status == 200 if "W" in allowed else put.fault == (403, "right_missing")
        if "D" not in allowed:
            assert (await relay.delete(path, sender)).fault == (403, "right_missing")
        else:
            assert (await relay.delete(path, receiver if bound else sender)).status == 200

    play(work)


def test_a_read_without_the_right_binds_nobody() -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender, configuration={"accessRights": "WD"})
        assert (await relay.read(path, new_id())).fault == (403, "right_missing")
        counted = (await relay.manage("/mailboxes")).members["mailboxes"]
        assert counted == {"unclaimed": 1, "claimed": 0, "relinquished": 0}

    play(work)


# UpdateMailbox


def test_p7_both_parties_write_as_often_and_in_whatever_order_they_like() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)
        assert (await relay.put(path, sender, message(1))).members == {
            "isPushNotificationSupported": False,
            "sequence": 2,
        }
        assert (await relay.read(path, receiver)).members["payload"] == message(1)
        for number, claim in enumerate([receiver, sender, sender, receiver, receiver], 2):
            assert (await relay.put(path, claim, message(number))).status == 200
            for reader in (sender, receiver):
                read = (await relay.read(path, reader)).members
                assert (read["payload"], read["sequence"]) == (message(number), number + 2)

    play(work)


def test_a_repeated_update_answers_201_and_its_body_is_ignored() -> None:
    async def work(relay: Stage) -> None:
        sender, request_id = new_id(), new_id()
        path = await relay.mailbox(sender)
        assert (await relay.put(path, sender, message(1), request_id=request_id)).status == 200
        again = await relay.put(path, sender, message(2), request_id=request_id)
        assert (again.status, again.members["sequence"]) == (201, 2)
        assert (await relay.read(path, sender)).members["payload"] == message(1)

    play(work)


def test_an_update_by_a_stranger_or_of_nothing_is_refused() -> None:
    async def work(relay: Stage) -> None:
        path = await relay.mailbox(new_id())
        assert (await relay.put(path, new_id())).fault == (401, "claim_refused")
        assert (await relay.put(UNKNOWN, new_id())).fault == (404, "mailbox_unknown")

    play(work)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", (400, "json_malformed")),
        (b"{", (400, "json_malformed")),
        (b"{}", (400, "message_malformed")),
        ({"payload": {"type": "A"}}, (400, "message_malformed")),
        ({"payload": PAYLOAD, "notificationToken": {"type": "a"}}, (400, "message_malformed")),
        ({"payload": {"type": "A", "data": "A" * (32 * 1024 + 1)}}, (413, "payload_too_large")),
        ({"payload": {"type": "A", "data": "A" * (64 * 1024)}}, (413, "body_too_large")),
    ],
)
def test_an_update_refuses_what_is_no_message(body: Any, fault: tuple[int, str]) -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender)
        fields = (("Mailbox-Device-Claim", sender), ("Mailbox-Request-ID", new_id()))
        assert (await relay.ask("PUT", path, *fields, body=body)).fault == fault
        assert (await relay.read(path, sender)).members["sequence"] == 1

    play(work)


def test_a_mailbox_takes_so_many_messages_and_no_more() -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender)
        answers = [await relay.put(path, sender, message(number)) for number in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 409]
        assert answers[-1].fault == (409, "updates_used_up")
        assert (await relay.read(path, sender)).members["payload"] == message(2)

    play(work, updates=3)


# RelinquishMailbox


def test_p12_the_bound_receiver_steps_back_and_the_next_one_is_bound() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver, request_id = new_id(), new_id(), new_id()
        path = await relay.mailbox(sender)
        await relay.read(path, receiver)
        assert (await relay.relinquish(path, receiver, request_id=request_id)).status == 200
        assert (await relay.read(path, sender)).members["state"] == "relinquished"
        again = await relay.relinquish(path, receiver, request_id=request_id)
        assert (again.status, again.members["sequence"]) == (201, 3)
        assert (await relay.put(path, receiver)).fault == (401, "claim_refused")
        assert (await relay.read(path, new_id())).status == 200
        assert (await relay.read(path, receiver)).fault == (401, "claim_refused")
        late = await relay.relinquish(path, receiver, request_id=request_id)
        assert late.status == 201, "the next receiver is not put out by the retry"
        assert (await relay.read(path, sender)).members["state"] == "claimed"

    play(work)


def test_only_the_bound_receiver_can_step_back() -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender)
        for claim in (sender, new_id()):
            assert (await relay.relinquish(path, claim)).fault == (401, "claim_refused")
        await relay.read(path, new_id())
        for claim in (sender, new_id()):
            assert (await relay.relinquish(path, claim)).fault == (401, "claim_refused")
        assert (await relay.relinquish(UNKNOWN, new_id())).fault == (404, "mailbox_unknown")

    play(work)


# DeleteMailbox


@pytest.mark.parametrize("who", ["sender", "receiver"])
def test_p11_either_party_deletes_and_nothing_is_left(who: str) -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)
        await relay.read(path, receiver)
        claim = sender if who == "sender" else receiver
        assert (await relay.delete(path, claim)).status == 200
        assert (await relay.delete(path, claim)).fault == (404, "mailbox_unknown")
        assert (await relay.read(path, sender)).fault == (404, "mailbox_unknown")

    play(work)


def test_a_stranger_deletes_nothing() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)
        assert (await relay.delete(path, new_id())).fault == (401, "claim_refused")
        await relay.read(path, receiver)
        assert (await relay.delete(path, new_id())).fault == (401, "claim_refused")
        assert (await relay.delete(UNKNOWN, sender)).fault == (404, "mailbox_unknown")
        await relay.relinquish(path, receiver)
        assert (await relay.delete(path, receiver)).fault == (401, "claim_refused")
        assert (await relay.read(path, sender)).status == 200

    play(work)


# Header fields


@pytest.mark.parametrize(
    ("field", "spellings"),
    [
        ("claim", ("Mailbox-Device-Claim", "Device-Claim", "deviceClaim", "MAILBOX-DEVICE-CLAIM")),
        ("request", ("Mailbox-Request-ID", "Mailbox-Correlation-ID")),
    ],
)
def test_every_spelling_of_the_drafts_is_understood(field: str, spellings: tuple[str, ...]) -> None:
    async def work(relay: Stage) -> None:
        claim, request_id = new_id(), new_id()
        for number, spelling in enumerate(spellings):
            claim_name = spelling if field == "claim" else "Mailbox-Device-Claim"
            id_name = spelling if field == "request" else "Mailbox-Request-ID"
            answer = await relay.ask("POST", "/v1/m", (claim_name, claim), (id_name, request_id), body=BODY)
            assert answer.status == (201 if number else 200), spelling
            assert answer.headers["mailbox-request-id"] == request_id

    play(work)


def test_two_spellings_that_agree_are_one_and_two_that_differ_are_400() -> None:
    async def work(relay: Stage) -> None:
        claim = new_id()
        path = await relay.mailbox(claim)
        agreeing = await relay.read(path, claim, ("Device-Claim", claim.upper()), ("deviceClaim", claim))
        assert agreeing.status == 200
        for name in ("Device-Claim", "Mailbox-Device-Claim", "deviceClaim"):
            assert (await relay.read(path, claim, (name, new_id()))).fault == (400, "header_conflict")
        ids = (("Mailbox-Request-ID", new_id()), ("Mailbox-Correlation-ID", new_id()))
        assert (await relay.read(path, claim, *ids)).fault == (400, "header_conflict")

    play(work)


@pytest.mark.parametrize("operation", ["create", "read", "put", "relinquish", "delete"])
@pytest.mark.parametrize(
    ("claim", "fault"),
    [
        (None, (400, "claim_missing")),
        ("", (400, "claim_malformed")),
        ("x", (400, "claim_malformed")),
        ("{2f1c1e3e-7a0e-4c5b-8f44-0123456789ab}", (400, "claim_malformed")),
        ("2f1c1e3e7a0e4c5b8f440123456789ab", (400, "claim_malformed")),
        ("2f1c1e3e-7a0e-4c5b-8f44-0123456789aé", (400, "claim_malformed")),
    ],
)
def test_every_operation_wants_a_claim(operation: str, claim: str | None, fault: tuple[int, str]) -> None:
    async def work(relay: Stage) -> None:
        method = {"create": "POST", "read": "POST", "put": "PUT", "relinquish": "PATCH", "delete": "DELETE"}
        path = "/v1/m" if operation == "create" else await relay.mailbox(new_id())
        fields = [("Mailbox-Request-ID", new_id())] + ([] if claim is None else [("Device-Claim", claim)])
        body = {"create": BODY, "put": {"payload": PAYLOAD}}.get(operation)
        assert (await relay.ask(method[operation], path, *fields, body=body)).fault == fault

    play(work)


@pytest.mark.parametrize("operation", ["POST", "PUT", "PATCH"])
def test_create_update_and_relinquish_want_a_request_id(operation: str) -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)
        await relay.read(path, receiver)
        path = "/v1/m" if operation == "POST" else path
        body = {"POST": BODY, "PUT": {"payload": PAYLOAD}}.get(operation)
        missing = await relay.ask(operation, path, ("Device-Claim", receiver), body=body)
        assert missing.fault == (400, "request_id_missing")
        fields = (("Device-Claim", receiver), ("Mailbox-Request-ID", "4711"))
        malformed = await relay.ask(operation, path, *fields, body=body)
        assert malformed.fault == (400, "request_id_malformed")
        assert "mailbox-request-id" not in malformed.headers

    play(work)


def test_read_and_delete_take_a_request_id_and_do_without_one() -> None:
    async def work(relay: Stage) -> None:
        sender, request_id = new_id(), new_id()
        path = await relay.mailbox(sender)
        for method in ("POST", "DELETE"):
            bad = await relay.ask(method, path, ("Device-Claim", sender), ("Mailbox-Request-ID", "x"))
            assert bad.fault == (400, "request_id_malformed")
        read = await relay.read(path, sender, ("Mailbox-Request-ID", request_id))
        assert read.headers["mailbox-request-id"] == request_id
        assert "mailbox-request-id" not in (await relay.read(path, sender)).headers
        assert (await relay.delete(path, sender)).status == 200

    play(work)


def test_a_request_id_comes_back_with_a_refusal_too() -> None:
    async def work(relay: Stage) -> None:
        request_id = new_id()
        refused = await relay.put(UNKNOWN, new_id(), request_id=request_id)
        assert (refused.status, refused.headers["mailbox-request-id"]) == (404, request_id)

    play(work)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a21_a_page_that_a_browser_opens_reaches_no_mailbox(method: str) -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender)
        fields = (("Device-Claim", new_id()), ("Sec-Fetch-Mode", "navigate"))
        assert (await relay.ask(method, path, *fields)).fault == (403, "navigation_refused")
        assert (await relay.read(path, sender)).members["state"] == "unclaimed"

    play(work)


def test_all_answers_say_that_they_are_nobody_elses() -> None:
    async def work(relay: Stage) -> None:
        sender = new_id()
        path = await relay.mailbox(sender)
        answers = [
            await relay.read(path, sender),
            await relay.read(path, "x"),
            await relay.ask("GET", path),
            await relay.ask("GET", UNKNOWN),
            await relay.ask("GET", "/v1"),
            await relay.ask("GET", "/nowhere"),
            await relay.delete(path, sender),
        ]
        for answer in answers:
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "noindex" in answer.headers["x-robots-tag"]
            assert answer.headers["strict-transport-security"].startswith("max-age=")
            assert "default-src 'none'" in answer.headers["content-security-policy"]

    play(work)


def test_a_relay_without_tls_promises_none() -> None:
    async def work(relay: Stage) -> None:
        assert "strict-transport-security" not in (await relay.ask("GET", "/v1")).headers

    play(work, identifier="http://127.0.0.1:9")


# What it says of itself


def test_the_relay_says_what_it_is_and_every_number_in_force() -> None:
    async def work(relay: Stage) -> None:
        said = (await relay.ask("GET", "/v1")).members
        assert said["versions"] == ["v1"]
        assert said["extensions"] == ["claimKey", "sequence", "wait", "state"]
        assert (said["pushTypes"], said["creation"]) == ([], "open")
        assert said["limits"] == {
            "bodyBytes": 65536,
            "payloadDataChars": 32768,
            "payloadTypeChars": 64,
            "titleChars": 128,
            "descriptionChars": 512,
            "imageURLChars": 2048,
            "lifetimeLeast": 60,
            "lifetimeDefault": 86400,
            "lifetimeMost": 172800,
            "updates": 7,
            "repeatedRequests": 8,
            "waitMost": 30,
            "createPerMinute": 1_000_000,
            "failuresPerMinute": 1_000_000,
            "mailboxes": 1_000_000,
        }

    play(work, updates=7)


def test_management_counts_mailboxes_by_state_and_names_none() -> None:
    async def work(relay: Stage) -> None:
        sender, receiver = new_id(), new_id()
        path = await relay.mailbox(sender)
        await relay.read(path, receiver)
        await relay.mailbox(new_id())
        other = await relay.mailbox(new_id())
        await relay.read(other, receiver)
        await relay.relinquish(other, receiver)
        assert (await relay.manage("/mailboxes")).members == {
            "mailboxes": {"unclaimed": 1, "claimed": 1, "relinquished": 1}
        }
        assert (await relay.manage("/mailboxes", None)).fault == (401, "token_missing")
        for probe in ("/healthz", "/readyz", "/metrics"):
            assert (await relay.manage(probe, None)).status == 200
        metrics = (await relay.manage("/metrics", None)).body.decode()
        assert 'route="/v1/m/{id}"' in metrics
        for secret in (path.rpartition("/")[2], sender, receiver):
            assert secret not in metrics + relay.log.getvalue()
        relay.clock.now = NOW + 3600
        assert set((await relay.manage("/mailboxes")).members["mailboxes"].values()) == {0}

    play(work)
