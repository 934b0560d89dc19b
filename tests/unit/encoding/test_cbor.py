"""Strict, deterministic CBOR against RFC 8949: its own examples, and every second spelling refused."""

from typing import Any

import cbor2
import pytest

from safeconduct import limits
from safeconduct.encoding import cbor
from safeconduct.encoding.cbor import Encoded, Simple, Tag, undefined
from safeconduct.errors import Malformed

# RFC 8949 appendix A: what has one definite, shortest form.
EXAMPLES: list[tuple[str, Any]] = [
    *(("00", 0), ("01", 1), ("0a", 10), ("17", 23), ("1818", 24), ("1819", 25), ("1864", 100)),
    *(("1903e8", 1000), ("1a000f4240", 1000000), ("1b000000e8d4a51000", 1000000000000)),
    *(("1bffffffffffffffff", 2**64 - 1), ("3bffffffffffffffff", -(2**64))),
    *(("20", -1), ("29", -10), ("3863", -100), ("3903e7", -1000)),
    *(("f90000", 0.0), ("f98000", -0.0), ("f93c00", 1.0), ("fb3ff199999999999a", 1.1), ("f93e00", 1.5)),
    *(("f97bff", 65504.0), ("fa47c35000", 100000.0), ("fa7f7fffff", 3.4028234663852886e38)),
    *(("fb7e37e43c8800759c", 1.0e300), ("f90001", 5.960464477539063e-8), ("f90400", 0.00006103515625)),
    *(("f9c400", -4.0), ("fbc010666666666666", -4.1)),
    *(("f97c00", float("inf")), ("f9fc00", float("-inf"))),
    *(
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("f7", undefined),
        ("f0", Simple(16)),
        ("f8ff", Simple(255)),
    ),
    ("c074323031332d30332d32315432303a30343a30305a", Tag(0, "2013-03-21T20:04:00Z")),
    ("c11a514b67b0", Tag(1, 1363896240)),
    ("c1fb41d452d9ec200000", Tag(1, 1363896240.5)),
    ("d74401020304", Tag(23, b"\x01\x02\x03\x04")),
    ("d818456449455446", Tag(24, b"dIETF")),
    ("d82076687474703a2f2f7777772e6578616d706c652e636f6d", Tag(32, "http://www.example.com")),
    *(("40", b""), ("4401020304", b"\x01\x02\x03\x04"), ("60", ""), ("6161", "a"), ("6449455446", "IETF")),
    *(("62225c", '"\\'), ("62c3bc", "ü"), ("63e6b0b4", "水"), ("64f0908591", "\U00010151")),
    *(("80", []), ("83010203", [1, 2, 3]), ("8301820203820405", [1, [2, 3], [4, 5]])),
    ("98190102030405060708090a0b0c0d0e0f101112131415161718181819", list(range(1, 26))),
    *(("a0", {}), ("a201020304", {1: 2, 3: 4}), ("a26161016162820203", {"a": 1, "b": [2, 3]})),
    ("826161a161626163", ["a", {"b": "c"}]),
    (
        "a56161614161626142616361436164614461656145",
        {"a": "A", "b": "B", "c": "C", "d": "D", "e": "E"},
    ),
]


@pytest.mark.parametrize(("data", "value"), EXAMPLES, ids=[data for data, _ in EXAMPLES])
def test_the_examples_of_RFC_8949_go_both_ways(data: str, value: Any) -> None:
    loaded = cbor.loads(bytes.fromhex(data))
    assert (type(loaded), loaded) == (type(value), value)
    assert cbor.dumps(value).hex() == data


def test_not_a_number_has_one_form() -> None:
    for data in ("f97e00", "fa7fc00000", "fb7ff8000000000000"):
        loaded = cbor.loads(bytes.fromhex(data))
        assert loaded != loaded
        assert cbor.dumps(loaded).hex() == "f97e00"


@pytest.mark.parametrize("data", ["c249010000000000000000", "c349010000000000000000", "d9d9f700", "c0f6"])
def test_no_tag_is_interpreted(data: str) -> None:
    loaded = cbor.loads(bytes.fromhex(data))
    assert type(loaded) is Tag
    assert cbor.dumps(loaded).hex() == data


@pytest.mark.parametrize("number", [*range(64), 100, 256, 258, 260, 261, 1004, 43000, 55799, 2**64 - 1])
@pytest.mark.parametrize("content", [0, "x", b"x", [1, [2]], {"a": {"b": [3]}}, [], {}, None])
def test_what_stands_in_a_tag_keeps_its_ordinary_type(number: int, content: Any) -> None:
    for value in (Tag(number, content), [Tag(number, content)], {1: Tag(number, [Tag(number, content)])}):
        loaded = cbor.loads(cbor.dumps(value))
        assert loaded == value
        assert _types(loaded) <= {int, str, bytes, list, dict, type(None), Tag}


