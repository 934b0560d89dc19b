"""The wallet server between a real wallet and a real issuer: in batches, later, notified, and refused."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from safeconduct.demo.holder import Holder, open_holder, secrets_of
from safeconduct.demo.parties import Offer, Parties
from safeconduct.demo.secrets_search import Needle, needle, search
from safeconduct.demo.story import CLAIMS
from safeconduct.encoding import b64, json
from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci import proof

Accepting = Callable[[Any, Parties, Holder], Awaitable[tuple[Any, Offer]]]


async def manage(parties: Parties, method: str, path: str, wish: Any = None) -> Response:
    headers = {
        "Authorization": f"Bearer {parties.admin_token.reveal()}",
        "Content-Type": "application/json",
    }
    content = None if wish is None else json.dumps(wish)
    async with parties.network.fetcher() as fetcher:
        return await fetcher.request(method, parties.admin_url + path, headers=headers, content=content)


async def immediate(_stage: Any, parties: Parties, holder: Holder) -> tuple[Any, Offer]:
    offer = await parties.offer(CLAIMS, tx_code=True)
    via = parties.wallet_server.url
    return await holder.wallet.accept(offer.uri, tx_code=offer.tx_code, via=via), offer


async def batch(_stage: Any, parties: Parties, holder: Holder) -> tuple[Any, Offer]:
    offer = await parties.offer(CLAIMS, tx_code=True)
    via = parties.wallet_server.url
    held = await holder.wallet.accept(offer.uri, tx_code=offer.tx_code, via=via, batch=3)
    assert held.instances == 3
    return held, offer


async def deferred(stage: Any, parties: Parties, holder: Holder) -> tuple[Any, Offer]:
    wish = {"configuration_id": "identity", "claims": CLAIMS, "deferred": True}
    offer = Offer((await manage(parties, "POST", "/offers", wish)).json()["offer_uri"], None)
    waiting = await holder.wallet.accept(offer.uri, via=parties.wallet_server.url)
    assert waiting.stage == "deferred"
    [transaction] = (await manage(parties, "GET", "/deferred")).json()["deferred"]
    path = f"/deferred/{transaction['transaction_id']}/approve"
    assert (await manage(parties, "POST", path)).status == 204
    stage.now += 61
    [held] = await holder.wallet.fetch()
    return held, offer


ALL: tuple[Accepting, ...] = (immediate, batch, deferred)


@pytest.mark.parametrize("accepting", ALL, ids=lambda accepting: accepting.__name__)
def test_it_learns_nothing(stage: Any, accepting: Accepting) -> None:
    stage.credentials_per_identifier = 10

    async def scene(parties: Parties) -> None:
        async with open_holder(parties, stage.directory / "wallet") as holder:
            held, offer = await accepting(stage, parties, holder)
            assert holder.notices == []
            secrets = secrets_of(holder, await holder.credential(held), offer, CLAIMS)
            needles = (*secrets.unshareable(), *every_key(holder), *notified(parties, holder))
            known = parties.wallet_server.known()
            assert all(known.values())
            asked = [exchange.url for exchange in parties.wallet_server.tape if "/forward/" in exchange.url]
            assert asked == ["/forward/credential", "/forward/deferred"][: 2 if accepting is deferred else 1]
            assert search(known, needles) == ()
            # The same search finds what the wallet has, and in the server's traffic what may be there.
            found = {finding.needle for finding in search(await holder.known(), needles)}
            assert found == {wanted.name for wanted in needles}
            assert {found.place for found in search(known, secrets.access_token)} == {"traffic"}

    stage.play(scene)


def every_key(holder: Holder) -> list[Needle]:
    """Every holder key that proved itself: all of a batch. The DPoP key is none of them."""
    proving = {signed.key for signed in holder.signed if b"openid4vci-proof+jwt" in _header(signed.data)}
    points = [key.to_raw() for key in proving]
    assert points
    return [needle(f"key {number}", point[1:33]) for number, point in enumerate(points)]


def _header(signed: bytes) -> bytes:
    try:
        return b64.decode(signed.partition(b".")[0])
    except SafeconductError:  # what was signed is no JWT
        return b""


def notified(parties: Parties, holder: Holder) -> list[Needle]:
    """The notification's identifier, which goes to the issuer itself."""
    sent = [exchange for exchange in holder.tape if exchange.url.endswith("/notification")]
    assert all(exchange.url.startswith(parties.issuer.url) for exchange in sent)
    assert [exchange.status for exchange in sent] == [204] * len(sent)
    return [
        needle("notification", json.loads_object(exchange.request_body)["notification_id"])
        for exchange in sent
    ]


def test_a_notification_goes_past_it(stage: Any) -> None:
    async def scene(parties: Parties) -> None:
        async with open_holder(parties, stage.directory / "wallet") as holder:
            await immediate(stage, parties, holder)
            assert notified(parties, holder)
            paths = {exchange.url.partition("?")[0] for exchange in parties.wallet_server.tape}
            assert not any("notification" in path for path in paths)

    stage.play(scene)


def test_it_learns_nothing_from_a_refusal(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = proof.create_proof
    monkeypatch.setattr(
        proof, "create_proof", lambda **named: real(**{**named, "audience": "https://x.example"})
    )

    async def scene(parties: Parties) -> None:
        async with open_holder(parties, stage.directory / "wallet") as holder:
            offer = await parties.offer(CLAIMS, tx_code=False)
            with pytest.raises(SafeconductError):
                await holder.wallet.accept(offer.uri, via=parties.wallet_server.url)
            known = parties.wallet_server.known()
            assert b"invalid_proof" in known["traffic"]
            assert search(known, every_key(holder)) == ()
            assert search(await holder.known(), every_key(holder)) != ()

    stage.play(scene)
