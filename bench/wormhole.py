"""magic-wormhole's mailbox server as a peer: exchanges a second, each of one message to the other side.

The server runs in an environment of its own, which `scripts/interop.sh bench/peers` makes. An exchange takes
two connections, as the protocol has it: each side binds and opens the mailbox; one adds a message, the other
gets it, and both close. The client speaks just as much WebSocket (RFC 6455) as that needs.
"""

import asyncio
import base64
import json
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safeconduct.web.serve import free_port

ENVIRONMENT = Path(__file__).parent / "peers" / ".venv"
MESSAGE = "41" * 540
"""The size of a sealed and padded credential offer, in the hex that the protocol wants."""

EXCHANGES = 200
ROUNDS = 4
CONNECTIONS = 4
_START_SECONDS = 20.0


def exchanges_per_second() -> int:
    """Return how many exchanges the server carries out in a second, in the best of some rounds.

    Raises FileNotFoundError if it is not installed.
    """
    with _server() as port:
        asyncio.run(_exchanges(port))
        return round(max(asyncio.run(_exchanges(port)) for _ in range(ROUNDS)))


@contextmanager
def _server() -> Iterator[int]:
    program = ENVIRONMENT / "bin" / "twist"
    if not program.exists():
        raise FileNotFoundError(
            "magic-wormhole-mailbox-server is not installed: run scripts/interop.sh bench/peers"
        )
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command = [program, "wormhole-mailbox", f"--port=tcp:{port}:interface=127.0.0.1"]
        process = subprocess.Popen(
            [*command, f"--channel-db={folder}/mailboxes.db"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            asyncio.run(_until_it_listens(port))
            yield port
        finally:
            process.terminate()
            process.wait(timeout=30)


async def _until_it_listens(port: int) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def _exchanges(port: int) -> float:
    left = iter(range(EXCHANGES))

    async def work() -> None:
        for _ in left:
            await _exchange(port)

    begin = time.perf_counter()
    await asyncio.gather(*[work() for _ in range(CONNECTIONS)])
    return EXCHANGES / (time.perf_counter() - begin)


async def _exchange(port: int) -> None:
    mailbox = secrets.token_hex(16)
    async with asyncio.timeout(_START_SECONDS):
        sender, receiver = await _Side.open(port, mailbox), await _Side.open(port, mailbox)
        sender.say({"type": "add", "phase": "0", "body": MESSAGE})
        assert (await receiver.hear("message"))["body"] == MESSAGE
        for side in (sender, receiver):
            side.say({"type": "close", "mood": "happy"})
            await side.hear("closed")
            side.writer.close()


class _Side:
    """One party's WebSocket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, mailbox: str) -> "_Side":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        lines = (
            "GET /v1 HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        )
        writer.write("\r\n".join([*lines, "", ""]).encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        side = cls(reader, writer)
        side.say({"type": "bind", "appid": "safeconduct.example/bench", "side": secrets.token_hex(5)})
        side.say({"type": "open", "mailbox": mailbox})
        return side

    def say(self, message: dict[str, Any]) -> None:
        """Send one text frame, masked with zeros: a mask hides nothing from anybody here."""
        payload = json.dumps(message).encode()
        length = len(payload)
        short = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
        self.writer.write(b"\x81" + short + bytes(4) + payload)

    async def hear(self, kind: str) -> dict[str, Any]:
        """Return the next message of a kind; others are passed over."""
        while True:
            _, length = await self.reader.readexactly(2)
            if length == 126:
                length = int.from_bytes(await self.reader.readexactly(2), "big")
            message: dict[str, Any] = json.loads(await self.reader.readexactly(length))
            if message["type"] == kind:
                return message
