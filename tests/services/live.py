"""Services at work on real sockets, in a thread of this process, so that a test may ask without a loop."""

import asyncio
import contextlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.flows.wallet_server_stage import ISSUER, FakeIssuer

from safeconduct.clock import Clock
from safeconduct.crypto.keys import Key
from safeconduct.services.issuer import open_issuer
from safeconduct.services.relay import open_relay
from safeconduct.services.status import open_status
from safeconduct.services.status.publication import Publish
from safeconduct.services.verifier import open_verifier
from safeconduct.services.wallet_server import open_wallet_server
from safeconduct.settings import (
    DatabaseUrl,
    IssuerSettings,
    KeyPlace,
    RelaySettings,
    Secret,
    Settings,
    StatusSettings,
    VerifierSettings,
    WalletServerSettings,
)
from safeconduct.telemetry import Telemetry
from safeconduct.web.serve import Listener, running

IDENTIFIER = "http://127.0.0.1:9"
ADMIN_TOKEN = "management-token-of-the-test"
Opening = Callable[[Telemetry], AbstractAsyncContextManager[list[Listener]]]


@dataclass
class Live:
    """A service that answers. urls: by the names of its listeners; log: what it has written."""

    public: str
    admin: str
    log: io.StringIO

    @property
    def failures(self) -> list[dict[str, Any]]:
        """What the log has that is no fault of a client."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line.get("level") in ("error", "critical")]


@contextlib.contextmanager
def _live(name: str, opening: Opening) -> Iterator[Live]:
    log = io.StringIO()
    telemetry = Telemetry.open(name, level="info", stream=log)
    ready, urls, errors = threading.Event(), {}, []
    stop: list[Callable[[], object]] = []

    async def main() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(stopping.set))
        async with opening(telemetry) as listeners, running(listeners, grace=1) as found:
            urls.update(found)
            ready.set()
            await stopping.wait()

    def work() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001  told to the main thread
            errors.append(error)
        ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    if not errors:
        try:
            yield Live(urls[name], urls[f"{name}-admin"], log)
        finally:
            stop[0]()
    thread.join()
    for error in errors:
        raise error


def live_issuer(folder: Path, **settings: Any) -> AbstractContextManager[Live]:
    """An issuer; its database is in the folder unless another is given."""
    chosen = IssuerSettings(
        **{
            "identifier": IDENTIFIER,
            "port": 0,
            "admin_port": 0,
            "database": DatabaseUrl(f"sqlite:///{folder}/issuer.db"),
            "signing_key": KeyPlace(folder / "issuer.pem"),
            "admin_token": Secret(ADMIN_TOKEN),
            **settings,
        }
    )
    return _live("issuer", lambda telemetry: open_issuer(chosen, telemetry=telemetry, clock=_now))


def live_wallet_server(folder: Path, **settings: Any) -> AbstractContextManager[Live]:
    """A wallet server in front of an issuer that answers at once."""
    chosen = WalletServerSettings(
        **{
            "port": 0,
            "admin_port": 0,
            "database": DatabaseUrl(f"sqlite:///{folder}/wallet-server.db"),
            "issuers": (ISSUER,),
            "admin_token": Secret(ADMIN_TOKEN),
            "session_rate": 1_000_000,
            "global_rate": 1_000_000,
            **settings,
        }
    )
    return _live(
        "wallet-server",
        lambda telemetry: open_wallet_server(chosen, telemetry=telemetry, clock=_now, fetcher=FakeIssuer()),
    )


def live_verifier(folder: Path, **settings: Any) -> AbstractContextManager[Live]:
    """A verifier that trusts one issuer."""
    trust = folder / "trust.json"
    trust.write_text(json.dumps({ISSUER: [{"pem": Key.generate("ES256").public.to_pem()}]}))
    chosen = VerifierSettings(
        **{
            "trust": trust,
            "identifier": IDENTIFIER,
            "port": 0,
            "admin_port": 0,
            "database": DatabaseUrl(f"sqlite:///{folder}/verifier.db"),
            "admin_token": Secret(ADMIN_TOKEN),
            **settings,
        }
    )
    return _live("verifier", lambda telemetry: open_verifier(chosen, telemetry=telemetry, clock=_now))


def live_relay(folder: Path, *, clock: Clock | None = None, **settings: Any) -> AbstractContextManager[Live]:
    """A relay that puts up with any number of requests. clock: the machine's unless given."""
    chosen = RelaySettings(
        **{
            "identifier": IDENTIFIER,
            "port": 0,
            "admin_port": 0,
            "database": DatabaseUrl(f"sqlite:///{folder}/relay.db"),
            "admin_token": Secret(ADMIN_TOKEN),
            "create_rate": 1_000_000,
            "failure_rate": 1_000_000,
            **settings,
        }
    )
    return _live("relay", lambda telemetry: open_relay(chosen, telemetry=telemetry, clock=clock or _now))


def live_status(
    folder: Path, *, publish: Publish | None = None, issuer: IssuerSettings | None = None, **settings: Any
) -> AbstractContextManager[Live]:
    """A service for the tree `tree` of the folder; it publishes from an issuer's database, or as it is told.

    With neither, it only gives out what is there.
    """
    chosen = StatusSettings(
        **{
            "identifier": IDENTIFIER,
            "port": 0,
            "admin_port": 0,
            "tree": folder / "tree",
            "refresh": 0 if publish is None and issuer is None else 3600,
            "admin_token": Secret(ADMIN_TOKEN),
            **settings,
        }
    )
    return _live(
        "status",
        lambda telemetry: open_status(
            Settings(status=chosen, issuer=issuer or IssuerSettings()),
            telemetry=telemetry,
            clock=_now,
            publish=publish,
        ),
    )


def _now() -> int:
    return int(time.time())
