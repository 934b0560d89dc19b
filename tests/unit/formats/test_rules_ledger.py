"""docs/rules/sd-cwt.md is whole and true: no code without a row, no row without its code place and test."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGE, TESTS = ROOT / "src" / "safeconduct", ROOT / "tests"
LEDGER = ROOT / "docs" / "rules" / "sd-cwt.md"
SOURCES = [
    *sorted((PACKAGE / "formats").glob("*.py")),
    *sorted((PACKAGE / "formats" / "sd_cwt").glob("*.py")),
    PACKAGE / "envelope" / "cose.py",
    PACKAGE / "encoding" / "cbor.py",
]
ERRORS = {"Malformed", "Rejected", "Unsupported"}
CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+|expired")
PLACE = re.compile(r"`([\w./-]+\.py)::([\w:]+)`")


class Row(msgspec.Struct, frozen=True):
    id: str
    places: tuple[tuple[str, str], ...]
    codes: tuple[str, ...]
    tests: tuple[tuple[str, str], ...]


def _rows() -> Iterator[Row]:
    for line in LEDGER.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[0] not in ("id", "---"):
            assert len(cells) == 5, line
            yield Row(
                cells[0],
                tuple(PLACE.findall(cells[2])),
                tuple(re.findall(r"`(\w+)`", cells[3])),
                tuple(PLACE.findall(cells[4])),
            )


ROWS = list(_rows())
by_id = pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])


def _raised(path: Path) -> Iterator[str]:
    """The codes that a module raises; where the code is a variable, all that its function could put there."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                first = node.args[0]
                yield from _codes(first) if isinstance(first, ast.Constant) else _codes(function)


def _codes(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and CODE.fullmatch(inner.value):
            yield inner.value


def _defined(path: Path) -> set[str]:
    """The names that a module defines, methods as Class::method."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)}
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_code_that_can_be_raised_has_a_row(path: Path) -> None:
    listed = {code for row in ROWS for code in row.codes}
    assert set(_raised(path)) - listed == set()


def test_the_codes_are_found_where_they_are_raised() -> None:
    raised = {code for path in SOURCES for code in _raised(path)}
    assert {"cbor_malformed", "kbt_times", "expired", "kbt_audience_mismatch", "digest_duplicate"} <= raised
    assert len(raised) > 60


@by_id
def test_every_code_place_exists(row: Row) -> None:
    assert row.places
    assert [place for place in row.places if place[1] not in _defined(PACKAGE / place[0])] == []


@by_id
def test_every_test_exists(row: Row) -> None:
    assert row.tests
    assert [test for test in row.tests if test[1] not in _defined(TESTS / test[0])] == []


@by_id
def test_a_code_is_expected_by_a_test_of_its_row(row: Row) -> None:
    texts = "".join((TESTS / test[0]).read_text(encoding="utf-8") for test in row.tests)
    assert [code for code in row.codes if f'"{code}"' not in texts] == []


def test_every_rule_has_an_id_of_its_own() -> None:
    ids = [row.id for row in ROWS]
    assert len(ids) == len(set(ids)) > 70
