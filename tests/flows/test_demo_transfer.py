"""The demonstration of a transfer, over real sockets, as `safeconduct demo --transfer` runs it."""

import asyncio
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from safeconduct.demo import run_transfer
from safeconduct.demo.parties import Room
from safeconduct.demo.transfer_story import CLAIMS, play_transfer
from safeconduct.wallet.sharing import sending


def play(**arguments: Any) -> tuple[int, str]:
    screen = io.StringIO()
    status = asyncio.run(run_transfer(Console(file=screen, width=160), **arguments))
    return status, screen.getvalue()


def test_everything_holds_and_the_tables_say_so() -> None:
    status, printed = play()
    assert status == 0, printed
    for heading in ("Everything held.", "What passed the relay", "What each party saw", "Carl", "PIN"):
        assert heading in printed


def test_json_is_one_document_with_every_finding() -> None:
    status, printed = play(as_json=True)
    document = json.loads(printed)
    assert (status, document["held"]) == (0, True)
    assert len(document["steps"]) == 10
    assert all(step["kept"] for step in document["steps"])
    seen = {(row["secret"], row["party"]): row["places"] for row in document["sightings"]}
    assert {party for _, party in seen} == {"Ann", "Ben", "relay", "verifier"}
    assert not any(places for (_, party), places in seen.items() if party == "relay")
    assert all(places for (secret, party), places in seen.items() if party == "Ann" and "Ben" not in secret)
    assert {row["method"] for row in document["relay"]} == {"POST", "GET", "DELETE"}


def test_a_wallet_that_tells_the_relay_what_it_shares_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TITLE", f"The key of {CLAIMS['vehicle']}")
    now = int(time.time())
    story = asyncio.run(play_transfer(tmp_path, network=Room(), clock=lambda: now))
    assert all(step.kept for step in story.steps)
    assert not story.held
    assert [(seen.secret, seen.party) for seen in story.sightings if not seen.kept] == [
        ("what is shared", "relay")
    ]
