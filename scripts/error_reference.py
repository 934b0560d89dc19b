"""Write docs/reference/errors.md: every code that the sources raise, with its class, rule and reason."""

import ast
import importlib
import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src"
PAGE = ROOT / "docs" / "reference" / "errors.md"

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
CODE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")

HEAD = """\
# Error codes

Every code that the sources raise. Made by `scripts/error_reference.py`, not by hand.

Whatever a peer sends ends in a `SafeconductError` if it is not acceptable. Match on its `code`: `reason` and
`rule` may change. None of the three holds a received value.

- **Malformed**: the bytes are not what their format says they must be.
- **Rejected**: well formed, but forged, stale, misdirected or against a rule.
- **Unsupported**: legal, but not something that is accepted here.

The other classes are kinds of these; [below](#classes) stands what the services answer to each. The verifier
and the wallet server answer with a problem document (RFC 9457) that has `code`, `detail` and `rule`, the
issuer with OAuth's `error` and `error_description`. Services may also answer `not_found`,
`method_not_allowed`, `http_error`, `client_gone`, `storage_unavailable` and `unexpected_error`. The command
line prints `code: reason`; with `--json`, wrong use has the code `wrong_use`.

"""


class Raised(NamedTuple):
    """One place in the sources where an error is made."""

    code: str
    kind: str
    reason: str
    rule: str


def page() -> str:
    """Return the page as it should be."""
    modules = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCES.rglob("*.py"))}
    classes = error_classes(modules)
    by_code: defaultdict[str, list[Raised]] = defaultdict(list)
    for tree in modules.values():
        for raised in raised_in(tree, classes.keys()):
            by_code[raised.code].append(raised)
    rows = (row(code, found) for code, found in sorted(by_code.items()))
    codes = "| code | class | rule | reason |\n|---|---|---|---|\n" + "".join(rows)
    return HEAD + codes + "\n## Classes\n\n" + class_table(classes)


def error_classes(modules: dict[Path, ast.Module]) -> dict[str, Path]:
    """Return the names of all error classes, each with the file that defines it."""
    found: dict[str, Path] = {}
    definitions = [
        (node, path)
        for path, tree in modules.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    while True:
        more = {
            node.name: path
            for node, path in definitions
            if node.name not in found
            and (
                node.name == "SafeconductError"
                or any(isinstance(base, ast.Name) and base.id in found for base in node.bases)
            )
        }
        if not more:
            return found
        found |= more


def raised_in(tree: ast.Module, classes: Collection[str]) -> Iterator[Raised]:
    """Yield the errors that a module makes with a code of its own."""
    constants: dict[str, object] = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    owners: dict[ast.AST, str] = {
        item: node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name in classes
        for item in node.body
    }
    for function in [tree, *(node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))]:
        for call in own_calls(function):
            if len(call.args) < 2:
                continue
            rule = next((item.value for item in call.keywords if item.arg == "rule"), None)
            for kind in kinds_of(call.func, function, owners.get(function)) & set(classes):
                for code in codes_of(call.args[0], function):
                    yield Raised(code, kind, text_of(call.args[1], constants), text_of(rule, constants))


def own_calls(function: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls in a function, or in a module, that stand in no function inside it."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, ast.Call):
            yield child
        if not isinstance(child, FUNCTIONS):
            yield from own_calls(child)


def kinds_of(node: ast.expr, function: ast.AST, owner: str | None) -> set[str]:
    """Return the names of the classes that a call of `node` may make.

    It may name the class, or a variable of the function that holds one of several; or be the call by which
    the class `owner` gives its errors their one code.
    """
    if isinstance(node, ast.Attribute) and node.attr == "__init__" and owner is not None:
        return {owner}
    if not isinstance(node, ast.Name):
        return set()
    held = (
        name.id
        for choice in ast.walk(function)
        if isinstance(choice, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == node.id for target in choice.targets)
        for name in ast.walk(choice.value)
        if isinstance(name, ast.Name)
    )
    return {node.id, *held}


def codes_of(node: ast.expr, function: ast.AST) -> list[str]:
    """Return the codes that an expression may be: its constants, or those that its name runs over."""
    places: list[ast.AST] = [node]
    if isinstance(node, ast.Name):
        places = [
            loop.iter
            for loop in ast.walk(function)
            if isinstance(loop, ast.For)
            and any(isinstance(name, ast.Name) and name.id == node.id for name in ast.walk(loop.target))
        ]
    constants = (
        inner.value for place in places for inner in ast.walk(place) if isinstance(inner, ast.Constant)
    )
    return [value for value in constants if isinstance(value, str) and CODE.fullmatch(value)]


def text_of(node: ast.expr | None, constants: dict[str, object]) -> str:
    """Return the text that an expression gives, with an ellipsis for what is only known later."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part, constants) for part in node.values)
    if isinstance(node, ast.Name) and node.id in constants:
        return str(constants[node.id])
    if isinstance(node, ast.BoolOp):
        return text_of(node.values[-1], constants)
    return "" if node is None else "…"


def row(code: str, found: list[Raised]) -> str:
    """Return the table row of one code."""
    kinds = ", ".join(sorted({raised.kind for raised in found}))
    rules = ", ".join(sorted({raised.rule for raised in found} - {"", "…"}))
    reasons = " / ".join(dict.fromkeys(raised.reason for raised in found if raised.reason != "…"))
    return f"| `{code}` | {kinds} | {cell(rules)} | {cell(reasons)} |\n"


def cell(text: str) -> str:
    """Return text as it may stand in a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def class_table(classes: dict[str, Path]) -> str:
    """Return the table of the classes, with what they are answered with over HTTP."""
    rows = []
    for name, path in sorted(classes.items()):
        module = ".".join(path.relative_to(SOURCES).with_suffix("").parts)
        kind = getattr(importlib.import_module(module), name)
        place = path.relative_to(SOURCES / "safeconduct").as_posix()
        answer = f"{kind.http_status} | `{kind.oauth_error}`"
        rows.append(f"| {name} | {kind.__base__.__name__} | {answer} | `{place}::{name}` |\n")
    return "| class | is a | HTTP status | OAuth `error` | place |\n|---|---|---|---|---|\n" + "".join(rows)


def main() -> int:
    """Write the page; return the exit status."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
