"""What the issuer remembers: each function is one transaction, safe under several processes.

A function that must keep something although the request fails (an attempt counted, a token revoked) returns
the refusal; one that raises keeps nothing.
"""

import hmac
from collections.abc import Callable, Collection
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, select, update

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
from safeconduct.protocols.openid4vci.errors import (
    CredentialRequestDenied,
    InvalidNonce,
    UnknownCredentialIdentifier,
)
from safeconduct.protocols.openid4vci.offer import TxCode
from safeconduct.services.issuer import grants as life
from safeconduct.services.issuer.digests import digest_of
from safeconduct.services.issuer.key_store import insert_once
from safeconduct.services.issuer.tables import grants, identifiers, keys, seen, tokens

LISTED = 100
"""Most offers in one answer."""


class NewGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A grant to be stored; the digests are SHA-256, `tx_digest` keyed with the code."""

    id: str
    configuration_ids: tuple[str, ...]
    claims: bytes
    code_digest: bytes
    reference_digest: bytes | None
    tx_code: TxCode | None
    tx_digest: bytes | None
    attempts: int
    created_at: int
    expires_at: int

    def __repr__(self) -> str:
        return f"<NewGrant expires_at={self.expires_at}>"


class GrantView(msgspec.Struct, frozen=True, kw_only=True):
    """What management may see of a grant: nothing that opens it, and no claims."""

    offer_id: str
    state: life.State
    configuration_ids: tuple[str, ...]
    created_at: int
    expires_at: int


class Offered(msgspec.Struct, frozen=True):
    """What an offer by reference says, but for its code, which only the reference yields."""

    configuration_ids: tuple[str, ...]
    tx_code: TxCode | None


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    """A code as it was presented, and the token it shall be traded for.

    tx_digest: None if no transaction code was given. proof_digest: of the DPoP proof.
    requested: empty for all that the grant offers. new_identifier: makes one.
    uses: credentials that an identifier is good for.
    """

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


class Dataset(msgspec.Struct, frozen=True):
    """What an identifier stands for. claims: JSON."""

    configuration_id: str
    claims: bytes

    def __repr__(self) -> str:
        return "<Dataset>"


class OfferUnknown(Rejected):
    """There is no such offer, or none any more."""

    http_status = 404


def add_grant(connection: Connection, grant: NewGrant) -> None:
    """Stores a grant in state pending."""
    connection.execute(
        grants.insert().values(
            id=grant.id,
            state="pending",
            configuration_ids=json.dumps(grant.configuration_ids).decode(),
            claims=grant.claims,
            code_digest=grant.code_digest,
            reference_digest=grant.reference_digest,
            tx_code=None if grant.tx_code is None else msgspec.json.encode(grant.tx_code).decode(),
            tx_digest=grant.tx_digest,
            attempts_left=grant.attempts,
            created_at=grant.created_at,
            expires_at=grant.expires_at,
        )
    )


def list_grants(connection: Connection, *, state: life.State | None, now: int) -> list[GrantView]:
    """Returns the newest grants, at most `LISTED`; of one state if that is given."""
    _expire(connection, now)
    query = select(grants).order_by(grants.c.created_at.desc(), grants.c.id).limit(LISTED)
    if state is not None:
        query = query.where(grants.c.state == state)
    return [_view(row) for row in connection.execute(query)]


def find_grant(connection: Connection, grant_id: str, *, now: int) -> GrantView:
    """Returns one grant. Raises OfferUnknown "offer_unknown"."""
    _expire(connection, now)
    return _view(_grant_by_id(connection, grant_id))


def cancel_grant(connection: Connection, grant_id: str, *, now: int) -> None:
    """Ends a grant and revokes its tokens. Raises OfferUnknown; TransitionRefused if it is over already."""
    _expire(connection, now)
    _move(connection, _grant_by_id(connection, grant_id), "cancel")


def find_offered(connection: Connection, reference_digest: bytes, *, now: int) -> Offered:
    """Returns what a pending offer says. Raises OfferUnknown "offer_unknown"."""
    row = connection.execute(
        select(grants).where(
            grants.c.reference_digest == reference_digest,
            grants.c.state == "pending",
            grants.c.expires_at > now,
        )
    ).first()
    if row is None:
        raise _offer_unknown()
    tx_code = None if row.tx_code is None else msgspec.json.decode(row.tx_code, type=TxCode)
    return Offered(_configuration_ids(row), tx_code)


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
    grant = connection.execute(select(grants).where(grants.c.code_digest == redemption.code_digest)).first()
    if grant is None or grant.state in life.FINAL or grant.expires_at <= now:
        raise InvalidGrant("code_unknown", "The code is unknown, used or expired.", rule="OpenID4VCI §6.3")
    remember_proof(connection, redemption.proof_digest, expires_at=redemption.proof_expires_at)
    fits = hmac.compare_digest(grant.tx_digest or b"", redemption.tx_digest or b"")
    if grant.state == "redeemed":
        if fits:  # who has only seen the offer cannot revoke what it gave
            _move(connection, grant, "replay")
        return InvalidGrant("code_used", "The code is unknown, used or expired.", rule="RFC 6749 §4.1.2")
    _check_tx_code_presence(grant, redemption)
    if not fits:
        return _count_attempt(connection, grant)
    details = _grant_details(_configuration_ids(grant), redemption)
    _move(connection, grant, "redeem")
    # The token's life is the grant's from here on.
    connection.execute(
        update(grants).where(grants.c.id == grant.id).values(expires_at=redemption.token_expires_at)
    )
    _add_token(connection, grant.id, redemption, details)
    return details


def find_token(connection: Connection, token_digest: bytes, *, now: int) -> Token:
    """Returns an access token in force. Raises InvalidToken "token_invalid"."""
    row = connection.execute(
        select(tokens).where(tokens.c.digest == token_digest, tokens.c.expires_at > now)
    ).first()
    if row is None:
        raise _token_invalid()
    return Token(row.grant_id, row.thumbprint)


def remember_proof(connection: Connection, digest: bytes, *, expires_at: int) -> None:
    """Keeps the digest of a DPoP proof until `expires_at`. Raises InvalidDpopProof "dpop_replayed"."""
    if not insert_once(connection, seen, {"digest": digest, "expires_at": expires_at}):
        raise InvalidDpopProof("dpop_replayed", "The proof was used before.", rule="RFC 9449 §11.1")


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
    grant_id = find_token(connection, token_digest, now=now).grant_id
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
    left = select(func.sum(identifiers.c.remaining)).where(identifiers.c.grant_id == grant_id)
    over = connection.execute(left).scalar_one() == 0
    _move(connection, _grant_by_id(connection, grant_id), "deliver_last" if over else "deliver")


def sweep(connection: Connection, *, now: int, keep_grants_since: int) -> None:
    """Deletes tokens, memories and keys that have expired, and grants over by `keep_grants_since`."""
    _expire(connection, now)
    for table in (tokens, seen, keys):
        connection.execute(delete(table).where(table.c.expires_at <= now))
    connection.execute(
        delete(grants).where(grants.c.state.in_(life.FINAL), grants.c.expires_at <= keep_grants_since)
    )


def _move(connection: Connection, grant: Row[Any], event: life.Event) -> None:
    """Follows one arrow; where it ends in a final state, the claims are erased."""
    after = life.advance(grant.state, event)
    over = {"claims": None} if after in life.FINAL else {}
    connection.execute(update(grants).where(grants.c.id == grant.id).values(state=after, **over))
    if after in life.REVOKING:
        connection.execute(delete(identifiers).where(identifiers.c.grant_id == grant.id))
        connection.execute(delete(tokens).where(tokens.c.grant_id == grant.id))


def _expire(connection: Connection, now: int) -> None:
    open_states = frozenset(life.STATES) - life.FINAL
    late = select(grants).where(grants.c.state.in_(open_states), grants.c.expires_at <= now)
    for grant in connection.execute(late).all():
        _move(connection, grant, "expire")


def _count_attempt(connection: Connection, grant: Row[Any]) -> InvalidGrant:
    left = grant.attempts_left - 1
    connection.execute(update(grants).where(grants.c.id == grant.id).values(attempts_left=left))
    _move(connection, grant, "wrong_tx_code" if left > 0 else "last_wrong_tx_code")
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


def _grant_by_id(connection: Connection, grant_id: str) -> Row[Any]:
    row = connection.execute(select(grants).where(grants.c.id == grant_id)).first()
    if row is None:
        raise _offer_unknown()
    return row


def _view(row: Row[Any]) -> GrantView:
    return GrantView(
        offer_id=row.id,
        state=row.state,
        configuration_ids=_configuration_ids(row),
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def _configuration_ids(row: Row[Any]) -> tuple[str, ...]:
    return tuple(json.loads(row.configuration_ids))


def _offer_unknown() -> OfferUnknown:
    return OfferUnknown("offer_unknown", "There is no such offer.")


def _token_invalid() -> InvalidToken:
    return InvalidToken(
        "token_invalid", "The access token is unknown, expired or revoked.", rule="RFC 6750 §3.1"
    )


def _used_up() -> CredentialRequestDenied:
    return CredentialRequestDenied("identifier_used_up", "All credentials of this kind have been issued.")
