"""Canonical JSON (RFC 8785): one text for each value, so that a hash of it is a hash of the value.

For values that `json.loads` has read. Numbers are doubles there, as ECMAScript has them, whatever digits they
were written with: 1.50 and 1.5 are one value, and so are integers beyond 2^53 with the same nearest double.
"""

import json
import math
from typing import Any


def dumps(value: Any) -> bytes:
    """Returns the canonical UTF-8 text of a JSON value.

    Raises ValueError for NaN, infinities and lone surrogates, TypeError for what is no JSON value.
    Source: RFC 8785 §3.2.
    """
    return _text(value).encode("utf-8")


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return _CONSTANTS[value]
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, (int, float)):
        return _number(float(value))
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, dict):
        members = sorted(value.items(), key=_units)
        return f"{{{','.join([f'{_string(name)}:{_text(member)}' for name, member in members])}}}"
    raise TypeError("canonical JSON holds JSON values only")


def _units(member: tuple[str, Any]) -> bytes:
    """RFC 8785 §3.2.3: names are ordered by their UTF-16 code units."""
    return member[0].encode("utf-16-be")


def _number(value: float) -> str:
    """RFC 8785 §3.2.2.3, which is ECMAScript's Number::toString: the shortest digits that give the double.

    Python finds the same digits and differs in where it turns to exponents.
    """
    if not math.isfinite(value):
        raise ValueError("canonical JSON has no NaN and no infinity")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{value!r}".lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    point = len(whole) - leading + int(exponent or 0)
    return sign + _placed(digits.rstrip("0"), point)


def _placed(digits: str, point: int) -> str:
    """Writes 0.DIGITS times ten to the power of `point` (ECMA-262 §6.1.6.1.20, where it is called n)."""
    if len(digits) <= point <= _LONGEST:
        return digits.ljust(point, "0")
    if 0 < point <= _LONGEST:
        return f"{digits[:point]}.{digits[point:]}"
    if _SMALLEST < point <= 0:
        return f"0.{'0' * -point}{digits}"
    power = f"e{point - 1:+d}"
    return f"{digits[0]}.{digits[1:]}{power}" if len(digits) > 1 else f"{digits}{power}"


_CONSTANTS = {None: "null", True: "true", False: "false"}
_LONGEST = 21
_SMALLEST = -6
_string = json.JSONEncoder(ensure_ascii=False).encode
