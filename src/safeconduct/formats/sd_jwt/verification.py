"""Verification of a presentation, step by step as RFC 9901 §7.1 and §7.3 number them."""

import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.x509 import Certificate
from safeconduct.encoding import json
from safeconduct.envelope import jws
from safeconduct.envelope.jws import ParsedJws
from safeconduct.errors import Malformed, Rejected
from safeconduct.formats.redaction import Path
from safeconduct.formats.sd_jwt import serialisation, token, values
from safeconduct.formats.sd_jwt.claims import Claims
from safeconduct.formats.sd_jwt.confirmation import confirmed_key
from safeconduct.formats.sd_jwt.parsing import Parsed, parse
from safeconduct.formats.sd_jwt.profile import wanted
from safeconduct.formats.sd_jwt.token import OpenToken
from safeconduct.status.token_list import CredentialStatus, Owner, TokenStatusLists
from safeconduct.status.token_list.checking import check
from safeconduct.trust import WAIVED, Policy, Trust

KB_TYP = "kb+jwt"
_STEP_5 = "RFC 9901 §7.3 step 5"


class VerifiedPresentation(msgspec.Struct, frozen=True):
    """A presentation that passed every check; only `verify` makes one.

    claims: the Processed SD-JWT Payload. key_binding: the claims of the KB-JWT, None if there was none and
    the policy waived it. issuer: as the token names it. holder: the key that signed the KB-JWT.
    issuer_key: None if its check was waived. issuer_certificate: of that key, where it was believed for its
    `x5c`; if `issuer` is None, it alone says who that is. profile: its name. withheld: digests that nothing
    answered. status: what is known of its revocation, None if the credential has no status.
    """

    claims: Claims
    key_binding: Claims | None
    issuer: str | None
    holder: PublicKey | None
    issuer_key: PublicKey | None
    issuer_certificate: Certificate | None
    profile: str
    withheld: int
    status: CredentialStatus | None
    opened: OpenToken

    def disclosed_paths(self) -> tuple[Path, ...]:
        """Return where each disclosure stands in the claims."""
        return tuple(item.path for item in token.reveal_token(self.opened, locate=True).located)

    def __repr__(self) -> str:
        return f"<VerifiedPresentation {self.profile}: {len(self.claims)} claims>"


def verify(
    data: str | bytes | Parsed,
    *,
    trust: Trust,
    policy: Policy,
    now: int,
    status_lists: TokenStatusLists | None = None,
) -> VerifiedPresentation:
    """Check a presentation wholly and return its claims, or raise.

    data: the presentation, as text or as `parse` returned it. now: seconds since 1970. status_lists: what
    `Parsed.needs` asked for; without any, the policy says whether a credential with a status passes.
    Raises SafeconductError; docs/rules/sd-jwt.md lists each code with its clause.
    Source: RFC 9901 §7.1, §7.3; draft SD-JWT VC, Verification and Processing.
    """
    # §7.3 steps 1 and 2: the policy alone decides whether key binding is demanded.
    presented = _parsed(data, policy)
    sd_jwt, binding = presented.token, presented.binding
    if binding is None and policy.key_binding is not WAIVED:
        raise Rejected(
            "key_binding_missing", "The presentation has no key binding.", rule="RFC 9901 §7.3 step 2"
        )
    # §7.1 step 2: a trusted issuer signed it.
    signatory = token.check_signature(sd_jwt, trust=trust, algorithms=policy.algorithms, now=now)
    # §7.1 steps 3 to 5: the disclosures.
    revealed = token.reveal_token(sd_jwt)
    claims = revealed.trees[0]
    # §7.1 step 6: validity, with everything disclosed in place.
    values.check_order(claims)
    values.check_clock(claims, now=now, leeway=policy.leeway)
    _check_audience(claims, policy)
    values.status_reference(claims)
    # §7.3 step 5: the key binding; one that was not demanded but is there must be right, too.
    holder, key_binding = None, None
    if binding is not None:
        holder = _holder(claims, policy)
        key_binding = _check_binding(presented, binding, holder, policy, now)
    _check_demands(claims, sd_jwt, policy)
    # The status comes last: only of a credential that is good otherwise (Token Status List §8.3).
    issuer = claims.get("iss")
    key, certificate = (None, None) if signatory is None else (signatory.key, signatory.certificate)
    status = None
    if values.STATUS in claims:
        owner, claim = Owner(issuer, key, certificate), claims[values.STATUS]
        status = check(claim, lists=status_lists, owner=owner, trust=trust, policy=policy, now=now)
    return VerifiedPresentation(
        claims=Claims(claims),
        key_binding=None if key_binding is None else Claims(key_binding),
        issuer=issuer,
        holder=holder,
        issuer_key=key,
        issuer_certificate=certificate,
        profile=presented.profile.name,
        withheld=revealed.withheld,
        status=status,
        opened=sd_jwt,
    )


def _parsed(data: str | bytes | Parsed, policy: Policy) -> Parsed:
    if not isinstance(data, Parsed):
        return parse(data, profiles=policy.profiles, accept=policy.accept)
    if data.profile not in wanted(policy.profiles) or not data.accept <= policy.accept:
        raise Rejected("profile_not_accepted", "The presentation was parsed under other rules.")
    return data


