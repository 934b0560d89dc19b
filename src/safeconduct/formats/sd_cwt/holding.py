"""The holder's side: checking what was issued, and presenting a part of it (SD-CWT-08 §4.2, §8)."""

import hmac
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, cast

import msgspec

from safeconduct.crypto.algorithms import ALGORITHMS
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import cbor
from safeconduct.envelope import cose
from safeconduct.errors import Rejected
from safeconduct.formats import paths
from safeconduct.formats.redaction import Located, Path
from safeconduct.formats.sd_cwt import encrypted, token, values
from safeconduct.formats.sd_cwt.claims import Claims, resolve
from safeconduct.formats.sd_cwt.confirmation import confirmed_key
from safeconduct.formats.sd_cwt.issuance import sd_claims_value
from safeconduct.formats.sd_cwt.labels import AUD, CNF, CNONCE, CTI, EXP, IAT, NBF, SD_AEAD_ENCRYPTED_CLAIMS
from safeconduct.formats.sd_cwt.profile import IETF_08, Profile
from safeconduct.formats.sd_cwt.token import OpenToken
from safeconduct.ids import Random
from safeconduct.trust import WAIVED, AeadKey, Trust, Waived

Choice = Callable[[Path, Any], bool]
"""Decides on a disclosure from its path and its value."""


_ANY_ALGORITHM = frozenset(algorithm.name for algorithm in ALGORITHMS)


class Everything:
    """The one value that stands for all disclosures."""

    def __repr__(self) -> str:
        return "ALL"


ALL = Everything()

Disclose = Iterable[str] | Choice | Everything


class VerifiedIssued(msgspec.Struct, frozen=True):
    """An issued token that the holder may keep; only `check_issued` makes one.

    claims: all of them, disclosed. redactable: the paths of what can be withheld. decoys: how many there are.
    """

    claims: Claims
    issuer: str
    issuer_key: PublicKey | None
    redactable: tuple[Path, ...]
    decoys: int


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
    opened = _open_issued(data, profile, accept)
    issuer_key = token.check_signature(opened, trust=trust, algorithms=algorithms)
    values.check_order(opened.clear)
    values.check_clock(opened.clear, now=now, leeway=leeway)
    if confirmed_key(opened.clear[CNF], (holder,)) != holder:
        raise Rejected("holder_key_mismatch", "The token is bound to another key.", rule="SD-CWT-08 §4.2")
    revealed = token.reveal_token(opened, locate=True)
    if revealed.withheld:
        raise Rejected("disclosure_missing", "A digest has no disclosure.", rule="SD-CWT-08 §4.2")
    claims = Claims(token.merged(revealed, profile))
    _check_expected(claims, nonce=nonce, subject=subject, audience=audience)
    if not isinstance(clear, Waived):
        _check_clear(opened, clear)
    found = len(opened.disclosures) - len(revealed.located)
    if found < decoys:
        raise Rejected(
            "too_few_decoys", "The token has fewer decoys than were asked for.", rule="SD-CWT-08 §10"
        )
    redactable = tuple(located.path for located in revealed.located)
    return VerifiedIssued(claims, opened.issuer, issuer_key, redactable, found)


