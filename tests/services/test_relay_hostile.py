"""Requests to a relay that no wallet sends (A7-A9, A18-A23): refused by name, and nothing is learnt or kept.

After each test the relay goes on, and its log has no failure of its own.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.relay_client import Answer, Party, in_an_hour, message, new_id
from tests.services.live import Live, live_relay
from tests.services.test_hostile_requests import (
    NUMBERS,
    ODD_HEADS,
    SEGMENTS,
    TEN_MIB,
    TEXTS,
    asked,
    head,
    is_refusal,
    sent,
)

from safeconduct import limits
from safeconduct.settings import DatabaseUrl, Secret

JSON = {"Content-Type": "application/json"}
UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Clock:
    def __init__(self) -> None:
        self.now = int(time.time())

    def __call__(self) -> int:
        return self.now


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], scope="module")
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DatabaseUrl:
    if request.param == "sqlite":
        return DatabaseUrl(f"sqlite:///{tmp_path_factory.mktemp('hostile')}/relay.db")
    return DatabaseUrl(str(request.getfixturevalue("postgres_of_module")))


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def relay(clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_relay(tmp_path_factory.mktemp("relay"), clock=clock) as live:
        yield live


@pytest.fixture(scope="module")
def each_relay(
    database: DatabaseUrl, clock: Clock, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """One on each kind of database, for what reaches the database."""
    with live_relay(tmp_path_factory.mktemp("relay"), clock=clock, database=database) as live:
        yield live


@pytest.fixture(autouse=True)
def _goes_on(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"relay", "each_relay"} & set(request.fixturenames):
        relay = request.getfixturevalue(name)
        assert asked(relay.admin, "GET", "/healthz").status == 200
        assert relay.failures == []


def made(relay: Live, **arguments: Any) -> Party:
    """The sender of a new mailbox."""
    sender = Party(relay.public)
    assert sender.create(**arguments).status == 200
    return sender


OPERATIONS: Mapping[str, Callable[[Party], Answer]] = {
    "GET": lambda party: party.preview(),
    "HEAD": lambda party: party.preview("HEAD"),
    "POST": lambda party: party.read(),
    "PUT": lambda party: party.update(),
    "PATCH": lambda party: party.relinquish(),
    "DELETE": lambda party: party.delete(),
}


@pytest.mark.parametrize("method", OPERATIONS)
def test_A8_unknown_and_expired_and_deleted_are_one_and_the_same(
    each_relay: Live, clock: Clock, method: str
) -> None:
    unknown = Party(each_relay.public, new_id())
    malformed = Party(each_relay.public, "no-uuid")
    deleted, expired = made(each_relay), made(each_relay)
    deleted.delete()
    strangers = [deleted.of(deleted), expired.of(expired)]
    clock.now += 48 * 3600 + 1
    answers = [OPERATIONS[method](party) for party in (unknown, malformed, deleted, expired, *strangers)]
    clock.now -= 48 * 3600 + 1
    assert {answer.status for answer in answers} == {404}
    assert len({answer.body for answer in answers}) == 1
    varying = ("mailbox-request-id", "date")
    heads = {tuple((n, v) for n, v in answer.headers.items() if n not in varying) for answer in answers}
    assert len(heads) == 1
    if method not in ("GET", "HEAD"):
        assert answers[0].code == "mailbox_unknown"


@pytest.mark.parametrize("segment", SEGMENTS)
def test_A7_an_id_that_can_be_none_is_refused_before_the_database_sees_it(
    each_relay: Live, segment: str
) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        fields = {"Mailbox-Device-Claim": new_id(), "Mailbox-Request-ID": new_id(), **JSON}
        body = json.dumps({"payload": message()}).encode()
        answer = asked(each_relay.public, method, f"/v1/m/{segment}", body=body, headers=fields)
        assert is_refusal(answer)
        assert answer.status in (404, 414)
    assert is_refusal(asked(each_relay.public, "GET", f"/v1/m/{segment}"), page=True)


@pytest.mark.parametrize("claim", ["", "marker", "\xff", "a" * 4000, f"{UNKNOWN}0", f"{{{UNKNOWN}}}", "%00"])
def test_A9_a_claim_that_can_be_none(relay: Live, claim: str) -> None:
    sender = made(relay)
    stranger = Party(relay.public, sender.mailbox, claim)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = OPERATIONS[method](stranger)
        assert (answer.status, answer.code) == (400, "claim_malformed")
        assert not claim or claim not in answer.body.decode()
    assert sender.read().members["state"] == "unclaimed"


def test_A9_who_guesses_claims_is_stopped_by_address_and_the_mailbox_stays_open(tmp_path: Path) -> None:
    """Strangers at one address guess until they are not heard; the parties, elsewhere, notice nothing."""
    with live_relay(tmp_path, failure_rate=5, trust_forwarded=True) as live:
        sender = made(live)
        receiver = sender.of(sender)
        assert receiver.read(X_Forwarded_For="192.0.2.1").status == 200
        guesses = [sender.of(sender).read(X_Forwarded_For="198.51.100.7") for _ in range(8)]
        assert [guess.status for guess in guesses] == [401] * 5 + [429] * 3
        assert int(guesses[-1].headers["retry-after"]) >= 1
        neighbours = sender.of(sender).read(X_Forwarded_For="2001:db8::1")
        assert neighbours.status == 401
        assert receiver.read(X_Forwarded_For="192.0.2.1").status == 200
        assert sender.update(X_Forwarded_For="203.0.113.1").status == 200
        unknown = Party(live.public, UNKNOWN)
        assert [unknown.read(X_Forwarded_For="2001:db8::2").status for _ in range(5)] == [404] * 4 + [429]
        assert live.failures == []


def test_A18_what_comes_back_is_never_what_was_sent_into_a_header(relay: Live) -> None:
    sender = made(relay)
    for value in ("marker", "a\tb", "<script>", "00000000-0000-4000-8000-00000000000g", "\xe9"):
        answer = sender.send("DELETE", Mailbox_Request_ID=value)
        assert (answer.status, answer.code) == (400, "request_id_malformed")
        assert "mailbox-request-id" not in answer.headers
        assert value not in answer.body.decode()
    assert sender.read().status == 200


class Listener:
    """Somebody who would like to be asked for something."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.visits = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                connection, _ = self._socket.accept()
                self.visits += 1
                connection.close()
        except OSError:
            pass

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.close()


