"""`safeconduct demo`: the whole life of a credential on this machine."""

import typer

from safeconduct.cli.options import AsJson


def demo(*, as_json: AsJson = False) -> None:
    """Play the life of a credential, attacks included.

    It runs over HTTP on this machine, and shows what each party saw.

    Exit status 0: every promise held.

    \b
    Example:
      safeconduct demo
    """
    import asyncio

    from rich.console import Console

    from safeconduct.cli import output
    from safeconduct.demo import run

    output.check_open()
    raise typer.Exit(asyncio.run(run(Console(), json=as_json)))
