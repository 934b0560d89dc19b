"""The wallet's transactions. Everything in a record is encrypted; each key stands with the token it is for.

A record has a kind, an id, and the id of what it belongs to; its encryption is bound to all three.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, RowMapping, and_, delete, func, insert, select, update

from safeconduct.errors import Rejected
from safeconduct.wallet.records import (
    Credential,
    Held,
    KnownIssuer,
    Pending,
    StoredCredential,
    StoredInstance,
)
from safeconduct.wallet.tables import records
from safeconduct.wallet.vault import Vault

CREDENTIAL, INSTANCE, PENDING, ISSUER = "credential", "instance", "pending", "issuer"
"""Kinds of records."""

T = TypeVar("T", bound=msgspec.Struct)


class Raw(msgspec.Struct, frozen=True):
    """A record decrypted, but not read."""

    kind: str
    id: str
    parent: str
    content: bytes

    def __repr__(self) -> str:
        return f"<Raw {self.kind}>"


# Issuers.


def meet_issuer(
    connection: Connection,
    vault: Vault,
    identifier: str,
    *,
    encryption_required: bool,
    signed: bool,
    now: int,
) -> KnownIssuer:
    """Remember whether the issuer demands encryption and signs its metadata, and return what is known of it.

    Raises Rejected: encryption_downgraded, signature_downgraded if it once did and no longer does.
    """
    before = known_issuer(connection, vault, identifier)
    if before.encryption_required and not encryption_required:
        raise Rejected(
            "encryption_downgraded",
            "The issuer used to demand encryption and no longer does. Somebody may be in between: "
            "do not accept this offer before the issuer has confirmed it.",
        )
    if before.signed and not signed:
        raise Rejected(
            "signature_downgraded",
            "The issuer used to sign its metadata and no longer does. Somebody may be in between: "
            "do not accept this offer before the issuer has confirmed it.",
        )
    known = msgspec.structs.replace(before, encryption_required=encryption_required, signed=signed, seen=now)
    _put(connection, vault, ISSUER, vault.name(identifier), known)
    return known


def known_issuer(connection: Connection, vault: Vault, identifier: str) -> KnownIssuer:
    """Return what is known of an issuer, which may be nothing."""
    row = _row(connection, ISSUER, vault.name(identifier))
    return KnownIssuer(identifier=identifier) if row is None else _read(vault, row, KnownIssuer)


def remember_issuer(connection: Connection, vault: Vault, issuer: KnownIssuer) -> None:
    """Keep what the user said about an issuer."""
    _put(connection, vault, ISSUER, vault.name(issuer.identifier), issuer)


def list_issuers(connection: Connection, vault: Vault) -> tuple[KnownIssuer, ...]:
    """Return the issuers that the wallet met or was told of, by identifier."""
    found = (_read(vault, row, KnownIssuer) for row in _rows(connection, ISSUER))
    return tuple(sorted(found, key=lambda issuer: issuer.identifier))


# Requests under way.


def put_pending(connection: Connection, vault: Vault, pending: Pending) -> None:
    """Keep a request that is about to be sent, or that the issuer will answer later."""
    _put(connection, vault, PENDING, pending.id, pending)


def change_pending(connection: Connection, vault: Vault, pending: Pending) -> None:
    """Keep what is new about a request, unless another process has finished it meanwhile."""
    if _row(connection, PENDING, pending.id) is not None:
        _put(connection, vault, PENDING, pending.id, pending)


def claim_pending(
    connection: Connection, vault: Vault, pending: str, *, now: int, seconds: int
) -> Pending | None:
    """Take a request up to ask again; None if it is gone, or another process took it up so lately."""
    row = _row(connection, PENDING, pending)
    found = None if row is None else _read(vault, row, Pending)
    if found is None or found.claimed > now - seconds:
        return None
    claimed = msgspec.structs.replace(found, claimed=now)
    _put(connection, vault, PENDING, pending, claimed)
    return claimed


def release_pending(connection: Connection, vault: Vault, pending: str) -> None:
    """Leave a request to others, if it is still there."""
    row = _row(connection, PENDING, pending)
    if row is not None:
        released = msgspec.structs.replace(_read(vault, row, Pending), claimed=0)
        _put(connection, vault, PENDING, pending, released)


def drop_pending(connection: Connection, _vault: Vault, pending: str) -> None:
    """Forget a request, with its keys."""
    _delete(connection, PENDING, pending)


def list_pending(connection: Connection, vault: Vault) -> tuple[Pending, ...]:
    """Return the requests under way, the oldest first."""
    found = (_read(vault, row, Pending) for row in _rows(connection, PENDING))
    return tuple(sorted(found, key=lambda pending: (pending.since, pending.id)))


def find_pending(connection: Connection, vault: Vault, prefix: str) -> Pending:
    """Return the request whose id begins so. Raises Rejected: credential_unknown, credential_ambiguous."""
    return _read(vault, _find(connection, PENDING, prefix), Pending)


# Credentials.


def keep_credential(
    connection: Connection,
    vault: Vault,
    name: str,
    credential: StoredCredential,
    instances: Iterable[StoredInstance],
    *,
    replaces: str | None = None,
) -> Held:
    """Keep a credential that stood every check, and forget the request of the same id.

    replaces: id of the credential that goes. If another process has kept it meanwhile, that one stays.
    """
    _delete(connection, PENDING, name)
    there = _row(connection, CREDENTIAL, name)
    if there is not None:
        return _held(connection, vault, name, _read(vault, there, StoredCredential))
    if replaces is not None:
        _delete(connection, CREDENTIAL, replaces)
        connection.execute(delete(records).where(records.c.parent == replaces))
    _put(connection, vault, CREDENTIAL, name, credential)
    for number, instance in enumerate(instances):
        _put(connection, vault, INSTANCE, f"{name}-{number:04}", instance, parent=name)
    return _held(connection, vault, name, credential)


def replace_credential(connection: Connection, vault: Vault, name: str, credential: StoredCredential) -> None:
    """Keep a credential's changed record; its instances stay."""
    _put(connection, vault, CREDENTIAL, name, credential)