def test_A19_A20_neither_pictures_nor_push_services_are_ever_asked(
    tmp_path: Path, listener: Listener
) -> None:
    place = f"http://127.0.0.1:{listener.port}/push-token-of-the-test"
    token = {"type": "com.apple.apns", "tokenData": place}
    with live_relay(tmp_path, image_hosts=("127.0.0.1",)) as live:
        sender = Party(live.public)
        display = {"title": "a", "description": "b", "imageURL": place.replace("http:", "https:")}
        created = sender.create(display=display, notificationToken=token)
        assert created.members["isPushNotificationSupported"] is False
        receiver = sender.of(sender)
        sender.preview()
        receiver.read()
        body = {"payload": message(), "notificationToken": token}
        answered = receiver.send("PUT", body=body, request_id=new_id())
        assert (answered.status, answered.members["isPushNotificationSupported"]) == (200, False)
        sender.read()
        sender.update()
        receiver.relinquish()
        sender.delete()
        stored = b"".join(file.read_bytes() for file in tmp_path.glob("relay.db*"))
        assert live.failures == []
    assert listener.visits == 0
    assert b"com.apple.apns" not in stored
    socket.create_connection(("127.0.0.1", listener.port)).close()  # it would have noticed
    deadline = time.monotonic() + 10
    while not listener.visits and time.monotonic() < deadline:
        time.sleep(0.01)
    assert listener.visits == 1


def test_A21_the_relay_is_no_place_for_files(relay: Live) -> None:
    """Too big, for too long, without a claim, or to be opened by a browser."""
    large = Party(relay.public).create(message("x" * 40_000))
    assert (large.status, large.code) == (413, "payload_too_large")
    sender = made(relay, configuration={"expiration": "2999-01-01T00:00:00Z"})
    kept_until = sender.read().members["expiration"]
    assert kept_until < "2900"
    unnamed = asked(relay.public, "POST", f"/v1/m/{sender.mailbox}", body=b"")
    assert (unnamed.status, unnamed.members["code"]) == (400, "claim_missing")
    page = sender.preview()
    assert sender.read().payload["data"].encode() not in page.body
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = sender.send(method, body={}, request_id=new_id(), Sec_Fetch_Mode="navigate")
        assert (answer.status, answer.code) == (403, "navigation_refused")
    assert Party(relay.public).create(headers={"Sec_Fetch_Mode": "navigate"}).status == 403
    read = sender.read(Sec_Fetch_Mode="cors")
    assert (read.headers["content-type"], read.headers["x-content-type-options"]) == (
        "application/json",
        "nosniff",
    )
    assert not [name for name in read.headers if name.startswith("access-control")]


