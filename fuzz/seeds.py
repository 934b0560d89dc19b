"""Published vectors as seeds: read where they lie, at run time, and never copied into the project."""

import os
from collections.abc import Iterator
from pathlib import Path


def folder() -> Path:
    """The folder of test vectors: SAFECONDUCT_VECTORS, or ../shared/vectors beside the project."""
    beside = Path(__file__).resolve().parents[1] / "../shared/vectors"
    return Path(os.environ.get("SAFECONDUCT_VECTORS") or beside)


def files(*patterns: str, largest: int = 4096) -> Iterator[bytes]:
    """Yields the vectors whose path matches one of `patterns`, none longer than `largest` bytes.

    Yields nothing where there are no vectors: every target has seeds of its own besides.
    """
    for pattern in patterns:
        for path in sorted(folder().glob(pattern)):
            data = path.read_bytes()
            if len(data) <= largest:
                yield data
