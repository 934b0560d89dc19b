"""What the wallet server remembers: each function is one transaction."""

import msgspec
from sqlalchemy import Connection, delete, func, select

from safeconduct.errors import Rejected
from safeconduct.services.wallet_server.tables import records, sessions

LISTED = 100
"""Most records in one answer."""

KEPT = 100_000
"""Most records that are kept from one sweep to the next: whoever has a session can have one made."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One forwarded request. time: seconds. bytes_in, bytes_out: size classes. status: of the answer."""

    issuer: str
    time: int
    bytes_in: int
    bytes_out: int
    status: int


class SessionUnknown(Rejected):
    """The request names no session, or none that is in force."""

    oauth_error = "invalid_token"
    http_status = 401


def add_session(connection: Connection, digest: bytes, *, expires_at: int) -> None:
    """Begins a session."""
    connection.execute(sessions.insert().values(digest=digest, expires_at=expires_at))


def check_session(connection: Connection, digest: bytes, *, now: int) -> None:
    """Raises SessionUnknown "session_unknown" unless the session is in force."""
    found = connection.execute(
        select(sessions.c.digest).where(sessions.c.digest == digest, sessions.c.expires_at > now)
    ).first()
    if found is None:
        raise SessionUnknown("session_unknown", "There is no such session; begin one.")


def end_session(connection: Connection, digest: bytes) -> None:
    """Ends a session, if there is one."""
    connection.execute(delete(sessions).where(sessions.c.digest == digest))


def add_record(connection: Connection, record: Record) -> None:
    """Keeps a record."""
    connection.execute(records.insert().values(msgspec.structs.asdict(record)))


def list_records(connection: Connection) -> list[Record]:
    """Returns the newest records, at most `LISTED`."""
    columns = (records.c[name] for name in Record.__struct_fields__)
    query = select(*columns).order_by(records.c.time.desc(), records.c.id.desc()).limit(LISTED)
    return [Record(**row._mapping) for row in connection.execute(query)]


def sweep(connection: Connection, *, now: int, keep_records_since: int) -> int:
    """Deletes expired sessions, and records of before `keep_records_since` or beyond the newest `KEPT`.

    Returns how many sessions are left.
    """
    connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
    connection.execute(delete(records).where(records.c.time < keep_records_since))
    beyond = select(records.c.id).order_by(records.c.id.desc()).offset(KEPT).limit(1)
    connection.execute(delete(records).where(records.c.id <= beyond.scalar_subquery()))
    return connection.execute(select(func.count()).select_from(sessions)).scalar_one()
