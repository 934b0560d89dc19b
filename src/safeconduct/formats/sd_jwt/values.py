"""Registered claims: their types, the order of times, the clock (RFC 7519 §4.1, SD-JWT VC)."""

from collections.abc import Mapping
from typing import Any

from safeconduct.errors import Malformed, Rejected
from safeconduct.status.token_list import StatusReference, read_reference


def check_registered(claims: Mapping[str, Any]) -> None:
    """Check the types of the registered claims in a claim set.

    Raises Malformed: claim_type. Source: RFC 7519 §4.1, RFC 7800 §3.1, SD-JWT VC (Registered JWT Claims).
    """
    for name in _TYPES.keys() & claims.keys():
        if type(claims[name]) not in _TYPES[name]:
            raise Malformed("claim_type", f"The claim {name} has the wrong type.", rule="RFC 7519 §4.1")
    audience = claims.get("aud")
    if type(audience) is list and not all(type(item) is str for item in audience):
        raise Malformed("claim_type", "The claim aud has the wrong type.", rule="RFC 7519 §4.1.3")


_TYPES: dict[str, tuple[type, ...]] = {
    "iss": (str,),
    "sub": (str,),
    "aud": (str, list),
    "exp": (int, float),
    "nbf": (int, float),
    "iat": (int, float),
    "jti": (str,),
    "cnf": (dict,),
    "vct": (str,),
    "vct#integrity": (str,),
    "status": (dict,),
}

REGISTERED = frozenset(_TYPES)
"""Claims whose meaning is fixed; a holder expects them in the clear."""


def check_order(claims: Mapping[str, Any]) -> None:
    """Check that the validity does not end before it begins. Raises Rejected: jwt_times."""
    iat, nbf, exp = claims.get("iat"), claims.get("nbf"), claims.get("exp")
    if exp is not None and any(start is not None and start >= exp for start in (iat, nbf)):
        raise Rejected("jwt_times", "exp is not after iat and nbf.", rule="RFC 7519 §4.1.4")


def check_clock(claims: Mapping[str, Any], *, now: int, leeway: int) -> None:
    """Check exp, nbf and iat against the time.

    now, leeway: seconds. Raises Rejected: expired, not_yet_valid, issued_in_future.
    Source: RFC 7519 §4.1.4 ("on or after"), §4.1.5; RFC 9901 §7.1 step 6.
    """
    exp, nbf, iat = claims.get("exp"), claims.get("nbf"), claims.get("iat")
    if exp is not None and now >= exp + leeway:
        raise Rejected("expired", "The token has expired.", rule="RFC 7519 §4.1.4")
    if nbf is not None and now < nbf - leeway:
        raise Rejected("not_yet_valid", "The token is not valid yet.", rule="RFC 7519 §4.1.5")
    if iat is not None and now < iat - leeway:
        raise Rejected("issued_in_future", "The token is dated in the future.", rule="RFC 7519 §4.1.6")


def status_reference(claims: Mapping[str, Any]) -> StatusReference | None:
    """Return the reference to a status list, None where the claims have none.

    Raises Malformed: status_malformed. Source: draft-ietf-oauth-status-list §6.2.
    """
    return read_reference(claims[STATUS]) if STATUS in claims else None


STATUS = "status"
