"""Ribbons at hand, and changes of the lists since then, as evidence of what became of a card."""

from typing import Final

from safeconduct.errors import Rejected, Unsupported
from safeconduct.status.card_revocation.deltas import Delta
from safeconduct.status.card_revocation.rids import Reach, covers
from safeconduct.status.compact.ribbon import Ribbon
from safeconduct.status.states import GOOD, REVOKED, CardId, Reason, Status, unknown


class Ribbons:
    """Ribbons in memory, each of one key of an issuer. A `CardStatusSource`."""

    def __init__(self, *, max_age: int | None = None) -> None:
        """max_age: seconds after a ribbon's `as_of` from which on it is stale; None: never."""
        self._max_age = max_age
        self._held: dict[tuple[str, str], _Updated] = {}

    def add(self, ribbon: Ribbon) -> None:
        """Takes a ribbon, unless one of the same key with a higher counter is there."""
        held = self._held.get((ribbon.issuer, ribbon.kid))
        if held is None or held.ctr <= ribbon.ctr:
            self._held[ribbon.issuer, ribbon.kid] = _Updated(ribbon)

    def update(self, issuer: str, delta: Delta) -> None:
        """Takes the next change of a list, whose digest only the list itself could show to be right.

        Raises Rejected "delta_mismatch" if it does not follow what is there.
        """
        held = self._held.get((issuer, delta.kid))
        if held is None:
            raise _mismatch()
        held.apply(delta)

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:
        """Returns what the ribbons say of a card; "missing" or "no-crl" if there is none for its key.

        A stale ribbon still revokes what it names, with the reason "stale".
        """
        held = self._held.get((card.issuer, card.kid))
        if held is None:
            return unknown("no-crl" if crl_version is None else "missing")
        try:
            status = held.status(card.identifier(held.ribbon.method), card.nbf)
        except Unsupported:
            return unknown("unsupported-method")
        if (crl_version is None or held.ctr >= crl_version) and not self._is_old(held, now):
            return status
        return Status("revoked", _STALE) if status == REVOKED else unknown(_STALE)

    def _is_old(self, held: "_Updated", now: int) -> bool:
        return self._max_age is not None and now - held.ribbon.as_of > self._max_age


_STALE: Final[Reason] = "stale"


class _Updated:
    """A ribbon and what changed since. changes: an identifier's entry, nothing if it is gone."""

    def __init__(self, ribbon: Ribbon) -> None:
        self.ribbon = ribbon
        self.ctr = ribbon.ctr
        self._changes: dict[str, tuple[()] | tuple[Reach]] = {}

    def apply(self, delta: Delta) -> None:
        if (delta.method, delta.start) != (self.ribbon.method, self.ctr):
            raise _mismatch()
        if any(self._entry(name) != (reach,) for name, reach in delta.remove.items()):
            raise _mismatch()
        self._changes |= dict.fromkeys(delta.remove, ())
        self._changes |= {name: (reach,) for name, reach in delta.add.items()}
        self.ctr = delta.end

    def status(self, identifier: str | None, nbf: float) -> Status:
        if identifier is None or identifier not in self._changes:
            return self.ribbon.status(identifier, nbf)
        entry = self._changes[identifier]
        return REVOKED if entry and covers(entry[0], nbf) else GOOD

    def _entry(self, identifier: str) -> tuple[()] | tuple[Reach]:
        return self._changes[identifier] if identifier in self._changes else self.ribbon.entry(identifier)


def _mismatch() -> Rejected:
    return Rejected("delta_mismatch", "The change does not follow the list that is at hand.")
