"""Packs as files: mapped into memory to be read, replaced whole, and never by an older one."""

import contextlib
import json
import mmap
from collections.abc import Collection
from pathlib import Path
from typing import Final

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.errors import Malformed, SafeconductError
from safeconduct.evidence import disk
from safeconduct.status.compact.pack import Pack, StatusPack, UnusablePack
from safeconduct.trust import Waived


class SeenVersions:
    """The highest version met of each pack, in a file: below it a pack is not believed again.

    Packs are told apart by their name, which is signed with the rest.
    """

    def __init__(self, path: Path) -> None:
        """path: of the file, which need not be there yet."""
        self._path = path

    def of(self, name: str) -> int:
        """Return the highest version met of a pack, 0 if none was. Raises Malformed "pack_seen_malformed"."""
        return self._read().get(name, 0)

    def note(self, name: str, version: int) -> None:
        """Remember that a version was met. Raises Malformed "pack_seen_malformed", OSError."""
        if version <= self.of(name):
            return
        disk.make_folder(self._path.parent)
        with disk.turn(self._path.with_name(f"{self._path.name}-turn")):
            seen = self._read()  # anew: another process may have met a later one
            if version > seen.get(name, 0):
                disk.write(self._path, json.dumps({**seen, name: version}, sort_keys=True).encode())

    def _read(self) -> dict[str, int]:
        data = disk.read(self._path, max_bytes=limits.JSON_BYTES)
        if data is None:
            return {}
        try:
            seen = json.loads(data)
        except ValueError:
            seen = None
        if not isinstance(seen, dict) or not all(type(version) is int for version in seen.values()):
            raise Malformed("pack_seen_malformed", "The file of the versions seen is damaged: look into it.")
        return seen


def seen_beside(path: Path) -> SeenVersions:
    """Return the memory that stands beside a pack's file, also when the file itself is gone."""
    return SeenVersions(path.with_name(f".{path.name}.seen"))


def open_pack(
    path: Path,
    *,
    keys: Collection[PublicKey] | Waived,
    max_age: int | None = None,
    seen: SeenVersions | None = None,
) -> Pack:
    """Open the pack in a file; arguments and errors as of `Pack.open`.

    seen: what was met before: an older version is refused. A newer one is remembered if it is signed, and if
    something can be written there, as it cannot be on a medium that is handed around.
    Raises also OSError, for what the disk says, and Malformed "pack_seen_malformed".
    """
    data = _mapped(path)
    opened = Pack.open(data, keys=keys, max_age=max_age)
    if seen is not None:
        name, version = opened.head.name, opened.head.version
        opened = Pack.open(data, keys=keys, max_age=max_age, oldest=seen.of(name))
        if not isinstance(keys, Waived):
            with contextlib.suppress(OSError):
                seen.note(name, version)
    return opened


def source_of(
    path: Path,
    *,
    keys: Collection[PublicKey] | Waived,
    max_age: int | None = None,
    seen: SeenVersions | None = None,
) -> StatusPack:
    """As `open_pack`, but a file that is no good pack makes every card's status unknown, with the reason."""
    try:
        return open_pack(path, keys=keys, max_age=max_age, seen=seen)
    except SafeconductError as error:
        return UnusablePack(error)


_EMPTY: Final = memoryview(b"")


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return _EMPTY
        # The mapping outlives the file's name, so that a pack can be replaced while it is read.
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
