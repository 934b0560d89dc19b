"""What three real issuers did to their revocation lists in 2022 and 2023, replayed on every way to a list.

In 567 events: pure re-orderings, two changes under an unchanged counter, removed entries and re-added ones,
counters that leap, a JWKS that lags behind its list, counters as text.
"""

import asyncio
import functools
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.killing import killed_at
from tests.status_host import Host, Publisher

from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.evidence import card_sets
from safeconduct.evidence.card_store import CardStore
from safeconduct.evidence.sync import SyncReport, SyncRules, sync
from safeconduct.status.card_revocation.rids import Reach, read_entries

DAY = 86400
START = 1_646_600_000


class Event(msgspec.Struct):
    """One change of a published list, with all that it holds then."""

    iss: str
    kid: str
    ctr: int | str
    crl_version: int | str
    listed: list[str]

    @property
    def entries(self) -> dict[str, Reach]:
        return read_entries(self.listed)


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power cut is played here, and waiting for the disk thousands of times takes minutes."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture(scope="module")
def events(vectors: Path) -> list[Event]:
    lists: dict[tuple[str, str], list[str]] = {}
    found = []
    for line in (vectors / "status/vci-directory/crl_history.jsonl").read_text("utf-8").splitlines():
        row = json.loads_object(line)
        key = row["iss"], row["kid"]
        gone = set(row["removed"])
        lists[key] = [entry for entry in lists.get(key, []) if entry not in gone] + row["added"]
        found.append(Event(row["iss"], row["kid"], row["ctr"], row["crlVersion"], lists[key]))
    assert len(found) == 567
    return found


@pytest.fixture(scope="module")
def keys(vectors: Path) -> dict[str, list[dict[str, Any]]]:
    """The real keys of the issuers of the history."""
    snapshot = json.loads_object(
        (vectors / "status/vci-directory/vci_snapshot.json").read_bytes(), max_bytes=1 << 20
    )
    return {
        entry["issuer"]["iss"]: [
            {name: value for name, value in key.items() if name != "crlVersion"} for key in entry["keys"]
        ]
        for entry in snapshot["issuerInfo"]
    }


def final_sets(events: list[Event]) -> dict[tuple[str, str], bytes]:
    newest = {(event.iss, event.kid): event for event in events}
    return {key: card_sets.of_list(event.entries) for key, event in newest.items()}


def held_sets(folder: Path, events: list[Event]) -> dict[tuple[str, str], bytes]:
    store = CardStore.open(folder)
    return {(event.iss, event.kid): store.entries(event.iss, event.kid) for event in events}


def synced(host: Host, issuer: str, folder: Path, now: int, rules: SyncRules) -> SyncReport:
    return asyncio.run(sync([issuer], folder=folder, fetcher=host, clock=lambda: now, rules=rules))


class Replay:
    """The history as issuers with our tree would have published it, one day an event."""

    def __init__(self, keys: dict[str, list[dict[str, Any]]], events: list[Event]) -> None:
        self.host = Host()
        self.status_key = Key.generate("ES256")
        self.publishers = {
            iss: Publisher(self.host, iss, keys=keys[iss], status_key=self.status_key)
            for iss in {event.iss for event in events}
        }

    def run(self, events: list[Event]) -> Iterator[tuple[int, Event, Publisher]]:
        """Publish the events one by one, and yield the time, the event and its publisher."""
        for place, event in enumerate(events):
            now = START + place * DAY
            publisher = self.publishers[event.iss]
            publisher.publish(event.kid, event.entries, now=now)
            publisher.sign_all(now=now)
            yield now, event, publisher


RULES = {
    "full": SyncRules(ways=frozenset()),
    "delta": SyncRules(ways=frozenset(("delta",))),
    "log": SyncRules(ways=frozenset(("log",))),
    "cheapest": SyncRules(),
}


