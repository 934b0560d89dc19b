"""From a store to a pack: what is fresh, what is kept from before, what is withheld."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests import packs
from tests.packs import DAY, MIRROR, Card
from tests.status_host import Host, Publisher, card_key

from safeconduct.crypto.keys import Key
from safeconduct.errors import Rejected
from safeconduct.evidence import mirror, mirror_tree
from safeconduct.evidence.card_store import CardStore
from safeconduct.evidence.mirror_tree import Edition, Published
from safeconduct.evidence.packs import open_pack
from safeconduct.evidence.sync import SyncRules, sync
from safeconduct.status.compact import pack_updates
from safeconduct.status.compact.pack import Pack
from safeconduct.status.states import GOOD, REVOKED, Status, unknown

NOW = packs.NOW
URL = "https://one.example/cards"
RULES = SyncRules(ways=frozenset({"delta"}), refresh=0)


class Site:
    """Issuers on a host, and a mirror of them in a folder."""

    def __init__(self, folder: Path, count: int = 2) -> None:
        self.host, self.now = Host(), NOW
        self.urls = [URL, *(f"https://{number}.example" for number in range(count - 1))]
        self.keys = {url: card_key() for url in self.urls}
        self.issuers = {url: Publisher(self.host, url, keys=[key]) for url, key in self.keys.items()}
        self.out, self.store = folder / "out", folder / "store"

    def publish(self, entries: Mapping[str, int | None], url: str = URL) -> None:
        self.issuers[url].publish(self.keys[url]["kid"], entries, now=self.now)

    def mirror(self, *, budget: int | None = None, low_bits: int = 64, **rules: Any) -> Published:
        """One run of the mirror."""

        async def fetch() -> None:
            changed = SyncRules(**{"ways": RULES.ways, "refresh": 0, **rules})
            await sync(self.urls, folder=self.store, fetcher=self.host, clock=lambda: self.now, rules=changed)

        asyncio.run(fetch())
        store = CardStore.open(self.store)
        found = mirror.of_store(store, self.urls, as_of=self.now, now=self.now)
        before = mirror_tree.newest(self.out, "status")
        if before is not None:
            found = mirror.with_previous(found, self.urls, previous=before)
        return mirror_tree.publish(self.out, found, edition=self.edition(low_bits, budget), previous=before)

    def edition(self, low_bits: int = 64, budget: int | None = None) -> Edition:
        return Edition(
            name="status",
            signer=MIRROR,
            as_of=self.now,
            now=self.now,
            lifetime=7 * DAY,
            low_bits=low_bits,
            budget=budget,
        )

    def pack(self, max_age: int | None = None) -> Pack:
        return open_pack(self.out / "status.pack", keys=[MIRROR.public], max_age=max_age)

    def status(self, rid: str, url: str = URL, *, max_age: int | None = None) -> Status:
        """What the pack says, with the keys that the pack itself gives."""
        pack, kid = self.pack(max_age), self.keys[url]["kid"]
        named = pack.keys_named(kid)
        version = named[url].crl_version if url in named else None
        return pack.card_status(Card(rid, issuer=url, kid=kid), crl_version=version, now=self.now)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.publish({"revoked": None, "early": 5})
    return made


def test_issuers_become_a_pack_that_says_what_they_publish(site: Site) -> None:
    done = site.mirror()

    assert (done.version, done.changed, done.issuers, done.lists, done.count) == (1, True, 2, 1, 2)
    assert (done.size, done.delta) == ((site.out / "status.pack").stat().st_size, None)
    assert site.status("revoked") == REVOKED
    assert site.status("other") == site.status("early") == GOOD
    assert site.status("any", site.urls[1]) == unknown("no-crl")
    published = site.issuers[URL].publish(site.keys[URL]["kid"], {"revoked": None, "early": 5}, now=NOW)
    (listed,) = [entry.listed for entry in site.pack().entries() if entry.listed]
    assert (listed.ctr, listed.digest) == (1, published.digest())


def test_a_run_without_change_is_the_same_version_signed_anew(site: Site) -> None:
    site.mirror()
    before = site.pack().head
    site.now += DAY

    done = site.mirror()

    assert (done.version, done.changed) == (1, False)
    head = site.pack().head
    assert (head.digest, head.iat, head.as_of) == (before.digest, NOW + DAY, NOW + DAY)
    assert pack_updates.parse((site.out / "status.updates.json").read_bytes()).version == 1


def test_a_change_is_a_new_version_with_a_delta(site: Site) -> None:
    site.mirror()
    site.publish({"revoked": None, "early": 5, "more": None})

    done = site.mirror()

    assert (done.version, done.changed, done.count) == (2, True, 3)
    assert site.pack().head.previous is not None
    delta = (site.out / "status-deltas" / "1-2.delta").read_bytes()
    assert len(delta) == done.delta
    assert (site.out / "status.pack.jws").read_text() == site.pack().text


def test_an_issuer_that_cannot_be_reached_stays_as_it_was_with_its_age(site: Site) -> None:
    site.mirror()
    site.host.broken |= {site.issuers[URL].url(name) for name in ("jwks.json",)}
    site.now += DAY

    done = site.mirror()

    assert done.issuers == 2
    assert site.status("revoked") == REVOKED
    assert site.status("other") == GOOD
    assert site.status("other", max_age=DAY - 1) == unknown("stale")
    (row,) = [row for row in site.pack().issuers() if row.url == URL]
    assert row.since == NOW


def test_also_one_of_which_the_store_knows_nothing(site: Site, tmp_path: Path) -> None:
    """The mirror has moved to another machine, with its packs alone."""
    site.mirror()
    site.store = tmp_path / "other"
    site.host.broken |= {site.issuers[URL].url("jwks.json")}
    site.now += DAY

    assert site.mirror().issuers == 2
    assert site.status("revoked") == REVOKED
    assert site.status("other", max_age=DAY - 1) == unknown("stale")


def test_an_issuer_that_is_no_longer_wanted_is_left_out(site: Site) -> None:
    site.mirror()
    site.urls.remove(URL)

    assert site.mirror().issuers == 1
    assert site.status("revoked") == unknown("no-crl")


def test_a_list_that_went_back_is_not_taken_also_by_a_new_store(site: Site, tmp_path: Path) -> None:
    site.publish({"revoked": None, "more": None})
    site.mirror()
    again = Publisher(site.host, URL, keys=[site.keys[URL]])
    again.publish(site.keys[URL]["kid"], {"revoked": None}, now=NOW)
    site.store = tmp_path / "other"

    site.mirror()

    assert site.status("more") == REVOKED


def test_a_list_that_is_announced_and_missing_is_said_to_be(site: Site) -> None:
    site.issuers[site.urls[1]].announce(site.keys[site.urls[1]]["kid"], 4)

    site.mirror()

    assert site.status("any", site.urls[1]) == unknown("missing")


def test_a_list_newer_than_the_one_held_leaves_it_stale(site: Site) -> None:
    site.mirror()
    site.issuers[URL].announce(site.keys[URL]["kid"], 9)

    site.mirror()

    assert site.status("other") == unknown("stale")
    assert site.status("revoked") == Status("revoked", "stale")


def test_a_malformed_list_is_said_to_be(site: Site) -> None:
    kid = site.keys[site.urls[1]]["kid"]
    site.issuers[site.urls[1]].announce(kid, 1)
    site.host.files[site.issuers[site.urls[1]].url(f"crl/{kid}.json")] = b'{"kid":1}'

    site.mirror()

    assert site.status("any", site.urls[1]) == unknown("malformed")


def test_lists_without_the_head_that_is_demanded_are_unverified(site: Site) -> None:
    site.mirror(status_keys=(Key.generate("ES256").public,))

    assert site.status("other") == unknown("unverified")


def test_evidence_older_than_the_previous_packs_is_refused(site: Site) -> None:
    """An old snapshot, rightly signed, cannot bring back what was true then."""
    site.mirror()
    site.now -= 1

    with pytest.raises(Rejected) as refused:
        site.mirror()
    assert refused.value.code == "mirror_rolled_back"


def test_another_packs_folder_is_not_written_to(site: Site) -> None:
    site.mirror()
    (site.out / "status.pack").write_bytes(packs.file(packs.issuer(None), name="other"))

    with pytest.raises(Rejected) as refused:
        site.mirror()
    assert refused.value.code == "pack_name"


def test_longer_deltas_come_with_every_sixteenth_version(site: Site) -> None:
    entries: dict[str, int | None] = {f"rid{number}": None for number in range(200)}
    for version in range(1, 36):
        entries[f"more{version}"] = None
        site.publish(entries)
        assert site.mirror().version == version

    names = {path.name for path in (site.out / "status-deltas").iterdir()}
    assert {"34-35.delta", "1-2.delta", "16-32.delta"} <= names
    assert len(names) == 34 + 1
    kept = [path.name for path in (site.out / ".status-kept").iterdir()]
    assert kept == ["32.pack"]
    published = pack_updates.parse((site.out / "status.updates.json").read_bytes())
    assert {f"{step.start}-{step.end}.delta" for step in published.steps} == names
    assert {(site.out / "status-deltas" / name).stat().st_mode & 0o777 for name in names} == {0o644}


def test_a_budget_holds_for_what_is_published(site: Site) -> None:
    site.publish({f"rid{number}": None for number in range(5000)})

    assert site.mirror(budget=15_000).size <= 15_000
    assert site.status("rid7") == Status("revoked", "confirm")
