"""The files by which a mirror publishes a pack, for any static host.

    <name>.pack                       the newest version, whole
    <name>.pack.jws                   its head, which clients ask for first
    <name>.updates.json               which deltas there are
    <name>-deltas/<from>-<to>.delta   deltas
    .<name>-kept/<version>.pack       versions from which a delta is still to be made; not for clients

Each file is whole at any time. What leads to a version is written before its head.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from safeconduct.crypto.signing import Signer
from safeconduct.errors import Rejected
from safeconduct.evidence import disk
from safeconduct.evidence.packs import open_pack
from safeconduct.status.compact import (
    blocks,
    pack_delta,
    pack_file,
    pack_head,
    pack_updates,
    packing,
)
from safeconduct.status.compact.blocks import CheckedBytes
from safeconduct.status.compact.body import Body
from safeconduct.status.compact.pack import Pack
from safeconduct.status.compact.pack_head import Head, Version
from safeconduct.status.compact.pack_updates import Step, Updates
from safeconduct.status.compact.packing import GatheredIssuer
from safeconduct.trust import WAIVED


class Edition(msgspec.Struct, frozen=True, kw_only=True):
    """How a pack is made and signed. name: see `pack_updates.is_name`. as_of, now: seconds since 1970.

    lifetime: seconds from `now` until the head expires. low_bits, budget: as `packing.build`.
    """

    name: str
    signer: Signer
    as_of: int
    now: int
    lifetime: int
    low_bits: int = packing.USUAL_BITS
    budget: int | None = None


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What was published. changed: whether it is a new version. size: of the pack, in bytes.

    delta: bytes of the delta from the version before, None without one.
    """

    version: int
    changed: bool
    issuers: int
    lists: int
    count: int
    size: int
    delta: int | None


def newest(folder: Path, name: str) -> Pack | None:
    """Open the newest version in a folder, which the mirror itself wrote; None if there is none yet."""
    path = folder / f"{name}.pack"
    return open_pack(path, keys=WAIVED) if path.exists() else None


def publish(
    folder: Path, issuers: Sequence[GatheredIssuer], *, edition: Edition, previous: Pack | None
) -> Published:
    """Write the pack of the issuers, as a new version if it is not the previous one again.

    previous: the version before, for its number and for deltas. A version is signed anew in any case: its
    head says as of when it holds. Nobody else may be writing to the folder.

    Raises Rejected "pack_budget", "pack_name" (the previous pack has another name), "mirror_rolled_back" (it
    is of a later time).
    """
    if previous is not None and previous.head.name != edition.name:
        raise Rejected("pack_name", "The previous pack is another one.")
    if previous is not None and previous.head.as_of > edition.as_of:
        raise Rejected("mirror_rolled_back", "What was gathered is older than the previous pack.")
    before = None if previous is None else previous.body
    made = packing.build(issuers, previous=before, low_bits=edition.low_bits, budget=edition.budget)
    table = blocks.table_of(made)
    head = _head(made, table, edition, previous)
    changed = previous is None or head.version != previous.head.version
    text = pack_head.sign(head, signer=edition.signer)
    data = pack_file.write(text, made, table=table)
    delta = _Tree(folder, edition.name).write(text, data, head, previous if changed else None)
    return Published(
        version=head.version,
        changed=changed,
        issuers=len(issuers),
        lists=head.lists,
        count=head.count,
        size=len(data),
        delta=delta,
    )


def _head(made: bytes, table: bytes, edition: Edition, previous: Pack | None) -> Head:
    digest = pack_file.digest_of(table)
    lists, count = packing.count_of(Body(CheckedBytes(memoryview(made), memoryview(table))))
    version, base = 1, None
    if previous is not None and previous.head.digest == digest:
        version, base = previous.head.version, previous.head.previous
    elif previous is not None:
        version = previous.head.version + 1
        base = Version(previous.head.version, previous.head.digest)
    return Head(
        name=edition.name,
        version=version,
        as_of=edition.as_of,
        iat=edition.now,
        exp=edition.now + edition.lifetime,
        length=len(made),
        digest=digest,
        previous=base,
        lists=lists,
        count=count,
    )


_LONGER: Final = pack_updates.SPANS[1:]


class _Tree:
    def __init__(self, folder: Path, name: str) -> None:
        self._pack, self._head = folder / f"{name}.pack", folder / f"{name}.pack.jws"
        self._updates = folder / f"{name}.updates.json"
        self._deltas, self._kept = folder / f"{name}-deltas", folder / f".{name}-kept"

    def write(self, text: str, data: bytes, head: Head, previous: Pack | None) -> int | None:
        """Write a version; with `previous`, deltas as well. Return the size of that from `previous`."""
        steps = [] if previous is None else self._make_deltas(data, head, previous)
        self._pack.parent.mkdir(parents=True, exist_ok=True)
        disk.write(self._pack, data, mode=disk.PUBLIC)
        if previous is not None or not self._updates.exists():
            kept = pack_updates.kept([*self._steps(), *steps])
            document = Updates(head.version, len(data), tuple(kept))
            disk.write(self._updates, document.encode(), mode=disk.PUBLIC)
            self._remove_all_but(kept)
        disk.write(self._head, text.encode("ascii"), mode=disk.PUBLIC)
        self._keep(head.version)
        return next((step.size for step in steps if step.end - step.start == 1), None)

    def _make_deltas(self, data: bytes, head: Head, previous: Pack) -> list[Step]:
        after = Pack.open(data, keys=WAIVED)
        made = []
        for start, end in pack_updates.due(head.version):
            before = previous if start == previous.head.version else self._version(start)
            delta = None if before is None else _delta(before, after)
            if delta is not None and len(delta) < len(data):
                self._deltas.mkdir(exist_ok=True)
                disk.write(self._deltas / f"{start}-{end}.delta", delta, mode=disk.PUBLIC)
                made.append(Step(start, end, len(delta)))
        return made

    def _steps(self) -> Sequence[Step]:
        if not self._updates.exists():
            return ()
        return pack_updates.parse(self._updates.read_bytes()).steps

    def _remove_all_but(self, steps: Sequence[Step]) -> None:
        names = {f"{step.start}-{step.end}.delta" for step in steps}
        for path in self._deltas.glob("*.delta"):
            if path.name not in names:
                path.unlink()

    def _version(self, version: int) -> Pack | None:
        path = self._kept / f"{version}.pack"
        return open_pack(path, keys=WAIVED) if path.exists() else None

    def _keep(self, version: int) -> None:
        """Keep versions from which longer deltas begin, and let go of those from which none will."""
        if version % min(_LONGER) == 0:
            disk.make_folder(self._kept)
            path = self._kept / f"{version}.pack"
            path.unlink(missing_ok=True)
            os.link(self._pack, path)
        for path in self._kept.glob("*.pack"):
            start = int(path.stem)
            if not any(start % span == 0 and start + span > version for span in _LONGER):
                path.unlink()


def _delta(before: Pack, after: Pack) -> bytes | None:
    try:
        return pack_delta.between(before, after)
    except Rejected:
        return None  # the whole pack is the shorter way
