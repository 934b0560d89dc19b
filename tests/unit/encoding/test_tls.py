"""TLS presentation language as RFC 9420 §2.1 uses it: one encoding for each value, no other taken."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct.encoding import tls
from safeconduct.encoding.tls import Reader
from safeconduct.errors import Malformed, SafeconductError, Unsupported

# RFC 9000 §A.1, but for the form of eight bytes, which RFC 9420 does not use.
LENGTHS = [("9d7f3e7d", 494878333), ("7bbd", 15293), ("25", 37)]
EDGES = [
    *((0, "00"), (63, "3f"), (64, "4040"), (16383, "7fff"), (16384, "80004000")),
    (tls.LONGEST, "bfffffff"),
]


def code_of(read: Callable[[Reader], object], data: str) -> tuple[type[SafeconductError], str]:
    with pytest.raises(SafeconductError) as caught:
        tls.read(bytes.fromhex(data), read)
    return type(caught.value), caught.value.code


@pytest.mark.parametrize(("data", "length"), [*LENGTHS, *((data, length) for length, data in EDGES)])
def test_a_length_has_one_two_or_four_bytes(data: str, length: int) -> None:
    assert tls.read(bytes.fromhex(data), Reader.varint) == length
    assert tls.varint(length).hex() == data


def test_the_published_lengths_are_read(vectors: Path) -> None:
    cases = msgspec.json.decode((vectors / "mls/deserialization.json").read_bytes())
    assert len(cases) >= 14
    for case in cases:
        data = bytes.fromhex(case["vlbytes_header"])
        assert tls.read(data, Reader.varint) == case["length"]
        assert tls.varint(case["length"]) == data


# RFC 9420 §2.1.2: "the value was not encoded in the smallest", and the prefix 11 is invalid.
@pytest.mark.parametrize(
    "data",
    ["4025", "403f", "4000", "80000025", "80003fff", "c0", "ff", "c2197c5eff14e88c", "c000000000000000"],
)
def test_a_length_in_another_form_is_refused(data: str) -> None:
    assert code_of(Reader.varint, data) == (Malformed, "tls_length_malformed")
    assert code_of(Reader.opaque, data + "00" * 80) == (Malformed, "tls_length_malformed")


def test_numbers_are_big_endian() -> None:
    reader = Reader(bytes(range(15)))
    assert reader.uint8() == 0
    assert reader.uint16() == 0x0102
    assert reader.uint32() == 0x03040506
    assert reader.place == 7
    assert reader.uint64() == 0x0708090A0B0C0D0E
    assert reader.since(7) == bytes(range(7, 15))
    reader.finish()


def _two(reader: Reader) -> bytes:
    return reader.fixed(2)


def _twos(reader: Reader) -> tuple[bytes, ...]:
    return reader.vector(_two, count=3)


def _choice(reader: Reader) -> int:
    return reader.choice((1, 2, 3))


def _shorts(reader: Reader) -> tuple[int, ...]:
    return reader.numbers(2, count=3)


def _bounded(reader: Reader) -> bytes:
    return reader.opaque(most=64)


def _optional(reader: Reader) -> int | None:
    return reader.optional(Reader.uint16)


VALUES: list[tuple[Callable[[Reader], object], object, str]] = [
    (_two, b"\x01\x02", "0102"),
    (Reader.opaque, b"", "00"),
    (Reader.opaque, b"ab", "026162"),
    (_bounded, b"a" * 64, "4040" + "61" * 64),
    (_twos, (), "00"),
    (_twos, (b"ab", b"cd"), "0461626364"),
    (_shorts, (), "00"),
    (_shorts, (1, 0xFFFF), "040001ffff"),
    (_choice, 3, "03"),
    (_optional, None, "00"),
    (_optional, 7, "010007"),
]


@pytest.mark.parametrize(("read", "value", "data"), VALUES)
def test_each_type_is_read(read: Callable[[Reader], object], value: object, data: str) -> None:
    assert tls.read(bytes.fromhex(data), read) == value


def test_each_type_is_written() -> None:
    assert tls.uint(7, 8).hex() == "0000000000000007"
    assert tls.opaque(b"ab").hex() == "026162"
    assert tls.opaque(b"a" * 64).hex() == "4040" + "61" * 64
    assert tls.vector([b"ab", b"cd"]).hex() == "0461626364"
    assert tls.numbers((1, 0xFFFF), 2).hex() == "040001ffff"
    assert tls.optional(None).hex() == "00"
    assert tls.optional(b"\0\7").hex() == "010007"


@pytest.mark.parametrize(
    ("read", "data", "code"),
    [
        (Reader.uint8, "", "tls_truncated"),
        (Reader.uint16, "00", "tls_truncated"),
        (Reader.uint32, "000000", "tls_truncated"),
        (Reader.uint64, "00" * 7, "tls_truncated"),
        (Reader.varint, "40", "tls_truncated"),
        (Reader.varint, "800040", "tls_truncated"),
        (Reader.opaque, "", "tls_truncated"),
        (Reader.opaque, "0361", "tls_truncated"),
        (Reader.opaque, "bfffffff61", "tls_truncated"),
        (_two, "01", "tls_truncated"),
        (_twos, "046162", "tls_truncated"),
        (_twos, "03616263", "tls_truncated"),  # the second item would end outside the vector
        (_twos, "0361626364", "tls_truncated"),
        (_shorts, "03000102", "tls_truncated"),
        (_shorts, "0400", "tls_truncated"),
        (_optional, "0100", "tls_truncated"),
        (_optional, "02", "tls_choice_malformed"),
        (_optional, "ff0000", "tls_choice_malformed"),
        (_choice, "00", "tls_choice_malformed"),
        (_choice, "04", "tls_choice_malformed"),
        (Reader.uint8, "0000", "tls_trailing_bytes"),
        (Reader.opaque, "0000", "tls_trailing_bytes"),
        (_twos, "0000", "tls_trailing_bytes"),
    ],
)
def test_what_breaks_its_type_is_refused(read: Callable[[Reader], object], data: str, code: str) -> None:
    assert code_of(read, data) == (Malformed, code)


@pytest.mark.parametrize(
    ("read", "data", "code"),
    [
        (_bounded, "4041" + "61" * 65, "tls_too_long"),
        (_bounded, "bfffffff", "tls_too_long"),  # before anything is looked at
        (_twos, "08" + "61" * 8, "tls_too_many"),
        (_shorts, "08" + "61" * 8, "tls_too_many"),
    ],
)
def test_what_is_larger_than_the_reader_takes_is_refused(
    read: Callable[[Reader], object], data: str, code: str
) -> None:
    assert code_of(read, data) == (Unsupported, code)


def test_a_message_is_measured_before_it_is_read() -> None:
    def unread(reader: Reader) -> None:
        pytest.fail("this was read")

    assert tls.read(b"ab", Reader.rest, most=2) == b"ab"
    with pytest.raises(Unsupported) as caught:
        tls.read(b"abc", unread, most=2)
    assert caught.value.code == "tls_too_long"


def test_a_vector_within_a_vector_ends_where_its_own_length_says() -> None:
    def lists(reader: Reader) -> tuple[tuple[bytes, ...], ...]:
        return reader.vector(_twos, count=9)

    assert tls.read(bytes.fromhex("04" + "026162" + "00"), lists) == ((b"ab",), ())
    # The inner vector says more than the outer has left, though more bytes follow.
    assert code_of(lists, "02" + "0261" + "62") == (Malformed, "tls_truncated")


def test_what_cannot_be_written_is_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="2\\^30"):
        tls.varint(tls.LONGEST + 1)
    with pytest.raises(OverflowError):
        tls.uint(256, 1)
    with pytest.raises(struct.error):
        tls.numbers((65536,), 2)


@given(st.binary(max_size=80))
def test_whatever_is_read_as_a_length_is_written_as_it_was(data: bytes) -> None:
    reader = Reader(data)
    try:
        length = reader.varint()
    except Malformed:
        return
    assert tls.varint(length) == reader.since(0)


@given(st.integers(0, tls.LONGEST))
def test_every_length_goes_both_ways(length: int) -> None:
    assert tls.read(tls.varint(length), Reader.varint) == length


fields: st.SearchStrategy[tuple[Callable[[Reader], Any], Any, bytes]] = st.one_of(
    st.binary(max_size=70).map(lambda data: (Reader.opaque, data, tls.opaque(data))),
    st.integers(0, 2**64 - 1).map(lambda value: (Reader.uint64, value, tls.uint(value, 8))),
    st.lists(st.binary(min_size=2, max_size=2), max_size=3).map(
        lambda items: (_twos, tuple(items), tls.vector(items))
    ),
    st.lists(st.integers(0, 65535), max_size=3).map(
        lambda items: (_shorts, tuple(items), tls.numbers(items, 2))
    ),
    (st.none() | st.integers(0, 65535)).map(
        lambda value: (_optional, value, tls.optional(None if value is None else tls.uint(value, 2)))
    ),
)


@given(st.lists(fields, max_size=8))
def test_fields_that_follow_one_another_go_both_ways(chosen: list[Any]) -> None:
    reader = Reader(b"".join(data for _, _, data in chosen))
    for read, value, _ in chosen:
        assert read(reader) == value
    reader.finish()
