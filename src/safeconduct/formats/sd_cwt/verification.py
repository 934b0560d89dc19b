"""Verification of a presentation, step by step as SD-CWT-08 §9 numbers them."""

import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import cbor
from safeconduct.envelope import cose
from safeconduct.errors import Malformed, Rejected
from safeconduct.formats.redaction import Disclosure
from safeconduct.formats.sd_cwt import encrypted, token, values
from safeconduct.formats.sd_cwt.claims import Claims
from safeconduct.formats.sd_cwt.confirmation import confirmed_key
from safeconduct.formats.sd_cwt.labels import AUD, CLAIM_NAMES, CNF, CNONCE, IAT, ISS, STATUS, SUB, VCT
from safeconduct.formats.sd_cwt.parsing import Parsed, parse
from safeconduct.formats.sd_cwt.token import OpenToken
from safeconduct.status.token_list import CredentialStatus, Owner, TokenStatusLists
from safeconduct.status.token_list.checking import check
from safeconduct.trust import WAIVED, Policy, Trust


class VerifiedPresentation(msgspec.Struct, frozen=True):
    """A presentation that passed every check; only `verify` makes one.

    claims: the Validated Disclosed Claims Set. key_binding: the claims of the key binding token.
    issuer: as the token names it. holder: the key that signed. issuer_key: None if its check was waived.
    profile: name of the wire profile. withheld: digests that nothing answered, decoys among them.
    status: what is known of its revocation, None if the credential has no status.
    """

    claims: Claims
    key_binding: Claims
    issuer: str
    holder: PublicKey
    issuer_key: PublicKey | None
    profile: str
    withheld: int
    status: CredentialStatus | None


def verify(
    data: bytes | Parsed,
    *,
    trust: Trust,
    policy: Policy,
    now: int,
    status_lists: TokenStatusLists | None = None,
) -> VerifiedPresentation:
    """Check a presentation wholly and return its claims, or raise.

    data: the presentation, as bytes or as `parse` returned it. now: seconds since 1970. status_lists: what
    `Parsed.needs` asked for; without any, the policy says whether a credential with a status passes.
    Raises SafeconductError; docs/rules/sd-cwt.md lists each code with its clause.
    Source: SD-CWT-08 §9, which leaves the order of the steps open.
    """
    # Step 1: open the key binding token and find the SD-CWT.
    presented = _parsed(data, policy)
    sd_cwt, binding = presented.token, presented.binding
    entries = _entries(presented, policy)
    # Step 3: the times of the SD-CWT agree with one another and with the clock.
    values.check_order(sd_cwt.clear)
    values.check_clock(sd_cwt.clear, now=now, leeway=policy.leeway)
    # Step 4: the key that it confirms.
    holder = confirmed_key(sd_cwt.clear[CNF], policy.holder_keys)
    # Steps 2 and 5: a trusted issuer signed the SD-CWT, that key the key binding token. The two checks stand
    # together because what runs between them runs slowly: they leave nothing of ours in the caches.
    _check_binding_headers(presented)
    issuer_key = token.check_signature(sd_cwt, trust=trust, algorithms=policy.algorithms)
    cose.verify(binding, key=holder, accept=policy.algorithms)
    key_binding = _binding_claims(presented)
    # Step 6: the nonce.
    _check_nonce(key_binding, policy)
    # Step 7: the times of both.
    values.check_binding_order(key_binding, sd_cwt.clear)
    _check_binding_clock(key_binding, policy, now)
    # Step 8: the disclosures.
    more = _open(entries, sd_cwt, policy) if entries else ()
    revealed = token.reveal_token(sd_cwt, more)
    # Step 9: both audiences.
    _check_audiences(sd_cwt.clear, key_binding, policy)
    # Steps 10 and 11: what is left is the claim set; the verifier's own demands.
    claims = token.merged(revealed.trees, presented.profile)
    _check_demands(claims, sd_cwt.disclosures, more, policy)
    # The status comes last: only of a credential that is good otherwise (Token Status List §8.3).
    status = None
    if STATUS in claims:
        owner, claim = Owner(sd_cwt.issuer, issuer_key), claims[STATUS]
        status = check(claim, lists=status_lists, owner=owner, trust=trust, policy=policy, now=now)
    return VerifiedPresentation(
        claims=Claims(claims),
        key_binding=Claims(key_binding),
        issuer=sd_cwt.issuer,
        holder=holder,
        issuer_key=issuer_key,
        profile=presented.profile.name,
        withheld=revealed.withheld,
        status=status,
    )


def _entries(presented: Parsed, policy: Policy) -> tuple[encrypted.Entry, ...]:
    if presented.profile.binding == "inside":
        return ()  # that key binding does not cover them: whoever forwards a presentation could add some
    message = presented.token.message
    old_nonces = "aead-nonce-16" in policy.accept
    return encrypted.read(message.unprotected, message.protected, old_nonces=old_nonces)


def _open(entries: tuple[encrypted.Entry, ...], sd_cwt: OpenToken, policy: Policy) -> tuple[Disclosure, ...]:
    number = encrypted.algorithm(sd_cwt.message.protected)
    return encrypted.open_entries(entries, keys=policy.aead_keys, number=number, codec=sd_cwt.codec)