def _holder(claims: Mapping[str, Any], policy: Policy) -> PublicKey:
    if "cnf" not in claims:
        raise Rejected("cnf_missing", "The token confirms no holder's key.", rule="RFC 9901 §7.3 step 5.1")
    return confirmed_key(claims["cnf"], policy.holder_keys)


def _check_binding(
    presented: Parsed, binding: ParsedJws, holder: PublicKey, policy: Policy, now: int
) -> dict[str, Any]:
    """Check the KB-JWT (§7.3 steps 5.2 to 5.8) and return its claims."""
    typ = binding.header.get("typ")
    if type(typ) is not str or not typ.isascii() or typ.lower() not in _KB_TYPES:
        raise Rejected("kbt_typ", "The key binding is not typed as one.", rule=f"{_STEP_5}.4")
    jws.verify(binding, key=holder, algorithms=token.jose_names(policy.algorithms), typ=None)
    claims = _binding_claims(binding)
    _take_sd_hash(claims, presented.token)
    _check_binding_clock(claims, policy, now)
    _check_nonce(claims["nonce"], policy)
    if policy.audience is not WAIVED and claims["aud"] not in policy.audiences:
        raise Rejected(
            "kbt_audience_mismatch", "The key binding is meant for another audience.", rule=f"{_STEP_5}.6"
        )
    return claims


_KB_TYPES = frozenset({KB_TYP, f"application/{KB_TYP}"})


def _binding_claims(binding: ParsedJws) -> dict[str, Any]:
    claims = json.loads(binding.payload)
    if type(claims) is not dict:
        raise Malformed(
            "claims_not_object", "The key binding claims are not an object.", rule="RFC 7519 §7.2"
        )
    for name, types in _REQUIRED.items():
        if name not in claims:
            raise Rejected("kbt_claim_missing", f"The key binding lacks {name}.", rule="RFC 9901 §4.3")
        if type(claims[name]) not in types:
            raise Malformed("claim_type", f"The claim {name} has the wrong type.", rule="RFC 9901 §4.3")
    values.check_registered(claims)
    return claims


_REQUIRED: Mapping[str, tuple[type, ...]] = {
    "iat": (int, float),
    "aud": (str,),
    "nonce": (str,),
    "sd_hash": (str,),
}


def _check_binding_clock(claims: Mapping[str, Any], policy: Policy, now: int) -> None:
    iat = claims["iat"]
    if iat > now + policy.leeway:
        raise Rejected("kbt_from_future", "The key binding is dated in the future.", rule=f"{_STEP_5}.5")
    if policy.max_age is not None and iat < now - policy.max_age - policy.leeway:
        raise Rejected("kbt_too_old", "The key binding is older than the policy allows.", rule=f"{_STEP_5}.5")
    values.check_order(claims)
    values.check_clock(claims, now=now, leeway=policy.leeway)


def _check_nonce(received: str, policy: Policy) -> None:
    expected = policy.nonce
    if expected is WAIVED:
        return
    if isinstance(expected, str | bytes):
        wire = expected.encode() if isinstance(expected, str) else expected
        fits = hmac.compare_digest(received.encode(), wire)
    else:
        assert callable(expected)
        fits = expected(received)
    if not fits:
        raise Rejected("nonce_mismatch", "The nonce is not the one that was asked for.", rule=f"{_STEP_5}.6")


def _take_sd_hash(claims: dict[str, Any], sd_jwt: OpenToken) -> None:
    """Check and remove `sd_hash`, which serves the format and tells the application nothing."""
    received: str = claims.pop("sd_hash")
    covered = serialisation.covered(sd_jwt.envelope, sd_jwt.envelope.disclosures)
    expected = sd_jwt.codec.digest(covered)
    if not hmac.compare_digest(received.encode(), expected.encode()):
        raise Rejected("sd_hash_mismatch", "sd_hash is not the hash of what is shown.", rule=f"{_STEP_5}.7")


def _check_audience(claims: Mapping[str, Any], policy: Policy) -> None:
    if policy.audience is WAIVED or "aud" not in claims:
        return
    named = {claims["aud"]} if isinstance(claims["aud"], str) else {*claims["aud"]}
    if named.isdisjoint(policy.audiences):
        raise Rejected(
            "audience_mismatch", "The token is meant for another audience.", rule="RFC 9901 §7.1 step 6"
        )


def _check_demands(claims: Mapping[str, Any], sd_jwt: OpenToken, policy: Policy) -> None:
    if not policy.require_claims <= claims.keys():
        raise Rejected(
            "claim_missing", "A claim that the policy demands is not there.", rule="RFC 9901 §7.1 step 6"
        )
    if policy.require_disclosure and not sd_jwt.disclosures:
        raise Rejected("disclosure_required", "The policy demands at least one disclosure.")
    if policy.types is not None and claims.get("vct") not in policy.types:
        raise Rejected(
            "type_not_accepted",
            "The credential is not of an accepted type.",
            rule="SD-JWT-VC, Registered JWT Claims",
        )
