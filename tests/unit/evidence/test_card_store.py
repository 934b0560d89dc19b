"""A store tells what it holds, notices what changes, and says so when its own files are damaged."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.status_host import Publisher, card_key
from tests.unit.evidence.stage import AUTO, DAY, DELTA, FULL, ISSUER, LOG, MANY, NOW, Card, Stage

from safeconduct import limits
from safeconduct.errors import Rejected
from safeconduct.evidence import card_store
from safeconduct.evidence.card_store import CardStore, place
from safeconduct.evidence.sync import sync


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "store")


def test_an_empty_store_knows_nothing(tmp_path: Path) -> None:
    store = CardStore.open(tmp_path / "absent")
    card = Card(ISSUER, "A" * 43, NOW, "a")
    assert store.card_status(card, crl_version=None, now=NOW).reason == "no-crl"
    assert store.card_status(card, crl_version=1, now=NOW).reason == "missing"
    assert (store.issuers(), store.kids(ISSUER), store.keys(ISSUER)) == ((), (), None)
    assert store.keys_named("A" * 43) == {}
    assert store.entries(ISSUER, "A" * 43) == b""


def test_it_is_a_directory_of_keys(stage: Stage) -> None:
    stage.publish({})
    stage.sync()
    assert list(stage.store.keys_named(stage.kid)) == [ISSUER]
    assert stage.store.keys_named(stage.kid)[ISSUER].crl_version == 1
    assert stage.store.issuers() == (ISSUER,)
    assert stage.store.kids(ISSUER) == (stage.kid,)


def test_a_key_that_the_issuer_withdraws_is_no_longer_known(stage: Stage) -> None:
    other = card_key()
    publisher = Publisher(stage.host, ISSUER, keys=[stage.key, other])
    publisher.publish(stage.kid, {"bad": None}, now=NOW)
    stage.sync()
    store = stage.store
    assert store.keys_named(other["kid"])
    publisher.withdraw_key(other["kid"])
    stage.sync()
    assert store.keys_named(other["kid"]) == {}
    assert store.keys_named(stage.kid)


def test_one_kid_of_two_issuers_has_two_lists(stage: Stage) -> None:
    stage.publish({"bad": None})
    elsewhere = Publisher(stage.host, "https://other.example", keys=[stage.key])
    elsewhere.publish(stage.kid, {"worse": None}, now=NOW)
    asyncio.run(sync([ISSUER, elsewhere.issuer], folder=stage.folder, fetcher=stage.host, clock=lambda: NOW))
    store = stage.store
    assert set(store.keys_named(stage.kid)) == {ISSUER, "https://other.example"}
    for issuer, rid, state in (
        (ISSUER, "bad", "revoked"),
        (ISSUER, "worse", "good"),
        ("https://other.example", "bad", "good"),
        ("https://other.example", "worse", "revoked"),
    ):
        card = Card(issuer, stage.kid, NOW, rid)
        assert store.card_status(card, crl_version=None, now=NOW).state == state


def test_a_counter_that_the_verifier_knows_from_elsewhere_counts_too(stage: Stage) -> None:
    stage.publish({})
    stage.sync()
    assert stage.status("a", version=1) == ("good", None)
    assert stage.status("a", version=2) == ("unknown", "stale")


def test_what_is_too_old_for_the_verifier_is_stale(stage: Stage) -> None:
    stage.publish({"bad": None})
    stage.sync()
    stage.now += DAY
    assert stage.status("a", max_age=DAY) == ("good", None)
    stage.now += 1
    assert stage.status("a", max_age=DAY) == ("unknown", "stale")
    assert stage.status("bad", max_age=DAY) == ("revoked", "stale")
    stage.sync()
    assert stage.status("a", max_age=DAY) == ("good", None)


def test_whether_there_is_a_list_may_have_become_unknown_as_well(stage: Stage) -> None:
    stage.sync()
    assert stage.status("a", max_age=DAY) == ("unknown", "no-crl")
    stage.now += DAY + 1
    assert stage.status("a", max_age=DAY) == ("unknown", "stale")


def test_a_key_whose_counter_is_withdrawn_keeps_its_list(stage: Stage) -> None:
    stage.publish({"bad": None})
    stage.sync()
    stage.publisher.announce(stage.kid, None)
    assert stage.outcome().way == "unchanged"
    assert stage.status("bad") == ("revoked", None)


def test_a_card_that_the_method_cannot_name_is_of_unknown_status(stage: Stage) -> None:
    stage.host.files[stage.url("list")] = b'{"kid":"KID","method":"hash-fhir","ctr":1,"rids":["a"]}'.replace(
        b"KID", stage.kid.encode()
    )
    stage.publisher.announce(stage.kid, 1)
    assert stage.outcome().code is None
    assert stage.status("a") == ("unknown", "unsupported-method")


def test_an_open_store_sees_what_is_synchronised_meanwhile(stage: Stage) -> None:
    card = Card(ISSUER, stage.kid, NOW, "rid-1")
    store = stage.store
    assert store.card_status(card, crl_version=None, now=NOW).reason == "no-crl"
    stage.publish(MANY)
    stage.sync(LOG)
    assert store.card_status(card, crl_version=None, now=NOW).state == "revoked"
    stage.publish({"other": None})
    stage.sync(FULL)
    assert store.card_status(card, crl_version=None, now=NOW).state == "good"


def test_a_reader_that_is_overtaken_reads_anew(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.publish({"bad": None})
    stage.sync()
    store = stage.store
    monkeypatch.setattr(card_store, "_stamp", lambda _path: None)  # notices no change by itself
    assert store.record(ISSUER, stage.kid) is not None
    stage.publish({"worse": None})
    stage.sync()
    card = Card(ISSUER, stage.kid, NOW, "worse")
    assert store.card_status(card, crl_version=None, now=NOW).state == "revoked"


def test_the_list_itself_is_given_to_who_wants_to_publish_it_further(stage: Stage) -> None:
    stage.publish({"b": None, "a": 5})
    stage.sync(DELTA)
    assert stage.store.list_bytes(ISSUER, stage.kid) == stage.host.files[stage.url("list")]
    stage.publish(MANY)
    stage.sync(AUTO)
    stage.sync(LOG)
    assert stage.store.held(ISSUER, stage.kid) is not None


def test_a_log_has_no_list_to_give(stage: Stage) -> None:
    stage.publish(MANY)
    assert stage.outcome(LOG).way == "log"
    assert stage.store.list_bytes(ISSUER, stage.kid) is None
    assert stage.store.list_bytes(ISSUER, "A" * 43) is None


@pytest.mark.parametrize("damage", [b"", b"{", b'{"kid":1}', b"\xff", b'{"issuer":"x","more":1}'])
def test_damaged_records_are_said_to_be_and_make_no_card_good(stage: Stage, damage: bytes) -> None:
    stage.publish({"bad": None})
    stage.sync()
    for name in (f"{stage.kid}.json", "issuer.json"):
        path = place(stage.folder, ISSUER) / name
        whole = path.read_bytes()
        path.write_bytes(damage)
        assert stage.status("good") == ("unknown", "malformed")
        assert [one.code for one in stage.sync().outcomes] == ["store_damaged"]
        path.write_bytes(whole)
    assert stage.status("bad") == ("revoked", None)


def test_a_record_beyond_its_bound_is_not_read(stage: Stage) -> None:
    stage.publish({})
    stage.sync()
    path = place(stage.folder, ISSUER) / f"{stage.kid}.json"
    path.write_bytes(path.read_bytes() + b" " * limits.STORE_RECORD_BYTES)
    assert stage.status("a")[0] == "unknown"


@pytest.mark.parametrize("suffix", ["set", "list"])
@pytest.mark.parametrize("cut", [1, None])
def test_a_lost_or_cut_file_is_fetched_again(stage: Stage, suffix: str, cut: int | None) -> None:
    stage.publish(MANY)
    stage.sync()
    (path,) = stage.folder.rglob(f"*.{suffix}")
    if cut is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-cut])
    if suffix == "set":
        assert stage.status("rid-1") == ("unknown", "malformed")
        with pytest.raises(Rejected) as error:
            stage.store.entries(ISSUER, stage.kid)
    else:
        with pytest.raises(Rejected) as error:
            stage.store.list_bytes(ISSUER, stage.kid)
    assert error.value.code == "store_damaged"
    assert stage.outcome().code is None
    assert stage.status("rid-1") == ("revoked", None)


def test_strangers_names_do_not_fill_the_memory(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STORE_REMEMBERED", 10)
    stage.publish({"bad": None})
    stage.sync()
    store = stage.store
    for number in range(100):
        card = Card(f"https://{number}.example", "A" * 43, NOW, "a")
        assert store.card_status(card, crl_version=None, now=NOW).reason == "no-crl"
        assert len(store._seen._records) <= 10
        assert len(store._seen._issuers) <= 10
    assert stage.status("bad") == ("revoked", None)


def test_a_file_name_is_made_of_no_ones_text(stage: Stage) -> None:
    store = stage.store
    for kid in ("../../etc/passwd", "", "a/b", "\x00" * 43):
        card = Card("../" + "\ud800", kid, NOW, "a")
        assert store.card_status(card, crl_version=None, now=NOW).reason == "no-crl"


def test_neither_store_nor_records_show_what_they_hold(stage: Stage) -> None:
    stage.publish({"bad": None})
    stage.sync()
    found = stage.store.lookup(ISSUER, stage.kid)
    assert "bad" not in repr(found)
    assert ISSUER not in repr(stage.store)


def test_records_of_issuers_are_private(stage: Stage) -> None:
    stage.publish({"bad": None})
    stage.sync()
    assert {path.stat().st_mode & 0o077 for path in stage.folder.rglob("*") if path.is_file()} == {0}


def test_refused_keys_are_counted(stage: Stage) -> None:
    def publisher(*keys: dict[str, Any]) -> Publisher:
        return Publisher(stage.host, ISSUER, keys=keys)

    publisher(stage.key, {**card_key(), "kid": "A" * 43})
    assert [one.refused for one in stage.sync().outcomes] == [1]


@pytest.mark.parametrize("jwks", [b"", b"[]", b'{"keys":1}', b"\xff"])
def test_a_faulty_jwks_does_not_replace_a_good_one(stage: Stage, jwks: bytes) -> None:
    stage.publish({"bad": None})
    stage.sync()
    stage.host.files[stage.url("jwks.json")] = jwks
    (outcome,) = stage.sync().outcomes
    assert outcome.way == "failed"
    assert stage.store.keys_named(stage.kid)
    assert stage.status("bad") == ("revoked", None)


def test_the_age_of_a_jwks_that_is_gone_shows(stage: Stage) -> None:
    stage.sync()
    del stage.host.files[stage.url("jwks.json")]
    stage.now += DAY
    assert [one.code for one in stage.sync().outcomes] == ["card_keys_missing"]
    record = stage.store.issuer(ISSUER)
    assert record is not None
    assert record.fetched_at == NOW


def test_a_counter_as_text_is_read(stage: Stage) -> None:
    stage.publish({"bad": None})
    stage.publisher.announce(stage.kid, "1")
    assert stage.outcome().code is None
    assert stage.status("bad") == ("revoked", None)


def test_progress_is_told_list_by_list_and_issuer_by_issuer(stage: Stage) -> None:
    stage.publish({"bad": None})
    told: list[tuple[str, str | None]] = []
    names = [ISSUER, "https://gone.example", ISSUER]
    report = asyncio.run(
        sync(
            names,
            folder=stage.folder,
            fetcher=stage.host,
            clock=lambda: NOW,
            rules=replace(FULL, at_once=1),
            progress=lambda one: told.append((one.issuer, one.kid)),
        )
    )
    assert told == [(ISSUER, stage.kid), (ISSUER, None), ("https://gone.example", None)]
    assert report.received == stage.host.sent
    assert [one.code for one in report.faults] == ["card_keys_missing"]


def test_a_full_disk_is_no_fault_of_an_issuer(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    stage.publish({"bad": None})
    stage.sync()
    stage.publish({"worse": None})
    monkeypatch.setattr(card_store.disk.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        stage.sync()
    monkeypatch.undo()
    assert stage.status("bad", version=1)[0] == "revoked"
    assert stage.outcome().code is None
    assert stage.status("worse") == ("revoked", None)
