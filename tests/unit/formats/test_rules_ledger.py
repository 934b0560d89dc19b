"""The ledgers of rules are whole and true: no code without a row, no row without its place and test.

Nor has a checklist a line without a test or a reason, nor the table of errors a row that is not played.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest
from scripts import error_reference

ROOT = Path(__file__).resolve().parents[3]
PACKAGE, TESTS = ROOT / "src" / "safeconduct", ROOT / "tests"
BELOW = {
    "sd-cwt": ("envelope/cose.py", "encoding/cbor.py"),
    "sd-jwt": ("envelope/jws.py", "encoding/json.py", "encoding/b64.py"),
}
PROTOCOLS = {
    "openid4vci": ("protocols/openid4vci", "protocols/oauth", "services/issuer"),
    "status-lists": ("status/token_list", "evidence/token_lists.py", "evidence/list_copies.py"),
    "health-cards": (
        *("formats/health_card", "status", "status/card_revocation", "status/compact"),
        *("evidence", "services/status", "protocols/health_cards_issue.py"),
    ),
    "transfer": (
        *("protocols/transfer", "services/relay"),
        *(f"protocols/openid4vci/{name}.py" for name in ("sharing", "sharing_errors", "sharing_terms")),
        *(
            f"services/issuer/{name}.py"
            for name in (
                *("share_errors", "share_life", "share_moves", "share_redemption", "share_routes"),
                *("share_store", "shared_claims", "shares", "sharing", "sharing_rules", "shown_parents"),
            )
        ),
    ),
}
LEDGERS = (*BELOW, *PROTOCOLS)
_NAMED = {name for folders in PROTOCOLS.values() for name in folders if name.endswith(".py")}
SOURCES = [
    (ledger, path)
    for ledger, below in BELOW.items()
    for path in (
        *sorted((PACKAGE / "formats").glob("*.py")),
        *sorted((PACKAGE / "formats" / ledger.replace("-", "_")).glob("*.py")),
        *(PACKAGE / name for name in below),
    )
] + [
    (ledger, path)
    for ledger, folders in PROTOCOLS.items()
    for folder in folders
    for path in sorted((PACKAGE / folder).glob("*.py")) or [PACKAGE / folder]
    # A module that a ledger names by itself is that ledger's, whoever has the folder.
    if str(path.relative_to(PACKAGE)) in folders or str(path.relative_to(PACKAGE)) not in _NAMED
]
ERRORS = {"Malformed", "Rejected", "Unsupported"}
CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+|expired")
PLACE = re.compile(r"`([\w./-]+\.py)::([\w:]+)`")
PREFIXES = {
    "oid4vci-1_0-issuer-": 21,
    "fapi2-security-profile-final-": 37,
    "oid4vci-1_0-wallet-": 5,
    "oid4vp-1final-verifier-": 12,
    "": 16,  # wallets that present: the suite's names without their prefix
}
"""How many modules of the OpenID Foundation's suite there are of each kind."""
MODULE = re.compile(rf"\b((?:{'|'.join(filter(None, PREFIXES))})[\w-]*\w)(?![\w{{(-])")


class Row(msgspec.Struct, frozen=True):
    ledger: str
    id: str
    places: tuple[tuple[str, str], ...]
    codes: tuple[str, ...]
    tests: tuple[tuple[str, str], ...]


class Answer(msgspec.Struct, frozen=True):
    """A row of a table of errors. name: `none` where none is named."""

    at: str
    name: str
    status: int
    tests: tuple[tuple[str, str], ...]
    remark: str


class Line(msgspec.Struct, frozen=True):
    """A line of a checklist. prefix: of the module's name; None for a line that is no module."""

    prefix: str | None
    name: str
    tests: tuple[tuple[str, str], ...]
    remark: str


def _tables(ledger: str) -> Iterator[tuple[str, list[list[str]], str]]:
    """The first heading of each table, its rows, and the last sentence before it."""
    text = (ROOT / "docs" / "rules" / f"{ledger}.md").read_text(encoding="utf-8")
    before = ""
    for block in text.split("\n\n"):
        lines = block.strip().splitlines()
        if lines and lines[0].startswith("| "):
            head, rule, *rows = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in lines)
            assert len(rule) == 1, block
            assert [row for row in rows if len(row) != len(head)] == []
            yield head[0], rows, before
        else:
            before = block


def _rows(ledger: str) -> Iterator[Row]:
    for kind, rows, _ in _tables(ledger):
        for cells in rows if kind == "id" else ():
            yield Row(
                ledger,
                cells[0],
                tuple(PLACE.findall(cells[2])),
                tuple(re.findall(r"`(\w+)`", cells[3])),
                tuple(PLACE.findall(cells[4])),
            )


def _answers(ledger: str) -> Iterator[Answer]:
    for kind, rows, _ in _tables(ledger):
        for at, name, status, tests, remark in rows if kind == "at" else ():
            yield Answer(at, name.strip("`"), int(status), tuple(PLACE.findall(tests)), remark)


def _lines(ledger: str) -> Iterator[Line]:
    for kind, rows, before in _tables(ledger):
        named = re.search(r"`([\w-]+-)…`", before)
        prefix = None if kind == "line" else named.group(1) if named else ""
        for name, tests, remark in rows if kind in ("module", "line") else ():
            yield Line(
                prefix,
                name.strip("`") if kind == "module" else name,
                tuple(PLACE.findall(tests)),
                remark,
            )


