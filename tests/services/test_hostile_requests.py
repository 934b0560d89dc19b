"""Requests that no client sends by mistake, over sockets: each is refused in the declared form, by name.

After every one the service goes on, and its log has no failure of its own. What can be shown in one process
is in tests/flows/test_issuer_errors.py and the tests of garbage; here are bytes that no HTTP library sends,
and texts that one of the databases does not take.
"""

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.flows.small_wallet import CLAIMS
from tests.services.live import ADMIN_TOKEN, Live, live_issuer, live_verifier, live_wallet_server

from safeconduct.settings import DatabaseUrl

TEN_MIB = 10 * 1024 * 1024
BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HTML = {"/authorize", "/authorize/login", "/authorize/consent", "/login"}


@dataclass
class Answer:
    """An answer as it stood on the wire. status 0: the connection was closed without one."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def members(self) -> dict[str, Any]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


def sent(url: str, *parts: bytes, timeout: float = 20) -> Answer:
    """What a service answers to these bytes."""
    host, port = url.removeprefix("http://").split(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=timeout) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has heard enough
        try:
            while not _is_whole(received) and (chunk := connection.recv(65536)):
                received += chunk
        except ConnectionResetError:
            pass
    return _answer(received)


def _is_whole(received: bytes) -> bool:
    _, separator, body = received.partition(b"\r\n\r\n")
    length = _answer(received).headers.get("content-length") if separator else None
    return length is not None and len(body) >= int(length)


def _answer(received: bytes) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines)
    status = int(first.split(" ")[1]) if first else 0
    return Answer(status, {name.lower(): value.strip() for name, _, value in fields}, body)


def head(method: str, target: str, fields: Mapping[str, str] | Sequence[tuple[str, str]] = ()) -> bytes:
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    lines = [f"{method} {target} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in pairs)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def asked(
    url: str, method: str, target: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    fields = {"Connection": "close", **(headers or {})}
    if body is not None:
        fields["Content-Length"] = str(len(body))
    return sent(url, head(method, target, fields), body or b"")


def is_refusal(answer: Answer, *, page: bool = False) -> bool:
    """Whether it is a client's error in the form of its listener, that says nothing of how it came about."""
    assert 400 <= answer.status < 500, answer
    assert b"Traceback" not in answer.body
    assert "safeconduct" in answer.headers.get("server", "safeconduct")
    if page:
        return True
    if answer.headers["content-type"] == "application/problem+json":
        return answer.members.keys() >= {"type", "title", "status", "detail", "code"}
    if answer.headers["content-type"] == "application/fhir+json":
        return answer.members.keys() == {"resourceType", "issue"}
    assert answer.headers["content-type"] == "application/json"
    return answer.members.keys() == {"error", "error_description"}


@dataclass
class Site:
    """Both services."""

    issuer: Live
    wallet_server: Live

    def goes_on(self) -> bool:
        """Whether they answer, and none has failed."""
        for live in (self.issuer, self.wallet_server):
            assert asked(live.admin, "GET", "/healthz").status == 200
            assert live.failures == []
        return True


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with live_issuer(folder) as issuer, live_wallet_server(folder) as wallet_server:
        yield Site(issuer, wallet_server)


ISSUER_POSTS = (
    *("/nonce", "/credential", "/deferred_credential", "/notification", "/token", "/par"),
    *("/share-challenge", "/shares", "/shares/access"),
)
MANAGEMENT_POSTS = (
    *("/offers", "/links", "/keys/rotate", "/deferred/x/approve", "/deferred/x/deny", "/shares/x/revoke"),
    *("/cards", "/fhir/Patient/x/$health-cards-issue"),
)
WALLET_SERVER_POSTS = ("/sessions", "/forward/credential", "/forward/deferred", "/forward/notification")


def posts(site: Site) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """URL, target and header fields of every endpoint that takes a body."""
    for target in ISSUER_POSTS:
        kind = FORM if target in ("/token", "/par") else JSON
        yield site.issuer.public, target, kind
    for target in MANAGEMENT_POSTS:
        yield site.issuer.admin, target, {**BEARER, **JSON}
    for target in WALLET_SERVER_POSTS:
        yield site.wallet_server.public, target, JSON


