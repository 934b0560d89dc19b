"""`safeconduct wallet trust`: whom to believe about an issuer, instead of the issuer's own word."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from safeconduct.cli.options import AsJson, Config
from safeconduct.cli.wallet import common

if TYPE_CHECKING:
    from safeconduct.wallet.wallet import KnownIssuer, Wallet

app = typer.Typer(help="Say whom to believe about an issuer.", no_args_is_help=True)

Issuer = Annotated[str, typer.Argument(metavar="ISSUER", help="The issuer's identifier, an https URL.")]


@app.command()
def add(
    issuer: Issuer,
    anchor: Annotated[
        list[str] | None,
        typer.Option("--anchor", metavar="FILE", help="A CA's certificate in PEM. May be repeated."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="FILE", help="A public key that signs for it. May be repeated."),
    ] = None,
    any_name: Annotated[
        bool,
        typer.Option(
            "--any-name", help="The CA certifies this issuer alone: do not look at the names in certificates."
        ),
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Believe of an issuer only what is signed by these keys, or by keys that these CAs certify.

    It replaces what was said about the issuer before. With an --anchor, the issuer's description of itself
    may come through a wallet server, if it is signed.

    \b
    Example:
      safeconduct wallet trust add https://issuer.example --anchor ca.pem
    """
    from safeconduct.cli import files, keyfiles, output
    from safeconduct.cli.faults import WrongUse
    from safeconduct.errors import SafeconductError

    if not anchor and not key:
        raise WrongUse("give --anchor FILE or --key FILE")
    keys = [keyfiles.read_public(file) for file in key or []]
    certificates = [
        files.read_whole(file, max_bytes=keyfiles.MAX_BYTES).decode("ascii", "replace")
        for file in anchor or []
    ]

    async def work(wallet: "Wallet") -> None:
        try:
            await wallet.trust(issuer, keys=keys, certificates=certificates, any_name=any_name)
        except SafeconductError as error:
            raise WrongUse(error.reason) from None

    common.with_wallet(config, work)
    if as_json:
        output.write_json({"trusted": issuer})


@app.command("list")
def list_issuers(config: Config = None, as_json: AsJson = False) -> None:
    """List the issuers that the wallet knows, and whom it believes about them.

    \b
    Example:
      safeconduct wallet trust list
    """
    from safeconduct.cli import output

    async def work(wallet: "Wallet") -> "tuple[KnownIssuer, ...]":
        return await wallet.trusted()

    found = common.with_wallet(config, work)
    if as_json:
        output.write_json({"issuers": [_described(issuer) for issuer in found]})
        return
    for issuer in found:
        output.write_columns(issuer.identifier, _believed(issuer))


@app.command()
def remove(issuer: Issuer, config: Config = None, as_json: AsJson = False) -> None:
    """Believe an issuer's own word again.

    \b
    Example:
      safeconduct wallet trust remove https://issuer.example
    """
    from safeconduct.cli import output

    async def work(wallet: "Wallet") -> None:
        await wallet.trust(issuer)

    common.with_wallet(config, work)
    if as_json:
        output.write_json({"forgotten": issuer})


def _believed(issuer: "KnownIssuer") -> str:
    if not issuer.pinned:
        return "its own word"
    parts = [(len(issuer.keys), "keys"), (len(issuer.certificates), "anchors")]
    return ", ".join(f"{count} {what}" for count, what in parts if count)


def _described(issuer: "KnownIssuer") -> dict[str, Any]:
    return {
        "issuer": issuer.identifier,
        "keys": len(issuer.keys),
        "anchors": len(issuer.certificates),
        "encryption_required": issuer.encryption_required,
        "signed": issuer.signed,
    }
