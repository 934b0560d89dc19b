"""How every command ends: the one place where an error becomes an exit status.

0: done, or valid. 1: the credential or message is not acceptable, `code: reason` on standard error.
2: wrong use, with what to do next on standard error. With --json the error is a document on standard output.
"""

from typing import Any, Protocol

import typer
from typer.core import TyperGroup

from safeconduct.cli import output
from safeconduct.cli.faults import WrongUse
from safeconduct.errors import SafeconductError

NOT_ACCEPTABLE = 1
WRONG_USE = 2

_AS_JSON = "safeconduct.as_json"


class _Memory(Protocol):
    """What a context gives: a memory that a command shares with the group it belongs to."""

    @property
    def meta(self) -> dict[str, Any]: ...


class Application(TyperGroup):
    """The root of all commands; turns their errors into exit statuses."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except SafeconductError as error:
            _report(ctx, error.code, error.reason)
            raise typer.Exit(NOT_ACCEPTABLE) from None
        except WrongUse as error:
            _report(ctx, "wrong_use", str(error))
            raise typer.Exit(WRONG_USE) from None


def remember_json(ctx: typer.Context, value: bool) -> bool:
    """Note that the command is to answer in JSON, errors included."""
    ctx.meta[_AS_JSON] = value
    return value


def _report(ctx: _Memory, code: str, reason: str) -> None:
    if ctx.meta.get(_AS_JSON):
        try:
            output.write_json({"code": code, "reason": reason})
        except WrongUse:
            output.note(f"{code}: {reason}")
    else:
        output.note(f"{code}: {reason}" if code != "wrong_use" else f"Error: {reason}")
