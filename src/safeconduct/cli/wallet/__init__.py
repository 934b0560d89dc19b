"""`safeconduct wallet`: the holder's credentials, one file for each thing to do with them."""

import typer

from safeconduct.cli.wallet import getting, holding, protecting, showing, trusting

app = typer.Typer(help="Get, keep and present credentials.", no_args_is_help=True)
for _command in (
    getting.accept,
    getting.request,
    getting.fetch,
    getting.resume,
    getting.renew,
    holding.show,
    showing.present,
    holding.delete,
    protecting.backup,
    protecting.restore,
    protecting.rekey,
):
    app.command()(_command)
app.command("list")(holding.list_credentials)
app.command("remove", hidden=True)(holding.delete)
app.add_typer(trusting.app, name="trust")
