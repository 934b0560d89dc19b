"""A relay learns nothing of what it carries, keeps nothing of who carries it, and forgets what has ended.

Two wallets move messages through mailboxes, with real encryption. Searched is all that the relay received and
answered, logged, counted, shows management, and every state that its database's files had (P1, P2, P4, P5;
A10, A15-A17). Each search is shown to find what it looks for on a set-up that leaks.
"""

import asyncio
import base64
import hashlib
import io
import re
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import create_engine, select
from tests.flows.transfer_stage import RELAY, Wish, open_stage
from tests.flows.wallet_server_stage import Clock, pages_of
from tests.relay_client import message, new_id

from safeconduct.demo.secrets_search import Needle, needle, search
from safeconduct.encoding import b64, json
from safeconduct.net.fetch import HttpFetcher, Response
from safeconduct.net.in_process import InProcess
from safeconduct.net.recording import Exchange
from safeconduct.protocols.transfer.channel import Channel
from safeconduct.protocols.transfer.claims import claim_message
from safeconduct.protocols.transfer.keys import claim_key_text, new_secret
from safeconduct.protocols.transfer.link import parse_link
from safeconduct.services.relay import open_relay, opening, service
from safeconduct.services.relay.tables import mailboxes
from safeconduct.settings import DatabaseUrl, RelaySettings, Secret
from safeconduct.storage import engine
from safeconduct.telemetry import Telemetry, fields
from safeconduct.web import middleware
from safeconduct.web.recording import record

ADMIN = "https://relay-admin.example"
ADMIN_TOKEN = "management-token-of-the-test"
SENDERS, RECEIVERS = "198.51.100.77", "2001:db8:1234:5678::9"
TEXTS = ("code-of-the-offer-000001", "Erika Mustermann's car", "transaction code 471108")
PUSH = "push-token-of-the-device-0001"
ATTESTATION = "attestation-of-the-maker-0001"
DAY = 86400


class Mailbox(msgspec.Struct):
    """What both wallets know of one transfer. Nothing of it is used in another."""

    secret: bytes
    claims: tuple[str, str]
    id: str = ""
    requests: list[str] = []

    @classmethod
    def new(cls) -> "Mailbox":
        return cls(new_secret(), (new_id(), new_id()))


