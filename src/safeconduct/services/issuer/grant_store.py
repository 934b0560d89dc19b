"""What the issuer remembers of grants and tokens: each function is one transaction, safe under two processes.

A function that must keep something although the request fails (an attempt counted, a token revoked) returns
the refusal; one that raises keeps nothing.
"""

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, delete, or_, select, update

from safeconduct.encoding import json
from safeconduct.errors import Rejected
from safeconduct.protocols.oauth.errors import InvalidDpopProof, InvalidToken
from safeconduct.services.issuer import grants as life
from safeconduct.services.issuer.tables import (
    attempts,
    authorizations,
    grants,
    identifiers,
    keys,
    links,
    refresh_tokens,
    seen,
    tokens,
)
from safeconduct.storage.prepared import Prepared

IN_FORCE = and_(
    tokens.c.tenant == bindparam("tenant"),
    tokens.c.digest == bindparam("digest"),
    tokens.c.expires_at > bindparam("now"),
)
"""What finds an access token that is good for something: by issuer, digest and time."""

_TOKEN = Prepared(select(tokens.c.grant_id, tokens.c.thumbprint).where(IN_FORCE))
_SEEN = Prepared.insert_once(seen, "digest", "expires_at")
_MOVED = Prepared(update(grants).where(grants.c.id == bindparam("grant_id")).values(state=bindparam("state")))


class Token(msgspec.Struct, frozen=True):
    """An access token in force: whose grant it is of, and the DPoP key it is bound to."""

    grant_id: str
    thumbprint: str


class OfferUnknown(Rejected):
    """There is no such offer, or none any more."""

    http_status = 404


def find_token(connection: Connection, tenant: str, token_digest: bytes, *, now: int) -> Token:
    """Returns an access token in force. Raises InvalidToken "token_invalid"."""
    row = _TOKEN.first(connection, tenant=tenant, digest=token_digest, now=now)
    if row is None:
        raise token_invalid()
    return Token(row.grant_id, row.thumbprint)


def remember(connection: Connection, digest: bytes, *, expires_at: int) -> bool:
    """Keeps the digest of what may come once only until `expires_at`; returns whether it is new."""
    return _SEEN.run(connection, digest=digest, expires_at=expires_at) == 1


def remember_proof(connection: Connection, digest: bytes, *, expires_at: int) -> None:
    """Keeps the digest of a DPoP proof until `expires_at`. Raises InvalidDpopProof "dpop_replayed"."""
    if not remember(connection, digest, expires_at=expires_at):
        raise InvalidDpopProof("dpop_replayed", "The proof was used before.", rule="RFC 9449 §11.1")


def sweep(connection: Connection, *, now: int, keep_grants_since: int) -> None:
    """Deletes what has expired, and grants over by `keep_grants_since`."""
    expire(connection, now)
    for table in (tokens, refresh_tokens, authorizations, links, attempts, seen, keys):
        connection.execute(delete(table).where(table.c.expires_at <= now))
    connection.execute(
        delete(grants).where(grants.c.state.in_(life.FINAL), grants.c.expires_at <= keep_grants_since)
    )


def move(connection: Connection, grant: Row[Any], event: life.Event) -> None:
    """Follows one arrow; where it ends in a final state, the claims are erased and the tokens revoked."""
    move_by_id(connection, grant.id, grant.state, event)


def move_by_id(connection: Connection, grant_id: str, state: life.State, event: life.Event) -> None:
    """As `move`, for a grant of which the id and the state are at hand."""
    after = life.advance(state, event)
    if after in life.FINAL:
        connection.execute(update(grants).where(grants.c.id == grant_id).values(state=after, claims=None))
        revoke(connection, grant_id)
    elif after != state:
        _MOVED.run(connection, grant_id=grant_id, state=after)


def revoke(connection: Connection, grant_id: str) -> None:
    """Deletes all that a grant was traded for: tokens, refresh tokens, credential identifiers."""
    for table in (identifiers, tokens, refresh_tokens):
        connection.execute(delete(table).where(table.c.grant_id == grant_id))


def expire(connection: Connection, now: int) -> None:
    """Ends the grants whose time is over; an offer of a share ends with the share, until it was issued."""
    open_states = frozenset(life.STATES) - life.FINAL
    late = select(grants).where(
        grants.c.state.in_(open_states),
        grants.c.expires_at <= now,
        or_(grants.c.share_id.is_(None), grants.c.state == "issued"),
    )
    for grant in connection.execute(late).all():
        move(connection, grant, "expire")


def grant_by_id(connection: Connection, grant_id: str) -> Row[Any]:
    """Returns the row of a grant. Raises OfferUnknown "offer_unknown"."""
    row = connection.execute(select(grants).where(grants.c.id == grant_id)).first()
    if row is None:
        raise offer_unknown()
    return row


def configuration_ids_of(row: Row[Any]) -> tuple[str, ...]:
    """Returns the configurations that a grant is for."""
    return tuple(json.loads(row.configuration_ids))


def offer_unknown() -> OfferUnknown:
    """Returns the error of an offer that is not there."""
    return OfferUnknown("offer_unknown", "There is no such offer.")


def token_invalid() -> InvalidToken:
    """Returns the error of a token that is good for nothing."""
    return InvalidToken(
        "token_invalid", "The access token is unknown, expired or revoked.", rule="RFC 6750 §3.1"
    )
