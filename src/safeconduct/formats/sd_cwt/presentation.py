"""Presenting a part of an issued token to one verifier (SD-CWT-08 §8, §11)."""

import secrets
from collections.abc import Collection, Mapping
from typing import Any

from safeconduct.crypto.signing import Signer
from safeconduct.encoding import cbor
from safeconduct.envelope import cose
from safeconduct.errors import Rejected, Unsupported
from safeconduct.formats import paths
from safeconduct.formats.sd_cwt import encrypted, values
from safeconduct.formats.sd_cwt.claims import resolve
from safeconduct.formats.sd_cwt.holding import Held, VerifiedIssued, open_held
from safeconduct.formats.sd_cwt.issuance import sd_claims_value
from safeconduct.formats.sd_cwt.labels import (
    AUD,
    CLAIM_NAMES,
    CNONCE,
    CTI,
    EXP,
    IAT,
    ISS,
    NBF,
    SD_AEAD_ENCRYPTED_CLAIMS,
    SUB,
)
from safeconduct.formats.sd_cwt.profile import IETF_08, Profile
from safeconduct.formats.sd_cwt.token import OpenToken
from safeconduct.formats.selection import Disclose, choose
from safeconduct.ids import Random
from safeconduct.trust import AeadKey


def present(
    token: bytes | VerifiedIssued,
    *,
    holder: Signer,
    disclose: Disclose,
    audience: str,
    nonce: bytes | None,
    now: int | None,
    cti: bytes | None = None,
    lifetime: int | None = None,
    not_before: int | None = None,
    extra: Mapping[Any, Any] | None = None,
    encrypt: Mapping[str, AeadKey] | None = None,
    kbt_header: Mapping[int | str, Any] | None = None,
    profile: Profile = IETF_08,
    accept: Collection[str] = frozenset(),
    random: Random = secrets.token_bytes,
) -> bytes:
    """Return a presentation of an issued token: the chosen disclosures under a key binding.

    token: the issued token, or what `check_issued` returned for it, which is opened once for all
    presentations.
    disclose: claim paths, each with everything inside it; or a function of path and value; or ALL. What
    contains a chosen claim is disclosed with it.
    audience, nonce: of the verifier; None: it gave no nonce. now: becomes `iat`; None for a holder without
    a clock, who gives a unique `cti`. lifetime: seconds until `exp`. extra: further key binding claims.
    encrypt: chosen paths whose disclosures only holders of the key may read.
    Raises Rejected: claim_not_found, kbt_iat_or_cti_missing, kbt_times, kbt_claim_forbidden,
    kbt_claim_missing, holder_key_mismatch, disclosure_missing; Unsupported: encryption_unsupported; and as
    `check_issued` for a token that is not well formed. The issuer's signature is not checked again.
    Source: SD-CWT-08 §8, §11.
    """
    if isinstance(token, VerifiedIssued):
        held = token.held
        if held.holder != holder.public:
            raise Rejected("holder_key_mismatch", "The token is bound to another key.", rule="SD-CWT-08 §8.1")
    else:
        held = open_held(token, holder.public, profile, accept)
    opened, profile = held.opened, held.opened.profile
    if encrypt and profile.binding == "inside":
        raise Unsupported(
            "encryption_unsupported", "The key binding of this profile covers no encrypted claim."
        )
    shown, entries = _shown(held, disclose, encrypt or {}, random)
    binding = _binding(audience, nonce, now, cti, lifetime, not_before, extra)
    if missing := profile.kbt_required - binding.keys():
        name = CLAIM_NAMES[min(missing)]
        raise Rejected("kbt_claim_missing", f"The key binding token lacks {name}.", rule="SD-CWT-08 §8.1")
    values.check_binding_order(binding, opened.clear)
    unprotected: dict[int | str, Any] = {}
    if shown:
        unprotected[profile.sd_claims] = sd_claims_value(shown, profile)
    if entries:
        unprotected[SD_AEAD_ENCRYPTED_CLAIMS] = entries
    if profile.binding == "inside":
        return _bind_inside(opened, unprotected, binding, holder, kbt_header)
    return _bind_outside(opened, unprotected, binding, holder, kbt_header)


