"""Blocks are compared with their digests before anything is taken from them."""

import pytest

from safeconduct.errors import Malformed, Rejected
from safeconduct.status.compact import blocks
from safeconduct.status.compact.blocks import BLOCK_BYTES, CheckedBytes

BODY = bytes(range(256)) * (3 * BLOCK_BYTES // 256) + b"end"


def _open(body: bytes, table: bytes | None = None) -> CheckedBytes:
    return CheckedBytes(memoryview(body), memoryview(table or blocks.table_of(BODY)))


def test_the_table_has_a_digest_for_each_block() -> None:
    assert len(blocks.table_of(BODY)) == blocks.table_bytes(len(BODY)) == 4 * 32
    assert blocks.table_of(b"") == b""


@pytest.mark.parametrize(
    ("begin", "end"),
    [(0, 0), (0, 1), (5, BLOCK_BYTES + 5), (BLOCK_BYTES, BLOCK_BYTES), (0, len(BODY)), (len(BODY),) * 2],
)
def test_whatever_is_read_is_what_stands_there(begin: int, end: int) -> None:
    assert bytes(_open(BODY).read(begin, end)) == BODY[begin:end]


def test_an_altered_block_is_refused_whenever_it_is_read_and_the_others_are_not() -> None:
    altered = bytearray(BODY)
    altered[BLOCK_BYTES + 7] ^= 1
    opened = _open(bytes(altered))

    assert bytes(opened.read(0, BLOCK_BYTES)) == BODY[:BLOCK_BYTES]
    for _ in range(2):
        with pytest.raises(Rejected) as refused:
            opened.read(BLOCK_BYTES - 1, BLOCK_BYTES + 1)
        assert refused.value.code == "pack_digest"
    with pytest.raises(Rejected):
        opened.read(0, len(BODY))


@pytest.mark.parametrize(("begin", "end"), [(-1, 4), (4, 3), (0, len(BODY) + 1), (len(BODY) + 1,) * 2])
def test_places_that_are_not_there_are_refused(begin: int, end: int) -> None:
    with pytest.raises(Malformed) as refused:
        _open(BODY).read(begin, end)
    assert refused.value.code == "pack_malformed"
