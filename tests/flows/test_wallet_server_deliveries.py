"""Store and forward: answers wait for their wallets, requests go out once, nothing stays longer than said."""

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
    OTHER,
    SEALED,
    FakeIssuer,
    Held,
    broken,
    fails_with,
    pages_of,
    problem,
    refused,
    stage,
    until,
)

from safeconduct import limits
from safeconduct.net.fetch import Response
from safeconduct.services.wallet_server import forwarding, line, store
from safeconduct.services.wallet_server.sessions import Session, delivery_id
from safeconduct.storage import StorageUnavailable

OTHER_BODY = JWE.replace(b"AAAA", b"DDDD")


@pytest.mark.parametrize("answer", [SEALED, DEFERRED, problem(400, "invalid_proof", **{"dpop-nonce": "n"})])
@pytest.mark.parametrize("kind", ["credential", "deferred"])
def test_a_wallet_that_asks_so_fetches_the_answer_later(answer: Response, kind: str) -> None:
    async def main() -> None:
        held = Held(answer)
        async with stage(FakeIssuer(steps=[held])) as wallet:
            accepted = await wallet.forward(kind=kind, prefer="respond-async")
            assert accepted.status == 202
            assert accepted.headers["preference-applied"] == "respond-async"
            assert accepted.headers["retry-after"] == "1"
            delivery = accepted.json()["delivery"]
            assert accepted.json()["state"] == "pending"
            assert accepted.headers["location"] == f"/deliveries/{delivery}"
            await held.begun.wait()
            waiting = await wallet.fetch(delivery, wait=0)
            assert (waiting.status, waiting.json()["state"]) == (202, "pending")
            fetching = asyncio.create_task(wallet.fetch(delivery))
            held.released.set()
            fetched = await fetching
            assert (fetched.status, fetched.body) == (answer.status, answer.body)
            assert fetched.content_type == answer.content_type
            assert fetched.headers["safeconduct-from"] == "issuer"
            assert fetched.headers["safeconduct-delivery"] == delivery
            assert fetched.headers.get("dpop-nonce") == answer.headers.get("dpop-nonce")
            assert ("safeconduct-wake" in fetched.headers) == (answer is DEFERRED)
            assert len(wallet.issuer.posts) == 1

    asyncio.run(main())


@pytest.mark.parametrize("prefer", ["wait=0", "respond-async, wait=1", "WAIT=1,odd=x;y", "wait=1, wait=x"])
def test_a_slow_issuer_turns_a_request_into_a_delivery(prefer: str) -> None:
    async def main() -> None:
        held = Held()
        async with stage(FakeIssuer(steps=[held])) as wallet:
            answer = await wallet.forward(prefer=prefer)
            assert (answer.status, answer.json()["state"]) == (202, "pending")
            assert ("preference-applied" in answer.headers) == ("respond-async" in prefer)
            held.released.set()
            assert (await wallet.fetch(answer.json()["delivery"])).body == SEALED.body

    asyncio.run(main())


def test_patience_is_what_the_settings_say_unless_the_wallet_says_otherwise() -> None:
    async def main() -> None:
        held = Held()
        async with stage(FakeIssuer(steps=[held]), patience=0.05) as wallet:
            answer = await wallet.forward()
            assert (answer.status, answer.json()["state"]) == (202, "pending")
            held.released.set()
            assert (await wallet.fetch(answer.json()["delivery"])).status == 200

    asyncio.run(main())


def test_an_answer_is_read_once_and_again_for_a_short_while_only(tmp_path: Path) -> None:
    file = tmp_path / "w.db"

    async def main() -> None:
        async with stage(database=f"sqlite:///{file}", delivery_grace=30) as wallet:
            delivery = await wallet.accepted()
            assert (await wallet.fetch(delivery)).body == SEALED.body
            wallet.clock.now += 29
            assert (await wallet.fetch(delivery)).body == SEALED.body
            wallet.clock.now += 1
            assert fails_with(await wallet.fetch(delivery), 404, "delivery_unknown")

    asyncio.run(main())


def test_without_grace_an_answer_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "w.db"

    async def main() -> None:
        async with stage(database=f"sqlite:///{file}", delivery_grace=0) as wallet:
            delivery = await wallet.accepted(key=KEY)
            assert (await wallet.fetch(delivery)).body == SEALED.body
            assert fails_with(await wallet.fetch(delivery), 404, "delivery_unknown")
            assert rows(file) == [("gone", b"")]
            assert fails_with(await wallet.forward(key=KEY), 410, "delivery_gone")
            assert len(wallet.issuer.posts) == 1

    asyncio.run(main())


