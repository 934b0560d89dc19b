"""What the issuer remembers of authorization requests and logins: each function is one transaction.

A function that must keep something although the request fails returns the refusal; one that raises keeps
nothing.
"""

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, select, update

from safeconduct.encoding import json
from safeconduct.protocols.oauth.authorization_request import AuthorizationRequest
from safeconduct.protocols.oauth.errors import AccessDenied, InvalidRequest
from safeconduct.services.issuer import authorization_states as life
from safeconduct.services.issuer import grant_store
from safeconduct.services.issuer.grant_store import configuration_ids_of, move
from safeconduct.services.issuer.tables import attempts, authorizations, grants, links


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it is kept. request: with the DPoP key that the code is to be bound to in `dpop_jkt`.

    named, unnamed: the configurations it asks for by details and by scope. scope: what of it is known.
    client_name: for people. vouched: whether the client is registered, or an attester stands for it.
    """

    request: AuthorizationRequest
    named: tuple[str, ...]
    unnamed: tuple[str, ...]
    scope: tuple[str, ...]
    client_name: str
    vouched: bool

    def __repr__(self) -> str:
        return f"<Pushed for {len(self.configuration_ids)} configurations>"

    @property
    def configuration_ids(self) -> tuple[str, ...]:
        """All configurations that it asks for."""
        return self.named + self.unnamed


class Identity(msgspec.Struct, frozen=True):
    """Who has logged in. subject: as the issuer's records name them.

    claims: for their credentials, JSON values; None if they come from elsewhere.
    """

    subject: str
    claims: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return "<Identity>"


class Prompted(msgspec.Struct, frozen=True):
    """A request that a browser has opened, and who has logged in there."""

    pushed: Pushed
    identity: Identity | None

    def __repr__(self) -> str:
        return "<Prompted>"


class NewAuthorization(msgspec.Struct, frozen=True, kw_only=True):
    """A grant that a user's consent makes, or completes.

    code_digest: of the authorization code. issuer_state_digest: of the offer to be taken, None without one.
    expires_at: of the code.
    """

    grant_id: str
    code_digest: bytes
    issuer_state_digest: bytes | None
    expires_at: int

    def __repr__(self) -> str:
        return "<NewAuthorization>"


def count_authorizations(connection: Connection) -> int:
    """Returns how many requests are kept."""
    return int(connection.execute(select(func.count()).select_from(authorizations)).scalar_one())


def push_authorization(
    connection: Connection,
    tenant: str,
    digest: bytes,
    pushed: Pushed,
    *,
    attempts_left: int,
    proof: tuple[bytes, int] | None,
    now: int,
    expires_at: int,
) -> None:
    """Keeps a request in state pushed.

    digest: of its reference. proof: what its DPoP proof is remembered by, and until when.
    Raises InvalidDpopProof "dpop_replayed".
    """
    if proof is not None:
        grant_store.remember_proof(connection, proof[0], expires_at=proof[1])
    connection.execute(
        authorizations.insert().values(
            digest=digest,
            tenant=tenant,
            state="pushed",
            request=msgspec.json.encode(pushed),
            client_id=pushed.request.client_id,
            attempts_left=attempts_left,
            created_at=now,
            expires_at=expires_at,
        )
    )


def find_offered(
    connection: Connection, tenant: str, issuer_state_digest: bytes, *, now: int
) -> tuple[str, ...]:
    """Returns the configurations of the pending offer that an `issuer_state` is of.

    Anybody can put an `issuer_state` into a request, so it proves nothing and changes nothing here.
    Raises InvalidRequest "issuer_state_unknown".
    """
    return configuration_ids_of(_offer(connection, tenant, issuer_state_digest, now=now))


def open_authorization(
    connection: Connection,
    tenant: str,
    digest: bytes,
    *,
    client_id: str,
    login_digest: bytes,
    known_digest: bytes | None,
    now: int,
    expires_at: int,
) -> tuple[Prompted, bool] | InvalidRequest:
    """Binds a request to a browser; returns it, and whether it was this browser's already, or the refusal.

    known_digest: of the cookie that the browser has sent, if any. login_digest: of the one it gets instead. A
    request that another browser has opened becomes this one's, and who had logged in there has not here.

    expires_at: until when a request opened for the first time may be decided.

    Raises InvalidRequest "request_uri_unknown", "request_uri_client", "request_uri_used".
    """
    row = _find(connection, tenant, digest)
    if row.client_id != client_id:
        raise InvalidRequest(
            "request_uri_client", "The authorization request is another client's.", rule="RFC 9126 §2.2"
        )
    if late := _expired(connection, row, now):
        return late
    life.advance(row.state, "open")
    if row.login_digest is not None and row.login_digest == known_digest:
        return _prompted(row), True
    last = expires_at if row.state == "pushed" else row.expires_at
    _move(connection, row, "open", login_digest=login_digest, identity=None, expires_at=last)
    return Prompted(_prompted(row).pushed, None), False


def find_prompted(
    connection: Connection, tenant: str, digest: bytes, login_digest: bytes, *, now: int
) -> Prompted | InvalidRequest:
    """Returns a request that this browser has opened, or the refusal.

    Raises InvalidRequest "request_uri_unknown", "request_uri_used", "browser_unknown".
    """
    row = _find_in_browser(connection, tenant, digest, login_digest)
    return _expired(connection, row, now) or _prompted(row)


def log_in(
    connection: Connection,
    tenant: str,
    digest: bytes,
    login_digest: bytes,
    *,
    identity: Identity,
    new_login_digest: bytes,
    now: int,
) -> InvalidRequest | None:
    """Keeps who has logged in, and binds the request to a new cookie; returns a refusal, or None.

    Raises InvalidRequest, as `find_prompted`.
    """
    row = _find_in_browser(connection, tenant, digest, login_digest)
    if late := _expired(connection, row, now):
        return late
    _move(connection, row, "log_in", login_digest=new_login_digest, identity=msgspec.json.encode(identity))
    return None


def fail_login(
    connection: Connection, tenant: str, digest: bytes, login_digest: bytes, *, now: int
) -> bool | InvalidRequest:
    """Takes one of the request's attempts; returns whether there are more, or the refusal.

    With the last one the request is denied. Raises InvalidRequest, as `find_prompted`.
    """
    row = _find_in_browser(connection, tenant, digest, login_digest)
    if late := _expired(connection, row, now):
        return late
    left = row.attempts_left - 1
    _move(connection, row, "fail" if left > 0 else "deny", attempts_left=left)
    return bool(left > 0)


def deny(
    connection: Connection, tenant: str, digest: bytes, login_digest: bytes, *, now: int
) -> Pushed | InvalidRequest:
    """Ends a request as the user wishes; returns it, or the refusal. Raises InvalidRequest."""
    row = _find_in_browser(connection, tenant, digest, login_digest)
    if late := _expired(connection, row, now):
        return late
    _move(connection, row, "deny")
    return _prompted(row).pushed


def consent(
    connection: Connection,
    tenant: str,
    digest: bytes,
    login_digest: bytes,
    *,
    new: NewAuthorization,
    now: int,
) -> Pushed | tuple[Pushed, AccessDenied] | InvalidRequest:
    """Makes a grant of a request, with its authorization code; returns the request, or the refusal.

    With an `issuer_state` the grant is the offer's: the first who consents takes it, if the offer is not for
    somebody else. Whoever comes later, or is not meant, is denied.

    Raises InvalidRequest "request_uri_unknown", "request_uri_used", "browser_unknown", "login_missing".
    """
    row = _find_in_browser(connection, tenant, digest, login_digest)
    if late := _expired(connection, row, now):
        return late
    prompted = _prompted(row)
    if prompted.identity is None:
        raise InvalidRequest("login_missing", "Nobody has logged in.")
    values = _grant_values(prompted.pushed, prompted.identity, new)
    if new.issuer_state_digest is None:
        grant_id = _add_grant(connection, tenant, prompted, values, new, now=now)
    else:
        taken = _take_offer(connection, tenant, prompted, values, new, now=now)
        if isinstance(taken, AccessDenied):
            _move(connection, row, "deny")
            return prompted.pushed, taken
        grant_id = taken
    _move(connection, row, "consent", grant_id=grant_id)
    return prompted.pushed


def add_link(connection: Connection, tenant: str, digest: bytes, *, subject: str, expires_at: int) -> None:
    """Keeps a link by which `subject` may log in once."""
    connection.execute(
        links.insert().values(digest=digest, tenant=tenant, subject=subject, expires_at=expires_at)
    )


def find_link(connection: Connection, tenant: str, digest: bytes, *, now: int) -> str | None:
    """Returns whom a link is for, without using it up; None if it is unknown, used or expired."""
    return connection.execute(
        select(links.c.subject).where(
            links.c.tenant == tenant, links.c.digest == digest, links.c.expires_at > now
        )
    ).scalar_one_or_none()


def use_link(connection: Connection, tenant: str, digest: bytes, *, now: int) -> str | None:
    """Uses a link up and returns whom it is for; None if it is unknown, used or expired."""
    subject = find_link(connection, tenant, digest, now=now)
    deleted = connection.execute(delete(links).where(links.c.tenant == tenant, links.c.digest == digest))
    return subject if deleted.rowcount == 1 else None


def take_attempt(connection: Connection, digest: bytes, *, limit: int, now: int, expires_at: int) -> bool:
    """Counts an attempt to log in at an account; returns whether there was one left.

    digest: of the account. expires_at: when the count of the first attempt is forgotten.
    """
    connection.execute(delete(attempts).where(attempts.c.digest == digest, attempts.c.expires_at <= now))
    own = attempts.c.digest == digest
    taken = connection.execute(select(attempts.c["count"]).where(own)).scalar_one_or_none()
    if taken is None:
        connection.execute(attempts.insert().values(digest=digest, count=1, expires_at=expires_at))
        return True
    if taken >= limit:
        return False
    connection.execute(update(attempts).where(own).values(count=taken + 1))
    return True


def forget_attempts(connection: Connection, digest: bytes) -> None:
    """Forgets the attempts at an account, because its owner has logged in."""
    connection.execute(delete(attempts).where(attempts.c.digest == digest))


def _find(connection: Connection, tenant: str, digest: bytes) -> Row[Any]:
    row = connection.execute(
        select(authorizations).where(authorizations.c.tenant == tenant, authorizations.c.digest == digest)
    ).first()
    if row is None:
        raise request_unknown()
    return row


def _find_in_browser(connection: Connection, tenant: str, digest: bytes, login_digest: bytes) -> Row[Any]:
    row = _find(connection, tenant, digest)
    if row.state != "prompted":
        life.advance(row.state, "log_in")
    if row.login_digest != login_digest:
        raise InvalidRequest("browser_unknown", "The authorization request was opened by another browser.")
    return row


def _expired(connection: Connection, row: Row[Any], now: int) -> InvalidRequest | None:
    if row.expires_at > now:
        return None
    if row.state not in life.FINAL:
        _move(connection, row, "expire")
    return request_unknown()


def _move(connection: Connection, row: Row[Any], event: life.Event, **values: Any) -> None:
    after = life.advance(row.state, event)
    if after in life.FINAL:
        values = {**values, "request": b"", "identity": None, "login_digest": None}
    connection.execute(
        update(authorizations).where(authorizations.c.digest == row.digest).values(state=after, **values)
    )


def _prompted(row: Row[Any]) -> Prompted:
    identity = None if row.identity is None else msgspec.json.decode(row.identity, type=Identity)
    return Prompted(msgspec.json.decode(row.request, type=Pushed), identity)


def _offer(connection: Connection, tenant: str, issuer_state_digest: bytes, *, now: int) -> Row[Any]:
    row = connection.execute(
        select(grants).where(
            grants.c.tenant == tenant,
            grants.c.issuer_state_digest == issuer_state_digest,
            grants.c.state == "pending",
            grants.c.expires_at > now,
        )
    ).first()
    if row is None:
        raise InvalidRequest(
            "issuer_state_unknown", "The issuer_state is of no offer there is.", rule="OpenID4VCI §5.1.3"
        )
    return row


def _take_offer(
    connection: Connection,
    tenant: str,
    prompted: Prompted,
    values: dict[str, Any],
    new: NewAuthorization,
    *,
    now: int,
) -> str | AccessDenied:
    assert new.issuer_state_digest is not None
    identity = prompted.identity
    assert identity is not None
    try:
        offer = _offer(connection, tenant, new.issuer_state_digest, now=now)
    except InvalidRequest:
        return AccessDenied("offer_taken", "The offer has been taken, or is over.")
    if offer.subject not in (None, identity.subject):
        return AccessDenied("offer_of_another", "The offer is for somebody else.")
    move(connection, offer, "authorize")
    if identity.claims is not None:
        # Those of the offer come first.
        values = {**values, "claims": func.coalesce(grants.c.claims, json.dumps(identity.claims))}
    connection.execute(update(grants).where(grants.c.id == offer.id).values(**values))
    return str(offer.id)


def _add_grant(
    connection: Connection,
    tenant: str,
    prompted: Prompted,
    values: dict[str, Any],
    new: NewAuthorization,
    *,
    now: int,
) -> str:
    assert prompted.identity is not None
    claims = prompted.identity.claims
    connection.execute(
        grants.insert().values(
            id=new.grant_id,
            tenant=tenant,
            state="authorized",
            claims=None if claims is None else json.dumps(claims),
            attempts_left=0,
            created_at=now,
            **values,
        )
    )
    return new.grant_id


def _grant_values(pushed: Pushed, identity: Identity, new: NewAuthorization) -> dict[str, Any]:
    return {
        "configuration_ids": json.dumps(pushed.configuration_ids).decode(),
        "details": json.dumps(pushed.named).decode(),
        "scope": " ".join(pushed.scope) or None,
        "code_digest": new.code_digest,
        "subject": identity.subject,
        "client_id": pushed.request.client_id,
        "redirect_uri": pushed.request.redirect_uri,
        "code_challenge": pushed.request.code_challenge,
        "thumbprint": pushed.request.dpop_jkt,
        "expires_at": new.expires_at,
    }


def request_unknown() -> InvalidRequest:
    """Returns the error of a reference that is not good, or not any more."""
    return InvalidRequest(
        "request_uri_unknown", "The authorization request is unknown or expired.", rule="RFC 9126 §2.2"
    )
