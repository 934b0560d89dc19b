"""`safeconduct health-card`: one file for each verb."""

import typer

app = typer.Typer(help="Issue, verify, inspect and draw SMART Health Cards.", no_args_is_help=True)


@app.callback()
def health_card() -> None:
    """Stand before the verbs."""