def test_an_answer_that_was_received_can_be_deleted_at_once(tmp_path: Path) -> None:
    file = tmp_path / "w.db"

    async def main() -> None:
        async with stage(database=f"sqlite:///{file}") as wallet:
            delivery = await wallet.accepted(key=KEY)
            await wallet.fetch(delivery)
            assert (await wallet.ask("DELETE", f"/deliveries/{delivery}")).status == 204
            assert rows(file) == [("gone", b"")]
            assert fails_with(await wallet.fetch(delivery), 404, "delivery_unknown")
            assert fails_with(await wallet.forward(key=KEY), 410, "delivery_gone")
            assert (await wallet.ask("DELETE", f"/deliveries/{'x' * 43}")).status == 204
            assert fails_with(await wallet.ask("DELETE", "/deliveries/no-such"), 404, "delivery_unknown")

    asyncio.run(main())


def test_an_answer_that_is_not_wanted_any_more_is_not_kept_when_it_comes(tmp_path: Path) -> None:
    file = tmp_path / "w.db"

    async def main() -> None:
        held = Held()
        async with stage(FakeIssuer(steps=[held]), database=f"sqlite:///{file}") as wallet:
            delivery = await wallet.accepted()
            await held.begun.wait()
            await wallet.ask("DELETE", f"/deliveries/{delivery}")
            held.released.set()
            assert fails_with(await wallet.fetch(delivery), 404, "delivery_unknown")
        assert rows(file) == [("gone", b"")]

    asyncio.run(main())


def test_no_other_session_can_read_or_delete_a_delivery() -> None:
    async def main() -> None:
        async with stage() as wallet:
            delivery = await wallet.accepted(key=KEY)
            mine, _ = wallet.session, await wallet.begin()
            assert fails_with(await wallet.fetch(delivery), 404, "delivery_unknown")
            assert (await wallet.ask("DELETE", f"/deliveries/{delivery}")).status == 204
            # The same key is another one in another session.
            assert (await wallet.forward(OTHER_BODY, key=KEY)).status == 200
            wallet.session = mine
            assert (await wallet.fetch(delivery)).body == SEALED.body
            answer = await wallet.ask("GET", f"/deliveries/{delivery}", session=None)
            assert fails_with(answer, 401, "session_unknown")

    asyncio.run(main())


def test_answers_that_nobody_fetches_are_wiped_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "w.db"

    async def main() -> None:
        url = f"sqlite:///{file}"
        async with stage(database=url, delivery_lifetime=600) as wallet:
            delivery = await wallet.accepted()
            await until(lambda: rows(file) == [("ready", SEALED.body)])
            session, clock = wallet.session, wallet.clock
        clock.now += 600
        async with stage(database=url, clock=clock) as wallet:  # sweeps as it opens
            wallet.session = session
            assert fails_with(await wallet.fetch(delivery), 404, "delivery_unknown")
            assert rows(file) == [("gone", b"")]
            assert wallet.counted(outcome="wallet_never_fetched", issuer=ISSUER) == 1
        clock.now += 600
        async with stage(database=url, clock=clock) as wallet:
            assert rows(file) == []
            assert wallet.counted(outcome="wallet_never_fetched") == 0
        assert SEALED.body not in pages_of(file)

    asyncio.run(main())


def test_a_repeated_request_gets_the_first_ones_outcome_and_is_not_sent() -> None:
    async def main() -> None:
        issuer = FakeIssuer(steps=[SEALED, problem(400, "invalid_nonce")])
        async with stage(issuer) as wallet:
            first = await wallet.forward(key=KEY)
            assert (first.status, first.body) == (200, SEALED.body)
            again = await wallet.forward(key=f'"{KEY}"', dpop="another-proof")
            assert (again.status, again.body) == (200, SEALED.body)
            assert again.headers["safeconduct-delivery"] == first.headers["safeconduct-delivery"]
            assert (await wallet.fetch(first.headers["safeconduct-delivery"])).body == SEALED.body
            failed = await wallet.forward(key=KEY + "-2")
            assert (await wallet.forward(key=KEY + "-2")).body == failed.body
            assert len(issuer.posts) == 2

    asyncio.run(main())


def test_a_key_stands_for_one_request_only() -> None:
    async def main() -> None:
        async with stage() as wallet:
            await wallet.forward(key=KEY)
            for changed in (
                {"body": OTHER_BODY},
                {"kind": "deferred"},
                {"Safeconduct_Issuer": OTHER},
            ):
                answer = await wallet.forward(key=KEY, **changed)  # type: ignore[arg-type]
                assert fails_with(answer, 422, "idempotency_key_reused")
            assert len(wallet.issuer.posts) == 1

    asyncio.run(main())


