"""What the issuer remembers of deliveries: each function is one transaction, safe under several processes."""

import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, exists, select, update

from safeconduct.encoding import json
from safeconduct.ids import Random
from safeconduct.protocols.oauth.dpop import DpopProof
from safeconduct.protocols.openid4vci.errors import (
    CredentialRequestDenied,
    InvalidNonce,
    InvalidNotificationId,
    InvalidTransactionId,
)
from safeconduct.protocols.openid4vci.notification import NotificationEvent
from safeconduct.services.issuer import deferral, event_store, share_moves, share_redemption
from safeconduct.services.issuer.digests import proof_digest
from safeconduct.services.issuer.event_store import Event, EventKind
from safeconduct.services.issuer.grant_store import (
    IN_FORCE,
    move_by_id,
    remember,
    remember_proof,
    token_invalid,
)
from safeconduct.services.issuer.grants import State
from safeconduct.services.issuer.share_redemption import ShareTerms
from safeconduct.services.issuer.tables import (
    deliveries,
    grants,
    identifiers,
    issued,
    notifications,
    shares,
    tokens,
    transactions,
)
from safeconduct.storage.prepared import Prepared
from safeconduct.storage.status import places
from safeconduct.storage.status.places import StatusIndex

AFTER_NOTIFICATION: Mapping[tuple[str, NotificationEvent], EventKind] = {
    ("delivered", "credential_accepted"): "accepted",
    ("delivered", "credential_failure"): "failed",
    ("delivered", "credential_deleted"): "deleted",
    ("failed", "credential_accepted"): "accepted",
    ("failed", "credential_deleted"): "deleted",
    ("accepted", "credential_deleted"): "deleted",
}
"""What becomes of an issued credential by what its wallet tells; anything else changes nothing."""


_ACCESS = Prepared(
    select(
        tokens.c.grant_id,
        tokens.c.thumbprint,
        tokens.c.expires_at,
        tokens.c.configuration_ids,
        grants.c.client_id,
        grants.c.claims,
        grants.c.subject,
        grants.c.own_reference,
        grants.c.deferred,
        grants.c.share_id,
    )
    .join(grants, grants.c.id == tokens.c.grant_id)
    .where(IN_FORCE)
)
_GRANT = Prepared(
    select(grants.c.state, grants.c.share_id).join(tokens, grants.c.id == tokens.c.grant_id).where(IN_FORCE)
)
_DATASETS = Prepared(
    select(
        identifiers.c.digest, identifiers.c.configuration_id, identifiers.c.named, identifiers.c.remaining
    ).where(identifiers.c.grant_id == bindparam("grant_id"))
)
_DELIVERED = Prepared(
    select(deliveries.c.digest, issued.c.id, issued.c.status)
    .join(issued, issued.c.id == deliveries.c.issued_id)
    .where(deliveries.c.grant_id == bindparam("grant_id"))
)
_DELIVERED_BEFORE = Prepared(
    select(issued.c.id, issued.c.status)
    .join(deliveries, deliveries.c.issued_id == issued.c.id)
    .where(deliveries.c.digest == bindparam("digest"))
)
_CREDIT = Prepared(
    update(identifiers)
    .where(identifiers.c.digest == bindparam("digest"), identifiers.c.remaining >= bindparam("count"))
    .values(remaining=identifiers.c.remaining - bindparam("count"))
)
_ISSUED = Prepared.insert(
    issued,
    "id",
    "tenant",
    "configuration_id",
    "own_reference",
    "count",
    "state",
    "status",
    "grant_id",
    "issued_at",
    "purge_at",
)
_UNSETTLED = and_(shares.c.issued_id == issued.c.id, shares.c.mode == "move", shares.c.state == "issued")
_DELIVERY = Prepared.insert(deliveries, "digest", "grant_id", "issued_id", "expires_at")
_NOTIFICATION = Prepared.insert(notifications, "digest", "issued_id", "grant_id", "expires_at")


class Dataset(msgspec.Struct, frozen=True):
    """What a request may ask for. named: by its identifier; else by the configuration.

    remaining: credentials that it is good for.
    """

    identifier_digest: bytes
    configuration_id: str
    named: bool
    remaining: int


