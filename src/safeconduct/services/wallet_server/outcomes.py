"""How a forwarded request can end: with the issuer's answer, or with one of these problems.

Whether something was sent decides what may follow: a request that never left may be forwarded again under the
same idempotency key; one that did leave is never sent twice, whatever became of it.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec

from safeconduct.errors import Rejected


class Answer(msgspec.Struct, frozen=True):
    """The issuer's answer as it is passed on. sealed: whether it is a JWE, which only the wallet can open."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sealed: bool

    def __repr__(self) -> str:
        return f"<Answer {self.status}>"


class Undelivered(Rejected):
    """No answer of the issuer can be passed on.

    sent: whether something of the request may have reached the issuer. outcome: its class in the counts.
    """

    oauth_error = "temporarily_unavailable"
    http_status = 502
    sent: ClassVar[bool] = False
    outcome: str = "unreachable"


class IssuerUnusable(Undelivered):
    """The issuer cannot be reached, or its metadata cannot be had."""


class DeferredUnsupported(Undelivered):
    """The issuer names no deferred credential endpoint."""

    oauth_error = "invalid_request"
    http_status = 404
    outcome = "refused"


class NeedsFreshProof(Undelivered):
    """Nothing was sent before the DPoP proof grew old; the wallet should come again with another."""

    oauth_error = "invalid_dpop_proof"
    http_status = 409
    outcome = "expired_proof"

    def __init__(self, *, outcome: str = "expired_proof") -> None:
        super().__init__(
            "needs_fresh_proof",
            "The request could not be sent before its proof grew old; send it again with a fresh one.",
            rule="RFC 9449 §11.1",
        )
        self.outcome = outcome


class IssuerPausing(Undelivered):
    """The issuer is spared for a while: it failed often, or enough requests wait for it."""

    http_status = 503

    def __init__(self, code: str, reason: str, *, seconds: int, outcome: str) -> None:
        super().__init__(code, reason)
        self.http_headers = {"Retry-After": str(seconds)}
        self.outcome = outcome


class AnswerUnusable(Undelivered):
    """The issuer's answer is neither sealed nor an error, or larger than accepted; it is passed to nobody."""

    sent = True
    outcome = "unusable_answer"


class IssuerTimeout(Undelivered):
    """The issuer did not answer in time."""

    http_status = 504
    sent = True
    outcome = "timeout"


class OutcomeUnknown(Undelivered):
    """The request was sent, or may have been; what became of it is not known."""

    http_status = 504
    sent = True
    outcome = "broken_off"


def issuer_unreachable() -> IssuerUnusable:
    """The problem of an issuer to which no connection can be made."""
    return IssuerUnusable("issuer_unreachable", "The issuer cannot be reached; nothing was sent.")


def issuer_metadata() -> IssuerUnusable:
    """The problem of metadata that cannot be had or used."""
    return IssuerUnusable("issuer_metadata", "The issuer's metadata cannot be used.")


def issuer_busy() -> IssuerPausing:
    """The problem of an issuer for which enough requests wait."""
    return IssuerPausing(
        "issuer_busy", "Too many requests wait for this issuer; nothing was sent.", seconds=1, outcome="busy"
    )


def issuer_resting(seconds: int = 1) -> IssuerPausing:
    """The problem of an issuer that failed often and is not asked for some seconds."""
    return IssuerPausing(
        "issuer_resting",
        "The issuer failed repeatedly and is not asked for a while; nothing was sent.",
        seconds=seconds,
        outcome="breaker_open",
    )


def deferred_unsupported() -> DeferredUnsupported:
    """The problem of an issuer without a deferred credential endpoint."""
    return DeferredUnsupported("deferred_unsupported", "The issuer names no endpoint for deferred requests.")


def answer_unusable(status: int = 200) -> AnswerUnusable:
    """The problem of an answer that is passed to nobody. status: the answer's."""
    found = AnswerUnusable("answer_unusable", "The issuer's answer is neither sealed nor an error.")
    if status >= 400:
        found.outcome = error_outcome(status)
    return found


def error_outcome(status: int) -> str:
    """The class of an issuer's error in the counts."""
    return "issuer_error_5xx" if status >= 500 else "issuer_error_4xx"


def issuer_timeout() -> IssuerTimeout:
    """The problem of an issuer that takes too long."""
    return IssuerTimeout("issuer_timeout", "The issuer did not answer in time.")


def outcome_unknown() -> OutcomeUnknown:
    """The problem of a request whose fate is not known."""
    return OutcomeUnknown("outcome_unknown", "The request may have been sent, but no answer is known.")


def problem(code: str) -> Undelivered:
    """Return the problem of a stored code."""
    return _BY_CODE[code]()


_BY_CODE: Mapping[str, Callable[[], Undelivered]] = {
    "needs_fresh_proof": NeedsFreshProof,
    "issuer_unreachable": issuer_unreachable,
    "issuer_metadata": issuer_metadata,
    "issuer_busy": issuer_busy,
    "issuer_resting": issuer_resting,
    "deferred_unsupported": deferred_unsupported,
    "answer_unusable": answer_unusable,
    "issuer_timeout": issuer_timeout,
    "outcome_unknown": outcome_unknown,
}

UNSENT = frozenset(code for code, make in _BY_CODE.items() if not make().sent)
"""Codes after which the same request may be forwarded again."""