def test_of_equal_requests_at_once_one_is_sent() -> None:
    async def main() -> None:
        held = Held()
        async with stage(FakeIssuer(steps=[held])) as wallet:
            asking = [asyncio.create_task(wallet.forward(key=KEY)) for _ in range(8)]
            await held.begun.wait()
            held.released.set()
            answers = await asyncio.gather(*asking)
            assert {(answer.status, answer.body) for answer in answers} == {(200, SEALED.body)}
            assert len(wallet.issuer.posts) == 1

    asyncio.run(main())


def test_a_wallet_is_told_to_come_with_a_fresh_proof_if_nothing_could_be_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(line, "PAUSE_SECONDS", 0.4)

    async def main() -> None:
        issuer = FakeIssuer(steps=[refused()] * 100)
        async with stage(issuer, proof_lifetime=1, breaker_failures=1000) as wallet:
            delivery = await wallet.accepted(key=KEY)
            assert fails_with(await wallet.fetch(delivery), 409, "needs_fresh_proof")
            assert len(issuer.posts) >= 2
            assert wallet.counted(outcome="unreachable") == 1
            issuer.steps.clear()
            # Nothing was sent, so the same key is good again.
            answer = await wallet.forward(key=KEY, dpop="fresh-proof")
            assert (answer.status, answer.body) == (200, SEALED.body)
            assert issuer.posts[-1][1]["DPoP"] == "fresh-proof"
            assert (await wallet.fetch(delivery)).body == SEALED.body

    asyncio.run(main())


def test_after_a_refusal_before_sending_the_key_is_good_again() -> None:
    async def main() -> None:
        held = Held()
        issuer = FakeIssuer(steps=[held])
        async with stage(issuer, issuer_waiting=1) as wallet:
            await wallet.accepted()
            await held.begun.wait()
            assert fails_with(await wallet.forward(key=KEY), 503, "issuer_busy")
            held.released.set()
            await until(lambda: wallet.counted(outcome="delivered") == 1)
            assert (await wallet.forward(key=KEY)).status == 200

    asyncio.run(main())


def test_what_broke_off_is_said_so_and_never_repeated() -> None:
    async def main() -> None:
        issuer = FakeIssuer(steps=[broken()])
        async with stage(issuer) as wallet:
            delivery = await wallet.accepted(key=KEY)
            assert fails_with(await wallet.fetch(delivery), 504, "outcome_unknown")
            assert fails_with(await wallet.forward(key=KEY), 504, "outcome_unknown")
            assert len(issuer.posts) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("sent", "status", "code"), [(True, 504, "outcome_unknown"), (False, 409, "needs_fresh_proof")]
)
def test_when_the_service_stops_it_keeps_what_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bool, status: int, code: str
) -> None:
    monkeypatch.setattr("safeconduct.services.wallet_server.service.GRACE_SECONDS", 0.01)

    async def main() -> None:
        url = f"sqlite:///{tmp_path / 'w.db'}"
        held = Held()
        issuer = FakeIssuer(steps=[held]) if sent else FakeIssuer(metadata_steps=[held])
        async with stage(issuer, database=url) as wallet:
            delivery, session = await wallet.accepted(key=KEY), wallet.session
            await held.begun.wait()
        async with stage(database=url) as wallet:
            wallet.session = session
            assert fails_with(await wallet.fetch(delivery), status, code)

    asyncio.run(main())


def test_what_a_killed_process_leaves_behind_ends_as_unknown(tmp_path: Path) -> None:
    file = tmp_path / "w.db"

    async def main() -> None:
        url = f"sqlite:///{file}"
        async with stage(database=url) as wallet:
            delivery = await wallet.accepted(key=KEY)
            await wallet.fetch(delivery)
            session, clock = wallet.session, wallet.clock
        connection = sqlite3.connect(file)
        connection.execute("UPDATE wallet_server_deliveries SET state = 'pending', expires_at = 1 << 40")
        connection.execute("UPDATE wallet_server_deliveries SET answer_until = 1 << 40")
        connection.commit()
        connection.close()
        clock.now += 300
        async with stage(database=url, clock=clock) as wallet:
            wallet.session = session
            assert fails_with(await wallet.fetch(delivery), 504, "outcome_unknown")
            assert fails_with(await wallet.forward(key=KEY), 504, "outcome_unknown")
            assert wallet.issuer.posts == []

    asyncio.run(main())


def test_a_session_has_so_many_deliveries_and_no_more() -> None:
    async def main() -> None:
        async with stage(session_deliveries=2) as wallet:
            first = await wallet.accepted()
            await wallet.accepted()
            assert fails_with(await wallet.forward(prefer="respond-async"), 429, "session_full")
            assert fails_with(await wallet.forward(key=KEY), 429, "session_full")
            assert (await wallet.forward()).status == 200  # nothing needs to be stored
            await wallet.ask("DELETE", f"/deliveries/{first}")
            await wallet.accepted()
            await wallet.begin()
            await wallet.accepted()

    asyncio.run(main())


