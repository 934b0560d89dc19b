"""Wire profiles: everything in which two versions of SD-CWT differ, as data.

`IETF_08` is draft-ietf-spice-sd-cwt-08. `SEED_2024` is the early draft-prorock-spice-cose-sd-cwt with the
numbers that draft-ietf-spice-sd-cwt-00 published; they can be overridden with `msgspec.structs.replace`.
Its key binding covers only the shown disclosures: a presentation that shows none can be moved between
credentials of the same holder key, so the profile is off unless a caller asks for it.
"""

from collections.abc import Collection
from typing import Any, Literal

import msgspec

from safeconduct.encoding.cbor import Simple
from safeconduct.errors import Unsupported
from safeconduct.formats.sd_cwt import labels

LENIENCIES = {
    "raw-digest": "the digest is taken over the disclosure without its byte string head (Figure 8)",
    "kcwt-bstr": "kcwt holds the SD-CWT inside a byte string (drafts up to -03)",
    "kcwt-untagged": "kcwt holds the SD-CWT without its COSE_Sign1 tag",
    "old-media-types": "typ is application/sd+cwt (drafts up to -03)",
    "aead-nonce-16": "the nonce of an encrypted disclosure has 16 bytes (drafts -06 and -07)",
    "decoy-tag-61": "to-be-decoy is tag 61 before issuance (drafts -05 and -06)",
    "tag-58-on-value": "to-be-redacted stands round a map value before issuance (the interop claims)",
}
"""Departures from -08 that a caller may accept by name; none is accepted by default."""

HASHES = {-16: "sha256", -17: "sha512_256", -43: "sha384", -44: "sha512"}
"""`sd_alg` values and the names that `hashlib` has for them."""

HASH_IDS = {"sha-256": -16, "sha-512/256": -17, "sha-384": -43, "sha-512": -44}


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the wire format.

    marker: map key of redacted claim keys. element: how a redacted array element is written.
    order: of the parts of a disclosure. salt_bytes: least and most. digest_input: what is hashed.
    claims_form: how `sd_claims` is carried; "either" issues the first and reads both.
    binding: where the key binding token stands. sd_alg_place: protected header or claim.
    required: claims that an SD-CWT must have. kbt_required: those of the key binding token.
    """

    name: str
    marker: Any
    element: Literal["tag", "ellipsis"]
    order: Literal["value-key", "key-value"]
    salt_bytes: tuple[int, int]
    digest_input: Literal["wrapped", "raw"]
    claims_form: Literal["array", "bstr"]
    claims_forms_read: frozenset[str]
    binding: Literal["outside", "inside"]
    sd_alg_place: Literal["header", "claim"]
    sd_claims: int
    sd_alg: int
    sd_kbt: int | None = None
    sd_hash: int | None = None
    typ: int | str
    kbt_typ: int | str
    typ_read: frozenset[int | str]
    typ_suffix: str | None = None
    kbt_typ_read: frozenset[int | str]
    required: frozenset[int]
    kbt_required: frozenset[int]

    @property
    def own_claims(self) -> frozenset[int]:
        """Claims that serve the format and are not the subject's."""
        return frozenset({self.sd_alg}) if self.sd_alg_place == "claim" else frozenset()


IETF_08 = Profile(
    name="ietf-08",
    marker=Simple(labels.REDACTED_KEYS_SIMPLE),
    element="tag",
    order="value-key",
    salt_bytes=(16, 16),
    digest_input="wrapped",
    claims_form="array",
    claims_forms_read=frozenset({"array"}),
    binding="outside",
    sd_alg_place="header",
    sd_claims=labels.SD_CLAIMS,
    sd_alg=labels.SD_ALG,
    typ=293,
    kbt_typ=294,
    typ_read=frozenset({293, "application/sd-cwt", "sd-cwt"}),
    typ_suffix="+sd-cwt",
    kbt_typ_read=frozenset({294, "application/kb+cwt", "kb+cwt"}),
    required=frozenset({labels.ISS, labels.SUB, labels.CNF}),
    kbt_required=frozenset({labels.AUD}),
)

SEED_2024 = Profile(
    name="seed-2024",
    marker=13,
    element="ellipsis",
    order="key-value",
    salt_bytes=(8, 64),
    digest_input="raw",
    claims_form="bstr",
    claims_forms_read=frozenset({"array", "bstr"}),
    binding="inside",
    sd_alg_place="claim",
    sd_claims=17,
    sd_alg=12,
    sd_kbt=18,
    sd_hash=11,
    typ="application/sd+cwt",
    kbt_typ="application/kb+cwt",
    typ_read=frozenset({"application/sd+cwt"}),
    kbt_typ_read=frozenset({"application/kb+cwt"}),
    required=frozenset({labels.ISS, labels.SUB, labels.EXP, labels.IAT, labels.CNF}),
    kbt_required=frozenset({labels.CNONCE, labels.AUD, labels.IAT}),
)

PROFILES = {profile.name: profile for profile in (IETF_08, SEED_2024)}


def by_name(name: str) -> Profile:
    """Return a profile by its name. Raises Unsupported: profile_unknown."""
    try:
        return PROFILES[name]
    except KeyError:
        raise Unsupported("profile_unknown", f"The profiles are {', '.join(PROFILES)}.") from None


def check_leniencies(names: Collection[str]) -> frozenset[str]:
    """Return the names of leniencies. Raises Unsupported: leniency_unknown if one is none."""
    leniencies = frozenset(names)
    if leniencies and (unknown := leniencies - LENIENCIES.keys()):
        raise Unsupported("leniency_unknown", f"There are {len(unknown)} unknown leniencies asked for.")
    return leniencies
