"""Writing an inspection: as a tree of lines, or as JSON."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from safeconduct.cli import output
from safeconduct.formats.inspected import Inspection, Node

if TYPE_CHECKING:
    from rich.tree import Tree

_STYLES = {
    "clear": "green",
    "disclosed": "cyan",
    "redacted": "yellow",
    "decoy": "magenta",
    "encrypted": "yellow",
    "unreferenced": "bold red",
}


def to_json(seen: Inspection) -> dict[str, Any]:
    """Return the inspection as JSON values."""
    value: dict[str, Any] = msgspec.to_builtins(seen)
    return value


def write(seen: Inspection) -> None:
    """Write the inspection to standard output, in colour on a terminal."""
    if sys.stdout is not None and sys.stdout.isatty():
        _write_in_colour(seen)
    else:
        output.write_text("\n".join(_lines(seen)))


def _title(seen: Inspection) -> str:
    profile = f", profile {seen.profile}" if seen.profile else ""
    counts = "".join(f", {count} {state}" for state, count in seen.counts.items())
    return f"{seen.kind}{profile}, {seen.size} bytes{counts}"


_WARNING = "NOT VERIFIED: what follows is what the token says, whoever made it."


def _lines(seen: Inspection) -> Iterator[str]:
    yield _WARNING
    yield _title(seen)
    for part in seen.parts:
        yield from _indented(part, 1)


def _indented(node: Node, depth: int) -> Iterator[str]:
    yield "  " * depth + node.name + "".join(_details(node))
    for child in node.children:
        yield from _indented(child, depth + 1)


def _details(node: Node) -> Iterator[str]:
    """What stands behind the name: the value, its meaning, and in brackets state, size and path."""
    if node.text:
        yield f": {node.text}"
    if node.note:
        yield f"  ({node.note})"
    facts: list[str] = [node.state] if node.state else []
    if node.size is not None:
        facts.append(f"{node.size} bytes")
    if node.path and node.path != node.name:
        facts.append(f"path {node.path}")
    if facts:
        yield f"  [{', '.join(facts)}]"


def _write_in_colour(seen: Inspection) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    root = Tree(Text(_title(seen), style="bold"))
    for part in seen.parts:
        _grow(root, part)
    console = Console(soft_wrap=True, highlight=False)
    console.print(Text(_WARNING, style="bold red"))
    console.print(root)


def _grow(tree: "Tree", node: Node) -> None:
    from rich.text import Text

    style = _STYLES.get(node.state, "")
    branch = tree.add(Text(node.name + "".join(_details(node)), style=style))
    for child in node.children:
        _grow(branch, child)
