"""A list of as many revoked cards as wanted, and a reader of the pack that is made of it.

Identifiers are numbers in text. Their records are too many to hold as objects: they are sorted in 256 parts.
"""

import hashlib
import json
import struct
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.evidence.packs import open_pack
from safeconduct.status.card_keys import CardKey
from safeconduct.status.compact import body, pack_file, packing
from safeconduct.status.compact.pack_head import Head
from safeconduct.status.compact.packing import Gathered, GatheredIssuer, HashedList

ISSUER, NOW = "https://issuer.example", 1_700_000_000
LOOK_UPS = 20_000
ROUNDS = 5
_PARTS = 256
_AT_ONCE = 100_000
_RECORD = struct.Struct(">QII")


class Card:
    """A card that the pack can be asked about."""

    issuer, nbf = ISSUER, 1.0

    def __init__(self, kid: str, rid: str) -> None:
        self.kid, self._rid = kid, rid

    def identifier(self, method: str) -> str:
        """Its rid."""
        if method != "rid":
            raise AssertionError
        return self._rid


def rid(number: int) -> str:
    """The identifier of a card."""
    return f"r{number}"


def write(path: Path, count: int, *, signer: Key, key: CardKey) -> int:
    """Write a pack with so many entries and return its size in bytes."""
    listed = HashedList(method="rid", ctr=1, digest=bytes(32), records=_records(count))
    gathered = Gathered(kid=key.kid, key=key, state=body.LISTED, listed=listed)
    made = packing.build([GatheredIssuer(url=ISSUER, keys=(gathered,))])
    head = Head(
        name="status",
        version=1,
        as_of=NOW,
        iat=NOW,
        exp=NOW + 86400,
        length=0,
        digest="",
        previous=None,
        lists=1,
        count=count,
    )
    data = pack_file.seal(head, made, signer=signer)
    path.write_bytes(data)
    return len(data)


def _records(count: int) -> memoryview:
    """Sorted records, by the first byte of their hash into parts, without an object for each."""
    highs = [array("Q") for _ in range(_PARTS)]
    lows = [array("I") for _ in range(_PARTS)]
    for number in range(count):
        hashed = hashlib.sha256(rid(number).encode()).digest()
        part = hashed[0]
        highs[part].append(int.from_bytes(hashed[:8], "big"))
        lows[part].append(int.from_bytes(hashed[8:12], "big"))
    records = bytearray()
    for part in range(_PARTS):
        pairs = sorted(zip(highs[part], lows[part], strict=True))
        highs[part], lows[part] = array("Q"), array("I")
        while pairs:
            some = pairs[:_AT_ONCE]
            del pairs[:_AT_ONCE]
            records += b"".join([_RECORD.pack(high, low, 0) for high, low in some])
    return memoryview(records)


def _memory(kind: str) -> float:
    """Megabytes of this process in memory: "Rss" with mapped files, "Anonymous" without."""
    fields = Path("/proc/self/smaps_rollup").read_text().split("\n")
    return sum(int(line.split()[1]) for line in fields if line.startswith(f"{kind}:")) / 1024


def _best(asked: list[Card], ask: Callable[[Card], str], wanted: str) -> float:
    """Microseconds of CPU for a look-up, in the best of some rounds over different cards."""
    best = float("inf")
    turn: Iterator[Card] = iter(asked)
    while some := list(islice(turn, len(asked) // ROUNDS)):
        begin = time.process_time()
        said = {ask(card) for card in some}
        best = min(best, (time.process_time() - begin) / len(some))
        if said != {wanted}:
            raise AssertionError(said)
    return best * 1e6


def measure(path: Path, count: int, *, public: str, kid: str) -> dict[str, Any]:
    """Open a pack and look cards up in it, each in another place."""
    step = max(count // LOOK_UPS, 1)
    listed = [Card(kid, rid(number)) for number in range(0, count, step)]
    others = [Card(kid, rid(count + number)) for number in range(LOOK_UPS)]
    key = PublicKey.from_pem(public)
    before, own, begin = _memory("Rss"), _memory("Anonymous"), time.perf_counter()
    pack = open_pack(path, keys=[key])
    first = pack.card_status(listed[0], crl_version=1, now=NOW)
    ready = time.perf_counter() - begin
    opened = _memory("Rss") - before
    if first.state != "revoked":
        raise AssertionError(first)

    def ask(card: Card) -> str:
        return pack.card_status(card, crl_version=1, now=NOW).state

    cold = _best(listed, ask, "revoked")
    return {
        "ready_ms": round(ready * 1000, 1),
        "cold_us": round(cold, 1),
        "hit_us": round(_best(listed, ask, "revoked"), 1),
        "miss_us": round(_best(others, ask, "good"), 1),
        "opened_mb": round(opened, 1),
        "own_mb": round(_memory("Anonymous") - own, 1),
        "mapped_mb": round(_memory("Rss") - before, 1),
    }


if __name__ == "__main__":
    place, number, pem, name = sys.argv[1:]
    print(json.dumps(measure(Path(place), int(number), public=pem, kid=name)))
