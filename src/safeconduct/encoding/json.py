"""JSON (RFC 8259) as peers must write it: strict, measured before it is parsed, one meaning for each text.

What RFC 8259 leaves to the reader (duplicate members, huge numbers, lone surrogates) is where two readers
of one signed text can differ; all of it is refused here, in the spirit of RFC 7493 (I-JSON).
"""

import json
import math
import re
from array import array
from collections.abc import Collection
from itertools import accumulate
from typing import Any, NoReturn

import msgspec

from safeconduct import limits
from safeconduct.errors import Malformed

_RULE = "RFC 8259"
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[]{}", b"\x01\xff\x01\xff")  # +1 and -1 as signed bytes


def loads(
    data: bytes | str, *, max_bytes: int = limits.JSON_BYTES, max_depth: int = limits.JSON_DEPTH
) -> Any:
    """Returns the value of a JSON text.

    data: the whole text, UTF-8 without byte order mark if bytes.
    max_bytes: longest text in UTF-8 bytes.
    max_depth: most arrays and objects that may stand within each other.

    Raises Malformed: "json_malformed" (not JSON, not UTF-8, NaN or Infinity, a number too large, a lone
    surrogate), "json_duplicate_member", "json_too_large", "json_too_deep".
    """
    if len(data) > max_bytes:
        raise _too_large()
    if isinstance(data, bytes):
        # What its own value is written as again, byte for byte, names no member twice, escapes no surrogate,
        # and has no number that two readers would take differently. A faster reader, which does not look for
        # those, reads the same then; and so most of what machines write.
        alike = data.translate(_ALIKE)
        if b"\\" not in data and _TOO_MANY_DIGITS not in alike:
            try:
                value = _READER.decode(data)
                deep = alike.count(b"[") > max_depth and _is_deeper(data, max_depth)
                if _WRITER.encode(value) == data and not deep:
                    return value
            except _NOT_CANONICAL:
                pass  # written in another way, or with a fault that is named below
    raw, text = _from_text(data, max_bytes) if isinstance(data, str) else _from_bytes(data)
    if raw.count(b"[") + raw.count(b"{") > max_depth < _depth(raw):
        raise Malformed("json_too_deep", "JSON is nested deeper than allowed here.")
    try:
        value, end = _scan(text, 0)
        if end != len(text):
            value = _DECODER.decode(text)
    except StopIteration:
        value = _with_space_around(text)
    except ValueError as error:
        raise _malformed("Text is not JSON.") from error
    if "\\u" in text and _SURROGATE_ESCAPE.search(text):
        _refuse_lone_surrogates(value)
    return value


def loads_object(
    data: bytes | str, *, max_bytes: int = limits.JSON_BYTES, max_depth: int = limits.JSON_DEPTH
) -> dict[str, Any]:
    """As `loads`, for a text that must hold an object; else raises Malformed "json_not_object" as well."""
    value = loads(data, max_bytes=max_bytes, max_depth=max_depth)
    if not isinstance(value, dict):
        raise Malformed("json_not_object", "JSON holds another value than an object.", rule=_RULE)
    return value


def loads_each(texts: Collection[bytes]) -> list[Any]:
    """Returns the value of each JSON text; fast where all are arrays of strings without escapes.

    In such an array nothing is ambiguous, so that a reader without the checks of `loads` reads the same.
    Raises as `loads`.
    """
    joined = b"".join(texts)
    if b"\\" not in joined and len(joined) <= limits.JSON_BYTES:
        try:
            return [*map(_TEXTS.decode, texts)]
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # another kind of value, or a fault that `loads` names
    return [*map(loads, texts)]


def dumps(value: Any, *, sort_keys: bool = False) -> bytes:
    """Returns `value` as compact UTF-8 JSON; equal values in equal order give equal bytes.

    value: dicts with text keys, lists, tuples, text, numbers, booleans and None.
    sort_keys: orders the members of each object by code point, instead of as they stand.

    Raises ValueError for NaN, infinities and lone surrogates, TypeError for keys and values of other types.
    """
    if _is_plain_text(value) and not sort_keys:
        return _TEXT_ENCODER.encode(value)  # the same bytes, sooner
    _require_text_keys(value)
    encoder = _SORTING_ENCODER if sort_keys else _ENCODER
    return encoder.encode(value).encode("utf-8")


