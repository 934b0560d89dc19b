"""What a verifier demands of a presentation. Each check is set, or waived by name."""

import enum
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from safeconduct.crypto.algorithms import ALGORITHMS
from safeconduct.crypto.keys import PublicKey


class Waived(enum.Enum):
    """The one value that says: this check is not wanted."""

    WAIVED = "waived"


WAIVED = Waived.WAIVED


class AeadKey(msgspec.Struct, frozen=True):
    """A key for encrypted disclosures.

    key: of the length that the token's AEAD algorithm has. context: the key context of the entries that it
    opens (SD-CWT-08 §11); None: it is tried on every entry.
    """

    key: bytes
    context: int | str | bytes | None = None

    def __repr__(self) -> str:
        return "AeadKey(…)"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The demands of one verifier for one presentation.

    audience: the verifier's own identifier, or several of them, or WAIVED.
    nonce: the value that this verifier gave out for this presentation (bytes in SD-CWT, text in SD-JWT), or
        WAIVED where replay is stopped elsewhere. A callable decides on the received value itself.
    key_binding: WAIVED lets an SD-JWT pass that nobody proved to hold; an SD-CWT is never shown without one.
    leeway: seconds by which clocks may differ. max_age: seconds since the key binding was made, None: any.
    algorithms: COSE names of the accepted signature algorithms. types: accepted `vct` values, None: any.
    profiles: names of the accepted wire profiles, or profiles of a format; nothing else is tried.
    accept: names of leniencies. aead_keys: open encrypted disclosures.
    holder_keys: known holder keys, for tokens that name theirs by `kid` or thumbprint.
    status: what becomes of a credential that has a status. "if-given": where status lists are given to
        `verify`, it must be good by them; without lists nobody looks. "fail-closed": it must be good, and
        lists that are missing or unusable refuse it. "fail-open": only a status that can be read and is not
        good refuses it. WAIVED: nobody looks. To demand that a credential has a status, require its claim.
    statuses: values in a Token Status List that are good; 0 is VALID. status_max_age: seconds since a status
        list was issued, None: until it expires.
    require_disclosure: demand that at least one claim is disclosed. require_claims: demand these claims, in
        clear or disclosed; without `exp` among them a token that has none passes.
    """

    audience: str | tuple[str, ...] | Waived
    nonce: bytes | str | Waived | Callable[[Any], bool]
    key_binding: Literal["demanded"] | Waived = "demanded"
    leeway: int = 0
    max_age: int | None = None
    algorithms: frozenset[str] = frozenset(algorithm.name for algorithm in ALGORITHMS)
    types: frozenset[str | int] | None = None
    profiles: tuple[Any, ...] = ("ietf-08",)
    accept: frozenset[str] = frozenset()
    aead_keys: tuple[AeadKey, ...] = ()
    holder_keys: tuple[PublicKey, ...] = ()
    status: Literal["if-given", "fail-closed", "fail-open"] | Waived = "if-given"
    statuses: frozenset[int] = frozenset({0})
    status_max_age: int | None = None
    require_disclosure: bool = False
    require_claims: frozenset[str] = frozenset()

    @property
    def audiences(self) -> tuple[str, ...]:
        """The identifiers of the verifier; empty if the check is waived."""
        if isinstance(self.audience, Waived):
            return ()
        return (self.audience,) if isinstance(self.audience, str) else self.audience
