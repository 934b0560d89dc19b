"""CBOR: what is written reads back, has the one form of RFC 8949 §4.2.1, and no other form is read."""

import math
import struct
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safeconduct.encoding import cbor
from safeconduct.encoding.cbor import Simple, Tag, undefined
from safeconduct.errors import Malformed, SafeconductError

integers = st.integers(-(2**64), 2**64 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
simples = st.sampled_from([*range(20), *range(32, 256)]).map(Simple)
leaves = (
    st.none()
    | st.booleans()
    | st.just(undefined)
    | integers
    | st.binary(max_size=30)
    | texts
    | st.floats(allow_nan=False)
    | simples
)
# Python takes 1, 1.0 and true for one key, and cbor2's simple(n) for n; claims have only these keys.
keys = integers | texts | st.binary(max_size=8)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4)
        | st.builds(Tag, st.integers(0, 2**64 - 1), inner)
    ),
    max_leaves=15,
)


def independent(value: Any) -> bytes:
    """RFC 8949 §4.2.1 once more, written from its text alone."""
    if value is None or value is undefined or isinstance(value, bool):
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}.get(value, b"\xf7")  # type: ignore[call-overload, no-any-return]
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -value - 1)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(independent(item) for item in value)
    if isinstance(value, dict):
        entries = sorted((independent(key), independent(item)) for key, item in value.items())
        return head(5, len(value)) + b"".join(key + item for key, item in entries)
    if isinstance(value, Tag):
        return head(6, value.tag) + independent(value.value)
    if isinstance(value, Simple):
        return bytes((0xE0 | value.value,)) if value.value < 24 else bytes((0xF8, value.value))
    forms = [b"\xf9" + half for half in halves(value)] + [b"\xfa" + single for single in singles(value)]
    return [*forms, b"\xfb" + struct.pack(">d", value)][0]


def head(major: int, argument: int) -> bytes:
    for low, width, info in ((24, 0, argument), (256, 1, 24), (65536, 2, 25), (2**32, 4, 26), (2**64, 8, 27)):
        if argument < low:
            return (
                bytes((major << 5 | info,)) + argument.to_bytes(width, "big")
                if width
                else bytes((major << 5 | info,))
            )
    raise AssertionError


def halves(value: float) -> list[bytes]:
    try:
        packed = struct.pack(">e", value)
    except OverflowError:
        return []
    return [packed] if same(struct.unpack(">e", packed)[0], value) else []


def singles(value: float) -> list[bytes]:
    try:
        packed = struct.pack(">f", value)
    except OverflowError:
        return []
    return [packed] if same(struct.unpack(">f", packed)[0], value) else []


def same(one: float, other: float) -> bool:
    return one == other and math.copysign(1, one) == math.copysign(1, other)


@given(values)
def test_what_is_written_reads_back(value: Any) -> None:
    encoded = cbor.dumps(value)
    loaded = cbor.loads(encoded)
    assert cbor.dumps(loaded) == encoded
    assert loaded == value


@given(values)
def test_the_encoding_is_the_one_of_RFC_8949(value: Any) -> None:
    assert cbor.dumps(value) == independent(value)


@given(values)
def test_the_scan_of_heads_ends_where_the_item_ends(value: Any) -> None:
    encoded = cbor.dumps(value)
    assert cbor.item_end(encoded + b"\x00") == len(encoded)
    assert cbor.item_end(b"\xff" + encoded, 1) == len(encoded) + 1


@given(st.lists(values, max_size=5))
def test_many_items_read_as_each_by_itself(items: list[Any]) -> None:
    encoded = [cbor.dumps(item) for item in items]
    assert cbor.loads_each(encoded) == [cbor.loads(item) for item in encoded]


# Every head of an item, widened; every container, made indefinite.


def other_spellings(value: Any) -> list[bytes]:
    """Encodings of the same value that are not the preferred one: one change each, anywhere in it."""
    own = independent(value)
    result = []
    if isinstance(value, int | bytes | str | list | dict | Tag) and not isinstance(value, bool):
        major, argument, rest = taken_apart(own)
        for width, info, bound in ((1, 24, 24), (2, 25, 2**8), (4, 26, 2**16), (8, 27, 2**32)):
            if argument < bound:
                result.append(bytes((major << 5 | info,)) + argument.to_bytes(width, "big") + rest)
        if major in (2, 3):
            result.append(bytes((major << 5 | 31,)) + own + b"\xff")
        if major in (4, 5):
            result.append(bytes((major << 5 | 31,)) + rest + b"\xff")
    if isinstance(value, list):
        for place, item in enumerate(value):
            before, after = value[:place], value[place + 1 :]
            result += [
                head(4, len(value))
                + b"".join(map(independent, before))
                + spelling
                + b"".join(map(independent, after))
                for spelling in other_spellings(item)
            ]
    if isinstance(value, Tag):
        result += [head(6, value.tag) + spelling for spelling in other_spellings(value.value)]
    return result


def taken_apart(encoded: bytes) -> tuple[int, int, bytes]:
    info = encoded[0] & 31
    width = 0 if info < 24 else 1 << (info - 24)
    argument = int.from_bytes(encoded[1 : 1 + width], "big") if width else info
    return encoded[0] >> 5, argument, encoded[1 + width :]


