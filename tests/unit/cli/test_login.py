"""`safeconduct login`: links and passwords; links over a real issuer are in test_services."""

import json
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run

from safeconduct.services.issuer.accounts import password_fits


def test_a_password_is_hashed_from_the_first_line_of_a_file(tmp_path: Path, run: Run) -> None:
    (tmp_path / "secret").write_text("correct horse battery\r\nanother\n")
    done = run("login", "password", "--file", "secret")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    assert password_fits("correct horse battery", done.stdout.strip())
    as_json = json.loads(run("login", "password", "--file", "secret", "--json").stdout)
    assert password_fits("correct horse battery", as_json["password"])


@pytest.mark.parametrize("arguments", [(), ("--file", "missing"), ("--file", "empty")])
def test_without_a_password_there_is_nothing_to_hash(
    tmp_path: Path, run: Run, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "empty").write_text("\nbelow\n")
    done = run("login", "password", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")


def test_a_link_needs_the_management_token(run: Run) -> None:
    done = run("login", "link", "urn:example:person:1")
    assert done.exit_code == 2
    assert "ADMIN_TOKEN" in done.stderr
