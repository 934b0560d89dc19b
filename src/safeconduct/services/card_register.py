"""An issuer's register of health cards: its keys, the rids of its subjects, and what is revoked.

It is a desk over the issuer's database, for the issuer's service and for its operator. What it takes in
becomes known to verifiers when the status is next published.
"""

import hashlib
import secrets as system
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Connection

from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.x509 import Certificate, to_x5c
from safeconduct.errors import Rejected
from safeconduct.formats import health_card
from safeconduct.ids import Random
from safeconduct.settings import SettingsError
from safeconduct.status.card_keys import CardKey, KeySet, read_key_set
from safeconduct.status.card_revocation import RID, SIGNED_TEXT, RevocationList, legacy, rids
from safeconduct.status.card_revocation.rids import Reach
from safeconduct.storage import Database
from safeconduct.storage.status import card_store
from safeconduct.storage.status.card_store import StoredKey

Named = Callable[[Connection], list[tuple[str, str]]]
"""Finds identifiers to change, each with the kid that it is listed under."""


class CardRegister:
    """The cards of one issuer.

    issuer: the URL that cards name as theirs. secrets: from which rids are derived, the one for new rids
    first; without any, rids are drawn at random and remembered.
    """

    def __init__(
        self,
        database: Database,
        issuer: str,
        *,
        secrets: Sequence[bytes] = (),
        random: Random = system.token_bytes,
    ) -> None:
        self.issuer: Final = issuer
        self._database = database
        self._secrets = tuple(secrets)
        self._random = random

    async def register(
        self,
        key: PublicKey,
        *,
        chain: Sequence[Certificate] = (),
        known: RevocationList | None = None,
        by_signed_text: bool = False,
        now: int,
    ) -> str:
        """Makes a key known, so that it is published, and stays so; returns its kid.

        chain: its certificates. known: the list that was published of the key elsewhere, whose counter and
        entries go on. by_signed_text: its cards have no rid and are named by their signed text.

        Raises Unsupported "card_key_algorithm"; Rejected "card_key_known" (its cards are named in another way
        already), "card_list_older" (`known` is not newer than its own list); Malformed "crl_kid", Unsupported
        "status_method_unknown" for a list of another key or method.
        """
        found = CardKey.of(key, chains=(tuple(to_x5c(chain)),) if chain else ())
        method = SIGNED_TEXT if by_signed_text else None
        jwk = KeySet((found,)).encode().decode()
        keeping = card_store.register_key
        await self._database.run(keeping, self.issuer, found.kid, jwk, method=method, known=known, now=now)
        return found.kid

    async def keys(self) -> tuple[StoredKey, ...]:
        """Returns the keys that are known, the newest first, revoked ones included."""
        return await self._database.run(card_store.stored_keys, self.issuer)

    async def allocate(self, kid: str, subject: str, *, now: int) -> str:
        """Returns the rid for a card that is made now: one for each subject under each key.

        A subject whose cards were revoked beyond this second gets another one than before.
        kid: of the key that will sign the card. subject: by which the issuer knows the person.
        Raises as `card_store.allocate_rid`.
        """
        return (await self.allocate_each(kid, (subject,), now=now))[0]

    async def allocate_each(self, kid: str, subjects: Sequence[str], *, now: int) -> list[str]:
        """Returns a rid for each subject, as `allocate` does, in one transaction: for all of them or none."""

        def give(connection: Connection) -> list[str]:
            return [self._allocate(connection, kid, subject, now) for subject in subjects]

        return await self._database.run(give)

    async def revoke_subject(self, subject: str, *, before: Reach) -> int:
        """Revokes a person's cards under all keys; returns for how many rids that changed something.

        before: those made before that second, None: all. Raises Rejected "card_subject_unknown".
        """
        return await self.revoke_subjects((subject,), before=before)

    async def revoke_subjects(self, subjects: Sequence[str], *, before: Reach) -> int:
        """Revokes the cards of several persons, in one transaction: of all of them or of none."""
        return await self._revoke(self._of_subjects(subjects), before)

    async def reinstate_subjects(self, subjects: Sequence[str]) -> int:
        """Takes back what revoked the cards of persons; result and errors as of `revoke_subject`."""
        return await self._reinstate(self._of_subjects(subjects))

    async def revoke_rid(self, rid: str, *, kid: str | None, before: Reach) -> int:
        """Revokes the cards of a rid; result as of `revoke_subject`.

        kid: of the key that signed them; None: the one under which it was given, or the only one.
        Raises Rejected "card_key_not_ours", "card_key_ambiguous".
        """
        return await self._revoke(self._of_rid(rid, kid), before)

    async def reinstate_rid(self, rid: str, *, kid: str | None) -> int:
        """Takes back the revocation of the cards of a rid; otherwise as `revoke_rid`."""
        return await self._reinstate(self._of_rid(rid, kid))

    async def revoke_card(self, card: str | bytes, *, before: Reach) -> int:
        """Revokes a card that is at hand, and others with its rid; result as of `revoke_subject`.

        before: cards made before that second, None: all with the rid. Of a card without a rid only itself is
        revoked, whatever `before` says. Raises what `health_card.parse` does; Rejected "card_key_not_ours",
        "signature_invalid", "card_not_ours" (it names another issuer), "card_without_rid".
        """
        kid, identifier, _ = await self.read_card(card)
        key = await self._database.run(card_store.require_key, self.issuer, kid)
        return await self._revoke(_exactly(kid, identifier), None if key.method == SIGNED_TEXT else before)

    async def reinstate_card(self, card: str | bytes) -> int:
        """Takes back the revocation of a card at hand; errors as of `revoke_card`."""
        kid, identifier, _ = await self.read_card(card)
        return await self._reinstate(_exactly(kid, identifier))

    async def read_card(self, card: str | bytes) -> tuple[str, str, float]:
        """Returns the kid of one of the issuer's own cards, what it is listed by, and when it was made.

        Raises as `revoke_card`.
        """
        parsed = health_card.parse(card)
        key = await self._database.run(card_store.require_key, self.issuer, parsed.kid)
        public_key(key).key.verify(parsed.signature, parsed.signing_input)
        claims = parsed.unverified_claims()  # verified in the line before
        if claims.issuer != self.issuer:
            raise Rejected("card_not_ours", "The card names another issuer.")
        if key.method == SIGNED_TEXT:
            return parsed.kid, legacy.of_signed_text(parsed.signing_input, parsed.signature), claims.nbf
        if claims.rid is None:
            raise Rejected(
                "card_without_rid", "The card has no rid, so that only its key could be revoked as a whole."
            )
        return parsed.kid, claims.rid, claims.nbf

    async def revoke_key(self, kid: str, *, now: int) -> bool:
        """Revokes a key with all its cards, for ever; returns whether it was in use before.

        Raises Rejected "card_key_not_ours".
        """
        return await self._database.run(card_store.remove_key, self.issuer, kid, now=now)

    async def _revoke(self, named: Named, before: Reach) -> int:
        def change(connection: Connection) -> int:
            return card_store.revoke(connection, self.issuer, named(connection), before)

        return await self._database.run(change)

    async def _reinstate(self, named: Named) -> int:
        def change(connection: Connection) -> int:
            return card_store.reinstate(connection, self.issuer, named(connection))

        return await self._database.run(change)

    def _allocate(self, connection: Connection, kid: str, subject: str, now: int) -> str:
        derived = rids.derive(self._secrets[0], kid, subject) if self._secrets else None
        return card_store.allocate_rid(
            connection,
            self.issuer,
            kid,
            self._digest(subject),
            derived=derived,
            random=self._random,
            now=now,
        )

    def _of_subjects(self, subjects: Sequence[str]) -> Named:
        def find(connection: Connection) -> list[tuple[str, str]]:
            kids = _listing_rids(card_store.stored_keys(connection, self.issuer))
            return [named for one in subjects for named in self._of_subject(connection, one, kids)]

        return find

    def _of_subject(self, connection: Connection, subject: str, kids: Sequence[str]) -> list[tuple[str, str]]:
        given = card_store.rids_of(connection, self.issuer, self._digest(subject))
        derived = [(kid, rids.derive(secret, kid, subject)) for secret in self._secrets for kid in kids]
        named = dict.fromkeys([*given, *derived])
        if not named:
            raise Rejected("card_subject_unknown", "No rid was ever given for this subject.")
        return [(kid, rid) for kid, rid in named if kid in kids]

    def _of_rid(self, rid: str, kid: str | None) -> Named:
        def find(connection: Connection) -> list[tuple[str, str]]:
            if kid is not None:
                return [(kid, rid)]
            kids = card_store.kids_of(connection, self.issuer, rid)
            if not kids:
                kids = _listing_rids(card_store.stored_keys(connection, self.issuer))
                if len(kids) != 1:
                    raise Rejected("card_key_ambiguous", "It is not known which key this rid is under.")
            return [(one, rid) for one in kids]

        return find

    def _digest(self, subject: str) -> bytes:
        return hashlib.sha256(f"card subject {self.issuer} {subject}".encode()).digest()

    def __repr__(self) -> str:
        return f"<CardRegister of {self.issuer}>"


def public_key(stored: StoredKey) -> CardKey:
    """Returns a key as it is published, with the counter of its list if it has one."""
    key = read_key_set(stored.jwk.encode()).keys[0]
    return msgspec.structs.replace(key, crl_version=stored.ctr or None)


def read_secrets(places: Iterable[Path]) -> tuple[bytes, ...]:
    """Reads files of secrets that rids are derived from, each taken byte for byte. Raises SettingsError."""
    found = []
    for place in places:
        try:
            secret = place.read_bytes()
        except OSError as error:
            raise SettingsError((f"{place}: cannot be used ({error.strerror})",)) from None
        if not rids.SECRET_BYTES <= len(secret) <= _SECRET_BYTES:
            raise SettingsError((f"{place}: expected {rids.SECRET_BYTES} to {_SECRET_BYTES} secret bytes",))
        found.append(secret)
    return tuple(found)


_SECRET_BYTES: Final = 1024


def _exactly(kid: str, identifier: str) -> Named:
    return lambda _connection: [(kid, identifier)]


def _listing_rids(keys: Iterable[StoredKey]) -> list[str]:
    """The keys under which a rid can be listed."""
    return [key.kid for key in keys if key.method == RID and not key.removed]
