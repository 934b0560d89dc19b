"""Options that the interop commands share."""

from enum import StrEnum
from typing import Annotated

import typer

from safeconduct.cli.options import LATEST


class IssuerKeySource(StrEnum):
    """Where the issuer's key comes from if no file is given."""

    IGNORE = "ignore"
    FETCH = "fetch"
    CACHE = "cache"


Time = Annotated[
    int | None,
    typer.Option("--time", metavar="UNIX", min=0, max=LATEST, help="Judge times as of then."),
]
Issuer = Annotated[
    str | None, typer.Option("--issuer", metavar="FILE", help="The issuer's public key, in PEM.")
]
IssuerKey = Annotated[
    IssuerKeySource | None,
    typer.Option(
        "--issuer-key",
        help="Without --issuer: ignore whose signature it is, fetch the key from the https URL in the kid, "
        "or read it from the file here that is named as the last part of that URL.",
    ),
]
