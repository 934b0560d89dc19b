"""How codes and refresh tokens become access tokens: each function is one transaction.

A function that must keep something although the request fails (an attempt counted, a token revoked) returns
the refusal; one that raises keeps nothing, neither of the code nor of the proof.
"""

import hmac
import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, select, update

from safeconduct.encoding import json
from safeconduct.ids import Random
from safeconduct.protocols.oauth import pkce
from safeconduct.protocols.oauth.authorization_details import CredentialDetail, GrantedDetail
from safeconduct.protocols.oauth.errors import InvalidGrant, InvalidRequest
from safeconduct.services.issuer import grant_store, share_redemption
from safeconduct.services.issuer import grants as life
from safeconduct.services.issuer.digests import digest_of
from safeconduct.services.issuer.grant_store import configuration_ids_of, grant_by_id, move, revoke
from safeconduct.services.issuer.tables import grants, identifiers, refresh_tokens, tokens, transactions
from safeconduct.services.issuer.wishes import Scopes, Wish, narrowed, wish_or_all
from safeconduct.storage.prepared import Prepared

_GRANT_OF_CODE = Prepared(
    select(grants).where(
        grants.c.tenant == bindparam("tenant"), grants.c.code_digest == bindparam("code_digest")
    )
)
_GIVEN = Prepared(
    update(grants)
    .where(grants.c.id == bindparam("grant_id"))
    .values(
        {
            name: bindparam(name)
            for name in ("state", "client_id", "thumbprint", "scope", "redeemed_at", "expires_at")
        }
    )
)
_TOKEN = Prepared.insert(
    tokens, "digest", "tenant", "grant_id", "configuration_ids", "thumbprint", "expires_at"
)
_IDENTIFIER = Prepared.insert(
    identifiers, "digest", "grant_id", "token_digest", "configuration_id", "named", "remaining"
)


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """An access token that is to be good from now on, and the DPoP proof it is asked for with.

    refresh_digest, refresh_expires_at: of the refresh token that may go with it; None: none does, but for
    issuance that may be deferred, which has one until `deferred_expires_at`. may_defer: configurations whose
    claims may not be ready.
    identifier_for: makes the credential identifier of a configuration. uses: credentials each is good for.
    """

    tenant: str
    digest: bytes
    expires_at: int
    thumbprint: str
    proof_digest: bytes
    proof_expires_at: int
    refresh_digest: bytes
    refresh_expires_at: int | None
    deferred_expires_at: int
    may_defer: frozenset[str]
    identifier_for: Callable[[str], str]
    uses: int

    def __repr__(self) -> str:
        return "<NewToken>"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the token shall be good for. scopes: of the issuer's configurations."""

    details: tuple[CredentialDetail, ...]
    scope: tuple[str, ...]
    scopes: Scopes


class PreAuthorized(msgspec.Struct, frozen=True, kw_only=True):
    """A pre-authorized code as it was presented.

    tx_digest: None if no transaction code was given. client_id: None for an anonymous client.
    retry_since: a code redeemed before this second cannot be presented again by its wallet.
    """

    code_digest: bytes
    tx_digest: bytes | None
    client_id: str | None
    retry_since: int

    def __repr__(self) -> str:
        return "<PreAuthorized>"


