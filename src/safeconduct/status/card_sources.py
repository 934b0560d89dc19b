"""Several pieces of evidence of what became of cards, as one."""

from collections.abc import Iterable

from safeconduct.status.states import CardId, CardStatusSource, Status, unknown


class CardStatusSources:
    """Lists, stores and packs that are asked one after the other.

    Whoever says that a card is revoked is believed, then whoever says that it is good: each judges by a list
    that is as new as the issuer's keys announce. Of reasons for not knowing, the first counts that is more
    than having no list.
    """

    def __init__(self, sources: Iterable[CardStatusSource]) -> None:
        self._sources = tuple(sources)

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:
        """Return what is known of a card, as `CardStatusSource` has it."""
        answers = [source.card_status(card, crl_version=crl_version, now=now) for source in self._sources]
        missed = unknown("no-crl" if crl_version is None else "missing")
        return min(answers, key=_rank, default=missed)


def _rank(status: Status) -> int:
    if status.state == "unknown":
        return 4 if status.reason in ("no-crl", "missing") else 3
    # A list that is at hand in whole says more than a lossy pack.
    return 0 if status.state == "revoked" and status.reason is None else 1 if status.state == "revoked" else 2
