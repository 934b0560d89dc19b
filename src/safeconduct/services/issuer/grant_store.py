"""What the issuer remembers of grants and tokens: each function is one transaction, safe under two processes.

A function that must keep something although the request fails (an attempt counted, a token revoked) returns
the refusal; one that raises keeps nothing.
"""

import hmac
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, select, update

from safeconduct.encoding import json
from safeconduct.errors import Rejected
from safeconduct.protocols.oauth.authorization_details import CredentialDetail, GrantedDetail
from safeconduct.protocols.oauth.errors import (
    InvalidAuthorizationDetails,
    InvalidDpopProof,
    InvalidGrant,
    InvalidRequest,
    InvalidToken,
)
from safeconduct.services.issuer import grants as life
from safeconduct.services.issuer.digests import digest_of
from safeconduct.services.issuer.key_store import insert_once
from safeconduct.services.issuer.tables import grants, identifiers, keys, seen, tokens


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    """A code as it was presented, and the token it shall be traded for.

    tx_digest: None if no transaction code was given. proof_digest: of the DPoP proof.
    requested: empty for all that the grant offers. new_identifier: makes one.
    uses: credentials that an identifier is good for.
    """

    tenant: str
    code_digest: bytes
    tx_digest: bytes | None
    proof_digest: bytes
    proof_expires_at: int
    requested: tuple[CredentialDetail, ...]
    token_digest: bytes
    thumbprint: str
    token_expires_at: int
    new_identifier: Callable[[], str]
    uses: int

    def __repr__(self) -> str:
        return "<Redemption>"


class Token(msgspec.Struct, frozen=True):
    """An access token in force: whose grant it is of, and the DPoP key it is bound to."""

    grant_id: str
    thumbprint: str


class OfferUnknown(Rejected):
    """There is no such offer, or none any more."""

    http_status = 404


def redeem_grant(
    connection: Connection, redemption: Redemption, *, now: int
) -> tuple[GrantedDetail, ...] | InvalidGrant:
    """Trades a code for a token: returns what the token is good for, or the refusal.

    A wrong transaction code costs an attempt, the last one locks the grant. A code that was traded before
    locks it too, if the transaction code is right or none is wanted, and revokes the token (RFC 6749 §4.1.2,
    RFC 9700 §2.1.1): one of the two senders is a thief.
    Raises, and so keeps nothing: InvalidGrant "code_unknown"; InvalidDpopProof "dpop_replayed";
    InvalidRequest "tx_code_missing", "tx_code_unexpected"; InvalidAuthorizationDetails "details_not_offered".
    """
    grant = connection.execute(
        select(grants).where(
            grants.c.tenant == redemption.tenant, grants.c.code_digest == redemption.code_digest
        )
    ).first()
    if grant is None or grant.state in life.FINAL or grant.expires_at <= now:
        raise InvalidGrant("code_unknown", "The code is unknown, used or expired.", rule="OpenID4VCI §6.3")
    remember_proof(connection, redemption.proof_digest, expires_at=redemption.proof_expires_at)
    fits = hmac.compare_digest(grant.tx_digest or b"", redemption.tx_digest or b"")
    if grant.state in life.TRADED:
        if fits:  # who has only seen the offer cannot revoke what it gave
            move(connection, grant, "replay")
        return InvalidGrant("code_used", "The code is unknown, used or expired.", rule="RFC 6749 §4.1.2")
    _check_tx_code_presence(grant, redemption)
    if not fits:
        return _count_attempt(connection, grant)
    details = _grant_details(configuration_ids_of(grant), redemption)
    move(connection, grant, "redeem")
    # The token's life is the grant's from here on.
    connection.execute(
        update(grants).where(grants.c.id == grant.id).values(expires_at=redemption.token_expires_at)
    )
    _add_token(connection, grant.id, redemption, details)
    return details


def find_token(connection: Connection, tenant: str, token_digest: bytes, *, now: int) -> Token:
    """Returns an access token in force. Raises InvalidToken "token_invalid"."""
    row = connection.execute(
        select(tokens).where(
            tokens.c.tenant == tenant, tokens.c.digest == token_digest, tokens.c.expires_at > now
        )
    ).first()
    if row is None:
        raise _token_invalid()
    return Token(row.grant_id, row.thumbprint)


