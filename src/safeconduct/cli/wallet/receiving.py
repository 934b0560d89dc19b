"""`safeconduct wallet receive`, `decline`: what others share."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from safeconduct.cli.options import AsJson, Config
from safeconduct.cli.wallet import common
from safeconduct.cli.wallet.common import AllowUnencrypted, HolderKey, Via, WaitForParty, Yes

if TYPE_CHECKING:
    from safeconduct.wallet.sharing.approved import Awaited
    from safeconduct.wallet.sharing.receiving import ShareQuestion, Terms
    from safeconduct.wallet.wallet import Held, Waiting, Wallet

Source = Annotated[
    str,
    typer.Argument(
        metavar="LINK|FILE|ID|-",
        help="The link, a file with a sealed share, or the id of a transfer to go on with; - for standard "
        "input, where other users of the machine do not see it.",
    ),
]
RelayOk = Annotated[
    bool,
    typer.Option(
        "--relay-ok", help="Speak to the link's relay although it is not in the settings, without asking."
    ),
]


def receive(
    source: Source,
    tx_code: Annotated[
        str | None,
        typer.Option("--tx-code", metavar="PIN", help="The PIN that the sender told you by another way."),
    ] = None,
    via: Via = None,
    key: HolderKey = None,
    relay_ok: RelayOk = False,
    configuration: Annotated[
        str | None,
        typer.Option("--configuration", metavar="ID", help="Which credential, if the share has several."),
    ] = None,
    issuer: Annotated[
        str | None,
        typer.Option("--issuer", metavar="URL", help="Take it only if it is of this issuer; for scripts."),
    ] = None,
    wait: WaitForParty = None,
    allow_unencrypted: AllowUnencrypted = False,
    yes: Yes = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Receive what somebody shares: a credential of your own, bound to a key of your own.

    On a terminal the wallet says whom it is about to ask and for what, and waits for a yes; a PIN is asked
    for only after that. What was interrupted goes on when the same link is given again.

    \b
    Example:
      safeconduct wallet receive 'https://relay.example/v1/m/...#...' --tx-code 493536
      safeconduct wallet receive share.sct
    """
    from safeconduct.cli import progress

    text = _source(source)
    server = common.server(via, config)

    async def work(wallet: "Wallet") -> "Held | Waiting | Awaited":
        with progress.waiting(
            "Opening it, and waiting for the sender if they have to approve", quiet=as_json or not waits
        ) as stop:
            terms = _terms(
                ask=_asking(stop, yes=yes or source == "-"),
                relay_ok=relay_ok,
                tx_code=tx_code,
                pin=_pin(stop, source),
                via=server,
                unencrypted=allow_unencrypted,
                key=key,
                configuration=configuration,
                issuer=issuer,
                wait=wait or 0,
                wait_sender=waits,
                show=_showing(stop, quiet=as_json),
            )
            return await wallet.receive(text, terms)

    waits = common.patience(wait)
    _write(common.with_wallet(config, work), as_json=as_json)


