"""The wallet's transactions. Everything in a record is encrypted; each key stands with the token it is for.

A record has a kind, an id, and the id of what it belongs to; its encryption is bound to all three.
"""

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, RowMapping, delete, select

from safeconduct.errors import Rejected
from safeconduct.wallet import rows
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
    rows.put(connection, vault, ISSUER, vault.name(identifier), known)
    return known


def known_issuer(connection: Connection, vault: Vault, identifier: str) -> KnownIssuer:
    """Return what is known of an issuer, which may be nothing."""
    row = rows.row(connection, ISSUER, vault.name(identifier))
    return KnownIssuer(identifier=identifier) if row is None else rows.read(vault, row, KnownIssuer)


def remember_issuer(connection: Connection, vault: Vault, issuer: KnownIssuer) -> None:
    """Keep what the user said about an issuer."""
    rows.put(connection, vault, ISSUER, vault.name(issuer.identifier), issuer)


def list_issuers(connection: Connection, vault: Vault) -> tuple[KnownIssuer, ...]:
    """Return the issuers that the wallet met or was told of, by identifier."""
    found = (rows.read(vault, row, KnownIssuer) for row in rows.of_kind(connection, ISSUER))
    return tuple(sorted(found, key=lambda issuer: issuer.identifier))


# Requests under way.


def put_pending(connection: Connection, vault: Vault, pending: Pending) -> None:
    """Keep a request that is about to be sent, or that the issuer will answer later."""
    rows.put(connection, vault, PENDING, pending.id, pending)


def change_pending(connection: Connection, vault: Vault, pending: Pending) -> None:
    """Keep what is new about a request, unless another process has finished it meanwhile."""
    if rows.row(connection, PENDING, pending.id) is not None:
        rows.put(connection, vault, PENDING, pending.id, pending)


def claim_pending(
    connection: Connection, vault: Vault, pending: str, *, now: int, seconds: int
) -> Pending | None:
    """Take a request up to ask again; None if it is gone, or another process took it up so lately."""
    row = rows.row(connection, PENDING, pending)
    found = None if row is None else rows.read(vault, row, Pending)
    if found is None or found.claimed > now - seconds:
        return None
    claimed = msgspec.structs.replace(found, claimed=now)
    rows.put(connection, vault, PENDING, pending, claimed)
    return claimed


def release_pending(connection: Connection, vault: Vault, pending: str) -> None:
    """Leave a request to others, if it is still there."""
    row = rows.row(connection, PENDING, pending)
    if row is not None:
        released = msgspec.structs.replace(rows.read(vault, row, Pending), claimed=0)
        rows.put(connection, vault, PENDING, pending, released)


def drop_pending(connection: Connection, _vault: Vault, pending: str) -> None:
    """Forget a request, with its keys."""
    rows.remove(connection, PENDING, pending)


def list_pending(connection: Connection, vault: Vault) -> tuple[Pending, ...]:
    """Return the requests under way, the oldest first."""
    found = (rows.read(vault, row, Pending) for row in rows.of_kind(connection, PENDING))
    return tuple(sorted(found, key=lambda pending: (pending.since, pending.id)))


def find_pending(connection: Connection, vault: Vault, prefix: str) -> Pending:
    """Return the request whose id begins so. Raises Rejected: credential_unknown, credential_ambiguous."""
    return rows.read(vault, rows.find(connection, PENDING, prefix), Pending)


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
    rows.remove(connection, PENDING, name)
    there = rows.row(connection, CREDENTIAL, name)
    if there is not None:
        return _held(connection, vault, name, rows.read(vault, there, StoredCredential))
    if replaces is not None:
        rows.remove(connection, CREDENTIAL, replaces)
        rows.remove_below(connection, replaces)
    rows.put(connection, vault, CREDENTIAL, name, credential)
    for number, instance in enumerate(instances):
        rows.put(connection, vault, INSTANCE, f"{name}-{number:04}", instance, parent=name)
    return _held(connection, vault, name, credential)


def replace_credential(connection: Connection, vault: Vault, name: str, credential: StoredCredential) -> None:
    """Keep a credential's changed record; its instances stay."""
    rows.put(connection, vault, CREDENTIAL, name, credential)


