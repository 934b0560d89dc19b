"""The line to a relay: what is sent, what is sent again, and what is believed of the answers (A13, A37)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import Response, Unreachable
from safeconduct.protocols.transfer.claims import verify_proof
from safeconduct.protocols.transfer.payload import Payload
from safeconduct.protocols.transfer.uuids import parse_uuid
from safeconduct.settings import Secret
from safeconduct.wallet.context import Context
from safeconduct.wallet.sharing.records import Box
from safeconduct.wallet.sharing.relay_line import TAKEN, TRIES, RelayLine

RELAY = "https://relay.example"
MAILBOX = "0a1b2c3d-0000-4000-8000-00000000000a"
CLAIM = "11111111-1111-4111-8111-111111111111"
REQUEST = "22222222-2222-4222-8222-222222222222"
BOX = Box(relay=RELAY, claim=CLAIM, created=REQUEST, id=MAILBOX)
PAYLOAD = {"type": "SCT2_AES_256_GCM", "data": "AAAA"}

Answer = Response | Exception


def answer(status: int, body: Any = None, *, type_: str = "application/json", **headers: str) -> Response:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"content-type": type_, **named}, content)


class Relay:
    """Gives its answers in turn, the last one for ever, and notes what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str], bytes, int]] = []
        self.slept: list[float] = []
        self.members: dict[str, Any] = {}

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None, max_bytes: int
    ) -> Response:
        self.asked.append((method, url, dict(headers), content or b"", max_bytes))
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        return given

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def do(self, work: Callable[[RelayLine], Awaitable[Any]], *, patience: float = 10) -> Any:
        nothing: Any = None
        context = Context(
            safe=nothing,
            fetcher=self,  # type: ignore[arg-type]
            clock=lambda: 0,
            random=nothing,
            new_key=nothing,
            report=nothing,
            sleep=self.sleep,
            browse=nothing,
            client_id="",
            allow_http_loopback=False,
            patience=patience,
            **self.members,
        )
        line = RelayLine(context, BOX)

        async def main() -> Any:
            return await work(line)

        return asyncio.run(main())

    def refuses(self, work: Callable[[RelayLine], Awaitable[Any]]) -> str:
        with pytest.raises(SafeconductError) as error:
            self.do(work)
        return error.value.code


DOWN = Unreachable("fetch_failed", "Nobody listens.")
READ = answer(200, {"payload": PAYLOAD, "displayInformation": {}, "expiration": "x", "sequence": 4})
OPERATIONS: dict[str, Callable[[RelayLine], Awaitable[Any]]] = {
    "create": lambda line: line.create(b"{}"),
    "read": lambda line: line.read(),
    "update": lambda line: line.update(Payload("t", "AAAA"), request_id=REQUEST),
    "relinquish": lambda line: line.relinquish(request_id=REQUEST),
    "delete": lambda line: line.delete(),
    "preview": lambda line: line.preview(),
}
GOOD = {
    "create": answer(201, {"urlLink": f"{RELAY}/v1/m/{MAILBOX}"}),
    "read": READ,
    "update": answer(200, {"sequence": 3}),
    "relinquish": answer(200, {}),
    "delete": answer(200, {}),
    "preview": answer(200, b"<!doctype html>", type_="text/html"),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("fault", [DOWN, answer(503), answer(500), answer(429)])
def test_what_got_no_answer_is_sent_again_as_it_was(name: str, fault: Answer) -> None:
    relay = Relay(fault, fault, GOOD[name])
    relay.do(OPERATIONS[name])
    assert len(relay.asked) == TRIES
    assert relay.asked[0] == relay.asked[1] == relay.asked[2]
    assert relay.slept == [1, 2]


@pytest.mark.parametrize("name", OPERATIONS)
def test_a13_a_relay_that_is_down_is_given_up(name: str) -> None:
    relay = Relay(DOWN)
    assert relay.refuses(OPERATIONS[name]) == "relay_unavailable"
    assert len(relay.asked) == TRIES
    assert Relay(answer(503)).refuses(OPERATIONS[name]) == "relay_unavailable"


def test_a_busy_relay_is_not_waited_for_without_end() -> None:
    relay = Relay(answer(429, retry_after="999999999"))
    assert relay.refuses(OPERATIONS["read"]) == "relay_busy"
    assert relay.slept == [limits.RETRY_SECONDS] * (TRIES - 1)
    for nonsense in ("-1", "soon", "1e9", "9" * 20, ""):
        relay = Relay(answer(429, retry_after=nonsense), READ)
        relay.do(OPERATIONS["read"])
        assert relay.slept == [1]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "relay_refused"),
        (401, "claim_refused"),
        (403, "right_missing"),
        (404, "mailbox_gone"),
        (409, "sequence_conflict"),
        (413, "relay_refused"),
        (415, "relay_refused"),
        (418, "relay_refused"),
    ],
)
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_refusal_has_its_code(name: str, status: int, code: str) -> None:
    if (name, status) == ("delete", 404):
        assert Relay(answer(404)).do(OPERATIONS[name]) == "gone"
        return
    for body in (None, b"rubbish", b"\xff", b"[]", {"type": 1, "code": {}}, {"code": "X\n" * 99}):
        expected = "relay_token_needed" if (name, code) == ("create", "claim_refused") else code
        assert Relay(answer(status, body)).refuses(OPERATIONS[name]) == expected