def decline(
    source: Source,
    give_back: Annotated[
        bool,
        typer.Option(
            "--give-back", help="Leave it for another wallet of yours, which can open the link then."
        ),
    ] = False,
    relay_ok: RelayOk = False,
    yes: Yes = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Decline what somebody shares, so that nobody else can take it either; the sender sees that it is gone.

    \b
    Example:
      safeconduct wallet decline 'https://relay.example/v1/m/...#...'
      safeconduct wallet decline 7c21 --give-back
    """
    from safeconduct.cli import output

    text = _source(source)

    async def work(wallet: "Wallet") -> str:
        terms = _terms(ask=_asking(lambda: None, yes=yes or source == "-"), relay_ok=relay_ok)
        return await wallet.decline(text, way="give_back" if give_back else "refuse", terms=terms)

    outcome = common.with_wallet(config, work)
    if as_json:
        common.write_json({"outcome": outcome})
    else:
        output.write_columns(outcome)


def _source(given: str) -> str:
    """The text that was given, or of standard input, or of the file of that name."""
    from pathlib import Path

    from safeconduct.cli import files
    from safeconduct.cli.faults import WrongUse
    from safeconduct.limits import JSON_BYTES

    if given == files.STANDARD_STREAM or "://" in given or given.startswith("sct:"):
        return common.text_argument(given)
    if Path(given).is_file():
        return files.read_whole(given, max_bytes=JSON_BYTES).decode("utf-8", "replace").strip()
    if not _ID.fullmatch(given):
        raise WrongUse(
            "give a link (https://...#...), a file that is there, or an id that `wallet list` shows"
        )
    return given


_ID = re.compile(r"[0-9a-f]{1,64}")


def _terms(*, relay_ok: bool, unencrypted: bool = False, **given: object) -> "Terms":
    from typing import Any

    from safeconduct.wallet.sharing.receiving import Terms

    members: dict[str, Any] = given
    return Terms(
        relay="allowed" if relay_ok else "asked",
        unencrypted="allowed" if unencrypted else "refused",
        **members,
    )


def _asking(stop: Callable[[], None], *, yes: bool) -> "Callable[[ShareQuestion], bool] | None":
    if yes or not common.on_terminal():
        return None

    def ask(question: "ShareQuestion") -> bool:
        stop()
        _describe(question)
        signed = question.step == "redeem" and question.level == "authority"
        return typer.confirm(_SIGNED if signed else _QUESTIONS[question.step], err=True)

    return ask


_QUESTIONS = {
    "relay": "Speak to this relay?",
    "claim": "Take it, so that nobody else can?",
    "redeem": "Ask this issuer for it?",
}
_SIGNED = "Ask the sender to sign it for you?"


def _describe(question: "ShareQuestion") -> None:
    """Show what is asked about. The words are of who made the link: none may begin a line (A30)."""
    from safeconduct.cli import output
    from safeconduct.cli.faults import printable
    from safeconduct.cli.management import date

    if question.step == "relay":
        output.note(
            f"The link leads to {question.host}, which is not in your settings. Whoever made the link"
        )
        output.note("could learn from it where you are.")
    elif question.step == "claim":
        output.note(f"At {question.host}: {printable(f'{question.title} {question.description}')}")
        if question.legacy:
            output.note("It is written as the drafts say: the relay could repeat or return messages.")
    else:
        output.note(
            f"Issuer:       {printable(question.issuer)}{'' if question.known else '   (new to this wallet)'}"
        )
        output.note(f"Credential:   {printable(' or '.join(question.configurations))}")
        if question.description:
            output.note(f"What it is:   {printable(question.description)}")
        if question.expires is not None:
            output.note(f"Good until:   {date(question.expires)}")
        if question.mode == "move":
            output.note("The sender's own credential ends when you have yours.")


def _pin(stop: Callable[[], None], source: str) -> "Callable[[ShareQuestion], str | None] | None":
    """Asks for the PIN; by then issuer and content were shown (A30)."""
    if source == "-" or not common.on_terminal():
        return None

    def pin(question: "ShareQuestion") -> str | None:
        stop()
        found: str = typer.prompt(f"PIN for {question.issuer}, from the sender", hide_input=True, err=True)
        return "".join(found.split()) or None

    return pin


def _showing(stop: Callable[[], None], *, quiet: bool) -> Callable[[str, str], None]:
    from safeconduct.cli import output
    from safeconduct.cli.faults import printable

    def show(digits: str, issuer: str) -> None:
        stop()
        if not quiet:
            output.note(f"Digits: {common.digits_text(digits)}")
            output.note(
                f"Read them out to the sender, by voice. It is about a credential of {printable(issuer)}."
            )

    return show


def _write(outcome: "Held | Waiting | Awaited", *, as_json: bool) -> None:
    from safeconduct.cli import output
    from safeconduct.wallet.sharing.approved import Awaited

    if not isinstance(outcome, Awaited):
        common.write_json(common.outcome_json(outcome)) if as_json else common.write_outcome(outcome)
        return
    if as_json:
        common.write_json({**common.as_json(outcome), "state": "awaited"})
        return
    output.write_columns(outcome.id, "awaited", outcome.digits or "")
    output.note(f"The sender has not approved it yet: `{common.command()} receive {outcome.id}` goes on.")
