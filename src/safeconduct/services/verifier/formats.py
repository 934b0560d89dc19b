"""The formats that a verifier judges, by the media type of a presentation."""

from collections.abc import Callable, Collection, Mapping

from safeconduct.errors import Unsupported
from safeconduct.formats import sd_cwt, sd_jwt
from safeconduct.formats.presented import (
    NonceCheck,
    Shown,
    judge_delegation,
    judge_sd_cwt,
    judge_sd_jwt,
)
from safeconduct.formats.sd_jwt.delegation import MEDIA_TYPE, DelegationPolicy
from safeconduct.settings import VerifierSettings
from safeconduct.trust import WAIVED, Policy, Trust

Judge = Callable[[bytes, VerifierSettings, Trust, NonceCheck, int], Shown]
"""Verifies a presentation for the verifier of the settings; raises SafeconductErrors."""


def judges(profiles: Collection[str], *, delegated: bool) -> Mapping[str, Judge]:
    """Returns what judges presentations of each media type that is taken where these profiles are.

    delegated: whether SD-JWT VCs that holders passed on are taken. Raises Unsupported "profile_unknown".
    """
    if set(profiles) - _CWT.keys() - sd_jwt.PROFILES.keys():
        known = ", ".join((*_CWT, *sd_jwt.PROFILES))
        raise Unsupported("profile_unknown", f"There are the profiles {known}, and no others.")
    found: dict[str, Judge] = {_CWT[name]: _sd_cwt for name in profiles if name in _CWT}
    if sd_jwt.PROFILES.keys() & set(profiles):
        found[SD_JWT] = _sd_jwt
    if delegated:
        found[MEDIA_TYPE] = _delegation
    return found


SD_JWT = "application/dc+sd-jwt"
"""Media type of an SD-JWT VC, presented or not (SD-JWT VC, Media Type Registration)."""

_CWT = {"ietf-08": "application/kb+cwt", "seed-2024": "application/sd+cwt"}
"""Media types of presented SD-CWTs (SD-CWT-08 §17); in the early draft, tokens carry their key binding."""


def _sd_cwt(
    presentation: bytes, settings: VerifierSettings, trust: Trust, nonce: NonceCheck, now: int
) -> Shown:
    policy = Policy(
        audience=settings.url,
        nonce=nonce,
        leeway=settings.clock_skew,
        profiles=tuple(name for name in settings.profiles if name in _CWT),
        status=WAIVED,  # nothing is fetched before the signatures are verified; then `Statuses` looks
        # The early draft's key binding covers the disclosures alone: without one it fits any credential.
        require_disclosure=sd_cwt.SEED_2024.name in settings.profiles,
    )
    return judge_sd_cwt(presentation, trust=trust, policy=policy, nonce=nonce, now=now)


def _sd_jwt(
    presentation: bytes, settings: VerifierSettings, trust: Trust, nonce: NonceCheck, now: int
) -> Shown:
    policy = Policy(
        audience=settings.url,
        nonce=nonce,
        leeway=settings.clock_skew,
        profiles=tuple(name for name in settings.profiles if name in sd_jwt.PROFILES),
        status=WAIVED,
    )
    return judge_sd_jwt(presentation, trust=trust, policy=policy, nonce=nonce, now=now)


def _delegation(
    presentation: bytes, settings: VerifierSettings, trust: Trust, nonce: NonceCheck, now: int
) -> Shown:
    policy = Policy(audience=settings.url, nonce=nonce, leeway=settings.clock_skew, status=WAIVED)
    taken = DelegationPolicy(depth=settings.delegation_depth, types=frozenset(settings.delegation_types))
    return judge_delegation(presentation, trust=trust, policy=policy, taken=taken, nonce=nonce, now=now)
