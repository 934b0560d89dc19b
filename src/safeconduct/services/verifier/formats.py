"""The formats that a verifier judges, by the media type of a presentation."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Unsupported
from safeconduct.formats import sd_cwt, sd_jwt
from safeconduct.limits import NONCE_CHARS
from safeconduct.settings import VerifierSettings
from safeconduct.status.token_list import CredentialStatus, Owner
from safeconduct.trust import WAIVED, Policy, Trust

NonceCheck = Callable[[bytes | None], bool]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a presentation proved, as JSON values. issuer: as it names itself.

    status: None if the credential has none. owner: who may speak of it.
    """

    claims: dict[str, Any]
    key_binding: dict[str, Any]
    issuer: str
    status: CredentialStatus | None
    owner: Owner

    def __repr__(self) -> str:
        return "<Shown>"


Judge = Callable[[bytes, VerifierSettings, Trust, NonceCheck, int], Shown]
"""Verifies a presentation for the verifier of the settings; raises SafeconductErrors."""


def judges(profiles: Collection[str]) -> Mapping[str, Judge]:
    """Returns what judges presentations of each media type that is taken where these profiles are.

    Raises Unsupported "profile_unknown".
    """
    if set(profiles) - _CWT.keys() - sd_jwt.PROFILES.keys():
        known = ", ".join((*_CWT, *sd_jwt.PROFILES))
        raise Unsupported("profile_unknown", f"There are the profiles {known}, and no others.")
    found: dict[str, Judge] = {_CWT[name]: _sd_cwt for name in profiles if name in _CWT}
    if sd_jwt.PROFILES.keys() & set(profiles):
        found[SD_JWT] = _sd_jwt
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
    verified = sd_cwt.verify(presentation, trust=trust, policy=policy, now=now)
    return Shown(
        claims=verified.claims.to_json(),
        key_binding=verified.key_binding.to_json(),
        issuer=verified.issuer,
        status=verified.status,
        owner=Owner(verified.issuer, verified.issuer_key),
    )


def _sd_jwt(
    presentation: bytes, settings: VerifierSettings, trust: Trust, nonce: NonceCheck, now: int
) -> Shown:
    def fits(text: str | bytes | None) -> bool:
        return nonce(_nonce_bytes(text))

    policy = Policy(
        audience=settings.url,
        nonce=fits,
        leeway=settings.clock_skew,
        profiles=tuple(name for name in settings.profiles if name in sd_jwt.PROFILES),
        status=WAIVED,
    )
    verified = sd_jwt.verify(presentation, trust=trust, policy=policy, now=now)
    assert verified.key_binding is not None  # the policy demands it
    return Shown(
        claims=verified.claims.to_json(),
        key_binding=verified.key_binding.to_json(),
        issuer=verified.issuer or "",
        status=verified.status,
        owner=Owner(verified.issuer, verified.issuer_key, verified.issuer_certificate),
    )


def _nonce_bytes(text: str | bytes | None) -> bytes | None:
    """The nonce as it was made; one that is no base64url is none of ours."""
    if not isinstance(text, str):
        return text
    try:
        return b64.decode(text, max_bytes=NONCE_CHARS)
    except Malformed:
        return b""
