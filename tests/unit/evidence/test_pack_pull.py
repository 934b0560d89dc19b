"""A copy of a pack is brought up to date, by the fewest bytes, and never back."""

import asyncio
from pathlib import Path

import pytest
from tests import packs
from tests.packs import DAY, MIRROR, Card
from tests.status_host import Host

from safeconduct import limits
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.evidence import mirror_tree, pack_pull
from safeconduct.evidence.mirror_tree import Edition
from safeconduct.evidence.pack_pull import Pulled
from safeconduct.evidence.packs import SeenVersions, open_pack
from safeconduct.status.compact import pack_delta, pack_updates
from safeconduct.status.states import REVOKED, Status, unknown
from safeconduct.trust import WAIVED

NOW = packs.NOW
URL = "https://mirror.example/packs/status.pack"
MANY: dict[str, int | None] = {f"rid{number}": None for number in range(3000)}


class Copy:
    """A mirror on a host, and a copy of its pack."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.host = folder / "out", folder / "copy" / "status.pack", Host()
        self.path.parent.mkdir()
        self.seen = SeenVersions(folder / "copy" / "seen")
        self.now = NOW

    def publish(self, entries: dict[str, int | None], *, signer: Key = MIRROR, name: str = "status") -> None:
        """Let the mirror publish, and the host have it."""
        edition = Edition(
            name=name, signer=signer, as_of=self.now, now=self.now, lifetime=7 * DAY, low_bits=64
        )
        before = mirror_tree.newest(self.folder, name)
        issuer = packs.issuer(packs.crl(entries, ctr=3 + len(entries)))
        mirror_tree.publish(self.folder, [issuer], edition=edition, previous=before)
        for file in self.folder.rglob("*"):
            if file.is_file():
                self.host.files[f"https://mirror.example/packs/{file.relative_to(self.folder)}"] = (
                    file.read_bytes()
                )

    def pull(self, keys: list[PublicKey] | None = None) -> Pulled:
        """Bring the copy up to date."""
        self.host.forget()
        wanted = [MIRROR.public] if keys is None else keys
        done = asyncio.run(
            pack_pull.pull(URL, self.path, keys=wanted, fetcher=self.host, now=self.now, seen=self.seen)
        )
        assert done.received == self.host.sent
        return done

    def refused(self) -> str:
        """The code with which it fails; the copy then is as it was."""
        before = self.path.read_bytes() if self.path.exists() else None
        with pytest.raises(SafeconductError) as refused:
            self.pull()
        assert (self.path.read_bytes() if self.path.exists() else None) == before
        return refused.value.code

    def whole(self) -> bool:
        """Whether the copy is the mirror's pack, byte for byte."""
        return self.path.read_bytes() == (self.folder / "status.pack").read_bytes()

    def status(self, rid: str) -> Status:
        pack = open_pack(self.path, keys=[MIRROR.public])
        return pack.card_status(Card(rid), crl_version=3, now=self.now)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    made = Copy(tmp_path)
    made.publish(MANY)
    return made


def test_the_first_copy_is_fetched_whole(copy: Copy) -> None:
    done = copy.pull()

    assert (done.way, done.head.version, done.fault) == ("full", 1, None)
    assert copy.whole()
    assert copy.status("rid7") == REVOKED
    assert not list(copy.path.parent.glob("*.part"))


def test_a_copy_that_is_current_costs_a_head(copy: Copy) -> None:
    copy.pull()

    assert copy.pull().way == "unchanged"
    assert copy.host.asked("") == [f"{URL}.jws"]
    assert copy.host.sent < 1000


def test_a_head_that_was_signed_anew_takes_the_place_of_the_old_one(copy: Copy) -> None:
    copy.pull()
    copy.now += 6 * DAY
    copy.publish(MANY)

    assert copy.pull().way == "head"
    assert copy.whole()
    copy.now += 2 * DAY
    assert copy.status("good") != unknown("stale")


