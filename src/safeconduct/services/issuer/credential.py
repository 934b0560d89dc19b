"""Making the credential: which claims it may hold, what of them can be withheld, and when it is valid."""

import secrets
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.errors import Rejected
from safeconduct.formats import sd_cwt, sd_jwt
from safeconduct.formats.redaction import Redacted, decoys
from safeconduct.ids import Random
from safeconduct.protocols.openid4vci.configuration import SD_CWT, SD_JWT, ClaimPath
from safeconduct.protocols.openid4vci.response import sd_cwt_text
from safeconduct.services.issuer.claim_paths import is_there
from safeconduct.services.issuer.configuration import Kind
from safeconduct.status.token_list import StatusReference

_UUID_BYTES = 16


class Bounds(msgspec.Struct, frozen=True):
    """Times that a credential keeps within, Unix seconds: those of the one that it comes from, or closer."""

    not_before: int
    expires: int


def check_claims(claims: Mapping[str, Any], kinds: Collection[Kind]) -> None:
    """Checks that the claims of an offer are ones that its kinds of credentials have.

    Raises Rejected "claim_unknown", "claim_missing"; Malformed for claims that CBOR cannot carry.
    """
    described = {claim.path for kind in kinds for claim in kind.configuration.claims}
    if not all(_is_described(path, described) for path in _leaves(claims, ())):
        raise Rejected("claim_unknown", "A claim is not among those that the credential has.")
    for kind in kinds:
        check_mandatory(claims, kind)
    sd_cwt.claims_from_json(claims)


def check_mandatory(claims: Mapping[str, Any], kind: Kind) -> None:
    """Checks that all claims are there that the credential must have. Raises Rejected "claim_missing"."""
    for claim in kind.configuration.claims:
        if claim.mandatory and not is_there(claims, claim.path):
            raise Rejected("claim_missing", "A claim that the credential must have is missing.")


def make_credential(
    claims: Mapping[str, Any],
    kind: Kind,
    *,
    issuer: str,
    signer: Signer,
    holder: PublicKey,
    now: int,
    x5c: Sequence[str] = (),
    status: StatusReference | None = None,
    bounds: Bounds | None = None,
    random: Random = secrets.token_bytes,
) -> str:
    """Returns a credential of the claims, those that its kind knows, as the text that it has in a response.

    It is bound to the holder's key. issuer: the tenant's identifier. x5c: certificates of the signer's key.
    status: its place in a status list; None for a kind without. bounds: of one that comes from another.
    `sub` is random for each credential, so that two of one holder have nothing in common.
    """
    known = _only_described(claims, kind)
    marked: dict[Any, Any] = _mark(known, (), frozenset(kind.configuration.redact))
    issued_at, expires_at = validity(now, seconds=kind.validity, rounding=kind.rounding)
    if bounds is not None:
        # An SD-CWT does not begin after it was issued (SD-CWT-08 §9 step 3): iat goes along.
        issued_at, expires_at = max(issued_at, bounds.not_before), min(expires_at, bounds.expires)
    own: dict[str, Any] = {
        "iss": issuer,
        "sub": uuid.UUID(bytes=random(_UUID_BYTES), version=4).urn,
        "exp": expires_at,
        "nbf": issued_at,
        "iat": issued_at,
        "vct": kind.configuration.vct,
    }
    if status is not None:
        own["status"] = status.claim()
    make = _FORMATS[kind.configuration.format]
    return make(own | marked, kind, signer=signer, x5c=x5c, holder=holder, now=issued_at, random=random)


def validity(now: int, *, seconds: int, rounding: int) -> tuple[int, int]:
    """Returns when a credential begins and ends, both rounded down to a multiple of `rounding` seconds.

    Rounded, the times do not tell which of a day's issuances it was. A life too short for that is kept as it
    is: it must still lie ahead.
    """
    begin, end = now - now % rounding, now + seconds
    rounded_end = end - end % rounding
    return begin, rounded_end if rounded_end > now else end


def _sd_cwt(
    claims: dict[Any, Any],
    kind: Kind,
    *,
    signer: Signer,
    x5c: Sequence[str],  # noqa: ARG001  an SD-CWT names its key
    holder: PublicKey,
    now: int,
    random: Random,
) -> str:
    kid = signer.kid.encode() if isinstance(signer.kid, str) else signer.kid
    marked = sd_cwt.claims_from_json(claims)
    if kind.decoys:
        marked[decoys(kind.decoys)] = None
    return sd_cwt_text(sd_cwt.issue(marked, issuer=signer, holder=holder, now=now, kid=kid, random=random))


def _sd_jwt(
    claims: dict[Any, Any],
    kind: Kind,
    *,
    signer: Signer,
    x5c: Sequence[str],
    holder: PublicKey,
    now: int,
    random: Random,
) -> str:
    if kind.decoys:
        claims[decoys(kind.decoys)] = None
    # A certificate says whose key it is; else verifiers find it by its name among the issuer's keys.
    kid = signer.kid if isinstance(signer.kid, str) and not x5c else None
    return sd_jwt.issue(claims, issuer=signer, holder=holder, now=now, kid=kid, x5c=x5c, random=random)


_FORMATS: Mapping[str, Callable[..., str]] = {SD_CWT: _sd_cwt, SD_JWT: _sd_jwt}


def _leaves(value: Any, path: ClaimPath) -> list[ClaimPath]:
    """The place of each value that holds no other; elements of an array share one."""
    if isinstance(value, Mapping) and value:
        return [leaf for name, item in value.items() for leaf in _leaves(item, (*path, name))]
    if isinstance(value, list) and value:
        return [leaf for item in value for leaf in _leaves(item, (*path, None))]
    return [path]


def _is_described(path: ClaimPath, described: Collection[ClaimPath]) -> bool:
    return any(path[: len(claim)] == claim for claim in described)


def _only_described(claims: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """The claims of an offer for several kinds that belong to this one."""
    names = {claim.path[0] for claim in kind.configuration.claims}
    return {name: value for name, value in claims.items() if name in names}


def _mark(value: Any, path: ClaimPath, redact: frozenset[ClaimPath]) -> Any:
    if isinstance(value, Mapping):
        return {name: _marked(item, (*path, name), redact) for name, item in value.items()}
    if isinstance(value, list):
        return [_marked(item, (*path, None), redact) for item in value]
    return value


def _marked(value: Any, path: ClaimPath, redact: frozenset[ClaimPath]) -> Any:
    inner = _mark(value, path, redact)
    return Redacted(inner) if path in redact else inner
