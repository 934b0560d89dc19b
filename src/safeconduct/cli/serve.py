"""`safeconduct serve`: run a service until it is told to stop."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from safeconduct.cli.options import AsJson, Config

if TYPE_CHECKING:
    from safeconduct.settings import Settings
    from safeconduct.telemetry import Telemetry
    from safeconduct.web.serve import Listener

    Opening = Callable[[Settings, Telemetry], AbstractAsyncContextManager[list[Listener]]]

app = typer.Typer(help="Run a service until it is told to stop.", no_args_is_help=True)

Check = Annotated[
    bool, typer.Option("--check", help="Check settings, keys and database, and stop before listening.")
]
Host = Annotated[
    str | None, typer.Option("--host", metavar="ADDRESS", help="Listen on this address (setting `host`).")
]
Port = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="Listen on this port (setting `port`); 0: any free one."),
]
AdminPort = Annotated[
    int | None,
    typer.Option(
        "--admin-port",
        min=0,
        max=65535,
        help="Port of the management API (setting `admin_port`); 0: any free one.",
    ),
]


@app.command()
def issuer(
    config: Config = None,
    check: Check = False,
    host: Host = None,
    port: Port = None,
    admin_port: AdminPort = None,
    as_json: AsJson = False,
) -> None:
    """Issue credentials over OpenID4VCI.

    Offers are made through the management API, which wants the bearer token admin_token of the settings.

    \b
    Example:
      SAFECONDUCT_ISSUER__ADMIN_TOKEN=$(openssl rand -hex 16) safeconduct serve issuer
    """
    from safeconduct.cli import operating
    from safeconduct.services.issuer import open_issuer

    _serve(
        "issuer",
        lambda settings, telemetry: open_issuer(settings.issuer, telemetry=telemetry, clock=operating.clock),
        config=config,
        check=check,
        overrides={"host": host, "port": port, "admin_port": admin_port},
        as_json=as_json,
    )


@app.command()
def wallet_server(
    config: Config = None,
    check: Check = False,
    host: Host = None,
    port: Port = None,
    admin_port: AdminPort = None,
    as_json: AsJson = False,
) -> None:
    """Forward wallets' encrypted requests to issuers.

    It serves the issuers that its setting `issuers` lists, and no other.

    \b
    Example:
      SAFECONDUCT_WALLET_SERVER__ISSUERS=https://issuer.example safeconduct serve wallet-server
    """
    from safeconduct.cli import operating
    from safeconduct.services.wallet_server import open_wallet_server

    _serve(
        "wallet_server",
        lambda settings, telemetry: open_wallet_server(
            settings.wallet_server, telemetry=telemetry, clock=operating.clock
        ),
        config=config,
        check=check,
        overrides={"host": host, "port": port, "admin_port": admin_port},
        as_json=as_json,
    )


@app.command()
def verifier(
    config: Config = None,
    check: Check = False,
    host: Host = None,
    port: Port = None,
    admin_port: AdminPort = None,
    as_json: AsJson = False,
) -> None:
    """Give out nonces and judge presentations.

    The setting `trust` names the JSON file with the issuers and keys to believe, as --trust of
    `safeconduct sd-cwt verify`. It must be there.

    \b
    Example:
      SAFECONDUCT_VERIFIER__TRUST=trust.json safeconduct serve verifier --port 8460
    """
    from safeconduct.cli import operating
    from safeconduct.services.verifier import open_verifier

    _serve(
        "verifier",
        lambda settings, telemetry: open_verifier(
            settings.verifier, telemetry=telemetry, clock=operating.clock
        ),
        config=config,
        check=check,
        overrides={"host": host, "port": port, "admin_port": admin_port},
        as_json=as_json,
    )


def _serve(
    section: str,
    opening: "Opening",
    *,
    config: str | None,
    check: bool,
    overrides: dict[str, str | int | None],
    as_json: bool,
) -> None:
    from safeconduct.cli import operating, output
    from safeconduct.telemetry import Telemetry
    from safeconduct.telemetry.logs import divert_libraries
    from safeconduct.web.serve import check_tls, until_signalled

    settings = _settings(section, config, overrides)
    telemetry = Telemetry.open(section.replace("_", "-"), level=settings.telemetry.log_level)
    if not check:
        divert_libraries(telemetry.log)
    if getattr(settings, section).admin_token is None:
        output.note(f"management is off: set SAFECONDUCT_{section.upper()}__ADMIN_TOKEN to turn it on")

    forwarding = settings.wallet_server
    if section == "wallet_server" and not forwarding.issuers and forwarding.issuers_file is None:
        output.note("no issuer is listed, so nothing is forwarded: set SAFECONDUCT_WALLET_SERVER__ISSUERS")

    def announce(line: str) -> None:
        name, _, url = line.partition(": ")
        if as_json:
            output.write_line({"listener": name, "url": url})
        else:
            output.write_text(line)

    async def work() -> None:
        async with opening(settings, telemetry) as listeners:
            if check:
                check_tls(listeners)
            else:
                await until_signalled(listeners, announce=announce)

    operating.carry_out(work())
    if check:
        if as_json:
            output.write_json({"checked": section})
        else:
            output.write_text("settings, keys and database are in order")


def _settings(section: str, config: str | None, overrides: dict[str, str | int | None]) -> "Settings":
    """Read the settings; what the options say passes as variables, and so is checked in the same way."""
    from safeconduct.cli import operating
    from safeconduct.web.serve import free_port

    prefix = f"SAFECONDUCT_{section}__".upper()
    said = {key: value for key, value in overrides.items() if value is not None}
    variables = {f"{prefix}{key.upper()}": str(value) for key, value in said.items()}
    settings = operating.settings(config, variables)
    own = getattr(settings, section)
    if own.port == 0 and not own.identifier:
        # A service that is named after its address must know it before it listens.
        settings = operating.settings(config, variables | {f"{prefix}PORT": str(free_port(own.host))})
    return settings
