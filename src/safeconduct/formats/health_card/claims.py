"""What a health card says: its claims, read strictly, and the rules for each of them.

Source: SMART Health Cards Framework 1.4.0, "Protocol details", "Revocation".
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected
from safeconduct.status.card_keys import check_issuer_url
from safeconduct.status.card_revocation.rids import is_rid

CARD_TYPE: Final = "https://smarthealth.cards#health-card"
"""The type that every card has; others may stand beside it."""

FHIR_VERSION: Final = "4.0.1"
"""The version of FHIR that cards are written in unless said."""


class CardClaims(msgspec.Struct, frozen=True):
    """The claims of a card. Whoever holds one from `open_claims` alone has verified nothing.

    issuer: an https URL. nbf: when it was issued, expires: after which it is not to be accepted, both in
    seconds since 1970, possibly with a fraction. types: of the credential. fhir_version, bundle: the data.
    rid: by which it may be revoked, None if it has none. payload: all of it, as decoded JSON.
    """

    issuer: str
    nbf: int | float
    expires: int | float | None
    types: tuple[str, ...]
    fhir_version: str
    bundle: dict[str, Any]
    rid: str | None
    payload: dict[str, Any]

    def __repr__(self) -> str:
        return "<CardClaims>"


def open_claims(payload: bytes) -> CardClaims:
    """Read the payload of a card, inflated.

    Raises Malformed: json_*, "claims_not_object", "claim_type", "card_rid_malformed"; Rejected:
    "claim_missing", "card_issuer_url", "card_type_missing".
    """
    claims = json.loads(payload, max_bytes=_MOST_BYTES, max_depth=_MOST_DEPTH)
    if type(claims) is not dict:
        raise Malformed("claims_not_object", "The payload is not an object.", rule=_RULE)
    return read_claims(claims)


def read_claims(claims: dict[str, Any]) -> CardClaims:
    """Read the payload of a card, decoded by `encoding.json`; raises as `open_claims`."""
    issuer, vc = claims.get("iss"), claims.get("vc")
    nbf: Any = claims.get("nbf")
    expires: Any = claims.get("exp")
    if type(issuer) is not str or type(nbf) not in _NUMBERS or type(vc) is not dict:
        raise _fault(claims, iss=(str,), nbf=_NUMBERS, vc=(dict,))
    if type(expires) not in _NUMBERS and "exp" in claims:
        raise _fault(claims, exp=_NUMBERS)
    types, subject, rid = vc.get("type"), vc.get("credentialSubject"), vc.get("rid")
    if type(types) is not list or type(subject) is not dict or not _ONLY_TEXT.issuperset(map(type, types)):
        raise _fault(vc, type=(list,), credentialSubject=(dict,))
    version, bundle = subject.get("fhirVersion"), subject.get("fhirBundle")
    if type(version) is not str or type(bundle) is not dict:
        raise _fault(subject, fhirVersion=(str,), fhirBundle=(dict,))
    _check_issuer(issuer)
    if CARD_TYPE not in types:
        raise Rejected("card_type_missing", "The credential is not typed as a health card.", rule=_RULE)
    # A null is none: kill-the-clipboard 1.1.0 writes it where a card has no rid.
    if rid is not None and not is_rid(rid):
        raise _no_rid()
    return CardClaims(issuer, nbf, expires, tuple(types), version, bundle, rid, claims)


def check_rid(rid: object) -> str:
    """Return a revocation identifier if it is one: 1 to 24 characters of the base64url alphabet.

    Raises Malformed "card_rid_malformed". It need not be the base64url of anything.
    """
    if not isinstance(rid, str) or not is_rid(rid):
        raise _no_rid()
    return rid


_MOST_BYTES, _MOST_DEPTH = limits.CARD_PAYLOAD_BYTES, limits.CARD_DEPTH
_NUMBERS = (int, float)
_ONLY_TEXT = frozenset({str})
_RULE = "SHC-1.4.0, Protocol details"

# One issuer's cards name it all alike. What is remembered is bounded in number, and in length by the check.
_check_issuer = lru_cache(maxsize=1024)(check_issuer_url)


def _fault(members: Mapping[str, Any], **wanted: tuple[type, ...]) -> Rejected | Malformed:
    """Return what is wrong with the first of the wanted members that is not there or of another type."""
    for name, kinds in wanted.items():
        if name not in members:
            return Rejected("claim_missing", f"The card lacks {name}.", rule=_RULE)
        if type(members[name]) not in kinds:
            return _wrong_type(name)
    return _wrong_type("type")


def _no_rid() -> Malformed:
    reason = "The revocation identifier is not of 1 to 24 base64url characters."
    return Malformed("card_rid_malformed", reason, rule="SHC-1.4.0, Revocation")


def _wrong_type(name: str) -> Malformed:
    return Malformed("claim_type", f"The claim {name} has the wrong type.", rule=_RULE)
