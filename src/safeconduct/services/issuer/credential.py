"""Making the credential: which claims it may hold, what of them can be withheld, and when it is valid."""

import secrets
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.errors import Rejected
from safeconduct.formats import sd_cwt
from safeconduct.formats.redaction import Redacted, decoys
from safeconduct.formats.sd_cwt.labels import EXP, IAT, ISS, NBF, SUB, VCT
from safeconduct.ids import Random
from safeconduct.protocols.openid4vci.configuration import ClaimPath
from safeconduct.services.issuer.configuration import Kind

_UUID_BYTES = 16


def check_claims(claims: Mapping[str, Any], kinds: Collection[Kind]) -> None:
    """Checks that the claims of an offer are ones that its kinds of credentials have.

    Raises Rejected "claim_unknown", "claim_missing"; Malformed for claims that CBOR cannot carry.
    """
    described = {claim.path for kind in kinds for claim in kind.configuration.claims}
    if not all(_is_described(path, described) for path in _leaves(claims, ())):
        raise Rejected("claim_unknown", "A claim is not among those that the credential has.")
    mandatory = {claim.path for kind in kinds for claim in kind.configuration.claims if claim.mandatory}
    if not all(_is_there(claims, path) for path in mandatory):
        raise Rejected("claim_missing", "A claim that the credential must have is missing.")
    sd_cwt.claims_from_json(claims)


def make_credential(
    claims: Mapping[str, Any],
    kind: Kind,
    *,
    issuer: str,
    signer: Signer,
    holder: PublicKey,
    now: int,
    random: Random = secrets.token_bytes,
) -> bytes:
    """Returns an SD-CWT of the claims, those that its kind knows, bound to the holder's key.

    `sub` is random for each credential, so that two of one holder have nothing in common.
    """
    known = _only_described(claims, kind)
    marked = sd_cwt.claims_from_json(_mark(known, (), frozenset(kind.configuration.redact)))
    if kind.decoys:
        marked[decoys(kind.decoys)] = None
    issued_at, expires_at = validity(now, seconds=kind.validity, rounding=kind.rounding)
    own = {
        ISS: issuer,
        SUB: uuid.UUID(bytes=random(_UUID_BYTES), version=4).urn,
        EXP: expires_at,
        NBF: issued_at,
        IAT: issued_at,
        VCT: kind.configuration.vct,
    }
    kid = signer.kid.encode() if isinstance(signer.kid, str) else signer.kid
    return sd_cwt.issue(own | marked, issuer=signer, holder=holder, now=issued_at, kid=kid, random=random)


def validity(now: int, *, seconds: int, rounding: int) -> tuple[int, int]:
    """Returns when a credential begins and ends, both rounded down to a multiple of `rounding` seconds.

    Rounded, the times do not tell which of a day's issuances it was. A life too short for that is kept as it
    is: it must still lie ahead.
    """
    begin, end = now - now % rounding, now + seconds
    rounded_end = end - end % rounding
    return begin, rounded_end if rounded_end > now else end


def _leaves(value: Any, path: ClaimPath) -> list[ClaimPath]:
    """The place of each value that holds no other; elements of an array share one."""
    if isinstance(value, Mapping) and value:
        return [leaf for name, item in value.items() for leaf in _leaves(item, (*path, name))]
    if isinstance(value, list) and value:
        return [leaf for item in value for leaf in _leaves(item, (*path, None))]
    return [path]


def _is_described(path: ClaimPath, described: Collection[ClaimPath]) -> bool:
    return any(path[: len(claim)] == claim for claim in described)


def _is_there(claims: Any, path: ClaimPath) -> bool:
    for step in path:
        if step is None:
            return isinstance(claims, list) and len(claims) > 0
        if not isinstance(claims, Mapping) or step not in claims:
            return False
        claims = claims[step]
    return True


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