def list_held(connection: Connection, vault: Vault) -> tuple[Held, ...]:
    """Return what is held, the newest first."""
    found = [
        _held(connection, vault, row["id"], _read(vault, row, StoredCredential))
        for row in _rows(connection, CREDENTIAL)
    ]
    return tuple(sorted(found, key=lambda held: (-held.received, held.id)))


def find_credential(connection: Connection, vault: Vault, prefix: str) -> Credential:
    """Return the credential whose id begins so, by the first of its instances.

    Raises Rejected: credential_unknown, credential_ambiguous.
    """
    name, stored = find_stored(connection, vault, prefix)
    row = _instances(connection, name)[0]
    return _credential(_held(connection, vault, name, stored), row, _read(vault, row, StoredInstance))


def find_stored(connection: Connection, vault: Vault, prefix: str) -> tuple[str, StoredCredential]:
    """Return id and record of the credential whose id begins so. Raises as `find_credential`."""
    row = _find(connection, CREDENTIAL, prefix)
    return row["id"], _read(vault, row, StoredCredential)


def list_instances(connection: Connection, vault: Vault, name: str) -> tuple[StoredInstance, ...]:
    """Return all instances of the credential of exactly this id."""
    return tuple(_read(vault, row, StoredInstance) for row in _instances(connection, name))


def take_instance(connection: Connection, vault: Vault, prefix: str, *, reuse: bool) -> Credential:
    """Return an instance that nobody has seen, and count it as seen; two who ask at once get two.

    reuse: take one that was seen if there is none else, that which was seen least. A credential that was only
    issued once is always used again. The result's `held` is as it was before.
    Raises Rejected: instances_used_up, and as `find_credential`.
    """
    name, stored = find_stored(connection, vault, prefix)
    rows = [(row, _read(vault, row, StoredInstance)) for row in _instances(connection, name)]
    row, least = min(rows, key=lambda entry: entry[1].used)
    if least.used and len(rows) > 1 and not reuse:
        raise Rejected(
            "instances_used_up",
            "Each instance of the credential has been shown once. Get new ones with `wallet renew`, or give "
            "--reuse: whoever sees one for the second time can tell that both were yours.",
        )
    credential = _credential(_held(connection, vault, name, stored), row, least)
    changed = msgspec.structs.replace(least, used=least.used + 1)
    _put(connection, vault, INSTANCE, row["id"], changed, parent=name)
    return credential


def return_instance(connection: Connection, vault: Vault, credential: Credential) -> None:
    """Take back that an instance was seen: no presentation was made of it."""
    row = _row(connection, INSTANCE, credential.instance)
    if row is not None:
        taken = _read(vault, row, StoredInstance)
        changed = msgspec.structs.replace(taken, used=max(taken.used - 1, 0))
        _put(connection, vault, INSTANCE, row["id"], changed, parent=row["parent"])


def remove(connection: Connection, vault: Vault, prefix: str) -> StoredCredential | None:
    """Delete a credential and its keys for good, and return what it was.

    If no credential has this id, but a request for one, that is deleted. Raises as `find_credential`.
    """
    try:
        name, stored = find_stored(connection, vault, prefix)
    except Rejected as error:
        if error.code != "credential_unknown":
            raise
        drop_pending(connection, vault, find_pending(connection, vault, prefix).id)
        return None
    connection.execute(delete(records).where(records.c.parent == name))
    _delete(connection, CREDENTIAL, name)
    return stored


