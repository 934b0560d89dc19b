"""`safeconduct status`: one file for each verb."""

import typer

app = typer.Typer(
    help="Revoke credentials, publish their status, and keep a verifier's copy of it.", no_args_is_help=True
)


@app.callback()
def status() -> None:
    """Stand before the verbs."""