class Made(msgspec.Struct, frozen=True):
    """A delivery as it was noted. places: in status lists, empty for a kind without."""

    issued_id: str
    places: tuple[StatusIndex, ...]


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What an access token, presented with a good DPoP proof, opens.

    expires_at: of the token. client_id: None for an anonymous wallet. claims: JSON, None if a source has them
    or they are erased. deferred: management approves each issuance.
    delivered: by their digests, deliveries that may be asked for again.
    share: what a share says of the credential, if the token is for the offer of one.
    """

    grant_id: str
    proof: DpopProof
    expires_at: int
    client_id: str | None
    claims: bytes | None
    subject: str | None
    own_reference: str | None
    deferred: bool
    datasets: tuple[Dataset, ...]
    delivered: Mapping[bytes, Made]
    share: ShareTerms | None = None

    def __repr__(self) -> str:
        return f"<Access to {len(self.datasets)} datasets>"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials that are ready to leave.

    digest: of the delivery. made: what to note of it. expires_at: until when the same may be asked for again.
    notification_digest: None if no `notification_id` goes with it. event: for the webhook; None without one.
    purge_at: when the issued row goes.
    holders: thumbprints in base64url of the keys that they are bound to; a share is refused without.
    shareable: whether their holder may share or move them; then the grant is remembered with them.
    """

    tenant: str
    token_digest: bytes
    grant_id: str
    digest: bytes
    configuration_id: str
    count: int
    made: Made
    expires_at: int
    own_reference: str | None
    notification_digest: bytes | None
    event: Event | None
    purge_at: int
    holders: tuple[str, ...] = ()
    shareable: bool = False

    def __repr__(self) -> str:
        return f"<Delivery of {self.count}>"


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a request uses up: credit of an identifier, and the nonces of its proofs."""

    identifier_digest: bytes
    nonce_digests: Collection[bytes]
    nonces_expire_at: int


class Deferral(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is answered later. digest: of the `transaction_id`. holders: JSON, the public keys."""

    tenant: str
    token_digest: bytes
    grant_id: str
    id: str
    digest: bytes
    configuration_id: str
    count: int
    holders: bytes
    expires_at: int

    def __repr__(self) -> str:
        return f"<Deferral of {self.count}>"


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """A deferred issuance. made: its delivery, None before."""

    state: deferral.State
    configuration_id: str
    holders: bytes
    made: Made | None

    def __repr__(self) -> str:
        return f"<Transaction {self.state}>"


def admit(
    connection: Connection,
    tenant: str,
    token_digest: bytes,
    verify: Callable[[str], DpopProof],
    *,
    now: int,
) -> Access:
    """Returns what a token in force opens, if the DPoP proof is good and new; it is remembered.

    verify: checks the proof against the thumbprint of the token's key; asked once the token is found, so that
    nobody without one makes the issuer compute. Raises InvalidToken "token_invalid", what `verify` raises,
    InvalidDpopProof "dpop_replayed".
    """
    row = _ACCESS.first(connection, tenant=tenant, digest=token_digest, now=now)
    if row is None:
        raise token_invalid()
    proof = verify(row.thumbprint)
    remember_proof(connection, proof_digest(proof.thumbprint, proof.jti), expires_at=proof.expires)
    narrowed = None if row.configuration_ids is None else set(json.loads(row.configuration_ids))
    return Access(
        grant_id=row.grant_id,
        proof=proof,
        expires_at=row.expires_at,
        client_id=row.client_id,
        claims=row.claims,
        subject=row.subject,
        own_reference=row.own_reference,
        deferred=row.deferred,
        datasets=_datasets(connection, row.grant_id, narrowed),
        delivered=_delivered(connection, row.grant_id),
        share=None if row.share_id is None else share_redemption.terms_of(connection, row.share_id),
    )


def deliver(
    connection: Connection,
    delivery: Delivery,
    cost: Cost,
    *,
    now: int,
    random: Random = secrets.token_bytes,
) -> Made:
    """Uses up what a delivery costs and notes it, or nothing; returns what is noted of it.

    If it was made before, it costs the nonces only, and what was noted then is returned.
    The credentials are signed and sealed before, and leave the issuer only after this has been kept. So of
    two requests at once one is answered, and a process that dies leaves either all or nothing of it.
    For the offer of a share, the sender's credential must be valid at this moment, and a move suspends it.
    Raises InvalidToken "token_invalid", InvalidNonce "proof_nonce_used", CredentialRequestDenied
    "identifier_used_up"; for a share also as `share_redemption.deliver`.
    """
    grant = _grant(connection, delivery, now)
    _use_nonces(connection, cost)
    before = _delivered_before(connection, delivery.digest)
    if before is not None:
        return before
    _use_credit(connection, cost.identifier_digest, delivery.count)
    if grant.share_id is not None:
        last = share_redemption.deliver(
            connection,
            grant.share_id,
            delivery.made.issued_id,
            holders=delivery.holders,
            revocable=bool(delivery.made.places),
            now=now,
            random=random,
        )
        delivery = msgspec.structs.replace(delivery, expires_at=max(delivery.expires_at, last))
    _note(connection, delivery, grant.state, now)
    return delivery.made


