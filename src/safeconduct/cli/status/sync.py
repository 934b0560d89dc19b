"""`safeconduct status sync`: a verifier's copy of issuers' keys and revocation lists."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safeconduct.cli.options import AsJson, Config
from safeconduct.cli.status.store import Store, folder

if TYPE_CHECKING:
    import ssl

    from safeconduct.evidence.sync import Outcome, SyncReport, SyncRules

Issuers = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ISSUER...",
        help="URLs of issuers, as cards name them; without one and without --directory, all in the store.",
    ),
]
Directory = Annotated[
    str | None,
    typer.Option(
        "--directory",
        metavar="FILE",
        help="Issuers in JSON as the VCI directory lists them: vci-issuers.json, or a snapshot of it.",
    ),
]
StatusKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--status-key",
        metavar="FILE",
        help="A key that these issuers sign their lists' heads with, from now on: a list without a valid "
        "head counts no more. May be repeated.",
    ),
]


class WayName(StrEnum):
    """Ways to newer lists."""

    AUTO = "auto"
    DELTA = "delta"
    LOG = "log"
    FULL = "full"


def sync(
    issuers: Issuers = None,
    directory: Directory = None,
    store: Store = None,
    status_key: StatusKeys = None,
    unsigned: Annotated[
        bool,
        typer.Option(
            "--unsigned", help="Let lists of these issuers come without a head, whatever was pinned."
        ),
    ] = False,
    way: Annotated[
        WayName, typer.Option("--way", help="What to use beside full lists; auto takes what costs least.")
    ] = WayName.AUTO,
    refresh: Annotated[
        int,
        typer.Option(
            "--refresh",
            metavar="SECONDS",
            min=0,
            help="Ask for a list again after this time though its announced counter has not moved.",
        ),
    ] = 86400,
    no_validators: Annotated[
        bool,
        typer.Option(
            "--no-validators",
            help="Send no ETag or date back, by which a host could recognise this verifier; costs downloads.",
        ),
    ] = False,
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca", metavar="FILE", help="Trust these TLS authorities (PEM) instead of the system's."
        ),
    ] = None,
    allow_loopback: Annotated[
        bool, typer.Option("--allow-loopback", help="Fetch from this machine as well, for tests.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Fetch what is new of issuers' keys and revocation lists, to check cards without a network.

    The hosts learn which lists are fetched, never which card is checked. What is interrupted goes on from
    there when called again. Exit status 1: with some issuer or list something is wrong, with "code: reason"
    on standard error; the others are up to date, and what was held of it stays.

    \b
    Example:
      safeconduct status sync https://issuer.example/shc
      safeconduct status sync --directory vci-issuers.json --store ./lists
    """
    from safeconduct.cli import operating, output
    from safeconduct.cli.application import NOT_ACCEPTABLE
    from safeconduct.evidence import sync as evidence_sync
    from safeconduct.net.fetch import HttpFetcher

    place = folder(store, config)
    wanted = _wanted(issuers, directory, place)
    rules = _rules(status_key, unsigned=unsigned, way=way, refresh=refresh, conditional=not no_validators)
    tls = tls_of(ca)

    async def fetch(progress: "Callable[[Outcome], None]") -> "SyncReport":
        async with HttpFetcher(allow_loopback=allow_loopback, timeout=_SECONDS, tls=tls) as fetcher:
            return await evidence_sync.sync(
                wanted, folder=place, fetcher=fetcher, clock=operating.clock, rules=rules, progress=progress
            )

    with _shown(len(wanted), quiet=as_json) as progress:
        report = operating.carry_out(fetch(progress))
    if as_json:
        output.write_json(_json(report))
    else:
        _say(report)
    if report.faults:
        raise typer.Exit(NOT_ACCEPTABLE)


_SECONDS = 120.0
"""For one document: 32 MB at 270 kB a second."""


def _wanted(issuers: list[str] | None, directory: str | None, place: Path) -> list[str]:
    from safeconduct.cli import files
    from safeconduct.cli.faults import WrongUse
    from safeconduct.errors import SafeconductError
    from safeconduct.evidence.card_store import CardStore
    from safeconduct.evidence.directories import read_issuers
    from safeconduct.limits import SNAPSHOT_BYTES

    wanted = list(issuers or ())
    if directory is not None:
        try:
            wanted += read_issuers(files.read_whole(directory, max_bytes=SNAPSHOT_BYTES))
        except SafeconductError as error:
            raise WrongUse(f"{files.shown(directory)} is no directory: {error.reason}") from None
    elif not wanted:
        wanted = list(CardStore.open(place).issuers())
    if not wanted:
        raise WrongUse("the store knows no issuer yet: name one by its URL, or give --directory FILE")
    return list(dict.fromkeys(wanted))


def _rules(
    status_keys: list[str] | None, *, unsigned: bool, way: WayName, refresh: int, conditional: bool
) -> "SyncRules":
    from safeconduct.cli import keyfiles
    from safeconduct.cli.faults import WrongUse
    from safeconduct.evidence.sync import SyncRules

    if unsigned and status_keys:
        raise WrongUse("--unsigned takes back what --status-key demands: give one of them")
    keys = tuple(keyfiles.read_public(place) for place in status_keys or ())
    rules = SyncRules(
        refresh=refresh,
        conditional=conditional,
        status_keys=keys or None,
        unsigned=True if unsigned else False if keys else None,
    )
    if way is WayName.AUTO:
        return rules
    return SyncRules(
        ways=frozenset({"delta"} if way is WayName.DELTA else {"log"} if way is WayName.LOG else ()),
        refresh=rules.refresh,
        conditional=rules.conditional,
        status_keys=rules.status_keys,
        unsigned=rules.unsigned,
    )


def tls_of(ca: Path | None) -> "ssl.SSLContext | None":
    """Return how servers prove themselves: by these authorities, None for the system's. Raises WrongUse."""
    import ssl

    from safeconduct.cli import files
    from safeconduct.cli.faults import WrongUse

    if ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError):
        raise WrongUse(f"{files.shown(str(ca))} cannot be read as certificates in PEM") from None


@contextmanager
def _shown(total: int, *, quiet: bool) -> "Iterator[Callable[[Outcome], None]]":
    """Show on a terminal how many issuers are done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    watched = not quiet and sys.stderr is not None and sys.stderr.isatty()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not watched, transient=True) as bar:
        task = bar.add_task("issuers", total=total)

        def tell(outcome: "Outcome") -> None:
            if outcome.kid is None:
                bar.advance(task)

        yield tell


def _say(report: "SyncReport") -> None:
    from safeconduct.cli import output

    for outcome in report.outcomes:
        if outcome.kid is not None:
            ctr = "-" if outcome.ctr is None else str(outcome.ctr)
            output.write_columns(outcome.issuer, outcome.kid, outcome.way, ctr, f"{outcome.received} bytes")
        if outcome.refused:
            output.note(f"{outcome.issuer}: {outcome.refused} keys break the rules and are not used")
    for outcome in report.faults:
        of = outcome.issuer if outcome.kid is None else f"{outcome.issuer} {outcome.kid}"
        output.note(f"{outcome.code}: {of}: {outcome.reason}")
    lists = sum(outcome.kid is not None for outcome in report.outcomes)
    issuers = sum(outcome.kid is None for outcome in report.outcomes)
    output.note(f"{issuers} issuers, {lists} lists, {report.received} bytes received")


def _json(report: "SyncReport") -> dict[str, object]:
    import msgspec

    return {"received": report.received, "outcomes": msgspec.to_builtins(report.outcomes)}
