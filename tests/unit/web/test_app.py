"""Requests are bounded, errors become one kind of answer, and the log knows templates only."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected, Unsupported
from safeconduct.net.recording import Exchange
from safeconduct.settings import Secret
from safeconduct.storage import StorageUnavailable
from safeconduct.telemetry import Telemetry
from safeconduct.web import responses
from safeconduct.web.app import admin_app, public_app
from safeconduct.web.body import read_body, read_form, read_json, single_header
from safeconduct.web.problems import OAUTH, RFC9457, Problems
from safeconduct.web.recording import record

SECRET = "s3cr3t-Value"
TOKEN = "a-management-token-of-some-length"


class InvalidToken(Rejected):
    oauth_error = "invalid_token"
    http_status = 401
    http_headers: Mapping[str, str] = {"WWW-Authenticate": 'DPoP error="invalid_token"'}


class UseNonce(Rejected):
    oauth_error = "use_dpop_nonce"

    def __init__(self, nonce: str) -> None:
        super().__init__("dpop_nonce_missing", "A nonce is required.")
        self.http_headers = {"DPoP-Nonce": nonce}


ERRORS: dict[str, Exception] = {
    "malformed": Malformed("token_malformed", 'The "token" is \\ not § good.', rule="RFC 9052 §4.4"),
    "unsupported": Unsupported("algorithm_unsupported", "The algorithm is not accepted."),
    "token": InvalidToken("token_expired", "The token has expired."),
    "nonce": UseNonce("abc"),
    "storage": StorageUnavailable(SECRET),
    "bug": KeyError(SECRET),
}


async def fail(request: Request) -> Response:
    raise ERRORS[request.path_params["kind"]]


async def echo(request: Request) -> Response:
    return responses.body(await read_body(request, max_bytes=1000), media_type="text/plain")


async def whole(request: Request) -> Response:
    return responses.json({"length": len(await request.body())})


async def form(request: Request) -> Response:
    return responses.json(await read_form(request, max_bytes=1000))


async def document(request: Request) -> Response:
    return responses.json(await read_json(request, max_bytes=1000))


async def typed(request: Request) -> Response:
    await read_body(request, max_bytes=10, content_types={"application/jwt"})
    return responses.empty()


async def header(request: Request) -> Response:
    return responses.json({"dpop": single_header(request, "DPoP")})


async def cached(_request: Request) -> Response:
    return responses.json({}, status=201, headers={"Cache-Control": "max-age=60"})


async def breaks_off(_request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"half"
        raise ValueError(SECRET)

    return StreamingResponse(parts())


ROUTES = [
    Route("/fail/{kind}", fail),
    Route("/echo", echo, methods=["POST"]),
    Route("/whole", whole, methods=["POST"]),
    Route("/form", form, methods=["POST"]),
    Route("/json", document, methods=["POST"]),
    Route("/typed", typed, methods=["POST"]),
    Route("/header", header),
    Route("/cached", cached),
    Route("/offers/{id}", cached),
    Route("/breaks-off", breaks_off),
]


def public(problems: Problems = OAUTH, *, log: io.StringIO | None = None, max_body: int = 2000) -> ASGIApp:
    telemetry = Telemetry.open("issuer", stream=log or io.StringIO())
    return public_app(ROUTES, telemetry=telemetry, problems=problems, max_body=max_body)


def asked(app: ASGIApp, method: str, path: str, **request: Any) -> httpx2.Response:
    async def main() -> httpx2.Response:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="https://issuer.example") as client:
            return await client.request(method, path, **request)

    return asyncio.run(main())


def test_an_error_becomes_the_oauth_answer_of_its_class() -> None:
    answer = asked(public(), "GET", "/fail/token")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["www-authenticate"] == 'DPoP error="invalid_token"'
    assert answer.json() == {"error": "invalid_token", "error_description": "The token has expired."}


def test_an_error_may_carry_headers_of_its_own() -> None:
    answer = asked(public(), "GET", "/fail/nonce")
    assert (answer.status_code, answer.headers["dpop-nonce"]) == (400, "abc")
    assert answer.json()["error"] == "use_dpop_nonce"


def test_an_oauth_description_has_only_the_characters_it_may_have() -> None:
    answer = asked(public(), "GET", "/fail/malformed")
    assert answer.json() == {
        "error": "invalid_request",
        "error_description": "The 'token' is ' not ' good.",
    }


def test_an_error_becomes_a_problem_document_where_that_is_chosen() -> None:
    answer = asked(public(RFC9457), "GET", "/fail/malformed")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": 'The "token" is \\ not § good.',
        "code": "token_malformed",
        "rule": "RFC 9052 §4.4",
    }
    assert "rule" not in asked(public(RFC9457), "GET", "/fail/unsupported").json()


def test_an_unexpected_error_tells_the_peer_and_the_log_nothing() -> None:
    log = io.StringIO()
    answer = asked(public(log=log), "GET", "/fail/bug")
    assert answer.status_code == 500
    assert answer.json() == {"error": "server_error", "error_description": "The service failed."}
    assert SECRET not in log.getvalue()
    failure, request = map(json.loads, log.getvalue().splitlines())
    assert (failure["error_type"], failure["route"]) == ("KeyError", "/fail/{kind}")
    assert failure["request_id"] == request["request_id"]
    assert (request["status"], request["code"]) == (500, "unexpected_error")


def test_a_storage_out_of_reach_is_a_passing_fault() -> None:
    answer = asked(public(), "GET", "/fail/storage")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["error"] == "temporarily_unavailable"


def test_what_breaks_after_half_an_answer_breaks_the_connection() -> None:
    log = io.StringIO()
    with pytest.raises(ValueError, match=SECRET):
        asked(public(log=log), "GET", "/breaks-off")
    assert SECRET not in log.getvalue()
    assert '"error_type": "ValueError"' in log.getvalue()


@pytest.mark.parametrize("path", ["/nothing", "/cached/", "/offers", "//cached", "/fail/a/b"])
def test_an_unknown_path_is_answered_in_json_and_redirects_nowhere(path: str) -> None:
    answer = asked(public(RFC9457), "GET", f"https://issuer.example{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["OPTIONS", "DELETE", "PUT", "TRACE", "NONSENSE"])
def test_a_method_that_a_path_does_not_take_is_answered_in_json(method: str) -> None:
    answer = asked(public(RFC9457), method, "/echo")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_head_is_answered_as_get() -> None:
    assert asked(public(), "HEAD", "/cached").status_code == 201
    assert asked(public(), "HEAD", "/nothing").status_code == 404


@pytest.mark.parametrize("path", ["/cached", "/nothing", "/fail/bug", "/fail/token"])
def test_every_answer_has_the_safe_headers(path: str) -> None:
    headers = asked(public(), "GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["server"] == "safeconduct"
    assert headers["cache-control"] == ("max-age=60" if path == "/cached" else "no-store")


def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not() -> None:
    app = public(RFC9457, max_body=2000)
    assert asked(app, "POST", "/whole", content=b"x" * 2000).json() == {"length": 2000}
    answer = asked(app, "POST", "/whole", content=b"x" * 2001)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_listener_without_a_bound_of_its_own_has_the_limit() -> None:
    app = public_app(ROUTES, telemetry=Telemetry.silent("issuer"), problems=RFC9457)
    for extra, status in ((0, 200), (1, 413)):
        content = b"x" * (limits.HTTP_BODY_BYTES + extra)
        assert asked(app, "POST", "/whole", content=content).status_code == status


def test_a_body_without_announced_length_is_measured_while_it_is_read() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(21):
            yield b"x" * 100

    answer = asked(public(RFC9457, max_body=2000), "POST", "/whole", content=parts())
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_an_endpoint_may_read_less_than_the_listener() -> None:
    app = public(RFC9457)
    assert asked(app, "POST", "/echo", content=b"x" * 1000).content == b"x" * 1000
    answer = asked(app, "POST", "/echo", content=b"x" * 1001)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_body_that_does_not_come_runs_out_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HTTP_BODY_SECONDS", 0.05)

    async def parts() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(30)

    answer = asked(public(RFC9457), "POST", "/whole", content=parts())
    assert (answer.status_code, answer.json()["code"]) == (408, "body_too_slow")


def test_headers_and_targets_are_bounded() -> None:
    app = public(RFC9457)
    answer = asked(app, "GET", "/cached", headers={"X-Filler": "x" * limits.HTTP_HEADER_BYTES})
    assert (answer.status_code, answer.json()["code"]) == (431, "headers_too_large")
    for path in ("/" + "x" * limits.HTTP_TARGET_BYTES, "/cached?" + "x" * limits.HTTP_TARGET_BYTES):
        answer = asked(app, "GET", path)
        assert (answer.status_code, answer.json()["code"]) == (414, "target_too_long")


def test_a_body_of_another_type_is_refused() -> None:
    app = public(RFC9457)
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/jwt2"}):
        answer = asked(app, "POST", "/typed", content=b"x", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "content_type_unsupported")
    kind = {"Content-Type": "Application/JWT; charset=utf-8"}
    assert asked(app, "POST", "/typed", content=b"x", headers=kind).status_code == 204


def sent_form(content: bytes) -> httpx2.Response:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return asked(public(RFC9457), "POST", "/form", content=content, headers=kind)


def test_a_form_is_read_and_empty_parameters_count_as_left_out() -> None:
    assert sent_form(b"a=1&b=x%20y+z&c=").json() == {"a": "1", "b": "x y z"}
    assert sent_form(b"a=%C3%A9").json() == {"a": "é"}
    assert sent_form(b"").json() == {}


@pytest.mark.parametrize("content", [b"a", b"a=1&&b=2", b"a=%FF", b"a=\xff", b"&".join([b"a=1"] * 65)])
def test_what_is_no_form_is_malformed(content: bytes) -> None:
    answer = sent_form(content)
    assert (answer.status_code, answer.json()["code"]) == (400, "form_malformed")


@pytest.mark.parametrize("content", [b"a=1&a=1", b"a=1&a=", b"a=1&%61=2"])
def test_a_repeated_parameter_is_malformed(content: bytes) -> None:
    answer = sent_form(content)
    assert (answer.status_code, answer.json()["code"]) == (400, "form_parameter_repeated")


def test_json_is_read_strictly() -> None:
    def sent(content: bytes) -> httpx2.Response:
        kind = {"Content-Type": "application/json"}
        return asked(public(RFC9457), "POST", "/json", content=content, headers=kind)

    assert sent(b'{"a":1}').json() == {"a": 1}
    assert sent(b'{"a":1,"a":2}').json()["code"] == "json_duplicate_member"
    assert sent(b"[]").json()["code"] == "json_not_object"
    assert sent(b"").json()["code"] == "json_malformed"


def test_a_header_that_occurs_once_may_not_be_repeated() -> None:
    app = public(RFC9457)
    assert asked(app, "GET", "/header").json() == {"dpop": None}
    assert asked(app, "GET", "/header", headers={"dpop": "a"}).json() == {"dpop": "a"}
    answer = asked(app, "GET", "/header", headers=[("dpop", "a"), ("DPoP", "a")])
    assert (answer.status_code, answer.json()["code"]) == (400, "header_repeated")


def test_the_log_has_templates_and_no_path_query_header_or_body() -> None:
    log = io.StringIO()
    app = public(log=log)
    asked(app, "GET", f"/offers/{SECRET}?q={SECRET}", headers={"Authorization": SECRET})
    asked(app, "POST", f"/{SECRET}", content=SECRET.encode())
    asked(app, SECRET, "/echo")
    assert SECRET.lower() not in log.getvalue().lower()
    first, second, third = map(json.loads, log.getvalue().splitlines())
    assert (first["route"], first["method"], first["status"]) == ("/offers/{id}", "GET", 201)
    assert (second["route"], second["code"]) == ("unmatched", "not_found")
    assert third["method"] == "other"
    assert len({first["request_id"], second["request_id"], third["request_id"]}) == 3


def test_anything_but_http_is_not_served() -> None:
    async def never(*_: object) -> Any:
        raise AssertionError

    asyncio.run(public()({"type": "websocket"}, never, never))


async def _offers(_request: Request) -> Response:
    return responses.json({"offers": []})


def management(token: str | None, *, healthy: bool = True) -> ASGIApp:
    async def is_healthy() -> bool:
        return healthy

    return admin_app(
        [Route("/offers", _offers)],
        telemetry=Telemetry.silent("issuer"),
        token=None if token is None else Secret(token),
        healthy=is_healthy,
    )


def test_management_is_for_bearers_of_the_token() -> None:
    answer = asked(management(TOKEN), "GET", "/offers", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.json() == {"offers": []}


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "token_missing"),
        ("", "token_missing"),
        ("Bearer", "token_missing"),
        (TOKEN, "token_missing"),
        (f"Basic {TOKEN}", "token_missing"),
        (f"Bearer {TOKEN}x", "token_wrong"),
        ("Bearer é", "token_wrong"),
        (f"Bearer {TOKEN} {TOKEN}", "token_wrong"),
    ],
)
def test_nobody_else_manages(authorization: str | None, code: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    for path in ("/offers", "/nothing"):
        answer = asked(management(TOKEN), "GET", path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_two_authorizations_are_refused() -> None:
    headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer x")]
    answer = asked(management(TOKEN), "GET", "/offers", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "header_repeated")


def test_without_a_token_set_nobody_manages() -> None:
    answer = asked(management(None), "GET", "/offers", headers={"Authorization": "Bearer None"})
    assert (answer.status_code, answer.json()["code"]) == (403, "management_disabled")


def test_health_and_metrics_need_no_token_and_are_not_public() -> None:
    app = management(TOKEN)
    assert asked(app, "GET", "/healthz").json() == {"status": "ok"}
    assert b'route="/healthz"' in asked(app, "GET", "/metrics").content
    assert asked(management(TOKEN, healthy=False), "GET", "/healthz").status_code == 503
    assert asked(app, "GET", "/readyz").json() == {"status": "ok"}
    assert asked(management(TOKEN, healthy=False), "GET", "/readyz").status_code == 503
    for path in ("/healthz", "/metrics"):
        assert asked(public(), "GET", path).status_code == 404


def test_a_recording_holds_all_that_came_in_and_went_out() -> None:
    tape: list[Exchange] = []
    app = record(public(), party="issuer", tape=tape)
    asked(app, "POST", "/echo?q=1", content=b"body", headers={"DPoP": "proof"})
    (exchange,) = tape
    assert (exchange.party, exchange.direction, exchange.status) == ("issuer", "received", 200)
    assert exchange.url == "/echo?q=1"
    assert (exchange.request_body, exchange.response_body) == (b"body", b"body")
    for seen in (b"dpop: proof", b"q=1", b"referrer-policy: no-referrer"):
        assert seen in exchange.everything()
