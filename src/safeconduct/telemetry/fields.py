"""The allow-list of the log: which fields may appear, and what their values must look like.

A name alone would not do: a token logged as `code` would pass. So each field has a shape too, which tokens,
keys, nonces and addresses do not fit: words with few digits, bounded numbers, route templates.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"})

_DIGITS = 4
"""Digits a word may have: enough for `es256` or `rfc9457`, too few for anything random."""

_WORD = re.compile(r"[a-z][a-z0-9]{0,23}(?:[_-][a-z0-9]{1,24}){0,9}")
_ROUTE = re.compile(
    r"unmatched|(?:/(?:\{[a-z_]{1,32}(?::[a-z]{1,8})?\}|Patient|\$[a-z-]{1,40}|[a-z0-9._-]{0,40})){1,8}"
)
_PLACE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}:[0-9]{1,6}")
_TYPE = re.compile(r"[A-Za-z_.]{1,80}")
_REQUEST_ID = re.compile(r"[0-9a-f]{16}")


def is_word(value: Any) -> bool:
    """Whether the value is a name from our own code, such as an event, a state or an error code."""
    return _fits(_WORD, value) and _digits(value) <= _DIGITS


def bucket(size: int) -> int:
    """The next power of two, at least 256: exact sizes tell what was inside. size: bytes."""
    return max(256, 1 << max(size - 1, 0).bit_length())


def _fits(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _digits(value: str) -> int:
    return sum(character.isdigit() for character in value)


def _number(limit: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and 0 <= value <= limit


def _is_route(value: Any) -> bool:
    return _fits(_ROUTE, value) and _digits(value) <= _DIGITS


def _is_bucket(value: Any) -> bool:
    return _number(1 << 40)(value) and (value == 0 or bucket(value) == value)


FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "service": is_word,
    "route": _is_route,
    "method": lambda value: isinstance(value, str) and value in METHODS,
    "status": _number(999),
    "code": is_word,
    "state": is_word,
    "branch": is_word,
    "error_type": lambda value: _fits(_TYPE, value),
    "error_at": lambda value: _fits(_PLACE, value),
    "duration_ms": _number(10_000_000),
    "bytes_in": _is_bucket,
    "bytes_out": _is_bucket,
    "request_id": lambda value: _fits(_REQUEST_ID, value),
    "count": _number(1_000_000_000),
    "attempt": _number(1000),
    "port": _number(65535),
}
"""Each field that may be logged, with the test its value must pass."""
