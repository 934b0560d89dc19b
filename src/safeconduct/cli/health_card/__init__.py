"""`safeconduct health-card`: one file for each verb."""

import typer

from safeconduct.cli.health_card.inspect import inspect
from safeconduct.cli.health_card.issue import issue
from safeconduct.cli.health_card.qr import qr
from safeconduct.cli.health_card.verify import verify

app = typer.Typer(help="Issue, verify, inspect and draw SMART Health Cards.", no_args_is_help=True)

for _command in (issue, verify, inspect, qr):
    app.command()(_command)
