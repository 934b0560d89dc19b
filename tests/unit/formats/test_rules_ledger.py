"""The ledgers of the formats are whole and true: no code without a row, no row without its place and test."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGE, TESTS = ROOT / "src" / "safeconduct", ROOT / "tests"
BELOW = {
    "sd-cwt": ("envelope/cose.py", "encoding/cbor.py"),
    "sd-jwt": ("envelope/jws.py", "encoding/json.py", "encoding/b64.py"),
}
SOURCES = [
    (ledger, path)
    for ledger, below in BELOW.items()
    for path in (
        *sorted((PACKAGE / "formats").glob("*.py")),
        *sorted((PACKAGE / "formats" / ledger.replace("-", "_")).glob("*.py")),
        *(PACKAGE / name for name in below),
    )
]
ERRORS = {"Malformed", "Rejected", "Unsupported"}
CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+|expired")
PLACE = re.compile(r"`([\w./-]+\.py)::([\w:]+)`")


class Row(msgspec.Struct, frozen=True):
    ledger: str
    id: str
    places: tuple[tuple[str, str], ...]
    codes: tuple[str, ...]
    tests: tuple[tuple[str, str], ...]


def _rows(ledger: str) -> Iterator[Row]:
    text = (ROOT / "docs" / "rules" / f"{ledger}.md").read_text(encoding="utf-8")
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[0] not in ("id", "---"):
            assert len(cells) == 5, line
            yield Row(
                ledger,
                cells[0],
                tuple(PLACE.findall(cells[2])),
                tuple(re.findall(r"`(\w+)`", cells[3])),
                tuple(PLACE.findall(cells[4])),
            )


ROWS = [row for ledger in BELOW for row in _rows(ledger)]
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


@pytest.mark.parametrize(
    ("ledger", "path"), SOURCES, ids=[f"{ledger}-{path.stem}" for ledger, path in SOURCES]
)
def test_every_code_that_can_be_raised_has_a_row(ledger: str, path: Path) -> None:
    listed = {code for row in ROWS if row.ledger == ledger for code in row.codes}
    assert set(_raised(path)) - listed == set()


def test_the_codes_are_found_where_they_are_raised() -> None:
    raised = {code for _, path in SOURCES for code in _raised(path)}
    assert {"cbor_malformed", "kbt_times", "expired", "kbt_audience_mismatch", "digest_duplicate"} <= raised
    assert {"salt_duplicate", "type_metadata_conflict", "jws_malformed"} <= raised
    assert len(raised) > 100


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
    assert len(ids) == len(set(ids)) > 120
