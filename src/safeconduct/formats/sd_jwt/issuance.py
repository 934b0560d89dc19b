"""Issuing an SD-JWT (RFC 9901 §4) or SD-JWT VC (draft-ietf-oauth-sd-jwt-vc §2)."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import json
from safeconduct.envelope import jws
from safeconduct.errors import Rejected
from safeconduct.formats.redaction import Decoys, Redacted, Salts, conceal, random_salts
from safeconduct.formats.sd_jwt import serialisation, values
from safeconduct.formats.sd_jwt.codec import CODECS, SD_ALG
from safeconduct.formats.sd_jwt.confirmation import confirmation_for
from safeconduct.formats.sd_jwt.profile import SD_JWT_VC, Profile
from safeconduct.formats.sd_jwt.serialisation import Envelope, Form
from safeconduct.ids import Random


def issue(
    claims: Mapping[Any, Any],
    *,
    issuer: Signer,
    holder: PublicKey | None,
    now: int | None,
    kid: str | None = None,
    x5c: Sequence[str] = (),
    hash_name: str = "sha-256",
    typ: str | None = None,
    header: Mapping[str, Any] | None = None,
    profile: Profile = SD_JWT_VC,
    form: Form = "compact",
    random: Random = secrets.token_bytes,
    salts: Salts | None = None,
    digest_order: Callable[[list[Any]], list[Any]] = sorted,
) -> str:
    """Return an issued SD-JWT with all its disclosures: what the issuer hands to the holder.

    claims: JSON values; `redact` and `decoys` mark what may be withheld.
    holder: goes into `cnf` as a JWK; None if `claims` has a `cnf` of its own or no key is bound.
    now: becomes `iat` if the claims have none, None: no `iat` is added. kid: of the issuer's key.
    x5c: the certificate chain of the issuer's key, leaf first, in base64. hash_name: sha-256, sha-384 or
    sha-512. typ: a more specific media type. header: further header parameters. form: the serialisation.
    salts, digest_order: for reproducible tokens; by default salts are random and digests sorted.
    Raises Rejected: claim_missing, claim_not_redactable, claim_duplicate, claim_reserved, jwt_times;
    Malformed: claim_type, status_malformed, redaction_misplaced and the like of `conceal`.
    """
    if hash_name not in CODECS:
        raise ValueError(f"hash_name is one of {', '.join(CODECS)}")
    claim_set = _complete(claims, holder, now)
    _check_issuable(claim_set, profile)
    concealed = conceal(claim_set, CODECS[hash_name], salts=salts or random_salts(random), order=digest_order)
    members: dict[str, Any] = {"typ": profile.typ if typ is None else typ}
    if kid is not None:
        members["kid"] = kid
    if x5c:
        members["x5c"] = list(x5c)
    payload = json.dumps({**concealed.tree, SD_ALG: hash_name})
    jwt = jws.sign(payload, signer=issuer, header={**members, **(header or {})})
    # A decoy is a digest without a disclosure (RFC 9901 §4.2.5).
    carried = tuple([item.encoded for item in concealed.disclosures if item.kind != "decoy"])
    return serialisation.write(Envelope(form, (jwt,), ({},), carried, None), carried, None, form=form)


def _complete(claims: Mapping[Any, Any], holder: PublicKey | None, now: int | None) -> dict[Any, Any]:
    result = dict(claims)
    if holder is not None:
        if "cnf" in result:
            raise Rejected("claim_duplicate", "cnf is given both as a claim and as the holder's key.")
        result["cnf"] = confirmation_for(holder)
    if now is not None:
        result.setdefault("iat", now)
    return result


def _check_issuable(claims: Mapping[Any, Any], profile: Profile) -> None:
    for name in sorted(profile.never_issued_redacted & claims.keys()):
        if type(claims[name]) is Redacted or (name != "aud" and _is_marked(claims[name])):
            raise Rejected(
                "claim_not_redactable", f"The claim {name} may not be redacted.", rule="RFC 9901 §9.7"
            )
    if not profile.required <= claims.keys():
        missing = min(profile.required - claims.keys())
        raise Rejected(
            "claim_missing", f"The claim {missing} is missing.", rule="SD-JWT-VC, Registered JWT Claims"
        )
    plain = {name: _unmarked(claims[name]) for name in values.REGISTERED & claims.keys()}
    values.check_registered(plain)
    values.check_order(plain)
    values.status_reference(plain)


def _is_marked(value: Any) -> bool:
    """Tell whether a mark of the redaction engine stands anywhere in a value."""
    if isinstance(value, Mapping):
        return any(map(_is_marked, value)) or any(map(_is_marked, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_is_marked, value))
    return isinstance(value, Redacted | Decoys)


def _unmarked(value: Any) -> Any:
    """Return a registered claim as it will read with everything at the top of it disclosed."""
    if type(value) is Redacted:
        return _unmarked(value.value)
    if type(value) in (list, tuple):
        return [_unmarked(item) for item in value if type(item) is not Decoys]
    return value
