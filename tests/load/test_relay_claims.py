"""Many racers for each mailbox, two relay processes, one database: each mailbox has exactly one winner (A6).

`make load` has 1000 mailboxes and 64 racers for each; without SAFECONDUCT_LOAD_MAILBOXES, a few show that all
of it works.
"""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.load import claimants
from tests.services.relay_processes import relay_processes

MAILBOXES = int(os.environ.get("SAFECONDUCT_LOAD_MAILBOXES", "12"))
RACERS = int(os.environ.get("SAFECONDUCT_LOAD_RACERS", "16"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/relay.db"
    return str(request.getfixturevalue("postgres_url"))


def test_A6_of_many_who_come_at_once_one_is_the_receiver(
    tmp_path: Path, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    with relay_processes(tmp_path, database, 2) as relays:
        races = asyncio.run(claimants.run(relays.urls, mailboxes=MAILBOXES, racers=RACERS))
    with capsys.disabled():
        kind = database.partition(":")[0].partition("+")[0]
        print(f"\n{kind}: {MAILBOXES} mailboxes, {RACERS} racers each, {time.monotonic() - begun:.1f} s")
    assert len(races) == MAILBOXES
    assert [race for race in races if len(race.winners) != 1] == []
    assert sum((race.statuses for race in races), Counter()) == {
        200: MAILBOXES,
        401: MAILBOXES * (RACERS - 1),
    }
    assert sum((race.codes for race in races), Counter()) == {"claim_refused": MAILBOXES * (RACERS - 1)}
    assert {(race.state, race.sequence) for race in races} == {("claimed", 2)}
    assert all(race.stays for race in races)


def test_a_relay_that_looks_first_and_binds_later_would_be_found_out(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/relay.db"
    with relay_processes(tmp_path, database, 2, careless=True) as relays:
        races = asyncio.run(claimants.run(relays.urls, mailboxes=4, racers=16))
    assert [race for race in races if len(race.winners) > 1] != []