def present(
    data: bytes,
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

    disclose: claim paths, each with everything inside it; or a function of path and value; or ALL. What
    contains a chosen claim is disclosed with it.
    audience, nonce: of the verifier; None: it gave no nonce. now: becomes `iat`; None for a holder without
    a clock, who gives a unique `cti`. lifetime: seconds until `exp`. extra: further key binding claims.
    encrypt: chosen paths whose disclosures only holders of the key may read.
    Raises Rejected: claim_not_found, kbt_iat_or_cti_missing, kbt_times, kbt_claim_forbidden,
    holder_key_mismatch, disclosure_missing, and as `check_issued` for a token that is not well formed. The
    issuer's signature is not checked again. Source: SD-CWT-08 §8, §11.
    """
    opened = _open_issued(data, profile, accept)
    if confirmed_key(opened.clear[CNF], (holder.public,)) != holder.public:
        raise Rejected("holder_key_mismatch", "The token is bound to another key.", rule="SD-CWT-08 §8.1")
    revealed = token.reveal_token(opened, locate=True)
    if revealed.withheld:
        raise Rejected("disclosure_missing", "A digest has no disclosure.", rule="SD-CWT-08 §4.2")
    secret_paths = encrypt or {}
    chosen = _choose(disclose, revealed.located, revealed.trees, secret_paths)
    shown = [item.encoded for item in opened.disclosures if chosen.get(item.encoded, _HIDDEN) is None]
    entries = [
        encrypted.seal(item, key, number=encrypted.algorithm(opened.message.protected), random=random).item()
        for item in opened.disclosures
        if (key := chosen.get(item.encoded)) is not None
    ]
    binding = _binding(audience, nonce, now, cti, lifetime, not_before, extra)
    values.check_binding_order(binding, opened.clear)
    unprotected: dict[int | str, Any] = {}
    if shown:
        unprotected[profile.sd_claims] = sd_claims_value(shown, profile)
    if entries:
        unprotected[SD_AEAD_ENCRYPTED_CLAIMS] = entries
    if profile.binding == "inside":
        return _bind_inside(opened, unprotected, binding, holder, kbt_header)
    return _bind_outside(opened, unprotected, binding, holder, kbt_header)


def _open_issued(data: bytes, profile: Profile, accept: Collection[str]) -> OpenToken:
    message = cose.parse(data)
    if cose.KCWT in message.protected or (
        profile.sd_kbt is not None and profile.sd_kbt in message.unprotected
    ):
        raise Rejected("key_binding_present", "An issued token carries no key binding.", rule="RFC 9901 §7.2")
    return token.open_token(message, profile, accept)


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
    labels = {resolve(paths.parse(text))[0] for text in allowed}
    for key in opened.clear:
        if key != opened.profile.marker and key not in labels and key not in _ALWAYS_CLEAR:
            raise Rejected(
                "claim_in_clear", "A claim stands in clear that should not.", rule="SD-CWT-08 §4.2"
            )


_HIDDEN = AeadKey(b"")
_ALWAYS_CLEAR = frozenset(range(1, 9)) | {11, 12, 39, 65535}


def _choose(
    disclose: Disclose,
    located: Iterable[Located],
    trees: Iterable[Mapping[Any, Any]],
    secret_paths: Mapping[str, AeadKey],
) -> dict[bytes, AeadKey | None]:
    """Return the encoded disclosures to show, with the key of those to encrypt."""
    located = tuple(located)
    chosen: dict[bytes, AeadKey | None] = {}
    secrets_by_path = {resolve(paths.parse(text)): key for text, key in secret_paths.items()}
    if isinstance(disclose, Everything):
        wanted: Choice = lambda _path, _value: True  # noqa: E731
    elif callable(disclose):
        wanted = disclose
    else:
        wanted = _by_paths({resolve(paths.parse(text)) for text in disclose}, located, trees)
    for item in located:
        if wanted(item.path, item.disclosure.value):
            for needed in (*item.outer, item.disclosure):
                chosen.setdefault(needed.encoded, None)
    for path, key in secrets_by_path.items():
        for item in located:
            if item.disclosure.encoded in chosen and item.path[: len(path)] == path:
                chosen[item.disclosure.encoded] = key
    return chosen


def _by_paths(wanted: set[Path], located: Iterable[Located], trees: Iterable[Mapping[Any, Any]]) -> Choice:
    places = {item.path for item in located}
    for path in wanted:
        redactable = any(place[: len(path)] == path for place in places)
        if not redactable and not any(_exists(path, tree) for tree in trees):
            raise Rejected("claim_not_found", "A claim path leads to no claim; inspect shows the paths.")
    return lambda path, _value: any(path[: len(prefix)] == prefix for prefix in wanted)


def _exists(path: Path, tree: Any) -> bool:
    for key in path:
        if isinstance(key, paths.Index):
            if not isinstance(tree, list) or key.position >= len(tree):
                return False
            tree = tree[key.position]
        elif isinstance(tree, dict) and key in tree:
            tree = tree[key]
        else:
            return False
    return True


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
    if claims.keys() & {1, 2}:
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
    values.check_safe(claims)
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
    return cose.sign(
        cbor.dumps(binding), signer=holder, protected=header | cast(dict[Any, Any], kbt_header or {})
    )


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
