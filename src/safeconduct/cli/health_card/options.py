"""Options that several commands on health cards have."""

from enum import StrEnum
from typing import Annotated

import typer


class LevelName(StrEnum):
    """Levels of error correction of a QR code."""

    L = "L"
    M = "M"
    Q = "Q"
    H = "H"


Level = Annotated[
    LevelName,
    typer.Option(
        "--level", help="Least error correction of the QR code, from L (cards of 1195 characters) to H (519)."
    ),
]
Scale = Annotated[int, typer.Option("--scale", min=1, max=64, help="Pixels of a module of the QR code.")]
