"""Who may look after the shares of a credential: tokens of which only digests are kept, for some minutes."""

from sqlalchemy import Connection, delete, select

from safeconduct.services.issuer.grant_store import token_invalid
from safeconduct.services.issuer.tables import share_access


def add_access(
    connection: Connection, tenant: str, digest: bytes, parent_id: str, *, expires_at: int
) -> None:
    """Keeps the digest of a token by which a holder sees and ends the shares of a credential."""
    values = {"digest": digest, "tenant": tenant, "parent_id": parent_id, "expires_at": expires_at}
    connection.execute(share_access.insert().values(values))


def find_access(connection: Connection, tenant: str, digest: bytes, *, now: int) -> str:
    """Returns the issued id of the credential that a token is for. Raises InvalidToken "token_invalid"."""
    query = select(share_access.c.parent_id).where(
        share_access.c.digest == digest, share_access.c.tenant == tenant, share_access.c.expires_at > now
    )
    parent_id: str | None = connection.execute(query).scalar()
    if parent_id is None:
        raise token_invalid()
    return parent_id


def forget(connection: Connection, now: int) -> None:
    """Deletes the tokens that have expired."""
    connection.execute(delete(share_access).where(share_access.c.expires_at <= now))
