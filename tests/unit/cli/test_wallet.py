"""`safeconduct wallet`: backups, locks, whom to believe, and what only a terminal is asked."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests import pki
from tests.unit.cli.conftest import Run

from safeconduct.cli.wallet import common
from safeconduct.wallet import passphrases

ISSUER = "https://issuer.example"
OFFER = (
    "openid-credential-offer://?credential_offer=%7B%22credential_issuer%22%3A%22https%3A%2F%2Fissuer.invalid%22%2C"
    "%22credential_configuration_ids%22%3A%5B%22identity%22%5D%2C%22grants%22%3A%7B%22urn%3Aietf%3Aparams%3Aoauth"
    "%3Agrant-type%3Apre-authorized_code%22%3A%7B%22pre-authorized_code%22%3A%22x%22%7D%7D%7D"
)


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrases, "COST", 2**14)


@pytest.fixture
def passphrase(tmp_path: Path) -> str:
    (tmp_path / "passphrase").write_text("correct horse battery\n")
    return "passphrase"


def key_files(place: Path) -> list[Path]:
    return list((place / "safeconduct-data/wallet").glob("*.key"))


def guard(place: Path) -> str:
    connection = sqlite3.connect(place / "safeconduct-data/wallet/wallet.db")
    try:
        [(name,)] = connection.execute("SELECT guard FROM wallet_vault").fetchall()
    finally:
        connection.close()
    return str(name)


def trust(run: Run, place: Path) -> None:
    (place / "ca.pem").write_text(pki.pem(pki.Authority.root().certificate))
    assert run("wallet", "trust", "add", ISSUER, "--anchor", "ca.pem").exit_code == 0


def test_a_wallet_begins_with_a_key_file_and_is_locked_otherwise_on_demand(
    tmp_path: Path, run: Run, passphrase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(run, tmp_path)
    assert (len(key_files(tmp_path)), guard(tmp_path)) == (1, "key-file")
    done = run("wallet", "rekey", "--protect", "passphrase", "--passphrase-file", passphrase)
    assert done.exit_code == 0, done.output
    assert (key_files(tmp_path), guard(tmp_path)) == ([], "passphrase")
    locked = run("wallet", "trust", "list")
    assert (locked.exit_code, locked.stderr.partition(":")[0]) == (1, "passphrase_needed")
    monkeypatch.setenv("SAFECONDUCT_WALLET__PASSPHRASE_FILE", passphrase)
    assert run("wallet", "trust", "list").stdout == f"{ISSUER}\t1 anchors\n"
    monkeypatch.setenv("SAFECONDUCT_WALLET__PASSPHRASE", "another one of this length")
    wrong = run("wallet", "trust", "list")
    assert (wrong.exit_code, wrong.stderr.partition(":")[0]) == (1, "passphrase_wrong")
    monkeypatch.setenv("SAFECONDUCT_WALLET__PASSPHRASE", "correct horse battery")
    assert run("wallet", "rekey", "--protect", "key-file").exit_code == 0
    assert (len(key_files(tmp_path)), guard(tmp_path)) == (1, "key-file")


def test_a_passphrase_in_the_settings_locks_a_new_wallet(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFECONDUCT_WALLET__PASSPHRASE", "correct horse battery")
    assert run("wallet", "list").exit_code == 0
    assert (key_files(tmp_path), guard(tmp_path)) == ([], "passphrase")


def test_a_backup_is_taken_in_elsewhere(
    tmp_path: Path, run: Run, passphrase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(run, tmp_path)
    done = run("wallet", "backup", "wallet.backup", "--passphrase-file", passphrase, "--json")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "wallet.backup").stat().st_mode & 0o077 == 0
    assert run("wallet", "backup", "wallet.backup", "--passphrase-file", passphrase).exit_code == 2
    monkeypatch.setenv("SAFECONDUCT_WALLET__STORE", "elsewhere")
    done = run("wallet", "restore", "wallet.backup", "--passphrase-file", passphrase, "--json")
    assert json.loads(done.stdout) == {"records": 1}
    assert run("wallet", "trust", "list").stdout.startswith(ISSUER)
    (tmp_path / "other").write_text("another one of this length")
    wrong = run("wallet", "restore", "wallet.backup", "--passphrase-file", "other")
    assert (wrong.exit_code, wrong.stderr.partition(":")[0]) == (1, "passphrase_wrong")
    (tmp_path / "no.backup").write_text("nothing")
    odd = run("wallet", "restore", "no.backup", "--passphrase-file", passphrase)
    assert (odd.exit_code, odd.stderr.partition(":")[0]) == (1, "backup_malformed")


def test_whom_to_believe_is_said_listed_and_taken_back(tmp_path: Path, run: Run, place: Path) -> None:
    trust(run, tmp_path)
    assert run("wallet", "trust", "add", ISSUER, "--key", str(place / "issuer-public.pem")).exit_code == 0
    listed = json.loads(run("wallet", "trust", "list", "--json").stdout)["issuers"]
    assert [(each["issuer"], each["keys"], each["anchors"]) for each in listed] == [(ISSUER, 1, 0)]
    assert run("wallet", "trust", "remove", ISSUER).exit_code == 0
    assert run("wallet", "trust", "list").stdout == f"{ISSUER}\tits own word\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("backup", "wallet.backup"),
        ("restore", "wallet.backup"),
        ("rekey", "--protect", "hope"),
        ("rekey", "--protect", "passphrase"),
        ("trust", "add", ISSUER),
        ("trust", "add", ISSUER, "--anchor", "missing.pem"),
        ("trust", "add", "http://issuer.example", "--key", "issuer-public.pem"),
        ("trust", "add", ISSUER, "--anchor", "issuer-public.pem"),
        ("present", "ab", "--audience", "https://v.example", "--nonce", "aa", "--nonce-text", "b"),
        ("accept", OFFER, "--batch", "-1"),
        ("request", ISSUER),
    ],
)
def test_wrong_use_is_told(run: Run, place: Path, arguments: tuple[str, ...]) -> None:
    assert place.is_dir()
    done = run("wallet", *arguments)
    assert done.exit_code == 2, done.output


def test_nothing_to_come_is_nothing_to_fetch(run: Run) -> None:
    assert json.loads(run("wallet", "fetch", "--json").stdout) == {"credentials": []}
    assert json.loads(run("wallet", "resume", "--json").stdout) == {"credentials": []}
    nothing = {"credentials": [], "waiting": [], "opened": []}
    assert json.loads(run("wallet", "list", "--json").stdout) == nothing
    for command in (("fetch", "ab"), ("renew", "ab"), ("delete", "ab")):
        done = run("wallet", *command)
        assert (done.exit_code, done.stderr.partition(":")[0]) == (1, "credential_unknown")


# Questions.


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "on_terminal", lambda: True)


def test_a_script_is_asked_nothing(run: Run) -> None:
    done = run("wallet", "accept", OFFER)
    assert (done.exit_code, done.stderr.partition(":")[0]) == (1, "fetch_failed")


@pytest.mark.usefixtures("terminal")
def test_a_terminal_is_asked_before_anything_is_sent(run: Run) -> None:
    done = run("wallet", "accept", OFFER, stdin=b"n\n")
    assert done.exit_code == 1
    assert "https://issuer.invalid" in done.stderr
    assert "declined:" in done.stderr
    assert run("wallet", "accept", OFFER, stdin=b"y\n").stderr.rpartition("\n")[0].endswith(_unreachable())
    agreed = run("wallet", "accept", OFFER, "--yes")
    assert agreed.stderr.startswith("fetch_failed")


def _unreachable() -> str:
    return "look at its address and certificate."


@pytest.mark.usefixtures("terminal")
def test_a_terminal_is_asked_before_an_offer_is_fetched(run: Run) -> None:
    uri = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Foffers.invalid%2F1"
    done = run("wallet", "accept", uri, stdin=b"n\n")
    assert (done.exit_code, "offers.invalid" in done.stderr) == (1, True)
    assert "declined:" in done.stderr


@pytest.mark.usefixtures("terminal")
def test_a_terminal_is_asked_for_passphrases(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["correct horse battery"] * 2)
    asked: list[str] = []

    def prompt(text: str, **_: Any) -> str:
        asked.append(text)
        return next(answers)

    monkeypatch.setattr("typer.prompt", prompt)
    assert run("wallet", "rekey", "--protect", "passphrase").exit_code == 0
    assert run("wallet", "list").exit_code == 0
    assert asked == ["New passphrase of the wallet", "Passphrase of the wallet"]
