"""The command line: `safeconduct NOUN VERB`. Nothing heavy is imported before a command runs."""

import sys
from types import TracebackType
from typing import Annotated

import typer
from typer.main import get_command

from safeconduct.cli import (
    deferred,
    demo,
    health_card,
    interop,
    issued,
    key,
    login,
    offer,
    output,
    sd_cwt,
    sd_jwt,
    serve,
    status,
    wallet,
)
from safeconduct.cli.application import Application

app = typer.Typer(
    name="safeconduct",
    cls=Application,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(key.app, name="key")
app.add_typer(sd_cwt.app, name="sd-cwt")
app.add_typer(sd_jwt.app, name="sd-jwt")
app.add_typer(health_card.app, name="health-card")
app.add_typer(status.app, name="status")
app.add_typer(serve.app, name="serve")
app.add_typer(offer.app, name="offer")
app.add_typer(deferred.app, name="deferred")
app.add_typer(issued.app, name="issued")
app.add_typer(login.app, name="login")
app.add_typer(wallet.app, name="wallet")
app.add_typer(interop.app, name="interop")
app.command()(demo.demo)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        output.write_text(f"safeconduct {version('safeconduct')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Digital credentials that stay private at every hop: issue, hold, present, verify.

    Exit status: 0 done or valid; 1 the credential or message is not acceptable, "code: reason" on standard
    error; 2 wrong use.

    \b
    Example:
      safeconduct demo
    """
    del version
    if ctx.invoked_subcommand is None:
        output.write_text(ctx.get_help())


def run() -> None:
    """Run the command that the arguments name, and end the process."""
    sys.excepthook = _say_without_traceback
    get_command(app)(prog_name="safeconduct")


def _say_without_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """A defect of the program itself: name it and its place, never its data. The exit status is 1."""
    place = ""
    while trace is not None:
        place = f" in {trace.tb_frame.f_globals.get('__name__', '?')}, line {trace.tb_lineno}"
        trace = trace.tb_next
    del error
    output.note(f"internal_error: {kind.__name__}{place}. Please report this.")
