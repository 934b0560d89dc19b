"""The pages of docs/reference are what their scripts write, and leave nothing out."""

import ast
import re
from pathlib import Path
from types import ModuleType

import pytest
from scripts import cli_reference, error_reference

from safeconduct.errors import SafeconductError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("script", [cli_reference, error_reference], ids=lambda script: script.PAGE.name)
def test_a_page_is_current(script: ModuleType) -> None:
    current = script.PAGE.read_text(encoding="utf-8") == script.page()
    assert current, (
        f"{script.PAGE.name} is out of date: run .venv/bin/python {script.__name__.replace('.', '/')}.py"
    )


def test_every_command_has_a_section() -> None:
    page = cli_reference.PAGE.read_text(encoding="utf-8")
    sections = {*re.findall(r"^## safeconduct ?(.*)$", page, re.MULTILINE)}
    assert sections >= {
        "",
        "demo",
        "key new",
        "sd-cwt verify",
        "serve issuer",
        "offer create",
        "wallet accept",
    }


def test_every_code_that_a_test_expects_is_on_the_page() -> None:
    page = error_reference.page()
    listed = {*re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)}
    expected: set[str] = set()
    for path in (ROOT / "tests/negative").glob("test_*.py"):
        expected |= {*re.findall(r'\) == "([a-z0-9]+_[a-z0-9_]+)"', path.read_text(encoding="utf-8"))}
    assert len(expected) > 30
    assert expected <= listed


def test_every_class_of_errors_is_on_the_page() -> None:
    page = error_reference.page()
    found = {SafeconductError}
    while more := {kind for known in found for kind in known.__subclasses__()} - found:
        found |= more
    ours = {kind.__name__ for kind in found if kind.__module__.startswith("safeconduct.")}
    assert ours <= {*re.findall(r"^\| (\w+) \| \w+ \| \d{3} \|", page, re.MULTILINE)}


def test_a_code_that_runs_over_a_loop_is_found() -> None:
    source = """
def f():
    for part, code in ((1, "audience_mismatch"), (2, "nonce_mismatch")):
        raise Rejected(code, "Reason.")
"""
    found = error_reference.raised_in(ast.parse(source), {"Rejected"})
    assert [raised.code for raised in found] == ["audience_mismatch", "nonce_mismatch"]


def test_a_code_of_a_class_of_its_own_or_of_one_that_is_chosen_is_found() -> None:
    source = """
class Limited(Rejected):
    def __init__(self):
        super().__init__("rate_limited", "Too often.")

def f(at_token):
    kind = InvalidProof if at_token else InvalidToken
    raise kind("key_binding", "Another key.")
"""
    classes = {"Rejected", "Limited", "InvalidProof", "InvalidToken"}
    found = {(raised.code, raised.kind) for raised in error_reference.raised_in(ast.parse(source), classes)}
    assert found == {
        ("rate_limited", "Limited"),
        ("key_binding", "InvalidProof"),
        ("key_binding", "InvalidToken"),
    }