def list_held(connection: Connection, vault: Vault) -> tuple[Held, ...]:
    """Return what is held, the newest first."""
    found = [
        _held(connection, vault, row["id"], rows.read(vault, row, StoredCredential))
        for row in rows.of_kind(connection, CREDENTIAL)
    ]
    return tuple(sorted(found, key=lambda held: (-held.received, held.id)))


def held_by(connection: Connection, vault: Vault, name: str) -> Held | None:
    """Return what is held under exactly this id, None if nothing is."""
    stored = rows.get(connection, vault, CREDENTIAL, name, StoredCredential)
    return None if stored is None else _held(connection, vault, name, stored)


def find_credential(connection: Connection, vault: Vault, prefix: str) -> Credential:
    """Return the credential whose id begins so, by the first of its instances.

    Raises Rejected: credential_unknown, credential_ambiguous.
    """
    name, stored = find_stored(connection, vault, prefix)
    row = rows.below(connection, INSTANCE, name)[0]
    return _credential(_held(connection, vault, name, stored), row, rows.read(vault, row, StoredInstance))


def find_stored(connection: Connection, vault: Vault, prefix: str) -> tuple[str, StoredCredential]:
    """Return id and record of the credential whose id begins so. Raises as `find_credential`."""
    row = rows.find(connection, CREDENTIAL, prefix)
    return row["id"], rows.read(vault, row, StoredCredential)


def list_instances(connection: Connection, vault: Vault, name: str) -> tuple[StoredInstance, ...]:
    """Return all instances of the credential of exactly this id."""
    return tuple(rows.read(vault, row, StoredInstance) for row in rows.below(connection, INSTANCE, name))


def take_instance(connection: Connection, vault: Vault, prefix: str, *, reuse: bool) -> Credential:
    """Return an instance that nobody has seen, and count it as seen; two who ask at once get two.

    reuse: take one that was seen if there is none else, that which was seen least. A credential that was only
    issued once is always used again. The result's `held` is as it was before.
    Raises Rejected: instances_used_up, and as `find_credential`.
    """
    name, stored = find_stored(connection, vault, prefix)
    found = [(row, rows.read(vault, row, StoredInstance)) for row in rows.below(connection, INSTANCE, name)]
    row, least = min(found, key=lambda entry: entry[1].used)
    if least.used and len(found) > 1 and not reuse:
        raise Rejected(
            "instances_used_up",
            "Each instance of the credential has been shown once. Get new ones with `wallet renew`, or give "
            "--reuse: whoever sees one for the second time can tell that both were yours.",
        )
    credential = _credential(_held(connection, vault, name, stored), row, least)
    changed = msgspec.structs.replace(least, used=least.used + 1)
    rows.put(connection, vault, INSTANCE, row["id"], changed, parent=name)
    return credential


def return_instance(connection: Connection, vault: Vault, credential: Credential) -> None:
    """Take back that an instance was seen: no presentation was made of it."""
    row = rows.row(connection, INSTANCE, credential.instance)
    if row is not None:
        taken = rows.read(vault, row, StoredInstance)
        changed = msgspec.structs.replace(taken, used=max(taken.used - 1, 0))
        rows.put(connection, vault, INSTANCE, row["id"], changed, parent=row["parent"])


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
    rows.remove_below(connection, name)
    rows.remove(connection, CREDENTIAL, name)
    return stored


# All records.


def read_all(connection: Connection, vault: Vault) -> tuple[Raw, ...]:
    """Return every record, decrypted."""
    found = connection.execute(select(records)).mappings()
    return tuple(Raw(row["kind"], row["id"], row["parent"], rows.opened(vault, row)) for row in found)


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
    rows.add(connection, vault, raw.kind, raw.id, raw.content, parent=raw.parent)


def _credential(held: Held, row: RowMapping, instance: StoredInstance) -> Credential:
    return Credential(held, instance.token, instance.holder_key, row["id"])


def _held(connection: Connection, vault: Vault, name: str, stored: StoredCredential) -> Held:
    uses = [rows.read(vault, row, StoredInstance).used for row in rows.below(connection, INSTANCE, name)]
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
