"""What can be known of a credential's status: good, revoked, or unknown with its reason."""

from typing import Final, Literal, Protocol

import msgspec

Reason = Literal[
    "no-crl",
    "stale",
    "missing",
    "malformed",
    "unsupported-method",
    "unverified",
    "confirm",
]
"""Why a status is what it is.

no-crl: the issuer publishes no list for the key, so that there is nothing to look up. stale: the list is
older than what the issuer's keys announce, than one seen before, or than the verifier accepts. missing: there
should be a list, and there is none. malformed: it breaks its format. unsupported-method: it names revoked
cards in a way that is not known here. unverified: it is not signed as the verifier demands, or no longer.
confirm: only beside "revoked": a lossy pack says so; ask the full list where it can be reached.
"""

Policy = Literal["fail-closed", "fail-open"]
"""What becomes of a credential whose status is unknown: refused, or accepted."""


class Status(msgspec.Struct, frozen=True):
    """The status of one credential. reason: None for a plain "good" or "revoked"."""

    state: Literal["good", "revoked", "unknown"]
    reason: Reason | None = None


GOOD: Final = Status("good")
REVOKED: Final = Status("revoked")


def unknown(reason: Reason) -> Status:
    """Returns an unknown status."""
    return Status("unknown", reason)


class CardId(Protocol):
    """What a card can be looked up by; nothing is computed before a list's method asks for it."""

    @property
    def issuer(self) -> str:
        """As the card names it."""

    @property
    def kid(self) -> str:
        """Of the key that signed it."""

    @property
    def nbf(self) -> int | float:
        """When it was made, in seconds since 1970."""

    def identifier(self, method: str) -> str | None:
        """The card's identifier under a method of revocation, None if it has none.

        Raises Unsupported "status_method_unknown" for a method that is not known.
        """


class CardStatusSource(Protocol):
    """Evidence of revocation, gathered before: lists, a local store, a pack, or several of these."""

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:
        """The status of a card whose signature and claims have been verified.

        crl_version: the counter that the issuer's JWKS gives beside the key, None if it gives none.
        now: seconds since 1970. Never raises for what the evidence holds.
        """