def _types(value: Any) -> set[type]:
    inner = value.value if isinstance(value, Tag) else value
    inside = list(inner) + list(inner.values()) if isinstance(inner, dict) else inner
    below = inside if isinstance(inside, list | tuple) else [inside] if isinstance(value, Tag) else []
    return {type(value)}.union(*map(_types, below))


# Refused

REFUSED = {
    "cbor_not_preferred": """
        1800 1817 190017 1900ff 1a0000ffff 1b00000000ffffffff 3800 3817 39000a
        5800 580100 59000100 5a0000000100 7800 780161
        9800 980100 99000100 b800 b8010000 b900010000 d80000 d81700 d9000100 da0000000100
        5fff 5f4100ff 7fff 9fff 9f00ff bfff bf0000ff ff 81ff 8201ff 1f 3f df c1ff
    """,
    "cbor_malformed": """
        18 1901 1a010203 1b01020304050607 38 41 5818 58ff00 61 78ff61 81 8201 a1 a101
        c0 d8 d818 d9ffff f8 f9 f900 fa000000 fb00
        1c 1d 1e 3c 5c 7d 9e bc dd fc fd fe f800 f813 f814 f817 f818 f81f
        61ff 62c328 63eda080 64f4908080 62c080 6180 61c3
        a200000000 a2010101f5 a2616100616101 a24100014100f5
        81a200000000 a100a200010002 c1a200000000 a2810100810101
        9bffffffffffffffff bbffffffffffffffff 5bffffffffffffffff 7b7fffffffffffffff 9b7fffffffffffffff
        5a7fffffff ba7fffffff
    """,
    "cbor_trailing_bytes": "0000 8000 4100ff a000 c100f6 f6f6",
}


@pytest.mark.parametrize(
    ("data", "code"), [(data, code) for code, many in REFUSED.items() for data in many.split()]
)
def test_anything_but_one_item_in_its_one_form_is_refused(data: str, code: str) -> None:
    with pytest.raises(Malformed) as error:
        cbor.loads(bytes.fromhex(data))
    assert error.value.code == code


def test_nothing_is_no_item() -> None:
    with pytest.raises(Malformed) as error:
        cbor.loads(b"")
    assert error.value.code == "cbor_malformed"


@pytest.mark.parametrize("data", ["fa3f800000", "fb3ff0000000000000", "fa47c35000", "fbffefffffffffffff"])
def test_floats_of_any_width_are_read(data: str) -> None:
    """The draft asks for no preferred floats; a received disclosure is hashed as it came."""
    assert isinstance(cbor.loads(bytes.fromhex(data)), float)


def test_CBOR_DEPTH_containers_may_stand_in_one_another_and_one_more_not() -> None:
    for head in ("81", "c1", "a100", "d87b"):
        deepest = bytes.fromhex(head * limits.CBOR_DEPTH + "00")
        assert cbor.dumps(cbor.loads(deepest)) == deepest
        for core in ("00", "80", "a0"):
            with pytest.raises(Malformed) as error:
                cbor.loads(bytes.fromhex(head * (limits.CBOR_DEPTH + 1) + core))
            assert error.value.code == "cbor_malformed"


def test_a_caller_may_ask_for_less_depth() -> None:
    assert cbor.loads(b"\x81\x81\x00", max_depth=2) == [[0]]
    with pytest.raises(Malformed) as error:
        cbor.loads(b"\x81\x81\x00", max_depth=1)
    assert error.value.code == "cbor_malformed"


@pytest.mark.parametrize("head", [b"\x81", b"\xc1", b"\xa1\x00", b"\x9f", b"\xa1"])
def test_a_hundred_thousand_levels_do_no_harm(head: bytes) -> None:
    with pytest.raises(Malformed):
        cbor.loads(head * 100_000)


def test_TOKEN_BYTES_are_read_and_one_more_not() -> None:
    longest = cbor.dumps(bytes(limits.TOKEN_BYTES - 5))
    assert len(longest) == limits.TOKEN_BYTES
    assert len(cbor.loads(longest)) == limits.TOKEN_BYTES - 5
    with pytest.raises(Malformed) as error:
        cbor.loads(cbor.dumps(bytes(limits.TOKEN_BYTES - 4)))
    assert error.value.code == "cbor_too_large"
    with pytest.raises(Malformed) as error:
        cbor.loads(b"\x00\x00\x00", max_bytes=2)
    assert error.value.code == "cbor_too_large"


