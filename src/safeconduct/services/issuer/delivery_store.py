"""What the issuer remembers of deliveries: each function is one transaction, safe under several processes."""

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, select, update

from safeconduct.protocols.openid4vci.errors import (
    CredentialRequestDenied,
    InvalidNonce,
    UnknownCredentialIdentifier,
)
from safeconduct.services.issuer.grant_store import find_token, grant_by_id, move
from safeconduct.services.issuer.key_store import insert_once
from safeconduct.services.issuer.tables import grants, identifiers, seen


class Dataset(msgspec.Struct, frozen=True):
    """What an identifier stands for. claims: JSON."""

    configuration_id: str
    claims: bytes

    def __repr__(self) -> str:
        return "<Dataset>"


def find_dataset(
    connection: Connection, token_digest: bytes, identifier_digest: bytes, *, count: int
) -> Dataset:
    """Returns what the identifier stands for, if it belongs to the token and is good for `count` credentials.

    Raises UnknownCredentialIdentifier "identifier_unknown", CredentialRequestDenied "identifier_used_up".
    """
    row = connection.execute(
        select(identifiers, grants.c.claims)
        .join(grants, grants.c.id == identifiers.c.grant_id)
        .where(identifiers.c.digest == identifier_digest, identifiers.c.token_digest == token_digest)
    ).first()
    if row is None:
        raise UnknownCredentialIdentifier("identifier_unknown", "The token has no such identifier.")
    if row.remaining < count or row.claims is None:
        raise _used_up()
    return Dataset(row.configuration_id, row.claims)


def deliver(
    connection: Connection,
    tenant: str,
    token_digest: bytes,
    identifier_digest: bytes,
    *,
    nonce_digests: Collection[bytes],
    count: int,
    now: int,
    nonces_expire_at: int,
) -> None:
    """Uses up what `count` credentials cost: the identifier's credit and the proofs' nonces, or nothing.

    The credentials are signed and sealed before, and leave the issuer only after this has been kept. So of
    two requests at once one is answered, and a process that dies leaves either all or nothing of it.
    Raises InvalidToken "token_invalid", InvalidNonce "proof_nonce_used", CredentialRequestDenied
    "identifier_used_up".
    """
    grant_id = find_token(connection, tenant, token_digest, now=now).grant_id
    for digest in nonce_digests:
        if not insert_once(connection, seen, {"digest": digest, "expires_at": nonces_expire_at}):
            raise InvalidNonce("proof_nonce_used", "The nonce has been used.", rule="OpenID4VCI §8.3.1.2")
    taken = connection.execute(
        update(identifiers)
        .where(
            identifiers.c.digest == identifier_digest,
            identifiers.c.token_digest == token_digest,
            identifiers.c.remaining >= count,
        )
        .values(remaining=identifiers.c.remaining - count)
    )
    if taken.rowcount != 1:
        raise _used_up()
    move(connection, grant_by_id(connection, grant_id), "deliver")


def _used_up() -> CredentialRequestDenied:
    return CredentialRequestDenied("identifier_used_up", "All credentials of this kind have been issued.")