def test_a5_who_is_second_learns_that_another_was_first() -> None:
    assert Relay(answer(401, {"type": TAKEN})).refuses(OPERATIONS["read"]) == "share_taken"
    assert Relay(answer(403, {"type": TAKEN})).refuses(OPERATIONS["read"]) == "right_missing"


@pytest.mark.parametrize(
    "url",
    [
        f"https://other.example/v1/m/{MAILBOX}",
        f"http://relay.example/v1/m/{MAILBOX}",
        f"{RELAY}.evil.example/v1/m/{MAILBOX}",
        f"{RELAY}/v2/m/{MAILBOX}",
        f"{RELAY}/m/{MAILBOX}",
        f"{RELAY}/v1/m/{MAILBOX}/",
        f"{RELAY}/v1/m/{MAILBOX}#secret",
        f"{RELAY}/v1/m/{MAILBOX}?v=a",
        f"{RELAY}/v1/m/not-a-uuid",
        "",
    ],
)
def test_a37_a_link_to_elsewhere_is_not_given_to_anybody(url: str) -> None:
    assert Relay(answer(200, {"urlLink": url})).refuses(OPERATIONS["create"]) == "relay_answer_foreign"


@pytest.mark.parametrize("name", ["create", "read", "update"])
@pytest.mark.parametrize(
    "hostile",
    [
        answer(200, b""),
        answer(200, b"rubbish"),
        answer(200, b"[" * 5000),
        answer(200, []),
        answer(200, {"payload": "x", "urlLink": 1, "sequence": "1"}),
        answer(200, {"payload": {"type": "x"}, "sequence": -1}),
        answer(200, {"payload": PAYLOAD, "urlLink": "x" * 5000, "sequence": 1 << 60}),
        answer(200, b'{"payload":{},"payload":{},"sequence":1,"sequence":2}'),
        answer(200, {"payload": PAYLOAD, "sequence": 1}, type_="text/html"),
    ],
)
def test_a37_what_is_no_answer_is_malformed_and_nothing_else(name: str, hostile: Response) -> None:
    code = Relay(hostile).refuses(OPERATIONS[name])
    assert code in {
        "message_malformed",
        "json_malformed",
        "json_not_object",
        "json_too_deep",
        "json_duplicate_member",
        "relay_answer_malformed",
    }


def test_a37_no_more_is_read_than_a_mailbox_can_hold() -> None:
    for name, operation in OPERATIONS.items():
        relay = Relay(GOOD[name])
        relay.do(operation)
        most = limits.PREVIEW_BYTES if name == "preview" else limits.MAILBOX_ANSWER_BYTES
        assert [asked[4] for asked in relay.asked] == [most]


def test_the_proof_is_for_this_mailbox_and_this_claim() -> None:
    key, relay = Key.generate("Ed25519"), Relay(READ)
    relay.do(lambda line: line.read(proof_key=key))
    headers = relay.asked[0][2]
    assert headers["Mailbox-Device-Claim"] == CLAIM
    mailbox, claim = parse_uuid(MAILBOX), parse_uuid(CLAIM)
    assert mailbox is not None
    assert claim is not None
    proof = b64.decode(headers["Mailbox-Claim-Proof"])
    verify_proof(key.public.to_raw(), proof, mailbox=mailbox, claim=claim)
    with pytest.raises(SafeconductError, match="claim_proof_wrong"):
        verify_proof(key.public.to_raw(), proof, mailbox=claim, claim=mailbox)


