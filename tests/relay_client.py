"""A small wallet's side of a relay over plain sockets: it shares no code with what it speaks to.

It does no cryptography beyond the claim proof, and repeats nothing by itself: `Lost` says that none came.
"""

import http.client
import json
import secrets
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DISPLAY = {"title": "Car key", "description": "Of Erika's car", "imageURL": "https://pictures.example/a.png"}
CONNECTION_SECONDS = 30.0


class Lost(Exception):
    """The request may or may not have been done: its answer did not arrive."""


@dataclass
class Answer:
    """A relay's answer. headers: by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def members(self) -> dict[str, Any]:
        """The body as a JSON object."""
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found

    @property
    def code(self) -> str:
        """The code of a problem."""
        assert self.headers["content-type"] == "application/problem+json", self
        return str(self.members["code"])

    @property
    def payload(self) -> Mapping[str, str]:
        """The message that was read."""
        assert self.status == 200, self
        found = self.members["payload"]
        assert isinstance(found, dict)
        return found


def new_id() -> str:
    """A claim or the id of a request, as wallets make them."""
    return str(uuid.uuid4())


def message(text: str = "") -> dict[str, str]:
    """A payload, with random data unless a text is given."""
    data = text or secrets.token_hex(64)
    return {"type": "AEAD_AES_128_GCM", "data": urlsafe_b64encode(data.encode()).decode()}


def in_an_hour(now: float | None = None) -> str:
    """An expiration as the drafts write it."""
    moment = time.gmtime((time.time() if now is None else now) + 3600)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", moment)


@dataclass
class Party:
    """One party of one mailbox: it has a claim of its own, and after `create` or `of` knows the mailbox."""

    url: str
    mailbox: str = ""
    claim: str = field(default_factory=new_id)

    def of(self, other: "Party") -> "Party":
        """A new party at another's mailbox."""
        return Party(other.url, other.mailbox)

    def send(
        self, method: str, path: str = "", body: Any = None, *, request_id: str = "", **headers: str
    ) -> Answer:
        """Send one request. path: of this party's mailbox unless given. Raises Lost."""
        fields = {"Mailbox-Device-Claim": self.claim}
        if request_id:
            fields["Mailbox-Request-ID"] = request_id
        content = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            fields["Content-Type"] = "application/json"
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        return request(self.url, method, path or f"/v1/m/{self.mailbox}", content, fields)

    def create(
        self,
        payload: Mapping[str, str] | None = None,
        *,
        request_id: str = "",
        display: Mapping[str, str] = DISPLAY,
        configuration: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> Answer:
        """Make a mailbox, with all rights unless told otherwise, and remember it."""
        body = {
            "payload": payload or message(),
            "displayInformation": display,
            "mailboxConfiguration": {
                "accessRights": "RWD",
                "expiration": in_an_hour(),
                **(configuration or {}),
            },
            **members,
        }
        answer = self.send("POST", "/v1/m", body, request_id=request_id or new_id(), **(headers or {}))
        if answer.status in (200, 201):
            self.mailbox = answer.members["urlLink"].rpartition("/")[2]
        return answer

    def read(self, **headers: str) -> Answer:
        """Read, and be bound if nobody is."""
        return self.send("POST", **headers)

    def update(
        self, payload: Mapping[str, str] | None = None, *, request_id: str = "", **headers: str
    ) -> Answer:
        """Put a message."""
        body = {"payload": payload or message()}
        return self.send("PUT", body=body, request_id=request_id or new_id(), **headers)

    def relinquish(self, *, request_id: str = "") -> Answer:
        """Step back."""
        return self.send("PATCH", request_id=request_id or new_id())

    def delete(self, *, request_id: str = "") -> Answer:
        """End it."""
        return self.send("DELETE", request_id=request_id or new_id())

    def preview(self, method: str = "GET", **headers: str) -> Answer:
        """Look at the page, as anybody could."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(self.url, method, f"/v1/m/{self.mailbox}", b"", fields)


@dataclass
class ClaimKey:
    """What follows from a link's secret: the relay gets its public half, the receiver signs with it."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> str:
        """The value of `claimKey`."""
        raw = self.key.public_key().public_bytes_raw()
        return urlsafe_b64encode(raw).rstrip(b"=").decode()

    def proof(self, party: Party) -> str:
        """The value of `Mailbox-Claim-Proof` for a party that reads."""
        signed = b"\0".join([b"sct-claim/1", party.mailbox.lower().encode(), party.claim.lower().encode()])
        return urlsafe_b64encode(self.key.sign(signed)).rstrip(b"=").decode()


def request(url: str, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send a request on a connection of its own. Raises Lost."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=CONNECTION_SECONDS)
    try:
        connection.request(method, path, body or (b"" if method in ("POST", "PUT") else None), dict(headers))
        answer = connection.getresponse()
        found = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Lost from error
    finally:
        connection.close()
    fields = {name.lower(): value for name, value in cast("list[tuple[str, str]]", answer.getheaders())}
    return Answer(answer.status, fields, found)
