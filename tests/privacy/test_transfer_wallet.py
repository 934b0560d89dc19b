"""What two wallets send while they share, byte for byte: what follows from the link's fragment is nowhere.

The same search finds them where a wallet does send them, so that finding nothing means something.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.flows.transfer_stage import ISSUER, RELAY, Actor, Sent, Stage, Wish, open_stage, refusal

from safeconduct.demo.secrets_search import Needle, needle, search
from safeconduct.encoding import b64, json
from safeconduct.protocols.transfer.content import encode_content
from safeconduct.protocols.transfer.keys import derive_keys
from safeconduct.protocols.transfer.link import parse_link
from safeconduct.protocols.transfer.payload import Payload
from safeconduct.wallet import store
from safeconduct.wallet.sharing import channels, relay_line, sending
from safeconduct.wallet.sharing.approved import Awaited
from safeconduct.wallet.sharing.records import Given, Shared

UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Transfer:
    """A share from one wallet to another, and all that the two sent meanwhile, by where it went."""

    def __init__(self, shared: Shared, offer: Mapping[str, Any], tape: list[Sent]) -> None:
        assert shared.link is not None
        self.shared = shared
        self.link = parse_link(shared.link)
        self.fragment = shared.link.partition("#")[2]
        self.code = next(iter(offer["grants"].values()))["pre-authorized_code"]
        self.tape = tape
        self.kept: tuple[Needle, ...] = ()  # what a level adds to what stays in a wallet

    def sent_to(self, host: str) -> bytes:
        return b"\n".join(sent.everything() for sent in self.tape if sent.url.startswith(host))

    @property
    def secrets(self) -> tuple[Needle, ...]:
        """What may go nowhere: the secret, the keys that follow from it, and the link as it is."""
        assert self.link.secret is not None
        keys = derive_keys(self.link.secret)
        return (
            needle("secret", self.link.secret),
            needle("fragment", self.fragment),
            needle("claim key, private", keys.claim.to_raw(private=True)),
            needle("key of the sender", keys.sender_to_receiver),
            needle("key of the receiver", keys.receiver_to_sender),
            needle("pre-shared key", keys.psk.secret),
            needle("link", self.shared.link or ""),
        )

    @property
    def unknown_to_relays(self) -> tuple[Needle, ...]:
        """What the relay carries and may not learn: who issues what, and by which code it is had."""
        return (
            needle("pre-authorized code", self.code),
            needle("issuer", ISSUER),
            needle("share at the issuer", self.shared.share_id),
            needle("type", "car_jwt"),
        )

    @property
    def unknown_to_issuers(self) -> tuple[Needle, ...]:
        """What the issuer has no part in: where the link lies, and who claimed it there."""
        claims = {sent.headers.get("Mailbox-Device-Claim", "") for sent in self.tape} - {""}
        return (
            needle("mailbox", self.link.mailbox_id),
            needle("relay", RELAY),
            *(needle("claim", claim) for claim in claims),
        )


async def transferred(stage: Stage, sender: Actor, receiver: Actor, car: str, wish: Wish) -> Transfer:
    """Share, look, receive, look again, revoke; for level key with a card, for approve with a comparison."""
    before = len(sender.line.tape), len(receiver.line.tape)
    whom = None
    kept: tuple[Needle, ...] = ()
    if wish.level == "key":
        card, _ = await receiver.wallet.own_card(name="Rae")
        whom = (await sender.wallet.add_contact(card.text))[0].id
        kept = tuple(
            needle(what, b64.decode(json.loads_object(key)["d"]))
            for what, key in (("receiving key", card.receiving_key), ("proof key", card.proof_key))
        )
    shared = await sender.wallet.share(car, wish, to=whom)
    given = await sender.wallet._given(shared.id)
    assert given.offer is not None
    await sender.wallet.shares()
    if wish.level == "approve":
        await approved(sender, receiver, shared)
    await receiver.receive(shared.link, shared.tx_code)
    await sender.wallet.shares()
    await sender.wallet.revoke_share(shared.id)
    tape = sender.line.tape[before[0] :] + receiver.line.tape[before[1] :]
    transfer = Transfer(shared, given.offer, tape)
    transfer.kept = kept
    return transfer


async def approved(sender: Actor, receiver: Actor, shared: Shared) -> None:
    """The receiver opens the link, both compare the digits, and the sender lets the share go."""
    for _ in range(2):
        awaited = await receiver.wallet.receive(shared.link or "", receiver.terms())
        approval = await sender.wallet.approve(shared.id, confirm=lambda _digits: None)
    assert isinstance(awaited, Awaited)
    assert awaited.digits == approval.digits
    released = await sender.wallet.approve(shared.id, confirm=lambda digits: digits == awaited.digits)
    assert released.state == "released"


def play(folder: Path, *wishes: Wish) -> list[Transfer]:
    """Transfers between the same two wallets, one after the other."""

    async def main() -> list[Transfer]:
        async with (
            open_stage(folder) as stage,
            stage.actor("sender") as sender,
            stage.actor("receiver") as receiver,
        ):
            car = await stage.give_car(sender)
            return [await transferred(stage, sender, receiver, car, wish) for wish in wishes]

    return asyncio.run(main())


def names(found: Iterable[Any]) -> set[str]:
    return {finding.needle for finding in found}


WISHES = [
    Wish(level="link"),
    Wish(level="pin"),
    Wish(level="key"),
    Wish(level="approve"),
    Wish(level="link", payloads="draft"),
]


@pytest.mark.parametrize("wish", WISHES)
def test_a10_the_fragment_and_all_that_follows_from_it_stay_in_the_wallets(
    tmp_path: Path, wish: Wish
) -> None:
    (transfer,) = play(tmp_path, wish)
    everything = {str(number): sent.everything() for number, sent in enumerate(transfer.tape)}
    assert len(everything) > 20
    assert search(everything, transfer.secrets) == ()
    assert search(everything, transfer.kept) == ()
    assert search({"relay": transfer.sent_to(RELAY)}, transfer.unknown_to_relays) == ()
    assert search({"issuer": transfer.sent_to(ISSUER)}, transfer.unknown_to_issuers) == ()
    # That the search works at all: each is where it belongs.
    assert names(search({"issuer": transfer.sent_to(ISSUER)}, transfer.unknown_to_relays)) >= {
        "pre-authorized code",
        "share at the issuer",
    }
    assert names(search({"relay": transfer.sent_to(RELAY)}, transfer.unknown_to_issuers)) >= {
        "mailbox",
        "claim",
    }
    assert not any("#" in sent.url for sent in transfer.tape)


def test_the_search_finds_a_link_that_a_careless_wallet_sends_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links: list[str] = []
    send = relay_line.RelayLine._send

    async def careless(line: Any, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Any:
        return await send(line, method, url, {**headers, "Referer": links[-1] if links else RELAY}, body)

    def noted(link: Any) -> str:
        text = link_text(link)
        links.append(text)
        return text

    link_text = sending.links.link_text
    monkeypatch.setattr(sending.links, "link_text", noted)
    monkeypatch.setattr(relay_line.RelayLine, "_send", careless)
    (transfer,) = play(tmp_path, Wish(level="link"))
    found = search({"relay": transfer.sent_to(RELAY)}, transfer.secrets)
    assert names(found) >= {"fragment", "link", "secret"}


def test_the_search_finds_an_offer_that_a_careless_wallet_does_not_seal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = channels.seal_next

    def open_seal(context: Any, record: Any, content: Any) -> Any:
        sealed, payload = seal(context, record, content)
        return sealed, Payload(payload.type, b64.encode_standard(encode_content(content)))

    monkeypatch.setattr(channels, "seal_next", open_seal)

    async def main() -> Transfer:
        async with open_stage(tmp_path) as stage, stage.actor("sender") as sender:
            shared = await sender.wallet.share(await stage.give_car(sender), Wish(level="link"))
            given: Given = await sender.wallet._given(shared.id)
            return Transfer(shared, given.offer or {}, sender.line.tape)

    transfer = asyncio.run(main())
    found = search({"relay": transfer.sent_to(RELAY)}, transfer.unknown_to_relays)
    assert names(found) >= {"pre-authorized code", "issuer"}


@pytest.mark.parametrize("level", ["link", "approve"])
def test_p4_a16_nothing_that_the_relay_gets_links_two_transfers_of_the_same_wallets(
    tmp_path: Path, level: Any
) -> None:
    first, second = play(tmp_path, Wish(level=level), Wish(level=level))
    of_first, of_second = (set(UUID.findall(each.sent_to(RELAY).lower())) for each in (first, second))
    assert len(of_first) >= 5  # a mailbox, two claims, ids of requests
    assert of_first & of_second == set()
    texts = [{text for sent in each.tape for text in _texts(sent)} for each in (first, second)]
    alike = texts[0] & texts[1]
    assert alike <= _WORDS, alike - _WORDS


_WORDS = {"application/json", "text/html", "0", "1", "2", "3", "4", "8"}
"""Header values that all wallets send."""


def _texts(sent: Sent) -> list[str]:
    return [str(value) for value in sent.headers.values()] if sent.url.startswith(RELAY) else []


def test_a2_the_preview_claims_nothing_and_the_parties_have_claims_of_their_own(tmp_path: Path) -> None:
    (transfer,) = play(tmp_path, Wish(level="link"))
    claims = {sent.headers.get("Mailbox-Device-Claim") for sent in transfer.tape} - {None}
    assert len(claims) == 2
    previews = [sent for sent in transfer.tape if sent.method == "GET" and sent.url.startswith(RELAY)]
    assert len(previews) == 1
    assert set(previews[0].headers) == {"Accept"}


def _files(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


def test_wallets_forget_the_secret_of_what_is_over(tmp_path: Path) -> None:
    async def kept(actor: Actor) -> bytes:
        records = await actor.wallet._context.safe.run(store.read_all)
        return b"\n".join(record.content for record in records)

    async def main() -> None:
        async with (
            open_stage(tmp_path) as stage,
            stage.actor("sender") as sender,
            stage.actor("receiver") as receiver,
        ):
            shared = await sender.wallet.share(await stage.give_car(sender), Wish())
            given = await sender.wallet._given(shared.id)
            transfer = Transfer(shared, given.offer or {}, [])
            secret = needle("secret", parse_link(shared.link or "").secret or b"")
            code = needle("pre-authorized code", transfer.code)
            pin = needle("PIN", f'"tx_code":"{shared.tx_code}"')
            assert (
                await refusal(receiver.receive(shared.link, "000000" if shared.tx_code != "000000" else "1"))
                == "pin_refused"
            )
            for actor in (sender, receiver):
                assert names(search({"records": await kept(actor)}, [secret, code])) == {
                    "secret",
                    "pre-authorized code",
                }
            assert names(search({"records": await kept(sender)}, [pin])) == {"PIN"}
            assert names(search({"records": await kept(receiver)}, [pin])) == set()
            files = _files(tmp_path / "sender")
            assert search({"files": files}, [secret, code]) == ()
            await receiver.receive(shared.link, shared.tx_code)
            await sender.wallet.shares()
            for actor in (sender, receiver):
                assert search({"records": await kept(actor)}, [secret, code, pin]) == ()

    asyncio.run(main())
