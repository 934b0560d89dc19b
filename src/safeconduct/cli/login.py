"""`safeconduct login`: what people log in with at an issuer: one-time links, and passwords of accounts."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from safeconduct.cli.issuing import IssuerUrl, Tenant
from safeconduct.cli.options import AsJson, Config

app = typer.Typer(help="Make login links, and passwords for the accounts file.", no_args_is_help=True)

_MOST_BYTES = 4096


@app.command()
def link(
    subject: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="Whom it is for, as your records name them.")
    ],
    issuer: IssuerUrl = None,
    tenant: Tenant = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make a link by which somebody logs in once, and print it.

    Whoever opens it is this person to the issuer: send it to nobody else. This goes through the issuer's
    management API.

    \b
    Example:
      safeconduct login link urn:example:person:1
    """
    from safeconduct.cli import management, output

    made = management.ask("POST", "/links", {"subject": subject}, url=issuer, config=config, tenant=tenant)
    if as_json:
        output.write_json(made)
    else:
        output.write_text(str(made["url"]))


@app.command()
def password(
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="The password, in the first line of this.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a password and print what stands for it in the accounts file.

    \b
    Example:
      safeconduct login password
    """
    from safeconduct.cli import files, output
    from safeconduct.cli.faults import WrongUse
    from safeconduct.services.issuer.accounts import hash_password

    if file is not None:
        text = files.read_whole(str(file), max_bytes=_MOST_BYTES).decode("utf-8", "replace")
        chosen = text.partition("\n")[0].rstrip("\r")
    elif sys.stdin is not None and sys.stdin.isatty():
        chosen = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        raise WrongUse("give --file FILE: nobody is here to be asked for a password")
    if not chosen:
        raise WrongUse("the password is empty")
    hashed = hash_password(chosen)
    if as_json:
        output.write_json({"password": hashed})
    else:
        output.write_text(hashed)
