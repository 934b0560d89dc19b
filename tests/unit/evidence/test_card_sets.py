"""Sorted records say what the list or log says that they are made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct.evidence import card_sets
from safeconduct.evidence.card_sets import CardSet
from safeconduct.status.card_revocation import log
from safeconduct.status.card_revocation.changes import GONE, Change
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.log import Log

KID = "A" * 43
RIDS = st.text("abcXYZ019-_", min_size=1, max_size=3)
ENTRIES = st.dictionaries(RIDS, st.none() | st.integers(1, 0xFFFF_FFFE), max_size=30)


def card_set(records: bytes) -> CardSet:
    return CardSet(method="rid", ctr=1, records=records)


@given(ENTRIES, RIDS, st.integers(0, 1 << 32) | st.floats(0, 1 << 32))
def test_a_set_says_what_its_list_says(entries: dict[str, int | None], rid: str, nbf: float) -> None:
    found = RevocationList(kid=KID, ctr=1, entries=entries)
    made = card_set(card_sets.of_list(entries))
    assert made.status(rid, nbf) == found.status(rid, nbf)
    assert made.reach(rid) == ((entries[rid],) if rid in entries else None)
    assert made.status(None, nbf) == found.status(None, nbf)


@given(ENTRIES, ENTRIES)
def test_a_log_that_led_there_gives_the_same_bytes(
    before: dict[str, int | None], after: dict[str, int | None]
) -> None:
    first = [Change(rid, GONE, reach) for rid, reach in before.items()]
    then = [
        Change(rid, before.get(rid, GONE), after.get(rid, GONE))
        for rid in sorted(before.keys() | after.keys())
    ]
    data = log.header(KID) + log.records(first) + log.records(then)
    assert card_sets.of_log(Log.parse(data, kid=KID)) == card_sets.of_list(after)


def test_times_that_no_record_has_room_for_keep_their_meaning() -> None:
    made = card_set(card_sets.of_list({"never": 0, "beyond": 10**14}))
    assert made.status("never", 1).state == "good"
    assert made.status("beyond", 4_000_000_000).state == "revoked"


@pytest.mark.parametrize("method", ["rid", "hash-fhir"])
def test_known_methods_are_understood(method: str) -> None:
    assert CardSet(method=method, ctr=1, records=b"").understood
    assert not CardSet(method=f"{method}-2", ctr=1, records=b"").understood
