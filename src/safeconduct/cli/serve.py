"""`safeconduct serve`: run a service until it is told to stop."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated

import typer

from safeconduct.cli.faults import WrongUse
from safeconduct.cli.options import AsJson, Config

if TYPE_CHECKING:
    from safeconduct.settings import Settings
    from safeconduct.telemetry import Telemetry
    from safeconduct.web.serve import Listener

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

Workers = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        max=256,
        help="Processes that share the ports, with a parent to watch them.",
    ),
]


@app.command()
def issuer(
    config: Config = None,
    check: Check = False,
    host: Host = None,
    port: Port = None,
    admin_port: AdminPort = None,
    workers: Workers = 1,
    as_json: AsJson = False,
) -> None:
    """Issue credentials over OpenID4VCI.

    Offers are made through the management API, which wants the bearer token admin_token of the settings.

    \b
    Example:
      SAFECONDUCT_ISSUER__ADMIN_TOKEN=$(openssl rand -hex 16) safeconduct serve issuer
    """
    overrides = {"host": host, "port": port, "admin_port": admin_port}
    _serve(("issuer",), config=config, check=check, overrides=overrides, workers=workers, as_json=as_json)


@app.command()
def wallet_server(
    config: Config = None,
    check: Check = False,
    host: Host = None,
    port: Port = None,
    admin_port: AdminPort = None,
    workers: Workers = 1,
    as_json: AsJson = False,
) -> None:
    """Forward wallets' encrypted requests to issuers.

    It serves the issuers that its setting `issuers` lists, and no other.

    \b
    Example:
      SAFECONDUCT_WALLET_SERVER__ISSUERS=https://issuer.example safeconduct serve wallet-server
    """
    overrides = {"host": host, "port": port, "admin_port": admin_port}
    sections = ("wallet_server",)
    _serve(sections, config=config, check=check, overrides=overrides, workers=workers, as_json=as_json)


@app.command()
def verifier(
    config: Config = None,
    check: Check = False,
    host: Host = None,
    port: Port = None,
    admin_port: AdminPort = None,
    workers: Workers = 1,
    as_json: AsJson = False,
) -> None:
    """Give out nonces and judge presentations.

    The setting `trust` names the JSON file with the issuers and keys to believe, as --trust of
    `safeconduct sd-cwt verify`. It must be there.

    \b
    Example:
      SAFECONDUCT_VERIFIER__TRUST=trust.json safeconduct serve verifier --port 8460
    """
    overrides = {"host": host, "port": port, "admin_port": admin_port}
    _serve(("verifier",), config=config, check=check, overrides=overrides, workers=workers, as_json=as_json)


@app.command()
def status(
    config: Config = None,
    check: Check = False,
    host: Host = None,
    port: Port = None,
    admin_port: AdminPort = None,
    workers: Workers = 1,
    as_json: AsJson = False,
) -> None:
    """Publish the status of what was issued, and give the files out.

    The folder is `tree` of [status], brought up to date from the issuer's database every `refresh` seconds.
    Any web server can give it out instead; then `safeconduct status publish` writes it.

    \b
    Example:
      SAFECONDUCT_STATUS__IDENTIFIER=https://cards.example safeconduct serve status --port 8470
    """
    overrides = {"host": host, "port": port, "admin_port": admin_port}
    _serve(("status",), config=config, check=check, overrides=overrides, workers=workers, as_json=as_json)


@app.command()
def relay(
    config: Config = None,
    check: Check = False,
    host: Host = None,
    port: Port = None,
    admin_port: AdminPort = None,
    workers: Workers = 1,
    as_json: AsJson = False,
) -> None:
    """Keep mailboxes through which wallets transfer what the relay cannot read.

    The setting `identifier` is the public base URL, with which all links begin.

    \b
    Example:
      SAFECONDUCT_RELAY__IDENTIFIER=https://relay.example safeconduct serve relay --port 8480
    """
    overrides = {"host": host, "port": port, "admin_port": admin_port}
    _serve(("relay",), config=config, check=check, overrides=overrides, workers=workers, as_json=as_json)


@app.command("all")
def every(config: Config = None, check: Check = False, workers: Workers = 1, as_json: AsJson = False) -> None:
    """Run issuer, wallet server, verifier, the host of status and the relay, each on its ports.

    They share one process; with --workers, each has that many of its own. The verifier is left out unless its
    setting `trust` names a file.

    \b
    Example:
      SAFECONDUCT_ISSUER__ADMIN_TOKEN=$(openssl rand -hex 16) safeconduct serve all
    """
    sections = ("issuer", "wallet_server", "verifier", "status", "relay")
    _serve(sections, config=config, check=check, overrides={}, workers=workers, as_json=as_json)


def _serve(
    sections: tuple[str, ...],
    *,
    config: str | None,
    check: bool,
    overrides: dict[str, str | int | None],
    workers: int,
    as_json: bool,
) -> None:
    from safeconduct.cli import operating, output

    settings = _settings(sections, config, overrides)
    sections = _wanted(sections, settings)

    def announce(line: str) -> None:
        name, _, url = line.partition(": ")
        if as_json:
            output.write_line({"listener": name, "url": url})
        else:
            output.write_text(line)

    if check:
        operating.carry_out(_check(sections, settings))
        if as_json:
            output.write_json({"checked": sections[0] if len(sections) == 1 else list(sections)})
        else:
            output.write_text("settings, keys and database are in order")
    elif workers == 1:
        operating.carry_out(_run(sections, settings, announce=announce))
    else:
        _run_workers(sections, settings, workers=workers, announce=announce)


async def _check(sections: tuple[str, ...], settings: "Settings") -> None:
    from safeconduct.web.serve import check_tls

    async with _open(sections, settings) as listeners:
        check_tls(listeners)


async def _run(
    sections: tuple[str, ...],
    settings: "Settings",
    *,
    announce: "Callable[[str], None]",
    lifeline: int | None = None,
    shared: "Path | None" = None,
) -> None:
    from safeconduct.web.serve import until_signalled

    async with _open(sections, settings, diverted=True, shared=shared) as listeners:
        await until_signalled(listeners, announce=announce, lifeline=lifeline)


def _run_workers(
    sections: tuple[str, ...], settings: "Settings", *, workers: int, announce: "Callable[[str], None]"
) -> None:
    """Run some processes of each service; in each of them this goes on, in the parent it never returns."""
    from safeconduct.cli import operating
    from safeconduct.web.serve import reserve
    from safeconduct.web.workers import supervise

    with ExitStack() as reserved:
        try:
            for section in sections:
                own = getattr(settings, section)
                reserved.enter_context(reserve(own.host, own.port))
                management = reserved.enter_context(reserve(own.admin_host, own.admin_port))
                # Port 0 is any free one, but the same for all processes.
                settings = _with(settings, section, admin_port=management.getsockname()[1])
        except OSError as error:
            raise WrongUse(error.strerror or str(error)) from None
        folder, parent = Path(mkdtemp(prefix="safeconduct-metrics-")), os.getpid()
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)  # read when the library is imported
        from safeconduct.telemetry.logs import Log

        log = Log("supervisor", level=settings.telemetry.log_level)
        try:
            worker = supervise(
                dict.fromkeys(sections, workers),
                announce=announce,
                replaced=lambda group, deaths: log.warning("worker_replaced", state=group, attempt=deaths),
            )
        finally:
            if os.getpid() == parent:
                rmtree(folder, ignore_errors=True)
    shared = folder / worker.group
    shared.mkdir(mode=0o700, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared)
    operating.carry_out(
        _run((worker.group,), settings, announce=worker.announce, lifeline=worker.lifeline, shared=shared)
    )


@asynccontextmanager
async def _open(
    sections: tuple[str, ...], settings: "Settings", *, diverted: bool = False, shared: "Path | None" = None
) -> "AsyncIterator[list[Listener]]":
    from safeconduct.telemetry import Telemetry
    from safeconduct.telemetry.logs import divert_libraries

    async with AsyncExitStack() as stack:
        listeners: list[Listener] = []
        for section in sections:
            telemetry = Telemetry.open(
                section.replace("_", "-"), level=settings.telemetry.log_level, shared=shared
            )
            if diverted and not listeners:
                divert_libraries(telemetry.log)
            listeners += await stack.enter_async_context(_opening(section, settings, telemetry))
        yield listeners


def _opening(
    section: str, settings: "Settings", telemetry: "Telemetry"
) -> "AbstractAsyncContextManager[list[Listener]]":
    from safeconduct.cli.operating import clock

    if section == "issuer":
        from safeconduct.services.issuer import open_issuer

        return open_issuer(settings.issuer_of_cards, telemetry=telemetry, clock=clock)
    if section == "wallet_server":
        from safeconduct.services.wallet_server import open_wallet_server

        return open_wallet_server(settings.wallet_server, telemetry=telemetry, clock=clock)
    if section == "status":
        from safeconduct.services.status import open_status

        return open_status(settings, telemetry=telemetry, clock=clock)
    if section == "relay":
        from safeconduct.services.relay import open_relay

        return open_relay(settings.relay, telemetry=telemetry, clock=clock)
    from safeconduct.services.verifier import open_verifier

    return open_verifier(settings.verifier, telemetry=telemetry, clock=clock)


def _wanted(sections: tuple[str, ...], settings: "Settings") -> tuple[str, ...]:
    """Which services run, with notes about what they lack."""
    from safeconduct.cli import output

    if len(sections) > 1 and settings.verifier.trust is None:
        output.note("no verifier runs: set SAFECONDUCT_VERIFIER__TRUST to the file that says whom to believe")
        sections = tuple(section for section in sections if section != "verifier")
    for section in sections:
        if getattr(settings, section).admin_token is None:
            output.note(f"management is off: set SAFECONDUCT_{section.upper()}__ADMIN_TOKEN to turn it on")
    wallet_server = settings.wallet_server
    if "wallet_server" in sections and not (wallet_server.issuers or wallet_server.issuers_file):
        output.note("no issuer is listed, so nothing is forwarded: set SAFECONDUCT_WALLET_SERVER__ISSUERS")
    return sections


def _settings(
    sections: tuple[str, ...], config: str | None, overrides: dict[str, str | int | None]
) -> "Settings":
    """Read the settings; what the options say passes as variables, and so is checked in the same way."""
    from safeconduct.cli import operating
    from safeconduct.web.serve import free_port

    said = {key: value for key, value in overrides.items() if value is not None}
    variables = {_variable(sections[0], key): str(value) for key, value in said.items()}
    settings = operating.settings(config, variables)
    for section in sections:
        own = getattr(settings, section)
        if own.port == 0 and not own.identifier:
            # A service that is named after its address must know it before it listens.
            variables[_variable(section, "port")] = str(free_port(own.host))
            settings = operating.settings(config, variables)
    return settings


def _variable(section: str, key: str) -> str:
    return f"SAFECONDUCT_{section}__{key}".upper()


def _with(settings: "Settings", section: str, **changes: int) -> "Settings":
    from msgspec.structs import replace

    return replace(settings, **{section: replace(getattr(settings, section), **changes)})