def defer(connection: Connection, deferred: Deferral, cost: Cost, *, now: int) -> None:
    """Keeps a request that is answered later, unless it is kept already; it costs what a delivery does.

    It takes all credit that the identifier has: there will be one delivery. The grant lives as long as the
    transaction. Raises as `deliver`; CredentialRequestDenied "share_not_deferred".
    """
    if (
        _grant(connection, deferred, now).share_id is not None
    ):  # it is of what the sender has: there is nothing to wait for
        raise CredentialRequestDenied("share_not_deferred", "The credential of a share is issued at once.")
    _use_nonces(connection, cost)
    if is_promised(connection, deferred.digest):
        return
    _use_credit(connection, cost.identifier_digest, deferred.count)
    connection.execute(
        update(identifiers).where(identifiers.c.digest == cost.identifier_digest).values(remaining=0)
    )
    connection.execute(
        transactions.insert().values(
            id=deferred.id,
            digest=deferred.digest,
            grant_id=deferred.grant_id,
            identifier_digest=cost.identifier_digest,
            configuration_id=deferred.configuration_id,
            holders=deferred.holders,
            state="waiting",
            created_at=now,
            expires_at=deferred.expires_at,
        )
    )
    connection.execute(
        update(grants)
        .where(grants.c.id == deferred.grant_id, grants.c.expires_at < deferred.expires_at)
        .values(expires_at=deferred.expires_at)
    )


def is_promised(connection: Connection, digest: bytes) -> bool:
    """Returns whether there is a transaction of this digest, in whatever state."""
    known = select(transactions.c.id).where(transactions.c.digest == digest)
    return connection.execute(known).first() is not None


def find_transaction(connection: Connection, grant_id: str, digest: bytes, *, now: int) -> Transaction:
    """Returns a transaction of the grant.

    Raises InvalidTransactionId "transaction_unknown", CredentialRequestDenied "transaction_denied".
    """
    row = connection.execute(
        select(transactions).where(
            transactions.c.digest == digest,
            transactions.c.grant_id == grant_id,
            transactions.c.expires_at > now,
        )
    ).first()
    if row is None:
        raise _transaction_unknown()
    if row.state == "denied" or row.holders is None:
        raise _denied()
    return Transaction(
        state=row.state,
        configuration_id=row.configuration_id,
        holders=row.holders,
        made=_delivered_before(connection, digest),
    )


def deliver_deferred(connection: Connection, delivery: Delivery, *, now: int) -> Made:
    """Notes the delivery of a transaction, by whose digest it goes; returns as `deliver`.

    From now on the transaction lives until `delivery.expires_at` only. Raises InvalidToken "token_invalid",
    InvalidTransactionId "transaction_unknown", CredentialRequestDenied "transaction_denied".
    """
    grant = _grant(connection, delivery, now)
    before = _delivered_before(connection, delivery.digest)
    if before is not None:
        return before
    moving = delivery.shareable and share_moves.is_moving(
        connection, delivery.grant_id, delivery.configuration_id
    )
    if moving:
        raise _denied()
    row = connection.execute(
        select(transactions.c.state).where(
            transactions.c.digest == delivery.digest, transactions.c.expires_at > now
        )
    ).first()
    if row is None:
        raise _transaction_unknown()
    if row.state == "denied":  # since it was found
        raise _denied()
    connection.execute(
        update(transactions)
        .where(transactions.c.digest == delivery.digest)
        .values(state=deferral.advance(row.state, "deliver"), expires_at=delivery.expires_at)
    )
    _note(connection, delivery, grant.state, now)
    return delivery.made


def deny(connection: Connection, digest: bytes) -> None:
    """Ends an open transaction whose credential will never be issued, and erases its keys."""
    connection.execute(
        update(transactions)
        .where(transactions.c.digest == digest, transactions.c.state.in_(("waiting", "approved")))
        .values(state="denied", holders=None)
    )


def notify(
    connection: Connection,
    grant_id: str,
    digest: bytes,
    event: NotificationEvent,
    announce: Callable[[EventKind, str, str, str | None], Event | None],
    *,
    now: int,
    random: Random = secrets.token_bytes,
) -> None:
    """Notes what a wallet says became of a delivery. Said again, it changes nothing. It settles a move.

    announce: makes the event for the webhook from the new state, configuration, issued id and own reference.
    What is accepted or deleted need not be delivered again. Raises InvalidNotificationId
    "notification_unknown".
    """
    row = connection.execute(
        select(issued, shares.c.id.label("move"))
        .join(notifications, notifications.c.issued_id == issued.c.id)
        .outerjoin(shares, _UNSETTLED)
        .where(
            notifications.c.digest == digest,
            notifications.c.grant_id == grant_id,
            notifications.c.expires_at > now,
        )
    ).first()
    if row is None:
        raise InvalidNotificationId("notification_unknown", "The notification is about nothing known.")
    after = AFTER_NOTIFICATION.get((row.state, event))
    if after is None:
        return
    connection.execute(update(issued).where(issued.c.id == row.id).values(state=after))
    connection.execute(update(notifications).where(notifications.c.digest == digest).values(event=event))
    if after != "failed":
        connection.execute(delete(deliveries).where(deliveries.c.issued_id == row.id))
    if row.move is not None:
        share_redemption.notified(connection, row.move, after, now=now, random=random)
    told = announce(after, row.configuration_id, row.id, row.own_reference)
    if told is not None:
        event_store.append(connection, told)


