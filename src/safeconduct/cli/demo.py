"""`safeconduct demo`: the whole life of a credential on this machine, or a transfer between two people."""

from typing import Annotated

import typer

from safeconduct.cli.options import AsJson

Transfer = Annotated[
    bool,
    typer.Option("--transfer", help="Play a transfer: a right is shared through a relay, used, taken back."),
]


def demo(*, transfer: Transfer = False, as_json: AsJson = False) -> None:
    """Play the life of a credential, attacks included.

    It runs over HTTP on this machine, and shows what each party saw.

    Exit status 0: every promise held.

    \b
    Example:
      safeconduct demo --transfer
    """
    import asyncio

    from rich.console import Console

    from safeconduct.cli import output
    from safeconduct.demo import run, run_transfer

    output.check_open()
    console = Console()
    played = run_transfer(console, as_json=as_json) if transfer else run(console, json=as_json)
    raise typer.Exit(asyncio.run(played))
