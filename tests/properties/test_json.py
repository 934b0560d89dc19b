"""A text is read alike on the fast way, which bytes may take, and on the strict one, which text takes."""

import json as standard
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from safeconduct.encoding import json
from safeconduct.errors import Malformed

LITERALS = [
    *(b"0", b"-0", b"-0.0", b"1.0", b"1e5", b"1E5", b"1e16", b"1e+16", b"1e-7", b"1e22", b"1e23", b"0.1"),
    *(b"9007199254740993", b"9007199254740993.0", b"18446744073709551615", b"18446744073709551616"),
    *(b"-9223372036854775809", b"99999999999999999999", b"100000000000000000000", b"-99999999999999999999"),
    *(b"1.7976931348623157e308", b"1.7976931348623159e308", b"1e309", b"-1e400", b"5e-324", b"1e-400"),
    *(b"01", b"+1", b".5", b"5.", b"NaN", b"Infinity", b"-Infinity", b"nan", b"true", b"null", b"True"),
    *(b'"a"', b'""', b'"\xc3\xa9"', b'"\\u00e9"', b'"\\ud800"', b'"\\ud83d\\ude00"', b'"\xf0\x9f\x98\x80"'),
    *(b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xff"', b'"\x00"', b'"\x1f"', b'"\x7f"', b'"\\/"', b'"["'),
    *(b'"}{"', b"\xef\xbb\xbf", b'"\xef\xbb\xbf"', b'"000000000000000000000"', b"[]", b"{}"),
]
NAMES = [b'"a"', b'"b"', b'""', b'"\\u0061"', b'"[{"', b'"\xc3\xa9"', b'"\xed\xa0\x80"', b"1"]
SPACES = [b"", b"", b"", b" ", b"\n"]

spaces = st.sampled_from(SPACES)
numbers = st.floats().map(repr).map(str.encode) | st.integers().map(str).map(str.encode)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**66), 2**66) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def _written(value: Any) -> bytes:
    return standard.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _array(items: list[bytes], space: bytes) -> bytes:
    return b"[" + (b"," + space).join(items) + b"]"


def _object(members: list[tuple[bytes, bytes]], space: bytes) -> bytes:
    return b"{" + b",".join(name + b":" + space + value for name, value in members) + b"}"


fragments = st.recursive(
    st.sampled_from(LITERALS) | numbers | values.map(_written),
    lambda inner: (
        st.builds(_array, st.lists(inner, max_size=3), spaces)
        | st.builds(_object, st.lists(st.tuples(st.sampled_from(NAMES), inner), max_size=3), spaces)
    ),
    max_leaves=6,
)
depths = st.sampled_from([1, 2, 3, 8, 24])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Returns a text in which a byte is missing, is another, or too many."""
    text = draw(fragments)
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.binary(max_size=2)) + text[at + draw(st.integers(0, 2)) :]


def _is_same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_is_same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other)


def _outcome(text: bytes | str, max_depth: int) -> tuple[str, Any]:
    try:
        return "", json.loads(text, max_depth=max_depth)
    except Malformed as error:
        return error.code, None


def _differs(data: bytes, max_depth: int) -> bool:
    """Tells whether bytes are read in another way than their text is."""
    try:
        strict = _outcome(data.decode("utf-8"), max_depth)
    except UnicodeDecodeError:
        strict = "json_malformed", None
    code, value = _outcome(data, max_depth)
    return code != strict[0] or not _is_same(value, strict[1])


@settings(max_examples=500)
@given(fragments | damaged() | st.binary(max_size=12), depths)
@example(b'{"a":1,"a":1}', 24)
@example(b'["["]', 1)
@example(b'{"[":[]}', 1)
@example(b'["x",["[","]"]]', 1)
def test_bytes_are_read_as_their_text_is(data: bytes, max_depth: int) -> None:
    assert not _differs(data, max_depth)


@pytest.mark.parametrize("data", [b'{"a":1,"a":2}', b'[{"b":1,"b":1}]'])
def test_a_value_that_is_not_written_again_would_be_read_otherwise(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing it again is what finds a member that is named twice: without that the property fails."""
    assert not _differs(data, 24)

    class Agreeing:
        def encode(self, _value: Any) -> bytes:
            return data

    monkeypatch.setattr(json, "_WRITER", Agreeing())
    assert _differs(data, 24)


@given(st.integers(1, 24), st.integers(1, 24), st.sampled_from([(b"[", b"]"), (b'{"":', b"}")]))
def test_the_bound_on_depth_is_exact_on_both_ways(
    depth: int, bound: int, brackets: tuple[bytes, bytes]
) -> None:
    start, end = brackets
    data = start * depth + b"0" + end * depth
    assert not _differs(data, bound)
    assert _outcome(data, bound)[0] == ("json_too_deep" if depth > bound else "")


@settings(max_examples=300)
@given(st.dictionaries(st.text(), st.text()) | st.lists(st.text()))
@example({"\x7f\u2028\u0085": '"\\/\x1f\ud7ff\U0010ffff'})
def test_text_alone_is_written_as_any_other_value(value: Any) -> None:
    """It is written in a shorter way, which must give the same bytes."""
    assert json.dumps(value) == _written(value)
    assert json.dumps(value) == json.dumps({"": value})[4:-1]


@pytest.mark.parametrize("value", [{"a": "\ud800"}, {"\ud800": "a"}, ["\udfff"]])
def test_half_a_character_is_refused_alone_as_well(value: Any) -> None:
    with pytest.raises(ValueError, match="surrogate"):
        json.dumps(value)
