"""What those who run a wallet server see and choose: counts, shims, metadata passed through, documents."""

import ast
import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route
from tests.flows.wallet_server_stage import (
    ADMIN,
    ISSUER,
    JWE,
    KEY,
    OTHER,
    SEALED,
    SIGNED_METADATA,
    FakeIssuer,
    fails_with,
    problem,
    refused,
    stage,
    too_slow,
)

import safeconduct
from safeconduct import limits
from safeconduct.net.fetch import Response
from safeconduct.services.wallet_server import openapi, outcomes, reliability, shims, store
from safeconduct.services.wallet_server.allow_list import AllowList
from safeconduct.services.wallet_server.routes import admin_routes, routes
from safeconduct.settings import SettingsError, Shim, WalletServerSettings
from safeconduct.storage import StorageUnavailable

SOURCES = Path(safeconduct.__file__).parent
HOUR = reliability.HOUR


def test_counts_are_shown_by_issuer_over_hours_that_are_over_and_rounded_down(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'w.db'}"
    error, invention = problem(400, "invalid_nonce"), problem(400, "wallet_4711")

    async def main() -> None:
        issuer = FakeIssuer(steps=[*[SEALED] * 25, *[error] * 12, *[invention] * 9, too_slow()])
        async with stage(issuer, database=url, small_counts=10, global_rate=10_000) as wallet:
            wallet.clock.now += HOUR - wallet.clock.now % HOUR
            for _ in range(47):
                await wallet.forward()
            assert (await wallet.manage("/reliability")).json()["issuers"] == []
            clock = wallet.clock
        clock.now += HOUR
        async with stage(database=url, small_counts=10, clock=clock) as wallet:
            summary = (await wallet.manage("/reliability?hours=1")).json()
            assert (summary["before"], summary["since"]) == (clock.now, clock.now - HOUR)
            assert summary["rounded_to"] == 10
            [shown] = summary["issuers"]
            assert shown["issuer"] == ISSUER
            assert shown["counts"]["outcome"] == {"delivered": 20, "issuer_error_4xx": 20}
            assert shown["counts"]["error"] == {"none": 20, "invalid_nonce": 10}
            assert shown["counts"]["kind"] == {"credential": 40}
            assert {*shown["counts"]} <= {"outcome", "error", "kind", "seconds", "bytes_in", "bytes_out"}
            sizes = [*shown["counts"]["bytes_in"], *shown["counts"]["bytes_out"]]
            assert sizes == ["256", "256"]
        clock.now += 9 * 86400
        async with stage(database=url, clock=clock) as wallet:
            assert (await wallet.manage("/reliability?hours=168")).json()["issuers"] == []

    asyncio.run(main())


def test_an_invented_error_code_is_counted_as_other() -> None:
    async def main() -> None:
        async with stage(FakeIssuer(problem(400, "wallet_4711"))) as wallet:
            await wallet.forward()
            assert wallet.counted(error="other", outcome="issuer_error_4xx") == 1
            assert b"wallet_4711" not in wallet.telemetry.metrics.render()

    asyncio.run(main())


def test_counts_that_cannot_be_kept_are_not_lost_and_hold_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = store.add_outcomes
    failing = True

    def unreliable(*arguments: Any) -> None:
        if failing:
            raise StorageUnavailable("busy")
        keep(*arguments)

    monkeypatch.setattr(store, "add_outcomes", unreliable)

    async def main() -> None:
        nonlocal failing
        async with stage(database=f"sqlite:///{tmp_path / 'w.db'}") as wallet:
            assert (await wallet.forward()).status == 200
        assert "counts_lost" in wallet.log.getvalue()

    asyncio.run(main())


@pytest.mark.parametrize("hours", ["0", "169", "x", "1&hours=2", "-1"])
def test_an_odd_number_of_hours_is_refused(hours: str) -> None:
    async def main() -> None:
        async with stage() as wallet:
            assert fails_with(await wallet.manage(f"/reliability?hours={hours}"), 400, "hours_malformed")

    asyncio.run(main())


def test_every_outcome_has_its_class() -> None:
    made = {outcomes.problem(code).outcome for code in outcomes._BY_CODE}
    assert made <= set(reliability.OUTCOMES)


SHIMMED: list[tuple[Shim, Response, int]] = [
    ("answer_as_jose", Response(200, {"content-type": "application/jose"}, SEALED.body), 200),
    ("answer_untyped", Response(200, {}, SEALED.body), 200),
    ("answer_untyped", Response(202, {"content-type": "text/plain"}, SEALED.body), 202),
    ("created_as_ok", Response(201, {"content-type": "application/jwt"}, SEALED.body), 200),
    ("error_untyped", Response(400, {"content-type": "text/plain"}, b'{"error":"invalid_proof"}'), 400),
]


