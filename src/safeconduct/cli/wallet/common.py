"""What the wallet's commands share: opening it, its passphrase, and how credentials are written."""

import functools
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from safeconduct.settings import WalletSettings
    from safeconduct.wallet.wallet import Held, Waiting, Wallet

Result = TypeVar("Result")

Credential = Annotated[
    str,
    typer.Argument(metavar="ID", help="As `wallet list` shows it; a beginning that only one has will do."),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="The passphrase, in the first line of this file."),
]
Via = Annotated[
    str | None,
    typer.Option(
        "--via", metavar="URL", help="Ask through this wallet server; by default that of the settings."
    ),
]
Batch = Annotated[
    int,
    typer.Option(
        "--batch",
        metavar="N",
        min=0,
        help="How many instances to get, each for one presentation that nobody can link to another; "
        "0 for as many as the issuer gives at once.",
    ),
]
Wait = Annotated[
    int,
    typer.Option(
        "--wait", metavar="SECONDS", min=0, help="How long to wait for an issuer that takes its time."
    ),
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask; only a terminal is asked, scripts never are.")
]
HolderKey = Annotated[
    str | None,
    typer.Option(
        "--key", metavar="URI", help="Bind the credential to this key in a PKCS#11 token (pkcs11:...)."
    ),
]
AllowUnencrypted = Annotated[
    bool,
    typer.Option(
        "--allow-unencrypted",
        help="Deal also with an issuer that offers no encryption; then never through a wallet server.",
    ),
]
WaitForParty = Annotated[
    int | None,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        min=0,
        help="How long to wait for the other side, if it has to do something; by default 10 minutes on a "
        "terminal, and else not at all.",
    ),
]
NoBrowser = Annotated[
    bool, typer.Option("--no-browser", help="Print the address to log in at, and open no browser.")
]


_persona: ContextVar[str | None] = ContextVar("persona", default=None)


def choose_persona(name: str | None) -> None:
    """Let the command that follows work for the persona of that name; None for that of the settings."""
    _persona.set(name)


def command() -> str:
    """Return how the wallet's commands begin, for the persona that was chosen, in what the user is told."""
    name = _persona.get()
    return "safeconduct wallet" if name is None else f"safeconduct wallet --persona {name}"


def wallet_settings(config: str | None) -> "WalletSettings":
    """Read the wallet's settings, for the persona that was chosen. Raises WrongUse, Malformed."""
    from safeconduct.cli import operating
    from safeconduct.wallet import personas

    settings, name = operating.settings(config).wallet, _persona.get()
    return settings if name is None else personas.chosen(settings, name)


def with_wallet(
    config: str | None,
    work: "Callable[[Wallet], Awaitable[Result]]",
    *,
    browse: Callable[[str], None] | None = None,
) -> Result:
    """Open the wallet of the settings and do the work with it."""
    from safeconduct.cli import operating, output
    from safeconduct.wallet.wallet import open_wallet

    settings = wallet_settings(config)

    async def opened() -> Result:
        async with open_wallet(
            settings,
            clock=operating.clock,
            report=lambda notice: output.note(f"noticed {notice.code}: {notice.reason}"),
            passphrase=passphrase_of(settings),
            browse=browse or print_address,
        ) as wallet:
            return await work(wallet)

    return operating.carry_out(opened())


def passphrase_of(settings: "WalletSettings") -> Callable[[], str] | None:
    """Return what gets the wallet's passphrase: the settings, or the user, who is asked once."""
    from safeconduct.wallet import safe

    return safe.passphrase_of(settings) or (functools.cache(_ask_for_passphrase) if on_terminal() else None)


def _ask_for_passphrase() -> str:
    found: str = typer.prompt("Passphrase of the wallet", hide_input=True, err=True)
    return found


def new_passphrase(file: Path | None, *, of: str) -> str:
    """Take a new passphrase from a file, or ask for it twice. Raises WrongUse where nobody can be asked."""
    from safeconduct.cli.faults import WrongUse
    from safeconduct.wallet.safe import read_passphrase

    if file is not None:
        return read_passphrase(file)
    if not on_terminal():
        raise WrongUse("give --passphrase-file FILE: nobody is here to be asked for a passphrase")
    found: str = typer.prompt(
        f"New passphrase of the {of}", hide_input=True, confirmation_prompt=True, err=True
    )
    return found


def passphrase(file: Path | None, *, of: str) -> str:
    """Take a passphrase from a file, or ask for it. Raises WrongUse where nobody can be asked."""
    from safeconduct.cli.faults import WrongUse
    from safeconduct.wallet.safe import read_passphrase

    if file is not None:
        return read_passphrase(file)
    if not on_terminal():
        raise WrongUse("give --passphrase-file FILE: nobody is here to be asked for a passphrase")
    found: str = typer.prompt(f"Passphrase of the {of}", hide_input=True, err=True)
    return found


def text_argument(given: str) -> str:
    """Return a text that was given, or that standard input has where "-" was. Raises WrongUse."""
    from safeconduct.cli import files
    from safeconduct.limits import JSON_BYTES

    if given != files.STANDARD_STREAM:
        return given.strip()
    return files.read_whole(given, max_bytes=JSON_BYTES).decode("utf-8", "replace").strip()


def on_terminal() -> bool:
    """Whether somebody is there who can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()


_PATIENCE = 600


def patience(wait: int | None) -> int:
    """Return for how many seconds to wait for the other side of a transfer."""
    if wait is not None:
        return wait
    return _PATIENCE if on_terminal() else 0


def digits_text(digits: str) -> str:
    """Return six digits as people read them out."""
    return f"{digits[:3]} {digits[3:]}"


def server(via: str | None, config: str | None) -> str | None:
    """Return the wallet server to ask through: that of the option, else of the settings, if any."""
    return via or wallet_settings(config).wallet_server or None


def write_json(value: Any) -> None:
    """Write one JSON document to standard output."""
    from safeconduct.cli import output

    output.write_json(value)


def print_address(url: str) -> None:
    """Tell the user where to log in."""
    from safeconduct.cli import output

    output.note(f"Log in here: {url}")


def as_json(record: Any) -> dict[str, Any]:
    """Return one of the wallet's structs as JSON."""
    import msgspec

    value: dict[str, Any] = msgspec.to_builtins(record)
    return value


def outcome_json(outcome: "Held | Waiting") -> dict[str, Any]:
    """Return a credential, or one that is still to come, as JSON."""
    from safeconduct.wallet.wallet import Waiting

    value = as_json(outcome)
    return {**value, "state": "waiting" if isinstance(outcome, Waiting) else "held"}


def write_outcome(outcome: "Held | Waiting") -> None:
    """Write a credential as a line; one that is still to come as a line of another form."""
    from safeconduct.cli import output
    from safeconduct.cli.management import date
    from safeconduct.wallet.wallet import Waiting

    if not isinstance(outcome, Waiting):
        write_held(outcome)
        return
    output.write_columns(outcome.id, outcome.issuer, outcome.configuration, outcome.stage)
    if outcome.stage == "deferred":
        when = date(outcome.not_before)
        output.note(f"The issuer gives it later: `{command()} fetch {outcome.id}`, not before {when}.")
    else:
        output.note(f"No answer came: `{command()} resume` asks for {outcome.id} again.")


def write_held(held: "Held") -> None:
    """Write a credential as a line."""
    from safeconduct.cli import output
    from safeconduct.cli.management import date

    columns = [held.id, held.issuer, held.vct, "" if held.expires is None else date(held.expires)]
    if held.instances > 1:
        columns.append(f"{held.unused} of {held.instances} unused")
    output.write_columns(*columns)