def test_a_change_is_fetched_as_a_delta(copy: Copy) -> None:
    copy.pull()
    copy.publish({**MANY, "more": None})

    done = copy.pull()

    assert (done.way, done.head.version) == ("delta", 2)
    assert copy.whole()
    assert copy.status("more") == REVOKED
    assert copy.host.sent < 3000 < len(copy.path.read_bytes()) / 8
    assert not copy.host.asked(".pack")


def test_several_changes_are_followed_in_a_chain_and_end_with_the_newest_head(copy: Copy) -> None:
    copy.pull()
    for number in range(20):
        copy.publish({**MANY, f"more{number}": None})
    copy.now += 6 * DAY
    copy.publish({**MANY, "more19": None})

    done = copy.pull()

    assert (done.way, done.head.version, done.head.iat) == ("delta", 21, copy.now)
    assert copy.whole()


def test_a_broken_delta_leads_to_the_whole_pack(copy: Copy) -> None:
    copy.pull()
    copy.publish({**MANY, "more": None})
    url = "https://mirror.example/packs/status-deltas/1-2.delta"
    delta = copy.host.files[url]

    copy.host.files[url] = delta[:-9] + bytes(9)
    done = copy.pull()

    assert (done.way, done.fault) == ("full", "pack_delta_malformed")
    assert copy.whole()


@pytest.mark.parametrize("missing", ["status-deltas/1-2.delta", "status.updates.json"])
def test_a_host_without_deltas_is_good_enough(copy: Copy, missing: str) -> None:
    copy.pull()
    copy.publish({**MANY, "more": None})
    del copy.host.files[f"https://mirror.example/packs/{missing}"]

    done = copy.pull()

    assert (done.way, done.fault) == ("full", "fetch_status")
    assert copy.whole()


