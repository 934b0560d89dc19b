"""What a health card says: its claims, read strictly, and the rules for each of them.

Source: SMART Health Cards Framework 1.4.0, "Protocol details", "Revocation".
"""

import math
from collections.abc import Mapping
from typing import Any, Final, TypeVar

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
    claims = json.loads(payload, max_bytes=limits.CARD_PAYLOAD_BYTES)
    if type(claims) is not dict:
        raise Malformed("claims_not_object", "The payload is not an object.", rule=_RULE)
    return read_claims(claims)


def read_claims(claims: dict[str, Any]) -> CardClaims:
    """Read the decoded payload of a card; raises as `open_claims`."""
    issuer = _member(claims, "iss", str)
    check_issuer_url(issuer)
    vc = _member(claims, "vc", dict)
    subject = _member(vc, "credentialSubject", dict)
    return CardClaims(
        issuer,
        _seconds(claims, "nbf"),
        _seconds(claims, "exp") if "exp" in claims else None,
        _types(vc),
        _member(subject, "fhirVersion", str),
        _member(subject, "fhirBundle", dict),
        # null is none: a widespread issuing library, kill-the-clipboard, writes it where there is none.
        None if vc.get("rid") is None else check_rid(vc["rid"]),
        claims,
    )


def check_rid(rid: object) -> str:
    """Return a revocation identifier if it is one: 1 to 24 characters of the base64url alphabet.

    Raises Malformed "card_rid_malformed". It need not be the base64url of anything.
    """
    if type(rid) is not str or not is_rid(rid):
        raise Malformed(
            "card_rid_malformed",
            "The revocation identifier is not of 1 to 24 base64url characters.",
            rule="SMART Health Cards 1.4.0, Revocation",
        )
    return rid


_T = TypeVar("_T")
_RULE = "SMART Health Cards 1.4.0, Protocol details"


def _types(vc: Mapping[str, Any]) -> tuple[str, ...]:
    types = _member(vc, "type", list)
    if not all(type(item) is str for item in types):
        raise _wrong_type("type")
    if CARD_TYPE not in types:
        raise Rejected("card_type_missing", "The credential is not typed as a health card.", rule=_RULE)
    return tuple(types)


def _seconds(claims: Mapping[str, Any], name: str) -> int | float:
    value = claims.get(name)
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value
    if name not in claims:
        raise _missing(name)
    raise _wrong_type(name)


def _member(members: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    value = members.get(name)
    if type(value) is kind:
        return value
    raise _wrong_type(name) if name in members else _missing(name)


def _missing(name: str) -> Rejected:
    return Rejected("claim_missing", f"The card lacks {name}.", rule=_RULE)


def _wrong_type(name: str) -> Malformed:
    return Malformed("claim_type", f"The claim {name} has the wrong type.", rule=_RULE)
