"""`safeconduct wallet persona`: several holders in one wallet, of whom none sees what another has."""

from typing import TYPE_CHECKING, Annotated

import typer

from safeconduct.cli.options import AsJson, Config
from safeconduct.cli.wallet import common
from safeconduct.cli.wallet.common import Yes

if TYPE_CHECKING:
    from safeconduct.settings import WalletSettings

app = typer.Typer(
    help="Hold credentials apart: each persona has keys and a store of its own.\n\n"
    "`safeconduct wallet --persona NAME` does any of the wallet's commands for that persona.",
    no_args_is_help=True,
)

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Small letters and digits, with single hyphens between."),
]


@app.command("list")
def list_personas(config: Config = None, as_json: AsJson = False) -> None:
    """List the personas that have a name, besides the one that needs none.

    \b
    Example:
      safeconduct wallet persona list
    """
    from safeconduct.cli import operating, output
    from safeconduct.wallet import personas

    names = personas.list_names(operating.settings(config).wallet)
    if as_json:
        output.write_json({"personas": list(names)})
        return
    for name in names:
        output.write_columns(name)


@app.command()
def add(name: Name, config: Config = None, as_json: AsJson = False) -> None:
    """Add a persona. Its store is locked at once, by a key of its own.

    \b
    Example:
      safeconduct wallet persona add work
    """
    from safeconduct.cli import operating, output
    from safeconduct.wallet import personas

    personas.add(operating.settings(config).wallet, name)
    common.choose_persona(name)

    async def work(_wallet: object) -> None:
        """Opening it has made its store."""

    common.with_wallet(config, work)
    if as_json:
        output.write_json({"added": name})
    else:
        output.note(f"Use it so: `safeconduct wallet --persona {name} list`.")


@app.command()
def remove(name: Name, yes: Yes = False, config: Config = None, as_json: AsJson = False) -> None:
    """Delete a persona with all its keys and credentials, for good.

    On a terminal it asks first; elsewhere --yes has to be given.

    \b
    Example:
      safeconduct wallet persona remove work --yes
    """
    from safeconduct.cli import operating, output
    from safeconduct.wallet import personas, safe

    settings = operating.settings(config).wallet
    personas.store_of(personas.chosen(settings, personas.check_name(name)))
    _confirm(name, yes=yes)

    async def forget(chosen: "WalletSettings") -> None:
        await safe.forget(chosen, passphrase=common.passphrase_of(chosen))

    operating.carry_out(personas.remove(settings, name, forget=forget))
    if as_json:
        output.write_json({"removed": name})


def _confirm(name: str, *, yes: bool) -> None:
    from safeconduct.cli.faults import WrongUse
    from safeconduct.errors import Rejected

    if yes:
        return
    if not common.on_terminal():
        raise WrongUse("give --yes: nobody is here to be asked whether all keys of the persona may go")
    if not typer.confirm(f"Delete all keys and credentials of {name}?", err=True):
        raise Rejected("declined", "You did not agree, so nothing more was done.")