class Play(msgspec.Struct):
    """A relay at work, two wallets, and all that the relay has had at some time.

    push: a token that wallets send along, None for none. attests: what the sender's maker says of it.
    """

    fetcher: HttpFetcher
    file: Path
    log: io.StringIO
    telemetry: Telemetry
    clock: Clock
    works: list[Callable[[], Awaitable[None]]]
    tape: list[Exchange]
    pages: list[bytes] = []
    plain: list[bytes] = []
    boxes: list[Mailbox] = []
    sealed: list[str] = []
    push: str | None = PUSH
    attests: str | None = ATTESTATION

    async def ask(self, method: str, box: Mailbox, *, as_: int, body: Any = None, **headers: str) -> Response:
        """Send one request as a wallet does. as_: 0 for the sender, 1 for the receiver."""
        box.requests.append(new_id())
        named = {
            "Mailbox-Device-Claim": box.claims[as_],
            "Mailbox-Request-ID": box.requests[-1],
            "X-Forwarded-For": (SENDERS, RECEIVERS)[as_],
            "Content-Type": "application/json",
            **headers,
        }
        path = f"/v1/m/{box.id}" if box.id else "/v1/m"
        content = None if body is None else json.dumps(body)
        return await self.fetcher.request(method, RELAY + path, headers=named, content=content)

    def seal(self, channel: Channel) -> dict[str, Any]:
        """A body with a sealed message, and the token for a push service."""
        plain = json.dumps({"format": "test", "content": list(TEXTS)})
        payload = channel.seal(plain)
        self.plain.append(plain)
        self.sealed.append(payload.data)
        body: dict[str, Any] = {"payload": {"type": payload.type, "data": payload.data}}
        if self.push is not None:
            body["notificationToken"] = {"type": "com.example.push", "tokenData": self.push}
        return body

    async def transfer(self, box: Mailbox, *, ends: bool = True) -> Mailbox:
        """Make a mailbox, preview it, claim it, exchange messages, step back, claim it again, delete it."""
        sender, receiver = Channel(box.secret, "sender"), Channel(box.secret, "receiver")
        body = self.seal(sender) | {
            "displayInformation": {"title": "A key", "description": "For you", "imageURL": ""},
            "mailboxConfiguration": {
                "accessRights": "RWD",
                "expiration": "2027-01-15T12:00:00Z",
                "claimKey": claim_key_text(sender.keys),
            },
        }
        attests = {} if self.attests is None else {"Mailbox-Device-Attestation": self.attests}
        created = await self.ask("POST", box, as_=0, body=body, **attests)
        assert created.status == 200, created.body
        box.id = created.json()["urlLink"].rpartition("/")[2]
        assert (await self.ask("GET", box, as_=1)).status == 200
        signed = sender.keys.claim.sign(claim_message(box.id, box.claims[1]))
        proof = {"Mailbox-Claim-Proof": b64.encode(signed)}
        assert (await self.ask("POST", box, as_=1)).status == 401
        for _ in range(2):
            assert (await self.ask("POST", box, as_=1, **proof)).status == 200
            assert (await self.ask("PUT", box, as_=1, body=self.seal(receiver))).status == 200
            assert (await self.ask("POST", box, as_=0)).status == 200
            assert (await self.ask("PUT", box, as_=0, body=self.seal(sender))).status == 200
            assert (await self.ask("PATCH", box, as_=1)).status == 200
        if ends:
            assert (await self.ask("DELETE", box, as_=0)).status == 200
        self.boxes.append(box)
        self.pages.append(pages_of(self.file))  # SQLite's log has every page that was ever written meanwhile
        return box

    async def sweep(self) -> None:
        """Have expired mailboxes deleted, as happens every minute."""
        await self.works[0]()

    async def shown(self) -> bytes:
        """What management is shown."""
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        answers = [
            (await self.fetcher.request("GET", ADMIN + path, headers=headers)).body
            for path in ("/mailboxes", "/healthz", "/metrics")
        ]
        return b"\n".join(answers)

    def rows(self) -> dict[bytes, dict[str, Any]]:
        """The rows of the database, by id."""
        return rows_of(self.file)


def rows_of(file: Path) -> dict[bytes, dict[str, Any]]:
    reader = create_engine(f"sqlite:///{file}")
    try:
        with reader.connect() as connection:
            found = [dict(row._mapping) for row in connection.execute(select(mailboxes))]
    finally:
        reader.dispose()
    return {bytes(row["id"]): row for row in found}


Scene = Callable[[Play], Awaitable[Any]]


def played(folder: Path, scene: Scene) -> tuple[Play, dict[str, bytes], Any]:
    """Play a scene; returns it, all places that the relay has, and what the scene returned."""
    file, tape, log, works = folder / "relay.db", list[Exchange](), io.StringIO(), list[Any]()
    repeatedly = opening.repeatedly

    def noting(work: Any, **options: Any) -> Any:
        works.append(work)
        return repeatedly(work, **options)

    async def main() -> tuple[Play, dict[str, bytes], Any]:
        telemetry = Telemetry.open("relay", level="debug", stream=log)
        clock = Clock()
        settings = RelaySettings(
            identifier=RELAY,
            database=DatabaseUrl(f"sqlite:///{file}"),
            admin_token=Secret(ADMIN_TOKEN),
            trust_forwarded=True,
            create_rate=1000,
            failure_rate=1000,
        )
        opened = open_relay(settings, telemetry=telemetry, clock=clock)
        async with opened as [public, admin]:
            transport = InProcess({RELAY: record(public.app, party="relay", tape=tape), ADMIN: admin.app})
            async with HttpFetcher(allow_loopback=False, transport=transport, timeout=60) as fetcher:
                play = Play(fetcher, file, log, telemetry, clock, works, tape)
                returned = await scene(play)
                shown = await play.shown()
        play.pages.append(pages_of(file))
        return (
            play,
            {
                "traffic": b"\n".join(exchange.everything() for exchange in tape),
                "log": log.getvalue().encode(),
                "metrics": telemetry.metrics.render(),
                "management": shown,
                "database": b"\n".join(play.pages),
            },
            returned,
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "repeatedly", noting)
        return asyncio.run(main())


