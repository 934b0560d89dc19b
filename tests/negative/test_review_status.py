"""What a hostile host, an old copy or a second process can do to those who check the status of cards."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.unit.evidence.stage import AUTO, DELTA, FULL, MANY, MORE, Stage

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected
from safeconduct.evidence import sync_plan
from safeconduct.net.fetch import Response
from safeconduct.status.card_revocation import deltas, heads
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.deltas import Delta

KID = "k" * 43
LARGEST = (1 << 53) - 1


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "store")


# Counters.


@pytest.mark.parametrize("counter", [LARGEST + 1, 10**19, str(LARGEST + 1)])
def test_a_counter_that_not_all_readers_hold_is_refused(counter: int | str) -> None:
    data = json.dumps({"kid": KID, "method": "rid", "ctr": counter, "rids": []})
    with pytest.raises(Malformed) as refused:
        RevocationList.parse(data)
    assert refused.value.code == "crl_malformed"
    read = RevocationList.parse(json.dumps({"kid": KID, "method": "rid", "ctr": LARGEST, "rids": []}))
    assert read.ctr == LARGEST


@pytest.mark.parametrize("member", ["ctr", "count", "iat", "exp", "length"])
def test_a_head_has_no_number_that_not_all_readers_hold(stage: Stage, member: str) -> None:
    stage.publish(MANY)
    claims = json.loads_object(_payload(stage.host.files[stage.url("head")]))
    (claims["log"] if member == "length" else claims)[member] = LARGEST + 1
    with pytest.raises(Malformed) as refused:
        heads.read_unverified(_forged(stage, claims))
    assert refused.value.code == "head_malformed"


def test_an_announced_counter_far_away_is_not_counted_up_to(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.publish(MORE)
    stage.outcome(DELTA)
    stage.publisher.announce(stage.kid, LARGEST)
    counted = []
    real = deltas.chain

    def chain(start: int, end: int) -> list[tuple[int, int]]:
        counted.append(end - start)
        assert end - start <= limits.DELTA_COUNTERS
        return real(start, end)

    monkeypatch.setattr(deltas, "chain", chain)
    assert stage.outcome(AUTO).code == "crl_stale"
    assert stage.status("rid-7") == ("revoked", "stale")
    assert stage.status("good") == ("unknown", "stale")


def test_the_longest_way_by_deltas_has_some_hundred_files() -> None:
    assert len(deltas.chain(1, 1 + limits.DELTA_COUNTERS)) < 320
    assert sync_plan._leads(1, 1 + limits.DELTA_COUNTERS)
    assert not sync_plan._leads(1, 2 + limits.DELTA_COUNTERS)


# Deltas.


def test_a_chain_is_compared_once_and_not_with_each_delta(monkeypatch: pytest.MonkeyPatch) -> None:
    lists, steps = _history()
    written = 0
    real = RevocationList.encode

    def encode(self: RevocationList) -> bytes:
        nonlocal written
        written += 1
        return real(self)

    monkeypatch.setattr(RevocationList, "encode", encode)
    assert deltas.follow(lists[0], steps) == lists[-1]
    assert written == 1


@pytest.mark.parametrize("wrong", [0, 3, 6])
def test_a_chain_with_a_wrong_delta_anywhere_is_refused(wrong: int) -> None:
    lists, steps = _history()
    members = json.loads_object(steps[wrong].encode())
    steps[wrong] = Delta.parse(json.dumps({**members, "add": ["other"]}))
    with pytest.raises(Rejected) as refused:
        deltas.follow(lists[0], steps)
    assert refused.value.code == "delta_mismatch"


def test_deltas_make_no_list_longer_than_a_list_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    one = RevocationList(kid=KID, ctr=1, entries=dict.fromkeys(map(str, range(9))))
    other = RevocationList(kid=KID, ctr=2, entries=dict.fromkeys(map(str, range(12))))
    step = Delta.between(one, other)
    assert step.apply(one) == other
    monkeypatch.setattr(limits, "CRL_ENTRIES", 11)
    with pytest.raises(Rejected) as refused:
        step.apply(one)
    assert refused.value.code == "delta_mismatch"


# "Not changed".


def test_a_host_that_says_not_changed_of_a_list_that_must_have_is_asked_for_all(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.publish({"bad": None})
    answer = stage.host._answer

    def with_one_tag(url: str, headers: Mapping[str, str]) -> Response:
        """As a host that goes by the second of the last change."""
        if "if-none-match" in headers and url.endswith(".json") and "crl/" in url:
            return Response(304, {"etag": '"1"'}, b"")
        return answer(url, dict(headers))

    monkeypatch.setattr(stage.host, "_answer", with_one_tag)
    stage.outcome(FULL)
    stage.publish({"worse": None})
    assert stage.outcome(FULL).code is None
    assert stage.status("worse") == ("revoked", None)


def _history() -> tuple[list[RevocationList], list[Delta]]:
    lists = [
        RevocationList(kid=KID, ctr=ctr, entries=dict.fromkeys(map(str, range(ctr)))) for ctr in range(1, 9)
    ]
    return lists, [Delta.between(one, other) for one, other in pairwise(lists)]


def _payload(head: bytes) -> bytes:
    from safeconduct.encoding import b64

    return b64.decode(head.split(b".")[1].decode())


def _forged(stage: Stage, claims: dict[str, Any]) -> str:
    from safeconduct.envelope import jws

    header = {"typ": heads.TYP, "kid": heads.key_id(stage.status_key.public)}
    return jws.sign(json.dumps(claims), signer=stage.status_key, header=header)
