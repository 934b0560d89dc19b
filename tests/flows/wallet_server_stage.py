"""A wallet server in this process, in front of an issuer that answers whatever a test tells it to."""

import asyncio
import contextlib
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from safeconduct.encoding import json
from safeconduct.net.fetch import HttpFetcher, Response, TooSlow, Unreachable
from safeconduct.net.in_process import InProcess
from safeconduct.net.recording import Exchange, RecordingFetcher
from safeconduct.services.wallet_server import open_wallet_server, openapi
from safeconduct.settings import Secret, WalletServerSettings
from safeconduct.telemetry import Telemetry
from safeconduct.web.recording import record

ISSUER = "https://issuer.example"
OTHER = "https://other.example"
SERVER = "https://wallet-server.example"
ADMIN = "https://wallet-server-admin.example"
ADMIN_TOKEN = "management-token-of-the-test"
NOW = 1_800_000_123
JWE = b"eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTEyOEdDTSJ9..AAAA.AAAA.AAAA"
CREDENTIALS = {"authorization": "DPoP token", "dpop": "proof", "content-type": "application/jwt"}
SEALED = Response(200, {"content-type": "application/jwt"}, JWE.replace(b"AAAA", b"BBBB"))
DEFERRED = Response(202, {"content-type": "application/jwt"}, JWE.replace(b"AAAA", b"CCCC"))
SIGNED_METADATA = b"eyJh.eyJi.AAAA"
KEY = "a-key-of-the-test-0001"


class Clock:
    """A clock that a test turns."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def refused() -> Exception:
    """What a fetcher raises when nobody listens."""
    error = Unreachable("fetch_failed", "Nobody listens.")
    error.__cause__ = httpx2.ConnectError("refused")
    return error


def broken() -> Exception:
    """What a fetcher raises when a connection breaks after the request was sent."""
    error = Unreachable("fetch_failed", "Broke off.")
    error.__cause__ = httpx2.ReadError("broke off")
    return error


def too_slow() -> Exception:
    """What a fetcher raises when an answer takes too long."""
    return TooSlow("fetch_timeout", "Too slow.")


def problem(status: int, error: str, **headers: str) -> Response:
    """An issuer's error."""
    return Response(status, {"content-type": "application/json", **headers}, json.dumps({"error": error}))


Step = Response | Exception | Callable[[], Awaitable[Response]]


@dataclass
class FakeIssuer:
    """A fetcher that ends at issuers: it records requests, and answers each POST with the next step.

    After the last step, `answer`. Metadata are there for every issuer of `known`.
    """

    answer: Response = SEALED
    steps: list[Step] = field(default_factory=list)
    seen: list[tuple[str, str, Mapping[str, str], bytes | None]] = field(default_factory=list)
    known: tuple[str, ...] = (ISSUER, OTHER)
    members: dict[str, Any] = field(default_factory=dict)
    metadata_steps: list[Step] = field(default_factory=list)
    signed: bytes | None = SIGNED_METADATA

    async def request(self, method: str, url: str, **arguments: Any) -> Response:
        headers = arguments.get("headers") or {}
        self.seen.append((method, url, headers, arguments.get("content")))
        if method == "GET":
            return await _taken(self.metadata_steps, lambda: self._metadata(url, headers))
        return await _taken(self.steps, lambda: self.answer)

    async def get_json(self, url: str, **arguments: Any) -> dict[str, Any]:
        return (await self.request("GET", url, **arguments)).json()

    async def close(self) -> None:
        """Nothing to let go of."""

    @property
    def posts(self) -> list[tuple[str, Mapping[str, str], bytes | None]]:
        return [(url, headers, content) for method, url, headers, content in self.seen if method == "POST"]

    def _metadata(self, url: str, headers: Mapping[str, str]) -> Response:
        issuer = url.removesuffix("/.well-known/openid-credential-issuer")
        if issuer not in self.known:
            raise refused()
        if headers["Accept"] == "application/jwt" and self.signed is not None:
            return Response(200, {"content-type": "application/jwt"}, self.signed)
        return Response(200, {"content-type": "application/json"}, self.plain_metadata(issuer))

    def plain_metadata(self, issuer: str = ISSUER) -> bytes:
        members = {
            "credential_issuer": issuer,
            "credential_endpoint": f"{issuer}/credential",
            "nonce_endpoint": f"{issuer}/nonce",
            "deferred_credential_endpoint": f"{issuer}/deferred",
            "notification_endpoint": f"{issuer}/notification",
            "credential_configurations_supported": {},
            **self.members,
        }
        return json.dumps({name: value for name, value in members.items() if value is not None})


async def _taken(steps: list[Step], otherwise: Callable[[], Response]) -> Response:
    step = steps.pop(0) if steps else otherwise()
    if isinstance(step, Exception):
        raise step
    return step if isinstance(step, Response) else await step()


@dataclass
class Held:
    """A step that keeps its request until it is released."""

    answer: Response = SEALED
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> Response:
        self.begun.set()
        await self.released.wait()
        return self.answer


class CheckedFetcher(HttpFetcher):
    """The wallet's and the operator's line; no answer is taken that the OpenAPI documents do not name."""

    async def request(self, method: str, url: str, **arguments: Any) -> Response:
        answer = await super().request(method, url, **arguments)
        document = openapi.MANAGEMENT if url.startswith(ADMIN) else openapi.PUBLIC
        _check_documented(document, method, urlsplit(url).path, answer)
        return answer


