"""Strict, deterministic CBOR (RFC 8949) that accepts one spelling of every value.

`loads` refuses trailing bytes, duplicate map keys, indefinite lengths, heads that are not the shortest,
reserved simple values, invalid UTF-8, and anything deeper or longer than asked for. Floats of any width
pass: they are received bytes like all others and are hashed as such. Tags are never interpreted: each stays
a `Tag`.

`dumps` writes the core deterministic encoding (RFC 8949 §4.2.1): shortest heads and floats, map entries
in bytewise order of their encoded keys.
"""

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cbor2
from cbor2 import CBORSimpleValue as Simple
from cbor2 import CBORTag as Tag
from cbor2 import undefined

from safeconduct import limits
from safeconduct.errors import Malformed

__all__ = [
    "Encoded",
    "Simple",
    "Tag",
    "byte_string_head",
    "children",
    "dumps",
    "item_end",
    "loads",
    "loads_each",
    "undefined",
]

_RULE = "RFC 8949 §4.2.1"


class Encoded:
    """One CBOR item that is already encoded; `dumps` copies its bytes as they are."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


def loads(data: bytes, *, max_depth: int = limits.CBOR_DEPTH, max_bytes: int = limits.TOKEN_BYTES) -> Any:
    """Decode exactly one CBOR item.

    data: the item, the whole item and nothing behind it; at most `max_bytes`.
    max_depth: containers and tags that may stand within one another.
    Returns int, str, bytes, float, bool, None, `undefined`, list, dict, `Tag` or `Simple`.
    Raises Malformed: cbor_too_large, cbor_malformed, cbor_not_preferred, cbor_trailing_bytes.
    Source: RFC 8949 §3, §4.2.1, §5.6.
    """
    if len(data) > max_bytes:
        raise Malformed("cbor_too_large", f"The CBOR item is longer than {max_bytes} bytes.")
    if _surely_preferred(data):
        # No head in `data` gives `undefined`; so if that comes second, `data` was the first item, to its end.
        try:
            value, end = _read(b"\x82" + data + _END, max_depth + 1)
        except _READ_ERRORS:
            end = None
        if end is undefined:
            return value
    value = _decode(data, max_depth)
    if item_end(data) != len(data):
        raise Malformed("cbor_trailing_bytes", "Bytes follow the CBOR item.", rule=_RULE)
    return value


def loads_each(items: Sequence[bytes], *, max_depth: int = limits.CBOR_DEPTH) -> list[Any]:
    """Decode many items in one go; each must be exactly one item. Raises as `loads`."""
    for item in items:
        if item_end(item) != len(item):
            raise Malformed("cbor_trailing_bytes", "Bytes follow the CBOR item.", rule=_RULE)
    values: list[Any] = _decode(_head(0x80, len(items)) + b"".join(items), max_depth + 1)
    return values


def dumps(value: Any) -> bytes:
    """Encode deterministically (RFC 8949 §4.2.1).

    value: what `loads` returns, `Encoded`, tuples and other mappings; integers of 64 bits and a sign.
    Raises TypeError for another type, ValueError for an integer that needs a bignum.
    """
    kind = type(value)
    if kind is bytes:
        size = len(value)
        encoded: bytes = (_BYTES_HEADS[size] if size < 256 else _head(0x40, size)) + value
        return encoded
    if kind is str:
        text: bytes = value.encode()
        size = len(text)
        return (_TEXT_HEADS[size] if size < 256 else _head(0x60, size)) + text
    if kind is int:
        if 0 <= value < 256:
            head: bytes = _UNSIGNED[value]
            return head
        return _head(0x00, value) if value >= 0 else _head(0x20, -1 - value)
    encode = _ENCODERS.get(kind)
    if encode is not None:
        return encode(value)
    if isinstance(value, Mapping):
        return _encode_map(value)
    raise TypeError(f"{kind.__name__} has no CBOR encoding here")


def _decode(data: bytes, max_depth: int) -> Any:
    try:
        return _read(data, max_depth)
    except _READ_ERRORS:
        item_end(data)  # says more precisely what is wrong, where it can
        raise Malformed("cbor_malformed", "The bytes are not strict CBOR.", rule=_RULE) from None


def _read(data: bytes, max_depth: int) -> Any:
    return cbor2.loads(
        data,
        semantic_decoders=_OPAQUE_TAGS,
        tag_hook=_keep_tag,
        allow_indefinite=False,
        allow_duplicate_keys=False,
        max_depth=max_depth,
    )


_READ_ERRORS = (cbor2.CBORError, TypeError, ValueError, OverflowError, RecursionError, MemoryError)


def _surely_preferred(data: bytes) -> bool:
    """Tell whether `data` is a row of whole heads and strings, each head the shortest, none of them `_END`.

    False also for what is left to `item_end` to judge.
    """
    offset, size = _end_of_heads(data), len(data)
    while offset != size:  # a longer string than the pattern knows is stepped over
        width, least = _LONG_STRINGS.get(data[offset], (0, 1))
        content = offset + 1 + width
        length = int.from_bytes(data[offset + 1 : content], "big")
        if length < least or content + length > size:
            return False
        offset = _end_of_heads(data, content + length)
    return True


def _end_of_heads(data: bytes, start: int = 0) -> int:
    return _HEADS.match(data, start).end()  # type: ignore[union-attr]  # it matches nothing, too


def byte_string_head(length: int) -> bytes:
    """Return the shortest head of a byte string of `length` bytes."""
    return _BYTES_HEADS[length] if length < 256 else _head(0x40, length)


def item_end(data: bytes, start: int = 0) -> int:
    """Return the offset behind the well-formed item that begins at `start`; every head must be the shortest.

    One flat pass over the heads: `pending` counts the items still to come, strings are skipped whole.
    Raises Malformed: cbor_malformed, cbor_not_preferred.
    """
    offset, pending, sizes, added, integers = start, 1, _SIZE, _ADDED, _INTEGERS
    try:
        while pending:
            initial = data[offset]
            if size := sizes[initial]:
                offset += size
                pending += added[initial]
            elif initial in _SHORT_STRINGS and (length := data[offset + 1]) > 23:
                offset += 2 + length
                pending -= 1
            elif initial in integers and data[offset + 1] > 23:
                offset += integers[initial]
                pending -= 1
            else:
                major, argument, offset = _long_head(data, offset)
                pending += _PER_ARGUMENT[major] * argument - (major != 6)
                if major in (2, 3):
                    offset += argument
    except IndexError:
        offset = len(data) + 1
    if offset > len(data):
        raise Malformed("cbor_malformed", "The CBOR item is cut short.", rule="RFC 8949 §3")
    return offset


def children(data: bytes, start: int = 0) -> list[tuple[int, int]]:
    """Return start and end of each item directly inside the array, map or tag that begins at `start`.

    A map gives key, value, key, value. `data` has been read by `loads` before.
    """
    initial = data[start]
    if initial & 0x1F < 24:
        major, argument, offset = initial >> 5, initial & 0x1F, start + 1
    else:
        major, argument, offset = _long_head(data, start)
    spans = []
    for _ in range(1 if major == 6 else _PER_ARGUMENT[major] * argument):
        end = item_end(data, offset)
        spans.append((offset, end))
        offset = end
    return spans


def _long_head(data: bytes, start: int) -> tuple[int, int, int]:
    major, info = data[start] >> 5, data[start] & 0x1F
    if 27 < info < 31:
        raise Malformed("cbor_malformed", "A CBOR head has a reserved length.", rule="RFC 8949 §3")
    if info == 31:
        raise Malformed("cbor_not_preferred", "Indefinite lengths are not allowed.", rule=_RULE)
    width = 1 << (info - 24)
    end = start + 1 + width
    argument = int.from_bytes(data[start + 1 : end], "big")
    if major == 7:
        if width == 1 and argument < 32 and end <= len(data):
            raise Malformed("cbor_malformed", "The simple value is reserved.", rule="RFC 8949 §3.3")
    elif argument < _LEAST_ARGUMENT[width] and end <= len(data):
        raise Malformed("cbor_not_preferred", "A CBOR head is not the shortest.", rule=_RULE)
    return major, argument, end


_LEAST_ARGUMENT = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}
# Items inside, by major type and argument; a tag's argument is its number, and its one item replaces it.
_PER_ARGUMENT = (0, 0, 0, 0, 1, 2, 0, 0)
# By first byte: how far the next head is (0: this head is longer than a byte), and the change of `pending`.
_SIZE = [0 if byte & 0x1F > 23 else 1 + (byte & 0x1F if byte >> 5 in (2, 3) else 0) for byte in range(256)]
# Heads of integers and their lengths; a second byte over 23 shows that no shorter head would do.
_INTEGERS = {0x18: 2, 0x19: 3, 0x1A: 5, 0x1B: 9, 0x38: 2, 0x39: 3, 0x3A: 5, 0x3B: 9}
_SHORT_STRINGS = frozenset({0x58, 0x78})
_ADDED = [_PER_ARGUMENT[byte >> 5] * (byte & 0x1F) - (byte >> 5 != 6) for byte in range(256)]


def _literal(*head: int) -> bytes:
    return re.escape(bytes(head))


def _scanner() -> re.Pattern[bytes]:
    """Compile a row of whole heads and strings, each head the shortest.

    The bytes say where the next head is, so nothing is ever matched in two ways: possessive repeats. Runs of
    one-byte heads lead into each longer one, and the usual ones stand first: alternatives are tried in order.
    """
    one_byte = rb"[\x00-\x17\x20-\x37\x40\x60\x80-\x97\xa0-\xb7\xc0-\xd7\xe0-\xf6]*+"
    longer = [
        *(_literal(0x58, 32) + b".{32}+", _literal(0x50) + b".{16}+"),  # digests, salts
        *(_literal(0x60 | length) + b".{%d}+" % length for length in range(1, 24)),
        rb"[\x18\x38\x98\xb8\xd8][\x18-\xff]",
        rb"[\x19\x39\x99\xb9\xd9][\x01-\xff].",
        rb"[\x1a\x3a\x9a\xba\xda](?!\x00\x00).{4}+",
        rb"[\x1b\x3b\x9b\xbb\xdb](?!\x00{4}).{8}+",
        *(rb"\xf8[\x20-\xff]", rb"\xf9.{2}+", rb"\xfa.{4}+", rb"\xfb.{8}+"),
        *(_literal(0x40 | length) + b".{%d}+" % length for length in range(1, 24)),
        b"[\\x58\\x78](?:%b)" % b"|".join(_literal(length) + b".{%d}+" % length for length in range(24, 65)),
    ]
    return re.compile(b"(?s)(?:%b(?:%b))*+%b" % (one_byte, b"|".join(longer), one_byte))


_LONG_STRINGS = {0x58: (1, 24), 0x78: (1, 24), 0x59: (2, 256), 0x79: (2, 256)}
_END = b"\xf7"  # undefined: cbor2 gives the one object `undefined` for it, and nothing else gives that
_HEADS = _scanner()


def _head(major: int, argument: int) -> bytes:
    return _SHORT_HEADS[major][argument] if argument < 256 else _make_head(major, argument)


def _make_head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major | argument,))
    if argument < 1 << 8:
        return bytes((major | 24, argument))
    if argument < 1 << 16:
        return struct.pack(">BH", major | 25, argument)
    if argument < 1 << 32:
        return struct.pack(">BI", major | 26, argument)
    if argument < 1 << 64:
        return struct.pack(">BQ", major | 27, argument)
    raise ValueError("an integer of more than 64 bits has no CBOR head")


_SHORT_HEADS = {
    major: tuple(_make_head(major, argument) for argument in range(256)) for major in range(0x00, 0xE0, 0x20)
}
_UNSIGNED, _BYTES_HEADS, _TEXT_HEADS = (_SHORT_HEADS[major] for major in (0x00, 0x40, 0x60))


def _encode_array(value: list[Any] | tuple[Any, ...]) -> bytes:
    if {*map(type, value)} == _ONLY_BYTES and max(map(len, value)) < 256:
        parts = [_BYTES_HEADS[len(item)] + item for item in value]  # digests and disclosures
    else:
        parts = [dumps(item) for item in value]
    return _head(0x80, len(value)) + b"".join(parts)


_ONLY_BYTES = {bytes}


def _encode_map(value: Mapping[Any, Any]) -> bytes:
    # No encoded key begins with another one, so entries sort like their keys.
    entries = sorted([dumps(key) + dumps(item) for key, item in value.items()])
    return _head(0xA0, len(entries)) + b"".join(entries)


def _encode_float(value: float) -> bytes:
    if value != value:
        return b"\xf9\x7e\x00"
    for head, form in ((b"\xf9", ">e"), (b"\xfa", ">f")):
        try:
            packed = struct.pack(form, value)
        except OverflowError:
            continue
        if struct.unpack(form, packed)[0] == value:
            return head + packed
    return b"\xfb" + struct.pack(">d", value)


def _encode_simple(value: Simple) -> bytes:
    return bytes((0xE0 | value.value,)) if value.value < 24 else bytes((0xF8, value.value))


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    bool: lambda value: b"\xf5" if value else b"\xf4",
    type(None): lambda _: b"\xf6",
    type(undefined): lambda _: b"\xf7",
    float: _encode_float,
    list: _encode_array,
    tuple: _encode_array,
    dict: _encode_map,
    Tag: lambda value: _head(0xC0, value.tag) + dumps(value.value),
    Simple: _encode_simple,
    Encoded: lambda value: value.data,
}


def _thaw(value: Any) -> Any:
    """Give the frozen containers that cbor2 builds inside tags their ordinary types."""
    kind = type(value)
    if kind is tuple:
        return [_thaw(item) if type(item) in _FROZEN else item for item in value]
    if kind is cbor2.frozendict:
        return {key: _thaw(item) if type(item) in _FROZEN else item for key, item in value.items()}
    return Tag(value.tag, _thaw(value.value)) if kind is Tag else value


_FROZEN = (tuple, cbor2.frozendict, Tag)


def _keep_tag(tag: Tag, immutable: bool) -> Tag:
    return tag if immutable else Tag(tag.tag, _thaw(tag.value))


def _opaque(number: int) -> Any:
    def keep(value: Any, immutable: bool) -> Tag:
        return _keep_tag(Tag(number, value), immutable)

    return keep


# The tags that cbor2 would turn into dates, big numbers, shared references and the like; and COSE_Sign1 and
# the redacted element, as cbor2 freezes the content of other tags, and thawing it takes time.
_INTERPRETED = (
    0,
    1,
    2,
    3,
    4,
    5,
    18,
    25,
    28,
    29,
    30,
    35,
    36,
    37,
    52,
    54,
    60,
    100,
    256,
    258,
    260,
    261,
    1004,
    43000,
    55799,
)
_OPAQUE_TAGS = {number: _opaque(number) for number in _INTERPRETED}
