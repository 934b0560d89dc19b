"""Which deltas of a pack can be fetched, and the cheapest way from one version to the newest.

A mirror makes a delta for each step, and with every 16th and 256th version one over so many. Its document
only says what there is: whatever comes out of the deltas is compared with the signed head.
"""

import heapq
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, SafeconductError

KEPT: Final = {1: 256, 16: 64, 256: 64}
"""Over so many versions deltas go, and so many of them stay published.

Those over more than one version end where that number divides the version. From whatever version of the last
256 they lead to the newest, and from round ones of many more; others fetch the whole pack.
"""

SPANS: Final = tuple(KEPT)


class Step(msgspec.Struct, frozen=True):
    """A delta. start, end: versions. size: in bytes."""

    start: int
    end: int
    size: int


class Updates(msgspec.Struct, frozen=True):
    """What a mirror publishes of a pack. version, size: of the newest, whole. steps: its deltas."""

    version: int
    size: int
    steps: tuple[Step, ...]

    def encode(self) -> bytes:
        """Returns the document."""
        deltas = [(step.start, step.end, step.size) for step in self.steps]
        return json.dumps({"version": self.version, "bytes": self.size, "deltas": deltas})

    def way(self, version: int) -> tuple[Step, ...] | None:
        """Returns the deltas that lead from a version to the newest for the fewest bytes.

        None if there are none, or if the whole pack has fewer bytes.
        """
        cost: dict[int, int] = {version: 0}
        came: dict[int, Step] = {}
        open_ = [(0, version)]
        while open_:
            so_far, place = heapq.heappop(open_)
            for step in self.steps:
                total = so_far + step.size
                if step.start == place and total < cost.get(step.end, self.size):
                    cost[step.end], came[step.end] = total, step
                    heapq.heappush(open_, (total, step.end))
        return _traced(came, version, self.version) if self.version in came else None


def parse(data: bytes) -> Updates:
    """Returns a document that was fetched. Raises Malformed "pack_updates_malformed"."""
    try:
        read = msgspec.convert(json.loads(data, max_bytes=limits.JSON_BYTES), _Document)
    except (SafeconductError, msgspec.ValidationError) as error:
        raise _malformed() from error
    steps = [Step(*delta) for delta in read.deltas]
    if len(steps) > limits.PACK_DELTAS or any(not 0 < step.start < step.end for step in steps):
        raise _malformed()
    if min((read.version, read.size, *(step.size for step in steps))) < 1:
        raise _malformed()
    return Updates(read.version, read.size, tuple(steps))


def due(version: int) -> list[tuple[int, int]]:
    """Returns the deltas that a version is published with, by their first and last version."""
    return [
        (version - span, version) for span in SPANS if version > span and (span == 1 or version % span == 0)
    ]


def kept(steps: Iterable[Step]) -> list[Step]:
    """Returns the deltas that stay published: of each span the newest."""
    by_span: dict[int, list[Step]] = {}
    for step in sorted(steps, key=lambda step: -step.end):
        by_span.setdefault(step.end - step.start, []).append(step)
    return [step for span in sorted(by_span) for step in by_span[span][: KEPT.get(span, 0)]]


def is_name(name: str) -> bool:
    """Whether a pack can be called so: the name is part of files and URLs."""
    return _NAME.fullmatch(name) is not None


_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


class _Document(msgspec.Struct):
    version: int
    deltas: list[tuple[int, int, int]]
    size: int = msgspec.field(name="bytes")


def _traced(came: dict[int, Step], start: int, end: int) -> tuple[Step, ...]:
    steps: list[Step] = []
    while end != start:
        steps.append(came[end])
        end = came[end].start
    return tuple(reversed(steps))


def _malformed() -> Malformed:
    return Malformed("pack_updates_malformed", "The list of a pack's deltas breaks its format.")
