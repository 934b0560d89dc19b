"""Sessions without a row, wake-ups, limits: a flood of strangers holds nothing, and a session is nobody."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.flows.wallet_server_stage import (
    DEFERRED,
    ISSUER,
    JWE,
    KEY,
    NOW,
    OTHER,
    SEALED,
    FakeIssuer,
    Held,
    Stage,
    fails_with,
    pages_of,
    stage,
    until,
)

from safeconduct import limits
from safeconduct.encoding import b64, json
from safeconduct.net.fetch import Response, TooSlow
from safeconduct.services.wallet_server import wakeups
from safeconduct.settings import Secret

GATEWAY = "https://push.example/wake"
HANDLE = "handle-of-the-device-1"


def test_a_session_is_told_what_it_needs_to_know() -> None:
    async def main() -> None:
        async with stage(session_token_lifetime=600, session_lifetime=86400) as wallet:
            answer = await wallet.ask("POST", "/sessions", session=None, content=b"{}")
            told = answer.json()
            assert answer.status == 201
            assert (told["expires_in"], told["renewable_for"]) == (600, 86400)
            assert told["issuers"] == [ISSUER, OTHER]

    asyncio.run(main())


def test_opening_sessions_and_asking_for_what_there_is_not_stores_nothing(tmp_path: Path) -> None:
    file = tmp_path / "w.db"

    async def main() -> None:
        async with stage(database=f"sqlite:///{file}") as wallet:
            for _ in range(20):
                await wallet.begin()
                await wallet.fetch("no-such", wait=0)
                await wallet.ask("GET", "/wakeups")
                await wallet.forward()  # answered at once, so nothing has to be kept
            assert wallet.counted(outcome="delivered") == 20
            assert counts(file) == {"deliveries": 0, "wakeups": 0, "ended": 0, "sessions": 0, "records": 0}

    asyncio.run(main())


def test_a_token_ends_and_is_renewed_until_the_session_ends() -> None:
    async def main() -> None:
        async with stage(session_token_lifetime=600, session_lifetime=1000) as wallet:
            delivery = await wallet.accepted()
            first = wallet.session
            wallet.clock.now += 599
            renewed = await wallet.ask("POST", "/sessions")
            told = renewed.json()
            assert (renewed.status, told["expires_in"], told["renewable_for"]) == (201, 401, 401)
            assert told["session"] != first
            wallet.clock.now += 1
            assert fails_with(await wallet.ask("POST", "/sessions"), 401, "session_unknown")
            wallet.session = told["session"]
            assert (await wallet.forward()).status == 200
            wallet.clock.now -= 10
            assert (await wallet.fetch(delivery)).body == SEALED.body
            wallet.clock.now = NOW + 1000
            assert fails_with(await wallet.forward(), 401, "session_unknown")

    asyncio.run(main())


def test_a_token_is_good_at_every_process_and_after_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'w.db'}"

    async def main() -> None:
        async with stage(database=url) as one, stage(database=url) as other:
            other.session = one.session
            assert (await other.forward()).status == 200
            delivery = await other.accepted(key=KEY)
            assert (await one.fetch(delivery)).body == SEALED.body
        async with stage(database=url) as later:
            later.session = one.session
            assert (await later.fetch(delivery)).body == SEALED.body
        async with stage() as stranger:
            stranger.session = one.session
            assert fails_with(await stranger.forward(), 401, "session_unknown")

    asyncio.run(main())


def test_no_changed_token_is_taken() -> None:
    async def main() -> None:
        async with stage(global_rate=10_000, session_rate=10_000) as wallet:
            good = b64.decode(wallet.session)
            for place in range(len(good)):
                changed = bytearray(good)
                changed[place] ^= 1
                wallet.session = b64.encode(bytes(changed))
                assert fails_with(await wallet.forward(), 401, "session_unknown"), place
            for odd in ("x", b64.encode(good[:-1]), b64.encode(good + b"x"), "=" * 92, "x" * 4000):
                wallet.session = odd
                assert fails_with(await wallet.forward(), 401, "session_unknown"), odd
            assert wallet.issuer.seen == []

    asyncio.run(main())


def test_keys_of_tokens_are_destroyed_when_no_token_can_need_them(tmp_path: Path) -> None:
    file = tmp_path / "w.db"
    url = f"sqlite:///{file}"

    async def main() -> None:
        async with stage(database=url, session_lifetime=3600) as wallet:
            clock = wallet.clock
            before = secrets_in(file)
            assert len(before) == 2
        clock.now += 2 * 86400 + 3600
        async with stage(database=url, session_lifetime=3600, clock=clock) as wallet:
            assert (await wallet.forward()).status == 200
            assert secrets_in(file) & before == set()
        assert [secret for secret in before if secret in pages_of(file)] == []

    asyncio.run(main())


def test_an_ended_session_is_over_and_all_of_it_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "w.db"

    async def main() -> None:
        async with stage(FakeIssuer(DEFERRED), database=f"sqlite:///{file}") as wallet:
            ticket = await deferred(wallet)
            await put(wallet, ticket=ticket)
            delivery = await wallet.accepted(key=KEY)
            await wallet.fetch(delivery)
            assert (await wallet.ask("DELETE", "/sessions")).status == 204
            for answer in (
                await wallet.forward(),
                await wallet.forward(key=KEY),
                await wallet.fetch(delivery),
                await wallet.ask("DELETE", f"/deliveries/{delivery}"),
                await wallet.ask("GET", "/wakeups"),
                await wallet.ask("DELETE", "/wakeups"),
                await put(wallet, ticket=ticket),
                await wallet.ask("POST", "/sessions"),
            ):
                assert fails_with(answer, 401, "session_unknown")
            assert len(wallet.issuer.posts) == 2
            assert counts(file) == {"deliveries": 0, "wakeups": 0, "ended": 1, "sessions": 0, "records": 0}

    asyncio.run(main())


def test_so_many_ended_sessions_are_remembered_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STRANGERS_ROWS", 3)
    file = tmp_path / "w.db"

    async def main() -> None:
        async with stage(database=f"sqlite:///{file}") as wallet:
            for _ in range(5):
                await wallet.begin()
                assert (await wallet.ask("DELETE", "/sessions")).status == 204
            assert counts(file)["ended"] == 3

    asyncio.run(main())


def test_a_session_asks_so_often_and_no_oftener() -> None:
    async def main() -> None:
        async with stage(session_rate=3) as wallet:
            for _ in range(3):
                await wallet.forward()
            answer = await wallet.forward()
            assert fails_with(answer, 429, "rate_limited")
            assert 1 <= int(answer.headers["retry-after"]) <= 20
            assert len(wallet.issuer.posts) == 3
            await wallet.begin()
            assert (await wallet.forward()).status == 200

    asyncio.run(main())


def test_all_together_ask_so_often_and_no_oftener() -> None:
    async def main() -> None:
        async with stage(global_rate=1) as wallet:
            answers = [await wallet.ask("POST", "/sessions", session=None) for _ in range(5)]
            assert any(answer.status == 429 for answer in answers)
            answers = [await wallet.forward() for _ in range(5)]
            assert any(answer.status == 429 for answer in answers)
            # Tokens that are no tokens use up nobody's share.
            answers = [await wallet.forward(Safeconduct_Session="x") for _ in range(5)]
            assert {answer.status for answer in answers} == {401}

    asyncio.run(main())


def test_a_wake_up_is_handed_out_once_when_it_is_due() -> None:
    async def main() -> None:
        async with stage(FakeIssuer(DEFERRED)) as wallet:
            ticket = await deferred(wallet)
            assert (await put(wallet, ticket=ticket, after=100)).status == 204
            assert await woken(wallet) == ([], 100)
            wallet.clock.now += 99
            assert await woken(wallet) == ([], 1)
            wallet.clock.now += 1
            assert await woken(wallet) == ([ISSUER], None)
            assert await woken(wallet) == ([], None)

    asyncio.run(main())


def test_a_later_wish_replaces_an_earlier_one_and_all_can_be_forgotten() -> None:
    async def main() -> None:
        async with stage(FakeIssuer(DEFERRED)) as wallet:
            ticket = await deferred(wallet)
            await put(wallet, ticket=ticket, after=10)
            await put(wallet, ticket=ticket, after=50)
            assert await woken(wallet) == ([], 50)
            assert (await wallet.ask("DELETE", "/wakeups")).status == 204
            assert await woken(wallet) == ([], None)

    asyncio.run(main())


def test_a_wallet_can_wait_for_its_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 0.01)

    async def main() -> None:
        async with stage(FakeIssuer(DEFERRED)) as wallet:
            await put(wallet, ticket=await deferred(wallet), after=1000)
            waiting = asyncio.create_task(woken(wallet, wait=30))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            monkeypatch.setattr(limits, "LONG_POLLS", 1)
            assert await woken(wallet, wait=30) == ([], 1000)  # no room to wait
            wallet.clock.now += 1000
            assert await waiting == ([ISSUER], None)

    asyncio.run(main())


def test_only_a_session_that_something_was_deferred_for_may_register_a_wake_up() -> None:
    async def main() -> None:
        async with stage(FakeIssuer(DEFERRED)) as wallet:
            ticket = await deferred(wallet)
            refused: list[dict[str, Any]] = [
                {"ticket": "x"},
                {"ticket": b64.encode(bytes(36))},
                {"ticket": ticket[:-4] + ("AAAA" if not ticket.endswith("AAAA") else "BBBB")},
                {"ticket": ticket, "issuer": OTHER},
            ]
            for members in refused:
                assert fails_with(await put(wallet, **members), 403, "ticket_refused")
            answer = await put(wallet, ticket=ticket, issuer="https://stranger.example")
            assert fails_with(answer, 403, "issuer_not_allowed")
            await wallet.begin()
            assert fails_with(await put(wallet, ticket=ticket), 403, "ticket_refused")

    asyncio.run(main())


def test_a_renewed_session_may_use_the_tickets_it_has() -> None:
    async def main() -> None:
        async with stage(FakeIssuer(DEFERRED)) as wallet:
            ticket = await deferred(wallet)
            wallet.session = (await wallet.ask("POST", "/sessions")).json()["session"]
            assert (await put(wallet, ticket=ticket)).status == 204

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "json_malformed"),
        (b"[]", 400, "json_not_object"),
        (b"{}", 400, "message_malformed"),
        (b'{"issuer":"x","after":0,"ticket":"x"}', 400, "message_malformed"),
        (b'{"issuer":"x","after":%d,"ticket":"x"}' % (limits.WAKEUP_SECONDS + 1), 400, "message_malformed"),
        (b'{"issuer":"x","after":1.5,"ticket":"x"}', 400, "message_malformed"),
        (b'{"issuer":"x","after":1,"ticket":"x","handle":"short"}', 400, "message_malformed"),
        (b'{"issuer":"x","issuer":"x","after":1,"ticket":"x"}', 400, "json_duplicate_member"),
        (b" " * (limits.WAKEUP_BYTES + 1), 413, "body_too_large"),
    ],
)
def test_an_odd_wish_is_refused(body: bytes, status: int, code: str) -> None:
    async def main() -> None:
        async with stage() as wallet:
            headers = {"Content-Type": "application/json"}
            answer = await wallet.ask("PUT", "/wakeups", headers=headers, content=body)
            assert fails_with(answer, status, code)
            answer = await wallet.ask("PUT", "/wakeups", content=body)
            assert answer.status in (413, 415)

    asyncio.run(main())


def test_a_session_has_so_many_wake_ups_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WAKEUPS", 1)

    async def main() -> None:
        async with stage(FakeIssuer(DEFERRED)) as wallet:
            await put(wallet, ticket=await deferred(wallet))
            other = (await wallet.forward(Safeconduct_Issuer=OTHER)).headers["safeconduct-wake"]
            assert fails_with(await put(wallet, ticket=other, issuer=OTHER), 429, "session_full")
            assert (await put(wallet, ticket=await deferred(wallet))).status == 204

    asyncio.run(main())


def test_the_push_gateway_is_told_a_handle_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "w.db"
    settings: dict[str, Any] = {
        "database": f"sqlite:///{file}",
        "wake_url": GATEWAY,
        "wake_secret": Secret("secret-of-the-gateway"),
    }

    async def main() -> None:
        async with stage(FakeIssuer(DEFERRED), **settings) as wallet:
            await put(wallet, ticket=await deferred(wallet), after=60, handle=HANDLE)
            session, clock = wallet.session, wallet.clock
        clock.now += 60
        gateway = FakeIssuer(Response(204, {}, b""), steps=[TooSlow("fetch_timeout", "Slow.")])
        async with stage(gateway, clock=clock, **settings) as wallet:  # looks as it opens
            assert len(gateway.posts) == 1
            assert "wakeup_not_pushed" in wallet.log.getvalue()
        async with stage(gateway, clock=clock, **settings):
            assert len(gateway.posts) == 1
        clock.now += wakeups.PUSH_AGAIN[0]
        async with stage(gateway, clock=clock, **settings):
            pass
        async with stage(gateway, clock=clock, **settings) as wallet:
            assert len(gateway.posts) == 2
            url, headers, body = gateway.posts[1]
            assert (url, body) == (GATEWAY, json.dumps({"handle": HANDLE}))
            assert body is not None
            expected = wakeups.signature("secret-of-the-gateway", body, now=clock.now)
            assert headers == {"Content-Type": "application/json", "Safeconduct-Signature": expected}
            assert HANDLE.encode() not in pages_of(file)
            wallet.session = session
            assert await woken(wallet) == ([ISSUER], None)

    asyncio.run(main())


def test_a_gateway_that_never_answers_is_given_up(tmp_path: Path) -> None:
    file = tmp_path / "w.db"
    settings: dict[str, Any] = {
        "database": f"sqlite:///{file}",
        "wake_url": GATEWAY,
        "wake_secret": Secret("secret-of-the-gateway"),
        "session_token_lifetime": 86400,
    }

    async def main() -> None:
        async with stage(FakeIssuer(DEFERRED), **settings) as wallet:
            await put(wallet, ticket=await deferred(wallet), after=60, handle=HANDLE)
            clock = wallet.clock
        gateway = FakeIssuer(Response(500, {}, b""))
        for seconds in (60, *wakeups.PUSH_AGAIN, 10_000):
            clock.now += seconds
            async with stage(gateway, clock=clock, **settings):
                pass
        assert len(gateway.posts) == 1 + len(wakeups.PUSH_AGAIN)

    asyncio.run(main())


def test_without_a_gateway_no_handle_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "w.db"

    async def main() -> None:
        async with stage(FakeIssuer(DEFERRED), database=f"sqlite:///{file}") as wallet:
            assert (await put(wallet, ticket=await deferred(wallet), handle=HANDLE)).status == 204
            assert HANDLE.encode() not in pages_of(file)

    asyncio.run(main())


def test_an_issuer_may_be_added_to_the_file_and_taken_from_it(tmp_path: Path) -> None:
    listed = tmp_path / "issuers"
    url = f"sqlite:///{tmp_path / 'w.db'}"
    listed.write_text(f"# ours\n\n{OTHER}\n")

    async def main() -> None:
        settings: dict[str, Any] = {"issuers": (ISSUER,), "issuers_file": listed, "database": url}
        async with stage(**settings) as wallet:
            assert (await wallet.manage("/issuers")).json() == {"issuers": [ISSUER, OTHER]}
            assert (await wallet.forward(Safeconduct_Issuer=OTHER)).status == 200

    asyncio.run(main())


def test_only_a_running_exchange_is_waited_for_when_nothing_can_be_stored() -> None:
    async def main() -> None:
        held = Held()
        async with stage(FakeIssuer(steps=[held]), session_deliveries=1) as wallet:
            asking = asyncio.create_task(wallet.forward(prefer="wait=1"))
            await held.begun.wait()
            await wallet.accepted(JWE)
            held.released.set()
            assert (await asking).status == 200
            await until(lambda: wallet.counted(outcome="delivered") == 2)

    asyncio.run(main())


async def deferred(wallet: Stage) -> str:
    """Have a credential deferred; returns the ticket."""
    return (await wallet.forward()).headers["safeconduct-wake"]


async def put(wallet: Stage, **members: Any) -> Response:
    wish = {"issuer": ISSUER, "after": 5, **members}
    headers = {"Content-Type": "application/json"}
    return await wallet.ask("PUT", "/wakeups", headers=headers, content=json.dumps(wish))


async def woken(wallet: Stage, *, wait: int = 0) -> tuple[list[str], int | None]:
    answer = await wallet.ask("GET", f"/wakeups?wait={wait}")
    assert answer.status == 200, answer
    return [entry["issuer"] for entry in answer.json()["wakeups"]], answer.json()["next"]


def counts(file: Path) -> dict[str, int]:
    connection = sqlite3.connect(file)
    try:
        return {
            name: connection.execute(f"SELECT count(*) FROM wallet_server_{name}").fetchone()[0]  # noqa: S608
            for name in ("deliveries", "wakeups", "ended", "sessions", "records")
        }
    finally:
        connection.close()


def secrets_in(file: Path) -> set[bytes]:
    connection = sqlite3.connect(file)
    try:
        return {row[0] for row in connection.execute("SELECT secret FROM wallet_server_keys")}
    finally:
        connection.close()