def test_a_session_has_so_many_bytes_and_no_more() -> None:
    async def main() -> None:
        answer = Response(200, SEALED.headers, JWE + b"A" * 2000)
        async with stage(FakeIssuer(answer), session_bytes=2000) as wallet:
            await wallet.fetch(await wallet.accepted())
            assert fails_with(await wallet.forward(key=KEY), 429, "session_full")

    asyncio.run(main())


def test_when_the_store_is_full_answers_pass_through_only() -> None:
    async def main() -> None:
        answer = Response(200, SEALED.headers, JWE + b"A" * 2000)
        held = Held()
        async with stage(FakeIssuer(answer), stored_bytes=1000, patience=0.05) as wallet:
            await wallet.fetch(await wallet.accepted())
            refusal = await wallet.forward(key=KEY)
            assert fails_with(refusal, 503, "storage_full")
            assert refusal.headers["retry-after"] == "60"
            wallet.issuer.steps = [held]
            passing = asyncio.create_task(wallet.forward())
            await held.begun.wait()
            await asyncio.sleep(0.1)
            held.released.set()
            assert (await passing).status == 200

    asyncio.run(main())


def test_errors_that_anybody_can_cause_make_room_for_newer_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STORED_ERRORS", 2)
    file = tmp_path / "w.db"

    async def main() -> None:
        url = f"sqlite:///{file}"
        issuer = FakeIssuer(steps=[SEALED])
        async with stage(issuer, database=url) as wallet:
            sealed, session = await wallet.accepted(), wallet.session
            issuer.answer = problem(400, "invalid_proof")
            for _ in range(5):
                wallet.clock.now += 1
                await wallet.fetch(await wallet.accepted())
            clock = wallet.clock
        async with stage(database=url, clock=clock) as wallet:
            wallet.session = session
            assert len(rows(file)) == 3
            assert (await wallet.fetch(sealed)).body == SEALED.body

    asyncio.run(main())


def test_an_answer_outlives_a_database_that_is_out_of_reach_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forwarding, "STORE_PAUSES", (0.001, 0.001))
    finish, failures = store.finish_delivery, [StorageUnavailable("busy"), StorageUnavailable("busy")]

    def unreliable(*arguments: Any, **named: Any) -> bool:
        if failures:
            raise failures.pop()
        return finish(*arguments, **named)

    monkeypatch.setattr(store, "finish_delivery", unreliable)

    async def main() -> None:
        async with stage() as wallet:
            assert (await wallet.fetch(await wallet.accepted())).body == SEALED.body
            assert wallet.log.getvalue().count("delivery_delayed") == 2
            failures.extend(StorageUnavailable("busy") for _ in range(3))
            assert (await wallet.forward(key=KEY)).body == SEALED.body
            await until(lambda: "delivery_lost" in wallet.log.getvalue())

    asyncio.run(main())


def test_too_many_waiting_wallets_are_answered_as_things_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LONG_POLLS", 1)

    async def main() -> None:
        held = Held()
        async with stage(FakeIssuer(steps=[held])) as wallet:
            delivery = await wallet.accepted()
            first = asyncio.create_task(wallet.fetch(delivery))
            await held.begun.wait()
            await asyncio.sleep(0.05)
            assert (await wallet.fetch(delivery)).status == 202
            held.released.set()
            assert (await first).status == 200

    asyncio.run(main())


@pytest.mark.parametrize("wait", ["x", "-1", str(limits.WAIT_SECONDS + 1), "1&wait=1", "", "1.5"])
def test_an_odd_wait_is_refused(wait: str) -> None:
    async def main() -> None:
        async with stage() as wallet:
            for path in (f"/deliveries/x?wait={wait}", f"/wakeups?wait={wait}"):
                assert fails_with(await wallet.ask("GET", path), 400, "wait_malformed")

    asyncio.run(main())


def test_the_life_of_a_delivery_is_the_table() -> None:
    states = {state for state, _ in store.TRANSITIONS} | set(store.TRANSITIONS.values())
    assert states == {"pending", "ready", "failed", "gone"}
    assert not any(state == "gone" for state, _ in store.TRANSITIONS)


def test_a_key_names_another_delivery_in_each_session() -> None:
    one, other = Session(b"1" * 16, 0), Session(b"2" * 16, 0)
    assert delivery_id(one, KEY) == delivery_id(one, KEY)
    assert len({delivery_id(one, KEY), delivery_id(other, KEY), delivery_id(one, KEY + "x")}) == 3


def rows(file: Path) -> list[tuple[str, bytes]]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute("SELECT state, answer FROM wallet_server_deliveries").fetchall()
    finally:
        connection.close()