def _shown(
    held: Held, disclose: Disclose, secret_paths: Mapping[str, AeadKey], random: Random
) -> tuple[list[bytes], list[list[Any]]]:
    """Return the encoded disclosures to show in clear, and the entries to show encrypted."""
    chosen = choose(disclose, held.located, held.trees, resolve=resolve)
    keys = _keys(held, chosen, secret_paths)
    shown, entries = [], []
    for item in held.opened.disclosures:
        if item.encoded in keys:
            number = encrypted.algorithm(held.opened.message.protected)
            entries.append(encrypted.seal(item, keys[item.encoded], number=number, random=random).item())
        elif item.encoded in chosen:
            shown.append(item.encoded)
    return shown, entries


def _keys(held: Held, chosen: set[bytes], secret_paths: Mapping[str, AeadKey]) -> dict[bytes, AeadKey]:
    keys: dict[bytes, AeadKey] = {}
    for text, key in secret_paths.items():
        path = resolve(paths.parse(text))
        inside = [item.disclosure.encoded for item in held.located if item.path[: len(path)] == path]
        if chosen.isdisjoint(inside):
            raise Rejected("claim_not_found", "A path to encrypt leads to no disclosed claim.")
        keys |= {encoded: key for encoded in inside if encoded in chosen}
    return keys


def _binding(
    audience: str,
    nonce: bytes | None,
    now: int | None,
    cti: bytes | None,
    lifetime: int | None,
    not_before: int | None,
    extra: Mapping[Any, Any] | None,
) -> dict[Any, Any]:
    claims: dict[Any, Any] = dict(extra or {})
    if ISS in claims or SUB in claims:
        raise Rejected("kbt_claim_forbidden", "A key binding has neither iss nor sub.", rule="SD-CWT-08 §8.1")
    claims[AUD] = audience
    optional = {
        CNONCE: nonce,
        IAT: now,
        CTI: cti,
        NBF: not_before,
        EXP: None if lifetime is None or now is None else now + lifetime,
    }
    claims |= {label: value for label, value in optional.items() if value is not None}
    values.check_safe_map(claims)
    return claims


def _bind_outside(
    opened: OpenToken,
    unprotected: Mapping[int | str, Any],
    binding: Mapping[Any, Any],
    holder: Signer,
    kbt_header: Mapping[int | str, Any] | None,
) -> bytes:
    message = opened.message
    rest = {
        label: value
        for label, value in message.unprotected.items()
        if label not in (opened.profile.sd_claims, SD_AEAD_ENCRYPTED_CLAIMS)
    }
    sd_cwt = cose.assemble(
        message.protected_bytes, {**rest, **unprotected}, message.payload, message.signature
    )
    header: dict[int | str, Any] = {cose.KCWT: cbor.Encoded(sd_cwt), cose.TYP: opened.profile.kbt_typ}
    return cose.sign(cbor.dumps(binding), signer=holder, protected={**header, **(kbt_header or {})})


def _bind_inside(
    opened: OpenToken,
    unprotected: dict[int | str, Any],
    binding: dict[Any, Any],
    holder: Signer,
    kbt_header: Mapping[int | str, Any] | None,
) -> bytes:
    profile, message = opened.profile, opened.message
    assert profile.sd_hash is not None and profile.sd_kbt is not None  # noqa: PT018
    carried = unprotected.get(profile.sd_claims)
    shown = b"" if carried is None else cbor.dumps(carried)
    binding[profile.sd_hash] = opened.codec.hash(shown)
    header = {cose.TYP: profile.kbt_typ, **(kbt_header or {})}
    unprotected[profile.sd_kbt] = cose.sign(cbor.dumps(binding), signer=holder, protected=header)
    return cose.assemble(message.protected_bytes, unprotected, message.payload, message.signature)
