"""python -m bench.bare_relay PORT FILE: the least that a relay on Starlette and SQLite has to do.

Three statements, each committed: a mailbox is put down, bound by its reader, and taken away. Nothing is
checked but that it is there. What the relay needs more than this is what its promises cost.
"""

import asyncio
import json
import sqlite3
import sys
import uuid
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from safeconduct.web.serve import Listener, until_signalled

_TABLE = """CREATE TABLE mailboxes (
    id TEXT PRIMARY KEY, sender TEXT NOT NULL, receiver TEXT, payload TEXT NOT NULL, display TEXT NOT NULL,
    expiration TEXT NOT NULL
)"""


def application(file: str, port: int) -> Starlette:
    """Return the bare relay, which keeps its mailboxes in `file`."""
    database = sqlite3.connect(file, isolation_level=None)
    for setting in ("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON"):
        database.execute(f"PRAGMA {setting}")
    database.execute(_TABLE)

    async def create(request: Request) -> Response:
        body: dict[str, Any] = json.loads(await request.body())
        mailbox = str(uuid.uuid4())
        row = (
            mailbox,
            request.headers["mailbox-device-claim"],
            json.dumps(body["payload"]),
            json.dumps(body["displayInformation"]),
            body["mailboxConfiguration"]["expiration"],
        )
        database.execute("INSERT INTO mailboxes VALUES (?, ?, NULL, ?, ?, ?)", row)
        return JSONResponse(
            {"urlLink": f"http://127.0.0.1:{port}/v1/m/{mailbox}", "isPushNotificationSupported": False}
        )

    async def read(request: Request) -> Response:
        found = database.execute(
            "UPDATE mailboxes SET receiver = ? WHERE id = ? RETURNING payload, display, expiration",
            (request.headers["mailbox-device-claim"], request.path_params["id"]),
        ).fetchall()
        payload, display, expiration = found[0]
        return JSONResponse(
            {
                "payload": json.loads(payload),
                "displayInformation": json.loads(display),
                "expiration": expiration,
            }
        )

    async def remove(request: Request) -> Response:
        database.execute("DELETE FROM mailboxes WHERE id = ?", (request.path_params["id"],))
        return Response()

    return Starlette(
        routes=[
            Route("/v1/m", create, methods=["POST"]),
            Route("/v1/m/{id}", read, methods=["POST"]),
            Route("/v1/m/{id}", remove, methods=["DELETE"]),
        ]
    )


def main() -> None:
    """Listen until told to stop; say so when ready."""
    port, file = int(sys.argv[1]), sys.argv[2]
    listener = Listener("bare", application(file, port), "127.0.0.1", port)
    asyncio.run(until_signalled([listener], announce=lambda line: print(line, flush=True)))


if __name__ == "__main__":
    main()
