"""`safeconduct wallet`: the holder's credentials."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from safeconduct.cli.options import AsJson, Config, NonceHex, Out, audience_name, hexadecimal

if TYPE_CHECKING:
    from safeconduct.wallet.wallet import Held, Wallet

app = typer.Typer(help="Accept, keep and present credentials.", no_args_is_help=True)

Result = TypeVar("Result")

Credential = Annotated[
    str,
    typer.Argument(metavar="ID", help="As `wallet list` shows it; a beginning that only one has will do."),
]
Offer = Annotated[
    str,
    typer.Argument(
        metavar="OFFER|-",
        help="The URI of the offer; - for standard input, where the transaction code may follow it.",
    ),
]
Disclose = Annotated[
    list[str] | None,
    typer.Option("--disclose", metavar="PATH", help="A claim to show, with all inside it. May be repeated."),
]


@app.command()
def accept(
    offer: Offer,
    tx_code: Annotated[
        str | None,
        typer.Option("--tx-code", metavar="CODE", help="The transaction code, if the offer wants one."),
    ] = None,
    via: Annotated[
        str | None,
        typer.Option(
            "--via", metavar="URL", help="Ask through this wallet server; by default that of the settings."
        ),
    ] = None,
    configuration: Annotated[
        str | None,
        typer.Option("--configuration", metavar="ID", help="Which credential, if the offer has several."),
    ] = None,
    allow_unencrypted: Annotated[
        bool,
        typer.Option(
            "--allow-unencrypted",
            help="Deal also with an issuer that offers no encryption; then never through a wallet server.",
        ),
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Accept an offer: get the credential, check it and keep it.

    \b
    Example:
      safeconduct wallet accept 'openid-credential-offer://?credential_offer=...' --tx-code 493536 \\
        --via https://wallet-server.example
    """
    from safeconduct.cli import operating, output

    uri, code = _offer(offer, tx_code)
    server = via or operating.settings(config).wallet.wallet_server or None

    async def work(wallet: "Wallet") -> "Held":
        return await wallet.accept(
            uri,
            tx_code=code,
            via=server,
            unencrypted="allowed" if allow_unencrypted else "refused",
            configuration=configuration,
        )

    held = _with_wallet(config, work)
    if as_json:
        output.write_json(_held_json(held))
    else:
        _write_held(held)


@app.command("list")
def list_credentials(config: Config = None, as_json: AsJson = False) -> None:
    """List credentials, the newest first.

    A line has id, issuer, type, and when the credential ends, with tabs between.

    \b
    Example:
      safeconduct wallet list
    """
    from safeconduct.cli import output

    async def work(wallet: "Wallet") -> "tuple[Held, ...]":
        return await wallet.list()

    found = _with_wallet(config, work)
    if as_json:
        output.write_json({"credentials": [_held_json(held) for held in found]})
        return
    for held in found:
        _write_held(held)


@app.command()
def show(credential: Credential, config: Config = None, as_json: AsJson = False) -> None:
    """Show a credential as JSON.

    withholdable has the paths of the claims that `wallet present` shows only if they are named.

    \b
    Example:
      safeconduct wallet show 3f
    """
    from safeconduct.cli import output

    async def work(wallet: "Wallet") -> dict[str, Any]:
        shown = await wallet.show(credential)
        return {**_held_json(shown.held), "claims": shown.claims, "withholdable": list(shown.withholdable)}

    del as_json  # it is JSON in any case
    output.write_json(_with_wallet(config, work))


@app.command()
def present(
    credential: Credential,
    disclose: Disclose = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="Present to this verifier service, over HTTP.")
    ] = None,
    audience: Annotated[
        str | None, typer.Option("--audience", metavar="URI", help="Make a presentation for this verifier.")
    ] = None,
    nonce: NonceHex = None,
    out: Out = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show a part of a credential to one verifier.

    Nothing that may be withheld is shown unless it is named; `safeconduct wallet show` lists the paths.

    With --to, the verifier is asked for a nonce and judges; its view of the claims is printed. With
    --audience, the presentation is written out.

    \b
    Example:
      safeconduct wallet present 3f --disclose given_name --to https://verifier.example
    """
    from safeconduct.cli import tokens
    from safeconduct.cli.faults import WrongUse

    if (to is None) == (audience is None):
        raise WrongUse("give either --to URL or --audience URI")
    if to is not None:
        if nonce is not None or out is not None:
            raise WrongUse("--nonce and --out belong to --audience: with --to the verifier gives the nonce")
        _present_to(to, credential, disclose or [], config, as_json=as_json)
        return
    meant_for, challenge = (
        audience_name(audience or ""),
        None if nonce is None else hexadecimal("--nonce", nonce),
    )

    async def work(wallet: "Wallet") -> bytes:
        return await wallet.present(credential, disclose=disclose or [], audience=meant_for, nonce=challenge)

    tokens.deliver(_with_wallet(config, work), out, as_json=as_json)


@app.command()
def remove(credential: Credential, config: Config = None, as_json: AsJson = False) -> None:
    """Delete a credential and its key.

    \b
    Example:
      safeconduct wallet remove 3f5d0a71
    """
    from safeconduct.cli import output

    async def work(wallet: "Wallet") -> None:
        await wallet.remove(credential)

    _with_wallet(config, work)
    if as_json:
        output.write_json({"removed": credential})


def _present_to(
    verifier: str, credential: str, disclose: list[str], config: str | None, *, as_json: bool
) -> None:
    from safeconduct.cli import output
    from safeconduct.errors import Rejected

    async def work(wallet: "Wallet") -> dict[str, Any]:
        outcome = await wallet.present_to(credential, verifier=verifier, disclose=disclose)
        if not outcome.accepted:
            raise Rejected(outcome.code or "presentation_refused", outcome.reason or "The verifier refused.")
        return outcome.claims

    claims = _with_wallet(config, work)
    output.write_json({"accepted": True, "claims": claims} if as_json else claims)


def _with_wallet(config: str | None, work: "Callable[[Wallet], Awaitable[Result]]") -> Result:
    from safeconduct.cli import operating, output
    from safeconduct.wallet.wallet import open_wallet

    settings = operating.settings(config).wallet

    async def opened() -> Result:
        async with open_wallet(
            settings,
            clock=operating.clock,
            report=lambda notice: output.note(f"noticed {notice.code}: {notice.reason}"),
        ) as wallet:
            return await work(wallet)

    return operating.carry_out(opened())


def _offer(offer: str, tx_code: str | None) -> tuple[str, str | None]:
    """Take an offer as `offer create` prints it: the URI, and behind it the transaction code, if any."""
    from safeconduct.cli import files
    from safeconduct.cli.faults import WrongUse
    from safeconduct.limits import JSON_BYTES

    text = offer
    if offer == files.STANDARD_STREAM:
        text = files.read_whole(offer, max_bytes=JSON_BYTES).decode("utf-8", "replace")
    fields = text.split()
    if not 1 <= len(fields) <= 2:
        raise WrongUse("an offer is a URI such as openid-credential-offer://?credential_offer=…")
    return fields[0], tx_code or (fields[1] if len(fields) == 2 else None)


def _held_json(held: "Held") -> dict[str, Any]:
    import msgspec

    value: dict[str, Any] = msgspec.to_builtins(held)
    return value


def _write_held(held: "Held") -> None:
    from safeconduct.cli import output
    from safeconduct.cli.management import date

    output.write_columns(held.id, held.issuer, held.vct, "" if held.expires is None else date(held.expires))
