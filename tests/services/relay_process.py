"""Relays in processes of their own, each started again when it dies.

Usage: `relay_process.py DATABASE ARMED PORT...`

ARMED: a file in which a test writes `METHOD MOMENT`. The next process that has a request of this method in
hand kills itself at that moment: `before` anything is done for it, or `after` all of it is done and only the
answer has still to be sent.

With CARELESS in the environment they look whether a mailbox is free in one transaction and bind its receiver
in another, so that a test of races can be seen to fail.
"""

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace
from sqlalchemy import Connection, select, update
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safeconduct.services.relay import open_relay, store
from safeconduct.services.relay.service import Relay
from safeconduct.services.relay.store import Reader, Reading
from safeconduct.services.relay.tables import mailboxes
from safeconduct.settings import DatabaseUrl, RelaySettings
from safeconduct.storage import Database
from safeconduct.storage.migrations import RELAY
from safeconduct.telemetry import Telemetry
from safeconduct.web.serve import until_signalled

PLENTY = 1_000_000


def main() -> None:
    database, armed, *ports = sys.argv[1:]
    asyncio.run(_open_once(database))
    if "CARELESS" in os.environ:
        Relay._read = _careless_read  # type: ignore[method-assign]
    children = {_child(database, Path(armed), int(port)): int(port) for port in ports}
    signal.signal(signal.SIGTERM, lambda *_: _end(children))
    while True:
        pid, _ = os.wait()
        port = children.pop(pid)
        children[_child(database, Path(armed), port)] = port


def _end(children: dict[int, int]) -> None:
    for pid in children:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _child(database: str, armed: Path, port: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    settings = RelaySettings(
        identifier="https://relay.example",
        port=port,
        admin_port=0,
        database=DatabaseUrl(database),
        create_rate=PLENTY,
        failure_rate=PLENTY,
    )
    asyncio.run(_serve(settings, armed))
    os._exit(0)


async def _open_once(database: str) -> None:
    """Load what only an open database loads, so that a child need not after each death."""
    async with await Database.open(DatabaseUrl(database), branch=RELAY):
        pass


async def _careless_read(relay: Relay, reader: Reader) -> Reading:
    def look(connection: Connection) -> bool:
        row = connection.execute(select(mailboxes).where(mailboxes.c.id == reader.mailbox)).one()
        return row.receiver_claim is None and row.sender_claim != reader.digest

    def bind(connection: Connection) -> Reading:
        values = {"receiver_claim": reader.digest, "state": "claimed", "sequence": 2}
        connection.execute(update(mailboxes).where(mailboxes.c.id == reader.mailbox).values(values))
        return store.read(connection, reader, now=relay._clock())

    if await relay._database.run(look):
        await asyncio.sleep(0.02)  # as long as anything may take
        return await relay._database.run(bind)
    return await relay._database.run(store.read, reader, now=relay._clock())


async def _serve(settings: RelaySettings, armed: Path) -> None:
    telemetry = Telemetry.silent("relay")
    async with open_relay(settings, telemetry=telemetry, clock=lambda: int(time.time())) as [public, admin]:
        listeners = [replace(public, app=_mortal(public.app, armed)), admin]
        await until_signalled(listeners, announce=lambda line: print(line, flush=True))


def _mortal(app: ASGIApp, armed: Path) -> ASGIApp:
    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                die("after")
            await send(message)

        def die(moment: str) -> None:
            with suppress(FileNotFoundError):
                if armed.read_text() == f"{scope['method']} {moment}":
                    armed.unlink()
                    os.kill(os.getpid(), signal.SIGKILL)

        die("before")
        await app(scope, receive, sent)

    return served


if __name__ == "__main__":
    main()