def _is_plain_text(value: Any) -> bool:
    """Whether it is a list of text, or an object whose names and members are text."""
    if type(value) is dict:
        return _ONLY_TEXT.issuperset(map(type, value)) and _ONLY_TEXT.issuperset(map(type, value.values()))
    return type(value) is list and _ONLY_TEXT.issuperset(map(type, value))


_READER = msgspec.json.Decoder()
_WRITER = msgspec.json.Encoder()
_NOT_CANONICAL = (ValueError, RecursionError, OverflowError)  # ValueError: msgspec's and Unicode's, too
_NOT_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_ALIKE = bytes.maketrans(b"123456789{", b"000000000[")
_TOO_MANY_DIGITS = b"0" * (limits.JSON_INTEGER_DIGITS + 1)
_TO_ONE_KIND = bytes.maketrans(b"[]{}", b"()()")


def _is_deeper(raw: bytes, max_depth: int) -> bool:
    """Tells whether valid JSON without escapes is nested deeper. ValueError if a string has brackets."""
    # A string without brackets leaves two quotes; one with brackets leaves a quote that finds no partner.
    brackets = raw.translate(_TO_ONE_KIND, _NOT_MARKS).replace(b'""', b"")
    if b'"' in brackets:
        raise ValueError
    for _ in range(max_depth):
        if not brackets:
            return False
        brackets = brackets.replace(b"()", b"")
    return brackets != b""


def _from_text(text: str, max_bytes: int) -> tuple[bytes, str]:
    try:
        raw = text.encode("utf-8")
    except UnicodeError as error:
        raise _malformed("JSON text is not UTF-8.") from error
    if len(raw) > max_bytes:
        raise _too_large()
    return raw, text


def _from_bytes(raw: bytes) -> tuple[bytes, str]:
    try:
        return raw, raw.decode("utf-8")
    except UnicodeError as error:
        raise _malformed("JSON text is not UTF-8.") from error


def _with_space_around(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except ValueError as error:
        raise _malformed("Text is not JSON.") from error


def _depth(raw: bytes) -> int:
    """Most brackets open at once outside of strings."""
    brackets = _STRING.sub(b"", raw).translate(_STEPS, _NOT_BRACKETS)
    return max(accumulate(array("b", brackets), initial=0))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("json_duplicate_member", "A JSON object names a member twice.", rule="RFC 8259 §4")
    return members


def _integer(digits: str) -> int:
    if len(digits) - (digits[0] == "-") > limits.JSON_INTEGER_DIGITS:
        raise _malformed("JSON holds an integer with too many digits.")
    return int(digits)


def _float(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise _malformed("JSON holds a number beyond the range of a double.")
    return number


def _constant(_name: str) -> NoReturn:
    raise _malformed("JSON has no NaN and no Infinity.")


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        _ENCODER.encode(value).encode("utf-8")
    except UnicodeError as error:
        raise _malformed("JSON text escapes half of a surrogate pair.") from error


def _require_text_keys(value: Any) -> None:
    """json would turn 1, True and None into text, and {1: …, "1": …} into a duplicate member."""
    if isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str):
                raise TypeError("JSON member names are text")
            if type(member) is not str and isinstance(member, (dict, list, tuple)):
                _require_text_keys(member)
    elif isinstance(value, (list, tuple)):
        for item in value:
            if type(item) is not str and isinstance(item, (dict, list, tuple)):
                _require_text_keys(item)


def _malformed(reason: str) -> Malformed:
    return Malformed("json_malformed", reason, rule=_RULE)


def _too_large() -> Malformed:
    return Malformed("json_too_large", "JSON text is longer than allowed here.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
_TEXTS = msgspec.json.Decoder(list[str])
_TEXT_ENCODER = msgspec.json.Encoder()
_ONLY_TEXT = frozenset[type]({str})
_scan = _DECODER.scan_once  # type: ignore[attr-defined]
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_SORTING_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
)
