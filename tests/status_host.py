"""A host of revocation lists in memory: what issuers publish, what hosts answer, and what both do wrong."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.errors import Rejected
from safeconduct.net.fetch import Response, Unreachable, json_of
from safeconduct.status.card_revocation import deltas, heads, log
from safeconduct.status.card_revocation.changes import GONE, Change
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.deltas import Delta
from safeconduct.status.card_revocation.files import digest
from safeconduct.status.card_revocation.heads import Head, LogEnd
from safeconduct.status.card_revocation.rids import Reach


class Host:
    """Takes a fetcher's place. Each URL has a file; its faults are switched on by name.

    requests: all that it was asked, as (method, URL, headers). broken: URLs under which nothing answers.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.sent = 0
        self.broken: set[str] = set()
        self.statuses: dict[str, int] = {}
        self.knows_ranges = True
        self.knows_etags = True
        self.content_range = "bytes {start}-{last}/{total}"
        self.cut_ranges = 0
        self.length: str | None = ""
        self.tells_lengths = True
        self.fails_after: int | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,  # noqa: ARG002  a Fetcher's arguments
        max_bytes: int = limits.FETCH_BYTES,
        content_types: Collection[str] = (),  # noqa: ARG002
    ) -> Response:
        """See `Fetcher.request`."""
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        self.requests.append((method, url, sent))
        if url in self.broken or (self.fails_after is not None and len(self.requests) > self.fails_after):
            raise Unreachable("fetch_failed", "The server could not be reached.")
        answer = self._answer(url, sent)
        if method == "HEAD":
            if not self.tells_lengths:
                raise Unreachable("fetch_failed", "The server broke HTTP.")
            answer = self._without_body(answer)
        if len(answer.body) > max_bytes:
            raise Rejected("fetch_too_large", "The server's answer is larger than accepted.")
        self.sent += len(answer.body)
        return answer

    async def get_json(
        self, url: str, *, headers: Mapping[str, str] | None = None, max_bytes: int = limits.FETCH_BYTES
    ) -> dict[str, Any]:
        """See `Fetcher.get_json`."""
        return await json_of(self, url, headers=headers, max_bytes=max_bytes)

    async def close(self) -> None:
        """See `Fetcher.close`."""

    def asked(self, ending: str) -> list[str]:
        """The URLs with an ending that were asked for."""
        return [url for _, url, _ in self.requests if url.endswith(ending)]

    def forget(self) -> None:
        """Begin to note requests anew."""
        self.requests.clear()
        self.sent = 0

    def _answer(self, url: str, headers: dict[str, str]) -> Response:
        data = self.files.get(url)
        if url in self.statuses:
            return Response(self.statuses[url], {}, b"")
        if data is None:
            return Response(404, {}, b"")
        told = {}
        if self.knows_etags:
            told["etag"] = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
            if headers.get("if-none-match") == told["etag"]:
                return Response(304, told, b"")
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
        if wanted is None or not self.knows_ranges:
            return Response(200, told, data)
        return self._part(data, int(wanted[1]), int(wanted[2]), told)

    def _without_body(self, answer: Response) -> Response:
        length = str(len(answer.body)) if self.length == "" else self.length
        told = {} if length is None else {"content-length": length}
        return Response(answer.status, {**answer.headers, **told}, b"")

    def _part(self, data: bytes, start: int, last: int, told: dict[str, str]) -> Response:
        if start >= len(data):
            return Response(416, told, b"")
        body = data[start : last + 1 - self.cut_ranges]
        told["content-range"] = self.content_range.format(
            start=start, last=start + len(body) - 1, total=len(data)
        )
        return Response(206, told, body)


