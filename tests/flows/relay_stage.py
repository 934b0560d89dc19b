"""A relay in this process, and requests to it with any header field, in any spelling, however often."""

import asyncio
import contextlib
import io
import json
import re
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message

from safeconduct.services.relay import open_relay, openapi
from safeconduct.settings import DatabaseUrl, RelaySettings, Secret
from safeconduct.telemetry import Telemetry

RELAY = "https://relay.example"
NOW = 1_800_000_000
EXPIRATION = "2027-01-15T09:00:00Z"
"""An hour after NOW."""

ADMIN_TOKEN = "management-token-of-the-test"
PAYLOAD = {"type": "AEAD_AES_128_GCM", "data": "AAAA"}
DISPLAY = {"title": "Car key", "description": "A key for you", "imageURL": "https://pictures.example/a.png"}
PLENTY = 1_000_000


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@dataclass
class Answer:
    """An answer. headers: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def members(self) -> dict[str, Any]:
        """The body as a JSON object."""
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found

    @property
    def fault(self) -> tuple[int, str]:
        """Status and code of a problem."""
        assert self.headers["content-type"] == "application/problem+json", self
        return self.status, self.members["code"]


def new_id() -> str:
    """A claim, or the id of a request."""
    return str(uuid.uuid4())


def message(number: int) -> dict[str, str]:
    """A payload that no other number has."""
    return {"type": "AEAD_AES_128_GCM", "data": f"{number:08d}"}


@dataclass
class Stage:
    """The relay, and ways to it. answers: all that came, as method, path and answer."""

    app: ASGIApp
    admin: ASGIApp
    clock: Clock
    log: io.StringIO
    telemetry: Telemetry
    answers: list[tuple[str, str, Answer]] = field(default_factory=list)

    async def ask(
        self,
        method: str,
        path: str,
        *fields: tuple[str, str],
        body: Any = None,
        content_type: str = "application/json",
        app: ASGIApp | None = None,
    ) -> Answer:
        """Send a request. body: bytes, or a value that is sent as JSON."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields]
        named.append((b"content-length", str(len(content)).encode()))
        if body is not None:
            named.append((b"content-type", content_type.encode()))
        answer = await _asked(app or self.app, method, path, named, content)
        if app is None:
            _check_documented(method, path, answer)
            self.answers.append((method, path, answer))
        return answer

    async def create(
        self,
        claim: str,
        request_id: str | None = None,
        *fields: tuple[str, str],
        configuration: dict[str, Any] | None = None,
        **members: Any,
    ) -> Answer:
        """Make a mailbox with all rights, unless told otherwise."""
        terms = {"accessRights": "RWD", "expiration": EXPIRATION, **(configuration or {})}
        body = {"payload": PAYLOAD, "displayInformation": DISPLAY, "mailboxConfiguration": terms, **members}
        given = (("Mailbox-Device-Claim", claim), ("Mailbox-Request-ID", request_id or new_id()))
        return await self.ask("POST", "/v1/m", *given, *fields, body=body)

    async def mailbox(self, claim: str, **arguments: Any) -> str:
        """Make a mailbox; returns its path."""
        answer = await self.create(claim, **arguments)
        assert answer.status == 200, answer
        return urlsplit(answer.members["urlLink"]).path

    async def read(self, path: str, claim: str, *fields: tuple[str, str]) -> Answer:
        """Read, and be bound if nobody is."""
        return await self.ask("POST", path, ("Mailbox-Device-Claim", claim), *fields)

    async def put(
        self,
        path: str,
        claim: str,
        payload: Any = PAYLOAD,
        *fields: tuple[str, str],
        request_id: str | None = None,
    ) -> Answer:
        """Put a message."""
        given = (("Mailbox-Device-Claim", claim), ("Mailbox-Request-ID", request_id or new_id()))
        return await self.ask("PUT", path, *given, *fields, body={"payload": payload})

    async def relinquish(self, path: str, claim: str, *, request_id: str | None = None) -> Answer:
        """Step back."""
        given = (("Mailbox-Device-Claim", claim), ("Mailbox-Request-ID", request_id or new_id()))
        return await self.ask("PATCH", path, *given)

    async def delete(self, path: str, claim: str) -> Answer:
        """Delete."""
        return await self.ask("DELETE", path, ("Mailbox-Device-Claim", claim))

    async def manage(self, path: str, token: str | None = ADMIN_TOKEN) -> Answer:
        """Ask on the management listener."""
        fields = () if token is None else (("Authorization", f"Bearer {token}"),)
        return await self.ask("GET", path, *fields, app=self.admin)


@contextlib.asynccontextmanager
async def stage(*, clock: Clock | None = None, **settings: Any) -> AsyncIterator[Stage]:
    """Open a relay."""
    clock, log = clock or Clock(), io.StringIO()
    telemetry = Telemetry.open("relay", level="debug", stream=log)
    chosen = RelaySettings(
        **{
            "identifier": RELAY,
            "database": DatabaseUrl("sqlite://"),
            "admin_token": Secret(ADMIN_TOKEN),
            "create_rate": PLENTY,
            "failure_rate": PLENTY,
            **settings,
        }
    )
    async with open_relay(chosen, telemetry=telemetry, clock=clock) as [public, admin]:
        yield Stage(public.app, admin.app, clock, log, telemetry)


async def _asked(
    app: ASGIApp, method: str, path: str, fields: Sequence[tuple[bytes, bytes]], content: bytes
) -> Answer:
    path, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": list(fields),
        "client": ("192.0.2.1", 1234),
        "server": ("relay.example", 443),
    }
    sent: list[Message] = []
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            await asyncio.Event().wait()
        given = True
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(part: Message) -> None:
        sent.append(part)

    await app(scope, receive, send)
    headers: dict[str, str] = {}
    for name, value in sent[0]["headers"]:
        assert name.decode() not in headers, f"{name!r} is sent twice"
        headers[name.decode().lower()] = value.decode()
    return Answer(sent[0]["status"], headers, b"".join(part.get("body", b"") for part in sent[1:]))


def _check_documented(method: str, path: str, answer: Answer) -> None:
    """No answer is taken that the OpenAPI document does not name."""
    paths = openapi.public(RelaySettings(identifier=RELAY))["paths"]
    path = path.partition("?")[0]
    for template, operations in paths.items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in operations:
            named = operations[method.lower()]["responses"].get(str(answer.status))
            assert named is not None, (method, path, answer)
            if answer.body:
                kind = answer.headers["content-type"].partition(";")[0]
                assert kind in named["content"], (method, path, answer)
                if kind == "application/problem+json":
                    [_, codes] = named["content"][kind]["schema"]["allOf"]
                    assert answer.members["code"] in codes["properties"]["code"]["enum"], (method, answer)
            return
