"""The demonstration's findings, for people and for programs."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from rich.console import Console
from rich.table import Table

from safeconduct.demo.attacks import Attempt
from safeconduct.demo.sightings import Passage, Sighting

if TYPE_CHECKING:
    from safeconduct.demo.story import Story


def print_tables(console: Console, story: "Story") -> None:
    """Print what happened, who saw what, and what came of the attacks."""
    console.print(_course(story))
    console.print(passages_table("What passed the wallet server", story.passages))
    console.print(sightings_table(story.sightings))
    console.print(
        "[dim]Found by searching what was recorded: every byte of HTTP in and out, every log line, every "
        "page of the databases, for each value raw, in hex and in base64url. The issuer's traffic is what "
        "reaches it: envelopes, which it alone opens.[/dim]\n"
    )
    console.print(_attacks_table(story.attempts))
    verdict = "[green]Everything held.[/green]" if story.held else "[red]Something did not hold.[/red]"
    console.print(f"{verdict} {story.seconds:.1f} s")


def print_json(console: Console, story: "Story") -> None:
    """Print the same as one JSON document."""
    document: dict[str, Any] = {
        "held": story.held,
        "seconds": round(story.seconds, 3),
        "presented": {
            "accepted": story.shown.accepted,
            "as_chosen": story.presented_as_chosen,
            "claims": sorted(story.shown.claims),
        },
        "further": [msgspec.to_builtins(further) for further in story.further],
        "notices": story.issued,
        "wallet_server": [msgspec.to_builtins(passage) for passage in story.passages],
        "sightings": [
            {**msgspec.to_builtins(sighting), "kept": sighting.kept} for sighting in story.sightings
        ],
        "attacks": [
            {**msgspec.to_builtins(attempt), "repelled": attempt.repelled} for attempt in story.attempts
        ],
    }
    console.out(msgspec.json.encode(document).decode(), highlight=False)


def _course(story: "Story") -> Table:
    table = Table(title="The life of a credential", show_header=False, title_justify="left")
    table.add_row("issued through the wallet server", mark(not story.issued))
    table.add_row("two claims presented, all others withheld", mark(story.presented_as_chosen))
    for further in story.further:
        table.add_row(further.name, mark(further.kept))
    return table


def passages_table(title: str, passages: tuple[Passage, ...]) -> Table:
    """Return a table of exchanges, with nothing of them but their sizes."""
    table = Table(title=title, title_justify="left")
    for heading in ("", "request", "bytes", "status", "bytes"):
        table.add_column(
            heading, justify="right" if heading in ("bytes", "status") else "left", overflow="fold"
        )
    for passage in passages:
        target = urlsplit(passage.target).path
        sizes = f"{passage.bytes_in:,}", str(passage.status), f"{passage.bytes_out:,}"
        table.add_row(passage.direction, f"{passage.method} {target}", *sizes)
    return table


def sightings_table(sightings: tuple[Sighting, ...]) -> Table:
    """Return a table of where each party has what; what breaks a promise is red."""
    table = Table(title="What each party saw", title_justify="left")
    parties = tuple(dict.fromkeys(sighting.party for sighting in sightings))
    table.add_column("secret")
    for party in parties:
        table.add_column(party)
    for secret in dict.fromkeys(sighting.secret for sighting in sightings):
        cells = {sighting.party: _cell(sighting) for sighting in sightings if sighting.secret == secret}
        table.add_row(secret, *(cells[party] for party in parties))
    return table


def _attacks_table(attempts: tuple[Attempt, ...]) -> Table:
    table = Table(title="Attacks", title_justify="left")
    for heading in ("attack", "what was tried", "came of it", "noticed by"):
        table.add_column(heading, overflow="fold")
    for attempt in attempts:
        outcome = "rejected" if attempt.repelled else "succeeded" if attempt.obtained else "unnoticed"
        colour = "green" if attempt.repelled else "red"
        table.add_row(
            attempt.name, attempt.tried, f"[{colour}]{outcome}[/{colour}]", "\n".join(attempt.noticed)
        )
    return table


def _cell(sighting: Sighting) -> str:
    text = ", ".join(sighting.places) or "nothing"
    return text if sighting.kept else f"[bold red]{text}[/bold red]"


def mark(good: bool) -> str:
    """Return the word for whether something is as promised."""
    return "[green]yes[/green]" if good else "[red]no[/red]"
