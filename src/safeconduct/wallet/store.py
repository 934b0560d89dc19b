"""The wallet's transactions. Each credential stands with the private key that it alone is bound to."""

import stat
from pathlib import Path

import msgspec
from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.errors import Rejected
from safeconduct.settings import DatabaseUrl
from safeconduct.wallet.tables import credentials, issuers

FILE = "wallet.db"
"""Name of the database in the wallet's directory."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the wallet tells about a credential without opening it.

    id: the wallet's own name for it, eight hex digits. vct: its type. configuration: the issuer's name of it.
    received, expires: seconds; expires is None if the credential does not say.
    """

    id: str
    issuer: str
    configuration: str
    vct: str
    received: int
    expires: int | None


class Credential(msgspec.Struct, frozen=True):
    """A credential with the key that presents it; shows neither."""

    held: Held
    token: bytes
    holder_key: Key

    def __repr__(self) -> str:
        return f"<Credential {self.held.id}>"


def database_url(directory: Path) -> DatabaseUrl:
    """Return the URL of the wallet's database, in a directory that only its owner may enter.

    Raises Rejected: store_exposed if others may enter a directory that is there already.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(directory.stat().st_mode) & 0o077:
        raise Rejected(
            "store_exposed",
            "Others may enter the wallet's directory; take their permissions away (chmod 700) and try again.",
        )
    return DatabaseUrl(f"sqlite:///{directory.absolute() / FILE}")


def meet_issuer(connection: Connection, identifier: str, *, encryption_required: bool, now: int) -> None:
    """Remember whether the issuer demands encryption.

    Raises Rejected: encryption_downgraded if it once did and no longer does.
    """
    here = issuers.c.identifier == identifier
    before = connection.execute(select(issuers.c.encryption_required).where(here)).scalar_one_or_none()
    if before is None:
        values = {"identifier": identifier, "encryption_required": encryption_required, "seen_at": now}
        connection.execute(insert(issuers).values(values))
    elif before and not encryption_required:
        raise Rejected(
            "encryption_downgraded",
            "The issuer used to demand encryption and no longer does. Somebody may be in between: "
            "do not accept this offer before the issuer has confirmed it.",
        )
    else:
        seen = {"encryption_required": encryption_required, "seen_at": now}
        connection.execute(update(issuers).where(here).values(seen))


def add_credential(connection: Connection, credential: Credential) -> None:
    """Keep a credential that stood every check."""
    held = credential.held
    connection.execute(
        insert(credentials).values(
            id=held.id,
            issuer=held.issuer,
            configuration=held.configuration,
            vct=held.vct,
            token=credential.token,
            holder_key=json.dumps(credential.holder_key.to_jwk(private=True)).decode(),
            received_at=held.received,
            expires_at=held.expires,
        )
    )


def list_held(connection: Connection) -> tuple[Held, ...]:
    """Return what is held, the newest first."""
    order = (credentials.c.received_at.desc(), credentials.c.id)
    return tuple(_held(row) for row in connection.execute(select(credentials).order_by(*order)).mappings())


def find_credential(connection: Connection, prefix: str) -> Credential:
    """Return the credential whose id begins so.

    Raises Rejected: credential_unknown, credential_ambiguous.
    """
    row = _find(connection, prefix)
    return Credential(_held(row), row["token"], Key.from_jwk(json.loads_object(row["holder_key"])))


def remove_credential(connection: Connection, prefix: str) -> None:
    """Delete a credential and its key for good. Raises as `find_credential`."""
    connection.execute(delete(credentials).where(credentials.c.id == _find(connection, prefix)["id"]))


def _find(connection: Connection, prefix: str) -> RowMapping:
    here = credentials.c.id.startswith(prefix, autoescape=True)
    rows = connection.execute(select(credentials).where(here).limit(2)).mappings().all() if prefix else []
    if not rows:
        raise Rejected("credential_unknown", "The wallet holds no credential of this id; list what it holds.")
    if len(rows) > 1:
        raise Rejected("credential_ambiguous", "Several credentials have ids that begin so; give more of it.")
    return rows[0]


def _held(row: RowMapping) -> Held:
    return Held(
        id=row["id"],
        issuer=row["issuer"],
        configuration=row["configuration"],
        vct=row["vct"],
        received=row["received_at"],
        expires=row["expires_at"],
    )