def test_a_long_poll_ends_before_the_wallets_patience() -> None:
    relay = Relay(answer(204, type_=""))
    assert relay.do(lambda line: line.read(wait=600, known=7)) is None
    assert (relay.asked[0][2]["Mailbox-Wait"], relay.asked[0][2]["Mailbox-Known-Sequence"]) == ("8", "7")
    relay.do(lambda line: line.read(wait=600, known=7), patience=600)
    assert relay.asked[1][2]["Mailbox-Wait"] == str(limits.WAIT_SECONDS)
    relay.do(lambda line: line.read(wait=5, known=7), patience=0.5)
    assert relay.asked[2][2]["Mailbox-Wait"] == "0"


def test_a_relay_of_the_drafts_need_not_count_nor_tell_a_state() -> None:
    mail = Relay(answer(200, {"payload": PAYLOAD, "displayInformation": {"title": 1}})).do(OPERATIONS["read"])
    assert (mail.sequence, mail.state) == (0, None)
    assert Relay(answer(201, {"isPushNotificationSupported": True})).do(OPERATIONS["update"]) == 0
    assert Relay(answer(200, b"", type_="")).do(OPERATIONS["delete"]) == "deleted"


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ('<meta property="og:title" content="A &lt;b&gt; &amp; C">', "A <b> & C"),
        ('<meta property="og:title" content="a&#8238;b&#0;c&#x1b;[2Jd">', "ab\ufffdc[2Jd"),
        ('<meta property="og:title" content="' + "x" * 4000 + '">', "x" * limits.DISPLAY_TITLE_CHARS),
        ('<meta property="og:title" content="' + "x" * 90_000, ""),
        ("<![unknown[ <!-- <meta", ""),
        ("<meta " * 9000, ""),
        ("\x00\xff", ""),
        ("", ""),
    ],
)
def test_a18_a_preview_is_text_however_it_is_written(page: str, title: str) -> None:
    relay = Relay(answer(200, page.encode("latin-1", "replace"), type_="text/html"))
    shown = relay.do(OPERATIONS["preview"])
    assert (shown.title, shown.description) == (title, "")
    assert relay.asked[0][0] == "GET"
    assert not {"mailbox-device-claim", "mailbox-claim-proof"} & {name.lower() for name in relay.asked[0][2]}


TOKEN = "token-of-the-operator"


@pytest.mark.parametrize(
    ("relay", "sent"),
    [
        (RELAY, TOKEN),
        ("https://RELAY.example:443/", TOKEN),
        ("https://other.example", None),
        ("https://relay.example/below", None),
        ("", None),
    ],
)
def test_a21_a_creation_token_goes_to_the_relay_of_the_settings_alone(relay: str, sent: str | None) -> None:
    there = Relay(answer(201, {"urlLink": f"{RELAY}/v1/m/{MAILBOX}"}))
    there.members = {"relay": relay, "relay_token": Secret(TOKEN)}
    there.do(lambda line: line.create(b"{}"))
    assert there.asked[0][2].get("Mailbox-Device-Attestation") == sent


@pytest.mark.parametrize("name", ["read", "update", "relinquish", "delete"])
def test_a21_a_creation_token_goes_with_nothing_else(name: str) -> None:
    there = Relay(GOOD[name])
    there.members = {"relay": RELAY, "relay_token": Secret(TOKEN)}
    there.do(OPERATIONS[name])
    assert TOKEN not in str(there.asked)


@pytest.mark.parametrize("token", ["", "in two\nlines", "\u00fcber", "x" * 1025])
def test_a_creation_token_that_is_no_header_value_is_never_sent(token: str) -> None:
    there = Relay(answer(201, {"urlLink": f"{RELAY}/v1/m/{MAILBOX}"}))
    there.members = {"relay": RELAY, "relay_token": Secret(token)}
    assert there.refuses(lambda line: line.create(b"{}")) == "relay_token_malformed"
    assert there.asked == []


def test_a_relay_that_makes_no_mailbox_without_a_token_says_what_to_do() -> None:
    assert Relay(answer(401, {})).refuses(lambda line: line.create(b"{}")) == "relay_token_needed"
