"""`safeconduct status publish`."""

from pathlib import Path
from typing import Annotated

import typer

from safeconduct.cli.options import AsJson, Config, Now


def publish(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            help="The folder that is served at /.well-known/ below the issuer's URL; by default `tree` of "
            "the settings.",
            show_default=False,
        ),
    ] = None,
    ribbon: Annotated[
        bool,
        typer.Option(
            "--ribbon",
            help="Also write crl/KID.ribbon: each list in about a byte an entry, exact for all cards made "
            "so far, which must all have their rid from here. It shows how many they are.",
        ),
    ] = False,
    now: Now = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write the status of what was issued as files for a static host.

    The keys of health cards with their revocation lists, deltas, logs and signed heads. Copy the folder to
    the host with jwks.json last. A run without change writes nothing. With several issuers each has a folder
    of its name in DIR.

    \b
    Example:
      safeconduct status publish /srv/www/shc/.well-known
    """
    from safeconduct.cli import operating, options, output
    from safeconduct.cli.status import desk
    from safeconduct.services.card_register import CardRegister
    from safeconduct.services.status import publishing
    from safeconduct.services.status.publishing import Published
    from safeconduct.services.status.ribbons import PublishedRibbons, publish_ribbons
    from safeconduct.storage import Database
    from safeconduct.storage.migrations import ISSUER

    settings = operating.settings(config)

    at = options.moment(now)

    async def bring_up_to_date() -> tuple[Published, PublishedRibbons | None]:
        async with await Database.open(settings.issuer.database, branch=ISSUER) as database:
            for issuer in settings.issuer.issuers:
                url = settings.card_issuer_of(issuer)
                if url and desk.has_own_key(issuer):
                    await desk.register_own_key(CardRegister(database, url), issuer)
            done = await publishing.publish(settings, database, now=at, tree=folder)
            if not ribbon:
                return done, None
            return done, await publish_ribbons(settings, database, now=at, tree=folder)

    done, ribbons = operating.carry_out(bring_up_to_date())
    where = str(folder or settings.status.tree)
    if as_json:
        more = {} if ribbons is None else {"ribbons": ribbons.written, "without_ribbon": ribbons.left_out}
        output.write_json({"tree": where, "changed": done.changed, "lists": done.lists, **more})
    else:
        output.note(f"published in {where}: {done.lists} lists, {done.changed} files changed")
        if not done.lists:
            output.note("no key of health cards is published; `safeconduct status allocate` makes the first")
        if ribbons is not None:
            output.note(f"{ribbons.written} ribbons are new")
        if ribbons is not None and ribbons.left_out:
            output.note(f"{ribbons.left_out} keys have no ribbon: not all of their cards had a rid from here")
