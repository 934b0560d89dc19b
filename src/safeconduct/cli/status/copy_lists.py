"""`safeconduct status copy-lists`: an issuer's Token Status Lists, for a verifier that is offline later."""

from pathlib import Path
from typing import Annotated

import typer

from safeconduct.cli.options import AsJson


def copy_lists(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="The issuer's aggregation, a document that names its lists.")
    ],
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Where the lists are kept.")],
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca", metavar="FILE", help="Trust these TLS authorities (PEM) instead of the system's."
        ),
    ] = None,
    allow_loopback: Annotated[
        bool, typer.Option("--allow-loopback", help="Fetch from this machine as well, for tests.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch all Token Status Lists of an issuer into a folder.

    `sd-jwt verify` and `sd-cwt verify` take the folder as --status-list. All lists are fetched, so nobody
    learns which is needed. Exit status 1 if a list could not be had; the others are there, and an older copy
    stays.

    \b
    Example:
      safeconduct status copy-lists https://issuer.example/.well-known/status-lists/aggregation.json lists
    """
    from safeconduct.cli import operating, output, progress
    from safeconduct.cli.status.sync import tls_of
    from safeconduct.errors import Rejected
    from safeconduct.evidence import list_copies
    from safeconduct.evidence.list_copies import Copied
    from safeconduct.net.fetch import HttpFetcher

    tls = tls_of(ca)

    async def do() -> tuple[Copied, ...]:
        async with HttpFetcher(allow_loopback=allow_loopback, tls=tls) as fetcher:
            named = await list_copies.read_names(url, fetcher=fetcher)
            with progress.shown("Fetching", len(named), quiet=as_json) as advance:
                return await list_copies.copy_lists(
                    named, folder=Path(folder), fetcher=fetcher, now=operating.clock(), progress=advance
                )

    done = operating.carry_out(do())
    failed = [one for one in done if one.code is not None]
    if as_json:
        output.write_json({"lists": [{"uri": one.uri, "code": one.code} for one in done]})
    else:
        output.note(f"lists: {len(done) - len(failed)}")
    if failed:
        codes = ", ".join(sorted({str(one.code) for one in failed}))
        raise Rejected(
            "status_lists_missing", f"{len(failed)} of {len(done)} lists could not be had: {codes}"
        )
