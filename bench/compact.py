"""The pack and the ribbon: bytes, memory, time until ready and for a look-up.

The pack is opened by an interpreter of its own, mapped from a file, with nothing beside it.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.status_sizes import ISSUED, ISSUER, KID, Sample, pack, signer
from safeconduct.status.card_revocation.rids import Reach
from safeconduct.status.compact import ribbon_file
from safeconduct.status.compact.ribbon import Ribbon
from safeconduct.status.states import GOOD, REVOKED

LOOK_UPS = 50_000
OPENS = 5

READER = """
import json, mmap, resource, sys, time
from pathlib import Path
from safeconduct import Key
from safeconduct.status.compact.pack import Pack

path, key, rids, kid, issuer = json.loads(sys.argv[1])
names = Path(rids).read_text().split()

class Card:
    __slots__ = ("rid",)
    kid, issuer, nbf = kid, issuer, 1
    def identifier(self, method):
        return self.rid

def resident():
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * resource.getpagesize()

cards = []
for name in names:
    card = Card()
    card.rid = name
    cards.append(card)
keys = [Key.from_pem(Path(key).read_text()).public]
before = resident()
start = time.perf_counter()
with open(path, "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
opened = Pack.open(memoryview(mapped), keys=keys)
opened.card_status(cards[0], crl_version=1, now=1_800_000_000)
ready = time.perf_counter() - start
start = time.process_time()
states = [opened.card_status(card, crl_version=1, now=1_800_000_000).state for card in cards]
spent = time.process_time() - start
print(json.dumps({
    "ready_ms": round(ready * 1e3, 2),
    "look_up_us": round(spent / len(cards) * 1e6, 2),
    "resident_mb": round((resident() - before) / 1e6, 1),
    "revoked": states.count("revoked"),
}))
"""


def pack_of_a_million() -> dict[str, Any]:
    """Bytes a rid without times, at most 4.3; 15 MB more resident, ready in 50 ms, a look-up in 15 us."""
    sample = Sample(1.0)
    data = pack(sample)
    half = LOOK_UPS // 2
    asked = [*sample.revoked[:: ISSUED // half][:half], *(f"good-{number}" for number in range(half))]
    with tempfile.TemporaryDirectory() as folder:
        path, key, names = (Path(folder) / name for name in ("status.pack", "mirror.pem", "names"))
        path.write_bytes(data)
        key.write_text(signer().to_pem(private=True))
        names.write_text("\n".join(asked))
        given = json.dumps([str(path), str(key), str(names), KID, ISSUER])
        runs = [_read(given) for _ in range(OPENS)]
    if {run.pop("revoked") for run in runs} != {half}:
        raise AssertionError("the pack answers wrongly")
    best = {name: min(run[name] for run in runs) for name in runs[0]}
    return {"ratio": round(len(data) / ISSUED, 3), "better": "lower", **best}


def _read(given: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", READER, given], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ribbon_of_a_million() -> dict[str, Any]:
    """Bytes per revoked at 1 % of a million issued, at most 1.15; errors over all that were issued, none."""
    sample = Sample(0.01)
    found = sample.list()
    start = time.process_time()
    built = Ribbon.build(found, sample.issued, issuer=ISSUER, as_of=2, about=ISSUED)
    building = time.process_time() - start
    data = ribbon_file.encode(built)
    start = time.process_time()
    ribbon = ribbon_file.read(data)
    ready = time.process_time() - start
    start = time.process_time()
    said = [ribbon.status(rid, 1) for rid in sample.issued]
    looking = time.process_time() - start
    start = time.process_time()
    for rid in sample.revoked:
        ribbon.status(rid, 1)
    hits = time.process_time() - start
    listed: dict[str, Reach] = dict(found.entries)
    wrong = [
        rid
        for rid, status in zip(sample.issued, said, strict=True)
        if status != (REVOKED if rid in listed else GOOD)
    ]
    return {
        "ratio": round(len(data) / sample.count, 3),
        "better": "lower",
        "errors": len(wrong),
        "build_s": round(building, 2),
        "ready_ms": round(ready * 1e3, 3),
        "look_up_us": round(looking / ISSUED * 1e6, 2),
        "look_up_revoked_us": round(hits / sample.count * 1e6, 2),
    }


FIGURES = {"compact.pack": pack_of_a_million, "compact.ribbon": ribbon_of_a_million}