async def several(play: Play) -> None:
    """Three transfers between the same wallets; one mailbox is left to expire."""
    for ends in (True, True, False):
        await play.transfer(Mailbox.new(), ends=ends)


def inside(play: Play) -> list[Needle]:
    """What is for the two wallets alone."""
    wanted: dict[str, bytes | str] = {f"text {n}": text for n, text in enumerate(TEXTS)}
    for n, box in enumerate(play.boxes):
        keys = Channel(box.secret, "sender").keys
        wanted |= {
            f"secret {n}": box.secret,
            f"claim key, private {n}": keys.claim.to_raw(private=True),
            f"context {n}": keys.context,
            f"key to receiver {n}": keys.sender_to_receiver,
            f"key to sender {n}": keys.receiver_to_sender,
        }
    return [needle(name, value) for name, value in wanted.items()]


def passing(play: Play) -> list[Needle]:
    """What the relay sees and must not keep."""
    wanted: dict[str, bytes | str] = {
        "push token": PUSH,
        "attestation": ATTESTATION,
        "sender's address": SENDERS,
        "receiver's address": RECEIVERS,
    }
    for n, box in enumerate(play.boxes):
        for who, claim in zip(("sender", "receiver"), box.claims, strict=True):
            wanted[f"claim of the {who} {n}"] = claim
            wanted[f"claim of the {who} {n}, bytes"] = bytes.fromhex(claim.replace("-", ""))
        for m, request in enumerate(box.requests):
            wanted[f"request {n}.{m}"] = request
            wanted[f"request {n}.{m}, bytes"] = bytes.fromhex(request.replace("-", ""))
    proofs = {
        value
        for exchange in play.tape
        for name, value in exchange.request_headers
        if name == "mailbox-claim-proof"
    }
    wanted |= {f"proof {n}": value for n, value in enumerate(sorted(proofs))}
    return [needle(name, value) for name, value in wanted.items()]


def names(play: Play) -> list[Needle]:
    """What would say in a log which mailbox it was."""
    ids = [box.id for box in play.boxes]
    wanted = {f"id {n}": id_ for n, id_ in enumerate(ids)}
    raw = {f"id {n}, bytes": bytes.fromhex(id_.replace("-", "")) for n, id_ in enumerate(ids)}
    return [needle(name, value) for name, value in {**wanted, **raw}.items()]


def without(places: Mapping[str, bytes], *left_out: str) -> dict[str, bytes]:
    return {name: content for name, content in places.items() if name not in left_out}


def test_P1_P2_nothing_from_inside_reaches_the_relay_and_nothing_that_passes_stays(tmp_path: Path) -> None:
    play, places, _ = played(tmp_path, several)
    assert all(places.values())
    assert search(places, inside(play)) == ()
    assert search(without(places, "traffic"), passing(play)) == ()
    assert search(without(places, "traffic", "database"), names(play)) == ()
    # The search is not blind: it finds what is inside in the plain texts, and all that passes in the traffic.
    found = {finding.needle for finding in search({"plain": b"\n".join(play.plain)}, inside(play))}
    assert found == {f"text {n}" for n in range(len(TEXTS))}
    seen = {finding.needle for finding in search(places, passing(play))}
    assert seen == {n.name for n in passing(play) if not n.name.endswith("bytes")}
    assert search({"traffic": places["traffic"]}, names(play)) != ()


def test_if_claims_were_kept_as_they_are_the_search_would_find_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "claim_digest", lambda _mailbox, claim: claim.ljust(32, b"\0"))
    play, places, _ = played(tmp_path, several)
    found = {finding.needle for finding in search(without(places, "traffic"), passing(play))}
    assert "claim of the sender 0, bytes" in found
    assert "claim of the receiver 2, bytes" in found


def test_if_paths_were_logged_the_search_would_find_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "route", lambda scope: scope["path"])
    monkeypatch.setattr(fields, "FIELDS", {**fields.FIELDS, "route": lambda _value: True})
    play, places, _ = played(tmp_path, several)
    found = {(finding.needle, finding.place) for finding in search(places, names(play))}
    assert ("id 0", "metrics") in found or ("id 0", "log") in found


