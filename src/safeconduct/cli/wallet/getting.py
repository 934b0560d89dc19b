"""`safeconduct wallet accept`, `request`, `fetch`, `resume`, `renew`: how credentials come."""

import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from safeconduct.cli.options import AsJson, Config
from safeconduct.cli.wallet import common
from safeconduct.cli.wallet.common import (
    AllowUnencrypted,
    Batch,
    Credential,
    HolderKey,
    NoBrowser,
    Via,
    Wait,
    Yes,
)

if TYPE_CHECKING:
    from safeconduct.wallet.wallet import Held, Question, Waiting, Wallet

Offer = Annotated[
    str,
    typer.Argument(
        metavar="OFFER|-",
        help="The URI of the offer; - for standard input, where the transaction code may follow it.",
    ),
]
Pending = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="The one to ask for; all that are to come, if none.")
]


def accept(
    offer: Offer,
    tx_code: Annotated[
        str | None,
        typer.Option("--tx-code", metavar="CODE", help="The transaction code, if the offer wants one."),
    ] = None,
    batch: Batch = 1,
    via: Via = None,
    configuration: Annotated[
        str | None,
        typer.Option("--configuration", metavar="ID", help="Which credential, if the offer has several."),
    ] = None,
    wait: Wait = 0,
    key: HolderKey = None,
    allow_unencrypted: AllowUnencrypted = False,
    yes: Yes = False,
    no_browser: NoBrowser = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Accept an offer: get the credential, check it and keep it.

    On a terminal, the wallet says whom it is about to ask and waits for a yes. If the offer wants a login,
    the browser is opened for it.

    \b
    Example:
      safeconduct wallet accept 'openid-credential-offer://?credential_offer=...' --tx-code 493536 \\
        --via https://wallet-server.example
    """
    uri, code = _offer(offer, tx_code)
    server = common.server(via, config)

    async def work(wallet: "Wallet") -> "Held | Waiting":
        return await wallet.accept(
            uri,
            tx_code=code,
            via=server,
            unencrypted="allowed" if allow_unencrypted else "refused",
            configuration=configuration,
            batch=batch,
            wait=wait,
            key=key,
            ask=_asking(yes=yes or offer == "-"),
        )

    outcome = common.with_wallet(config, work, browse=_browsing(no_browser=no_browser))
    _write([outcome], single=True, as_json=as_json)


def request(
    issuer: Annotated[str, typer.Argument(metavar="ISSUER", help="The issuer's identifier, an https URL.")],
    configuration: Annotated[
        str, typer.Option("--configuration", metavar="ID", help="Which of its credentials.")
    ],
    batch: Batch = 1,
    via: Via = None,
    wait: Wait = 0,
    key: HolderKey = None,
    allow_unencrypted: AllowUnencrypted = False,
    yes: Yes = False,
    no_browser: NoBrowser = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Ask an issuer for a credential without an offer: you log in there, in your browser.

    \b
    Example:
      safeconduct wallet request https://issuer.example --configuration identity
    """
    server = common.server(via, config)

    async def work(wallet: "Wallet") -> "Held | Waiting":
        return await wallet.request(
            issuer,
            configuration=configuration,
            via=server,
            unencrypted="allowed" if allow_unencrypted else "refused",
            batch=batch,
            wait=wait,
            key=key,
            ask=_asking(yes=yes),
        )

    outcome = common.with_wallet(config, work, browse=_browsing(no_browser=no_browser))
    _write([outcome], single=True, as_json=as_json)


def fetch(credential: Pending = None, wait: Wait = 0, config: Config = None, as_json: AsJson = False) -> None:
    """Ask for credentials that their issuers give later.

    \b
    Example:
      safeconduct wallet fetch --wait 60
    """

    async def work(wallet: "Wallet") -> "tuple[Held | Waiting, ...]":
        return await wallet.fetch(credential, wait=wait)

    _write(list(common.with_wallet(config, work)), single=False, as_json=as_json)


def resume(config: Config = None, as_json: AsJson = False) -> None:
    """Ask again where no answer came, for the same keys: an issuer that answered before answers again.

    Shares that are being taken back or declined are gone on with as well.

    \b
    Example:
      safeconduct wallet resume
    """

    async def work(wallet: "Wallet") -> "tuple[Held | Waiting, ...]":
        await wallet.resume_transfers()
        return await wallet.resume()

    _write(list(common.with_wallet(config, work)), single=False, as_json=as_json)


def renew(
    credential: Credential,
    batch: Annotated[
        int | None,
        typer.Option("--batch", metavar="N", min=1, help="How many instances; by default as many as before."),
    ] = None,
    via: Via = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Get a credential once more, for new keys, in the old one's place, without a new offer or login.

    \b
    Example:
      safeconduct wallet renew 3f --batch 10
    """
    server = common.server(via, config)

    async def work(wallet: "Wallet") -> "Held | Waiting":
        return await wallet.renew(credential, via=server, batch=batch)

    _write([common.with_wallet(config, work)], single=True, as_json=as_json)


def _write(outcomes: "list[Held | Waiting]", *, single: bool, as_json: bool) -> None:
    from safeconduct.cli import output

    if as_json:
        written = [common.outcome_json(outcome) for outcome in outcomes]
        output.write_json(written[0] if single else {"credentials": written})
        return
    for outcome in outcomes:
        common.write_outcome(outcome)


def _asking(*, yes: bool) -> "Callable[[Question], bool] | None":
    return None if yes or not common.on_terminal() else _confirm


def _confirm(question: "Question") -> bool:
    from safeconduct.cli import output
    from safeconduct.cli.faults import printable

    if question.step == "fetch":
        output.note(f"The offer is to be fetched from {question.host}; anybody can make such an address.")
    else:
        output.note(f"Issuer:       {printable(question.issuer)}")
        for configuration in question.configurations:
            output.note(f"Credential:   {printable(configuration)}")
        output.note(
            f"The wallet would ask {question.host}{', and you would log in there' if question.login else ''}."
        )
    return typer.confirm("Go on?", err=True)


def _browsing(*, no_browser: bool) -> Callable[[str], None]:
    def browse(url: str) -> None:
        common.print_address(url)
        if not no_browser and common.on_terminal():
            webbrowser.open(url)

    return browse


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
