"""Messages after the first: kept before they are sent, the same when sent again, and read once (A12, A13)."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.wallet.sharing.test_relay_line import BOX, answer

from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import Response, Unreachable
from safeconduct.protocols.transfer.content import Content
from safeconduct.protocols.transfer.payload import Payload
from safeconduct.settings import WalletSettings
from safeconduct.wallet.context import Context
from safeconduct.wallet.safe import open_safe
from safeconduct.wallet.sharing import channels, exchanging, register
from safeconduct.wallet.sharing.records import Given, Taken

SECRET = bytes(range(32))
FIRST = Content("sct.approve/1", {"step": 1})
SECOND = Content("sct.approve/1", {"step": 2})
GIVEN = Given(
    id="0000aaaa",
    stage="left",
    since=0,
    level="approve",
    mode="share",
    credential="cccc0000",
    instance="cccc0000-0000",
    issuer="https://issuer.example",
    configuration="car",
    vct="car",
    disclose=(),
    request_id="r" * 16,
    share_id="s",
    secret=SECRET,
    box=BOX,
)
TAKEN = Taken(id="0000bbbb", stage="claimed", since=0, level="approve", secret=SECRET, box=BOX)


class Mailbox:
    """A relay with one mailbox, which a test can bend: `fault` is raised once the request has arrived."""

    def __init__(self) -> None:
        self.payload: dict[str, str] = {}
        self.sequence = 1
        self.puts: list[tuple[str, bytes]] = []
        self.reads = 0
        self.fault: BaseException | None = None
        self.counts = True
        self.holds = True
        self.now = 1000

    async def request(self, method: str, _url: str, *, headers: Any, content: bytes, **_: Any) -> Response:
        if method == "PUT":
            self.puts.append((headers["Mailbox-Request-ID"], content))
            self.payload = json.loads_object(content)["payload"]
            self.sequence += 1
            if self.fault is not None:
                raise self.fault
            return answer(200, {"sequence": self.sequence} if self.counts else {})
        self.reads += 1
        if self.counts and headers.get("Mailbox-Known-Sequence") == str(self.sequence):
            self.now += int(headers["Mailbox-Wait"]) if self.holds else 0
            return Response(204, {}, b"")
        return answer(200, {"payload": self.payload, **({"sequence": self.sequence} if self.counts else {})})

    def put(self, payload: Payload) -> None:
        self.payload = {"type": payload.type, "data": payload.data}
        self.sequence += 1

    async def sleep(self, seconds: float) -> None:
        self.now += max(1, int(seconds))


@pytest.fixture
def mailbox() -> Mailbox:
    """A mailbox without a message."""
    return Mailbox()


Steps = Callable[[Context], Awaitable[Any]]


@pytest.fixture
def run(mailbox: Mailbox, tmp_path: Path) -> Callable[[Steps], Any]:
    """Takes steps in a wallet with records of both sides."""

    async def main(steps: Steps) -> Any:
        async with open_safe(WalletSettings(store=tmp_path / "wallet")) as safe:
            for record in (GIVEN, TAKEN):
                if await safe.run(register.get, record.id) is None:
                    await safe.run(register.put, record)
            nothing: Any = None
            context = Context(
                safe=safe,
                fetcher=mailbox,  # type: ignore[arg-type]
                clock=lambda: mailbox.now,
                random=lambda count: bytes(count),
                new_key=nothing,
                report=nothing,
                sleep=mailbox.sleep,
                browse=nothing,
                client_id="",
                allow_http_loopback=False,
            )
            return await steps(context)

    return lambda steps: asyncio.run(main(steps))


def test_a_message_is_kept_before_it_is_sent_and_sent_again_as_it_was(run: Any, mailbox: Mailbox) -> None:
    class Died(BaseException):
        pass

    async def dies(context: Context) -> None:
        mailbox.fault = Died()
        with pytest.raises(Died):
            await exchanging.send(context, GIVEN, FIRST)

    run(dies)
    mailbox.fault = None

    async def comes_back(context: Context) -> None:
        record = await context.safe.run(register.get, GIVEN.id)
        assert isinstance(record, Given)
        assert (record.sent, record.letter is not None) == (1, True)
        record = await exchanging.flush(context, record)
        assert (record.letter, record.box is not None and record.box.sequence) == (None, 3)
        assert await exchanging.flush(context, record) is record

    run(comes_back)
    assert len(mailbox.puts) == 2
    assert mailbox.puts[0] == mailbox.puts[1]


def test_no_two_messages_have_the_same_id_or_number(run: Any, mailbox: Mailbox) -> None:
    ids = iter(range(1, 1000))

    async def steps(context: Context) -> Given:
        context = msgspec.structs.replace(context, random=lambda count: next(ids).to_bytes(count, "big"))
        record = await exchanging.send(context, GIVEN, FIRST)
        return await exchanging.send(context, record, SECOND)

    assert run(steps).sent == 2
    assert len({request for request, _ in mailbox.puts}) == len({body for _, body in mailbox.puts}) == 2


def test_a_message_is_read_once_and_again_if_what_it_said_was_not_kept(run: Any, mailbox: Mailbox) -> None:
    async def steps(context: Context) -> None:
        _, payload = channels.seal_next(context, GIVEN, FIRST)
        mailbox.put(payload)
        once, said = await exchanging.receive(context, TAKEN, seconds=0)
        assert (said, once.received) == (FIRST, 1)
        again, said = await exchanging.receive(context, TAKEN, seconds=0)  # it was not kept
        assert (said, again.received) == (FIRST, 1)
        kept = await exchanging.keep(context, once)
        _, said = await exchanging.receive(context, kept, seconds=3)
        assert said is None

    run(steps)


def test_a12_ones_own_and_old_messages_are_nothing_new(run: Any, mailbox: Mailbox) -> None:
    async def steps(context: Context) -> None:
        own, payload = channels.seal_next(context, TAKEN, SECOND)
        mailbox.put(payload)
        record, said = await exchanging.receive(context, own, seconds=2)
        assert (said, record.received) == (None, 0)
        later, first = channels.seal_next(context, GIVEN, FIRST)
        _, second = channels.seal_next(context, later, SECOND)
        mailbox.put(second)
        record, said = await exchanging.receive(context, record, seconds=0)
        assert (said, record.received) == (SECOND, 2)
        mailbox.put(first)
        record, said = await exchanging.receive(context, record, seconds=2)
        assert (said, record.received) == (None, 2)

    run(steps)


def test_a12_a_forged_message_is_refused_and_not_waited_out(run: Any, mailbox: Mailbox) -> None:
    async def steps(context: Context) -> str:
        mailbox.put(Payload("SCT2_AES_256_GCM", "AgAAAAEI" + "A" * 80))
        with pytest.raises(SafeconductError) as error:
            await exchanging.receive(context, TAKEN, seconds=60)
        return error.value.code

    assert run(steps) == "payload_authentication_failed"
    assert mailbox.reads == 1


@pytest.mark.parametrize("counts", [True, False])
def test_a13_a_relay_cannot_keep_a_wallet_busy(run: Any, mailbox: Mailbox, counts: bool) -> None:
    mailbox.counts = counts

    async def steps(context: Context) -> Any:
        _, payload = channels.seal_next(context, TAKEN, FIRST)
        mailbox.put(payload)  # the receiver's own, for ever
        frozen = msgspec.structs.replace(context, clock=lambda: 1000)
        return (await exchanging.receive(frozen, TAKEN, seconds=20))[1]

    assert run(steps) is None
    assert mailbox.reads <= 21


def test_a13_a_relay_that_lets_nobody_wait_is_asked_once_a_second_and_to_the_end(
    run: Any, mailbox: Mailbox
) -> None:
    """A relay with too many that wait answers at once; then the wallet waits by itself."""
    mailbox.holds = False

    async def steps(context: Context) -> Any:
        mailbox.put(channels.seal_next(context, TAKEN, FIRST)[1])
        record, _ = await exchanging.look(context, TAKEN)
        return (await exchanging.receive(context, record, seconds=20))[1]

    assert run(steps) is None
    assert mailbox.now == 1020
    assert mailbox.reads <= 22


def test_waiting_ends_with_the_first_message(run: Any, mailbox: Mailbox) -> None:
    async def steps(context: Context) -> None:
        async def sleep(_seconds: float) -> None:
            mailbox.now += 1
            if mailbox.now == 1004:
                mailbox.put(channels.seal_next(context, GIVEN, FIRST)[1])

        mailbox.counts = False
        mailbox.put(channels.seal_next(context, TAKEN, FIRST)[1])
        waiting = msgspec.structs.replace(context, sleep=sleep)
        _, said = await exchanging.receive(waiting, TAKEN, seconds=60)
        assert said == FIRST
        assert mailbox.now == 1004

    run(steps)


def test_what_was_ended_elsewhere_is_not_gone_on_with(run: Any, mailbox: Mailbox) -> None:
    async def steps(context: Context) -> str:
        await context.safe.run(register.drop, GIVEN.id)
        with pytest.raises(SafeconductError) as error:
            await exchanging.send(context, GIVEN, FIRST)
        return error.value.code

    assert run(steps) == "transfer_over"
    assert mailbox.puts == []


def test_a_transfer_without_a_relay_has_no_mailbox() -> None:
    for box in (None, msgspec.structs.replace(BOX, id="")):
        with pytest.raises(SafeconductError) as error:
            exchanging.box_of(msgspec.structs.replace(TAKEN, box=box))
        assert error.value.code == "relay_missing"


def test_an_answer_that_is_lost_is_asked_for_again(run: Any, mailbox: Mailbox) -> None:
    async def steps(context: Context) -> str:
        mailbox.fault = Unreachable("fetch_failed", "lost")
        with pytest.raises(SafeconductError) as error:
            await exchanging.send(context, GIVEN, FIRST)
        return error.value.code

    assert run(steps) == "relay_unavailable"
    assert len(mailbox.puts) == 3
    assert len(set(mailbox.puts)) == 1


def test_no_record_shows_its_secrets() -> None:
    letter = msgspec.structs.replace(GIVEN, tx_code="123456", link="https://relay.example/#x")
    for shown in (letter, TAKEN, BOX):
        text = repr(shown) + str(shown)
        for secret in ("123456", "relay.example", str(SECRET), BOX.claim, BOX.id):
            assert secret not in text


def test_records_are_found_by_a_beginning_and_old_ones_forgotten(run: Any) -> None:
    async def steps(context: Context) -> None:
        safe = context.safe
        assert await safe.run(register.find, "0000a") == GIVEN
        for prefix, code in (
            ("0000", "transfer_ambiguous"),
            ("", "transfer_unknown"),
            ("f", "transfer_unknown"),
        ):
            with pytest.raises(SafeconductError) as error:
                await safe.run(register.find, prefix)
            assert error.value.code == code
        assert await safe.run(register.taken_by, BOX.url, SECRET) == TAKEN
        assert await safe.run(register.taken_by, BOX.url, bytes(32)) is None
        assert await safe.run(register.taken_by, BOX.url + "x", SECRET) is None
        over = msgspec.structs.replace(GIVEN.wiped(), stage="over", ended=100)
        assert over.secret == b""
        kept = await safe.run(register.change, over)
        assert kept == msgspec.structs.replace(over, revision=over.revision + 1)
        assert await safe.run(register.change, over) is None  # what was read before
        await safe.run(register.drop_old, now=100 + register.KEPT - 1)
        assert await safe.run(register.list_given) == (kept,)
        await safe.run(register.drop_old, now=100 + register.KEPT)
        assert await safe.run(register.list_given) == ()

    run(steps)
