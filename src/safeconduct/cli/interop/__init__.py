"""`safeconduct interop`: the SPICE group's contract for SD-CWT implementations, over stdin and stdout.

Source: interop/INTEROP.md of draft-ietf-spice-sd-cwt. Options beyond it say so in their help.
"""

import typer

from safeconduct.cli.interop.issue import issue
from safeconduct.cli.interop.present import present
from safeconduct.cli.interop.target import target
from safeconduct.cli.interop.verify import verify

app = typer.Typer(help="The SPICE group's interop contract, over stdin and stdout.", no_args_is_help=True)
for _command in (issue, present, verify, target):
    app.command()(_command)
