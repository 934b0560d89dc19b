"""Write docs/reference/cli.md from the commands' own help."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from safeconduct.cli.main import app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"
WIDTH = 80

HEAD = """\
# Commands

The help of every command, as `--help` prints it. Made by `scripts/cli_reference.py`, not by hand.

Where settings come from: [Run the services](../how-to/run-the-services.md#where-settings-come-from).
What the codes of errors mean: [Error codes](errors.md).
"""


def page() -> str:
    """Return the page as it should be."""
    sections = (
        f"\n## {name}\n\n```text\n{text}\n```\n" for name, text in helps(get_command(app), "safeconduct")
    )
    return HEAD + "".join(sections)


def helps(command: Any, name: str, parent: Any = None) -> Iterator[tuple[str, str]]:
    """Yield the full name and the help of a command and of all below it."""
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=WIDTH, **command.context_settings
    )
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield context.command_path, text
    for verb, inner in getattr(command, "commands", {}).items():
        yield from helps(inner, verb, context)


def main() -> int:
    """Write the page; return the exit status."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
