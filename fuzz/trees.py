"""Changes at any place of a decoded value, JSON or CBOR: what a byte flip rarely makes well-formed."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from cbor2 import CBORTag

from fuzz.choices import Choices

Path = tuple[Any, ...]


class Pool(msgspec.Struct, frozen=True):
    """What is put into trees. keys: for maps. values: for any place. tags: tag numbers, none for JSON."""

    keys: Sequence[Any]
    values: Sequence[Any]
    tags: Sequence[int] = ()


def mutate(tree: Any, choices: Choices, pool: Pool) -> Any:
    """Returns `tree` with one to four changes, mostly inside; the tree itself stays as it is."""
    for _ in range(choices.pick((1, 1, 1, 1, 2, 4))):
        places = list(_places(tree, ()))
        inside = places[1:] if choices.number(16) else []
        place = choices.pick(inside or places)
        change = choices.pick(_CHANGES)
        other = _at(tree, choices.pick(places))
        tree = _replaced(
            tree, place, lambda node, change=change, other=other: change(node, other, choices, pool)
        )
    return tree


def _children(node: Any) -> list[tuple[Any, Any]]:
    """Steps to what stands directly inside, with what they lead to."""
    if isinstance(node, dict):
        return list(node.items())
    if isinstance(node, list):
        return list(enumerate(node))
    if isinstance(node, CBORTag):
        return [("value", node.value)]
    if isinstance(node, msgspec.Struct):
        return [(name, getattr(node, name)) for name in node.__struct_fields__]
    return []


def _places(node: Any, path: Path) -> Iterator[Path]:
    yield path
    for step, child in _children(node):
        yield from _places(child, (*path, step))


def _at(node: Any, path: Path) -> Any:
    for step in path:
        node = dict(_children(node))[step]
    return node


def _replaced(node: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(node)
    step, child = path[0], dict(_children(node))[path[0]]
    new = _replaced(child, path[1:], change)
    if isinstance(node, dict):
        return {**node, step: new}
    if isinstance(node, list):
        return [*node[:step], new, *node[step + 1 :]]
    if isinstance(node, CBORTag):
        return CBORTag(node.tag, new)
    return msgspec.structs.replace(node, **{step: new})


def _vary(node: Any, other: Any, choices: Choices, pool: Pool) -> Any:
    """A neighbour of the same type, where the type has neighbours."""
    if isinstance(node, dict):
        return _vary_map(node, other, choices, pool)
    if isinstance(node, list):
        place = choices.number(len(node) + 1)
        return choices.pick(
            ([*node[:place], *node[place + 1 :]], [*node[:place], other, *node[place:]], node * 2)
        )
    if isinstance(node, bool):
        return not node
    if isinstance(node, int):
        return choices.pick((node + 1, node - 1, -node, node << 32, node >> 8, float(choices.number(9) - 4)))
    if isinstance(node, bytes | str):
        return _vary_string(node, choices)
    if isinstance(node, CBORTag) and pool.tags:
        return CBORTag(choices.pick(pool.tags), node.value)
    return choices.pick(pool.values)


def _vary_map(node: dict[Any, Any], other: Any, choices: Choices, pool: Pool) -> dict[Any, Any]:
    if not node:
        return {choices.pick(pool.keys): other}
    key, new_key = choices.pick(list(node)), choices.pick(pool.keys)
    without = {name: value for name, value in node.items() if name != key}
    return choices.pick(
        (without, {**without, new_key: node[key]}, {**node, new_key: other}, {new_key: other, **node})
    )


def _vary_string(node: Any, choices: Choices) -> Any:
    place = choices.number(len(node) + 1)
    odd = bytes([choices.number(256)])
    piece = odd if isinstance(node, bytes) else odd.decode("latin-1")
    return choices.pick(
        (node[:place] + piece + node[place + 1 :], node[:place], node + piece, node[place:] + node, node * 40)
    )


def _wrap(node: Any, _other: Any, choices: Choices, pool: Pool) -> Any:
    kind = choices.number(3)
    for _ in range(choices.pick((1, 1, 1, 1, 2, 17, 40))):
        if kind == 0:
            node = [node]
        elif kind == 1 or not pool.tags:
            node = {choices.pick(pool.keys): node}
        else:
            node = CBORTag(choices.pick(pool.tags), node)
    return node


_CHANGES: tuple[Callable[[Any, Any, Choices, Pool], Any], ...] = (
    _vary,
    _vary,
    lambda _node, _other, choices, pool: choices.pick(pool.values),
    lambda _node, other, _choices, _pool: other,
    _wrap,
)
