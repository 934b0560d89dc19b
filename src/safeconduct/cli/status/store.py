"""What the commands share that keep or ask a verifier's copy of lists."""

from pathlib import Path
from typing import Annotated

import typer

Store = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="DIR",
        help="The folder of the verifier's copy; by default `store` of the settings.",
        show_default=False,
    ),
]


def folder(given: Path | None, config: str | None) -> Path:
    """Return the folder that was given, else that of the settings. Raises WrongUse."""
    from safeconduct.cli import operating

    return given if given is not None else operating.settings(config).status.store
