"""What the story of a transfer found, for people and for programs."""

from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table

from safeconduct.demo.report import mark, passages_table, sightings_table

if TYPE_CHECKING:
    from safeconduct.demo.transfer_story import TransferStory


def print_tables(console: Console, story: "TransferStory") -> None:
    """Print what happened, what passed the relay, and who saw what."""
    course = Table(title="A right that is shared", show_header=False, title_justify="left")
    for step in story.steps:
        course.add_row(step.name, mark(step.kept))
    console.print(course)
    console.print(passages_table("What passed the relay", story.passages))
    console.print(sightings_table(story.sightings))
    console.print(
        "[dim]Found by searching what was recorded: every byte of HTTP in and out, every log line, every "
        "page of the databases, for each value raw, in hex and in base64url.[/dim]\n"
    )
    verdict = "[green]Everything held.[/green]" if story.held else "[red]Something did not hold.[/red]"
    console.print(f"{verdict} {story.seconds:.1f} s")


def print_json(console: Console, story: "TransferStory") -> None:
    """Print the same as one JSON document."""
    document: dict[str, Any] = {
        "held": story.held,
        "seconds": round(story.seconds, 3),
        "steps": [msgspec.to_builtins(step) for step in story.steps],
        "relay": [msgspec.to_builtins(passage) for passage in story.passages],
        "sightings": [
            {**msgspec.to_builtins(sighting), "kept": sighting.kept} for sighting in story.sightings
        ],
    }
    console.out(msgspec.json.encode(document).decode(), highlight=False)
