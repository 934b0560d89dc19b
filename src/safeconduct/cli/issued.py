"""`safeconduct issued`: what was issued, through the issuer's management API."""

from typing import Annotated

import typer

from safeconduct.cli.issuing import IssuerUrl, Limit, Reference, Since, Tenant, Until
from safeconduct.cli.options import AsJson, Config

app = typer.Typer(
    help="Find issued credentials.\n\nThis goes through the issuer's management API.",
    no_args_is_help=True,
)


@app.callback()
def issued() -> None:
    """Keep `find` a command of its own."""


@app.command()
def find(
    issuer: IssuerUrl = None,
    tenant: Tenant = None,
    configuration: Annotated[
        str | None, typer.Option("--configuration", metavar="ID", help="Only of this configuration.")
    ] = None,
    reference: Reference = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List issued credentials, the newest first.

    A line has id, state, configuration, how many, when, and your reference, with tabs between.

    \b
    Example:
      safeconduct issued find --configuration identity --since 1800000000
    """
    from safeconduct.cli import management, output

    query = {
        "configuration_id": configuration,
        "reference": reference,
        "since": since,
        "until": until,
    }
    found = management.pages(
        "/issued", "issued", query, limit=limit, url=issuer, config=config, tenant=tenant
    )
    if as_json:
        output.write_json({"issued": found})
        return
    for one in found:
        names = ("issued_id", "state", "configuration_id", "count")
        columns = [str(one.get(name)) for name in names]
        when, own = management.date(one.get("issued_at")), str(one.get("reference") or "")
        output.write_columns(*columns, when, own)