def _parsed(data: bytes | Parsed, policy: Policy) -> Parsed:
    if isinstance(data, bytes):
        return parse(data, profiles=policy.profiles, accept=policy.accept)
    names = {profile if isinstance(profile, str) else profile.name for profile in policy.profiles}
    if data.profile.name not in names or not data.accept <= policy.accept:
        raise Rejected("profile_not_accepted", "The presentation was parsed under other rules.")
    return data


def _check_binding_headers(presented: Parsed) -> None:
    binding, profile = presented.binding, presented.profile
    typ = binding.protected.get(cose.TYP)
    if type(typ) not in (int, str) or typ not in profile.kbt_typ_read:
        raise Rejected("kbt_typ", "The key binding token is not typed as one.", rule="SD-CWT-08 §8.1")
    if cose.CWT_CLAIMS in binding.protected or cose.CWT_CLAIMS in binding.unprotected:
        raise Rejected(
            "kbt_cwt_claims", "The key binding token has a CWT Claims header.", rule="SD-CWT-08 §5.3"
        )
    values.check_safe_map(binding.protected, apart_from=(cose.KCWT,))
    values.check_safe_map(binding.unprotected)


def _binding_claims(presented: Parsed) -> dict[Any, Any]:
    claims = cbor.loads(presented.binding.payload)
    if type(claims) is not dict:
        raise Malformed("claims_not_map", "The key binding claims are not a map.", rule="RFC 8392 §7.2")
    values.check_safe_map(claims)
    _take_sd_hash(claims, presented)
    values.check_registered(claims)
    for label in (ISS, SUB):
        if label in claims:
            raise Rejected(
                "kbt_claim_forbidden",
                f"The key binding token has {CLAIM_NAMES[label]}.",
                rule="SD-CWT-08 §8.1",
            )
    missing = presented.profile.kbt_required - claims.keys()
    if missing:
        name = CLAIM_NAMES[min(missing)]
        raise Rejected("kbt_claim_missing", f"The key binding token lacks {name}.", rule="SD-CWT-08 §8.1")
    return claims


def _take_sd_hash(claims: dict[Any, Any], presented: Parsed) -> None:
    """Check and remove `sd_hash`, which binds the disclosures where the key binding stands beside them.

    It serves the format, and its number may be that of another registered claim.
    """
    label = presented.profile.sd_hash
    if label is None:
        return
    expected = presented.token.codec.hash(presented.shown)
    received = claims.pop(label, None)
    if type(received) is not bytes or not hmac.compare_digest(received, expected):
        raise Rejected(
            "sd_hash_mismatch", "sd_hash is not the hash of the shown disclosures.", rule="seed §5"
        )


def _check_nonce(key_binding: Mapping[Any, Any], policy: Policy) -> None:
    received, expected = key_binding.get(CNONCE), policy.nonce
    if expected is WAIVED:
        return
    if isinstance(expected, bytes):
        if received is None:
            raise Rejected("nonce_missing", "The key binding has no nonce.", rule="SD-CWT-08 §9 step 6")
        fits = hmac.compare_digest(received, expected)
    else:
        assert callable(expected)
        fits = expected(received)
    if not fits:
        raise Rejected(
            "nonce_mismatch", "The nonce is not the one that was asked for.", rule="SD-CWT-08 §9 step 6"
        )


def _check_binding_clock(key_binding: Mapping[Any, Any], policy: Policy, now: int) -> None:
    values.check_clock(key_binding, now=now, leeway=policy.leeway)
    iat = key_binding.get(IAT)
    if iat is None:
        if policy.max_age is not None:
            raise Rejected("kbt_too_old", "The key binding does not say when it was made.")
        return
    if iat > now + policy.leeway:
        raise Rejected("kbt_from_future", "The key binding is dated in the future.")
    if policy.max_age is not None and iat < now - policy.max_age - policy.leeway:
        raise Rejected("kbt_too_old", "The key binding is older than the policy allows.")


def _check_audiences(claims: Mapping[Any, Any], key_binding: Mapping[Any, Any], policy: Policy) -> None:
    if policy.audience is WAIVED:
        return
    for part, code in ((claims, "audience_mismatch"), (key_binding, "kbt_audience_mismatch")):
        if AUD in part and not _meant_for(part[AUD], policy.audiences):
            raise Rejected(code, "The token is meant for another audience.", rule="SD-CWT-08 §9 step 9")


def _meant_for(audience: Any, mine: tuple[str, ...]) -> bool:
    return audience in mine if isinstance(audience, str) else not {*audience}.isdisjoint(mine)


def _check_demands(
    claims: Mapping[Any, Any], shown: tuple[Disclosure, ...], opened: tuple[Disclosure, ...], policy: Policy
) -> None:
    if policy.require_disclosure and all(disclosure.kind == "decoy" for disclosure in (*shown, *opened)):
        raise Rejected("disclosure_required", "The policy demands at least one disclosure.")
    if policy.require_claims and not policy.require_claims <= Claims(claims).keys():
        raise Rejected("claim_missing", "A claim that the policy demands is not there.")
    if policy.types is not None and claims.get(VCT) not in policy.types:
        raise Rejected(
            "type_not_accepted", "The credential is not of an accepted type.", rule="SD-CWT-08 §15"
        )