def test_ten_mebibytes_are_refused_before_they_are_read(site: Site) -> None:
    """Announced, not a byte of them is needed for the answer."""
    for url, target, fields in posts(site):
        answer = sent(url, head("POST", target, {**fields, "Content-Length": str(TEN_MIB)}))
        assert is_refusal(answer)
        assert answer.status == 413, (target, answer)
    assert site.goes_on()


def test_ten_mebibytes_in_chunks_are_not_kept(site: Site) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    for url, target, fields in posts(site):
        if target == "/forward/notification":
            continue  # refused without a look at the body
        first = head("POST", target, {**fields, "Transfer-Encoding": "chunked"})
        # As a client that stops and listens when it is told enough: see `sent`.
        answer = sent(url, first, *[chunk] * 7)
        assert is_refusal(answer)
        assert answer.status in ((413,) if target not in WALLET_SERVER_POSTS[1:] else (401,)), (
            target,
            answer,
        )
    assert site.goes_on()


NUL, LONE, PAIR = "a\\u0000b", "\\ud800", "\\ud83d\\ude00"
TEXTS = (NUL, LONE, "x" * 5000, "a\\nb", "")
NUMBERS = ("18446744073709551616", "9" * 400, "-1", "1e400", "1.5", "NaN", "-Infinity", "1e3")


def offer_with(member: str) -> bytes:
    good = json.dumps({"configuration_id": "identity", "claims": dict(CLAIMS)})
    return (good[:-1] + f", {member}}}").encode()


def hostile_offers() -> Iterator[bytes]:
    for name in ("subject", "reference", "qr", "configuration_ids", "grants"):
        for text in TEXTS:
            yield offer_with(f'"{name}": "{text}"')
    for name in ("lifetime", "tx_code", "deferred"):
        for number in NUMBERS:
            yield offer_with(f'"{name}": {number}')
    for number in NUMBERS[:2]:
        yield offer_with(f'"tx_code": {{"length": {number}}}')
    for opener in ("[", '{"a":'):
        yield offer_with(f'"tx_code": {opener * 10_000}')
        yield offer_with(f'"subject": {opener * 10_000}')
        yield (opener * 10_000).encode()
    yield offer_with(f'"{NUL}": 1')
    yield b'{"configuration_id": "\xff\xfe"}'
    yield b'{"configuration_id": "\xed\xa0\x80"}'
    yield json.dumps({"configuration_id": "x" * 100_000, "claims": {}}).encode()
    for text in (NUL, LONE):
        yield f'{{"configuration_id": "{text}", "claims": {{}}}}'.encode()
        yield f'{{"configuration_id": "identity", "claims": {{"{text}": 1}}}}'.encode()


def hostile_links() -> Iterator[bytes]:
    for text in TEXTS:
        yield f'{{"subject": "{text}"}}'.encode()
    for number in NUMBERS:
        yield f'{{"subject": {number}}}'.encode()
    yield b'{"subject": ' + b"[" * 10_000
    yield b'{"subject": "a", "subject": "b"}'


