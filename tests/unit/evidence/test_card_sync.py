"""One list is brought up to date: on the cheapest way that holds, never back, never past what is pinned."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.evidence.stage import AUTO, DAY, DELTA, FULL, ISSUER, LOG, MANY, MORE, NOW, Stage

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.evidence.card_store import place
from safeconduct.evidence.card_writing import IssuerFolder
from safeconduct.evidence.sync import SyncRules, sync
from safeconduct.net.fetch import Response
from safeconduct.status.card_revocation import heads


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "store")


@pytest.fixture
def plain(tmp_path: Path) -> Stage:
    """An issuer that publishes a JWKS and lists, and nothing of our own."""
    return Stage(tmp_path / "store", tree=False)


# What issuers and hosts do.


def test_an_issuer_needs_nothing_but_a_jwks_and_a_list(plain: Stage) -> None:
    plain.publish({"bad": None, "early": NOW})
    assert plain.outcome(AUTO).way == "full"
    assert plain.status("bad") == ("revoked", None)
    assert plain.status("early", nbf=NOW - 0.5) == ("revoked", None)
    assert plain.status("early") == ("good", None)
    assert plain.status("other") == plain.status(None) == ("good", None)


def test_a_list_that_is_current_is_not_asked_for(plain: Stage) -> None:
    plain.publish({"bad": None})
    daily = SyncRules(refresh=DAY)
    plain.outcome(daily)
    plain.now += DAY - 1
    assert plain.outcome(daily).way == "kept"
    assert [url for _, url, _ in plain.host.requests] == [plain.url("jwks.json")]
    plain.now += 1
    assert plain.outcome(daily).way == "unchanged"


def test_an_unchanged_list_costs_no_body(plain: Stage) -> None:
    plain.publish(MANY)
    plain.outcome()
    assert plain.outcome().way == "unchanged"
    assert plain.host.sent == 0
    assert all("if-none-match" in headers for _, _, headers in plain.host.requests)


def test_what_lets_a_host_recognise_the_verifier_can_be_withheld(plain: Stage) -> None:
    plain.publish({"bad": None})
    shy = replace(FULL, conditional=False)
    plain.outcome(shy)
    assert plain.outcome(shy).way == "unchanged"
    assert all(headers == {} for _, _, headers in plain.host.requests)


def test_another_order_of_the_same_entries_changes_nothing(plain: Stage) -> None:
    plain.publish({"a": None, "b": 5})
    plain.outcome()
    before = sorted(path.name for path in plain.folder.rglob("*"))
    plain.host.files[plain.url("list")] = json.dumps(
        {"rids": ["b.5", "a"], "ctr": 1, "method": "rid", "kid": plain.kid}
    )
    assert plain.outcome().way == "unchanged"
    assert sorted(path.name for path in plain.folder.rglob("*")) == before


def test_a_list_older_than_the_jwks_announces_is_stale_until_it_catches_up(stage: Stage) -> None:
    stage.publish({"bad": None})
    stage.publisher.announce(stage.kid, 2)
    assert stage.outcome().code == "crl_stale"
    assert stage.status("good") == ("unknown", "stale")
    assert stage.status("bad") == ("revoked", "stale")
    stage.publish({"bad": None, "worse": None})
    assert stage.outcome().code is None
    assert stage.status("good") == ("good", None)


def test_a_list_newer_than_the_jwks_announces_is_taken(stage: Stage) -> None:
    stage.publish({"a": None})
    stage.publish({"a": None, "b": None})
    stage.publisher.announce(stage.kid, 1)
    assert (stage.outcome().code, stage.outcome().ctr) == (None, 2)
    assert stage.status("b", version=1) == ("revoked", None)


@pytest.mark.parametrize("announced", [2, 1, None])
def test_no_counter_below_one_seen_is_taken(stage: Stage, announced: int | None) -> None:
    stage.publish({})
    older = stage.host.files[stage.url("list")]
    stage.publish({"bad": None})
    stage.outcome()
    stage.host.files[stage.url("list")] = older
    stage.publisher.announce(stage.kid, announced)
    assert stage.outcome().code == "crl_rolled_back"
    assert stage.status("bad", version=announced) == ("revoked", None)
    assert stage.status("good", version=announced) == ("good", None)


def test_a_counter_is_remembered_when_the_list_itself_is_lost(stage: Stage) -> None:
    stage.publish({})
    older = stage.host.files[stage.url("list")]
    stage.publish({"bad": None})
    stage.outcome()
    for path in stage.folder.rglob("*.set"):
        path.unlink()
    stage.host.files[stage.url("list")] = older
    assert stage.outcome().code == "crl_rolled_back"
    assert stage.status("bad") == ("unknown", "malformed")


def test_that_the_memory_of_counters_is_what_protects(stage: Stage) -> None:
    stage.publish({})
    older = stage.host.files[stage.url("list")]
    stage.publish({"bad": None})
    stage.outcome()
    folder = IssuerFolder(place(stage.folder, ISSUER))
    folder.put_key(replace(folder.key(stage.kid), seen=0, held=None))
    stage.host.files[stage.url("list")] = older
    stage.publisher.announce(stage.kid, 1)
    assert stage.outcome().code is None
    assert stage.status("bad") == ("good", None)


@pytest.mark.parametrize(
    ("published", "code", "reason"),
    [
        (b"{", "crl_malformed", "malformed"),
        (b'{"kid":"KID","method":"rid","ctr":9,"rids":["a","a.5"]}', "crl_duplicate", "malformed"),
        (b'{"kid":"KID","method":"rid","ctr":9,"rids":["a.b"]}', "crl_entry_malformed", "malformed"),
        (b'{"kid":"KID","method":"rid","ctr":0,"rids":[]}', "crl_malformed", "malformed"),
        (b'{"kid":"x","method":"rid","ctr":9,"rids":[]}'.replace(b"x", b"x" * 43), "crl_kid", "malformed"),
        (b'{"kid":"KID","method":"new","ctr":9,"rids":[]}', "status_method_unknown", "unsupported-method"),
    ],
)
def test_a_faulty_list_leaves_the_status_unknown_and_says_why(
    plain: Stage, published: bytes, code: str, reason: str
) -> None:
    plain.publisher.announce(plain.kid, 9)
    plain.host.files[plain.url("list")] = published.replace(b"KID", plain.kid.encode())
    assert plain.outcome().code == code
    assert plain.status("a") == ("unknown", reason)


def test_a_faulty_list_does_not_replace_a_good_one(plain: Stage) -> None:
    plain.publish({"bad": None})
    plain.outcome()
    plain.host.files[plain.url("list")] = b"{"
    assert plain.outcome().code == "crl_malformed"
    assert plain.status("bad") == ("revoked", None)
    plain.publisher.announce(plain.kid, 2)
    plain.outcome()
    assert plain.status("good") == ("unknown", "malformed")


def test_a_list_of_fifty_megabytes_is_refused(plain: Stage) -> None:
    plain.publisher.announce(plain.kid, 1)
    plain.host.files[plain.url("list")] = bytes(50_000_000)
    assert limits.CRL_BYTES < 50_000_000
    assert plain.outcome().code == "fetch_too_large"
    assert plain.status("a") == ("unknown", "malformed")


def test_an_announced_list_that_is_not_there_is_missing(plain: Stage) -> None:
    plain.publisher.announce(plain.kid, 1)
    assert plain.outcome().code == "crl_missing"
    assert plain.status("a") == ("unknown", "missing")


def test_a_host_out_of_reach_leaves_what_is_held(stage: Stage) -> None:
    stage.publish({"bad": None})
    stage.outcome()
    stage.publish({"bad": None, "worse": None})
    stage.host.broken.add(stage.url("list"))
    assert stage.outcome().code == "fetch_failed"
    assert stage.status("bad", version=1) == ("revoked", "stale"), "its JWKS says that there is a newer one"
    stage.host.broken.add(stage.url("jwks.json"))
    assert [one.code for one in stage.sync().outcomes] == ["fetch_failed"]


def test_any_other_answer_is_no_list(plain: Stage) -> None:
    plain.publish({"bad": None})
    plain.host.statuses[plain.url("list")] = 500
    assert plain.outcome().code == "fetch_status"
    assert plain.status("bad") == ("unknown", "missing")


def test_an_issuer_cannot_fill_the_disk(plain: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    plain.publish(MANY)
    monkeypatch.setattr(limits, "SYNC_BYTES", 100)
    assert plain.outcome().code == "sync_too_large"


# Ways.


def test_the_first_list_comes_as_what_costs_less_to_follow(stage: Stage) -> None:
    stage.publish(MANY)
    assert stage.outcome(AUTO).way == "full"


def test_a_long_list_comes_as_its_log(stage: Stage) -> None:
    stage.publish({f"{rid}-{half}": NOW for rid in MORE for half in "ab"})
    first = stage.outcome(AUTO)
    assert first.way == "log"
    assert first.received < len(stage.host.files[stage.url("list")])


def test_a_list_that_came_by_deltas_is_not_fetched_to_hear_that_it_is_the_newest(stage: Stage) -> None:
    stage.publish(MANY)
    stage.outcome(DELTA)
    stage.publish({**MANY, "bad": None})
    assert stage.outcome(DELTA).way == "delta"
    assert (stage.outcome(DELTA).way, stage.host.sent) == ("unchanged", 0)
    assert [method for method, url, _ in stage.host.requests if url == stage.url("list")] == ["HEAD"]
    assert (stage.outcome(DELTA).way, stage.host.sent) == ("unchanged", 0)
    assert [method for method, url, _ in stage.host.requests if url == stage.url("list")] == ["GET"]


def test_a_host_that_tells_nothing_is_asked_for_the_list(stage: Stage) -> None:
    stage.publish(MANY)
    stage.outcome(DELTA)
    stage.publish({**MANY, "bad": None})
    stage.outcome(DELTA)
    stage.host.tells_lengths = False
    assert (stage.outcome(DELTA).way, stage.status("bad")) == ("unchanged", ("revoked", None))


@pytest.mark.parametrize("length", [None, "1", "x"])
def test_a_host_that_tells_another_length_gives_the_list(stage: Stage, length: str | None) -> None:
    stage.publish(MANY)
    stage.outcome(DELTA)
    stage.publish({**MANY, "bad": None})
    stage.outcome(DELTA)
    stage.host.length = length
    stage.outcome(DELTA)
    asked = [method for method, url, _ in stage.host.requests if url == stage.url("list")]
    assert asked == ["HEAD", "GET"]


def test_an_unchanged_head_is_not_fetched_again(stage: Stage) -> None:
    stage.publish(MANY)
    stage.outcome(stage.pinned(LOG))
    assert (stage.outcome(LOG).way, stage.host.sent) == ("unchanged", 0)
    stage.now += 8 * DAY
    assert stage.outcome(LOG).code == "head_expired", "the one that is held is looked at again"


def test_a_step_comes_as_a_delta_to_who_has_the_list(stage: Stage) -> None:
    stage.publish(MANY)
    stage.outcome(DELTA)
    stage.publish({**MANY, "bad": None})
    assert stage.outcome(AUTO).way == "delta"
    assert stage.host.asked(".jws") == [], "a head would cost more than it saves"
    assert stage.status("bad") == ("revoked", None)


def test_many_steps_come_by_skip_deltas(stage: Stage) -> None:
    stage.publish(MORE)
    stage.outcome(DELTA)
    for number in range(39):
        stage.publish({**MORE, f"new-{number}": None})
    outcome = stage.outcome(DELTA)
    assert (outcome.way, outcome.ctr) == ("delta", 40)
    assert len(stage.host.requests) == 1 + 15 + 1 + 8, "to 16 one by one, at once to 32, and on to 40"
    assert stage.status("new-38") == ("revoked", None)


def test_who_has_the_log_asks_for_its_end_alone(stage: Stage) -> None:
    stage.publish(MANY)
    stage.outcome(LOG)
    stage.publish({**MANY, "bad": 77})
    assert stage.outcome(AUTO).way == "log"
    ranges = [headers["range"] for _, url, headers in stage.host.requests if url == stage.url("log")]
    assert ranges == [f"bytes={16 + 300 * 16}-{16 + 301 * 16 - 1}"]
    assert stage.status("bad", nbf=76) == ("revoked", None)
    stage.publish(MANY)
    assert stage.outcome(AUTO).way == "log"
    assert stage.status("bad", nbf=76) == ("good", None), "a tombstone takes the entry back"


def test_a_log_that_began_anew_is_taken_whole(stage: Stage) -> None:
    stage.publish({**MANY, "gone": None})
    stage.publish(MANY)
    stage.outcome(LOG)
    other = Stage(stage.folder)
    other.kid, other.key = stage.kid, stage.key
    rebuilt = other.publisher.__class__(other.host, ISSUER, keys=[stage.key], status_key=stage.status_key)
    for entries in ({}, MANY, {**MANY, "bad": None}):
        rebuilt.publish(stage.kid, entries, now=NOW)
    other.host.requests = stage.host.requests
    assert other.outcome(LOG).code is None
    assert other.status("bad") == ("revoked", None)
    assert other.status("gone") == ("good", None)


def test_deltas_may_not_be_longer_than_what_they_save(stage: Stage) -> None:
    stage.publish(MANY)
    stage.outcome(DELTA)
    stage.publish({**MANY, "bad": None})
    name = stage.url(f"crl/{stage.kid}-2.json")
    assert name in stage.host.files
    stage.host.files[name] += b" " * limits.DELTA_BYTES
    outcome = stage.outcome(DELTA)
    assert (outcome.way, outcome.detours) == ("full", ("fetch_too_large",))


def test_an_issuer_without_deltas_is_not_asked_for_them_for_a_week(plain: Stage) -> None:
    plain.publish(MANY)
    plain.outcome(AUTO)
    plain.publish({**MANY, "a": None})
    assert plain.outcome(AUTO).detours == ("delta_missing",)
    asked = len(plain.host.requests)
    plain.publish({**MANY, "b": None})
    assert plain.outcome(AUTO).detours == ()
    assert len(plain.host.requests) == asked - 1
    plain.now += 7 * DAY
    plain.publish({**MANY, "c": None})
    assert plain.outcome(AUTO).detours == ("delta_missing",)


def test_a_head_whose_length_nobody_would_fetch_is_not_followed(stage: Stage) -> None:
    stage.publish(MANY)
    length = 16 + 16 * (limits.LOG_RECORDS + 1)
    end = heads.LogEnd(length=length, digest=stage.publisher.head(stage.kid, now=NOW).digest)
    stage.publisher.sign(stage.kid, now=NOW, log=end, count=10_000_000)
    outcome = stage.outcome(LOG)
    assert (outcome.way, stage.host.asked(".log")) == ("full", [])


# Interruption.


def test_an_interrupted_log_goes_on_where_it_stopped(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RANGE_BYTES", 1000)
    stage.publish(MANY)
    stage.host.fails_after = 4  # the JWKS, the head, two pieces
    assert stage.outcome(LOG).code == "fetch_failed"
    stage.host.fails_after = None
    outcome = stage.outcome(LOG)
    first = next(headers["range"] for _, url, headers in stage.host.requests if url.endswith(".log"))
    assert (outcome.way, first) == ("log", "bytes=2000-2999")
    assert list(stage.folder.rglob("*.part")) == []
    assert stage.status("rid-7") == ("revoked", None)


def test_an_interrupted_chain_of_deltas_goes_on_where_it_stopped(stage: Stage) -> None:
    stage.publish(MORE)
    stage.outcome(DELTA)
    for number in range(5):
        stage.publish({**MORE, f"new-{number}": None})
    stage.host.fails_after = 3  # the JWKS, two deltas
    assert stage.outcome(DELTA).code == "fetch_failed"
    stage.host.fails_after = None
    outcome = stage.outcome(DELTA)
    assert outcome.way == "delta"
    assert stage.host.asked("-2.json") == stage.host.asked("-3.json") == []
    assert stage.status("new-4") == ("revoked", None)


def test_a_wrong_part_is_not_kept(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RANGE_BYTES", 1000)
    stage.publish(MANY)
    stage.host.fails_after = 4
    stage.outcome(LOG)
    stage.host.fails_after = None
    for path in stage.folder.rglob("*.part"):
        path.write_bytes(bytes(len(path.read_bytes())))
    outcome = stage.outcome(LOG)
    assert (outcome.way, outcome.detours) == ("full", ("log_mismatch",))
    assert list(stage.folder.rglob("*.part")) == []


def test_two_synchronisations_at_once_do_no_harm(stage: Stage) -> None:
    stage.publish(MANY)

    async def both() -> None:
        await asyncio.gather(
            *(
                sync([ISSUER], folder=stage.folder, fetcher=stage.host, clock=lambda: NOW, rules=FULL)
                for _ in range(3)
            )
        )

    asyncio.run(both())
    assert stage.status("rid-1") == ("revoked", None)
    assert sorted(path.suffix for path in stage.folder.rglob(f"{stage.kid}*")) == [".json", ".list", ".set"]


# Signed heads.


def test_a_pinned_key_speaks_for_the_list(stage: Stage) -> None:
    stage.publish({"bad": None})
    for rules in (FULL, LOG, AUTO):
        assert stage.outcome(stage.pinned(rules)).code is None
    assert stage.status("good") == ("good", None)
    stage.now += 7 * DAY + 1
    assert stage.status("good") == ("unknown", "unverified")
    assert stage.status("bad") == ("revoked", "unverified")


def test_a_pinned_key_is_demanded_from_then_on(stage: Stage) -> None:
    stage.publish({"bad": None})
    stage.outcome()
    assert stage.status("good") == ("good", None)
    del stage.host.files[stage.url("head")]
    assert stage.outcome(stage.pinned()).code == "head_missing"
    assert stage.status("good") == ("unknown", "unverified")
    assert stage.outcome(FULL).code == "head_missing", "the store remembers the key"
    assert stage.outcome(replace(FULL, unsigned=True)).code is None
    assert stage.status("good") == ("good", None)


def forged(stage: Stage) -> None:
    other = heads.sign(stage.publisher.head(stage.kid, now=NOW), signer=Key.generate("ES256"))
    stage.host.files[stage.url("head")] = other.encode()


def altered(stage: Stage) -> None:
    header, payload, signature = stage.host.files[stage.url("head")].split(b".")
    flipped = b"B" if signature[:1] == b"A" else b"A"
    stage.host.files[stage.url("head")] = b".".join((header, payload, flipped + signature[1:]))


def of_another_list(stage: Stage) -> None:
    stage.publisher.sign(stage.kid, now=NOW, kid="A" * 43)


def of_another_issuer(stage: Stage) -> None:
    stage.publisher.sign(stage.kid, now=NOW, iss="https://other.example")


def expired(stage: Stage) -> None:
    stage.publisher.sign(stage.kid, now=NOW, exp=NOW - 1)


def from_the_future(stage: Stage) -> None:
    stage.publisher.sign(stage.kid, now=NOW + limits.CLOCK_SKEW + 1)


def of_other_content(stage: Stage) -> None:
    stage.publisher.sign(stage.kid, now=NOW, digest=f"sha-256:{'A' * 43}", log=None)


def garbage(stage: Stage) -> None:
    stage.host.files[stage.url("head")] = b"\xff" * 100


def too_large(stage: Stage) -> None:
    stage.host.files[stage.url("head")] += b"A" * limits.HEAD_BYTES


HEADS: Mapping[Any, str] = {
    forged: "head_key_unknown",
    altered: "signature_invalid",
    of_another_list: "head_of_another_list",
    of_another_issuer: "head_of_another_list",
    expired: "head_expired",
    from_the_future: "head_from_the_future",
    of_other_content: "crl_unsigned",
    garbage: "head_malformed",
    too_large: "fetch_too_large",
}


@pytest.mark.parametrize("fault", HEADS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("rules", [FULL, AUTO], ids=["full", "auto"])
def test_a_head_that_does_not_hold_leaves_the_status_unverified(
    stage: Stage, fault: Any, rules: SyncRules
) -> None:
    stage.publish({"bad": None})
    fault(stage)
    assert stage.outcome(stage.pinned(rules)).code == HEADS[fault]
    expected = "malformed" if fault is too_large else "unverified"
    assert stage.status("good") == stage.status("bad") == ("unknown", expected)


@pytest.mark.parametrize("fault", HEADS, ids=lambda fault: fault.__name__)
def test_without_a_pinned_key_a_head_is_worth_no_more_than_the_list(stage: Stage, fault: Any) -> None:
    stage.publish({"bad": None})
    fault(stage)
    assert stage.outcome(AUTO).code is None
    assert stage.status("bad") == ("revoked", None)
    assert stage.status("good") == ("good", None)


def test_a_head_does_not_go_back(stage: Stage) -> None:
    stage.publish({})
    older = {name: stage.host.files[stage.url(name)] for name in ("head", "list", "log", "jwks.json")}
    stage.now += DAY
    stage.publish({"bad": None})
    stage.outcome(stage.pinned())
    for name, data in older.items():
        stage.host.files[stage.url(name)] = data
    assert stage.outcome().code == "head_rolled_back"
    assert stage.status("bad") == ("revoked", None)


def test_a_head_signed_earlier_for_the_same_counter_is_going_back_too(stage: Stage) -> None:
    stage.publish({})
    earlier = stage.host.files[stage.url("head")]
    stage.now += DAY
    stage.publisher.sign(stage.kid, now=stage.now)
    stage.outcome(stage.pinned())
    stage.host.files[stage.url("head")] = earlier
    assert stage.outcome().code == "head_rolled_back"


def test_a_head_that_lags_behind_the_jwks_chooses_no_way(stage: Stage) -> None:
    stage.publish(MANY)
    stage.outcome(LOG)
    older = stage.host.files[stage.url("head")]
    stage.publish({**MANY, "bad": None})
    stage.host.files[stage.url("head")] = older
    outcome = stage.outcome(LOG)
    assert (outcome.way, outcome.code, outcome.detours) == ("full", None, ("head_stale",))
    assert stage.status("bad") == ("revoked", None)


def test_a_host_that_changes_the_list_is_found_out_by_the_head_alone(stage: Stage) -> None:
    stage.publish({"bad": None})
    stage.host.files[stage.url("list")] = stage.host.files[stage.url("list")].replace(b'"bad"', b"")
    assert stage.outcome(stage.pinned()).code == "crl_unsigned"
    assert stage.status("bad") == ("unknown", "unverified")
    stage.outcome(replace(FULL, unsigned=True))
    assert stage.status("bad") == ("good", None), "without the head nobody can know"


def test_a_head_is_renewed_before_it_ends(stage: Stage) -> None:
    stage.publish({"bad": None})
    daily = stage.pinned(SyncRules(refresh=DAY))
    assert stage.outcome(daily).way == "log"
    assert stage.outcome(daily).way == "kept"
    stage.now += 6 * DAY
    stage.publisher.sign_all(now=stage.now)
    assert stage.outcome(daily).way == "unchanged"
    stage.now += 2 * DAY
    assert stage.status("good") == ("good", None)


def test_a_publisher_at_work_is_asked_once_more(stage: Stage) -> None:
    stage.publish({})
    before = stage.host.files[stage.url("head")]
    stage.publish({"bad": None})
    stage.publisher.announce(stage.kid, 1)
    after = stage.host.files[stage.url("head")]
    stage.host.files[stage.url("head")] = before
    answer = stage.host._answer

    def then_the_head(url: str, headers: dict[str, str]) -> Response:
        given = answer(url, headers)
        if url == stage.url("list"):
            stage.host.files[stage.url("head")] = after
        return given

    stage.host._answer = then_the_head  # type: ignore[method-assign]
    outcome = stage.outcome(stage.pinned())
    assert (outcome.code, outcome.detours) == (None, ("crl_unsigned",))
    assert stage.status("bad") == ("revoked", None)
