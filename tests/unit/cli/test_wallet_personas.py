"""`safeconduct wallet persona` and `--persona`: several holders, of whom none sees what another has."""

import json
import sqlite3
from pathlib import Path

import pytest
from tests import pki
from tests.unit.cli.conftest import Run

from safeconduct import limits
from safeconduct.wallet import passphrases, personas

ISSUER = "https://issuer.example"
STORE = Path("safeconduct-data/wallet")


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrases, "COST", 2**14)


@pytest.fixture
def anchor(tmp_path: Path) -> str:
    (tmp_path / "ca.pem").write_text(pki.pem(pki.Authority.root().certificate))
    return "ca.pem"


def known(run: Run, *persona: str) -> list[str]:
    done = run("wallet", *persona, "trust", "list", "--json")
    assert done.exit_code == 0, done.output
    return [each["issuer"] for each in json.loads(done.stdout)["issuers"]]


def wrapped(place: Path) -> bytes:
    with sqlite3.connect(place / "wallet.db") as connection:
        [(found,)] = connection.execute("SELECT wrapped FROM wallet_vault").fetchall()
    return bytes(found)


def test_what_one_persona_knows_no_other_sees(tmp_path: Path, run: Run, anchor: str) -> None:
    for name in ("work", "home"):
        assert run("wallet", "persona", "add", name).exit_code == 0
    assert run("wallet", "--persona", "work", "trust", "add", ISSUER, "--anchor", anchor).exit_code == 0
    seen = [known(run, "--persona", "work"), known(run, "--persona", "home"), known(run)]
    assert seen == [[ISSUER], [], []]
    places = [tmp_path / STORE, *(tmp_path / STORE / personas.FOLDER / name for name in ("work", "home"))]
    assert len({wrapped(place) for place in places}) == 3
    assert all(len(list(place.glob("wallet-*.key"))) == 1 for place in places)
    assert all(place.stat().st_mode & 0o077 == 0 for place in places)


def test_one_personas_key_does_not_open_anothers_store(tmp_path: Path, run: Run) -> None:
    for name in ("work", "home"):
        assert run("wallet", "persona", "add", name).exit_code == 0
    work, home = (tmp_path / STORE / personas.FOLDER / name for name in ("work", "home"))
    [key], [other] = work.glob("wallet-*.key"), home.glob("wallet-*.key")
    other.write_bytes(key.read_bytes())
    done = run("wallet", "--persona", "home", "list")
    assert (done.exit_code, done.stderr.partition(":")[0]) == (1, "wallet_damaged")


def test_the_settings_may_name_the_persona_and_the_option_goes_before(
    run: Run, anchor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("wallet", "persona", "add", "work").exit_code == 0
    monkeypatch.setenv("SAFECONDUCT_WALLET__PERSONA", "work")
    assert run("wallet", "trust", "add", ISSUER, "--anchor", anchor).exit_code == 0
    assert (known(run), known(run, "--persona", "")) == ([ISSUER], [])
    monkeypatch.delenv("SAFECONDUCT_WALLET__PERSONA")
    assert (known(run), known(run, "--persona", "work")) == ([], [ISSUER])


def test_a_misspelt_persona_is_not_made(tmp_path: Path, run: Run) -> None:
    for name, code in (("wrok", "persona_unknown"), ("../x", "persona_name"), ("W", "persona_name")):
        done = run("wallet", "--persona", name, "list")
        assert (done.exit_code, done.stderr.partition(":")[0]) == (1, code)
    assert not (tmp_path / STORE).exists()


def test_personas_are_added_listed_and_removed(tmp_path: Path, run: Run) -> None:
    assert json.loads(run("wallet", "persona", "list", "--json").stdout) == {"personas": []}
    for name in ("work", "a-1"):
        assert json.loads(run("wallet", "persona", "add", name, "--json").stdout) == {"added": name}
    assert run("wallet", "persona", "list").stdout == "a-1\nwork\n"
    again = run("wallet", "persona", "add", "work")
    assert (again.exit_code, again.stderr.partition(":")[0]) == (1, "persona_exists")
    assert run("wallet", "persona", "remove", "work").exit_code == 2
    gone = run("wallet", "persona", "remove", "work", "--yes", "--json")
    assert json.loads(gone.stdout) == {"removed": "work"}
    assert not (tmp_path / STORE / personas.FOLDER / "work").exists()
    assert run("wallet", "persona", "list").stdout == "a-1\n"
    unknown = run("wallet", "persona", "remove", "work", "--yes")
    assert (unknown.exit_code, unknown.stderr.partition(":")[0]) == (1, "persona_unknown")


def test_who_cannot_open_a_persona_cannot_remove_it(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFECONDUCT_WALLET__PASSPHRASE", "correct horse battery")
    assert run("wallet", "persona", "add", "work").exit_code == 0
    monkeypatch.setenv("SAFECONDUCT_WALLET__PASSPHRASE", "another one of this length")
    wrong = run("wallet", "persona", "remove", "work", "--yes")
    assert (wrong.exit_code, wrong.stderr.partition(":")[0]) == (1, "passphrase_wrong")
    assert (tmp_path / STORE / personas.FOLDER / "work/wallet.db").exists()


def test_there_are_only_so_many_personas(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WALLET_PERSONAS", 1)
    assert run("wallet", "persona", "add", "one").exit_code == 0
    many = run("wallet", "persona", "add", "two")
    assert (many.exit_code, many.stderr.partition(":")[0]) == (1, "personas_many")
