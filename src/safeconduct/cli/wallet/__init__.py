"""`safeconduct wallet`: the holder's credentials, one file for each thing to do with them."""

from typing import Annotated

import typer

from safeconduct.cli.wallet import (
    approving,
    common,
    contacts,
    delegating,
    getting,
    holding,
    personas,
    protecting,
    receiving,
    sharing,
    showing,
    trusting,
)

app = typer.Typer(no_args_is_help=True)
for _command in (
    getting.accept,
    getting.request,
    getting.fetch,
    getting.resume,
    getting.renew,
    holding.show,
    showing.present,
    holding.delete,
    sharing.share,
    receiving.receive,
    sharing.shares,
    sharing.link,
    approving.approve,
    sharing.revoke,
    delegating.delegate,
    receiving.decline,
    protecting.backup,
    protecting.restore,
    protecting.rekey,
):
    app.command()(_command)
app.command("list")(holding.list_credentials)
app.command("remove", hidden=True)(holding.delete)
app.add_typer(trusting.app, name="trust")
app.add_typer(personas.app, name="persona")
app.add_typer(contacts.app, name="contact")


@app.callback()
def wallet(
    persona: Annotated[
        str | None,
        typer.Option(
            "--persona",
            metavar="NAME",
            help="For whom: a persona that `wallet persona add` made; by default that of the settings.",
        ),
    ] = None,
) -> None:
    """Get, keep, present and share credentials.

    \b
    Example:
      safeconduct wallet --persona work list
    """
    common.choose_persona(persona)