@pytest.mark.parametrize(("shim", "answer", "status"), SHIMMED)
def test_a_shim_lets_an_envelope_pass_and_leaves_the_body_alone(
    shim: Shim, answer: Response, status: int
) -> None:
    async def main() -> None:
        async with stage(FakeIssuer(answer), shims={ISSUER: (shim,)}) as wallet:
            passed = await wallet.forward()
            assert (passed.status, passed.body) == (status, answer.body)
            assert passed.content_type == ("application/jwt" if status < 400 else "application/json")
            assert passed.headers["safeconduct-from"] == "issuer"
            # Another issuer is not given the benefit.
            other = await wallet.forward(Safeconduct_Issuer=OTHER)
            assert fails_with(other, 502, "answer_unusable")
            # What the wallet sends is not touched either.
            for _, sent, content in wallet.issuer.posts:
                assert content == JWE
                assert (sent["Authorization"], sent["DPoP"]) == ("DPoP token", "proof")
                assert sent["Content-Type"] == "application/jwt"

    asyncio.run(main())


def test_a_request_may_go_out_under_the_old_media_type_and_is_otherwise_the_same() -> None:
    async def main() -> None:
        async with stage(shims={ISSUER: ("request_as_jose",)}) as wallet:
            assert (await wallet.forward()).body == SEALED.body
            [(_, sent, content)] = wallet.issuer.posts
            assert content == JWE
            assert sent == {
                "Authorization": "DPoP token",
                "DPoP": "proof",
                "Content-Type": "application/jose",
                "Accept": "application/jwt, application/json",
            }

    asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, {"content-type": "application/jose"}, b'{"credentials":[]}'),
        Response(200, {}, b"eyJh.eyJi.AAAA"),
        Response(200, {"content-type": "text/html"}, SEALED.body),
        Response(201, {"content-type": "application/json"}, b'{"credentials":[]}'),
        Response(400, {"content-type": "text/plain"}, b"error"),
        Response(200, {"content-type": "text/plain"}, b'{"error":"x"}'),
    ],
)
def test_all_shims_together_let_nothing_pass_that_is_not_sealed_and_no_error(answer: Response) -> None:
    async def main() -> None:
        every: tuple[Shim, ...] = ("request_as_jose", *shims.ANSWER_SHIMS)
        async with stage(FakeIssuer(answer), shims={ISSUER: every}) as wallet:
            assert fails_with(await wallet.forward(), 502, "answer_unusable")

    asyncio.run(main())


def test_the_settings_know_every_shim() -> None:
    assert {"request_as_jose", *shims.ANSWER_SHIMS} == set(Shim.__args__)  # type: ignore[attr-defined]


def test_metadata_pass_byte_for_byte() -> None:
    async def main() -> None:
        async with stage() as wallet:
            signed = {"Accept": "application/jwt"}
            for _ in range(2):
                found = await ask_metadata(wallet, ISSUER, **signed)
                assert (found.status, found.content_type, found.body) == (
                    200,
                    "application/jwt",
                    SIGNED_METADATA,
                )
                assert found.headers["vary"] == "Accept"
                found = await ask_metadata(wallet, ISSUER)
                assert (found.content_type, found.body) == (
                    "application/json",
                    wallet.issuer.plain_metadata(),
                )
            assert len(wallet.issuer.seen) == 2
            assert await wallet.forward()
            assert len(wallet.issuer.posts) == len(wallet.issuer.seen) - 2
            wallet.clock.now += 301
            await ask_metadata(wallet, ISSUER, **signed)
            assert len(wallet.issuer.seen) == 4

    asyncio.run(main())


def test_an_issuer_without_signed_metadata_is_said_to_have_none() -> None:
    async def main() -> None:
        for signed in (None, b"not a JWT", b"a.b.c.d"):
            async with stage(FakeIssuer(signed=signed)) as wallet:
                answer = await ask_metadata(wallet, ISSUER, Accept="application/jwt")
                assert fails_with(answer, 406, "metadata_unsigned")
                both = await ask_metadata(wallet, ISSUER, Accept="application/jwt, application/json;q=0.5")
                assert (both.status, both.content_type) == (200, "application/json")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("step", "status", "code"),
    [
        (refused(), 502, "issuer_unreachable"),
        (Response(503, {}, b""), 502, "issuer_unreachable"),
        (Response(200, {"content-type": "text/html"}, b"<h1>"), 502, "issuer_metadata"),
        (Response(404, {"content-type": "application/json"}, b"{}"), 502, "issuer_metadata"),
    ],
)
def test_metadata_that_cannot_be_had_are_said_so(step: Any, status: int, code: str) -> None:
    async def main() -> None:
        async with stage(FakeIssuer(metadata_steps=[step])) as wallet:
            assert fails_with(await ask_metadata(wallet, ISSUER), status, code)
            assert fails_with(
                await ask_metadata(wallet, "https://stranger.example"), 403, "issuer_not_allowed"
            )
            assert fails_with(await wallet.ask("GET", "/metadata", session=None), 403, "issuer_not_allowed")

    asyncio.run(main())


