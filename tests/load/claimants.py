"""Very many who want the same mailbox at the same moment, at several relay processes.

Each racer has a connection of its own to one of the processes, which it keeps, and a claim of its own for
each mailbox. What comes of it is counted, not judged.
"""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.relay_client import ClaimKey, Party


@dataclass
class Race:
    """What became of one mailbox. statuses: of all racers; winners: the claims of those who got 200.

    sequence, state: as the sender sees them afterwards. stays: whether the winner, asked again, still has it,
    and a loser still has not.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    winners: list[str] = field(default_factory=list)
    sequence: int = 0
    state: str = ""
    stays: bool = False


class Racer:
    """One connection to one relay."""

    def __init__(self, url: str) -> None:
        self._host, self._port = urlsplit(url).netloc.split(":")

    async def begin(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, int(self._port))

    def end(self) -> None:
        self._writer.close()

    async def read(self, mailbox: str, claim: str, proof: str = "") -> tuple[int, bytes]:
        """ReadSecureContent; the status and the body."""
        fields = f"Mailbox-Claim-Proof: {proof}\r\n" if proof else ""
        self._writer.write(
            f"POST /v1/m/{mailbox} HTTP/1.1\r\nHost: x\r\nMailbox-Device-Claim: {claim}\r\n{fields}"
            "Content-Length: 0\r\n\r\n".encode()
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        return int(head[9:12]), await self._reader.readexactly(length)


async def run(urls: Sequence[str], *, mailboxes: int, racers: int) -> list[Race]:
    """Let the racers have a go at one mailbox after the other. Of every two mailboxes one has a claim key."""
    field_of = [Racer(urls[number % len(urls)]) for number in range(racers)]
    await asyncio.gather(*[racer.begin() for racer in field_of])
    try:
        return [await _race(urls[n % len(urls)], field_of, has_key=n % 2 == 1) for n in range(mailboxes)]
    finally:
        for racer in field_of:
            racer.end()


async def _race(url: str, field_of: Sequence[Racer], *, has_key: bool) -> Race:
    sender, key = Party(url), ClaimKey() if has_key else None
    configuration = {} if key is None else {"claimKey": key.public}
    created = await asyncio.to_thread(sender.create, configuration=configuration)
    assert created.status == 200, created
    claims = [str(uuid.uuid4()) for _ in field_of]
    proofs = ["" if key is None else key.proof(Party(url, sender.mailbox, claim)) for claim in claims]
    answers = await asyncio.gather(
        *[
            racer.read(sender.mailbox, claim, proof)
            for racer, claim, proof in zip(field_of, claims, proofs, strict=True)
        ]
    )
    race = Race(Counter(status for status, _ in answers))
    race.codes = Counter(json.loads(body)["code"] for status, body in answers if status != 200)
    race.winners = [claim for claim, (status, _) in zip(claims, answers, strict=True) if status == 200]
    seen = (await asyncio.to_thread(sender.read)).members
    race.sequence, race.state = seen["sequence"], seen["state"]
    race.stays = await _stays(field_of, sender.mailbox, claims, race.winners)
    return race


async def _stays(field_of: Sequence[Racer], mailbox: str, claims: Sequence[str], won: Sequence[str]) -> bool:
    """Whether it holds: for the winner at one process, and for a loser at the other."""
    again = [await field_of[n].read(mailbox, claim) for n, claim in enumerate(won[:1])]
    lost = [claim for claim in claims if claim not in won][:1]
    losers = [await field_of[-1].read(mailbox, claim) for claim in lost]
    return [status for status, _ in again + losers] == [200, 401]
