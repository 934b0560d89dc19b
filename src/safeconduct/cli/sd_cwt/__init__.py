"""`safeconduct sd-cwt`: one file for each verb."""

import typer

from safeconduct.cli.sd_cwt.inspect import inspect
from safeconduct.cli.sd_cwt.issue import issue
from safeconduct.cli.sd_cwt.present import present
from safeconduct.cli.sd_cwt.verify import verify

app = typer.Typer(help="Issue, present, verify and inspect SD-CWTs.", no_args_is_help=True)
for _command in (issue, present, verify, inspect):
    app.command()(_command)