def test_A22_who_makes_too_many_mailboxes_has_to_wait_and_others_have_not(tmp_path: Path) -> None:
    with live_relay(tmp_path, create_rate=3, trust_forwarded=True) as live:
        one = {"X_Forwarded_For": "198.51.100.7"}
        answers = [Party(live.public).create(headers=one) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert answers[-1].code == "rate_limited"
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert Party(live.public).create(headers={"X_Forwarded_For": "203.0.113.9"}).status == 200


def test_A22_a_full_relay_says_so(tmp_path: Path) -> None:
    with live_relay(tmp_path, mailboxes=2) as live:
        first = made(live)
        made(live)
        full = Party(live.public).create()
        assert (full.status, full.code, full.headers["retry-after"]) == (503, "too_much_open", "60")
        first.delete()
        made(live)
        assert Party(live.public).create().status == 503


def test_A22_a_relay_may_want_a_token_of_its_operator_s(tmp_path: Path) -> None:
    token = "token-of-the-operator-of-the-test"
    with live_relay(tmp_path, creation_tokens=(Secret(token),)) as live:
        for attestation in ({}, {"Mailbox_Device_Attestation": "another"}):
            refused = Party(live.public).create(headers=attestation)
            assert (refused.status, refused.code) == (401, "creation_token_missing")
        for name in ("Mailbox_Device_Attestation", "Device_Attestation", "deviceAttestation"):
            assert Party(live.public).create(headers={name: token}).status == 200
        described = json.loads(asked(live.public, "GET", "/v1").body)
        assert described["creation"] == "token"
        stored = b"".join(file.read_bytes() for file in tmp_path.glob("relay.db*"))
        assert token.encode() not in stored
        assert token not in live.log.getvalue()


def posts(relay: Live) -> list[tuple[str, str]]:
    mailbox = made(relay).mailbox
    return [("POST", "/v1/m"), ("PUT", f"/v1/m/{mailbox}")]


def fields() -> dict[str, str]:
    return {"Mailbox-Device-Claim": new_id(), "Mailbox-Request-ID": new_id(), **JSON}


def test_A23_too_much_is_refused_before_it_is_read(relay: Live) -> None:
    for method, target in posts(relay):
        announced = sent(relay.public, head(method, target, {**fields(), "Content-Length": str(TEN_MIB)}))
        assert (announced.status, announced.members["code"]) == (413, "body_too_large")
        first = head(method, target, {**fields(), "Transfer-Encoding": "chunked"})
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        chunked = sent(relay.public, first, *[chunk] * 3)
        assert (chunked.status, chunked.members["code"]) == (413, "body_too_large")


def bodies() -> Iterator[bytes]:
    """Bodies of CreateMailbox that no program writes. Each is wrong by what it is about."""
    good: dict[str, Any] = {
        "payload": message(),
        "displayInformation": {"title": "a", "description": "b", "imageURL": ""},
        "mailboxConfiguration": {"accessRights": "RWD", "expiration": in_an_hour()},
    }
    text = json.dumps(good)
    yield b""
    yield b"null"
    yield b"[]"
    yield b"\xef\xbb\xbf" + text.encode()
    yield text.encode("utf-16")
    yield text[:-1].encode()
    yield (text + "x").encode()
    for opener in ("[", '{"a":'):
        yield (opener * 5000).encode()
        yield f'{text[:-1]}, "more": {opener * 5000}'.encode()
        yield f'{text[:-1]}, "more": {opener * 60}1{("]" if opener == "[" else "}") * 60}}}'.encode()
    for name in ("payload", "displayInformation", "mailboxConfiguration"):
        yield f'{text[:-1]}, "{name}": {json.dumps(good[name])}}}'.encode()
        yield text.replace(f'"{name}": {{', f'"{name}": {{"x": 1, "x": 2, ', 1).encode()
        for value in ("null", "1", "[]", '"x"', "true", "{}"):
            if (name, value) != ("mailboxConfiguration", "null"):
                yield json.dumps({**good, name: 0}).replace(f'"{name}": 0', f'"{name}": {value}').encode()
    for number in NUMBERS:
        if number not in ("-1", "1.5", "1e3", "18446744073709551616"):
            yield f'{text[:-1]}, "more": {number}}}'.encode()
    for member in ("type", "data"):
        for value in ('""', "1", "null", '"\\u0000"', '"\\ud800"', f'"{"x" * 40_000}"'):
            payload = json.dumps({**good["payload"], member: 0}).replace(
                f'"{member}": 0', f'"{member}": {value}'
            )
            if (member, value) != ("type", '"\\u0000"'):
                yield text.replace(json.dumps(good["payload"]), payload).encode()
    for value in ("", "R" * 1000, "X", "rwd", "RR", "R\u0000"):
        yield json.dumps(
            {**good, "mailboxConfiguration": {**good["mailboxConfiguration"], "accessRights": value}}
        ).encode()
    for value in (
        "",
        "never",
        "1",
        "2026-13-01T00:00:00Z",
        "\u0662\u0660\u0662\u0666-01-01T00:00:00Z",
        "9" * 400,
    ):
        yield json.dumps({**good, "mailboxConfiguration": {"expiration": value}}).encode()
    for value in ("", "A", "=" * 44, "A" * 43, "\u0000", "x" * 5000):
        configuration = {**good["mailboxConfiguration"], "claimKey": value}
        yield json.dumps({**good, "mailboxConfiguration": configuration}).encode()


def test_A23_a_body_that_no_program_writes_is_refused(relay: Live) -> None:
    for body in bodies():
        answer = asked(relay.public, "POST", "/v1/m", body=body, headers=fields())
        assert is_refusal(answer), body[:200]
        assert answer.status in (400, 413), (answer, body[:200])


def test_A23_text_of_any_kind_is_kept_on_any_database(each_relay: Live) -> None:
    """NUL, halves of pairs and what no database takes as text are cleaned away or kept as bytes."""
    for text in (*TEXTS, "\\u0000", "\\uffff", "\\udbff\\udfff"):
        value = json.loads(f'"{text[:100]}"')
        sender = Party(each_relay.public)
        answer = sender.create(display={"title": value, "description": value, "imageURL": value})
        assert answer.status in (200, 400), text
        if answer.status == 200:
            assert sender.preview().status == 200
            assert sender.read().status == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_A21_a_form_of_a_web_page_makes_nothing(relay: Live, kind: str) -> None:
    """What browsers let pages of other origins send without asking."""
    for method, target in posts(relay):
        named = {**fields(), "Content-Type": kind} if kind else {**fields()}
        if not kind:
            del named["Content-Type"]
        answer = asked(relay.public, method, target, body=b"{}", headers=named)
        assert (answer.status, answer.members["code"]) == (415, "content_type_unsupported")


@pytest.mark.parametrize("name", ODD_HEADS)
def test_A23_a_head_that_no_library_sends(relay: Live, name: str) -> None:
    odd = ODD_HEADS[name].replace(b"/nonce", b"/v1/m").replace(b"/offers/", b"/v1/m/")
    answer = sent(relay.public, odd, timeout=10)
    assert answer.status == 0 or 400 <= answer.status < 500, answer
    assert b"Traceback" not in answer.body


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "MKCOL", "get"])
def test_a_method_that_nobody_takes(relay: Live, method: str) -> None:
    sender = made(relay)
    answer = asked(relay.public, method, f"/v1/m/{sender.mailbox}", headers={"X-Secret": "marker"})
    assert 400 <= answer.status < 500
    assert b"marker" not in answer.body
    assert sender.read().members["state"] == "unclaimed"