class Publisher:
    """An issuer that publishes as a static tree on a host.

    status_key: signs heads; without it there are none. tree: whether there are deltas and logs.
    """

    def __init__(
        self,
        host: Host,
        issuer: str,
        *,
        keys: Sequence[dict[str, Any]],
        status_key: Key | None = None,
        tree: bool = True,
        head_lifetime: int = 7 * 86400,
    ) -> None:
        self._host = host
        self.issuer = issuer
        self._keys = {key["kid"]: {**key} for key in keys}
        self._status_key = status_key
        self._tree = tree
        self._lifetime = head_lifetime
        self._history: dict[str, list[RevocationList]] = {}
        self._logs: dict[str, bytes] = {}
        self.publish_keys()

    def url(self, name: str) -> str:
        """The URL of a published file."""
        return f"{self.issuer}/.well-known/{name}"

    def publish(self, kid: str, entries: Mapping[str, Reach], *, now: int) -> RevocationList:
        """Publish what a list is now; its counter goes up if it changed."""
        versions = self._history.setdefault(kid, [])
        if versions and dict(versions[-1].entries) == dict(entries):
            return versions[-1]
        versions.append(RevocationList(kid=kid, ctr=len(versions) + 1, entries=dict(entries)))
        newest = versions[-1]
        self._host.files[self.url(f"crl/{kid}.json")] = newest.encode()
        if self._tree:
            self._publish_deltas(versions)
            self._publish_log(kid, versions)
        self.sign(kid, now=now)
        self._keys[kid]["crlVersion"] = newest.ctr
        self.publish_keys()
        return newest

    def sign(self, kid: str, /, *, now: int, **changes: Any) -> None:
        """Publish the head of a list as it stands, or with changes."""
        if self._status_key is not None:
            head = self.head(kid, now=now, **changes)
            self._host.files[self.url(f"crl/{kid}.jws")] = heads.sign(head, signer=self._status_key).encode()

    def sign_all(self, *, now: int) -> None:
        """Publish the heads of all lists anew."""
        for kid in self._history:
            self.sign(kid, now=now)

    def head(self, kid: str, /, *, now: int, **changes: Any) -> Head:
        """What a head says of a list as it stands."""
        newest, data = self._history[kid][-1], self._logs.get(kid)
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "kid": kid,
            "method": newest.method,
            "ctr": newest.ctr,
            "iat": now,
            "exp": now + self._lifetime,
            "count": len(newest.entries),
            "digest": newest.digest(),
            "log": None if data is None else LogEnd(length=len(data), digest=digest(data)),
        }
        return Head(**(claims | changes))

    def announce(self, kid: str, version: int | str | None) -> None:
        """Change nothing but the counter that the JWKS gives beside a key."""
        self._keys[kid].pop("crlVersion", None)
        if version is not None:
            self._keys[kid]["crlVersion"] = version
        self.publish_keys()

    def publish_keys(self) -> None:
        """Publish the JWKS as it stands."""
        self._host.files[self.url("jwks.json")] = json.dumps({"keys": list(self._keys.values())})

    def withdraw_key(self, kid: str) -> None:
        """Take a key out of the JWKS."""
        del self._keys[kid]
        self.publish_keys()

    def _publish_deltas(self, versions: list[RevocationList]) -> None:
        newest = versions[-1]
        for start in deltas.starts(newest.ctr):
            name = deltas.file_name(newest.kid, start, newest.ctr)
            self._host.files[self.url(name)] = Delta.between(versions[start - 1], newest).encode()

    def _publish_log(self, kid: str, versions: list[RevocationList]) -> None:
        before = versions[-2].entries if len(versions) > 1 else {}
        after = versions[-1].entries
        changes = [
            Change(rid, before.get(rid, GONE), after.get(rid, GONE))
            for rid in sorted(before.keys() | after.keys())
            if before.get(rid, GONE) != after.get(rid, GONE)
        ]
        self._logs[kid] = self._logs.get(kid, log.header(kid)) + log.records(changes)
        self._host.files[self.url(f"crl/{kid}.log")] = self._logs[kid]


def card_key() -> dict[str, Any]:
    """A new key for health cards, as an entry of a JWKS."""
    public = Key.generate("ES256").public
    jwk = public.to_jwk()
    named = {"kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "x": jwk["x"], "y": jwk["y"]}
    return {**named, "kid": heads.key_id(public)}
