"""The wallet server: what passes through it at once, what it refuses, and what it keeps."""

import asyncio
from pathlib import Path

import pytest
from tests.flows.wallet_server_stage import (
    CREDENTIALS,
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
    too_slow,
)

from safeconduct import limits
from safeconduct.errors import Rejected
from safeconduct.net.fetch import Response
from safeconduct.services.wallet_server import line
from safeconduct.services.wallet_server.tables import metadata
from safeconduct.storage import Database
from safeconduct.storage.migrations import WALLET_SERVER, differences


@pytest.mark.parametrize(("kind", "path"), [("credential", "/credential"), ("deferred", "/deferred")])
def test_a_sealed_request_and_its_answer_pass_byte_for_byte(kind: str, path: str) -> None:
    async def main() -> None:
        nonce = {"dpop-nonce": "n-1", "x-odd": "1"}
        issuer = FakeIssuer(Response(200, {**SEALED.headers, **nonce}, SEALED.body))
        async with stage(issuer) as wallet:
            answer = await wallet.forward(kind=kind)
            assert (answer.status, answer.body) == (200, SEALED.body)
            assert answer.content_type == "application/jwt"
            assert answer.headers["dpop-nonce"] == "n-1"
            assert answer.headers["safeconduct-from"] == "issuer"
            assert "x-odd" not in answer.headers
            assert "safeconduct-wake" not in answer.headers
            [(url, sent, content)] = issuer.posts
            assert (url, content) == (ISSUER + path, JWE)
            assert sent == {
                "Authorization": CREDENTIALS["authorization"],
                "DPoP": CREDENTIALS["dpop"],
                "Content-Type": "application/jwt",
                "Accept": "application/jwt, application/json",
            }

    asyncio.run(main())


def test_an_issuers_deferral_passes_with_a_ticket_for_a_wake_up() -> None:
    async def main() -> None:
        async with stage(FakeIssuer(DEFERRED)) as wallet:
            answer = await wallet.forward()
            assert (answer.status, answer.content_type, answer.body) == (
                202,
                "application/jwt",
                DEFERRED.body,
            )
            assert answer.headers["safeconduct-wake"]

    asyncio.run(main())


@pytest.mark.parametrize(
    "error",
    [
        problem(
            401, "use_dpop_nonce", **{"www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": "n"}
        ),
        problem(400, "invalid_proof"),
        problem(400, "an_invention_of_the_issuer"),
        problem(500, "server_error"),
        Response(401, {"www-authenticate": "DPoP"}, b""),
    ],
)
def test_an_error_of_the_issuer_comes_back_unchanged(error: Response) -> None:
    async def main() -> None:
        async with stage(FakeIssuer(error)) as wallet:
            through = await wallet.forward()
            assert (through.status, through.body) == (error.status, error.body)
            assert through.headers["safeconduct-from"] == "issuer"
            for name in ("www-authenticate", "dpop-nonce", "content-type"):
                assert through.headers.get(name) == error.headers.get(name)

    asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, {"content-type": "application/json"}, b'{"credentials":[{"credential":"x"}]}'),
        Response(200, {"content-type": "application/jwt"}, b"eyJh.eyJi.AAAA"),
        Response(200, {"content-type": "application/jwt"}, b""),
        Response(200, {"content-type": "text/html"}, JWE),
        Response(200, {}, JWE),
        Response(201, {"content-type": "application/jwt"}, JWE),
        Response(204, {}, b""),
        Response(400, {"content-type": "application/jwt"}, JWE),
        Response(400, {"content-type": "text/html"}, b'{"error":"invalid_proof"}'),
        Response(400, {"content-type": "application/json"}, b'{"credential":"x"}'),
        Response(502, {"content-type": "text/html"}, b"<h1>Bad gateway</h1>"),
        problem(400, "x" * limits.ISSUER_ERROR_BYTES),
    ],
)
def test_what_is_neither_sealed_nor_an_error_is_passed_to_nobody_and_not_kept(answer: Response) -> None:
    async def main() -> None:
        async with stage(FakeIssuer(answer)) as wallet:
            assert fails_with(await wallet.forward(), 502, "answer_unusable")
            delivery = await wallet.accepted()
            assert fails_with(await wallet.fetch(delivery), 502, "answer_unusable")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Safeconduct_Session": None}, 401, "session_unknown"),
        ({"Safeconduct_Session": "another"}, 401, "session_unknown"),
        ({"Safeconduct_Issuer": None}, 403, "issuer_not_allowed"),
        ({"Safeconduct_Issuer": "https://stranger.example"}, 403, "issuer_not_allowed"),
        ({"Safeconduct_Issuer": f"{ISSUER}/"}, 403, "issuer_not_allowed"),
        ({"Safeconduct_Issuer": f"{ISSUER}/token"}, 403, "issuer_not_allowed"),
        ({"Authorization": None}, 401, "token_missing"),
        ({"Authorization": "Basic x"}, 401, "token_missing"),
        ({"Authorization": "Bearer token"}, 400, "bearer_refused"),
        ({"Authorization": "DPoP \N{SECTION SIGN}"}, 400, "token_malformed"),
        ({"DPoP": None}, 400, "dpop_missing"),
        ({"DPoP": "a, b"}, 400, "dpop_repeated"),
        ({"Content_Type": "application/json"}, 400, "plaintext_refused"),
        ({"Content_Type": None}, 400, "plaintext_refused"),
        ({"Idempotency_Key": "short"}, 400, "idempotency_key_malformed"),
        ({"Idempotency_Key": "x" * (limits.IDEMPOTENCY_KEY_CHARS + 1)}, 400, "idempotency_key_malformed"),
        ({"Idempotency_Key": "spaces are not allowed"}, 400, "idempotency_key_malformed"),
    ],
)
@pytest.mark.parametrize("kind", ["credential", "deferred"])
def test_what_may_not_pass_is_refused_and_not_sent(
    kind: str, headers: dict[str, str | None], status: int, code: str
) -> None:
    async def main() -> None:
        async with stage() as wallet:
            assert fails_with(await wallet.forward(kind=kind, **headers), status, code)
            assert wallet.issuer.seen == []
            assert wallet.counted() == 0

    asyncio.run(main())


