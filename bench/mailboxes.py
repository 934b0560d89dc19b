"""Clients that do nothing but use mailboxes: requests are bytes, answers are cut up no more than needed."""

import asyncio
import datetime
import json
import time
import uuid
from collections.abc import Iterator

import msgspec

PAYLOAD = "A" * 720
"""The size of a sealed and padded credential offer."""

_END_OF_HEAD = b"\r\n\r\n"


class Load(msgspec.Struct, frozen=True):
    """What some transfers took: seconds in all, and seconds of each."""

    wall: float
    latencies: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Transfers a second."""
        return len(self.latencies) / self.wall

    def percentile(self, percent: int) -> float:
        """Seconds within which so many of a hundred were done."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]


class Connection:
    """A kept connection to one server. Raises AssertionError for any answer but the one that is expected."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)

    async def open(self) -> "Connection":
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(*self._address)
        return self

    async def close(self) -> None:
        """Disconnect."""
        self._writer.close()
        await self._writer.wait_closed()

    async def transfer(self) -> None:
        """Put a mailbox down, read and bind it as another, and take it away."""
        sender, receiver = str(uuid.uuid4()), str(uuid.uuid4())
        path = await self.create(sender, lifetime=3600)
        assert PAYLOAD.encode() in await self._ask("POST", path, receiver)
        await self._ask("DELETE", path, sender)

    async def create(self, claim: str, *, lifetime: int) -> str:
        """Put a mailbox down; return its path. lifetime: seconds."""
        end = datetime.datetime.fromtimestamp(time.time() + lifetime, datetime.UTC)
        body = json.dumps(
            {
                "payload": {"type": "SCT2_AES_256_GCM", "data": PAYLOAD},
                "displayInformation": {
                    "title": "Car key",
                    "description": "A key for you",
                    "imageURL": "https://issuer.example/key.png",
                },
                "mailboxConfiguration": {
                    "accessRights": "RWD",
                    "expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
                },
            }
        ).encode()
        answer = await self._ask("POST", "/v1/m", claim, body)
        link: str = json.loads(answer)["urlLink"]
        return link[link.index("/v1/m") :]

    async def _ask(self, method: str, path: str, claim: str, body: bytes = b"") -> bytes:
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: relay",
            f"Mailbox-Device-Claim: {claim}",
            f"Mailbox-Request-ID: {uuid.uuid4()}",
            f"Content-Length: {len(body)}",
        ]
        if body:
            lines.append("Content-Type: application/json")
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await self._reader.readuntil(_END_OF_HEAD)).lower()
        assert head.startswith(b"http/1.1 200"), head[:12]
        begin = head.index(b"content-length:") + len(b"content-length:")
        return await self._reader.readexactly(int(head[begin : head.index(b"\r\n", begin)]))


async def closed_loop(host: str, port: int, *, transfers: int, connections: int) -> Load:
    """Let so many clients transfer one after the other, as fast as they are answered."""
    clients = [await Connection(host, port).open() for _ in range(connections)]
    latencies: list[float] = []
    left = iter(range(transfers))
    begin = time.perf_counter()
    await asyncio.gather(*[_one_after_the_other(client, left, latencies) for client in clients])
    wall = time.perf_counter() - begin
    for client in clients:
        await client.close()
    return Load(wall, tuple(latencies))


async def open_loop(host: str, port: int, *, rate: float, seconds: float, connections: int) -> Load:
    """Let transfers begin at their times, whether those before are done or not.

    A transfer that has to wait for a connection counts from its time on.
    """
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await Connection(host, port).open())
    latencies: list[float] = []

    async def one(due: float) -> None:
        client = await free.get()
        await client.transfer()
        free.put_nowait(client)
        latencies.append(time.perf_counter() - due)

    begin = time.perf_counter()
    tasks = []
    for number in range(int(rate * seconds)):
        due = begin + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    wall = time.perf_counter() - begin
    while not free.empty():
        await free.get_nowait().close()
    return Load(wall, tuple(latencies))


async def leave(host: str, port: int, *, mailboxes: int, lifetime: int, connections: int) -> None:
    """Put so many mailboxes down and leave them to their end."""
    clients = [await Connection(host, port).open() for _ in range(connections)]
    left = iter(range(mailboxes))

    async def work(client: Connection) -> None:
        for _ in left:
            await client.create(str(uuid.uuid4()), lifetime=lifetime)

    await asyncio.gather(*[work(client) for client in clients])
    for client in clients:
        await client.close()


async def _one_after_the_other(client: Connection, left: Iterator[int], latencies: list[float]) -> None:
    for _ in left:
        begin = time.perf_counter()
        await client.transfer()
        latencies.append(time.perf_counter() - begin)
