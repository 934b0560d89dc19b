"""`safeconduct deferred`: issuances that wait for a decision, through the issuer's management API."""

from typing import Annotated

import typer

from safeconduct.cli.issuing import IssuerUrl, Limit, Tenant
from safeconduct.cli.options import AsJson, Config

app = typer.Typer(
    help="List, approve and deny deferred issuances.\n\nThis goes through the issuer's management API.",
    no_args_is_help=True,
)

TransactionId = Annotated[str, typer.Argument(metavar="TRANSACTION-ID", help="As `deferred list` shows it.")]


@app.command("list")
def list_deferred(
    issuer: IssuerUrl = None,
    tenant: Tenant = None,
    state: Annotated[
        str,
        typer.Option(
            "--state", metavar="STATE", help="Those that are waiting, approved, denied or delivered."
        ),
    ] = "waiting",
    limit: Limit = 100,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List deferred issuances, the newest first.

    A line has id, state, configuration, when it was asked for, when it ends and your reference, with tabs
    between.

    \b
    Example:
      safeconduct deferred list
    """
    from safeconduct.cli import management, output

    found = management.pages(
        "/deferred", "deferred", {"state": state}, limit=limit, url=issuer, config=config, tenant=tenant
    )
    if as_json:
        output.write_json({"deferred": found})
        return
    for one in found:
        columns = [str(one.get(name)) for name in ("transaction_id", "state", "configuration_id")]
        times = [management.date(one.get(name)) for name in ("created_at", "expires_at")]
        output.write_columns(*columns, *times, str(one.get("reference") or ""))


@app.command()
def approve(
    transaction_id: TransactionId,
    issuer: IssuerUrl = None,
    tenant: Tenant = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Let a deferred credential be issued when its wallet next asks.

    \b
    Example:
      safeconduct deferred approve 89d067972ba14ea53550b29b43d7b87b
    """
    _decide("approve", transaction_id, issuer, tenant, config, as_json=as_json)


@app.command()
def deny(
    transaction_id: TransactionId,
    issuer: IssuerUrl = None,
    tenant: Tenant = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Refuse to issue a deferred credential.

    \b
    Example:
      safeconduct deferred deny 89d067972ba14ea53550b29b43d7b87b
    """
    _decide("deny", transaction_id, issuer, tenant, config, as_json=as_json)


def _decide(
    verdict: str,
    transaction_id: str,
    issuer: str | None,
    tenant: str | None,
    config: str | None,
    *,
    as_json: bool,
) -> None:
    from urllib.parse import quote

    from safeconduct.cli import management, output

    path = f"/deferred/{quote(transaction_id, safe='')}/{verdict}"
    management.ask("POST", path, None, url=issuer, config=config, tenant=tenant)
    if as_json:
        output.write_json({"decided": transaction_id, "verdict": verdict})