def remember_proof(connection: Connection, digest: bytes, *, expires_at: int) -> None:
    """Keeps the digest of a DPoP proof until `expires_at`. Raises InvalidDpopProof "dpop_replayed"."""
    if not insert_once(connection, seen, {"digest": digest, "expires_at": expires_at}):
        raise InvalidDpopProof("dpop_replayed", "The proof was used before.", rule="RFC 9449 §11.1")


def sweep(connection: Connection, *, now: int, keep_grants_since: int) -> None:
    """Deletes tokens, memories and keys that have expired, and grants over by `keep_grants_since`."""
    expire(connection, now)
    for table in (tokens, seen, keys):
        connection.execute(delete(table).where(table.c.expires_at <= now))
    connection.execute(
        delete(grants).where(grants.c.state.in_(life.FINAL), grants.c.expires_at <= keep_grants_since)
    )


def move(connection: Connection, grant: Row[Any], event: life.Event) -> None:
    """Follows one arrow; where it ends in a final state, the claims are erased and the tokens revoked."""
    after = life.advance(grant.state, event)
    over = {"claims": None} if after in life.FINAL else {}
    if after != grant.state:
        connection.execute(update(grants).where(grants.c.id == grant.id).values(state=after, **over))
    if after in life.FINAL:
        connection.execute(delete(identifiers).where(identifiers.c.grant_id == grant.id))
        connection.execute(delete(tokens).where(tokens.c.grant_id == grant.id))


def expire(connection: Connection, now: int) -> None:
    """Ends the grants whose time is over."""
    open_states = frozenset(life.STATES) - life.FINAL
    late = select(grants).where(grants.c.state.in_(open_states), grants.c.expires_at <= now)
    for grant in connection.execute(late).all():
        move(connection, grant, "expire")


def _count_attempt(connection: Connection, grant: Row[Any]) -> InvalidGrant:
    left = grant.attempts_left - 1
    connection.execute(update(grants).where(grants.c.id == grant.id).values(attempts_left=left))
    move(connection, grant, "wrong_tx_code" if left > 0 else "last_wrong_tx_code")
    return InvalidGrant("tx_code_wrong", "The transaction code is wrong.", rule="OpenID4VCI §6.3")


def _check_tx_code_presence(grant: Row[Any], redemption: Redemption) -> None:
    if grant.tx_digest is not None and redemption.tx_digest is None:
        raise InvalidRequest(
            "tx_code_missing", "The request has no transaction code.", rule="OpenID4VCI §6.3"
        )
    if grant.tx_digest is None and redemption.tx_digest is not None:
        raise InvalidRequest("tx_code_unexpected", "No transaction code is expected.", rule="OpenID4VCI §6.3")


def _grant_details(offered: tuple[str, ...], redemption: Redemption) -> tuple[GrantedDetail, ...]:
    wanted = {detail.credential_configuration_id for detail in redemption.requested}
    if not wanted.issubset(offered):
        raise InvalidAuthorizationDetails("details_not_offered", "The offer is not for what is asked.")
    return tuple(
        GrantedDetail(configuration_id, (redemption.new_identifier(),))
        for configuration_id in offered
        if not wanted or configuration_id in wanted
    )


def _add_token(
    connection: Connection, grant_id: str, redemption: Redemption, details: tuple[GrantedDetail, ...]
) -> None:
    connection.execute(
        tokens.insert().values(
            digest=redemption.token_digest,
            tenant=redemption.tenant,
            grant_id=grant_id,
            thumbprint=redemption.thumbprint,
            expires_at=redemption.token_expires_at,
        )
    )
    for detail in details:
        for identifier in detail.credential_identifiers:
            connection.execute(
                identifiers.insert().values(
                    digest=digest_of(identifier),
                    grant_id=grant_id,
                    token_digest=redemption.token_digest,
                    configuration_id=detail.credential_configuration_id,
                    remaining=redemption.uses,
                )
            )


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


def _token_invalid() -> InvalidToken:
    return InvalidToken(
        "token_invalid", "The access token is unknown, expired or revoked.", rule="RFC 6750 §3.1"
    )