async def ask_metadata(wallet: Any, issuer: str, **headers: str) -> Response:
    answer: Response = await wallet.ask("GET", f"/metadata?issuer={issuer}", session=None, headers=headers)
    return answer


@pytest.mark.parametrize(
    ("content", "problem_"),
    [
        ("https://issuer.example/\n", "line 1: expected a URL without"),
        (f"{ISSUER}\nhttp://issuer.example\n", "line 2: expected https"),
        ("*.example\n", "line 1: expected an https URL"),
        ("x" * (limits.ISSUER_LIST_BYTES + 1), "expected no more than"),
        ("\udcff", "expected UTF-8 text"),
    ],
)
def test_a_file_of_issuers_with_something_else_in_it_is_refused(
    tmp_path: Path, content: str, problem_: str
) -> None:
    listed = tmp_path / "issuers"
    listed.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(SettingsError, match=re.escape(problem_)):
        AllowList(WalletServerSettings(issuers_file=listed))


def test_a_file_of_issuers_that_is_broken_later_changes_nothing(tmp_path: Path) -> None:
    listed = tmp_path / "issuers"
    listed.write_text(ISSUER)
    allow_list = AllowList(WalletServerSettings(issuers=(OTHER,), issuers_file=listed))
    listed.write_text("rubbish")
    with pytest.raises(SettingsError):
        allow_list.reload()
    assert allow_list.issuers == (OTHER, ISSUER)
    listed.unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        allow_list.reload()
    listed.write_text("# none\n")
    allow_list.reload()
    assert allow_list.issuers == (OTHER,)


def test_the_documents_name_every_route_and_method() -> None:
    for document, made in ((openapi.PUBLIC, routes), (openapi.MANAGEMENT, admin_routes)):
        served = {
            (route.path, method.lower())
            for route in made(None)  # type: ignore[arg-type]  the routes ask it for nothing yet
            for method in methods(route)
        }
        named = {(path, method) for path, methods in document["paths"].items() for method in methods}
        common = {("/healthz", "get"), ("/readyz", "get"), ("/metrics", "get")}
        assert named - (common if made is admin_routes else set()) == served


def methods(route: Route) -> set[str]:
    return (route.methods or set()) - {"HEAD"}


def test_the_documents_are_served_on_each_listener() -> None:
    async def main() -> None:
        async with stage() as wallet:
            public = await wallet.ask("GET", "/openapi.json", session=None)
            assert public.json()["info"]["title"] == "Safeconduct wallet server"
            assert (await wallet.manage("/openapi.json")).json()["openapi"] == "3.1.0"
            assert (await wallet.fetcher.request("GET", f"{ADMIN}/openapi.json")).status == 401

    asyncio.run(main())


def test_the_documents_name_every_code_that_the_service_raises() -> None:
    named = set(re.findall(r"'([a-z]+(?:_[a-z0-9]+)+)'", str(openapi.PUBLIC) + str(openapi.MANAGEMENT)))
    raised = {code for file in (SOURCES / "services/wallet_server").glob("*.py") for code in codes_in(file)}
    assert {"session_unknown", "answer_unusable", "rate_limited"} <= raised | {"rate_limited"}
    assert raised - named == set()


def codes_in(file: Path) -> set[str]:
    """First arguments of what is raised or made with a code and a sentence."""
    return {
        call.args[0].value
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and len(call.args) >= 2
        and all(
            isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            for argument in call.args[:2]
        )
        and re.fullmatch(r"(?!safeconduct)[a-z]+(?:_[a-z]+)+", call.args[0].value)  # type: ignore[attr-defined]
        and str(call.args[1].value).endswith(".")  # type: ignore[attr-defined]
    }


def test_every_reference_within_the_documents_leads_somewhere() -> None:
    for document in (openapi.PUBLIC, openapi.MANAGEMENT):
        for reference in re.findall(r"'\$ref': '#/([^']+)'", str(document)):
            place: Any = document
            for part in reference.split("/"):
                place = place[part]


def test_readiness_is_told() -> None:
    async def main() -> None:
        async with stage() as wallet:
            for path in ("/healthz", "/readyz"):
                assert (await wallet.fetcher.request("GET", ADMIN + path)).json() == {"status": "ok"}
            assert (await wallet.forward(key=KEY)).status == 200

    asyncio.run(main())
