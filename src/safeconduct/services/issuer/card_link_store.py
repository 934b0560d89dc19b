"""Health cards that wait for their holders behind links; each function is one transaction."""

import hmac
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, delete, select, update

from safeconduct.errors import Rejected
from safeconduct.services.issuer.tables import card_links


class CardLinkUnknown(Rejected):
    """There is no such link, or none any more."""

    http_status = 404


class NewCardLink(msgspec.Struct, frozen=True, kw_only=True):
    """digest: of the secret in the link. sealed: what only the secret opens.

    code_digest: of the code that is asked for as well, None for none. attempts: how often it may be wrong.
    """

    id: str
    tenant: str
    digest: bytes
    sealed: bytes
    code_digest: bytes | None
    attempts: int
    expires_at: int

    def __repr__(self) -> str:
        return "<NewCardLink>"


def add_card_link(connection: Connection, link: NewCardLink) -> None:
    """Keeps a card for its holder."""
    connection.execute(
        card_links.insert().values(
            id=link.id,
            tenant=link.tenant,
            digest=link.digest,
            sealed=link.sealed,
            code_digest=link.code_digest,
            attempts_left=link.attempts,
            expires_at=link.expires_at,
        )
    )


def wants_code(connection: Connection, tenant: str, digest: bytes, *, now: int) -> bool:
    """Returns whether a code is asked for. Raises CardLinkUnknown "card_link_unknown"."""
    row = _find(connection, tenant, digest, now)
    return row.code_digest is not None


def open_card_link(
    connection: Connection, tenant: str, digest: bytes, code_digest: bytes | None, *, now: int
) -> bytes | None:
    """Returns what is sealed; None if the code is wrong, which costs an attempt.

    After the last attempt the card is deleted. Raises CardLinkUnknown "card_link_unknown".
    """
    # Locked: one of many guesses at once, if right, must not slip through before the wrong ones are counted.
    row = _find(connection, tenant, digest, now, lock=True)
    if row.code_digest is None or hmac.compare_digest(row.code_digest, code_digest or b""):
        return bytes(row.sealed)
    own = and_(card_links.c.tenant == tenant, card_links.c.digest == digest)
    if row.attempts_left <= 1:
        connection.execute(delete(card_links).where(own))
    else:
        connection.execute(update(card_links).where(own).values(attempts_left=row.attempts_left - 1))
    return None


def remove_card_link(connection: Connection, tenant: str, digest: bytes) -> None:
    """Deletes the card behind a link."""
    connection.execute(delete(card_links).where(card_links.c.tenant == tenant, card_links.c.digest == digest))


def cancel_card_link(connection: Connection, tenant: str, link_id: str, *, now: int) -> None:
    """Deletes the card behind the link that management knows by its id. Raises CardLinkUnknown."""
    own = and_(card_links.c.tenant == tenant, card_links.c.id == link_id, card_links.c.expires_at > now)
    if connection.execute(delete(card_links).where(own)).rowcount != 1:
        raise _unknown()


def _find(connection: Connection, tenant: str, digest: bytes, now: int, *, lock: bool = False) -> Row[Any]:
    wanted = select(card_links).where(
        card_links.c.tenant == tenant, card_links.c.digest == digest, card_links.c.expires_at > now
    )
    row = connection.execute(wanted.with_for_update() if lock else wanted).first()
    if row is None:
        raise _unknown()
    return row


def _unknown() -> CardLinkUnknown:
    return CardLinkUnknown("card_link_unknown", "The link is unknown, or has expired.")
