"""An issuer's database with holders and receivers around it: what tests of shares play with.

Everything goes through the functions that the endpoints call, each in a transaction of its own.
"""

import functools
import itertools
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, Engine, select

from safeconduct.errors import SafeconductError
from safeconduct.protocols.oauth.dpop import DpopProof
from safeconduct.protocols.oauth.errors import InvalidGrant
from safeconduct.services.issuer import (
    delivery_store,
    grant_store,
    management_store,
    offer_store,
    redemption_store,
    retention_store,
    share_life,
    share_store,
)
from safeconduct.services.issuer.delivery_store import Access, Cost, Delivery, Made
from safeconduct.services.issuer.offer_store import NewGrant
from safeconduct.services.issuer.redemption_store import Granted, NewToken, PreAuthorized, Wanted
from safeconduct.services.issuer.share_store import Ended, NewShare, Parent, ShareView
from safeconduct.services.issuer.tables import identifiers, tokens
from safeconduct.storage.engine import open_backend
from safeconduct.storage.status import places
from safeconduct.storage.status.places import Standing
from safeconduct.storage.status.tables import metadata

TENANT = "https://issuer.example"
KIND = "car"
NOW = 1_800_000_000
LEASE = 600
YEAR = 365 * 86400
TOKEN_SECONDS = 300
ALL = Wanted(details=(), scope=(), scopes={KIND: None})
RIGHTS = ("drive", "open", "trunk")

Run = Callable[..., Any]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A credential in somebody's hands, and what its holder can still say about it."""

    issued_id: str
    grant_id: str
    token: bytes
    notification: bytes
    identifier: bytes
    place: places.StatusIndex


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver gets by the link, and perhaps by another way."""

    share_id: str
    code: bytes
    tx: bytes | None


@contextmanager
def refused(code: str) -> Iterator[None]:
    """Expects an error by its code."""
    with pytest.raises(SafeconductError) as raised:
        yield
    assert raised.value.code == code


def memory() -> Engine:
    """Returns an engine over an empty database in memory, with the issuer's tables."""
    engine = open_backend("sqlite://").engine
    with engine.connect() as connection:
        _empty().backup(connection.connection.driver_connection)  # type: ignore[arg-type]
    return engine


@functools.cache
def _empty() -> sqlite3.Connection:
    """A database with the tables, to be copied: making them takes longer than most tests."""
    engine = open_backend("sqlite://").engine
    metadata.create_all(engine)
    copy = sqlite3.connect(":memory:")
    with engine.connect() as connection:
        connection.connection.driver_connection.backup(copy)  # type: ignore[union-attr]
    engine.dispose()
    return copy


