"""`safeconduct status`: one file for each verb."""

import typer

from safeconduct.cli.status import allocate, check, copy_lists, keys, mirror, publish, revoke, sync

app = typer.Typer(
    help="Revoke credentials, publish their status, and keep a verifier's copy of it.", no_args_is_help=True
)

app.command()(allocate.allocate)
app.command()(revoke.revoke)
app.command()(keys.keys)
app.command()(keys.add_key)
app.command()(keys.revoke_key)
app.command()(publish.publish)
app.command()(sync.sync)
app.command()(check.check)
app.command()(copy_lists.copy_lists)
app.command()(mirror.mirror)
app.command()(mirror.pull)