ROWS = [row for ledger in LEDGERS for row in _rows(ledger)]
ANSWERS = [answer for ledger in LEDGERS for answer in _answers(ledger)]
LINES = [line for ledger in LEDGERS for line in _lines(ledger)]
by_id = pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])


def _raised(ledger: str, path: Path) -> set[str]:
    """The codes that a module raises."""
    if ledger in PROTOCOLS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        return {raised.code for raised in error_reference.raised_in(tree, _error_classes())}
    return set(_raised_by_a_format(path))


@cache
def _error_classes() -> frozenset[str]:
    modules = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    return frozenset(error_reference.error_classes(modules))


def _raised_by_a_format(path: Path) -> Iterator[str]:
    """Where the code is a variable, all that its function could put there."""
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


@cache
def _defined(path: Path) -> frozenset[str]:
    """The names that a module defines, methods as Class::method."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, (*error_reference.FUNCTIONS, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}::{item.name}"
                for item in node.body
                if isinstance(item, error_reference.FUNCTIONS)
            }
    return frozenset(names)


def _missing(tests: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [test for test in tests if test[1] not in _defined(TESTS / test[0])]


@pytest.mark.parametrize(
    ("ledger", "path"), SOURCES, ids=[f"{ledger}-{path.parent.name}-{path.stem}" for ledger, path in SOURCES]
)
def test_every_code_that_can_be_raised_has_a_row(ledger: str, path: Path) -> None:
    listed = {code for row in ROWS if row.ledger == ledger for code in row.codes}
    assert _raised(ledger, path) - listed == set()


def test_the_codes_are_found_where_they_are_raised() -> None:
    raised = {code for ledger, path in SOURCES for code in _raised(ledger, path)}
    assert {"cbor_malformed", "kbt_times", "expired", "kbt_audience_mismatch", "digest_duplicate"} <= raised
    assert {"salt_duplicate", "type_metadata_conflict", "jws_malformed"} <= raised
    assert {"invalid_encryption_parameters", "dpop_key_binding", "login_wrong", "proof_aud"} <= raised
    assert len(raised) > 250


@by_id
def test_every_code_place_exists(row: Row) -> None:
    assert row.places
    assert [place for place in row.places if place[1] not in _defined(PACKAGE / place[0])] == []


@by_id
def test_every_test_exists(row: Row) -> None:
    assert row.tests
    assert _missing(row.tests) == []


@by_id
def test_a_code_is_expected_by_a_test_of_its_row(row: Row) -> None:
    texts = "".join((TESTS / test[0]).read_text(encoding="utf-8") for test in row.tests)
    assert [code for code in row.codes if f'"{code}"' not in texts] == []


def test_every_rule_has_an_id_of_its_own() -> None:
    ids = [row.id for row in ROWS]
    assert len(ids) == len(set(ids)) > 240


@pytest.mark.parametrize("answer", ANSWERS, ids=[f"{answer.at}-{answer.name}" for answer in ANSWERS])
def test_every_row_of_the_table_of_errors_is_played_over_http(answer: Answer) -> None:
    if not answer.tests:
        assert answer.remark.endswith(".")  # a sentence that says why not
        return
    assert _missing(answer.tests) == []
    assert {file.partition("/")[0] for file, _ in answer.tests} == {"flows"}
    texts = "".join((TESTS / file).read_text(encoding="utf-8") for file, _ in answer.tests)
    assert answer.name == "none" or f'"{answer.name}"' in texts


@pytest.mark.parametrize("line", LINES, ids=[f"{line.prefix or ''}{line.name}" for line in LINES])
def test_every_line_of_a_checklist_has_a_test_or_says_why_not(line: Line) -> None:
    assert _missing(line.tests) == []
    assert line.tests or line.remark.endswith(".")
    assert _missing(tuple(PLACE.findall(line.remark))) == []


def test_every_promise_attack_hole_and_sequence_of_transfers_is_answered_or_stays_open() -> None:
    answered = {row.id for row in ROWS if row.ledger == "transfer"}
    open_ = {line.name for line in _lines("transfer")}
    wanted = {
        *(f"P{number}" for number in range(1, 24)),
        *(f"A{number}" for number in range(1, 42)),
        *(f"HOLE-{number}" for number in range(1, 12)),
        *(f"S{number}" for number in range(1, 11)),
    }
    assert wanted <= answered | open_
    assert answered & open_ == set()


def test_the_tables_are_whole() -> None:
    assert Counter(line.prefix for line in LINES if line.prefix is not None) == PREFIXES
    assert len({(line.prefix, line.name) for line in LINES}) == len(LINES) > 110
    assert len({(answer.at, answer.name) for answer in ANSWERS}) == len(ANSWERS) == 26


def test_every_module_that_a_test_says_it_plays_is_on_the_checklist() -> None:
    played = {
        name
        for path in TESTS.rglob("test_*.py")
        if "node_modules" not in path.parts and path != Path(__file__)
        for name in MODULE.findall(path.read_text(encoding="utf-8"))
    }
    assert len(played) > 30
    assert played <= {f"{line.prefix}{line.name}" for line in LINES if line.prefix}
