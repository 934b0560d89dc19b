"""The file of a ribbon: read as it was written, whatever is wrong with it is said."""

import hashlib
import struct

import pytest
from tests.unit.status.compact.test_ribbon import AS_OF, BEFORE, ISSUER, KID, made, rids

from safeconduct import limits
from safeconduct.errors import Malformed, SafeconductError, Unsupported
from safeconduct.status.compact.ribbon_file import MAGIC, encode, read
from safeconduct.status.states import GOOD, REVOKED

EVERY = rids(2000)
FILE = encode(made({**dict.fromkeys(EVERY[:20]), EVERY[20]: 1_700_000_000}, EVERY))
REACHES = 8 + 3 * 8 + 32 + 32 + 3 * 2 + len(ISSUER) + len(KID) + len("rid")
FUNCTIONS = REACHES + 4 + 2 * 8


def signed(body: bytes) -> bytes:
    """A file whose digest is right, whatever is in it."""
    return body + hashlib.sha256(body).digest()


def changed(place: int, new: bytes) -> bytes:
    body = FILE[:-32]
    return signed(body[:place] + new + body[place + len(new) :])


def refusal(data: bytes) -> str:
    with pytest.raises(SafeconductError) as refused:
        read(data)
    return refused.value.code


@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_it_is_read_as_it_was_written(kind: type[bytes] | type[memoryview]) -> None:
    ribbon = read(kind(FILE))

    assert (ribbon.issuer, ribbon.kid, ribbon.method, ribbon.ctr) == (ISSUER, KID, "rid", 7)
    assert (ribbon.as_of, ribbon.count, ribbon.reaches) == (AS_OF, 21, (1_700_000_000, None))
    assert [ribbon.status(rid, BEFORE) for rid in EVERY] == [REVOKED] * 20 + [GOOD] * 1980
    assert ribbon.status(EVERY[20], 1_699_999_999) == REVOKED
    assert encode(ribbon) == FILE


def test_numbers_are_big_endian_on_every_machine() -> None:
    assert FILE.startswith(
        MAGIC + AS_OF.to_bytes(8, "big") + (7).to_bytes(8, "big") + (21).to_bytes(8, "big")
    )


def test_every_damaged_byte_and_every_cut_is_noticed() -> None:
    for place in range(7, len(FILE)):
        damaged = bytearray(FILE)
        damaged[place] ^= 0x40
        with pytest.raises(SafeconductError):
            read(bytes(damaged))
    for size in range(len(FILE)):
        with pytest.raises(SafeconductError):
            read(FILE[:size])


@pytest.mark.parametrize("size", range(0, len(FILE) - 32, 7))
def test_a_cut_file_is_malformed_also_with_the_right_digest(size: int) -> None:
    expected = {"ribbon_malformed", "ribbon_version_unknown", "ribbon_too_large"}
    assert refusal(signed(FILE[:size])) in expected


@pytest.mark.parametrize(
    ("name", "data"),
    {
        "nothing": b"",
        "other magic": changed(0, b"X"),
        "counter 0": changed(16, bytes(8)),
        "kid": changed(REACHES - 5 - 43, b"."),
        "issuer not UTF-8": changed(8 + 24 + 64 + 2, b"\xff"),
        "no reach": changed(REACHES, bytes(4)),
        "2^32 reaches": changed(REACHES, b"\xff" * 4),
        "descending reaches": changed(REACHES + 4, b"\xff" * 8 + bytes(8)),
        "255 bits": changed(FUNCTIONS, b"\xff"),
        "no bits, but slots": changed(FUNCTIONS, b"\0"),
        "2^64 slots": changed(FUNCTIONS + 1, b"\xff" * 8),
        "fewer slots than a row": changed(FUNCTIONS + 1, (127).to_bytes(8, "big")),
        "one byte more": signed(FILE[:-32] + b"\0"),
        "one byte less": signed(FILE[:-33]),
    }.items(),
)
def test_what_is_wrong_is_malformed(name: str, data: bytes) -> None:
    assert refusal(data) == "ribbon_malformed", name


def test_exceptions_are_ascending_and_have_a_value_of_the_function() -> None:
    def with_exceptions(*pairs: tuple[int, int]) -> bytes:
        packed = b"".join(struct.pack(">QI", *pair) for pair in pairs)
        body = FILE[:-32]
        head = body[: FUNCTIONS + 9] + len(pairs).to_bytes(4, "big") + packed
        return signed(head + body[FUNCTIONS + 13 :])

    assert read(with_exceptions((1, 0), (2, 1))).listed.exceptions == {1: 0, 2: 1}
    assert refusal(with_exceptions((2, 0), (1, 0))) == "ribbon_malformed"
    assert refusal(with_exceptions((1, 0), (1, 0))) == "ribbon_malformed"
    assert refusal(with_exceptions((1, 1 << 20))) == "ribbon_malformed"


def test_another_version_is_not_taken_for_damage() -> None:
    assert refusal(b"SCRIBON2" + FILE[8:]) == "ribbon_version_unknown"
    with pytest.raises(Unsupported):
        read(b"SCRIBON2")


def test_it_is_measured_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RIBBON_BYTES", len(FILE) - 1)
    assert refusal(FILE) == "ribbon_too_large"
    monkeypatch.setattr(limits, "RIBBON_BYTES", len(FILE))
    read(FILE)


def test_it_lists_few_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    many = changed(FUNCTIONS + 9, (limits.RIBBON_EXCEPTIONS + 1).to_bytes(4, "big"))

    with pytest.raises(Malformed) as refused:
        read(many)

    assert refused.value.code == "ribbon_too_large"


def test_it_holds_no_identifier() -> None:
    assert [rid for rid in EVERY if rid.encode() in FILE] == []