def test_if_messages_were_not_sealed_the_search_would_find_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plain(Channel):
        def seal(self, content: bytes, **_options: Any) -> Any:
            payload = super().seal(content)
            return msgspec.structs.replace(payload, data=b64.encode(content))

    monkeypatch.setattr(f"{__name__}.Channel", Plain)
    play, places, _ = played(tmp_path, several)
    found = {(finding.needle, finding.place) for finding in search(places, inside(play))}
    assert {("text 0", "traffic"), ("text 0", "database")} <= found


# What is after the end.


def pieces(rows: Mapping[bytes, Mapping[str, Any]]) -> Iterator[bytes]:
    """All that rows hold, in pieces so short that each lies on one page."""
    for row in rows.values():
        for value in row.values():
            content = value.encode() if isinstance(value, str) else value
            if isinstance(content, bytes) and len(content) >= 16:
                yield from (content[place : place + 16] for place in range(0, len(content) - 15, 16))


def left(content: bytes, wanted: Collection[bytes]) -> set[bytes]:
    return {piece for piece in wanted if piece in content}


async def expiring(play: Play) -> tuple[set[bytes], bytes, bytes]:
    """All that was ever in the rows, the files before the end, and after it."""
    ever: set[bytes] = set()
    for number in range(6):
        box = await play.transfer(Mailbox.new(), ends=number % 3 == 0)
        if number % 3:
            long = {"payload": message(secrets.token_hex(6000))}
            assert (await play.ask("PUT", box, as_=0, body=long)).status == 200
        ever |= set(pieces(play.rows()))
    ever |= {data.encode()[place : place + 16] for data in play.sealed for place in (100, 200, 300)}
    before = pages_of(play.file)
    play.clock.now += 2 * DAY
    await play.sweep()
    assert play.rows() == {}
    return ever, before, pages_of(play.file)


def test_P10_after_expiry_no_byte_of_a_mailbox_is_left_in_any_file(tmp_path: Path) -> None:
    """In the database, its log and its index of the log, while the relay runs on; and after it has ended."""
    _, _, (ever, before, after) = played(tmp_path, expiring)
    assert len(ever) > 1000
    assert len(left(before, sorted(ever)[::20])) > 50
    assert left(after, ever) == set()
    assert left(pages_of(tmp_path / "relay.db"), ever) == set()


@pytest.mark.parametrize("protection", ["secure_delete", "erase_traces"])
def test_without_its_protections_it_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protection: str
) -> None:
    if protection == "erase_traces":

        async def nothing(_database: Any) -> None:
            return None

        monkeypatch.setattr(service, "erase_traces", nothing)
    else:
        prepared = engine._prepare_sqlite

        def careless(connection: Any, record: object) -> None:
            prepared(connection, record)
            connection.execute("PRAGMA secure_delete = OFF")

        monkeypatch.setattr(engine, "_prepare_sqlite", careless)
    _, _, (ever, _, after) = played(tmp_path, expiring)
    assert left(after, ever) != set()


# What two mailboxes of one wallet have in common.


def words(exchanges: Collection[Exchange]) -> set[bytes]:
    """The words of requests, wherever they stand, addresses apart: those are for proxies to hide (A17)."""
    seen = b"\n".join(
        msgspec.structs.replace(
            exchange,
            request_headers=tuple(h for h in exchange.request_headers if h[0] != "x-forwarded-for"),
        ).everything()
        for exchange in exchanges
    )
    return said(seen)


def said(seen: bytes) -> set[bytes]:
    return set(re.findall(rb"[A-Za-z0-9_+/-]{6,}", seen))


def of_mailbox(play: Play, box: Mailbox) -> list[Exchange]:
    """The exchanges that the relay knows to be about one mailbox."""
    return [e for e in play.tape if box.id in e.url or box.id.encode() in e.response_body]


def runs(row: Mapping[str, Any]) -> set[bytes]:
    """Each run of eight bytes in a row. Of a payload, those of its data after version and counter.

    What every payload begins with would else be found together with a random byte or two after it.
    """
    contents = {name: value for name, value in row.items() if isinstance(value, bytes)}
    for name in {"from_sender", "from_receiver"} & contents.keys():
        contents[name] = base64.b64decode(json.loads_object(contents[name])["data"])[5:]
    return {content[place : place + 8] for content in contents.values() for place in range(len(content) - 7)}