@pytest.mark.parametrize("way", RULES)
def test_every_way_ends_in_the_set_that_was_published(
    way: str, events: list[Event], keys: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    replay = Replay(keys, events)
    used = set()
    for now, event, _ in replay.run(events):
        report = synced(replay.host, event.iss, tmp_path, now, RULES[way])
        assert report.faults == ()
        used |= {outcome.way for outcome in report.outcomes if outcome.kid is not None}
    assert held_sets(tmp_path, events) == final_sets(events)
    assert used >= {way} - {"cheapest"}


@pytest.mark.parametrize("way", RULES)
def test_every_way_holds_with_signed_heads_and_long_pauses(
    way: str, events: list[Event], keys: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    replay = Replay(keys, events)
    pinned = msgspec.structs.replace(RULES[way], status_keys=(replay.status_key.public,))
    for place, (now, event, _) in enumerate(replay.run(events)):
        if place % 29 == 0 or place >= 560:
            assert synced(replay.host, event.iss, tmp_path, now, pinned).faults == ()
    for event in events[-10:]:
        assert synced(replay.host, event.iss, tmp_path, now, pinned).faults == ()
    assert held_sets(tmp_path, events) == final_sets(events)
    assert all(
        held.signed_until > now
        for event in events[-1:]
        if (held := CardStore.open(tmp_path).held(event.iss, event.kid)) is not None
    )


def test_the_history_as_it_was_published_with_nothing_but_lists(
    events: list[Event], keys: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    host, publishers = Host(), {}
    for place, event in enumerate(events):
        publisher = publishers.setdefault(
            event.iss, Publisher(host, event.iss, keys=keys[event.iss], tree=False)
        )
        host.files[publisher.url(f"crl/{event.kid}.json")] = json.dumps(
            {"kid": event.kid, "method": "rid", "ctr": event.ctr, "rids": event.listed}
        )
        publisher.announce(event.kid, event.crl_version)
        report = synced(host, event.iss, tmp_path, START + place * DAY, SyncRules())
        assert report.faults == ()
        assert CardStore.open(tmp_path).entries(event.iss, event.kid) == card_sets.of_list(event.entries)
    assert held_sets(tmp_path, events) == final_sets(events)
    assert len(host.asked(".jws")) < 567 / 5, "asks again only after a week for what is not published"


def test_a_change_under_an_unchanged_counter_is_missed_until_the_refresh(
    events: list[Event], keys: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    by_kid = sorted(events, key=lambda event: event.kid)  # stable: each list's events stay in order
    unbumped = [
        (before, after)
        for before, after in itertools.pairwise(by_kid)
        if (before.kid, before.ctr) == (after.kid, after.ctr) and set(before.listed) != set(after.listed)
    ]
    assert len(unbumped) == 2
    for place, pair in enumerate(unbumped):
        host = Host()
        publisher = Publisher(host, pair[0].iss, keys=keys[pair[0].iss], tree=False)
        folder = tmp_path / str(place)
        for event, now, expected in zip(
            (*pair, pair[1]), (START, START + DAY - 1, START + DAY), (pair[0], *pair), strict=True
        ):
            host.files[publisher.url(f"crl/{event.kid}.json")] = json.dumps(
                {"kid": event.kid, "method": "rid", "ctr": event.ctr, "rids": event.listed}
            )
            publisher.announce(event.kid, event.crl_version)
            synced(host, event.iss, folder, now, SyncRules(refresh=DAY))
            seen = CardStore.open(folder).entries(event.iss, event.kid)
            assert seen == card_sets.of_list(expected.entries)


def spoil_delta(replay: Replay, publisher: Publisher, event: Event) -> None:
    for url in [url for url in replay.host.files if f"crl/{event.kid}-" in url]:
        replay.host.files[url] = replay.host.files[url].replace(b'"add":["', b'"add":["x')


def spoil_delta_bytes(replay: Replay, publisher: Publisher, event: Event) -> None:
    for url in [url for url in replay.host.files if f"crl/{event.kid}-" in url]:
        replay.host.files[url] = b"{" + replay.host.files[url]


def ignore_range(replay: Replay, publisher: Publisher, event: Event) -> None:
    replay.host.knows_ranges = False


def other_range(replay: Replay, publisher: Publisher, event: Event) -> None:
    replay.host.content_range = "bytes 0-{last}/{total}"


def no_content_range(replay: Replay, publisher: Publisher, event: Event) -> None:
    replay.host.content_range = ""


def short_range(replay: Replay, publisher: Publisher, event: Event) -> None:
    replay.host.cut_ranges = 1


def spoil_log(replay: Replay, publisher: Publisher, event: Event) -> None:
    url = publisher.url(f"crl/{event.kid}.log")
    replay.host.files[url] = replay.host.files[url][:-1] + b"\x77"


def lose_head(replay: Replay, publisher: Publisher, event: Event) -> None:
    replay.host.files.pop(publisher.url(f"crl/{event.kid}.jws"))


def spoil_head(replay: Replay, publisher: Publisher, event: Event) -> None:
    replay.host.files[publisher.url(f"crl/{event.kid}.jws")] = b"a.b.c"


def no_validators(replay: Replay, publisher: Publisher, event: Event) -> None:
    replay.host.knows_etags = False


FAULTS = [
    ("delta", spoil_delta),
    ("delta", spoil_delta_bytes),
    ("log", ignore_range),
    ("log", other_range),
    ("log", no_content_range),
    ("log", short_range),
    ("log", spoil_log),
    ("cheapest", lose_head),
    ("cheapest", spoil_head),
    ("cheapest", no_validators),
    ("full", no_validators),
]


@pytest.mark.parametrize(("way", "fault"), FAULTS, ids=lambda value: getattr(value, "__name__", value))
def test_faults_on_the_way_end_in_the_same_sets(
    way: str, fault: Any, events: list[Event], keys: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    replay = Replay(keys, events)
    detours: set[str] = set()
    for place, (now, event, publisher) in enumerate(replay.run(events)):
        fault(replay, publisher, event)
        if place % 4 and place < 555:
            continue
        report = synced(replay.host, event.iss, tmp_path, now, RULES[way])
        assert report.faults == ()
        detours |= {code for outcome in report.outcomes for code in outcome.detours}
    assert held_sets(tmp_path, events) == final_sets(events)
    expected = {
        "spoil_delta": {"delta_mismatch"},
        "spoil_delta_bytes": {"crl_malformed"},
        "other_range": {"range_mismatch"},
        "no_content_range": {"range_mismatch"},
        "short_range": {"range_mismatch"},
        "spoil_log": {"log_mismatch"},
        "spoil_head": {"head_malformed"},
    }
    assert detours >= expected.get(fault.__name__, set())


@pytest.mark.parametrize("way", ["full", "delta", "log"])
def test_synchronisations_that_are_killed_end_in_the_same_sets(
    way: str, events: list[Event], keys: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    replay = Replay(keys, events)
    kills = 0
    for place, (now, event, _) in enumerate(replay.run(events)):
        if place % 12 == 11:
            work = functools.partial(synced, replay.host, event.iss, tmp_path, now, RULES[way])
            kills += killed_at(place // 12 % 16, work)
        if place % 24 == 12 or place > 560:
            assert synced(replay.host, event.iss, tmp_path, now, RULES[way]).faults == ()
    assert kills > 25
    assert held_sets(tmp_path, events) == final_sets(events)


def test_a_host_that_goes_back_and_forth_is_never_followed_back(
    events: list[Event], keys: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    replay = Replay(keys, events)
    older: dict[str, bytes] = {}
    rules = SyncRules(ways=frozenset(), refresh=0)
    refused = 0
    for place, (now, event, publisher) in enumerate(replay.run(events)):
        url = publisher.url(f"crl/{event.kid}.json")
        newest = replay.host.files[url]
        if place % 3 == 2 and url in older and older[url] != newest:
            replay.host.files[url] = older[url]
            report = synced(replay.host, event.iss, tmp_path, now, rules)
            refused += sum(outcome.code == "crl_rolled_back" for outcome in report.outcomes)
            replay.host.files[url] = newest
        if place % 3 == 1 or place > 550:
            synced(replay.host, event.iss, tmp_path, now, rules)
        older.setdefault(url, newest)
    assert refused > 50
    assert held_sets(tmp_path, events) == final_sets(events)