def test_only_sealed_bodies_pass() -> None:
    async def main() -> None:
        async with stage() as wallet:
            for body in (
                b"",
                b'{"credential_identifier":"x"}',
                b"a.b.c",
                b"e30.AAAA.AAAA",
                b"e30..AAAA.AAAA.AAAA",
                b"AAAA..AAAA.AAAA.AAAA",
                JWE + b".AAAA",
                JWE + b" ",
                JWE + b"\n",
                JWE.replace(b"..", b".=."),
                JWE.rpartition(b".")[0] + b".",
            ):
                assert fails_with(await wallet.forward(body), 400, "plaintext_refused"), body
            assert fails_with(await wallet.forward(JWE + b"A" * 300_000), 413, "body_too_large")
            assert wallet.issuer.seen == []

    asyncio.run(main())


def test_notifications_are_refused_and_paths_beside_the_known_ones_are_not_served() -> None:
    async def main() -> None:
        async with stage() as wallet:
            body = b'{"notification_id":"x","event":"credential_accepted"}'
            answer = await wallet.forward(body, kind="notification", Content_Type="application/json")
            assert fails_with(answer, 403, "notification_direct")
            for path in ("/forward/token", "/forward/nonce", "/forward", "/offers/x", "/token"):
                assert (await wallet.ask("POST", path, content=b"")).status == 404
            assert wallet.issuer.seen == []

    asyncio.run(main())


def test_a_refused_connection_is_tried_again_and_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "PAUSE_SECONDS", 0.001)

    async def main() -> None:
        issuer = FakeIssuer(steps=[refused(), refused(), refused()])
        async with stage(issuer) as wallet:
            assert (await wallet.forward()).status == 200
            assert len(issuer.posts) == 4

    asyncio.run(main())


@pytest.mark.parametrize(
    ("failure", "status", "code", "outcome"),
    [
        (broken(), 504, "outcome_unknown", "broken_off"),
        (too_slow(), 504, "issuer_timeout", "timeout"),
        (Rejected("fetch_redirect", "A redirect."), 502, "answer_unusable", "unusable_answer"),
        (Rejected("fetch_too_large", "Too large."), 502, "answer_unusable", "unusable_answer"),
    ],
)
def test_what_may_have_been_sent_is_never_sent_again(
    failure: Exception, status: int, code: str, outcome: str
) -> None:
    async def main() -> None:
        issuer = FakeIssuer(steps=[failure])
        async with stage(issuer) as wallet:
            assert fails_with(await wallet.forward(key=KEY), status, code)
            # Not even if the wallet says the same once more.
            assert fails_with(await wallet.forward(key=KEY), status, code)
            assert len(issuer.posts) == 1
            assert wallet.counted(outcome=outcome) == 1

    asyncio.run(main())


def test_an_address_that_may_not_be_connected_to_is_not_tried_again() -> None:
    async def main() -> None:
        issuer = FakeIssuer(steps=[Rejected("fetch_address_refused", "Not allowed.")])
        async with stage(issuer) as wallet:
            assert fails_with(await wallet.forward(), 502, "issuer_metadata")
            assert len(issuer.posts) == 1

    asyncio.run(main())


def test_the_endpoint_comes_from_the_issuers_own_metadata_and_is_remembered() -> None:
    async def main() -> None:
        issuer = FakeIssuer()
        async with stage(issuer) as wallet:
            await wallet.forward()
            await asyncio.gather(*(wallet.forward() for _ in range(5)))
            assert [method for method, *_ in issuer.seen].count("GET") == 1
            wallet.clock.now += 301
            await asyncio.gather(*(wallet.forward(Safeconduct_Issuer=OTHER) for _ in range(5)))
            await wallet.forward()
            assert [method for method, *_ in issuer.seen].count("GET") == 3

    asyncio.run(main())


