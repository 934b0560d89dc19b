"""A claim set as its readers see it, and claim paths in it."""

from collections.abc import Iterator, Mapping
from typing import Any

from safeconduct.formats import paths
from safeconduct.formats.redaction import Path


class Claims(Mapping[str, Any]):
    """A frozen claim set: a JSON object whose representation tells no claim.

    wire: the same claims as a plain dict.
    """

    __slots__ = ("wire",)

    def __init__(self, wire: Mapping[str, Any]) -> None:
        self.wire = wire

    def __getitem__(self, key: str) -> Any:
        return self.wire[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.wire)

    def __len__(self) -> int:
        return len(self.wire)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Claims):
            return self.wire == other.wire
        return isinstance(other, Mapping) and self.wire == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Claims: {len(self.wire)} claims>"

    def to_json(self) -> dict[str, Any]:
        """Return the claims as JSON values."""
        return dict(self.wire)


def resolve(segments: tuple[paths.Segment, ...]) -> Path:
    """Turn a parsed claim path into the names and indices of a JSON claim set."""
    return tuple(segment if isinstance(segment, paths.Index) else segment.text for segment in segments)


def path_text(path: Path) -> str:
    """Write a place in a claim set as a claim path that `resolve` reads back."""
    return paths.write(key if isinstance(key, paths.Index) else paths.Name(key) for key in path)
