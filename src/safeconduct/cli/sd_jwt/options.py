"""Options that several commands on SD-JWTs have, and what their texts mean."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer

from safeconduct.cli.faults import WrongUse


class FormName(StrEnum):
    """How an SD-JWT is written."""

    COMPACT = "compact"
    FLATTENED = "flattened"
    GENERAL = "general"


class ProfileChoice(StrEnum):
    """Kinds of SD-JWT."""

    VC = "sd-jwt-vc"
    PLAIN = "sd-jwt"


Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="LENIENCY",
        help="Accept one departure from the specification: vc-sd-jwt (the old type vc+sd-jwt) or typ-jwt "
        "(the type JWT). May be repeated.",
    ),
]
NonceText = Annotated[str | None, typer.Option("--nonce", metavar="TEXT", help="The verifier's nonce.")]


def leniencies(names: Iterable[str] | None) -> frozenset[str]:
    """Check the names of leniencies. Raises WrongUse."""
    from safeconduct.formats.sd_jwt import LENIENCIES

    wanted = frozenset(names or ())
    if not wanted <= LENIENCIES.keys():
        raise WrongUse(f"--accept knows {', '.join(LENIENCIES)}")
    return wanted


def nonce_text(text: str) -> str:
    """Check that a nonce says something. Raises WrongUse."""
    if not text or not text.isprintable():
        raise WrongUse("--nonce wants the text that the verifier gave")
    return text
