"""`safeconduct wallet delegate`: passing a credential on without its issuer, signed by its holder."""

from typing import TYPE_CHECKING, Annotated

import typer

from safeconduct.cli.options import AsJson, Config
from safeconduct.cli.wallet import common, sharing
from safeconduct.cli.wallet.common import Credential, Yes
from safeconduct.cli.wallet.sharing import Qr, Relay

if TYPE_CHECKING:
    from safeconduct.wallet.sharing.delegating import AuthorityWish
    from safeconduct.wallet.sharing.records import Given, Shared
    from safeconduct.wallet.wallet import Wallet

Disclose = Annotated[
    list[str] | None,
    typer.Option("--disclose", metavar="PATH", help="A claim that goes along. May be repeated."),
]
Right = Annotated[
    list[str] | None,
    typer.Option(
        "--right",
        metavar="CLAIM=VALUE",
        help="Of this claim, which is a list, pass on only this value. May be repeated.",
    ),
]


def delegate(
    credential: Credential,
    disclose: Disclose = None,
    right: Right = None,
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires", metavar="WHEN", help="When it ends: 7d, 12h, or 2026-12-01; by default 7d."
        ),
    ] = None,
    further: Annotated[
        int, typer.Option("--further", metavar="N", min=0, help="How often the receiver may pass it on.")
    ] = 0,
    no_pin: Annotated[
        bool, typer.Option("--no-pin", help="Sign for whoever opens the link first, without a PIN.")
    ] = False,
    to: Annotated[
        str | None, typer.Option("--to", metavar="CONTACT", help="Sign only for this contact's key.")
    ] = None,
    lifetime: Annotated[
        str | None,
        typer.Option("--lifetime", metavar="PERIOD", help="How long the link is good: 30m, 12h or 2d."),
    ] = None,
    relay: Relay = None,
    qr: Qr = False,
    yes: Yes = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Pass a part of a credential on without its issuer: you sign it for the receiver's key.

    Only verifiers that take such credentials accept it, and the issuer cannot revoke it apart from yours.
    When the receiver has opened the link, sign with `wallet approve`.

    \b
    Example:
      safeconduct wallet delegate 3f --disclose access_rights[0] --right access_rights=open --expires 2d
    """
    from safeconduct.cli import output

    wish = _wish(disclose, right, expires, further, lifetime, relay, to=to, no_pin=no_pin, yes=yes)

    async def work(wallet: "Wallet") -> "Shared":
        return await wallet.delegate(credential, wish, to=to)

    shared = common.with_wallet(config, work)
    if as_json:
        common.write_json(common.as_json(shared))
        return
    sharing.write_shared(shared, None, qr=qr)
    output.note(f"When they have opened it: `{common.command()} approve {shared.id}`.")


def _wish(
    disclose: list[str] | None,
    right: list[str] | None,
    expires: str | None,
    further: int,
    lifetime: str | None,
    relay: str | None,
    *,
    to: str | None,
    no_pin: bool,
    yes: bool,
) -> "AuthorityWish":
    from safeconduct.cli import operating, periods
    from safeconduct.wallet.sharing.delegating import OPEN, AuthorityWish

    def agree(given: "Given") -> bool:
        return sharing.confirm(given, to)

    return AuthorityWish(
        disclose=tuple(disclose or ()),
        rights=_rights(right or []),
        expires=None if expires is None else periods.moment("--expires", expires, now=operating.clock()),
        further=further,
        pin=not no_pin and to is None,
        lifetime=OPEN if lifetime is None else periods.seconds("--lifetime", lifetime),
        relay=relay,
        agree=None if yes or not common.on_terminal() else agree,
    )


def _rights(given: list[str]) -> dict[str, tuple[str, ...]]:
    from safeconduct.cli.faults import WrongUse

    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise WrongUse("--right wants CLAIM=VALUE, such as access_rights=open")
        found[name] = (*found.get(name, ()), value)
    return found
