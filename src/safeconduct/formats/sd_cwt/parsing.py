"""Opening a presentation: which profile it is, and its two COSE_Sign1. Nothing is verified here."""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.encoding import cbor
from safeconduct.envelope import cose
from safeconduct.envelope.cose import Sign1
from safeconduct.errors import Malformed, Rejected
from safeconduct.formats.sd_cwt.labels import STATUS
from safeconduct.formats.sd_cwt.profile import IETF_08, SEED_2024, Profile, by_name, check_leniencies
from safeconduct.formats.sd_cwt.token import OpenToken, open_token
from safeconduct.status.token_list import StatusReference, read_reference


class Needs(msgspec.Struct, frozen=True):
    """The evidence that verification will want.

    issuer: whose key. kid: which one, None if the token does not say. status: where its status stands,
    None if it does not say so in clear.
    """

    issuer: str
    kid: bytes | None
    status: StatusReference | None


class Parsed(msgspec.Struct, frozen=True):
    """A presentation as received; it gives out no claims.

    token: the SD-CWT. binding: the key binding token. shown: the exact bytes of the `sd_claims` value.
    """

    profile: Profile
    accept: frozenset[str]
    token: OpenToken
    binding: Sign1
    shown: bytes

    def needs(self) -> Needs:
        """Tell which evidence `verify` will look for. Raises Malformed: status_malformed."""
        kid, clear = self.token.message.protected.get(cose.KID), self.token.clear
        status = read_reference(clear[STATUS]) if STATUS in clear else None
        return Needs(self.token.issuer, kid if type(kid) is bytes else None, status)

    def __repr__(self) -> str:
        return f"<Parsed {self.profile.name} presentation>"


def parse(
    data: bytes, *, profiles: Iterable[str | Profile] = (IETF_08,), accept: Collection[str] = frozenset()
) -> Parsed:
    """Open a presentation of one of the accepted profiles.

    data: at most `limits.TOKEN_BYTES`. profiles: what the caller pins; structure picks among these and no
    failure makes another one tried. accept: names of leniencies.
    Raises Rejected: key_binding_missing, profile_not_accepted; Malformed and Unsupported: as `open_token`,
    leniency_unknown, kcwt_malformed. Source: SD-CWT-08 §9 step 1.
    """
    allowed = [by_name(profile) if isinstance(profile, str) else profile for profile in profiles]
    leniencies = check_leniencies(accept)
    outer = cose.parse(data, max_bytes=limits.TOKEN_BYTES)
    if cose.KCWT in outer.protected:
        profile = _allowed(allowed, "outside")
        inner = _kcwt(outer.protected[cose.KCWT], leniencies)
        return Parsed(profile, leniencies, open_token(inner, profile, leniencies), outer, b"")
    profile = _profile_inside(outer, allowed)
    assert profile.sd_kbt is not None
    carried = outer.unprotected[profile.sd_kbt]
    if type(carried) is not bytes:
        raise Malformed("key_binding_malformed", "The key binding token is not a byte string.")
    token = open_token(outer, profile, leniencies)
    return Parsed(profile, leniencies, token, cose.parse(carried), _sd_claims_value(data, profile))


def _allowed(profiles: Iterable[Profile], binding: str) -> Profile:
    for profile in profiles:
        if profile.binding == binding:
            return profile
    raise Rejected("profile_not_accepted", "The presentation is of a profile that is not accepted here.")


def _profile_inside(outer: Sign1, allowed: Iterable[Profile]) -> Profile:
    """Pick the profile of a token that carries its key binding, or say what is missing."""
    inside = [profile for profile in allowed if profile.binding == "inside"]
    for profile in inside:
        if profile.sd_kbt in outer.unprotected:
            return profile
    typ = outer.protected.get(cose.TYP)
    if not inside and typ == SEED_2024.typ and SEED_2024.sd_kbt in outer.unprotected:
        raise Rejected("profile_not_accepted", "The presentation is of a profile that is not accepted here.")
    raise Rejected(
        "key_binding_missing",
        "An issued token, without key binding, is no presentation.",
        rule="SD-CWT-08 §8",
    )


def _kcwt(carried: Any, accept: Collection[str]) -> Sign1:
    if type(carried) is bytes and "kcwt-bstr" in accept:
        carried = cbor.loads(carried)
    if type(carried) is list and "kcwt-untagged" in accept:
        carried = cbor.Tag(cose.SIGN1_TAG, carried)
    if type(carried) is not cbor.Tag:
        raise Malformed("kcwt_malformed", "kcwt is not a tagged COSE_Sign1.", rule="SD-CWT-08 §8.1")
    return cose.from_item(carried)


def _sd_claims_value(data: bytes, profile: Profile) -> bytes:
    """Return the bytes of the `sd_claims` value as they stand in the header, b"" if it is absent."""
    array = cbor.children(data)[0][0]
    spans = cbor.children(data, cbor.children(data, array)[1][0])
    label = cbor.dumps(profile.sd_claims)
    for key, value in zip(spans[::2], spans[1::2], strict=True):
        if data[slice(*key)] == label:
            return data[slice(*value)]
    return b""
