"""Options that several commands have, and what their texts mean."""

import time
from collections.abc import Iterable
from typing import Annotated

import typer

from safeconduct.cli.application import remember_json
from safeconduct.cli.faults import WrongUse

LATEST = 1 << 53
"""The latest time that a token may name, as seconds since 1970 (SD-CWT-08 §5.2)."""

AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Answer in JSON, errors included.", callback=remember_json, show_default=False
    ),
]
Out = Annotated[
    str | None,
    typer.Option("--out", "-o", metavar="FILE", help="Write to this file instead of standard output."),
]
Now = Annotated[
    int | None,
    typer.Option(
        "--now",
        metavar="UNIX",
        min=0,
        max=LATEST,
        help="The time, in seconds since 1970, if not that of the clock.",
    ),
]
Config = Annotated[
    str | None,
    typer.Option(
        "--config", metavar="FILE", help="The settings; without it, safeconduct.toml here if there is one."
    ),
]
ProfileName = Annotated[
    str, typer.Option("--profile", metavar="NAME", help="The wire profile: ietf-08 or seed-2024.")
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="LENIENCY",
        help="Accept one departure from the draft: raw-digest, kcwt-bstr, kcwt-untagged, old-media-types, "
        "aead-nonce-16, decoy-tag-61 or tag-58-on-value. May be repeated.",
    ),
]
NonceHex = Annotated[
    str | None, typer.Option("--nonce", metavar="HEX", help="The nonce (cnonce), in hexadecimal.")
]


def moment(given: int | None) -> int:
    """Return the time that was given, else that of the clock, in seconds since 1970."""
    return int(time.time()) if given is None else given


def hexadecimal(option: str, text: str) -> bytes:
    """Read an option's value as hexadecimal bytes. Raises WrongUse."""
    try:
        if text.isascii() and text.isalnum():
            return bytes.fromhex(text)
    except ValueError:
        pass
    raise WrongUse(f"{option} wants bytes in hexadecimal, two digits each")


def key_identifier(text: str) -> bytes:
    """Read a key identifier: text, or bytes in hexadecimal after "0x". Raises WrongUse."""
    return (
        hexadecimal("--kid", text[2:]) if text.startswith("0x") else text.encode("utf-8", "surrogateescape")
    )


def audience_name(text: str) -> str:
    """Check that an audience says something. Raises WrongUse."""
    if not text.strip() or not text.isprintable():
        raise WrongUse("--audience wants the verifier's identifier, such as https://verifier.example")
    return text


def leniencies(names: Iterable[str] | None) -> frozenset[str]:
    """Check the names of leniencies. Raises WrongUse."""
    from safeconduct.formats.sd_cwt import LENIENCIES

    wanted = frozenset(names or ())
    if not wanted <= LENIENCIES.keys():
        raise WrongUse(f"--accept knows {', '.join(LENIENCIES)}")
    return wanted