class Wallet(msgspec.Struct):
    """What a wallet does for every transfer alike. None: it makes its own for each, or sends none."""

    push: str | None = None
    attests: str | None = None
    claim: str | None = None


CAREFUL = Wallet()
PUSHED = Wallet(push="push-token-of-the-device-0002")
ATTESTED = Wallet(attests="attestation-of-the-device-0002")
REUSING = Wallet(claim="11111111-2222-4333-8444-555555555555")


def linked(folder: Path, wallet: Wallet) -> tuple[set[bytes], set[bytes]]:
    """What two mailboxes of this wallet share that another's lacks: in traffic, and in the database."""

    async def one(play: Play, of: Wallet) -> Mailbox:
        play.push, play.attests = of.push, of.attests
        box = Mailbox.new()
        if of.claim is not None:
            box.claims = (of.claim, box.claims[1])
        return await play.transfer(box, ends=False)

    async def scene(play: Play) -> tuple[set[bytes], set[bytes]]:
        boxes = [await one(play, of) for of in (wallet, wallet, CAREFUL)]
        heard = [words(of_mailbox(play, box)) for box in boxes]
        rows = play.rows()
        kept = [runs(rows[bytes.fromhex(box.id.replace("-", ""))]) for box in boxes]
        return (heard[0] & heard[1]) - heard[2], (kept[0] & kept[1]) - kept[2]

    return played(folder, scene)[2]  # type: ignore[no-any-return]


def test_A16_P4_nothing_says_that_two_mailboxes_are_of_one_wallet(tmp_path: Path) -> None:
    """As wallets here are: no push token, no attestation, and a claim for each mailbox."""
    assert linked(tmp_path, CAREFUL) == (set(), set())


@pytest.mark.parametrize("wallet", [PUSHED, ATTESTED, REUSING], ids=["push", "attestation", "claim"])
def test_A16_what_a_careless_wallet_repeats_is_heard_and_not_kept(tmp_path: Path, wallet: Wallet) -> None:
    """The search sees it in traffic. The relay keeps none of it; a claim looks another in each mailbox."""
    heard, kept = linked(tmp_path, wallet)
    assert heard != set()
    assert kept == set()


def test_if_claims_were_hashed_alike_everywhere_the_search_would_link_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "claim_digest", lambda _mailbox, claim: hashlib.sha256(claim).digest())
    _, kept = linked(tmp_path, REUSING)
    assert kept != set()


def test_A16_A17_neither_does_it_for_real_wallets(tmp_path: Path) -> None:
    """One shares a car twice and takes part in both mailboxes, another shares one of its own."""

    async def main() -> tuple[list[set[bytes]], list[dict[str, Any]]]:
        async with (
            open_stage(tmp_path) as stage,
            stage.actor("erika") as erika,
            stage.actor("max") as other,
        ):
            car, another = await stage.give_car(erika), await stage.give_car(other)
            shared = [
                await actor.wallet.share(thing, Wish(entitlements=rights))
                for actor, thing, rights in (
                    (erika, car, ("open", "trunk")),
                    (erika, car, ("open",)),
                    (other, another, ("open", "start", "trunk")),
                )
            ]
            await erika.wallet.shares()
            await other.wallet.shares()
            ids = [parse_link(one.link or "").mailbox_id for one in shared]
            sent = [one for tape in stage.tapes.values() for one in tape if one.url.startswith(RELAY)]
            made = [one for one in sent if one.url.endswith("/v1/m")]
            heard = [
                said(b"\n".join(one.everything() for one in sent if id_ in one.url or one is creation))
                for id_, creation in zip(ids, made, strict=True)
            ]
            rows = rows_of(tmp_path / "relay.example.db")
            return heard, [rows[bytes.fromhex(id_.replace("-", ""))] for id_ in ids]

    heard, rows = asyncio.run(main())
    assert all(len(words) > 10 for words in heard)
    assert (heard[0] & heard[1]) - heard[2] == set()
    kept = [runs(row) for row in rows]
    assert (kept[0] & kept[1]) - kept[2] == set()
    assert len({len(row["from_sender"]) for row in rows}) == 1  # whatever is shared