def test_A23_those_who_send_slowly_keep_nobody_waiting(relay: Live) -> None:
    """A hundred begin a head or a body and stop; others are answered meanwhile, and those are let go."""
    beginnings = (
        b"POST /v1/m HTTP/1.1\r\nHo",
        head("POST", "/v1/m", {**fields(), "Content-Length": "100"}) + b"{",
    )
    host, port = relay.public.removeprefix("http://").split(":")
    held = [socket.create_connection((host, int(port)), timeout=20) for _ in range(100)]
    try:
        for number, connection in enumerate(held):
            connection.sendall(beginnings[number % 2])
        sender = made(relay)
        assert sender.of(sender).read().status == 200
        assert held[0].recv(1000)[:12] in (b"", b"HTTP/1.1 408")
    finally:
        for connection in held:
            connection.close()


def test_A23_those_who_wait_keep_nobody_waiting(tmp_path: Path) -> None:
    """More readers wait than may; those beyond are answered as things stand."""
    with live_relay(tmp_path) as live, pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "LONG_POLLS", 3)
        sender = made(live)
        wait = {"Mailbox_Wait": "30", "Mailbox_Known_Sequence": "1"}
        waiting = [threading.Thread(target=lambda: sender.read(**wait)) for _ in range(3)]
        for thread in waiting:
            thread.start()
        statuses = set()
        deadline = time.monotonic() + 20
        while 204 not in statuses and time.monotonic() < deadline:
            statuses.add(sender.read(**{**wait, "Mailbox_Wait": "1"}).status)
        assert statuses == {204}
        assert sender.of(sender).read().status == 200  # wakes them all
        for thread in waiting:
            thread.join(20)
        assert not any(thread.is_alive() for thread in waiting)
