"""Which values may stand where: registered claims, headers, and the order of times (SD-CWT-08 §4, §5, §9)."""

from collections.abc import Collection, Mapping
from typing import Any

from safeconduct import limits
from safeconduct.encoding.cbor import Simple, Tag, undefined
from safeconduct.errors import Malformed, Rejected
from safeconduct.formats.sd_cwt import labels
from safeconduct.formats.sd_cwt.labels import AUD, CNF, CNONCE, CTI, EXP, IAT, ISS, NBF, SUB, VCT

Time = int | float

_LARGEST_FLOAT = 2.0**53
_SAFE_LEAVES = frozenset[type]({int, str, bytes, bool, float, type(None), type(undefined)})
_NOT_SAFE_TAGS = frozenset({labels.TO_BE_REDACTED_TAG, labels.REDACTED_ELEMENT_TAG, labels.TO_BE_DECOY_TAG})


def check_registered(claims: Mapping[Any, Any]) -> None:
    """Check the types of the registered claims in a claims map.

    Raises Malformed: claim_type, time_not_finite. Source: RFC 8392 §3.1, RFC 8747 §3.1, SD-CWT-08 §4, §5.2.
    """
    for label in _TYPES.keys() & claims.keys():
        value = claims[label]
        if type(value) not in _TYPES[label]:
            raise Malformed("claim_type", f"The claim {labels.CLAIM_NAMES[label]} has the wrong type.")
        if type(value) is float and not -_LARGEST_FLOAT <= value <= _LARGEST_FLOAT:
            raise Malformed("time_not_finite", "A time is not finite or too large.", rule="SD-CWT-08 §5.2")
    if type(claims.get(VCT)) is int and not 0 <= claims[VCT] <= 65535:
        raise Malformed("claim_type", "An integer vct is between 0 and 65535.", rule="SD-CWT-08 §15")
    if type(claims.get(AUD)) is list and not all(type(item) is str for item in claims[AUD]):
        raise Malformed("claim_type", "The claim aud has the wrong type.", rule="RFC 8392 §3.1.3")


_TYPES: dict[int, tuple[type, ...]] = {
    ISS: (str,),
    SUB: (str,),
    AUD: (str, list),
    EXP: (int, float),
    NBF: (int, float),
    IAT: (int, float),
    CTI: (bytes,),
    CNF: (dict,),
    VCT: (str, int),
    CNONCE: (bytes,),
}


REDACTABLE = frozenset(_TYPES) - labels.NEVER_REDACTED
"""The registered claims that a disclosure may reveal."""


def check_safe_map(entries: Mapping[Any, Any], *, apart_from: Collection[Any] = ()) -> None:
    """Check that a header or key binding claim set holds only what may stand there.

    apart_from: labels whose values are checked elsewhere.
    Raises Malformed: claim_key, claim_value, claim_too_deep. Source: SD-CWT-08 §5.3 (safe values).
    """
    for label, value in entries.items():
        if type(label) is not int:
            check_key(label)
        if type(value) not in _SAFE_LEAVES and label not in apart_from:
            _check_safe(value, 2)


def _check_safe(value: Any, depth: int) -> None:
    """depth: the level of what the value contains; a header parameter or claim is itself on level 1."""
    kind = type(value)
    if kind in _SAFE_LEAVES:
        return
    if depth > limits.CLAIM_DEPTH and (kind is Tag or (kind is not Simple and value)):
        raise Malformed("claim_too_deep", "A header or key binding claim is nested too deeply.")
    if kind is dict:
        for key, item in value.items():
            check_key(key)
            _check_safe(item, depth + 1)
    elif kind is list:
        for item in value:
            _check_safe(item, depth + 1)
    elif kind is Tag:
        if value.tag in _NOT_SAFE_TAGS:
            raise Malformed(
                "claim_value", "A redaction tag stands outside the claims.", rule="SD-CWT-08 §5.3"
            )
        _check_safe(value.value, depth + 1)
    elif kind is Simple and (value.value == labels.REDACTED_KEYS_SIMPLE or 24 <= value.value < 32):
        raise Malformed("claim_value", "A simple value stands where it may not.", rule="SD-CWT-08 §5.3")