def running(engine: Engine) -> Run:
    """Returns what runs a function in a transaction."""

    def run(fn: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with engine.begin() as connection:
            return fn(connection, *arguments, **named)

    return run


class Stage:
    """The database and the time. Each thing that is made has a number of its own."""

    def __init__(self, run: Run, *, numbers: Any = None) -> None:
        self.run = run
        self.now = NOW
        self.random = random.Random(0).randbytes  # noqa: S311  repeatable; nothing here is secret
        self._numbers = numbers or itertools.count()

    # Who offers, shares and receives.

    def original(
        self, *, uses: int = 1, shareable: bool = True, refresh: bool = False, kind: str = KIND
    ) -> Held:
        """Returns a credential that the issuer itself offered."""
        grant = self._grant(kind=kind)
        self.run(offer_store.add_grant, grant)
        token = self._token("holder", uses=uses, refresh=refresh)
        wanted = msgspec.structs.replace(ALL, scopes={kind: None})
        granted = self.run(
            redemption_store.redeem_grant, _code(grant.code_digest), wanted, token, now=self.now
        )
        assert isinstance(granted, Granted), granted
        return self.another(token.digest, grant.id, shareable=shareable, kind=kind)

    def another(self, token: bytes, grant_id: str, *, shareable: bool = True, kind: str = KIND) -> Held:
        """Returns a further credential for the same token."""
        return self._deliver(token, grant_id, ("holder",), shareable=shareable, kind=kind)

    def new_share(self, parent: Held | str, **changes: Any) -> NewShare:
        """Returns a share of the most ordinary kind, with some changes."""
        tx = changes.pop("tx", None)
        offered = changes.pop("offered", 86400)
        kind = changes.pop("kind", KIND)
        base = NewShare(
            grant=self._grant(tx=tx, lasts=offered, kind=kind),
            id=f"share {next(self._numbers)}",
            parent_id=parent if isinstance(parent, str) else parent.issued_id,
            mode="share",
            level="link" if tx is None else "pin",
            jkt=None,
            entitlements=RIGHTS,
            request_digest=None,
            not_before=None,
            credential_expires=NOW + YEAR,
            parent_expires=NOW + YEAR,
            max_receivers=3,
            max_depth=2,
            lease=LEASE,
        )
        return msgspec.structs.replace(base, **changes)

    def share(self, parent: Held | str, **changes: Any) -> Offer:
        """Makes a share. Raises as `create_share`."""
        new = self.new_share(parent, **changes)
        self.run(share_store.create_share, new, now=self.now)
        return Offer(share_id=new.id, code=new.grant.code_digest, tx=new.grant.tx_digest)

    def redeem(
        self, offer: Offer, key: str = "receiver", *, tx: bytes | None = None, token: NewToken | None = None
    ) -> bytes:
        """Returns the digest of a token. Raises a refusal, also one that kept something.

        tx: another transaction code than the right one.
        """
        new = token or self._token(key)
        answer: Granted | InvalidGrant = self.run(
            redemption_store.redeem_grant, _code(offer.code, tx or offer.tx), ALL, new, now=self.now
        )
        if isinstance(answer, InvalidGrant):
            raise answer
        return new.digest

    def deliver(
        self, offer: Offer, token: bytes, holders: tuple[str, ...] = ("receiver",), *, digest: bytes = b""
    ) -> Held:
        """Returns the receiver's credential. digest: of the request; of its own unless given."""
        return self._deliver(token, self.grant_of(offer), holders, digest=digest)

    def receive(self, offer: Offer, key: str = "receiver") -> Held:
        """Redeems and gets the credential."""
        return self.deliver(offer, self.redeem(offer, key))

    def redeem_as_asked(self, offer: Offer, token: NewToken) -> Granted:
        """Returns what a token is good for."""
        answer = self.run(
            redemption_store.redeem_grant, _code(offer.code, offer.tx), ALL, token, now=self.now
        )
        assert isinstance(answer, Granted)
        return answer

    def notify(self, held: Held, event: Any) -> None:
        """Says what became of a credential, by its token, as the endpoint does."""
        self.access(held.token)
        self.run(
            delivery_store.notify,
            held.grant_id,
            held.notification,
            event,
            lambda *_: None,
            now=self.now,
        )

    def access(self, token: bytes) -> Access:
        """Returns what a token opens."""
        number = next(self._numbers)
        proof = DpopProof(
            key=None,  # type: ignore[arg-type]
            thumbprint="any",
            jti=str(number),
            iat=self.now,
            nonce=None,
            expires=self.now + 60,
        )
        opened: Access = self.run(delivery_store.admit, TENANT, token, lambda _: proof, now=self.now)
        return opened

    # What its sender and management do.

    def end(self, offer: Offer, parent: Held | None = None) -> Ended:
        parent_id = None if parent is None else parent.issued_id
        ended: Ended = self.run(
            share_store.end_share, TENANT, offer.share_id, parent_id=parent_id, now=self.now
        )
        return ended

    def pin(self, offer: Offer, jkt: str = "receiver") -> ShareView:
        view: ShareView = self.run(
            share_store.pin_share, TENANT, offer.share_id, jkt, parent_id=None, now=self.now
        )
        return view

    def change(self, held: Held, to: Standing) -> int:
        changed: int = self.run(
            management_store.change_standing, TENANT, held.issued_id, to, self.random, now=self.now
        )
        return changed

    def change_all(self, reference: str, to: Standing) -> int:
        changed: int = self.run(
            management_store.change_standings_of, TENANT, reference, to, self.random, now=self.now
        )
        return changed

    def sweep(self, seconds: int = 0) -> None:
        """Lets time pass, and tidies up as the service does."""
        self.now += seconds
        while self.run(share_store.lapse_due, now=self.now, limit=16):
            pass
        self.run(grant_store.sweep, now=self.now, keep_grants_since=self.now - 86400)
        self.run(delivery_store.forget, self.now)
        self.run(retention_store.purge, now=self.now, keep_events_since=self.now - 86400)

    # What is to be seen.

    def state(self, offer: Offer) -> str:
        """Returns the state as it is stored, without what the time would bring."""
        stored: str = self.run(_stored_state, offer.share_id)
        return stored

    def view(self, offer: Offer) -> ShareView:
        found: ShareView = self.run(
            share_store.find_share, TENANT, offer.share_id, parent_id=None, now=self.now
        )
        return found

    def listed(self, parent: Held) -> list[ShareView]:
        found: list[ShareView] = self.run(share_store.list_shares, TENANT, parent.issued_id, now=self.now)
        return found

    def parent(self, held: Held) -> Parent:
        found: Parent = self.run(share_store.find_parent, TENANT, held.place)
        return found

    def standing(self, held: Held) -> str:
        standings = self.run(places.standings, [held.issued_id])
        return str(standings[held.issued_id])

    def standings(self, *held: Held) -> list[str]:
        return [self.standing(one) for one in held]

    def grant_of(self, offer: Offer) -> str:
        return "grant of " + offer.code.decode()

    def claims_of(self, held: Held) -> bytes | None:
        """Returns the claims that the issuer still has of an offer."""
        claims: bytes | None = self.run(
            lambda connection: grant_store.grant_by_id(connection, held.grant_id).claims
        )
        return claims

    def grant_state(self, offer: Offer) -> str:
        state: str = self.run(
            lambda connection: grant_store.grant_by_id(connection, self.grant_of(offer)).state
        )
        return state

    # How it is done.

    def _grant(self, *, tx: bytes | None = None, lasts: int = 86400, kind: str = KIND) -> NewGrant:
        code = f"code {next(self._numbers)}"
        return NewGrant(
            tenant=TENANT,
            id=f"grant of {code}",
            configuration_ids=(kind,),
            claims=b'{"vehicle":"X"}',
            code_digest=code.encode(),
            reference_digest=None,
            issuer_state_digest=None,
            tx_code=None,
            tx_digest=tx,
            attempts=5,
            subject=None,
            own_reference=None,
            deferred=False,
            created_at=self.now,
            expires_at=self.now + lasts,
        )

    def new_token(self, key: str) -> NewToken:
        return self._token(key)

    def _token(self, key: str, *, uses: int = 10, refresh: bool = True) -> NewToken:
        number = next(self._numbers)
        return NewToken(
            tenant=TENANT,
            digest=b"token %d" % number,
            expires_at=self.now + TOKEN_SECONDS,
            thumbprint=key,
            proof_digest=b"proof %d" % number,
            proof_expires_at=self.now + 60,
            refresh_digest=b"refresh %d" % number,
            refresh_expires_at=self.now + YEAR if refresh else None,
            deferred_expires_at=self.now + YEAR,
            may_defer=frozenset({KIND}) if refresh else frozenset(),
            identifier_for=lambda name: f"{name} {number}",
            uses=uses,
        )

    def _deliver(
        self,
        token: bytes,
        grant_id: str,
        holders: tuple[str, ...],
        *,
        shareable: bool = True,
        kind: str = KIND,
        digest: bytes = b"",
    ) -> Held:
        number = next(self._numbers)
        (place,) = self.run(places.take_status_index, TENANT, 1, self.random, size=1024, now=self.now)
        identifier: bytes = self.run(_identifier_of, token)
        delivery = Delivery(
            tenant=TENANT,
            token_digest=token,
            grant_id=grant_id,
            digest=digest or b"delivery %d" % number,
            configuration_id=kind,
            count=1,
            made=Made(f"issued {number}", (place,)),
            expires_at=self.now + TOKEN_SECONDS,
            own_reference="4711",
            notification_digest=b"notification %d" % number,
            event=None,
            purge_at=NOW + 2 * YEAR,
            holders=holders,
            shareable=shareable,
        )
        cost = Cost(identifier_digest=identifier, nonce_digests=(), nonces_expire_at=self.now + 60)
        made: Made = self.run(delivery_store.deliver, delivery, cost, now=self.now)
        return Held(
            issued_id=made.issued_id,
            grant_id=grant_id,
            token=token,
            notification=b"notification %d" % number,
            identifier=identifier,
            place=place,
        )


def _code(digest: bytes, tx: bytes | None = None) -> PreAuthorized:
    return PreAuthorized(code_digest=digest, tx_digest=tx, client_id=None, retry_since=0)


def _stored_state(connection: Connection, share_id: str) -> str:
    share = share_life.share_by_id(connection, share_id)
    return "gone" if share is None else str(share.state)


def _identifier_of(connection: Connection, token: bytes) -> bytes:
    query = (
        select(identifiers.c.digest)
        .join(tokens, tokens.c.grant_id == identifiers.c.grant_id)
        .where(tokens.c.digest == token)
    )
    return connection.execute(query).scalar() or b"none"