# All records.


def read_all(connection: Connection, vault: Vault) -> tuple[Raw, ...]:
    """Return every record, decrypted."""
    rows = connection.execute(select(records)).mappings()
    return tuple(Raw(row["kind"], row["id"], row["parent"], _opened(vault, row)) for row in rows)


def add_missing(connection: Connection, vault: Vault, found: Iterable[Raw]) -> int:
    """Add the records that are not there, with all that belongs to them; return how many that is."""
    here = {(row["kind"], row["id"]) for row in connection.execute(select(records)).mappings()}
    named = {(raw.kind, raw.id): raw for raw in (_named(vault, raw) for raw in found)}
    new = [raw for at, raw in named.items() if at not in here and (CREDENTIAL, raw.parent) not in here]
    for raw in new:
        _insert(connection, vault, raw)
    return len(new)


def seal_again(connection: Connection, old: Vault, new: Vault) -> None:
    """Decrypt every record with one vault and encrypt it with another; names are made anew as well."""
    everything = read_all(connection, old)
    connection.execute(delete(records))
    for raw in everything:
        _insert(connection, new, _named(new, raw))


def _named(vault: Vault, raw: Raw) -> Raw:
    """The record under the name that it has in this vault."""
    if raw.kind != ISSUER:
        return raw
    known = msgspec.json.decode(raw.content, type=KnownIssuer)
    return Raw(raw.kind, vault.name(known.identifier), raw.parent, raw.content)


def _insert(connection: Connection, vault: Vault, raw: Raw) -> None:
    sealed = vault.seal(_place(raw.kind, raw.id, raw.parent), raw.content)
    values = {"kind": raw.kind, "id": raw.id, "parent": raw.parent, "sealed": sealed}
    connection.execute(insert(records).values(values))


def _place(kind: str, name: str, parent: str) -> str:
    return f"{kind}\n{parent}\n{name}"


def _here(kind: str, name: str) -> Any:
    return and_(records.c.kind == kind, records.c.id == name)


def _put(
    connection: Connection, vault: Vault, kind: str, name: str, record: msgspec.Struct, *, parent: str = ""
) -> None:
    sealed = vault.seal(_place(kind, name, parent), msgspec.json.encode(record))
    changed = connection.execute(update(records).where(_here(kind, name)).values(sealed=sealed))
    if changed.rowcount == 0:
        values = {"kind": kind, "id": name, "parent": parent, "sealed": sealed}
        connection.execute(insert(records).values(values))


def _row(connection: Connection, kind: str, name: str) -> RowMapping | None:
    return connection.execute(select(records).where(_here(kind, name))).mappings().one_or_none()


def _rows(connection: Connection, kind: str) -> Iterable[RowMapping]:
    return connection.execute(select(records).where(records.c.kind == kind)).mappings().all()


def _instances(connection: Connection, name: str) -> list[RowMapping]:
    here = and_(records.c.kind == INSTANCE, records.c.parent == name)
    return list(connection.execute(select(records).where(here).order_by(records.c.id)).mappings())


def _delete(connection: Connection, kind: str, name: str) -> None:
    connection.execute(delete(records).where(_here(kind, name)))


def _find(connection: Connection, kind: str, prefix: str) -> RowMapping:
    here = and_(records.c.kind == kind, func.substr(records.c.id, 1, len(prefix)) == prefix)
    rows = connection.execute(select(records).where(here).limit(2)).mappings().all() if prefix else []
    if not rows:
        raise Rejected("credential_unknown", "The wallet holds no credential of this id; list what it holds.")
    if len(rows) > 1:
        raise Rejected("credential_ambiguous", "Several credentials have ids that begin so; give more of it.")
    return rows[0]


def _opened(vault: Vault, row: RowMapping) -> bytes:
    return vault.open(_place(row["kind"], row["id"], row["parent"]), row["sealed"])


def _read(vault: Vault, row: RowMapping, kind: type[T]) -> T:
    return msgspec.json.decode(_opened(vault, row), type=kind)


def _credential(held: Held, row: RowMapping, instance: StoredInstance) -> Credential:
    return Credential(held, instance.token, instance.holder_key, row["id"])


def _held(connection: Connection, vault: Vault, name: str, stored: StoredCredential) -> Held:
    uses = [_read(vault, row, StoredInstance).used for row in _instances(connection, name)]
    return Held(
        id=name,
        issuer=stored.issuer,
        configuration=stored.configuration,
        vct=stored.vct,
        received=stored.received,
        expires=stored.expires,
        format=stored.format,
        instances=len(uses),
        unused=uses.count(0),
    )