def forget(connection: Connection, now: int) -> None:
    """Deletes what is over, and erases the claims of grants from which no more can be had."""
    for table in (deliveries, transactions, notifications):
        connection.execute(delete(table).where(table.c.expires_at <= now))
    old = select(issued.c.id).where(issued.c.purge_at <= now)  # too many, perhaps, to be named one by one
    places.forget_issued(connection, old)
    connection.execute(delete(issued).where(issued.c.purge_at <= now))
    connection.execute(
        update(grants)
        .where(
            grants.c.state == "issued",
            grants.c.claims.is_not(None),
            ~exists().where(identifiers.c.grant_id == grants.c.id, identifiers.c.remaining != 0),
            ~exists().where(deliveries.c.grant_id == grants.c.id),
            ~exists().where(transactions.c.grant_id == grants.c.id),
        )
        .values(claims=None)
    )


def _grant(connection: Connection, delivery: Delivery | Deferral, now: int) -> Any:
    """The state of the grant and its share, if the token is still in force."""
    row = _GRANT.first(connection, tenant=delivery.tenant, digest=delivery.token_digest, now=now)
    if row is None:
        raise token_invalid()
    return row


def _datasets(connection: Connection, grant_id: str, narrowed: Collection[str] | None) -> tuple[Dataset, ...]:
    rows = _DATASETS.all(connection, grant_id=grant_id)
    return tuple(Dataset(*row) for row in rows if narrowed is None or row.configuration_id in narrowed)


def _delivered(connection: Connection, grant_id: str) -> dict[bytes, Made]:
    rows = _DELIVERED.all(connection, grant_id=grant_id)
    return {row.digest: Made(row.id, _places(row.status)) for row in rows}


def _delivered_before(connection: Connection, digest: bytes) -> Made | None:
    row = _DELIVERED_BEFORE.first(connection, digest=digest)
    return None if row is None else Made(row.id, _places(row.status))


def _use_nonces(connection: Connection, cost: Cost) -> None:
    for digest in cost.nonce_digests:
        if not remember(connection, digest, expires_at=cost.nonces_expire_at):
            raise InvalidNonce("proof_nonce_used", "The nonce has been used.", rule="OpenID4VCI §8.3.1.2")


def _use_credit(connection: Connection, identifier_digest: bytes, count: int) -> None:
    if _CREDIT.run(connection, digest=identifier_digest, count=count) != 1:
        raise used_up()


def _note(connection: Connection, delivery: Delivery, state: State, now: int) -> None:
    _ISSUED.run(
        connection,
        id=delivery.made.issued_id,
        tenant=delivery.tenant,
        configuration_id=delivery.configuration_id,
        own_reference=delivery.own_reference,
        count=delivery.count,
        state="delivered",
        status=msgspec.json.encode(delivery.made.places).decode() if delivery.made.places else None,
        grant_id=delivery.grant_id if delivery.shareable else None,
        issued_at=now,
        purge_at=delivery.purge_at,
    )
    _DELIVERY.run(
        connection,
        digest=delivery.digest,
        grant_id=delivery.grant_id,
        issued_id=delivery.made.issued_id,
        expires_at=delivery.expires_at,
    )
    if delivery.notification_digest is not None:
        _NOTIFICATION.run(
            connection,
            digest=delivery.notification_digest,
            issued_id=delivery.made.issued_id,
            grant_id=delivery.grant_id,
            expires_at=delivery.purge_at,
        )
    places.assign(connection, delivery.made.places, delivery.made.issued_id)
    if delivery.event is not None:
        event_store.append(connection, delivery.event)
    move_by_id(connection, delivery.grant_id, state, "deliver")


def _places(text: str | None) -> tuple[StatusIndex, ...]:
    return () if text is None else msgspec.json.decode(text, type=tuple[StatusIndex, ...])


def used_up() -> CredentialRequestDenied:
    """Returns the error of an identifier without credit."""
    return CredentialRequestDenied("identifier_used_up", "All credentials of this kind have been issued.")


def _denied() -> CredentialRequestDenied:
    return CredentialRequestDenied("transaction_denied", "The issuer will not issue this credential.")


def _transaction_unknown() -> InvalidTransactionId:
    return InvalidTransactionId(
        "transaction_unknown",
        "There is no such transaction, or its credential was fetched.",
        rule="OpenID4VCI §9.3",
    )
