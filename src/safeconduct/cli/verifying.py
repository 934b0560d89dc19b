"""What the commands that verify share: whom to believe, and the options that say so."""

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from safeconduct.cli.options import LATEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safeconduct.status.token_list import CredentialStatus, TokenStatusLists
    from safeconduct.trust import Trust


class StatusPolicy(StrEnum):
    """What becomes of a credential whose status cannot be read."""

    FAIL_CLOSED = "fail-closed"
    FAIL_OPEN = "fail-open"


IssuerKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--issuer-key",
        metavar="FILE",
        help="The issuer's public key, whatever issuer the token names. May be repeated.",
    ),
]
TrustFile = Annotated[
    str | None,
    typer.Option(
        "--trust",
        metavar="FILE",
        help='Issuers and their keys in JSON: {"https://issuer.example": KEYS, ...}. KEYS is a JWK, a JWK '
        'Set, or an array of JWKs, PEM texts and {"pem": "...", "kid": "..."}.',
    ),
]
Audience = Annotated[
    str, typer.Option("--audience", metavar="URI", help="The verifier for whom the presentation must be.")
]
At = Annotated[
    int | None,
    typer.Option(
        "--at", metavar="UNIX", min=0, max=LATEST, help="Judge as of this time, in seconds since 1970."
    ),
]
HolderKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--holder-key",
        metavar="FILE",
        help="A holder's public key, for tokens that name theirs by kid or thumbprint. May be repeated.",
    ),
]
Leeway = Annotated[
    int, typer.Option("--leeway", metavar="SECONDS", min=0, max=LATEST, help="How far clocks may differ.")
]
MaxAge = Annotated[
    int | None,
    typer.Option("--max-age", metavar="SECONDS", min=0, max=LATEST, help="How old the key binding may be."),
]


StatusListFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--status-list",
        metavar="FILE|DIR",
        help="A Status List Token (JWT or CWT) to look the credential's status up in, or a folder of them. "
        "May be repeated.",
    ),
]
StatusPolicyName = Annotated[
    StatusPolicy | None,
    typer.Option(
        "--status-policy",
        help="A credential that has a status must be good by one of the lists (fail-closed), or is refused "
        "only if a list says so (fail-open). With --status-list, fail-closed unless said; without both, "
        "nobody looks.",
    ),
]
StatusMaxAge = Annotated[
    int | None,
    typer.Option(
        "--status-max-age", metavar="SECONDS", min=0, max=LATEST, help="How old a status list may be."
    ),
]


def status_lists(names: Iterable[str] | None) -> "TokenStatusLists | None":
    """Return what the option --status-list gives, None without it. Raises WrongUse."""
    from pathlib import Path

    from safeconduct.status.token_list import TokenStatusLists

    if not names:
        return None
    received: list[bytes] = []
    for name in names:
        received += _lists_in(Path(name)) if Path(name).is_dir() else [_list_in(name)]
    return TokenStatusLists.of(*received)


def _list_in(name: str) -> bytes:
    from safeconduct.cli import files
    from safeconduct.cli.faults import WrongUse
    from safeconduct.errors import SafeconductError
    from safeconduct.limits import STATUS_TOKEN_BYTES
    from safeconduct.status.token_list import TokenStatusLists

    data = files.read_whole(name, max_bytes=STATUS_TOKEN_BYTES)
    try:
        TokenStatusLists.of(data)
    except SafeconductError as error:
        raise WrongUse(f"{files.shown(name)} is no Status List Token: {error.reason}") from None
    return data


def _lists_in(folder: "Path") -> "Iterator[bytes]":
    """The lists in a folder; what is none there does not spoil the others."""
    from contextlib import suppress

    from safeconduct.cli import files
    from safeconduct.cli.faults import WrongUse
    from safeconduct.errors import SafeconductError
    from safeconduct.evidence.list_copies import read_copies
    from safeconduct.status.token_list import TokenStatusLists

    try:
        for data in read_copies(folder):
            with suppress(SafeconductError):
                TokenStatusLists.of(data)
                yield data
    except OSError:
        raise WrongUse(f"{files.shown(str(folder))} cannot be read") from None


def status_json(status: "CredentialStatus | None") -> dict[str, str]:
    """Return what an answer in JSON says of the status: nothing where the credential has none."""
    return {} if status is None else {"status": status.state}


def trust(issuer_keys: Iterable[str], trust_file: str | None) -> "Trust":
    """Return what the options --issuer-key and --trust give. Raises WrongUse unless it is one of them."""
    from safeconduct.cli import files, keyfiles
    from safeconduct.cli.faults import WrongUse
    from safeconduct.errors import SafeconductError
    from safeconduct.limits import JSON_BYTES
    from safeconduct.trust import Trust
    from safeconduct.trust.file import read_trust

    # A key that is given by hand is meant, by whatever name its file or the token calls it.
    keys = [keyfiles.read_public(name).with_kid(None) for name in issuer_keys]
    if bool(keys) == (trust_file is not None):
        raise WrongUse("give either --issuer-key FILE or --trust FILE: without one no issuer can be believed")
    if trust_file is None:
        return Trust.key(*keys)
    try:
        return read_trust(files.read_whole(trust_file, max_bytes=JSON_BYTES))
    except SafeconductError as error:
        raise WrongUse(f"{files.shown(trust_file)} is no trust file: {error.reason}") from None
