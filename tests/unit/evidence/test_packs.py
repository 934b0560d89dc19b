"""Packs as files, and the versions that were met."""

import threading
from pathlib import Path
from typing import Any

import pytest
from tests import packs
from tests.packs import KEY, MIRROR, NOW, Card

from safeconduct.errors import Malformed, Rejected
from safeconduct.evidence import disk
from safeconduct.evidence.packs import SeenVersions, open_pack, seen_beside, source_of
from safeconduct.status.states import GOOD, Status, unknown
from safeconduct.trust import WAIVED

CONFIRM = Status("revoked", "confirm")


def _write(path: Path, **more: int) -> Path:
    path.write_bytes(packs.file(packs.issuer(packs.crl({"rid": None})), **more))
    return path


def test_a_file_is_a_source_of_status_and_of_keys(tmp_path: Path) -> None:
    source = source_of(_write(tmp_path / "status.pack"), keys=[MIRROR.public])

    assert source.card_status(Card("rid"), crl_version=3, now=NOW) == CONFIRM
    assert source.card_status(Card("other"), crl_version=3, now=NOW) == GOOD
    assert set(source.keys_named(KEY.kid)) == {Card().issuer}


def test_a_pack_that_is_replaced_stays_readable_to_those_who_have_it_open(tmp_path: Path) -> None:
    path = _write(tmp_path / "status.pack")
    opened = open_pack(path, keys=[MIRROR.public])

    draft = tmp_path / "draft"
    draft.write_bytes(packs.file(packs.issuer(packs.crl({})), version=2))
    draft.replace(path)

    assert opened.card_status(Card("rid"), crl_version=3, now=NOW) == CONFIRM
    assert open_pack(path, keys=[MIRROR.public]).card_status(Card("rid"), crl_version=3, now=NOW) == GOOD


def test_the_highest_version_that_was_met_is_remembered(tmp_path: Path) -> None:
    seen = SeenVersions(tmp_path / "state" / "seen")
    open_pack(_write(tmp_path / "new.pack", version=5), keys=[MIRROR.public], seen=seen)

    assert SeenVersions(tmp_path / "state" / "seen").of("status") == 5
    old = _write(tmp_path / "old.pack", version=4)
    with pytest.raises(Rejected) as refused:
        open_pack(old, keys=[MIRROR.public], seen=seen)
    assert refused.value.code == "pack_rolled_back"
    source = source_of(old, keys=[MIRROR.public], seen=seen)
    assert source.card_status(Card("rid"), crl_version=3, now=NOW) == unknown("stale")
    # Without that memory, the old one would be taken: what guards is the memory.
    assert open_pack(old, keys=[MIRROR.public]).head.version == 4


def test_of_two_who_remember_at_once_the_later_version_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else who opened the older pack first would take the guard back to it."""
    path = tmp_path / "seen"
    other = threading.Thread(target=SeenVersions(path).note, args=("status", 6))
    write = disk.write

    def write_late(*arguments: Any, **more: Any) -> None:
        if not other.is_alive() and other.ident is None:
            other.start()
            other.join(timeout=0.2)  # comes in between, if it can
        write(*arguments, **more)

    monkeypatch.setattr(disk, "write", write_late)
    SeenVersions(path).note("status", 5)
    other.join()
    assert SeenVersions(path).of("status") == 6


def test_where_nothing_can_be_written_nothing_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(disk, "write", refuse)
    path = _write(tmp_path / "status.pack", version=5)

    assert open_pack(path, keys=[MIRROR.public], seen=seen_beside(path)).head.version == 5
    assert seen_beside(path).of("status") == 0


def test_a_version_that_nobody_signed_is_checked_and_not_remembered(tmp_path: Path) -> None:
    path = _write(tmp_path / "status.pack", version=5)
    open_pack(path, keys=WAIVED, seen=seen_beside(path))
    assert seen_beside(path).of("status") == 0

    seen_beside(path).note("status", 6)
    with pytest.raises(Rejected):
        open_pack(path, keys=WAIVED, seen=seen_beside(path))


def test_a_forged_version_is_not_remembered(tmp_path: Path) -> None:
    seen = SeenVersions(tmp_path / "seen")
    source_of(_write(tmp_path / "status.pack", version=99), keys=[KEY.key], seen=seen)

    assert seen.of("status") == 0


@pytest.mark.parametrize("data", [b"", b"x", b"[]", b'{"status": "5"}', b'{"status": true}'])
def test_a_damaged_memory_is_said_to_be_one(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "seen").write_bytes(data)

    with pytest.raises(Malformed) as refused:
        SeenVersions(tmp_path / "seen").of("status")
    assert refused.value.code == "pack_seen_malformed"


@pytest.mark.parametrize("data", [b"", b"no pack at all"])
def test_a_file_that_is_no_pack_gives_the_reason(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "status.pack").write_bytes(data)

    source = source_of(tmp_path / "status.pack", keys=[MIRROR.public])

    assert source.card_status(Card("rid"), crl_version=3, now=NOW) == unknown("malformed")
