"""Deltas between lists: what they hold, which are published, that a wrong one is found out."""

import json
from typing import Any

import pytest

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected
from safeconduct.status.card_revocation import RevocationList, changes, deltas
from safeconduct.status.card_revocation.changes import GONE, Change
from safeconduct.status.card_revocation.deltas import Delta

KID = "3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s"
OTHER_KID = "EBKOr72QQDcTBUuVzAzkfBTGew0ZA16GuWty64nS-sw"


def a_list(ctr: int, **entries: int | None) -> RevocationList:
    return RevocationList(kid=KID, ctr=ctr, entries=entries)


BEFORE = a_list(4, stays=None, goes=5, moves=7)
AFTER = a_list(5, stays=None, moves=9, comes=None)


def test_a_delta_has_its_members_in_one_order() -> None:
    data = Delta.between(BEFORE, AFTER).encode()

    assert (
        data
        == (
            f'{{"kid":"{KID}","method":"rid","from":4,"to":5,"add":["comes","moves.9"],'
            f'"remove":["goes.5","moves.7"],"digest":"{AFTER.digest()}"}}'
        ).encode()
    )
    assert Delta.parse(data) == Delta.between(BEFORE, AFTER)


def test_a_delta_leads_from_one_list_to_the_other() -> None:
    assert Delta.between(BEFORE, AFTER).apply(BEFORE) == AFTER
    assert a_list(4, stays=None, goes=5, moves=7) == BEFORE


def test_a_delta_that_changes_nothing_but_the_counter() -> None:
    assert Delta.between(BEFORE, a_list(6, **BEFORE.entries)).apply(BEFORE).ctr == 6


@pytest.mark.parametrize(
    "to",
    [
        a_list(3, **BEFORE.entries),
        a_list(5, **BEFORE.entries),
        RevocationList(kid=OTHER_KID, ctr=4, entries=BEFORE.entries),
        RevocationList(kid=KID, ctr=4, entries=BEFORE.entries, method="hash-fhir"),
        a_list(4, stays=None, goes=6, moves=7),
        a_list(4, stays=None, goes=None, moves=7),
        a_list(4, stays=None, moves=7),
        a_list(4, stays=None, goes=5, moves=7, comes=None),
        a_list(4, stays=None, goes=5, moves=7, more=None),
        a_list(4, stays=8, goes=5, moves=7),
    ],
)
def test_a_delta_does_not_fit_another_list(to: RevocationList) -> None:
    with pytest.raises(Rejected) as caught:
        Delta.between(BEFORE, AFTER).apply(to)

    assert caught.value.code == "delta_mismatch"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("add", ["comes"]),
        ("add", ["comes", "moves.8"]),
        ("add", ["comes", "moves.9", "more"]),
        ("remove", ["moves.7"]),
        ("remove", ["moves.7", "goes"]),
        ("to", 6),
        ("digest", "sha-256:" + "A" * 43),
    ],
)
def test_a_delta_that_was_altered_is_found_out(name: str, value: Any) -> None:
    members = {**json.loads(Delta.between(BEFORE, AFTER).encode()), name: value}

    with pytest.raises(Rejected) as caught:
        Delta.parse(json.dumps(members).encode()).apply(BEFORE)

    assert caught.value.code == "delta_mismatch"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"from": 0}, "crl_malformed"),
        ({"from": "4"}, "crl_malformed"),
        ({"from": 5}, "crl_malformed"),
        ({"from": 6}, "crl_malformed"),
        ({"to": True}, "crl_malformed"),
        ({"kid": "x"}, "crl_malformed"),
        ({"kid": OTHER_KID}, "crl_kid"),
        ({"method": 1}, "crl_malformed"),
        ({"add": "comes"}, "crl_malformed"),
        ({"add": [1]}, "crl_malformed"),
        ({"add": ["a.b"]}, "crl_entry_malformed"),
        ({"remove": ["a", "a.5"]}, "crl_duplicate"),
        ({"remove": None}, "crl_malformed"),
        ({"digest": None}, "crl_malformed"),
        ({"digest": "A" * 43}, "crl_malformed"),
        ({"digest": "sha-512:" + "A" * 43}, "crl_malformed"),
        ({"digest": "sha-256:" + "A" * 44}, "crl_malformed"),
    ],
)
def test_a_delta_that_breaks_its_format_is_refused(members: dict[str, Any], code: str) -> None:
    whole = {**json.loads(Delta.between(BEFORE, AFTER).encode()), **members}

    with pytest.raises(Malformed) as caught:
        Delta.parse(json.dumps(whole).encode(), kid=KID)

    assert caught.value.code == code


def test_a_delta_that_is_too_long_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(Malformed) as caught:
        Delta.parse(b"," * (limits.CRL_ENTRIES + 1))

    assert caught.value.code == "crl_too_large"


def test_names_of_step_and_skip_deltas() -> None:
    assert deltas.file_name(KID, 4, 5) == f"crl/{KID}-5.json"
    assert deltas.file_name(KID, 16, 32) == f"crl/{KID}-16-32.json"


@pytest.mark.parametrize(
    ("end", "starts"),
    [
        (1, []),
        (2, [1]),
        (16, [15]),
        (32, [31, 16]),
        (48, [47, 32]),
        (256, [255, 240]),
        (512, [511, 496, 256]),
    ],
)
def test_which_deltas_lead_to_a_counter(end: int, starts: list[int]) -> None:
    assert deltas.starts(end) == starts


@pytest.mark.parametrize(
    ("start", "end", "steps"),
    [
        (3, 3, []),
        (3, 5, [(3, 4), (4, 5)]),
        (15, 33, [(15, 16), (16, 32), (32, 33)]),
        (240, 768, [(240, 256), (256, 512), (512, 768)]),
    ],
)
def test_the_shortest_way_between_counters(start: int, end: int, steps: list[tuple[int, int]]) -> None:
    assert deltas.chain(start, end) == steps


@pytest.mark.parametrize("end", range(2, 700, 7))
def test_every_way_uses_published_deltas_only(end: int) -> None:
    for start in range(1, end, 5):
        steps = deltas.chain(start, end)

        assert [step[0] for step in steps] == [start, *(step[1] for step in steps[:-1])]
        assert steps[-1][1] == end
        assert all(begin in deltas.starts(stop) for begin, stop in steps)


def test_changes_amount_to_a_delta() -> None:
    made = [
        Change("goes", 5, GONE),
        Change("moves", 7, 8),
        Change("passes", GONE, None),
        Change("moves", 8, 9),
        Change("comes", GONE, None),
        Change("passes", None, GONE),
    ]

    found = changes.delta(made, kid=KID, method="rid", start=4, end=5, digest=AFTER.digest())

    assert found == Delta.between(BEFORE, AFTER)


def test_revoking_takes_nothing_back() -> None:
    assert changes.extended(GONE, 5) == 5
    assert changes.extended(5, 4) == 5
    assert changes.extended(5, 6) == 6
    assert changes.extended(5, None) is None
    assert changes.extended(None, 5) is None


def test_which_cards_would_be_revoked_from_the_start() -> None:
    assert not changes.would_be_revoked(GONE, 5)
    assert not changes.would_be_revoked(5, 5)
    assert changes.would_be_revoked(6, 5)
    assert changes.would_be_revoked(None, 5)


def test_times_of_other_publishers_are_kept_within_our_own() -> None:
    assert changes.storable(0) == GONE
    assert changes.storable(7) == 7
    assert changes.storable(1 << 33) is None
    assert changes.storable(None) is None
