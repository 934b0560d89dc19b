"""The demonstration itself, over real sockets, as `safeconduct demo` runs it."""

import asyncio
import io
import json
from typing import Any

from rich.console import Console

from safeconduct.demo import run, story
from safeconduct.demo.attacks import Attempt


def play(**arguments: Any) -> tuple[int, str]:
    screen = io.StringIO()
    status = asyncio.run(run(Console(file=screen, width=160), **arguments))
    return status, screen.getvalue()


def test_everything_holds_and_the_tables_say_so() -> None:
    status, printed = play()
    assert status == 0
    assert "Everything held." in printed
    for heading in ("What each party saw", "wallet server", "Attacks", "faked nonce challenge"):
        assert heading in printed


def test_json_is_one_document_with_every_finding() -> None:
    status, printed = play(json=True)
    document = json.loads(printed)
    assert (status, document["held"]) == (0, True)
    assert [further["kept"] for further in document["further"]] == [True] * 3
    assert document["presented"]["claims"] == [
        "age_over_18",
        "cnf",
        "exp",
        "given_name",
        "iat",
        "iss",
        "nbf",
        "sub",
        "vct",
    ]
    assert {attack["name"] for attack in document["attacks"]} == {
        "replayed presentation",
        "forged disclosure",
        "body swap",
        "swapped issuer key",
        "swapped response key",
        "faked nonce challenge",
        "replayed request",
        "withheld answer",
    }
    assert all(attack["repelled"] for attack in document["attacks"])
    seen = {(row["secret"], row["party"]): row for row in document["sightings"]}
    assert all(row["searched"] > 0 for row in seen.values())
    assert [
        secret for (secret, party), row in seen.items() if party == "wallet server" and row["places"]
    ] == ["access token"]
    assert not any(row["places"] for (_, party), row in seen.items() if party == "wallet's database")


def test_an_attack_that_succeeds_is_printed_and_changes_the_exit_status(monkeypatch: Any) -> None:
    async def succeed(*_: Any, **__: Any) -> Attempt:
        return Attempt(name="replayed presentation", tried="the same", obtained=1, noticed=())

    monkeypatch.setattr(story.attacks, "replay_presentation", succeed)
    status, printed = play()
    assert status == 1
    assert "Something did not hold." in printed
    assert "succeeded" in printed
