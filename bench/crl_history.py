"""What keeping up with real revocation lists costs in bytes: the history of three issuers, replayed.

Each event of the history is published as a static tree, and verifiers synchronise after it, one on each way.
Counted are the bodies of what they receive of lists, deltas, logs and heads; the JWKS, which all fetch alike,
is counted apart.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from tests.status_host import Host, Publisher

from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.evidence.sync import SyncRules, sync
from safeconduct.status.card_revocation.rids import read_entries

VECTORS = Path(os.environ.get("SAFECONDUCT_VECTORS") or Path(__file__).parents[1] / "../shared/vectors")
DAY = 86400
START = 1_646_600_000

WAYS = {
    "full": SyncRules(ways=frozenset(), refresh=0, conditional=False),
    "full_if_changed": SyncRules(ways=frozenset()),
    "delta": SyncRules(ways=frozenset(("delta",))),
    "log": SyncRules(ways=frozenset(("log",))),
    "cheapest": SyncRules(),
}


class Event(msgspec.Struct):
    """What a list of an issuer held at one time."""

    iss: str
    kid: str
    listed: list[str]


class Traffic(msgspec.Struct):
    """Bytes that a verifier received, of lists and of JWKS, and how often it asked."""

    lists: int = 0
    keys: int = 0
    requests: int = 0


def events() -> Iterator[Event]:
    """Yield the events of the history in their order."""
    lists: dict[tuple[str, str], list[str]] = {}
    for line in (VECTORS / "status/vci-directory/crl_history.jsonl").read_text("utf-8").splitlines():
        row = json.loads_object(line)
        key, gone = (row["iss"], row["kid"]), set(row["removed"])
        lists[key] = [entry for entry in lists.get(key, []) if entry not in gone] + row["added"]
        yield Event(*key, lists[key])


def traffic() -> dict[str, Any]:
    """Return what deltas cost, as a share of full lists after every event; further ways beside it.

    full_if_changed: with ETags and canonical lists, so that a re-ordered list counts as the same.
    """
    if not VECTORS.is_dir():
        return {"ratio": 0.0, "better": "lower", "absent": "the test vectors are not here"}
    spent = {way: _replayed(rules) for way, rules in WAYS.items()}
    full = spent["full"]
    shares = {f"{way}_share": round(one.lists / full.lists, 4) for way, one in spent.items()}
    return {
        "ratio": shares.pop("delta_share"),
        "better": "lower",
        "delta_of_changed": round(spent["delta"].lists / spent["full_if_changed"].lists, 4),
        **shares,
        **{f"{way}_bytes": one.lists for way, one in spent.items()},
        **{f"{way}_requests": one.requests for way, one in spent.items()},
        "jwks_bytes": spent["delta"].keys,
    }


FIGURES = {"status.update_traffic": traffic}


def _replayed(rules: SyncRules) -> Traffic:
    keys, host, spent = _keys(), Host(), Traffic()
    status_key = Key.generate("ES256")
    publishers: dict[str, Publisher] = {}
    with tempfile.TemporaryDirectory() as folder:
        for place, event in enumerate(events()):
            now = START + place * DAY
            if event.iss not in publishers:
                made = Publisher(host, event.iss, keys=keys[event.iss], status_key=status_key)
                publishers[event.iss] = made
            publishers[event.iss].publish(event.kid, read_entries(event.listed), now=now)
            if place % 3 == 0:  # before half of a head's week is over
                publishers[event.iss].sign_all(now=now)
            _count(spent, host, event.iss, Path(folder), now, rules)
    return spent


def _count(spent: Traffic, host: Host, issuer: str, folder: Path, now: int, rules: SyncRules) -> None:
    host.forget()
    report = asyncio.run(sync([issuer], folder=folder, fetcher=host, clock=lambda: now, rules=rules))
    if report.faults:
        raise RuntimeError(report.faults[0].code)
    spent.requests += len(host.requests)
    for outcome in report.outcomes:
        if outcome.kid is None:
            spent.keys += outcome.received
        else:
            spent.lists += outcome.received


def _keys() -> dict[str, list[dict[str, Any]]]:
    snapshot = (VECTORS / "status/vci-directory/vci_snapshot.json").read_bytes()
    entries = json.loads_object(snapshot, max_bytes=1 << 20)["issuerInfo"]
    return {
        entry["issuer"]["iss"]: [
            {name: value for name, value in key.items() if name != "crlVersion"} for key in entry["keys"]
        ]
        for entry in entries
    }
