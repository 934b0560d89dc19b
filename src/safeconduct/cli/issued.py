"""`safeconduct issued`: what was issued and how its holders share it, through the issuer's management API."""

from typing import Annotated

import typer

from safeconduct.cli.issuing import IssuerUrl, Limit, Reference, Since, Tenant, Until
from safeconduct.cli.options import AsJson, Config

app = typer.Typer(
    help="Find issued credentials, and what holders share of them.\n\n"
    "This goes through the issuer's management API.",
    no_args_is_help=True,
)


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


@app.command()
def shares(
    issuer: IssuerUrl = None,
    tenant: Tenant = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="Only those in this state: pending, issued, revoked …"),
    ] = None,
    issued_id: Annotated[
        str | None,
        typer.Option("--issued", metavar="ID", help="Only of this credential, as `find` shows it."),
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List what holders have shared of their credentials, the newest first.

    A line has id, state, mode, level, the id of what is shared, the id of what the receiver was given, and
    when, with tabs between.

    \b
    Example:
      safeconduct issued shares --state pending
    """
    from safeconduct.cli import management, output

    query = {"state": state, "issued_id": issued_id, "since": since, "until": until}
    found = management.pages(
        "/shares", "shares", query, limit=limit, url=issuer, config=config, tenant=tenant
    )
    if as_json:
        output.write_json({"shares": found})
        return
    for one in found:
        names = ("share_id", "state", "mode", "level", "parent_id", "issued_id")
        columns = [str(one.get(name) or "") for name in names]
        output.write_columns(*columns, management.date(one.get("created_at")))


@app.command("revoke-share")
def revoke_share(
    share_id: Annotated[str, typer.Argument(metavar="SHARE-ID", help="As `issued shares` shows it.")],
    issuer: IssuerUrl = None,
    tenant: Tenant = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take back a share in its sender's place: cancel its offer, or revoke what it gave.

    It says which: cancelled, revoked, already_expired, already_over.

    \b
    Example:
      safeconduct issued revoke-share 81a11e7a0fcb5abb019f21ffaa9099bf
    """
    from urllib.parse import quote

    from safeconduct.cli import management, output

    path = f"/shares/{quote(share_id, safe='')}/revoke"
    ended = management.ask("POST", path, None, url=issuer, config=config, tenant=tenant)
    if as_json:
        output.write_json(ended)
    else:
        output.write_text(str(ended.get("outcome")))