SEGMENTS = (
    "%00",
    "a%00b",
    "%ed%a0%80",
    "%ff",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f",
    "..%5c..",
    "x" * 4000,
    "%F0%9F%98%80",
    "%25%30%30",
    "a%0d%0aSet-Cookie:%20x=y",
    "-1",
    "9" * 400,
)
QUERIES = (
    "limit=1&limit=2",
    "reference=a&reference=b",
    "reference=%00",
    "state=%00",
    "reference=a%0a",
    f"since={2**64}",
    f"until={2**63}",
    "since=1e400",
    "since=9" + "9" * 400,
    "cursor=%00",
    "cursor=OTk5OTk5OTk5OTk5OTk5OTk5OSBh",
    "limit=%ed%a0%80",
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseUrl:
    if request.param == "sqlite":
        return DatabaseUrl(f"sqlite:///{tmp_path}/hostile.db")
    return DatabaseUrl(str(request.getfixturevalue("postgres_url")))


def test_management_refuses_what_a_database_would_not_take(tmp_path: Path, database: DatabaseUrl) -> None:
    with live_issuer(tmp_path, database=database) as issuer:
        for target, bodies in (("/offers", hostile_offers()), ("/links", hostile_links())):
            for body in bodies:
                answer = asked(issuer.admin, "POST", target, body=body, headers={**BEARER, **JSON})
                assert is_refusal(answer), body[:200]
        for segment in SEGMENTS:
            for method, target in (
                ("GET", f"/offers/{segment}"),
                ("DELETE", f"/offers/{segment}"),
                ("POST", f"/deferred/{segment}/approve"),
                ("POST", f"/deferred/{segment}/deny"),
                ("GET", f"/tenants/{segment}/offers"),
            ):
                assert is_refusal(asked(issuer.admin, method, target, headers=BEARER)), target
        for query in QUERIES:
            for path in ("/offers", "/issued", "/deferred"):
                assert is_refusal(asked(issuer.admin, "GET", f"{path}?{query}", headers=BEARER)), query
        assert issuer.failures == []
        assert asked(issuer.admin, "GET", "/offers", headers=BEARER).members == {"offers": []}


FORMS = (
    b"grant_type=%00&pre-authorized_code=%00",
    b"grant_type=urn:ietf:params:oauth:grant-type:pre-authorized_code&pre-authorized_code=a%00b",
    b"grant_type=urn:ietf:params:oauth:grant-type:pre-authorized_code&pre-authorized_code=%ff%fe&tx_code=%00",
    b"grant_type=urn:ietf:params:oauth:grant-type:pre-authorized_code&pre-authorized_code=%ed%a0%80",
    b"grant_type=authorization_code&code=%00&redirect_uri=%00&code_verifier=%00&client_id=%00",
    b"grant_type=refresh_token&refresh_token=%00",
    b"\xff\xfe=\xff",
    b"grant_type=a&grant_type=b",
    b"response_type=code&client_id=a%00b&redirect_uri=https://x.example/%00&code_challenge=%00&scope=%00",
    b"request_uri=urn:ietf:params:oauth:request_uri:%00&client_id=%00",
    b"=&=&=",
    b"a" * 60_000,
)
PAGES = (
    "/authorize?request_uri=%00&client_id=%00",
    "/authorize?request_uri=urn:ietf:params:oauth:request_uri:a%00b&client_id=a%00b",
    "/authorize?request_uri=a&request_uri=b",
    "/authorize?%ff=%fe",
    "/authorize/consent?reference=%00",
    "/login/%00",
    "/login/" + "%00" * 43,
)


def test_the_public_endpoints_refuse_what_a_database_would_not_take(
    tmp_path: Path, database: DatabaseUrl
) -> None:
    with live_issuer(tmp_path, database=database) as issuer:
        for target in ("/token", "/par"):
            for body in FORMS:
                for proof in ({}, {"DPoP": "e30.e30.e30"}):
                    answer = asked(issuer.public, "POST", target, body=body, headers={**FORM, **proof})
                    assert is_refusal(answer), body
        for target in ("/authorize/login", "/authorize/consent"):
            for body in (*FORMS, b"reference=%00&csrf=%00&user=a%00b&password=%00", b"reference=\x00"):
                assert is_refusal(asked(issuer.public, "POST", target, body=body, headers=FORM), page=True)
        for target in PAGES:
            for cookie in ("", "safeconduct-link=%00", "safeconduct-link=" + "x" * 43):
                assert is_refusal(
                    asked(issuer.public, "GET", target, headers={"Cookie": cookie}), page=True
                ), target
        for segment in SEGMENTS:
            assert is_refusal(asked(issuer.public, "GET", f"/offers/{segment}")), segment
        for target in ISSUER_POSTS[1:4]:
            for token in ("DPoP a\\x00b", "DPoP " + "x" * 4000, "DPoP \xff", "DPoP a, DPoP b"):
                answer = asked(
                    issuer.public, "POST", target, body=b"{}", headers={"Authorization": token, **JSON}
                )
                assert is_refusal(answer), token
        assert issuer.failures == []


def test_the_wallet_server_refuses_what_a_database_would_not_take(
    tmp_path: Path, database: DatabaseUrl
) -> None:
    with live_wallet_server(tmp_path, database=database) as server:
        session = asked(server.public, "POST", "/sessions", body=b"").members["session"]
        mine = {"Safeconduct-Session": session}
        for segment in SEGMENTS:
            for method in ("GET", "DELETE"):
                answer = asked(server.public, method, f"/deliveries/{segment}", headers=mine)
                assert is_refusal(answer), segment
                assert answer.status in (404, 414), segment
        for member in ("issuer", "ticket", "handle"):
            good = {"issuer": "https://issuer.example", "after": 1, "ticket": "t"}
            for text in TEXTS[:4]:
                others = json.dumps({name: value for name, value in good.items() if name != member})
                body = f'{others[:-1]}, "{member}": "{text}"}}'.encode()
                answer = asked(server.public, "PUT", "/wakeups", body=body, headers={**mine, **JSON})
                assert is_refusal(answer), body
        for number in NUMBERS[:-1]:
            body = f'{{"issuer": "https://issuer.example", "ticket": "t", "after": {number}}}'.encode()
            assert is_refusal(asked(server.public, "PUT", "/wakeups", body=body, headers={**mine, **JSON}))
        for query in ("issuer=%00", "issuer=a&issuer=b", "issuer=" + "x" * 4000, "issuer=%ed%a0%80", ""):
            assert is_refusal(asked(server.public, "GET", f"/metadata?{query}")), query
        for query in ("wait=1&wait=2", f"wait={2**64}", "wait=%00", "wait=1e400", "wait=-1"):
            assert is_refusal(asked(server.public, "GET", f"/wakeups?{query}", headers=mine)), query
        for query in ("hours=1&hours=2", f"hours={2**64}", "hours=%00", "hours=0"):
            assert is_refusal(asked(server.admin, "GET", f"/reliability?{query}", headers=BEARER)), query
        assert server.failures == []


def test_the_verifier_refuses_what_a_database_would_not_take(tmp_path: Path, database: DatabaseUrl) -> None:
    with live_verifier(tmp_path, database=database) as verifier:
        for segment in SEGMENTS:
            for method in ("GET", "DELETE"):
                answer = asked(verifier.admin, method, f"/requests/{segment}", headers=BEARER)
                assert is_refusal(answer), segment
                assert answer.status in (404, 414), segment
        for text in TEXTS:
            body = f'{{"keep": "{text}"}}'.encode()
            assert is_refusal(
                asked(verifier.admin, "POST", "/requests", body=body, headers={**BEARER, **JSON})
            )
        assert verifier.failures == []


def test_what_an_offer_may_hold_is_no_fault_on_any_database(tmp_path: Path, database: DatabaseUrl) -> None:
    """Claims and descriptions may have any character; they are kept as bytes, or escaped."""
    claims = {**CLAIMS, "given_name": "a\0b", "family_name": "\U0010ffff\ufffe"}
    members = {"configuration_id": "identity", "claims": claims, "tx_code": {"description": "a\0b"}}
    with live_issuer(tmp_path, database=database) as issuer:
        for by_reference in (False, True):
            body = json.dumps({**members, "by_reference": by_reference}).encode()
            answer = asked(issuer.admin, "POST", "/offers", body=body, headers={**BEARER, **JSON})
            assert answer.status == 201, answer
        offer = parse_qs(urlsplit(answer.members["offer_uri"]).query)["credential_offer_uri"][0]
        shown = asked(issuer.public, "GET", urlsplit(offer).path).members
        (grant,) = shown["grants"].values()
        assert grant["tx_code"]["description"] == "a\0b"
        assert issuer.failures == []


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"])
def test_a_method_that_nobody_takes(site: Site, method: str) -> None:
    for url, targets in (
        (site.issuer.public, ("/credential", "/offers/x", "/.well-known/openid-credential-issuer")),
        (site.issuer.admin, ("/offers", "/healthz")),
        (site.wallet_server.public, ("/sessions", "/wakeups")),
    ):
        for target in targets:
            answer = asked(url, method, target, headers={**BEARER, "X-Secret": "marker"})
            assert 400 <= answer.status < 500, (method, target, answer)
            assert b"marker" not in answer.body
    assert site.goes_on()


def test_HEAD_has_the_head_of_GET_and_no_body(site: Site) -> None:
    for url, target in ((site.issuer.public, "/.well-known/jwt-vc-issuer"), (site.issuer.admin, "/healthz")):
        received = sent(url, head("HEAD", target, {"Connection": "close"}), timeout=5)
        assert (received.status, received.body) == (200, b"")


ODD_HEADS = {
    "two Content-Lengths": head("POST", "/nonce", [("Content-Length", "0"), ("Content-Length", "5")]),
    "a length below nothing": head("POST", "/nonce", {"Content-Length": "-1"}),
    "a length that is none": head("POST", "/nonce", {"Content-Length": "x"}),
    "a length beyond 64 bits": head("POST", "/nonce", {"Content-Length": "9" * 40}),
    "a chunk of no size": head("POST", "/nonce", {"Transfer-Encoding": "chunked"}) + b"zz\r\n\r\n",
    "a huge chunk": head("POST", "/nonce", {"Transfer-Encoding": "chunked"}) + b"ffffffffffffffff0\r\n",
    "a header without colon": b"POST /nonce HTTP/1.1\r\nHost: x\r\nrubbish\r\n\r\n",
    "a NUL in a header": b"POST /nonce HTTP/1.1\r\nHost: x\r\nDPoP: a\x00b\r\n\r\n",
    "a thousand headers": head("POST", "/nonce", [(f"X-{n}", "y") for n in range(1000)]),
    "a long header": head("POST", "/nonce", {"DPoP": "x" * 100_000}),
    "a long target": head("GET", "/offers/" + "x" * 100_000),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00" * 20 + b"\r\n\r\n",
    "HTTP/9": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", ODD_HEADS)
def test_a_head_that_no_library_sends(site: Site, name: str) -> None:
    """The server below the services may refuse it: with a status, or by closing the connection."""
    for url in (site.issuer.public, site.issuer.admin, site.wallet_server.public):
        answer = sent(url, ODD_HEADS[name], timeout=10)
        assert answer.status == 0 or 400 <= answer.status < 500, answer
        assert b"Traceback" not in answer.body
    assert site.goes_on()


@pytest.mark.parametrize("name", ["Authorization", "Content-Type", "DPoP", "Idempotency-Key"])
def test_a_header_given_twice(site: Site, name: str) -> None:
    values = {
        "Authorization": f"Bearer {ADMIN_TOKEN}",
        "Content-Type": "application/json",
        "Idempotency-Key": "x" * 16,
        "DPoP": "e30.e30.e30",
    }
    body = json.dumps({"configuration_id": "identity", "claims": dict(CLAIMS)}).encode()
    fields = [*values.items(), (name, values[name]), ("Content-Length", str(len(body)))]
    for url, target in (
        (site.issuer.admin, "/offers"),
        (site.issuer.public, "/credential"),
        (site.issuer.public, "/token"),
        (site.wallet_server.public, "/forward/credential"),
    ):
        if (target, name) == ("/offers", "DPoP"):
            continue  # management has no use for it
        assert is_refusal(sent(url, head("POST", target, fields), body)), target
    assert site.goes_on()


def test_those_who_send_slowly_keep_nobody_waiting(site: Site) -> None:
    """A hundred begin a head or a body and stop; others are answered, and those are let go at the end."""
    beginnings = (
        b"POST /nonce HTTP/1.1\r\nHo",
        head("POST", "/token", {**FORM, "Content-Length": "100"}) + b"a",
    )
    host, port = site.issuer.public.removeprefix("http://").split(":")
    held = [socket.create_connection((host, int(port)), timeout=20) for _ in range(100)]
    try:
        for number, connection in enumerate(held):
            connection.sendall(beginnings[number % 2])
        assert asked(site.issuer.public, "POST", "/nonce", body=b"").status == 200
        assert held[0].recv(1000)[:12] in (b"", b"HTTP/1.1 408")
    finally:
        for connection in held:
            connection.close()
    assert site.goes_on()
