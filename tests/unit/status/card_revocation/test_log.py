"""The binary log: its bytes, its verdicts, what is refused."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.errors import Malformed
from safeconduct.status.card_revocation import RevocationList, log
from safeconduct.status.card_revocation.changes import GONE, Change, Standing
from safeconduct.status.card_revocation.log import Log
from safeconduct.status.states import GOOD, REVOKED

KID = "3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s"


def hashed(text: str, count: int) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:count]


def code_of(data: bytes) -> str:
    with pytest.raises(Malformed) as caught:
        Log.parse(data, kid=KID)
    return caught.value.code


def test_the_bytes_of_a_log() -> None:
    made = [Change("a", GONE, None), Change("b", GONE, 1687450765), Change("a", None, GONE)]

    data = log.header(KID) + log.records(made)

    assert data == (
        b"SCRLOG1\0"
        + hashed(KID, 8)
        + (hashed("a", 12) + bytes(4))
        + (hashed("b", 12) + (1687450765).to_bytes(4, "big"))
        + (hashed("a", 12) + b"\xff\xff\xff\xff")
    )
    assert len(data) == log.HEADER_BYTES + 3 * log.RECORD_BYTES


def test_later_records_replace_earlier_ones() -> None:
    made = [Change("a", GONE, None), Change("b", GONE, 5), Change("a", None, GONE), Change("b", 5, 9)]

    read = Log.parse(log.header(KID) + log.records(made), kid=KID)

    assert read.status("a", 0) is GOOD
    assert read.status("b", 8.5) is REVOKED
    assert read.status("b", 9) is GOOD
    assert read.status("c", 0) is GOOD
    assert read.status(None, 0) is GOOD
    assert read.agrees({"b": 9})
    assert not read.agrees({"b": 9, "a": None})
    assert not read.agrees({})


def test_an_empty_log_revokes_nothing() -> None:
    assert Log.parse(log.header(KID), kid=KID).agrees({})


_standings = st.one_of(st.none(), st.integers(1, 0xFFFF_FFFE), st.just(GONE))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), _standings)))
def test_a_log_gives_the_verdicts_of_the_list(steps: list[tuple[str, Standing]]) -> None:
    entries = {}
    for rid, standing in steps:
        entries.pop(rid, None)
        if standing != GONE:
            entries[rid] = standing
    listed = RevocationList(kid=KID, ctr=1, entries=entries)

    read = Log.parse(log.header(KID) + log.records([Change(rid, GONE, to) for rid, to in steps]), kid=KID)

    assert read.agrees(entries)
    for rid in "abcdefg":
        for nbf in (0, 1, 2.5, 0xFFFF_FFFD, 0xFFFF_FFFF):
            assert read.status(rid, nbf) == listed.status(rid, nbf)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        log.header(KID)[:-1],
        log.header(KID) + b"x",
        log.header(KID) + bytes(17),
        log.header(KID[::-1]) + bytes(16),
        b"SCRLOG2\0" + log.header(KID)[8:],
    ],
)
def test_a_log_of_another_key_or_in_part_is_refused(data: bytes) -> None:
    assert code_of(data) == "log_malformed"


def test_a_log_that_is_too_long_is_refused() -> None:
    assert code_of(log.header(KID) + bytes(16 * (limits.LOG_RECORDS + 1))) == "log_too_large"


@pytest.mark.parametrize("time", [0, -5, 0xFFFF_FFFF, 1 << 32])
def test_a_time_without_room_is_not_written(time: int) -> None:
    with pytest.raises(ValueError, match="1970"):
        log.records([Change("a", GONE, time)])
