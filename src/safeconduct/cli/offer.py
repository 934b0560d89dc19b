"""`safeconduct offer`: credential offers, through the issuer's management API."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from safeconduct.cli.options import AsJson, Config

if TYPE_CHECKING:
    pass

app = typer.Typer(
    help="Make, list and cancel credential offers.\n\nThis goes through the issuer's management API.",
    no_args_is_help=True,
)

IssuerUrl = Annotated[
    str | None,
    typer.Option(
        "--issuer", metavar="URL", help="The issuer's management API; by default where the settings have it."
    ),
]
Configuration = Annotated[
    str,
    typer.Option("--configuration", metavar="ID", help="Which credential, by its configuration's id."),
]
ClaimsFile = Annotated[
    str, typer.Option("--claims", metavar="FILE|-", help="The claims, a JSON object; - for standard input.")
]
TxCode = Annotated[
    bool, typer.Option("--tx-code", help="Demand a transaction code, to be told to the holder another way.")
]
ByReference = Annotated[bool, typer.Option("--by-reference", help="Let the URI lead to the offer.")]


@app.command()
def create(
    *,
    issuer: IssuerUrl = None,
    configuration: Configuration,
    claims: ClaimsFile,
    tx_code: TxCode = False,
    by_reference: ByReference = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make an offer and print it.

    The line has the offer's URI, then the transaction code if there is one.

    The bearer token is admin_token of the issuer's settings: SAFECONDUCT_ISSUER__ADMIN_TOKEN.

    \b
    Example:
      safeconduct offer create --issuer http://127.0.0.1:8441 --configuration identity \\
        --claims claims.json --tx-code
    """
    from safeconduct.cli import files, management, output
    from safeconduct.cli.faults import WrongUse
    from safeconduct.encoding import json
    from safeconduct.errors import SafeconductError
    from safeconduct.limits import JSON_BYTES

    try:
        values = json.loads_object(files.read(claims, max_bytes=JSON_BYTES))
    except SafeconductError as error:
        raise WrongUse(f"{files.shown(claims)} holds no claims: {error.reason}") from None
    body = {
        "configuration_id": configuration,
        "claims": values,
        "tx_code": tx_code,
        "by_reference": by_reference,
    }
    made = management.ask("POST", "/offers", body, url=issuer, config=config)
    if as_json:
        output.write_json(made)
    else:
        output.write_text(" ".join(str(made[name]) for name in ("offer_uri", "tx_code") if name in made))


@app.command("list")
def list_offers(
    issuer: IssuerUrl = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="Only those in this state: pending, issued …"),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List offers, the newest first.

    A line has id, state, configurations, when it was made and when it ends, with tabs between.

    \b
    Example:
      safeconduct offer list --state pending
    """
    from urllib.parse import urlencode

    from safeconduct.cli import management, output

    query = "" if state is None else "?" + urlencode({"state": state})
    answer = management.ask("GET", f"/offers{query}", None, url=issuer, config=config)
    if as_json:
        output.write_json(answer)
        return
    offers: list[dict[str, Any]] = answer.get("offers", [])
    for offer in offers:
        times = (management.date(offer.get(name)) for name in ("created_at", "expires_at"))
        names = ",".join(map(str, offer.get("configuration_ids", ())))
        output.write_columns(str(offer.get("offer_id")), str(offer.get("state")), names, *times)


@app.command()
def cancel(
    offer_id: Annotated[str, typer.Argument(metavar="OFFER-ID", help="As `offer list` shows it.")],
    issuer: IssuerUrl = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Cancel an offer; whoever has it can no longer use it.

    \b
    Example:
      safeconduct offer cancel 0b5e9c41
    """
    from urllib.parse import quote

    from safeconduct.cli import management, output

    management.ask("DELETE", f"/offers/{quote(offer_id, safe='')}", None, url=issuer, config=config)
    if as_json:
        output.write_json({"cancelled": offer_id})
