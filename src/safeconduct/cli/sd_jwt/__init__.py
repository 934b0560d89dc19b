"""`safeconduct sd-jwt`: one file for each verb."""

import typer

from safeconduct.cli.sd_jwt.inspect import inspect
from safeconduct.cli.sd_jwt.issue import issue
from safeconduct.cli.sd_jwt.present import present
from safeconduct.cli.sd_jwt.verify import verify

app = typer.Typer(help="Issue, present, verify and inspect SD-JWTs and SD-JWT VCs.", no_args_is_help=True)
for _command in (issue, present, verify, inspect):
    app.command()(_command)
