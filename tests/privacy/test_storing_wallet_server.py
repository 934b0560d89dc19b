"""A wallet server that keeps answers learns no more than one that passes them on, whatever becomes of them.

Real encryption between a wallet and an issuer that the test plays; searched are the server's traffic in both
directions, its log, its metrics, what it shows management, and all pages of its database at every step.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.flows.wallet_server_stage import (
    ISSUER,
    KEY,
    FakeIssuer,
    Held,
    Stage,
    broken,
    pages_of,
    problem,
    refused,
    stage,
)

from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key
from safeconduct.demo.secrets_search import Needle, needle, search
from safeconduct.encoding import b64, json
from safeconduct.envelope import jwe
from safeconduct.net.fetch import Response
from safeconduct.net.recording import Exchange
from safeconduct.protocols.openid4vci.padding import pad
from safeconduct.protocols.openid4vci.proof import create_proof
from safeconduct.services.wallet_server import envelope, line, service

PROOF = "proof-of-possession-of-the-wallet-000001"
TOKEN = "access-token-of-the-wallet-000001"
CLAIMS = ("Erika Mustermann", "1964-08-12 in Berlin", "social number 77-4711")


class Play(msgspec.Struct):
    """A wallet, an issuer, the server between them, and everything the server has had at some time."""

    wallet: Stage
    file: Path
    tape: list[Exchange]
    issuer_key: AgreementKey
    wallet_key: AgreementKey
    holder: Key
    plain: list[bytes] = []
    pages: list[bytes] = []
    asked: list[bytes] = []

    def request(self, *, proofs: int = 1) -> bytes:
        """A sealed credential request with real key proofs."""
        made = [
            create_proof(
                key=self.holder, audience=ISSUER, nonce=f"c-nonce-{number:06}", now=self.wallet.clock()
            )
            for number in range(proofs)
        ]
        members = {"credential_identifier": "identifier-of-the-dataset-01", "proofs": {"jwt": made}}
        return self._sealed(members, self.issuer_key)

    def poll(self) -> bytes:
        """A sealed request for a deferred credential."""
        return self._sealed({"transaction_id": "transaction-000001"}, self.issuer_key)

    def answer(self, *, credentials: int = 1) -> Response:
        """The issuer's sealed answer with credentials."""
        made = [{"credential": f"salt-{number:06}.{'.'.join(CLAIMS)}"} for number in range(credentials)]
        members = {"credentials": made, "notification_id": "notification-000001"}
        return self._response(200, members)

    def deferral(self) -> Response:
        """The issuer's sealed answer without."""
        return self._response(202, {"transaction_id": "transaction-000001", "interval": 5})

    async def forward(self, body: bytes, **arguments: Any) -> Response:
        self.asked.append(body)
        headers = {"authorization": f"DPoP {TOKEN}", "dpop": PROOF}
        answered = await self.wallet.forward(body, **headers, **arguments)
        self.look()
        return answered

    def look(self) -> None:
        """Take down the database as it is now."""
        self.pages.append(pages_of(self.file))

    def _sealed(self, members: dict[str, Any], to: AgreementKey) -> bytes:
        plain = pad(json.dumps(members))
        self.plain.append(plain)
        return jwe.encrypt(plain, recipient=to.public, enc="A128GCM").encode()

    def _response(self, status: int, members: dict[str, Any]) -> Response:
        body = self._sealed(members, self.wallet_key)
        return Response(status, {"content-type": "application/jwt"}, body)


Scene = Callable[[Play], Awaitable[None]]


async def immediate(play: Play) -> None:
    play.wallet.issuer.answer = play.answer()
    assert (await play.forward(play.request(), key=KEY)).status == 200
    await end(play)


async def fetched_later(play: Play) -> None:
    held = Held(play.answer())
    play.wallet.issuer.steps = [held]
    accepted = await play.forward(play.request(), key=KEY, prefer="respond-async")
    await held.begun.wait()
    play.look()
    held.released.set()
    fetched = await play.wallet.fetch(accepted.json()["delivery"])
    assert fetched.status == 200
    play.look()
    await end(play)


async def batch(play: Play) -> None:
    play.wallet.issuer.answer = play.answer(credentials=10)
    assert (await play.forward(play.request(proofs=10), key=KEY)).status == 200
    await end(play)


async def deferred(play: Play) -> None:
    play.wallet.issuer.steps = [play.deferral(), play.deferral(), play.answer()]
    answered = await play.forward(play.request(), key=KEY)
    for number in range(2):
        assert answered.status == 202
        wish = {"issuer": ISSUER, "after": 5, "ticket": answered.headers["safeconduct-wake"]}
        headers = {"Content-Type": "application/json"}
        await play.wallet.ask("PUT", "/wakeups", headers=headers, content=json.dumps(wish))
        play.look()
        play.wallet.clock.now += 5
        woken = await play.wallet.ask("GET", "/wakeups")
        assert woken.json()["wakeups"] == [{"issuer": ISSUER}]
        answered = await play.forward(play.poll(), kind="deferred", key=f"{KEY}-{number}")
    assert answered.status == 200
    await end(play)


async def notification(play: Play) -> None:
    """After an issuance, the notification goes to the issuer itself; the server would not take it."""
    await immediate(play)
    await play.wallet.begin()
    assert (await play.wallet.ask("POST", "/forward/notification")).status == 403
    play.look()


async def failed(play: Play) -> None:
    issuer = play.wallet.issuer
    issuer.steps = [problem(400, "invalid_proof"), broken(), refused()]
    for number, status in enumerate((400, 504)):
        assert (await play.forward(play.request(), key=f"{KEY}-{number}")).status == status
    accepted = await play.forward(play.request(), prefer="respond-async")
    issuer.steps = [Response(200, {"content-type": "application/json"}, b"")]
    assert (await play.wallet.fetch(accepted.json()["delivery"])).status >= 200
    play.look()
    await end(play)


