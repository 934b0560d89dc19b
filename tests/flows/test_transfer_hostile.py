"""A relay, a sender or somebody in between who is not honest, and what the receiver's wallet does then."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.flows.transfer_stage import ISSUER, RELAY, Actor, Sent, Stage, Wish, open_stage, refusal

from safeconduct.encoding import json
from safeconduct.net.fetch import Response
from safeconduct.protocols.transfer.content import Content
from safeconduct.wallet.records import Held
from safeconduct.wallet.sharing import sending
from safeconduct.wallet.sharing.receiving import ShareQuestion
from safeconduct.wallet.sharing.records import Given
from safeconduct.wallet.sharing.relay_line import TAKEN

Scene = Callable[[Stage, Actor, Actor, str], Awaitable[Any]]
LINK = Wish(level="link")


def play(folder: Path, scene: Scene) -> None:
    async def main() -> None:
        async with (
            open_stage(folder) as stage,
            stage.actor("sender") as sender,
            stage.actor("receiver") as receiver,
        ):
            await scene(stage, sender, receiver, await stage.give_car(sender))

    asyncio.run(main())


def to_issuer(actor: Actor) -> list[str]:
    return [sent.url for sent in actor.line.tape if sent.url.startswith(ISSUER)]


def reading(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Sent, Response], Response]:
    """Changes what the relay gives out to who reads a mailbox."""

    def answers(sent: Sent, response: Response) -> Response:
        if sent.method != "POST" or "/v1/m/" not in sent.url or response.status != 200:
            return response
        return Response(200, response.headers, json.dumps(change(response.json())))

    return answers


def payload(**members: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda read: {**read, "payload": {**read["payload"], **members}}


BENT: list[tuple[Any, str]] = [
    (payload(type="AEAD_AES_256_GCM"), "payload_downgraded"),
    (payload(type="SOMETHING"), "payload_type_unsupported"),
    (payload(data="AAAA"), "payload_malformed"),
    (payload(data="!"), "payload_malformed"),
    (payload(data="AgAAAAEI" + "A" * 700), "payload_authentication_failed"),
    (lambda read: {**read, "payload": None}, "message_malformed"),
    (lambda _read: {}, "message_malformed"),
]


def test_a12_a38_what_the_relay_changes_does_not_open_and_the_issuer_hears_nothing(tmp_path: Path) -> None:
    async def scene(_stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        shared = await sender.wallet.share(car, LINK)
        for bent, code in BENT:
            receiver.line.answers = reading(bent)
            assert await refusal(receiver.receive(shared.link)) == code
        assert to_issuer(receiver) == []
        receiver.line.answers = lambda _sent, response: response
        await receiver.receive(shared.link)  # an honest answer is still taken

    play(tmp_path, scene)


def test_a12_mail_of_another_mailbox_does_not_open(tmp_path: Path) -> None:
    async def scene(_stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        first, second = [await sender.wallet.share(car, LINK) for _ in range(2)]
        seen: list[dict[str, Any]] = []
        receiver.line.answers = reading(lambda read: seen.append(read["payload"]) or read)
        await receiver.receive(first.link)
        receiver.line.answers = reading(lambda read: {**read, "payload": seen[0]})
        assert await refusal(receiver.receive(second.link)) == "payload_authentication_failed"

    play(tmp_path, scene)


def test_a14_a_relay_that_claims_the_mailbox_itself_gets_nothing_and_is_seen(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        shared = await sender.wallet.share(car, LINK)

        def taken(sent: Sent, response: Response) -> Response:
            if sent.method == "POST" and "/v1/m/" in sent.url:
                return Response(401, {"content-type": "application/json"}, json.dumps({"type": TAKEN}))
            return response

        receiver.line.answers = taken
        sender.line.answers = reading(lambda read: {**read, "state": "claimed"})
        assert await refusal(receiver.receive(shared.link)) == "share_taken"
        standing = await sender.standing(shared)
        assert (standing.relay_state, standing.issuer_state) == ("claimed", "pending")
        assert (await sender.wallet.revoke_share(shared.id)).issuer == "cancelled"
        assert await stage.standings() == ["valid"]

    play(tmp_path, scene)


CHANGED: list[tuple[Callable[[str], str], str]] = [
    (lambda link: link.rpartition(".")[0], "claim_refused"),
    (lambda link: link[:-1] + "p", "share_level_mismatch"),
    (lambda link: link[:-1] + "s", "content_format_unsupported"),
    (lambda link: link[:-1] + "z", "link_level_unsupported"),
    (lambda link: link[:-2] + "3l", "link_version_unsupported"),
    (lambda link: link.partition("#")[0], "link_secret_missing"),
    (lambda link: link[:-20], "link_secret_malformed"),
    (lambda link: link.replace("https://", "http://"), "url_not_https"),
    (lambda link: link.replace("/v1/m/", "/v1/n/"), "link_malformed"),
]


def test_a38_a_link_that_was_changed_gives_no_credential(tmp_path: Path) -> None:
    async def scene(_stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        for bend, code in CHANGED:
            shared = await sender.wallet.share(car, LINK)
            assert shared.link is not None
            assert await refusal(receiver.receive(bend(shared.link))) == code
            await sender.wallet.revoke_share(shared.id)
        assert to_issuer(receiver) == []

    play(tmp_path, scene)


def test_a2_another_secret_claims_nothing(tmp_path: Path) -> None:
    async def scene(_stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        shared, other = [await sender.wallet.share(car, LINK) for _ in range(2)]
        assert shared.link is not None
        assert other.link is not None
        mixed = shared.link.partition("#")[0] + "#" + other.link.partition("#")[2]
        assert await refusal(receiver.receive(mixed)) == "claim_refused"
        assert await receiver.wallet.opened() == ()
        assert (await sender.standing(shared)).relay_state == "unclaimed"
        await receiver.receive(shared.link)

    play(tmp_path, scene)


def offered(**changes: Any) -> Callable[[Given], Content]:
    """What a sender says instead of the truth. share, offer: members that replace the true ones."""

    def content(given: Given) -> Content:
        true = {
            "credential_offer": {**(given.offer or {}), **changes.get("offer", {})},
            "share": {"id": given.share_id, "issuer": given.issuer, "expires": given.offer_expires}
            | changes.get("share", {}),
        }
        return Content("openid4vci.credential_offer", {**true, **changes.get("members", {})})

    return content


ELSEWHERE = "https://rogue.example"


LIES: list[tuple[Callable[[Given], Content], str]] = [
    (offered(offer={"credential_issuer": ELSEWHERE}), "share_issuer_mismatch"),
    (offered(share={"issuer": ELSEWHERE}), "share_issuer_mismatch"),
    (offered(share={"issuer": ISSUER + "/"}), "share_issuer_mismatch"),
    (offered(members={"share": None}), "share_missing"),
    (offered(share={"expires": 1}), "share_expired"),
    (offered(share={"expires": -1}), "message_malformed"),
    (offered(offer={"grants": {"authorization_code": {}}}), "grant_unsupported"),
    (offered(offer={"grants": {}}), "grant_unsupported"),
    (offered(offer={"credential_configuration_ids": []}), "message_malformed"),
    (
        offered(offer={"credential_issuer": "http://127.0.0.1:9"}, share={"issuer": "http://127.0.0.1:9"}),
        "url_not_https",
    ),
    (lambda _given: Content("sct.approve/1", {}), "content_format_unsupported"),
    (lambda _given: Content("digitalwallet.carkey.ccc", {}), "content_format_unsupported"),
]


def test_a37_an_offer_that_does_not_fit_its_share_is_not_followed(tmp_path: Path) -> None:
    async def scene(_stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        context = sender.wallet._context
        for lie, code in LIES:
            given = await sending.ask_issuer(context, await sending.begin(context, car, LINK))
            left = await sending.leave(context, given, lie(given))
            assert await refusal(receiver.receive(left.link)) == code
            assert left.link is not None
            way = await receiver.wallet.decline(left.link, way="refuse", terms=receiver.terms())
            assert way == "refused"
            await sender.wallet.revoke_share(left.id)
        assert {sent.url.startswith(RELAY) for sent in receiver.line.tape} == {True}

    play(tmp_path, scene)


def test_a30_a_rogue_issuer_is_shown_as_one_that_nobody_knows(tmp_path: Path) -> None:
    async def scene(_stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        context = sender.wallet._context
        given = await sending.ask_issuer(context, await sending.begin(context, car, Wish()))
        rogue = offered(offer={"credential_issuer": ELSEWHERE}, share={"issuer": ELSEWHERE})
        left = await sending.leave(context, given, rogue(given))
        asked: list[ShareQuestion] = []

        def ask(question: ShareQuestion) -> bool:
            asked.append(question)
            return question.step != "redeem"

        def never(_question: ShareQuestion) -> str:
            raise AssertionError("the PIN is asked for")

        assert await refusal(receiver.receive(left.link, ask=ask, pin=never)) == "declined"
        assert (asked[-1].step, asked[-1].issuer, asked[-1].known) == ("redeem", ELSEWHERE, False)
        assert {sent.url.startswith(RELAY) for sent in receiver.line.tape} == {True}

    play(tmp_path, scene)


def test_a30_without_anybody_to_ask_another_issuer_than_the_one_named_gets_nothing(tmp_path: Path) -> None:
    async def scene(_stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        context = sender.wallet._context
        given = await sending.ask_issuer(context, await sending.begin(context, car, Wish()))
        rogue = offered(offer={"credential_issuer": ELSEWHERE}, share={"issuer": ELSEWHERE})
        left = await sending.leave(context, given, rogue(given))
        code = await refusal(receiver.receive(left.link, tx_code="123456", issuer=ISSUER))
        assert code == "issuer_unexpected"
        assert {sent.url.startswith(RELAY) for sent in receiver.line.tape} == {True}

    play(tmp_path, scene)


def test_a30_the_issuer_is_held_against_the_one_named_whenever_it_is_asked(tmp_path: Path) -> None:
    async def scene(_stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        shared = await sender.wallet.share(car, Wish())
        wrong = "000000" if shared.tx_code != "000000" else "111111"
        assert await refusal(receiver.receive(shared.link, tx_code=wrong)) == "pin_refused"
        asked = len(to_issuer(receiver))
        again = receiver.receive(shared.link, tx_code=shared.tx_code, issuer=ELSEWHERE)
        assert await refusal(again) == "issuer_unexpected"
        assert len(to_issuer(receiver)) == asked

    play(tmp_path, scene)


def test_the_issuer_that_was_named_is_taken(tmp_path: Path) -> None:
    async def scene(_stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        shared = await sender.wallet.share(car, LINK)
        assert isinstance(await receiver.receive(shared.link, issuer=ISSUER), Held)

    play(tmp_path, scene)


def test_a_known_issuer_is_shown_as_known(tmp_path: Path) -> None:
    async def scene(stage: Stage, sender: Actor, receiver: Actor, car: str) -> None:
        await stage.give_car(receiver)
        shared = await sender.wallet.share(car, LINK)
        await receiver.receive(shared.link)
        assert [question.known for question in receiver.asked] == [False, True]

    play(tmp_path, scene)


def test_an_issuer_that_makes_another_share_than_was_wanted_is_not_believed(tmp_path: Path) -> None:
    lie: dict[str, str] = {}

    async def scene(stage: Stage, sender: Actor, _receiver: Actor, car: str) -> None:
        def answers(sent: Sent, response: Response) -> Response:
            if not sent.url.endswith("/shares") or sent.method != "POST":
                return response
            return Response(response.status, response.headers, json.dumps({**response.json(), **lie}))

        sender.line.answers = answers
        for told in ({"share_id": "another"}, {"level": "pin"}, {"mode": "move"}, {"tx_code": "123456"}):
            lie.clear()
            lie.update(told)
            assert await refusal(sender.wallet.share(car, LINK)) == "share_answer_foreign"
        assert set(await stage.share_states()) == {"cancelled"}
        assert await sender.wallet.shares() == ()
        assert not any(sent.url.startswith(RELAY) for sent in sender.line.tape)

    play(tmp_path, scene)


def test_the_credential_is_shown_to_nobody_but_its_issuer(tmp_path: Path) -> None:
    async def scene(_stage: Stage, sender: Actor, _receiver: Actor, car: str) -> None:
        def answers(sent: Sent, response: Response) -> Response:
            if not sent.url.endswith("/share-challenge"):
                return response
            members = {**response.json(), "audience": "https://verifier.example"}
            return Response(200, response.headers, json.dumps(members))

        sender.line.answers = answers
        assert await refusal(sender.wallet.share(car, LINK)) == "audience_foreign"
        assert not any(sent.url.endswith("/shares") for sent in sender.line.tape)

    play(tmp_path, scene)
