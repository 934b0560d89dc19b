"""Revocation lists at hand, as evidence of what became of a card."""

from typing import Final, Protocol

import msgspec

from safeconduct.errors import Malformed, Unsupported
from safeconduct.status.card_revocation.crl import RevocationList, named_kid
from safeconduct.status.card_revocation.methods import RID
from safeconduct.status.states import CardId, Reason, Status, unknown


class Consulted(Protocol):
    """What a card can be looked up in: a `RevocationList`, or another form of one that says the same."""

    @property
    def ctr(self) -> int:
        """Goes up with each update of the list."""

    @property
    def method(self) -> str:
        """How the list names cards."""

    @property
    def understood(self) -> bool:
        """Whether its method is known."""

    def status(self, identifier: str | None, nbf: float) -> Status:
        """Returns what the list says of a card, as `RevocationList.status`."""


class _Held(msgspec.Struct, frozen=True):
    """What is at hand for a key. found: None for a list that breaks its format."""

    found: RevocationList | None
    fetched_at: int | None


class RevocationLists:
    """Revocation lists in memory, each of one key of an issuer, or of whichever issuer has that key.

    A `CardStatusSource`. Of several lists of one key the one with the highest counter counts; one that is
    malformed counts above all, since nobody can say what it means to revoke.
    """

    def __init__(self, *, max_age: int | None = None) -> None:
        """max_age: seconds after which a list is stale, if it is known when it was fetched; None: never."""
        self._max_age = max_age
        self._held: dict[tuple[str | None, str | None], _Held] = {}

    def read(
        self, data: bytes, *, issuer: str | None = None, kid: str | None = None, fetched_at: int | None = None
    ) -> None:
        """Takes a list as it was published; a malformed one makes the status of its cards unknown.

        issuer: where it is from; None: it holds for every issuer that has the key. kid: the key that it must
        be of; None: the one that it names, or every key of the issuer if it names none.
        fetched_at: seconds since 1970.
        """
        try:
            found = RevocationList.parse(data, kid=kid)
        except Malformed:
            self._keep((issuer, kid or named_kid(data)), _Held(None, fetched_at))
        else:
            self.add(found, issuer=issuer, fetched_at=fetched_at)

    def add(self, found: RevocationList, *, issuer: str | None = None, fetched_at: int | None = None) -> None:
        """Takes a list that was read before; arguments as of `read`."""
        self._keep((issuer, found.kid), _Held(found, fetched_at))

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:
        """Returns what the lists say of a card; "missing" or "no-crl" if there is none for its key."""
        held = self._held.get((card.issuer, card.kid)) or self._for_others(card)
        if held is None:
            return unknown("no-crl" if crl_version is None else "missing")
        if held.found is None:
            return unknown("malformed")
        outdated = self._max_age is not None and self._is_old(held, now)
        return judge(held.found, card, crl_version=crl_version, outdated=outdated)

    def _for_others(self, card: CardId) -> _Held | None:
        """What is at hand for the key whoever has it, for all keys of the issuer, or for all cards."""
        find = self._held.get
        return find((None, card.kid)) or find((card.issuer, None)) or find((None, None))

    def _is_old(self, held: _Held, now: int) -> bool:
        if self._max_age is None or held.fetched_at is None:
            return False
        return now - held.fetched_at > self._max_age

    def _keep(self, place: tuple[str | None, str | None], held: _Held) -> None:
        before = self._held.get(place)
        if before is None or _rank(held) >= _rank(before):
            self._held[place] = held


def judge(found: Consulted, card: CardId, *, crl_version: int | None, outdated: bool) -> Status:
    """Returns what one list says of a card of its key.

    crl_version: the counter that the issuer's JWKS gives beside the key, None if it gives none.
    outdated: it is older than one seen before, or than the verifier accepts.

    A stale list still revokes what it names, with the reason "stale": an issuer rarely takes that back, and
    nobody shall pass for having kept a newer list away. What it does not name is unknown.
    """
    if found.method != RID and not found.understood:
        return unknown("unsupported-method")
    try:
        identifier = card.identifier(found.method)
    except Unsupported:
        return unknown("unsupported-method")
    status = found.status(identifier, card.nbf)
    if not outdated and (crl_version is None or found.ctr >= crl_version):
        return status
    return Status("revoked", _STALE) if status.state == "revoked" else unknown(_STALE)


_STALE: Final[Reason] = "stale"
_ABOVE_ALL: Final = 1 << 128


def _rank(held: _Held) -> int:
    return _ABOVE_ALL if held.found is None else held.found.ctr