async def end(play: Play) -> None:
    await play.wallet.ask("DELETE", "/sessions")
    play.look()


SCENES: tuple[Scene, ...] = (immediate, fetched_later, batch, deferred, notification, failed)


def played(folder: Path, scene: Scene) -> tuple[Play, dict[str, bytes]]:
    """Play a scene; returns it with all places that the server has."""
    file, tape = folder / "w.db", []

    async def main() -> tuple[Play, dict[str, bytes]]:
        async with stage(FakeIssuer(), tape=tape, database=f"sqlite:///{file}") as wallet:
            play = Play(
                wallet=wallet,
                file=file,
                tape=tape,
                issuer_key=AgreementKey.generate("P-256", kid="issuer-1"),
                wallet_key=AgreementKey.generate("P-256", kid="response-1"),
                holder=Key.generate("ES256"),
            )
            await scene(play)
            shown = (await wallet.manage("/reliability")).body
        play.look()
        return play, {
            "traffic": b"\n".join(exchange.everything() for exchange in tape),
            "log": wallet.log.getvalue().encode(),
            "metrics": wallet.telemetry.metrics.render(),
            "management": shown,
            "database": b"\n".join(play.pages),
        }

    return asyncio.run(main())


def inside(play: Play) -> list[Needle]:
    """What stands inside the encryption only."""
    point = play.holder.public.to_raw()
    wanted: dict[str, bytes | str] = {
        "holder key, x": point[1:33],
        "holder key, y": point[33:],
        "holder key, private": play.holder.to_raw(private=True),
        "issuer's secret key": play.issuer_key.to_raw(private=True),
        "wallet's response key": play.wallet_key.to_raw(private=True),
        "credential identifier": "identifier-of-the-dataset-01",
        "transaction": "transaction-000001",
        "notification": "notification-000001",
        "salt": "salt-000000",
        "nonce of the proof": "c-nonce-000000",
        **{f"claim {number}": claim for number, claim in enumerate(CLAIMS)},
    }
    return [needle(name, value) for name, value in wanted.items()]


def passing(play: Play) -> list[Needle]:
    """What the server sees and must not keep."""
    wanted: dict[str, bytes | str] = {
        "access token": TOKEN,
        "DPoP proof": PROOF,
        "session": play.wallet.session,
        "idempotency key": KEY,
        **{f"request {n}": body.rpartition(b".")[0][-60:].decode() for n, body in enumerate(play.asked)},
    }
    return [needle(name, value) for name, value in wanted.items()]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_it_learns_nothing_of_what_it_carries_and_keeps_nothing_of_what_it_sees(
    tmp_path: Path, scene: Scene
) -> None:
    play, places = played(tmp_path, scene)
    assert all(places.values())
    assert search(places, inside(play)) == ()
    kept = {name: content for name, content in places.items() if name != "traffic"}
    assert search(kept, passing(play)) == ()
    # The search is not blind: it finds what is inside in the plain texts, and what passes in the traffic.
    plain = {"plain": b"\n".join(play.plain)}
    found = {finding.needle for finding in search(plain, inside(play))}
    assert {"credential identifier", "holder key, x", "nonce of the proof"} <= found
    assert {found.needle for found in search(places, passing(play))} == {n.name for n in passing(play)}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_after_the_session_has_ended_no_answer_is_left_either(tmp_path: Path, scene: Scene) -> None:
    play, places = played(tmp_path, scene)
    answers = [
        needle(f"answer {n}", exchange.response_body[-80:].decode())
        for n, exchange in enumerate(play.tape)
        if exchange.direction == "sent" and exchange.method == "POST" and len(exchange.response_body) > 80
    ]
    assert search({"database": play.pages[-1]}, answers) == ()
    if scene in (immediate, fetched_later, batch, deferred):
        assert answers
        assert search(places, answers) != ()


@pytest.mark.parametrize("scene", [immediate, batch], ids=lambda scene: scene.__name__)
def test_sizes_do_not_depend_on_what_is_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scene: Scene
) -> None:
    def sizes(folder: str) -> list[int]:
        (tmp_path / folder).mkdir()
        play, _ = played(tmp_path / folder, scene)
        sealed = [exchange for exchange in play.tape if "/credential" in exchange.url]
        return sorted(len(body) for e in sealed for body in (e.request_body, e.response_body))

    before = sizes("one")
    monkeypatch.setattr(f"{__name__}.CLAIMS", ("Al", "x", "y"))
    assert sizes("other") == before


def test_if_plain_messages_could_pass_the_search_would_find_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envelope, "is_sealed", lambda _body: True)
    monkeypatch.setattr(line, "is_sealed", lambda _body: True)
    monkeypatch.setattr(jwe, "encrypt", lambda plain, **_: plain.decode())
    play, places = played(tmp_path, fetched_later)
    found = {(finding.needle, finding.place) for finding in search(places, inside(play))}
    assert ("claim 0", "traffic") in found
    assert ("claim 0", "database") in found
    assert ("holder key, x", "traffic") in found


def test_if_it_kept_what_it_sees_the_search_would_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_digest", lambda errand: errand.credentials.dpop.encode())
    monkeypatch.setattr(service, "delivery_id", lambda _session, key: b64.encode(key.encode().ljust(32)))
    play, places = played(tmp_path, fetched_later)
    kept = {name: content for name, content in places.items() if name != "traffic"}
    assert {finding.needle for finding in search(kept, passing(play))} == {"DPoP proof", "idempotency key"}
