"""`safeconduct offer`: credential offers, through the issuer's management API."""

from typing import Annotated, Any

import typer

from safeconduct.cli.issuing import IssuerUrl, Limit, Reference, Since, Tenant, Until
from safeconduct.cli.options import AsJson, Config

app = typer.Typer(
    help="Make, list and cancel credential offers.\n\nThis goes through the issuer's management API.",
    no_args_is_help=True,
)

Configurations = Annotated[
    list[str],
    typer.Option(
        "--configuration",
        metavar="ID",
        help="Which credential, by its configuration's id. May be repeated.",
    ),
]
ClaimsFile = Annotated[
    str | None,
    typer.Option(
        "--claims",
        metavar="FILE|-",
        help="The claims, a JSON object; - for standard input. Not for what has a source of claims, nor "
        "needed where the account that is logged in to has them.",
    ),
]
Subject = Annotated[
    str | None,
    typer.Option(
        "--subject",
        metavar="TEXT",
        help="Whom it is for: who has to log in, and whom the source of claims is asked about.",
    ),
]
TxCode = Annotated[
    bool, typer.Option("--tx-code", help="Demand a transaction code, to be told to the holder another way.")
]
ByReference = Annotated[bool, typer.Option("--by-reference", help="Let the URI lead to the offer.")]
AuthorizationCode = Annotated[
    bool, typer.Option("--authorization-code", help="Let the holder log in, instead of having a code.")
]
PreAuthorized = Annotated[
    bool, typer.Option("--pre-authorized", help="With --authorization-code: have a code as well.")
]
Deferred = Annotated[
    bool, typer.Option("--deferred", help="Issue only what `safeconduct deferred approve` lets pass.")
]
Lifetime = Annotated[
    int | None,
    typer.Option(
        "--lifetime", metavar="SECONDS", min=1, help="How long it can be accepted (offer_lifetime)."
    ),
]
QrFile = Annotated[
    str | None,
    typer.Option("--qr", metavar="FILE", help="Write a QR code to this file too, ending in .svg or .png."),
]


@app.command()
def create(
    *,
    issuer: IssuerUrl = None,
    tenant: Tenant = None,
    configuration: Configurations,
    claims: ClaimsFile = None,
    subject: Subject = None,
    reference: Reference = None,
    authorization_code: AuthorizationCode = False,
    pre_authorized: PreAuthorized = False,
    tx_code: TxCode = False,
    by_reference: ByReference = False,
    deferred: Deferred = False,
    lifetime: Lifetime = None,
    qr: QrFile = None,
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
    from safeconduct.cli import management, output

    wanted: dict[str, Any] = {
        "configuration_ids": configuration,
        "claims": None if claims is None else _claims(claims),
        "subject": subject,
        "reference": reference,
        "lifetime": lifetime,
        "qr": None if qr is None else _form(qr),
    }
    body = {name: value for name, value in wanted.items() if value is not None}
    body |= {"tx_code": tx_code, "by_reference": by_reference, "deferred": deferred}
    if authorization_code:
        body["grants"] = ["authorization_code", *(["pre-authorized"] if pre_authorized else [])]
    made = management.ask("POST", "/offers", body, url=issuer, config=config, tenant=tenant)
    if authorization_code and subject is None:
        output.note("Whoever logs in first may take this offer; --subject says whom it is for.")
    picture = made.pop("qr", None)
    if qr is not None and picture is not None:
        _write_picture(qr, picture)
    if as_json:
        output.write_json(made)
    else:
        output.write_text(" ".join(str(made[name]) for name in ("offer_uri", "tx_code") if name in made))


@app.command("list")
def list_offers(
    issuer: IssuerUrl = None,
    tenant: Tenant = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="Only those in this state: pending, issued …"),
    ] = None,
    reference: Reference = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List offers, the newest first.

    A line has id, state, configurations, when it was made, when it ends and your reference, with tabs
    between.

    \b
    Example:
      safeconduct offer list --state pending
    """
    from safeconduct.cli import management, output

    query = {"state": state, "reference": reference, "since": since, "until": until}
    offers = management.pages(
        "/offers", "offers", query, limit=limit, url=issuer, config=config, tenant=tenant
    )
    if as_json:
        output.write_json({"offers": offers})
        return
    for offer in offers:
        _write_line(offer)


@app.command()
def show(
    offer_id: Annotated[str, typer.Argument(metavar="OFFER-ID", help="As `offer list` shows it.")],
    issuer: IssuerUrl = None,
    tenant: Tenant = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what became of an offer, in a line as `offer list` has.

    \b
    Example:
      safeconduct offer show 0b5e9c41
    """
    from urllib.parse import quote

    from safeconduct.cli import management, output

    offer = management.ask(
        "GET", f"/offers/{quote(offer_id, safe='')}", None, url=issuer, config=config, tenant=tenant
    )
    if as_json:
        output.write_json(offer)
    else:
        _write_line(offer)


@app.command()
def cancel(
    offer_id: Annotated[str, typer.Argument(metavar="OFFER-ID", help="As `offer list` shows it.")],
    issuer: IssuerUrl = None,
    tenant: Tenant = None,
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

    path = f"/offers/{quote(offer_id, safe='')}"
    management.ask("DELETE", path, None, url=issuer, config=config, tenant=tenant)
    if as_json:
        output.write_json({"cancelled": offer_id})


def _claims(place: str) -> dict[str, Any]:
    from safeconduct.cli import files
    from safeconduct.cli.faults import WrongUse
    from safeconduct.encoding import json
    from safeconduct.errors import SafeconductError
    from safeconduct.limits import JSON_BYTES

    try:
        return json.loads_object(files.read(place, max_bytes=JSON_BYTES))
    except SafeconductError as error:
        raise WrongUse(f"{files.shown(place)} holds no claims: {error.reason}") from None


def _form(place: str) -> str:
    from safeconduct.cli.faults import WrongUse

    form = place.rpartition(".")[2].lower()
    if form not in ("svg", "png"):
        raise WrongUse("--qr wants a file whose name ends in .svg or .png")
    return form


def _write_picture(place: str, picture: dict[str, Any]) -> None:
    import binascii

    from safeconduct.cli import files
    from safeconduct.errors import Malformed

    try:
        data = binascii.a2b_base64(str(picture.get("data")), strict_mode=True)
    except (ValueError, AttributeError):
        raise Malformed("message_malformed", "The issuer's picture cannot be read.") from None
    files.write(place, data, secret=True)


def _write_line(offer: dict[str, Any]) -> None:
    from safeconduct.cli import management, output

    times = (management.date(offer.get(name)) for name in ("created_at", "expires_at"))
    names = ",".join(map(str, offer.get("configuration_ids", ())))
    reference = str(offer.get("reference") or "")
    output.write_columns(str(offer.get("offer_id")), str(offer.get("state")), names, *times, reference)
