"""What the verifier remembers: each function is one transaction."""

from typing import Literal

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from safeconduct.errors import Rejected
from safeconduct.services.verifier import requests as life
from safeconduct.services.verifier.tables import requests

Keep = Literal["verdict", "claims"]
"""What of a presentation is kept for management: that it verified, or its disclosed claims as well."""


class NewRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a presentation. nonce_digest: SHA-256."""

    id: str
    nonce_digest: bytes
    keep: Keep
    created_at: int
    expires_at: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How a presentation was judged. code: of the error. claims: JSON, kept only if the request says so."""

    event: Literal["accept", "refuse"]
    code: str | None = None
    issuer: str | None = None
    claims: bytes | None = None

    def __repr__(self) -> str:
        return f"<Verdict {self.event}>"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What management may read. claims: JSON."""

    state: life.State
    code: str | None
    issuer: str | None
    claims: bytes | None

    def __repr__(self) -> str:
        return f"<Result {self.state}>"


class RequestUnknown(Rejected):
    """There is no such request, or none any more."""

    http_status = 404


def add_request(connection: Connection, request: NewRequest) -> None:
    """Stores a request in state open."""
    connection.execute(requests.insert().values(state="open", **msgspec.structs.asdict(request)))


def burn_nonce(connection: Connection, nonce_digest: bytes, *, now: int) -> bool:
    """Uses a nonce up; returns whether it was there to be used. Of several callers at once one succeeds."""
    burnt = connection.execute(
        update(requests)
        .where(
            requests.c.nonce_digest == nonce_digest,
            requests.c.state == "open",
            requests.c.expires_at > now,
        )
        .values(state=life.advance("open", "burn"))
    )
    return burnt.rowcount == 1


def record_verdict(connection: Connection, nonce_digest: bytes, verdict: Verdict) -> None:
    """Keeps the verdict on the presentation that used the nonce up."""
    row = connection.execute(select(requests).where(requests.c.nonce_digest == nonce_digest)).first()
    if row is None:  # swept or deleted meanwhile: nobody waits for it
        return
    connection.execute(
        update(requests)
        .where(requests.c.id == row.id)
        .values(
            state=life.advance(row.state, verdict.event),
            code=verdict.code,
            issuer=verdict.issuer,
            claims=verdict.claims if row.keep == "claims" else None,
        )
    )


def find_result(connection: Connection, request_id: str, *, now: int) -> Result:
    """Returns what became of a request. Raises RequestUnknown "request_unknown"."""
    row = connection.execute(select(requests).where(requests.c.id == request_id)).first()
    if row is None:
        raise RequestUnknown("request_unknown", "There is no such request.")
    late = row.expires_at <= now and row.state in ("open", "judging")
    state = life.advance(row.state, "expire") if late else row.state
    return Result(state=state, code=row.code, issuer=row.issuer, claims=row.claims)


def delete_request(connection: Connection, request_id: str) -> None:
    """Forgets a request and its result. Raises RequestUnknown "request_unknown"."""
    if connection.execute(delete(requests).where(requests.c.id == request_id)).rowcount != 1:
        raise RequestUnknown("request_unknown", "There is no such request.")


def sweep(connection: Connection, *, expired_before: int) -> int:
    """Deletes requests, and what came of them, that expired before that second; returns how many are left."""
    connection.execute(delete(requests).where(requests.c.expires_at <= expired_before))
    return connection.execute(select(func.count()).select_from(requests)).scalar_one()
