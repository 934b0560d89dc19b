"""Several pieces of evidence of what became of cards, as one."""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from safeconduct.status.states import GOOD, CardId, CardStatusSource, Status, unknown


@runtime_checkable
class LossySource(CardStatusSource, Protocol):
    """Evidence whose hits may be of another card: "revoked", with the reason "confirm"."""

    def list_counter(self, card: CardId) -> int | None:
        """Return the counter of the list by which a card is judged, None without one. Never raises."""


class CardStatusSources:
    """Lists, stores and packs that are asked one after the other.

    Whoever says that a card is revoked is believed, then whoever says that it is good: each judges by a list
    that is as new as the issuer's keys announce. A hit that is to be confirmed counts unless somebody says
    "good" by a list that is as new as the one with the hit: a lossy pack errs on some cards, and never on one
    that it does not name. Of reasons for not knowing, the first counts that is more than having no list.
    """

    def __init__(self, sources: Iterable[CardStatusSource]) -> None:
        self._sources = tuple(sources)

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:
        """Return what is known of a card, as `CardStatusSource` has it."""
        answers = [source.card_status(card, crl_version=crl_version, now=now) for source in self._sources]
        missed = unknown("no-crl" if crl_version is None else "missing")
        found = min(answers, key=_rank, default=missed)
        if found == _CONFIRM and GOOD in answers and self._is_refuted(answers, card, crl_version, now):
            return GOOD
        return found

    def _is_refuted(self, answers: Sequence[Status], card: CardId, crl_version: int | None, now: int) -> bool:
        """Whether somebody says "good" by a list that is no older than any in which there is a hit."""
        newest = crl_version or 1
        for source, answer in zip(self._sources, answers, strict=True):
            if answer == _CONFIRM:
                counter = source.list_counter(card) if isinstance(source, LossySource) else None
                if counter is None:
                    return False
                newest = max(newest, counter)
        return any(
            source.card_status(card, crl_version=newest, now=now) == GOOD
            for source, answer in zip(self._sources, answers, strict=True)
            if answer == GOOD
        )


_CONFIRM = Status("revoked", "confirm")


def _rank(status: Status) -> int:
    if status.state == "unknown":
        return 5 if status.reason in ("no-crl", "missing") else 4
    if status.state == "good":
        return 3
    # A list that is at hand in whole says more than a lossy pack, also an old one: whom it names, it means.
    return 2 if status == _CONFIRM else 0 if status.reason is None else 1
