"""Profiles of SD-JWT as data: what a token is typed as, what it must hold and what may never be hidden.

`SD_JWT` is RFC 9901 by itself. `SD_JWT_VC` is draft-ietf-oauth-sd-jwt-vc on top of it.
"""

from collections.abc import Collection, Iterable

import msgspec

from safeconduct.errors import Unsupported

LENIENCIES = {
    "vc-sd-jwt": "typ is vc+sd-jwt (draft-ietf-oauth-sd-jwt-vc up to -05)",
    "typ-jwt": "typ is JWT, in an SD-JWT that is no credential",
}
"""Departures that a caller may accept by name; none is accepted by default."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of SD-JWT.

    typ: what issuers write into the header. typ_read: what is accepted there, in lower case, without
    "application/"; None stands for a header without `typ`. typ_suffix: an ending that is accepted as well.
    lenient_typ: types that a leniency admits, by its name.
    required: claims that the token must have. never_redacted: claims that no disclosure may reveal.
    never_issued_redacted: claims that `issue` refuses to make redactable.
    """

    name: str
    typ: str
    typ_read: frozenset[str | None]
    typ_suffix: str | None
    lenient_typ: dict[str, str]
    required: frozenset[str]
    never_redacted: frozenset[str]
    never_issued_redacted: frozenset[str]


SD_JWT = Profile(
    name="sd-jwt",
    typ="sd-jwt",
    typ_read=frozenset({None, "sd-jwt"}),
    typ_suffix="+sd-jwt",
    lenient_typ={"typ-jwt": "jwt"},
    required=frozenset(),
    # RFC 9901 §9.7: a verifier works as though any claim might be disclosed. Not so `iss`, by which the key
    # is found: revealed later, it could name another issuer than the one whose signature was checked.
    never_redacted=frozenset({"iss"}),
    # The same clause: nor what decides on validity, of which a withheld status is nowhere missed.
    never_issued_redacted=frozenset({"iss", "aud", "exp", "nbf", "cnf", "status"}),
)

_VC_NEVER_REDACTED = frozenset({"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"})

SD_JWT_VC = Profile(
    name="sd-jwt-vc",
    typ="dc+sd-jwt",
    typ_read=frozenset({"dc+sd-jwt"}),
    typ_suffix=None,
    lenient_typ={"vc-sd-jwt": "vc+sd-jwt"},
    required=frozenset({"vct"}),
    never_redacted=_VC_NEVER_REDACTED,
    never_issued_redacted=_VC_NEVER_REDACTED,
)

PROFILES = {profile.name: profile for profile in (SD_JWT_VC, SD_JWT)}

DEFAULT_PROFILES = (SD_JWT_VC, SD_JWT)
"""What is read unless a caller names profiles; the type in the header picks one of them."""


def wanted(profiles: Iterable[str | Profile]) -> tuple[Profile, ...]:
    """Return the profiles of this format among those that a caller accepts; all of them if it names none.

    A policy may name profiles of other formats beside them, or only such.
    """
    named = tuple(
        PROFILES[profile] if isinstance(profile, str) else profile
        for profile in profiles
        if isinstance(profile, Profile) or (isinstance(profile, str) and profile in PROFILES)
    )
    return named or DEFAULT_PROFILES


def check_leniencies(names: Collection[str]) -> frozenset[str]:
    """Return the names of leniencies. Raises Unsupported: leniency_unknown if one is none."""
    leniencies = frozenset(names)
    if leniencies and (unknown := leniencies - LENIENCIES.keys()):
        raise Unsupported("leniency_unknown", f"There are {len(unknown)} unknown leniencies asked for.")
    return leniencies