# Many at once


def test_many_items_are_read_as_each_by_itself() -> None:
    values = [[1, {"a": 2}], b"x", {}, Tag(100, [1])]
    assert cbor.loads_each([cbor.dumps(value) for value in values]) == values
    assert cbor.loads_each([]) == []


@pytest.mark.parametrize(
    ("items", "code"),
    [
        (["82", "00", "00"], "cbor_malformed"),
        (["8201", "02"], "cbor_malformed"),
        (["", "00"], "cbor_malformed"),
        (["0000"], "cbor_trailing_bytes"),
        (["00", "0102", ""], "cbor_trailing_bytes"),
        (["9f", "ff"], "cbor_not_preferred"),
        (["a1", "00", "01"], "cbor_malformed"),
        (["41", "00"], "cbor_malformed"),
        (["1800"], "cbor_not_preferred"),
        (["a200000001"], "cbor_malformed"),
        (["61ff"], "cbor_malformed"),
    ],
)
def test_items_cannot_borrow_from_one_another(items: list[str], code: str) -> None:
    with pytest.raises(Malformed) as error:
        cbor.loads_each([bytes.fromhex(item) for item in items])
    assert error.value.code == code


def test_the_depth_of_many_is_the_depth_of_each() -> None:
    deepest = b"\x81" * limits.CBOR_DEPTH + b"\x00"
    assert len(cbor.loads_each([deepest, deepest])) == 2
    with pytest.raises(Malformed):
        cbor.loads_each([b"\x81" + deepest])


# Written


def test_map_entries_are_in_bytewise_order_of_their_encoded_keys() -> None:
    """The example of RFC 8949 §4.2.1."""
    keys = [10, 100, -1, "z", "aa", (100,), (-1,), False]
    encoded = cbor.dumps(dict.fromkeys(reversed(keys), 0))
    assert encoded.hex() == "a8" + "00".join(
        ["0a", "1864", "20", "617a", "626161", "811864", "8120", "f4", ""]
    )


def test_simple_59_sorts_behind_every_claim_key() -> None:
    encoded = cbor.dumps({Simple(59): [], "zz": 0, 2**63: 0, -(2**63): 0})
    assert encoded[-3:] == b"\xf8\x3b\x80"


def test_what_is_encoded_is_copied() -> None:
    assert cbor.dumps([Encoded(b"\x18\x05"), 1]) == b"\x82\x18\x05\x01"


def test_tuples_and_other_mappings_are_written_as_arrays_and_maps() -> None:
    frozen = cbor2.frozendict({2: (1,), 1: 0})
    assert cbor.dumps((frozen,)).hex() == "81a20100028101"


@pytest.mark.parametrize("value", [2**64, -(2**64) - 1, [2**70], {2**64: 1}])
def test_an_integer_beyond_64_bits_is_a_programming_error(value: Any) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        cbor.dumps(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, bytearray(b"x"), [object()], {1: object()}])
def test_another_type_is_a_programming_error(value: Any) -> None:
    with pytest.raises(TypeError):
        cbor.dumps(value)


@pytest.mark.parametrize("length", [0, 1, 23, 24, 255, 256, 65535, 65536])
def test_the_head_of_a_byte_string_is_the_shortest(length: int) -> None:
    assert cbor.byte_string_head(length) + bytes(length) == cbor2.dumps(bytes(length))


# Slices


@pytest.mark.parametrize(
    ("value", "inside"),
    [
        ([1, b"xy", [2]], ["01", "427879", "8102"]),
        ({1: "a", "b": [0]}, ["01", "6161", "6162", "8100"]),
        (Tag(18, [1]), ["8101"]),
        (Tag(300, 24), ["1818"]),
        (list(range(30)), [cbor2.dumps(number).hex() for number in range(30)]),
        ([], []),
    ],
)
def test_children_are_the_slices_of_what_stands_directly_inside(value: Any, inside: list[str]) -> None:
    data = b"\x00" + cbor.dumps(value)
    assert [data[start:end].hex() for start, end in cbor.children(data, 1)] == inside


def test_the_end_of_an_item_is_found_from_any_offset() -> None:
    data = b"\xff" + cbor.dumps([1, {"a": bytes(300)}]) + b"\x00\xff"
    assert cbor.item_end(data, 1) == len(data) - 2
    assert cbor.item_end(data, len(data) - 2) == len(data) - 1