class Authorized(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization code as it was presented."""

    code_digest: bytes
    client_id: str
    redirect_uri: str | None
    code_verifier: str | None

    def __repr__(self) -> str:
        return "<Authorized>"


class Refreshing(msgspec.Struct, frozen=True, kw_only=True):
    """A refresh token as it was presented."""

    digest: bytes
    client_id: str | None

    def __repr__(self) -> str:
        return "<Refreshing>"


class Granted(msgspec.Struct, frozen=True):
    """What a new token is good for. scope: what of it was granted by scope.

    refreshable: whether the refresh token was kept.
    """

    details: tuple[GrantedDetail, ...]
    scope: tuple[str, ...]
    refreshable: bool


def redeem_grant(
    connection: Connection,
    code: PreAuthorized,
    wanted: Wanted,
    token: NewToken,
    *,
    now: int,
    random: Random = secrets.token_bytes,
) -> Granted | InvalidGrant:
    """Trades a pre-authorized code for a token: returns what it is good for, or the refusal.

    A wrong transaction code costs an attempt, the last one locks the grant.

    A code that was traded before is refused. If the transaction code is right or none is wanted, the grant is
    locked too and its tokens are revoked (RFC 6749 §4.1.2, RFC 9700 §2.1.1): one of the two senders is a
    thief. But for two cases:
    - The wallet that redeemed it, told by its DPoP key, asks again soon and has got no credential yet: the
      answer was lost. It gets another token for the same grant, and the first one is revoked. If it was
      promised a credential for later, the answer was not lost, and it is refused.
    - A credential has been delivered. Then a theft would be over, and locking would only let anybody who has
      seen the offer stop its holder.

    The offer of a share is another matter, for its link may have many readers: see `_redeem_share`.

    Raises, and so keeps nothing: InvalidGrant "code_unknown"; InvalidDpopProof "dpop_replayed";
    InvalidRequest "tx_code_missing", "tx_code_unexpected"; InvalidAuthorizationDetails "details_not_offered".
    """
    grant = _grant_of_code(connection, token.tenant, code.code_digest, now=now)
    if grant.state == "authorized":
        raise _code_unknown()  # an authorization code, whatever the request calls it
    grant_store.remember_proof(connection, token.proof_digest, expires_at=token.proof_expires_at)
    if grant.share_id is not None:
        return _redeem_share(connection, grant, code, wanted, token, now=now, random=random)
    fits = _tx_code_fits(grant, code)
    if grant.state in life.TRADED:
        return _repeated(connection, grant, code, wanted, token, fits=fits)
    _check_tx_code_presence(grant, code)
    if not fits:
        return _count_attempt(connection, grant)
    wish = wish_or_all(
        wanted.details, wanted.scope, offered=configuration_ids_of(grant), scopes=wanted.scopes
    )
    return _give(connection, grant, "redeem", wish, token, client_id=code.client_id, redeemed_at=now)


def redeem_code(
    connection: Connection, code: Authorized, wanted: Wanted, token: NewToken, *, now: int
) -> Granted | InvalidGrant:
    """Trades an authorization code for a token: returns what it is good for, or the refusal.

    The code is bound to its client, redirect URI, code challenge and, where the authorization request named
    one, DPoP key. Whoever lacks one of them is refused and changes nothing, or a stolen code would be enough
    to stop its owner. Presented twice with all of them, the grant is locked and its tokens are revoked.

    Raises, and so keeps nothing: InvalidGrant "code_unknown", "code_client", "redirect_uri_mismatch",
    "pkce_mismatch", "code_key"; InvalidDpopProof "dpop_replayed"; InvalidAuthorizationDetails
    "details_not_granted".
    """
    grant = _grant_of_code(connection, token.tenant, code.code_digest, now=now)
    if grant.code_challenge is None:
        raise _code_unknown()  # a pre-authorized code, whatever the request calls it
    _check_code_binding(grant, code, token)
    grant_store.remember_proof(connection, token.proof_digest, expires_at=token.proof_expires_at)
    if grant.state in life.TRADED:
        move(connection, grant, "replay")
        return _code_used()
    wish = narrowed(_authorized_wish(grant), wanted.details, (), scopes=wanted.scopes)
    return _give(connection, grant, "redeem", wish, token, client_id=grant.client_id, redeemed_at=now)


def refresh(
    connection: Connection, refreshing: Refreshing, wanted: Wanted, token: NewToken, *, now: int
) -> Granted:
    """Trades a refresh token for another access token of the same grant, and returns what it is good for.

    The refresh token stays as it is: it is of use only with the DPoP key that it is bound to, so a new one
    would protect nothing and could be lost with the answer (FAPI 2.0 §5.3.2.1). The credential identifiers
    stay the same, too, and so does what is left of their credit.

    Raises InvalidGrant "refresh_token_unknown", "refresh_client", "refresh_key"; InvalidDpopProof
    "dpop_replayed"; InvalidAuthorizationDetails "details_not_granted"; InvalidScope "scope_not_granted".
    """
    row = connection.execute(
        select(refresh_tokens, grants.c.scope, grants.c.expires_at.label("grant_expires_at"))
        .join(grants, grants.c.id == refresh_tokens.c.grant_id)
        .where(
            refresh_tokens.c.digest == refreshing.digest,
            refresh_tokens.c.expires_at > now,
            grants.c.tenant == token.tenant,
        )
    ).first()
    if row is None:
        raise InvalidGrant("refresh_token_unknown", "The refresh token is unknown, revoked or expired.")
    if refreshing.client_id is not None and refreshing.client_id != row.client_id:
        raise InvalidGrant("refresh_client", "The refresh token is another client's.", rule="RFC 6749 §6")
    if not hmac.compare_digest(row.thumbprint, token.thumbprint):
        raise InvalidGrant("refresh_key", "The refresh token is bound to another key.", rule="RFC 9449 §5")
    grant_store.remember_proof(connection, token.proof_digest, expires_at=token.proof_expires_at)
    granted = _granted_wish(connection, row)
    wish = narrowed(granted, wanted.details, wanted.scope, scopes=wanted.scopes)
    _add_token(connection, row.grant_id, token, None if wish == granted else wish.configuration_ids)
    _live_until(connection, row.grant_id, max(row.grant_expires_at, token.expires_at))
    return Granted(_details(wish, token), wish.scope, refreshable=False)


def _grant_of_code(connection: Connection, tenant: str, code_digest: bytes, *, now: int) -> Row[Any]:
    grant: Row[Any] | None = _GRANT_OF_CODE.first(connection, tenant=tenant, code_digest=code_digest)
    if grant is None or grant.state in life.FINAL or grant.expires_at <= now:
        raise _code_unknown()
    return grant


def _repeated(
    connection: Connection,
    grant: Row[Any],
    code: PreAuthorized,
    wanted: Wanted,
    token: NewToken,
    *,
    fits: bool,
) -> Granted | InvalidGrant:
    if not fits or grant.code_challenge is not None or grant.state == "issued":
        return _code_used()  # who has only seen the offer cannot revoke what it gave
    own = hmac.compare_digest(grant.thumbprint or "", token.thumbprint)
    if not own or grant.redeemed_at is None or grant.redeemed_at < code.retry_since:
        move(connection, grant, "replay")
        return _code_used()
    if _was_promised(connection, grant.id):
        return _code_used()
    wish = wish_or_all(
        wanted.details, wanted.scope, offered=configuration_ids_of(grant), scopes=wanted.scopes
    )
    revoke(connection, grant.id)
    return _give(
        connection, grant, "retry", wish, token, client_id=code.client_id, redeemed_at=grant.redeemed_at
    )


def _redeem_share(
    connection: Connection,
    grant: Row[Any],
    code: PreAuthorized,
    wanted: Wanted,
    token: NewToken,
    *,
    now: int,
    random: Random,
) -> Granted | InvalidGrant:
    """As `redeem_grant`, for the offer of a share: one receiver, one credential, no refresh token.

    Who redeems first has a lease: it may repeat until it gets its credential, and others are refused without
    any harm to it. If it gets none until the lease ends, the offer is open again. The refusals are those of
    `share_redemption.lease`.
    """
    given = share_redemption.lease(connection, grant, token.thumbprint, now=now, random=random)
    if isinstance(given, InvalidGrant):
        return given
    if given.event == "retry" and not _tx_code_fits(grant, code):
        return _code_used()
    if given.event == "retry":
        revoke(connection, grant.id)
    else:
        grant = grant_by_id(connection, grant.id)  # the end of a lease may have released it
        _check_tx_code_presence(grant, code)
        if not _tx_code_fits(grant, code):
            last = grant.attempts_left <= 1
            share_redemption.tx_code_was_wrong(connection, given.share, last=last, now=now)
            return _count_attempt(connection, grant)
    wish = wish_or_all(
        wanted.details, wanted.scope, offered=configuration_ids_of(grant), scopes=wanted.scopes
    )
    token = msgspec.structs.replace(
        token,
        expires_at=min(token.expires_at, given.until),
        refresh_expires_at=None,
        may_defer=frozenset(),
        uses=1,
    )
    granted = _give(connection, grant, given.event, wish, token, client_id=code.client_id, redeemed_at=now)
    share_redemption.leased(connection, given)
    return granted


def _tx_code_fits(grant: Row[Any], code: PreAuthorized) -> bool:
    return hmac.compare_digest(grant.tx_digest or b"", code.tx_digest or b"")


def _was_promised(connection: Connection, grant_id: str) -> bool:
    """Whether a credential of the grant was deferred: it took the credit of the first token's identifier."""
    known = select(transactions.c.id).where(transactions.c.grant_id == grant_id).limit(1)
    return connection.execute(known).first() is not None


def _count_attempt(connection: Connection, grant: Row[Any]) -> InvalidGrant:
    left = grant.attempts_left - 1
    connection.execute(update(grants).where(grants.c.id == grant.id).values(attempts_left=left))
    move(connection, grant, "wrong_tx_code" if left > 0 else "last_wrong_tx_code")
    return InvalidGrant("tx_code_wrong", "The transaction code is wrong.", rule="OpenID4VCI §6.3")


def _check_tx_code_presence(grant: Row[Any], code: PreAuthorized) -> None:
    if grant.tx_digest is not None and code.tx_digest is None:
        raise InvalidRequest(
            "tx_code_missing", "The request has no transaction code.", rule="OpenID4VCI §6.3"
        )
    if grant.tx_digest is None and code.tx_digest is not None:
        raise InvalidRequest("tx_code_unexpected", "No transaction code is expected.", rule="OpenID4VCI §6.3")


def _check_code_binding(grant: Row[Any], code: Authorized, token: NewToken) -> None:
    if code.client_id != grant.client_id:
        raise InvalidGrant("code_client", "The code is another client's.", rule="RFC 6749 §4.1.3")
    if code.redirect_uri != grant.redirect_uri:
        raise InvalidGrant(
            "redirect_uri_mismatch", "The redirect URI is not the code's.", rule="RFC 6749 §4.1.3"
        )
    pkce.check_verifier(code.code_verifier, expected=grant.code_challenge)
    if grant.thumbprint is not None and not hmac.compare_digest(grant.thumbprint, token.thumbprint):
        raise InvalidGrant("code_key", "The code is bound to another DPoP key.", rule="RFC 9449 §10")


def _authorized_wish(grant: Row[Any]) -> Wish:
    """What a user has granted."""
    named = tuple(json.loads(grant.details or "[]"))
    others = tuple(name for name in configuration_ids_of(grant) if name not in named)
    return Wish(named, others, tuple((grant.scope or "").split()))


def _granted_wish(connection: Connection, row: Row[Any]) -> Wish:
    """What the refresh token is good for: all that its grant was redeemed for."""
    known = connection.execute(
        select(identifiers.c.configuration_id, identifiers.c.named)
        .where(identifiers.c.grant_id == row.grant_id)
        .order_by(identifiers.c.configuration_id)
    ).all()
    return Wish(
        tuple(one.configuration_id for one in known if one.named),
        tuple(one.configuration_id for one in known if not one.named),
        tuple((row.scope or "").split()),
    )


def _give(
    connection: Connection,
    grant: Row[Any],
    event: life.Event,
    wish: Wish,
    token: NewToken,
    *,
    client_id: str | None,
    redeemed_at: int,
) -> Granted:
    """event: redeem or retry, neither of which ends the grant."""
    last = _refreshable_until(grant, wish, token)
    _GIVEN.run(
        connection,
        grant_id=grant.id,
        state=life.advance(grant.state, event),
        client_id=client_id,
        thumbprint=token.thumbprint,
        scope=" ".join(wish.scope) or None,
        redeemed_at=redeemed_at,
        expires_at=max(last or 0, token.expires_at),  # as long as the longest of its tokens
    )
    _add_token(connection, grant.id, token, None)
    for configuration_id in wish.configuration_ids:
        _IDENTIFIER.run(
            connection,
            digest=digest_of(token.identifier_for(configuration_id)),
            grant_id=grant.id,
            token_digest=token.digest,
            configuration_id=configuration_id,
            named=configuration_id in wish.named,
            remaining=token.uses,
        )
    if last is not None:
        _add_refresh_token(connection, grant.id, token, client_id, last)
    return Granted(_details(wish, token), wish.scope, refreshable=last is not None)


def _refreshable_until(grant: Row[Any], wish: Wish, token: NewToken) -> int | None:
    if grant.deferred or token.may_defer.intersection(wish.configuration_ids):
        return max(token.refresh_expires_at or 0, token.deferred_expires_at)
    return token.refresh_expires_at


def _details(wish: Wish, token: NewToken) -> tuple[GrantedDetail, ...]:
    return tuple(GrantedDetail(name, (token.identifier_for(name),)) for name in wish.named)


def _add_token(
    connection: Connection, grant_id: str, token: NewToken, configuration_ids: tuple[str, ...] | None
) -> None:
    _TOKEN.run(
        connection,
        digest=token.digest,
        tenant=token.tenant,
        grant_id=grant_id,
        configuration_ids=None if configuration_ids is None else json.dumps(configuration_ids).decode(),
        thumbprint=token.thumbprint,
        expires_at=token.expires_at,
    )


def _add_refresh_token(
    connection: Connection, grant_id: str, token: NewToken, client_id: str | None, expires_at: int
) -> None:
    connection.execute(
        refresh_tokens.insert().values(
            digest=token.refresh_digest,
            grant_id=grant_id,
            client_id=client_id,
            thumbprint=token.thumbprint,
            expires_at=expires_at,
        )
    )


def _live_until(connection: Connection, grant_id: str, last: int) -> None:
    """A redeemed grant lives as long as the longest of its tokens."""
    connection.execute(update(grants).where(grants.c.id == grant_id).values(expires_at=last))


def _code_unknown() -> InvalidGrant:
    return InvalidGrant("code_unknown", "The code is unknown, used or expired.", rule="OpenID4VCI §6.3")


def _code_used() -> InvalidGrant:
    return InvalidGrant("code_used", "The code is unknown, used or expired.", rule="RFC 6749 §4.1.2")