@pytest.mark.parametrize(
    "members",
    [
        {"credential_issuer": OTHER},
        {"credential_endpoint": "http://issuer.example/credential"},
        {"credential_endpoint": "https://127.0.0.1/credential"},
        {"credential_endpoint": f"{ISSUER}/notification"},
        {"credential_endpoint": f"{ISSUER}/nonce"},
        {"credential_endpoint": f"{ISSUER}/deferred"},
        {"deferred_credential_endpoint": f"{ISSUER}/notification"},
        {"deferred_credential_endpoint": f"{ISSUER}/nonce"},
    ],
)
def test_metadata_that_would_lead_requests_astray_are_not_used(members: dict[str, str]) -> None:
    async def main() -> None:
        issuer = FakeIssuer(members=members)
        async with stage(issuer) as wallet:
            for kind in ("credential", "deferred"):
                assert fails_with(await wallet.forward(kind=kind), 502, "issuer_metadata")
            # Asked once: a failure is remembered for a moment.
            assert [method for method, *_ in issuer.seen] == ["GET"]
            wallet.clock.now += 6
            issuer.members = {}
            assert (await wallet.forward()).status == 200

    asyncio.run(main())


def test_an_issuer_without_a_deferred_endpoint_is_said_to_have_none() -> None:
    async def main() -> None:
        issuer = FakeIssuer(members={"deferred_credential_endpoint": None})
        async with stage(issuer) as wallet:
            assert fails_with(await wallet.forward(kind="deferred"), 404, "deferred_unsupported")
            assert issuer.posts == []

    asyncio.run(main())


def test_a_slow_issuer_does_not_hold_up_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        held = Held()
        issuer = FakeIssuer(steps=[held])
        async with stage(issuer, issuer_concurrency=1, issuer_waiting=2) as wallet:
            first = asyncio.create_task(wallet.forward())
            await held.begun.wait()
            second = asyncio.create_task(wallet.forward())  # waits for its turn
            await asyncio.sleep(0.05)
            answer = await wallet.forward()
            assert fails_with(answer, 503, "issuer_busy")
            assert answer.headers["retry-after"] == "1"
            assert (await wallet.forward(Safeconduct_Issuer=OTHER)).status == 200
            held.released.set()
            assert {(await first).status, (await second).status} == {200}
            assert wallet.counted(outcome="busy") == 1

    asyncio.run(main())


def test_an_issuer_that_fails_is_spared_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        issuer = FakeIssuer(steps=[problem(503, "temporarily_unavailable"), too_slow(), broken()])
        async with stage(issuer, breaker_failures=3, breaker_seconds=600) as wallet:
            for _ in range(3):
                await wallet.forward()
            answer = await wallet.forward()
            assert fails_with(answer, 503, "issuer_resting")
            assert 590 <= int(answer.headers["retry-after"]) <= 600
            assert len(issuer.posts) == 3
            assert wallet.counted(outcome="breaker_open") == 1
            assert (await wallet.forward(Safeconduct_Issuer=OTHER)).status == 200

    asyncio.run(main())


def test_errors_that_a_wallet_can_cause_do_not_make_an_issuer_rest() -> None:
    async def main() -> None:
        issuer = FakeIssuer(problem(500, "server_error"))
        async with stage(issuer, breaker_failures=1) as wallet:
            for status in (500, 400, 429):
                issuer.answer = problem(status, "server_error")
                for _ in range(3):
                    assert (await wallet.forward()).status == status

    asyncio.run(main())


def test_nothing_of_a_request_stays_in_database_log_or_metrics(tmp_path: Path) -> None:
    file = tmp_path / "wallet-server.db"
    secrets = [b"tok-of-the-wallet", b"proof-of-the-wallet", b"QkJC" * 20, b"RERE" * 20]
    body = JWE.rpartition(b".")[0] + b"." + secrets[2]
    answer = Response(200, SEALED.headers, JWE.rpartition(b".")[0] + b"." + secrets[3])

    async def main() -> None:
        async with stage(FakeIssuer(answer), database=f"sqlite:///{file}") as wallet:
            secrets.append(wallet.session.encode())
            headers = {"authorization": f"DPoP {secrets[0].decode()}", "dpop": secrets[1].decode()}
            assert (await wallet.forward(body, **headers)).body == answer.body
            pages = pages_of(file)
            shown = wallet.log.getvalue().encode() + wallet.telemetry.metrics.render()
            assert [secret for secret in secrets if secret in pages + shown] == []
            assert b"request_answered" in shown
            assert ISSUER.encode() in shown

    asyncio.run(main())


def test_the_migrated_tables_are_the_declared_ones() -> None:
    async def main() -> None:
        async with await Database.open("sqlite://", branch=WALLET_SERVER) as database:
            assert await database.run(differences, metadata, prefix="wallet_server_") == []

    asyncio.run(main())
