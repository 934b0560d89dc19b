"""`safeconduct status allocate`."""

from typing import Annotated

import typer

from safeconduct.cli.issuing import Tenant
from safeconduct.cli.options import AsJson, Config


def allocate(
    subject: Annotated[
        list[str],
        typer.Argument(
            metavar="SUBJECT...|-",
            help="Whom cards are for, as your records name them; - for standard input, one a line.",
            show_default=False,
        ),
    ],
    kid: Annotated[
        str | None,
        typer.Option(
            "--kid", metavar="KID", help="The key that will sign the cards, if not the one of the settings."
        ),
    ] = None,
    tenant: Tenant = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Give subjects revocation identifiers (rid) for their next health cards, and print them.

    A subject has the same rid on all cards that one key signs, and another one under each key. Once its cards
    were revoked it gets a new one. What subjects are called is kept as a digest, and published never.

    \b
    Example:
      safeconduct status allocate urn:example:person:1
    """
    from safeconduct.cli import operating, output, progress
    from safeconduct.cli.status import desk
    from safeconduct.services.card_register import CardRegister
    from safeconduct.settings import IssuerSettings

    async def give(register: CardRegister, issuer: IssuerSettings) -> tuple[str, list[str]]:
        key = kid or await desk.register_own_key(register, issuer)
        now = operating.clock()
        named, given = desk.subjects(subject), list[str]()
        with progress.shown("Allocating", len(named), quiet=as_json) as advance:
            for part in desk.in_parts(named):
                given += await register.allocate_each(key, part, now=now)
                advance(len(part))
        return key, given

    key, rids = desk.at_desk(give, config=config, tenant=tenant)
    if as_json:
        output.write_json({"kid": key, "rids": rids})
    else:
        for rid in rids:
            output.write_text(rid)