def check_key(key: Any) -> None:
    """Check the type and length of a map key. Raises Malformed: claim_key. Source: SD-CWT-08 §5.3."""
    if type(key) is int:
        return
    if type(key) is not str:
        raise Malformed("claim_key", "A map key is neither integer nor text.", rule="SD-CWT-08 §5.3")
    if len(key) > limits.CLAIM_KEY_BYTES or len(key.encode()) > limits.CLAIM_KEY_BYTES:
        raise Malformed("claim_key", "A text key is longer than 255 bytes.", rule="SD-CWT-08 §5.3")


def check_order(claims: Mapping[Any, Any]) -> None:
    """Check the times of an SD-CWT against one another (SD-CWT-08 §9 step 3). Raises Rejected: cwt_times."""
    iat, nbf, exp = claims.get(IAT), claims.get(NBF), claims.get(EXP)
    if nbf is not None and iat is not None and nbf > iat:
        raise Rejected("cwt_times", "nbf is later than iat.", rule=_STEP_3)
    if nbf is not None and exp is not None and nbf >= exp:
        raise Rejected("cwt_times", "nbf is not before exp.", rule=_STEP_3)
    if iat is not None and exp is not None and iat >= exp:
        raise Rejected("cwt_times", "iat is not before exp.", rule=_STEP_3)


def check_binding_order(binding: Mapping[Any, Any], claims: Mapping[Any, Any]) -> None:
    """Check the times of a key binding token by themselves and against its SD-CWT.

    Raises Rejected: kbt_iat_or_cti_missing, kbt_times. Source: SD-CWT-08 §9 step 7.
    """
    iat, nbf, exp = binding.get(IAT), binding.get(NBF), binding.get(EXP)
    c_iat, c_nbf, c_exp = claims.get(IAT), claims.get(NBF), claims.get(EXP)
    if iat is None and CTI not in binding:
        raise Rejected("kbt_iat_or_cti_missing", "The key binding has neither iat nor cti.", rule=_STEP_7)
    if iat is None and (exp is not None or nbf is not None):
        raise Rejected("kbt_times", "The key binding has exp or nbf without iat.", rule=_STEP_7)
    if nbf is not None and iat is not None and nbf > iat:
        raise Rejected("kbt_times", "nbf of the key binding is later than its iat.", rule=_STEP_7)
    if exp is not None and iat is not None and iat >= exp:
        raise Rejected("kbt_times", "iat of the key binding is not before its exp.", rule=_STEP_7)
    if c_exp is not None:
        if exp is not None and exp > c_exp:
            raise Rejected("kbt_times", "The key binding outlives the SD-CWT.", rule=_STEP_7)
        if nbf is not None and nbf >= c_exp:
            raise Rejected(
                "kbt_times", "nbf of the key binding is not before the SD-CWT's exp.", rule=_STEP_7
            )
        if iat is not None and iat >= c_exp:
            raise Rejected(
                "kbt_times", "iat of the key binding is not before the SD-CWT's exp.", rule=_STEP_7
            )
    if c_nbf is not None:
        if nbf is not None and nbf < c_nbf:
            raise Rejected("kbt_times", "nbf of the key binding is before the SD-CWT's.", rule=_STEP_7)
        if iat is not None and iat < c_nbf:
            raise Rejected("kbt_times", "iat of the key binding is before the SD-CWT's nbf.", rule=_STEP_7)
    if c_iat is not None and iat is not None and iat < c_iat:
        raise Rejected("kbt_times", "iat of the key binding is before the SD-CWT's.", rule=_STEP_7)


def check_clock(claims: Mapping[Any, Any], *, now: int, leeway: int) -> None:
    """Check exp and nbf against the time.

    now, leeway: seconds. Raises Rejected: expired, not_yet_valid. Source: RFC 8392 §3.1.4, §3.1.5, §7.2.
    """
    exp, nbf = claims.get(EXP), claims.get(NBF)
    if exp is not None and now >= exp + leeway:
        raise Rejected("expired", "The token has expired.", rule="RFC 8392 §3.1.4")
    if nbf is not None and now < nbf - leeway:
        raise Rejected("not_yet_valid", "The token is not valid yet.", rule="RFC 8392 §3.1.5")


_STEP_3 = "SD-CWT-08 §9 step 3"
_STEP_7 = "SD-CWT-08 §9 step 7"
