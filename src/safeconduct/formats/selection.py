"""What a holder discloses: everything, claim paths, or a choice by path and value; alike in every format."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from safeconduct.errors import Rejected
from safeconduct.formats import paths
from safeconduct.formats.redaction import Located, Path

Choice = Callable[[Path, Any], bool]
"""Decides on a disclosure from its path and its value."""

Resolve = Callable[[tuple[paths.Segment, ...]], Path]
"""Turns a parsed claim path into the keys and indices of a format."""


class Everything:
    """The one value that stands for all disclosures."""

    def __repr__(self) -> str:
        return "ALL"


ALL = Everything()

Disclose = Iterable[str] | Choice | Everything


def choose(
    disclose: Disclose, located: Sequence[Located], trees: Sequence[Any], *, resolve: Resolve
) -> set[bytes]:
    """Return the encoded disclosures that were chosen, and those that contain them.

    disclose: claim paths, each with everything inside it; or a function of path and value; or ALL.
    located: where each disclosure stands. trees: the claims with everything disclosed.
    Raises Rejected: claim_not_found; Malformed: claim_path.
    """
    if isinstance(disclose, Everything):
        return {item.disclosure.encoded for item in located}
    wanted = disclose if callable(disclose) else _by_paths(disclose, located, trees, resolve)
    chosen = [item for item in located if wanted(item.path, item.disclosure.value)]
    return {needed.encoded for item in chosen for needed in (*item.outer, item.disclosure)}


def whole_claim(path: Path) -> Any:
    """Return the key of a path to a claim at the top; raises ValueError for a path into one."""
    if len(path) != 1:
        raise ValueError("what may stand in clear is a whole claim, not a part of one")
    return path[0]


def _by_paths(
    disclose: Iterable[str], located: Sequence[Located], trees: Sequence[Any], resolve: Resolve
) -> Choice:
    wanted = {resolve(paths.parse(text)) for text in disclose}
    for path in wanted:
        redactable = any(item.path[: len(path)] == path for item in located)
        if not redactable and not any(_exists(path, tree) for tree in trees):
            raise Rejected(
                "claim_not_found",
                "A claim path leads to no claim of the credential; look at its paths first.",
            )
    return lambda path, _value: any(path[: len(prefix)] == prefix for prefix in wanted)


def _exists(path: Path, tree: Any) -> bool:
    for key in path:
        if isinstance(key, paths.Index):
            if not isinstance(tree, list) or key.position >= len(tree):
                return False
            tree = tree[key.position]
        elif isinstance(tree, dict) and key in tree:
            tree = tree[key]
        else:
            return False
    return True