def test_a_copy_too_old_for_deltas_is_fetched_whole(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    copy.pull()
    monkeypatch.setitem(pack_updates.KEPT, 1, 1)
    for number in range(3):
        copy.publish({**MANY, f"more{number}": None})

    done = copy.pull()

    assert (done.way, done.fault) == ("full", "pack_no_delta")
    assert copy.whole()


def test_a_damaged_copy_is_fetched_anew(copy: Copy) -> None:
    copy.pull()
    copy.path.write_bytes(copy.path.read_bytes()[:-1])

    assert copy.pull().way == "full"
    assert copy.whole()


def test_an_older_version_is_refused_also_for_a_copy_that_is_gone(copy: Copy) -> None:
    first = dict(copy.host.files)
    copy.publish({**MANY, "more": None})
    copy.pull()
    copy.host.files = first

    assert copy.refused() == "pack_rolled_back"
    copy.path.unlink()
    assert copy.refused() == "pack_rolled_back"


def test_a_host_that_serves_only_what_has_expired_is_told_on(copy: Copy) -> None:
    copy.pull()
    copy.now += 7 * DAY

    assert copy.refused() == "pack_expired"


def test_a_pack_of_another_mirror_is_refused(copy: Copy) -> None:
    copy.pull()
    with pytest.raises(SafeconductError) as refused:
        copy.pull([Key.generate("ES256").public])
    assert refused.value.code == "pack_key_unknown"


def test_another_pack_of_the_same_mirror_is_refused(copy: Copy) -> None:
    copy.pull()
    copy.publish(MANY, name="other")
    for ending in (".pack", ".pack.jws"):
        copy.host.files[f"https://mirror.example/packs/status{ending}"] = copy.host.files[
            f"https://mirror.example/packs/other{ending}"
        ]

    assert copy.refused() == "pack_name"


def test_a_pack_that_is_not_what_its_head_says_is_not_taken(copy: Copy) -> None:
    copy.host.files[URL] = copy.host.files[URL][:-1] + b"\xff"

    assert copy.refused() == "pack_digest"
    assert not copy.path.exists()


def test_an_interrupted_fetch_goes_on_from_where_it_was(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PACK_PIECE_BYTES", 4096)
    copy.host.fails_after = 4

    assert copy.refused() == "fetch_failed"
    (part,) = copy.path.parent.glob(".*.part")
    assert part.stat().st_size == 3 * 4096
    copy.host.fails_after = None
    done = copy.pull()

    assert copy.whole()
    assert done.received < len(copy.path.read_bytes()) - 2 * 4096


def test_a_host_that_knows_no_ranges_gives_all_at_once(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PACK_PIECE_BYTES", 4096)
    copy.host.knows_ranges = False

    assert copy.pull().way == "full"
    assert copy.whole()


@pytest.mark.parametrize("fault", ["cut_ranges", "content_range"])
def test_a_part_that_was_not_asked_for_is_not_taken(copy: Copy, fault: str) -> None:
    if fault == "cut_ranges":
        copy.host.cut_ranges = 1
    else:
        copy.host.content_range = "bytes 5-{last}/{total}"

    assert copy.refused() == "fetch_status"


def test_a_pack_that_claims_to_be_huge_is_not_begun(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PACK_BYTES", 1000)

    assert copy.refused() == "pack_too_large"
    assert copy.host.asked(".pack") == []


def test_a_url_that_is_of_no_pack_is_refused(copy: Copy) -> None:
    with pytest.raises(SafeconductError) as refused:
        asyncio.run(
            pack_pull.pull("https://mirror.example/status", copy.path, keys=[], fetcher=copy.host, now=NOW)
        )
    assert refused.value.code == "pack_url"


def _updates(copy: Copy, steps: list[tuple[int, int, int]], *, version: int, size: int = 10**15) -> None:
    document = json.dumps({"version": version, "bytes": size, "deltas": steps})
    copy.host.files[URL.replace(".pack", ".updates.json")] = document


def test_a_delta_is_not_read_beyond_what_any_may_have(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    copy.publish(MANY)
    copy.pull()
    copy.publish({**MANY, "more": None})
    _updates(copy, [(1, 2, 10_000)], version=2)
    copy.host.files[URL.replace(".pack", "-deltas/1-2.delta")] = bytes(9000)
    monkeypatch.setattr(limits, "PACK_DELTA_BYTES", 8000)
    done = copy.pull()
    assert (done.way, done.fault) == ("full", "fetch_too_large")


def test_deltas_that_claim_to_be_shorter_than_a_pack_that_they_make_huge_are_not_fetched(copy: Copy) -> None:
    copy.publish(MANY)
    copy.pull()
    copy.publish({**MANY, "more": None})
    _updates(copy, [(1, 2, 10**9)], version=2)
    assert copy.pull().fault == "pack_no_delta"
    assert copy.host.asked(".delta") == []


def test_a_chain_that_leads_nowhere_is_left_at_its_first_delta(copy: Copy) -> None:
    """Anybody can make a delta from a version to itself: the head is public, and no row differs."""
    copy.publish(MANY)
    copy.pull()
    first = open_pack(copy.path, keys=WAIVED)
    idle = pack_delta.between(first, first)
    assert pack_delta.apply(idle, to=first, keys=[MIRROR.public])
    copy.publish({**MANY, "more": None})
    _updates(copy, [(number, number + 1, len(idle)) for number in range(1, 30)], version=30)
    for number in range(1, 30):
        copy.host.files[URL.replace(".pack", f"-deltas/{number}-{number + 1}.delta")] = idle
    done = copy.pull()
    assert (done.way, done.fault) == ("full", "pack_delta_mismatch")
    assert len(copy.host.asked(".delta")) == 1


def test_parts_of_versions_that_are_gone_do_not_stay(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PACK_PIECE_BYTES", 1000)
    copy.publish(MANY)
    copy.host.fails_after = 4
    copy.refused()
    assert len(list(copy.path.parent.glob(".*.part"))) == 1
    copy.publish({**MANY, "more": None})
    copy.refused()
    assert len(list(copy.path.parent.glob(".*.part"))) == 1
    copy.host.fails_after = None
    copy.pull()
    assert list(copy.path.parent.glob(".*.part")) == []
