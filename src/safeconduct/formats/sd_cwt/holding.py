"""The holder's look at an issued token, before keeping it (SD-CWT-08 §4.2)."""

import hmac
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from safeconduct.crypto.algorithms import ALGORITHMS
from safeconduct.crypto.keys import PublicKey
from safeconduct.envelope import cose
from safeconduct.errors import Rejected
from safeconduct.formats import paths
from safeconduct.formats.redaction import Located, Path
from safeconduct.formats.sd_cwt import encrypted, token, values
from safeconduct.formats.sd_cwt.claims import Claims, resolve
from safeconduct.formats.sd_cwt.confirmation import confirmed_key
from safeconduct.formats.sd_cwt.labels import CLAIM_NAMES, CNF
from safeconduct.formats.sd_cwt.profile import IETF_08, Profile, check_leniencies
from safeconduct.formats.sd_cwt.token import OpenToken
from safeconduct.formats.selection import whole_claim
from safeconduct.trust import WAIVED, Trust, Waived

_ANY_ALGORITHM = frozenset(algorithm.name for algorithm in ALGORITHMS)


class Held(msgspec.Struct, frozen=True):
    """An issued token in its holder's hands: its digests and disclosures match one to one.

    located: where each disclosure stands. trees: the claims with everything disclosed.
    """

    opened: OpenToken
    holder: PublicKey
    located: tuple[Located, ...]
    trees: tuple[Mapping[Any, Any], ...]

    def __repr__(self) -> str:
        return f"<Held: {len(self.located)} disclosures>"


class VerifiedIssued(msgspec.Struct, frozen=True):
    """An issued token that the holder may keep; only `check_issued` makes one. `present` takes it as it is.

    claims: all of them, disclosed. redactable: the paths of what can be withheld. decoys: how many there are.
    """

    claims: Claims
    issuer: str
    issuer_key: PublicKey | None
    redactable: tuple[Path, ...]
    decoys: int
    held: Held

    def __repr__(self) -> str:
        return f"<VerifiedIssued: {len(self.claims)} claims, {len(self.redactable)} redactable>"


def check_issued(
    data: bytes,
    *,
    holder: PublicKey,
    trust: Trust,
    now: int,
    nonce: bytes | Waived | None = None,
    subject: str | Waived = WAIVED,
    audience: str | Waived = WAIVED,
    leeway: int = 0,
    clear: Collection[str] | Waived = WAIVED,
    decoys: int = 0,
    algorithms: Collection[str] = _ANY_ALGORITHM,
    profile: Profile = IETF_08,
    accept: Collection[str] = frozenset(),
) -> VerifiedIssued:
    """Check an issued token as its holder, before keeping it.

    nonce: the `cnonce` that this holder sent, None if it sent none. subject, audience: what `sub` and `aud`
    must be. clear: the only claims, besides registered ones, that may stand in clear. decoys: the least
    number of decoys.
    Raises Rejected: key_binding_present, holder_key_mismatch, disclosure_missing, nonce_mismatch,
    subject_mismatch, audience_mismatch, claim_in_clear, too_few_decoys, and as `verify` for the token.
    Source: SD-CWT-08 §4.2; RFC 9901 §7.2.
    """
    held = open_held(data, holder, profile, accept)
    opened = held.opened
    issuer_key = token.check_signature(opened, trust=trust, algorithms=algorithms)
    values.check_order(opened.clear)
    values.check_clock(opened.clear, now=now, leeway=leeway)
    claims = Claims(token.merged(held.trees, profile))
    _check_expected(claims, nonce=nonce, subject=subject, audience=audience)
    if not isinstance(clear, Waived):
        _check_clear(opened, clear)
    found = len(opened.disclosures) - len(held.located)
    if found < decoys:
        raise Rejected(
            "too_few_decoys", "The token has fewer decoys than were asked for.", rule="SD-CWT-08 §10"
        )
    redactable = tuple(located.path for located in held.located)
    return VerifiedIssued(claims, opened.issuer, issuer_key, redactable, found, held)


def open_held(data: bytes, holder: PublicKey, profile: Profile, accept: Collection[str]) -> Held:
    """Open an issued token that is bound to `holder`; the issuer's signature is not checked.

    Raises Rejected: key_binding_present, holder_key_mismatch, disclosure_missing, and as `open_token` and
    `reveal_token`. Source: SD-CWT-08 §4.2; RFC 9901 §7.2.
    """
    leniencies = check_leniencies(accept)
    message = cose.parse(data)
    bound_inside = profile.sd_kbt is not None and profile.sd_kbt in message.unprotected
    if cose.KCWT in message.protected or bound_inside:
        raise Rejected("key_binding_present", "An issued token carries no key binding.", rule="RFC 9901 §7.2")
    opened = token.open_token(message, profile, leniencies)
    if profile.binding == "outside":
        # The issuer fixes the algorithm; entries are the holder's to make, but an empty list is invalid.
        encrypted.algorithm(message.protected)
        encrypted.read(message.unprotected, message.protected, old_nonces="aead-nonce-16" in leniencies)
    if confirmed_key(opened.clear[CNF], (holder,)) != holder:
        raise Rejected("holder_key_mismatch", "The token is bound to another key.", rule="SD-CWT-08 §4.2")
    revealed = token.reveal_token(opened, locate=True)
    if revealed.withheld:
        raise Rejected("disclosure_missing", "A digest has no disclosure.", rule="SD-CWT-08 §4.2")
    return Held(opened, holder, revealed.located, revealed.trees)


def _check_expected(
    claims: Claims, *, nonce: bytes | Waived | None, subject: str | Waived, audience: str | Waived
) -> None:
    received = claims.get("cnonce")
    if not isinstance(nonce, Waived) and not hmac.compare_digest(received or b"", nonce or b""):
        raise Rejected(
            "nonce_mismatch", "The token does not answer this holder's nonce.", rule="SD-CWT-08 §4.2"
        )
    if not isinstance(subject, Waived) and claims.get("sub") != subject:
        raise Rejected("subject_mismatch", "The token is about another subject.", rule="SD-CWT-08 §4.2")
    if not isinstance(audience, Waived) and "aud" in claims:
        named = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if audience not in named:
            raise Rejected("audience_mismatch", "The token is for another audience.", rule="SD-CWT-08 §4.2")


def _check_clear(opened: OpenToken, allowed: Collection[str]) -> None:
    labels = {whole_claim(resolve(paths.parse(text))) for text in allowed}
    expected = _REGISTERED | opened.profile.own_claims | {opened.profile.marker}
    for key in opened.clear:
        if key not in labels and key not in expected:
            raise Rejected(
                "claim_in_clear", "A claim stands in clear that should not.", rule="SD-CWT-08 §4.2"
            )


_REGISTERED = frozenset(CLAIM_NAMES)
