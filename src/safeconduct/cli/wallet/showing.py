"""`safeconduct wallet present`: a part of a credential, to one verifier."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from safeconduct.cli.options import AsJson, Config, NonceHex, Out, audience_name, hexadecimal
from safeconduct.cli.wallet import common
from safeconduct.cli.wallet.common import Credential

if TYPE_CHECKING:
    from safeconduct.wallet.wallet import Wallet

Disclose = Annotated[
    list[str] | None,
    typer.Option("--disclose", metavar="PATH", help="A claim to show, with all inside it. May be repeated."),
]
Reuse = Annotated[
    bool,
    typer.Option("--reuse", help="If all instances were shown, show one again; the two can be linked."),
]


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
    nonce_text: Annotated[
        str | None,
        typer.Option("--nonce-text", metavar="TEXT", help="The nonce, where it is text: for an SD-JWT."),
    ] = None,
    reuse: Reuse = False,
    out: Out = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show a part of a credential to one verifier.

    Nothing that may be withheld is shown unless it is named; `safeconduct wallet show` lists the paths. Of a
    credential with several instances, one is shown that nobody has seen.

    With --to, the verifier is asked for a nonce and judges; its view of the claims is printed. With
    --audience, the presentation is written out.

    \b
    Example:
      safeconduct wallet present 3f --disclose given_name --to https://verifier.example
    """
    from safeconduct.cli.faults import WrongUse

    if (to is None) == (audience is None):
        raise WrongUse("give either --to URL or --audience URI")
    if nonce is not None and nonce_text is not None:
        raise WrongUse("give either --nonce or --nonce-text")
    if to is not None:
        if nonce is not None or nonce_text is not None or out is not None:
            raise WrongUse("--nonce and --out belong to --audience: with --to the verifier gives the nonce")
        _present_to(to, credential, disclose or [], config, reuse=reuse, as_json=as_json)
        return
    meant_for = audience_name(audience or "")
    challenge = None if nonce is None else hexadecimal("--nonce", nonce)
    if nonce_text is not None:
        challenge = nonce_text.encode()

    async def work(wallet: "Wallet") -> tuple[bytes, bool]:
        shown = await wallet.present(
            credential, disclose=disclose or [], audience=meant_for, nonce=challenge, reuse=reuse
        )
        return shown, (await wallet.show(credential)).held.format == _SD_JWT

    _deliver(*common.with_wallet(config, work), out, as_json=as_json)


_SD_JWT = "dc+sd-jwt"


def _deliver(shown: bytes, is_text: bool, out: str | None, *, as_json: bool) -> None:
    from safeconduct.cli import tokens

    if is_text:
        tokens.deliver_text(shown.decode("ascii"), out, as_json=as_json)
    else:
        tokens.deliver(shown, out, as_json=as_json)


def _present_to(
    verifier: str, credential: str, disclose: list[str], config: str | None, *, reuse: bool, as_json: bool
) -> None:
    from safeconduct.cli import output
    from safeconduct.errors import Rejected

    async def work(wallet: "Wallet") -> dict[str, Any]:
        outcome = await wallet.present_to(credential, verifier=verifier, disclose=disclose, reuse=reuse)
        if not outcome.accepted:
            raise Rejected(outcome.code or "presentation_refused", outcome.reason or "The verifier refused.")
        return outcome.claims

    claims = common.with_wallet(config, work)
    output.write_json({"accepted": True, "claims": claims} if as_json else claims)
