"""The holder's look at an issued SD-JWT, before keeping it (RFC 9901 §7.2)."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from safeconduct.crypto.algorithms import ALGORITHMS
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.x509 import Certificate
from safeconduct.errors import Rejected
from safeconduct.formats import paths
from safeconduct.formats.redaction import Located, Path
from safeconduct.formats.sd_jwt import token, values
from safeconduct.formats.sd_jwt.claims import Claims, resolve
from safeconduct.formats.sd_jwt.codec import SD
from safeconduct.formats.sd_jwt.confirmation import confirmed_key
from safeconduct.formats.sd_jwt.parsing import parse
from safeconduct.formats.sd_jwt.profile import DEFAULT_PROFILES, Profile
from safeconduct.formats.sd_jwt.token import OpenToken
from safeconduct.formats.selection import whole_claim
from safeconduct.status.token_list import StatusReference
from safeconduct.trust import WAIVED, Trust, Waived

_ANY_ALGORITHM = frozenset(algorithm.name for algorithm in ALGORITHMS)
_RULE = "RFC 9901 §7.2"


class Held(msgspec.Struct, frozen=True):
    """An issued token in its holder's hands: every disclosure answers one digest.

    holder: the key that it confirms, None where the holder did not ask. located: where each disclosure
    stands. trees: the claims with everything disclosed. withheld: digests without a disclosure.
    """

    opened: OpenToken
    holder: PublicKey | None
    located: tuple[Located, ...]
    trees: tuple[Mapping[str, Any], ...]
    withheld: int

    def __repr__(self) -> str:
        return f"<Held: {len(self.located)} disclosures>"


class VerifiedIssued(msgspec.Struct, frozen=True):
    """An issued token that the holder may keep; only `check_issued` makes one. `present` takes it as it is.

    claims: all of them, disclosed. issuer_certificate: that of `issuer_key`, where it was believed for one
    (`x5c`). redactable: the paths of what can be withheld. decoys: digests without a
    disclosure; nobody but the issuer can tell a decoy from a claim that was kept from the holder.
    """

    claims: Claims
    issuer: str | None
    issuer_key: PublicKey | None
    issuer_certificate: Certificate | None
    redactable: tuple[Path, ...]
    decoys: int
    profile: str
    status: StatusReference | None
    held: Held

    def disclosed_paths(self) -> tuple[Path, ...]:
        """Return where each disclosure stands in the claims."""
        return self.redactable

    def __repr__(self) -> str:
        return f"<VerifiedIssued: {len(self.claims)} claims, {len(self.redactable)} redactable>"


def check_issued(
    data: str | bytes,
    *,
    holder: PublicKey | Waived,
    trust: Trust,
    now: int,
    subject: str | Waived = WAIVED,
    audience: str | Waived = WAIVED,
    types: Collection[str] | None = None,
    leeway: int = 0,
    clear: Collection[str] | Waived = WAIVED,
    decoys: int = 0,
    algorithms: Collection[str] = _ANY_ALGORITHM,
    profiles: Iterable[str | Profile] = DEFAULT_PROFILES,
    accept: Collection[str] = frozenset(),
) -> VerifiedIssued:
    """Check an issued token as its holder, before keeping it.

    holder: the key that it must confirm, or WAIVED for a token that is bound to none. subject, audience:
    what `sub` and `aud` must be. types: the `vct` that were asked for. clear: the only claims, besides
    registered ones, that may stand in clear. decoys: the least number of digests without a disclosure.
    Raises Rejected: key_binding_present, holder_key_mismatch, cnf_missing, subject_mismatch,
    audience_mismatch, type_not_accepted, claim_in_clear, too_few_decoys, and as `verify` for the token.
    Source: RFC 9901 §7.2.
    """
    held = open_held(data, holder, profiles, accept)
    opened = held.opened
    signatory = token.check_signature(opened, trust=trust, algorithms=algorithms, now=now)
    claims = held.trees[0]
    values.check_order(claims)
    values.check_clock(claims, now=now, leeway=leeway)
    status = values.status_reference(claims)
    _check_expected(claims, subject=subject, audience=audience, types=types)
    if not isinstance(clear, Waived):
        _check_clear(opened, clear)
    if held.withheld < decoys:
        raise Rejected("too_few_decoys", "The token has fewer decoys than were asked for.", rule=_RULE)
    return VerifiedIssued(
        claims=Claims(claims),
        issuer=opened.issuer,
        issuer_key=None if signatory is None else signatory.key,
        issuer_certificate=None if signatory is None else signatory.certificate,
        redactable=tuple(located.path for located in held.located),
        decoys=held.withheld,
        profile=opened.profile.name,
        status=status,
        held=held,
    )


def open_held(
    data: str | bytes,
    holder: PublicKey | Waived,
    profiles: Iterable[str | Profile],
    accept: Collection[str],
) -> Held:
    """Open an issued token that is bound to `holder`; the issuer's signature is not checked.

    Raises Rejected: key_binding_present, holder_key_mismatch, cnf_missing, and as `parse` and
    `reveal_token`. Source: RFC 9901 §7.2.
    """
    parsed = parse(data, profiles=profiles, accept=accept)
    if parsed.binding is not None:
        raise Rejected("key_binding_present", "An issued token carries no key binding.", rule=_RULE)
    revealed = token.reveal_token(parsed.token, locate=True)
    claims = revealed.trees[0]
    key = None
    if not isinstance(holder, Waived):
        if "cnf" not in claims:
            raise Rejected("cnf_missing", "The token confirms no holder's key.", rule=_RULE)
        key = confirmed_key(claims["cnf"], (holder,))
        if key != holder:
            raise Rejected("holder_key_mismatch", "The token is bound to another key.", rule=_RULE)
    return Held(parsed.token, key, revealed.located, revealed.trees, revealed.withheld)


def _check_expected(
    claims: Mapping[str, Any],
    *,
    subject: str | Waived,
    audience: str | Waived,
    types: Collection[str] | None,
) -> None:
    if not isinstance(subject, Waived) and claims.get("sub") != subject:
        raise Rejected("subject_mismatch", "The token is about another subject.", rule=_RULE)
    if not isinstance(audience, Waived) and "aud" in claims:
        named = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if audience not in named:
            raise Rejected("audience_mismatch", "The token is for another audience.", rule=_RULE)
    if types is not None and claims.get("vct") not in types:
        raise Rejected(
            "type_not_accepted", "The credential is not of the type that was asked for.", rule=_RULE
        )


def _check_clear(opened: OpenToken, allowed: Collection[str]) -> None:
    names = {whole_claim(resolve(paths.parse(text))) for text in allowed}
    for name in opened.payload:
        if name not in names and name not in values.REGISTERED and name != SD:
            raise Rejected("claim_in_clear", "A claim stands in clear that should not.", rule=_RULE)