def _check_documented(document: Mapping[str, Any], method: str, path: str, answer: Response) -> None:
    operation = next(
        (
            operations[method.lower()]
            for template, operations in document["paths"].items()
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in operations
        ),
        None,
    )
    if operation is None:
        assert answer.json()["code"] in ("not_found", "method_not_allowed", "body_too_large")
        return
    named = operation["responses"].get(str(answer.status))
    assert named is not None, (method, path, answer)
    if not answer.body:
        return
    assert answer.content_type in named["content"], (method, path, answer)
    if answer.content_type == "application/problem+json":
        [_, codes] = named["content"][answer.content_type]["schema"]["allOf"]
        assert answer.json()["code"] in codes["properties"]["code"]["enum"], (method, path, answer)


@dataclass
class Stage:
    """The wallet server, and a wallet's and an operator's way to it."""

    fetcher: HttpFetcher
    issuer: FakeIssuer
    clock: Clock
    log: io.StringIO
    telemetry: Telemetry
    session: str = ""

    async def begin(self) -> str:
        answer = await self.ask("POST", "/sessions", session=None)
        assert answer.status == 201, answer.body
        self.session = answer.json()["session"]
        return self.session

    async def ask(self, method: str, path: str, *, session: str | None = "", **arguments: Any) -> Response:
        headers = dict(arguments.pop("headers", {}))
        if session is not None:
            headers["Safeconduct-Session"] = session or self.session
        return await self.fetcher.request(method, SERVER + path, headers=headers, **arguments)

    async def forward(
        self, body: bytes = JWE, *, kind: str = "credential", key: str | None = None, **headers: str | None
    ) -> Response:
        fields = {
            "safeconduct-session": self.session,
            "safeconduct-issuer": ISSUER,
            "idempotency-key": key,
            **CREDENTIALS,
            **{name.replace("_", "-").lower(): value for name, value in headers.items()},
        }
        kept = {name: value for name, value in fields.items() if value is not None}
        return await self.fetcher.request("POST", f"{SERVER}/forward/{kind}", headers=kept, content=body)

    async def accepted(self, body: bytes = JWE, **arguments: Any) -> str:
        """Have a request taken on for later; returns the delivery."""
        answer = await self.forward(body, prefer="respond-async", **arguments)
        assert (answer.status, answer.content_type) == (202, "application/json"), answer
        return str(answer.json()["delivery"])

    async def fetch(self, delivery: str, *, wait: int = 20) -> Response:
        return await self.ask("GET", f"/deliveries/{delivery}?wait={wait}")

    async def manage(self, path: str) -> Response:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        return await self.fetcher.request("GET", ADMIN + path, headers=headers)

    def counted(self, **labels: str) -> float:
        """The metric of forwarded requests with these labels, summed over the others."""
        families = self.telemetry.metrics.registry.collect()
        samples = [sample for family in families for sample in family.samples]
        return sum(
            sample.value
            for sample in samples
            if sample.name == "safeconduct_forwarded_total" and labels.items() <= sample.labels.items()
        )


@contextlib.asynccontextmanager
async def stage(
    issuer: FakeIssuer | None = None,
    *,
    clock: Clock | None = None,
    tape: list[Exchange] | None = None,
    **settings: Any,
) -> AsyncIterator[Stage]:
    """Open a wallet server, and begin a session. tape: takes down all that the server receives and sends."""
    issuer, clock = issuer or FakeIssuer(), clock or Clock()
    log = io.StringIO()
    telemetry = Telemetry.open("wallet-server", level="debug", stream=log)
    chosen = WalletServerSettings(
        **{
            "identifier": SERVER,
            "database": "sqlite://",
            "issuers": (ISSUER, OTHER),
            "admin_token": Secret(ADMIN_TOKEN),
            "patience": 30.0,
            **settings,
        }
    )
    tape = [] if tape is None else tape
    line = RecordingFetcher(issuer, party="wallet server", tape=tape)
    opened = open_wallet_server(chosen, telemetry=telemetry, clock=clock, fetcher=line)
    async with opened as [public, admin]:
        recorded = record(public.app, party="wallet server", tape=tape)
        transport = InProcess({SERVER: recorded, ADMIN: admin.app})
        async with CheckedFetcher(allow_loopback=False, transport=transport, timeout=60) as fetcher:
            made = Stage(fetcher, issuer, clock, log, telemetry)
            await made.begin()
            yield made


async def until(true: Callable[[], bool]) -> None:
    """Let other tasks go on until something is true."""
    while not true():  # noqa: ASYNC110  what makes it true has no event
        await asyncio.sleep(0.01)


def pages_of(file: Path) -> bytes:
    """All that is in an SQLite database's file and those beside it."""
    return b"".join(page.read_bytes() for page in sorted(file.parent.glob(f"{file.name}*")))


def fails_with(answer: Response, status: int, code: str) -> bool:
    """Whether the answer is the server's own problem of that code."""
    assert (answer.status, answer.json().get("code")) == (status, code), answer.body
    assert answer.content_type == "application/problem+json"
    assert "safeconduct-from" not in answer.headers
    return True