@given(values)
def test_no_other_spelling_is_read(value: Any) -> None:
    for spelling in other_spellings(value):
        with pytest.raises(Malformed) as error:
            cbor.loads(spelling)
        assert error.value.code == "cbor_not_preferred"


@given(st.dictionaries(keys, integers, min_size=1, max_size=4), st.integers(0, 3), values)
def test_no_key_is_read_twice(entries: dict[Any, Any], place: int, value: Any) -> None:
    key = list(entries)[place % len(entries)]
    inner = b"".join(independent(name) + independent(item) for name, item in entries.items())
    doubled = head(5, len(entries) + 1) + inner + independent(key) + independent(value)
    for data in (doubled, b"\x81" + doubled, b"\xa1\x00" + doubled, b"\xc1" + doubled):
        with pytest.raises(Malformed) as error:
            cbor.loads(data)
        assert error.value.code == "cbor_malformed"


@given(values, st.binary(min_size=1, max_size=4))
def test_nothing_may_follow_an_item(value: Any, more: bytes) -> None:
    with pytest.raises(Malformed) as error:
        cbor.loads(cbor.dumps(value) + more)
    assert error.value.code == "cbor_trailing_bytes"


@given(values, st.data())
def test_an_item_cut_short_is_refused(value: Any, data: st.DataObject) -> None:
    encoded = cbor.dumps(value)
    with pytest.raises(Malformed) as error:
        cbor.loads(encoded[: data.draw(st.integers(0, len(encoded) - 1))])
    assert error.value.code == "cbor_malformed"


garbage = st.binary(max_size=60) | st.lists(
    st.sampled_from(
        [b"\x81", b"\xa1", b"\xc1", b"\xd8", b"\x5f", b"\xff", b"\xfb", b"\x9b", b"\x00", b"\x78\x20"]
    ),
    max_size=30,
).map(b"".join)


@given(garbage)
def test_garbage_is_refused_or_is_the_one_encoding_of_something(data: bytes) -> None:
    try:
        loaded = cbor.loads(data)
    except SafeconductError as error:
        assert error.code.startswith("cbor_")  # noqa: PT017
        return
    assert cbor.item_end(data) == len(data)
    assert cbor.dumps(cbor.loads(cbor.dumps(loaded))) == cbor.dumps(loaded)


@given(st.lists(garbage, max_size=4))
def test_garbage_among_many_items_is_refused_or_each_is_an_item(items: list[bytes]) -> None:
    try:
        loaded = cbor.loads_each(items)
    except SafeconductError:
        return
    assert len(loaded) == len(items)
    assert [cbor.dumps(value) for value in loaded] == [cbor.dumps(cbor.loads(item)) for item in items]


edits = st.tuples(st.integers(0, 400), st.integers(0, 1), st.binary(max_size=3))
HEADS = "f7 ff 1800 1817 5817 580100 590018 590100 7800 1900ff d800 d9ffff 9800 f818 f8ff 82 a1 5818"
heads = st.sampled_from([bytes.fromhex(data) for data in HEADS.split()])


@given(values, st.lists(edits | st.tuples(st.integers(0, 400), st.integers(0, 1), heads), max_size=3))
@example([undefined], [])
@example(undefined, [(1, 0, b"\xf7")])
@example([0], [(1, 1, b"")])
@example([0], [(2, 0, b"\xf7")])
@example([0, 0], [(0, 1, b"\x81")])
@example({"long": "x" * 300, "b": bytes(200)}, [])
@example(bytes(300), [(1, 2, b"\x00\xff")])
@example(bytes(300), [(250, 40, b"")])
def test_the_fast_path_of_loads_changes_no_answer(value: Any, changes: list[tuple[int, int, bytes]]) -> None:
    """The pattern over whole heads is an optimisation: without it, the same values and the same errors."""
    data = cbor.dumps(value)
    for place, removed, added in changes:
        data = data[:place] + added + data[place + removed :]
    fast = outcome(data)
    with mock.patch.object(cbor, "_surely_preferred", return_value=False):
        assert outcome(data) == fast


@given(st.binary(max_size=60))
def test_the_fast_path_changes_no_answer_on_noise(data: bytes) -> None:
    fast = outcome(data)
    with mock.patch.object(cbor, "_surely_preferred", return_value=False):
        assert outcome(data) == fast


def outcome(data: bytes) -> str:
    """What `loads` makes of `data`; as text, because there 1, 1.0 and true differ."""
    try:
        return repr(cbor.loads(data))
    except Malformed as error:
        return error.code


@pytest.mark.parametrize("length", [0, 1, 15, 16, 23, 24, 32, 33, 64, 65, 127, 128, 255, 256, 257, 65535])
@pytest.mark.parametrize("kind", [bytes, lambda length: "x" * length])
def test_strings_of_every_usual_length_take_the_fast_path(length: int, kind: Any) -> None:
    value = [kind(length), 24, {1: kind(length)}]
    assert cbor._surely_preferred(cbor.dumps(value))
    assert cbor.loads(cbor.dumps(value)) == value
