"""Rules of the house that no linter states: what any module of `src` may hold, read from its syntax tree."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "safeconduct"
CORE = (
    *("protocols", "formats", "status", "trust", "envelope", "crypto", "encoding"),
    *("errors.py", "clock.py", "ids.py", "limits.py"),
)

AMBIENT_CALLS = re.compile(
    r"open|input|print|breakpoint|exec|eval|"
    r"time\..*|os\..*|(datetime\.)?datetime\.(now|utcnow|today|fromtimestamp)|(datetime\.)?date\.today|"
    r"(pathlib\.)?Path\(.*\)\..*|urllib\.request\..*|http\.client\..*"
)
AMBIENT_IMPORTS = {"http.client", "http.server", "urllib.request", "socketserver", "importlib.resources"}
HEAVY = {"sqlalchemy", "starlette", "httpx2", "typer", "granian", "rich", "alembic", "structlog", "psycopg"}
BROAD = {"Exception", "BaseException"}
ONLY_BROAD_CATCHER = PACKAGE / "web" / "middleware.py"

MODULES = sorted(PACKAGE.rglob("*.py"))
CORE_MODULES = [path for path in MODULES if path.relative_to(PACKAGE).parts[0] in CORE]
LIMIT_FILES = [path for path in MODULES if path.name == "limits.py"]
LIMITS = [
    name
    for path in LIMIT_FILES
    for name in re.findall(r"^([A-Z][A-Z0-9_]*)\b[^=\n]*=", path.read_text("utf-8"), re.MULTILINE)
]


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def test_that_the_core_is_where_these_rules_look_for_it() -> None:
    assert {path.relative_to(PACKAGE).parts[0] for path in CORE_MODULES} == set(CORE)


@pytest.mark.parametrize("path", CORE_MODULES, ids=_name)
def test_the_core_asks_neither_clock_nor_environment_nor_disk(path: Path) -> None:
    assert list(_ambient_uses(_tree(path))) == []


def _ambient_uses(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and AMBIENT_CALLS.fullmatch(ast.unparse(node.func)):
            yield f"line {node.lineno}: {ast.unparse(node.func)}"
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ":
            yield f"line {node.lineno}: os.environ"
        if isinstance(node, ast.Import) and any(alias.name in AMBIENT_IMPORTS for alias in node.names):
            yield f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.ImportFrom) and node.module in AMBIENT_IMPORTS:
            yield f"line {node.lineno}: {ast.unparse(node)}"


def test_the_ambient_rule_sees_each_kind_of_offence() -> None:
    offences = ["time.time()", "datetime.now(UTC)", "open('x')", "os.environ['X']", "Path('x').read_text()"]
    offences += ["import urllib.request", "from http.client import HTTPConnection", "datetime.date.today()"]
    missed = [offence for offence in offences if not list(_ambient_uses(ast.parse(offence)))]
    assert missed == []
    assert list(_ambient_uses(ast.parse("opened(x); self.time(x); datetime.UTC; json.open_(x)"))) == []


@pytest.mark.parametrize("path", [path for path in MODULES if path != ONLY_BROAD_CATCHER], ids=_name)
def test_no_module_swallows_errors_it_cannot_name(path: Path) -> None:
    broad = [
        f"line {node.lineno}"
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node) and not _passes_on(node)
    ]
    assert broad == []


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(isinstance(node, ast.Name) and node.id in BROAD for node in ast.walk(handler.type))


def _passes_on(handler: ast.ExceptHandler) -> bool:
    """Cleaning up and raising the same error again hides nothing."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_no_module_holds_a_note_to_do_something_later(path: Path) -> None:
    assert re.findall(r"\b(?:TODO|FIXME|XXX|HACK)\b", path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_every_public_name_says_what_it_is(path: Path) -> None:
    tree = _tree(path)
    unsaid = [f"line {node.lineno}: {node.name}" for node in _public(tree) if not ast.get_docstring(node)]
    assert unsaid == []
    assert ast.get_docstring(tree) or not tree.body, "the module itself"


def _public(
    scope: ast.Module | ast.ClassDef,
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public functions and classes, and the public methods of public classes."""
    for node in scope.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if node.name.startswith("_") or _is_overload(node):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from _public(node)


def _is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    marks = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(marks & {"overload", "override", "setter"})


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import json, sys, safeconduct; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {module.partition(".")[0] for module in json.loads(done.stdout)}
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("limit", LIMITS)
def test_every_limit_is_enforced_and_tested(limit: str) -> None:
    sources = [path for path in MODULES if path not in LIMIT_FILES]
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    assert _some_file_names(limit, sources), "no module enforces it"
    assert _some_file_names(limit, tests), "no test names it"


def _some_file_names(name: str, paths: list[Path]) -> bool:
    return any(re.search(rf"\b{name}\b", path.read_text(encoding="utf-8")) for path in paths)


def test_pip_and_uv_install_the_same_versions() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    by_uv = {(package["name"], package["version"]) for package in lock["package"]}
    listed = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    by_pip = set(re.findall(r"^([\w.-]+)==([^\s;]+)", listed, re.MULTILINE))
    assert by_pip
    assert by_pip <= by_uv


def test_the_lock_is_of_the_dependencies_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [
        *project["dependencies"],
        *(line for group in project["optional-dependencies"].values() for line in group),
    ]
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    locked = next(package for package in lock["package"] if package["name"] == "safeconduct")["metadata"]
    assert {_name_and_bounds(line) for line in named} == {
        (entry["name"], SpecifierSet(entry["specifier"])) for entry in locked["requires-dist"]
    }, "run make lock"


def _name_and_bounds(line: str) -> tuple[str, SpecifierSet]:
    requirement = Requirement(line)
    return requirement.name, requirement.specifier


def test_the_lock_names_no_registry_but_pypi() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    sources = {json.dumps(package["source"]) for package in lock["package"]}
    assert sources == {json.dumps({"registry": "https://pypi.org/simple"}), json.dumps({"editable": "."})}
