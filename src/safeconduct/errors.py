"""What can be wrong with something that a peer sent.

One tree, so that a caller catches one class. `Malformed`: the peer broke the syntax. `Rejected`: well formed,
not acceptable. `Unsupported`: legal, but not something this library does. Programming errors stay `TypeError`
and `ValueError`.
"""

from typing import ClassVar


class SafeconductError(Exception):
    """Something received is not acceptable.

    code: stable name of the fault, snake case; safe to match on, to log and to show.
    reason: one sentence for a person; never holds a received value, a key, a claim or an identifier.
    rule: the clause that was broken, such as "SD-CWT-08 §9 step 7".
    """

    oauth_error: ClassVar[str] = "invalid_request"
    http_status: ClassVar[int] = 400

    def __init__(self, code: str, reason: str, *, rule: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


class Malformed(SafeconductError):
    """The bytes are not what their format says they must be."""


class Rejected(SafeconductError):
    """Well formed, but forged, stale, misdirected or against a rule."""


class Unsupported(SafeconductError):
    """Legal, but uses an algorithm, type or option that is not accepted here."""
