"""Issuing an SD-CWT (SD-CWT-08 §4 to §6)."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import cbor
from safeconduct.envelope import cose
from safeconduct.errors import Rejected
from safeconduct.formats.redaction import Decoys, Redacted, Salts, conceal, random_salts, reveal
from safeconduct.formats.sd_cwt import codec, encrypted, values
from safeconduct.formats.sd_cwt.claims import with_labels
from safeconduct.formats.sd_cwt.confirmation import Confirmation, confirmation_for
from safeconduct.formats.sd_cwt.labels import (
    CLAIM_NAMES,
    CNF,
    CNONCE,
    IAT,
    NEVER_ISSUED_REDACTED,
    SD_AEAD,
)
from safeconduct.formats.sd_cwt.profile import HASH_IDS, IETF_08, Profile
from safeconduct.formats.sd_cwt.token import check_agreement
from safeconduct.ids import Random


def issue(
    claims: Mapping[Any, Any],
    *,
    issuer: Signer,
    holder: PublicKey | None,
    now: int | None,
    kid: bytes | None = None,
    nonce: bytes | None = None,
    confirmation: Confirmation = "cose-key",
    hash_name: str = "sha-256",
    aead: int | None = None,
    typ: int | str | None = None,
    header_claims: Mapping[Any, Any] | None = None,
    protected: Mapping[int | str, Any] | None = None,
    profile: Profile = IETF_08,
    random: Random = secrets.token_bytes,
    salts: Salts | None = None,
    digest_order: Callable[[list[Any]], list[Any]] = sorted,
) -> bytes:
    """Return an issued SD-CWT with all its disclosures: what the issuer hands to the holder.

    claims: by label or registered name; `redact` and `decoys` mark what may be withheld. `sub` must be there.
    holder: goes into `cnf`; None if `claims` has a `cnf` of its own. now: becomes `iat` if the claims have
    none, None: no `iat` is added. kid: of the issuer's key. nonce: the client's `cnonce`, if it sent one.
    confirmation: how `cnf` names the holder's key. hash_name: sha-256, sha-384, sha-512 or sha-512/256.
    aead: number of the algorithm for encrypted disclosures. typ: a more specific media type.
    header_claims: a second claim set for the CWT Claims header. protected: further protected headers.
    salts, digest_order: for reproducible tokens; by default salts are random and digests sorted.
    Raises Rejected: claim_missing, claim_not_redactable, claim_duplicate, claim_mismatch, cwt_times;
    Malformed: claim_*, sd_aead_malformed; Unsupported: sd_aead_forbidden.
    """
    claim_set = _complete(claims, holder, now, nonce, confirmation)
    second = with_labels(header_claims) if header_claims is not None else None
    _check_issuable(claim_set, second or {}, profile)
    if hash_name not in HASH_IDS:
        raise ValueError(f"hash_name is one of {', '.join(HASH_IDS)}")
    sd_alg = HASH_IDS[hash_name]
    token_codec = codec.for_profile(profile, sd_alg)
    if profile.sd_alg_place == "claim":
        claim_set[profile.sd_alg] = sd_alg
    salt = salts or random_salts(random)
    concealed = conceal(claim_set, token_codec, salts=salt, order=digest_order)
    disclosures = concealed.disclosures
    header: dict[int | str, Any] = {cose.TYP: profile.typ if typ is None else typ}
    if profile.sd_alg_place == "header":
        header[profile.sd_alg] = sd_alg
    if aead is not None:
        header[SD_AEAD] = aead
        encrypted.algorithm(header)
    if second is not None:
        in_header = conceal(second, token_codec, salts=salt, order=digest_order)
        header[cose.CWT_CLAIMS] = in_header.tree
        disclosures += in_header.disclosures
        whole = reveal((concealed.tree, in_header.tree), disclosures, token_codec)
        check_agreement(*whole.trees, hidden=False)
    if kid is not None:
        header[cose.KID] = kid
    header |= protected or {}
    carried = [disclosure.encoded for disclosure in disclosures]
    return cose.sign(
        cbor.dumps(concealed.tree),
        signer=issuer,
        protected=header,
        unprotected={profile.sd_claims: sd_claims_value(carried, profile)} if carried else {},
    )


def sd_claims_value(disclosures: list[bytes], profile: Profile) -> list[bytes] | bytes:
    """Return the value of the `sd_claims` header parameter in the form of the profile."""
    return disclosures if profile.claims_form == "array" else cbor.dumps(disclosures)


def _complete(
    claims: Mapping[Any, Any],
    holder: PublicKey | None,
    now: int | None,
    nonce: bytes | None,
    confirmation: Confirmation,
) -> dict[Any, Any]:
    result = with_labels(claims)
    _check_marks(result)
    if holder is not None:
        if CNF in result:
            raise Rejected("claim_duplicate", "cnf is given both as a claim and as the holder's key.")
        result[CNF] = confirmation_for(holder, confirmation)
    if now is not None:
        result.setdefault(IAT, now)
    if nonce is not None:
        result[CNONCE] = nonce
    return result


def _check_issuable(claims: Mapping[Any, Any], header_claims: Mapping[Any, Any], profile: Profile) -> None:
    _check_marks(header_claims)
    together = {**header_claims, **claims}
    missing = profile.required - together.keys()
    if missing:
        name = CLAIM_NAMES[min(missing)]
        raise Rejected("claim_missing", f"The claim {name} is missing.", rule="SD-CWT-08 §4")
    registered = together.keys() & CLAIM_NAMES.keys()
    clear = {label: together[label] for label in registered if type(together[label]) is not Redacted}
    values.check_registered(clear)
    values.check_order(clear)
    marker = profile.marker
    if marker in together and any(type(key) is type(marker) and key == marker for key in together):
        raise Rejected("claim_reserved", "A claim has the key under which redacted claims stand.")


def _check_marks(claims: Mapping[Any, Any]) -> None:
    for label in claims.keys() & NEVER_ISSUED_REDACTED:
        if _is_marked(claims[label]):
            name = CLAIM_NAMES[label]
            raise Rejected(
                "claim_not_redactable", f"The claim {name} may not be redacted.", rule="SD-CWT-08 §4"
            )


def _is_marked(value: Any) -> bool:
    """Tell whether a mark of the redaction engine stands anywhere in a value."""
    if type(value) in (int, str, bytes):
        return False
    if isinstance(value, Mapping):
        return any(map(_is_marked, value)) or any(map(_is_marked, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_is_marked, value))
    return isinstance(value, Redacted | Decoys)
