"""A synchronisation is killed at any moment: what is held stays whole, and the next one gets there."""

import asyncio
from pathlib import Path

import pytest
from tests.killing import FORK, killed_at
from tests.unit.evidence.stage import AUTO, DELTA, FULL, ISSUER, LOG, MANY, NOW, Stage

from safeconduct import limits
from safeconduct.evidence import card_sets
from safeconduct.evidence.sync import SyncRules, sync

RULES = {"full": FULL, "delta": DELTA, "log": LOG, "cheapest": AUTO}
MOMENTS = 60
"""More than a synchronisation has."""


@pytest.mark.parametrize("way", RULES)
def test_whenever_it_is_killed_the_old_list_or_the_new_one_is_there(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = RULES[way]
    monkeypatch.setattr(limits, "RANGE_BYTES", 2000)
    stage = Stage(tmp_path / "store")
    entries: dict[str, int | None] = {**MANY}
    stage.publish(entries)
    stage.sync(rules)
    old = card_sets.of_list(entries)
    kills = 0
    for moment in range(MOMENTS):
        entries = {**entries, f"new-{moment}": None}
        stage.publish(entries)
        new = card_sets.of_list(entries)
        if killed_at(moment, lambda: stage.sync(rules)):
            kills += 1
            assert stage.store.entries(ISSUER, stage.kid) in (old, new)
            assert stage.status("rid-1", version=1)[0] == "revoked"
            assert stage.outcome(rules).code is None
        assert stage.store.entries(ISSUER, stage.kid) == new
        old = new
    assert 10 < kills < MOMENTS
    left = {path.suffix for path in stage.folder.rglob(f"*{stage.kid}*")}
    assert left == {".json", ".set", ".log" if way == "log" else ".list"}
    assert not any(path.name.startswith(f".{stage.kid}") for path in stage.folder.rglob("*"))


def test_a_first_synchronisation_that_is_killed_leaves_nothing_that_misleads(tmp_path: Path) -> None:
    for moment in range(MOMENTS):
        stage = Stage(tmp_path / str(moment))
        stage.publish({"bad": None})
        killed = killed_at(moment, lambda stage=stage: stage.sync(FULL))  # type: ignore[misc]
        state, reason = stage.status("bad", version=1)
        assert (state, reason) in (("revoked", None), ("unknown", "missing"))
        assert stage.outcome().code is None
        assert stage.status("bad") == ("revoked", None)
        if not killed:
            return
    pytest.fail("there are more moments than the test knows")


def test_processes_that_synchronise_at_once_wait_for_each_other(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "store")
    for number in range(5):
        stage.publish({**MANY, **{f"new-{n}": None for n in range(number)}})
        work = [FORK.Process(target=_several_times, args=(stage, rules)) for rules in RULES.values()]
        for process in work:
            process.start()
        for process in work:
            process.join(120)
        assert [process.exitcode for process in work] == [0] * len(work)
        newest = card_sets.of_list({**MANY, **{f"new-{n}": None for n in range(number)}})
        assert stage.store.entries(ISSUER, stage.kid) == newest


def _several_times(stage: Stage, rules: SyncRules) -> None:
    for _ in range(3):
        report = asyncio.run(
            sync([ISSUER], folder=stage.folder, fetcher=stage.host, clock=lambda: NOW, rules=rules)
        )
        if report.faults:
            raise SystemExit(1)
