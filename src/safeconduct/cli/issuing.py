"""Options that commands of the issuer's management have in common."""

from typing import Annotated

import typer

from safeconduct.cli.options import LATEST

IssuerUrl = Annotated[
    str | None,
    typer.Option(
        "--issuer", metavar="URL", help="The issuer's management API; by default where the settings have it."
    ),
]
Tenant = Annotated[
    str | None,
    typer.Option("--tenant", metavar="NAME", help="Which issuer, where the process serves several."),
]
Reference = Annotated[
    str | None, typer.Option("--reference", metavar="TEXT", help="Your own reference of the case.")
]
Since = Annotated[
    int | None,
    typer.Option("--since", metavar="UNIX", min=0, max=LATEST, help="From this second on."),
]
Until = Annotated[
    int | None,
    typer.Option("--until", metavar="UNIX", min=0, max=LATEST, help="Before this second."),
]
Limit = Annotated[
    int, typer.Option("--limit", metavar="N", min=1, max=100_000, help="At most so many, the newest first.")
]
