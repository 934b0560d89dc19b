"""`safeconduct wallet contact`: cards made, exchanged, kept and forgotten, and codes for cameras."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import segno
from tests.unit.cli.conftest import Run

from safeconduct.cli import qr
from safeconduct.errors import Rejected


def shown(run: Run, *arguments: str, persona: str = "") -> dict[str, Any]:
    done = run("wallet", "--persona", persona, "contact", "show", *arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def code(done: Any) -> tuple[int, str]:
    return done.exit_code, done.stderr.partition(":")[0]


@pytest.fixture
def other(run: Run) -> dict[str, Any]:
    """The card of another persona, named Bo."""
    assert run("wallet", "persona", "add", "other").exit_code == 0
    return shown(run, "--name", "Bo", persona="other")


def test_a_card_stays_the_same_until_a_new_one_is_wanted(run: Run) -> None:
    assert code(run("wallet", "contact", "show")) == (1, "contact_name_needed")
    first = shown(run, "--name", "Anna")
    assert shown(run) == first
    assert first["card"].startswith("sct:c1.")
    new = shown(run, "--new")
    assert new["name"] == "Anna"
    assert new["jkt"] != first["jkt"]
    assert new["fingerprint"] != first["fingerprint"]
    assert shown(run) == new
    assert shown(run, "--name", "A. K.")["jkt"] not in (first["jkt"], new["jkt"])


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\u202eannA", "x" * 65])
def test_a_name_that_a_list_cannot_show_is_refused(run: Run, other: dict[str, Any], name: str) -> None:
    assert code(run("wallet", "contact", "show", "--name", name)) == (1, "contact_name_unacceptable")
    refused = run("wallet", "contact", "add", other["card"], "--name", name)
    assert code(refused) == (1, "contact_name_unacceptable")


def test_a_card_is_added_listed_and_removed(run: Run, other: dict[str, Any]) -> None:
    added = run("wallet", "contact", "add", "-", stdin=f" {other['card']} \n".encode())
    assert added.exit_code == 0
    assert added.stdout.endswith("\tBo\n")
    [contact] = json.loads(run("wallet", "contact", "list", "--json").stdout)["contacts"]
    assert (contact["jkt"], contact["fingerprint"]) == (other["jkt"], other["fingerprint"])
    again = json.loads(run("wallet", "contact", "add", other["card"], "--name", "Bodo", "--json").stdout)
    assert (again["id"], again["name"]) == (contact["id"], "Bodo")
    line = f"{contact['id']}\tBodo\t{other['fingerprint']}\n"
    assert run("wallet", "contact", "list").stdout == line
    assert code(run("wallet", "contact", "remove", "Bo")) == (1, "contact_unknown")
    gone = run("wallet", "contact", "remove", "Bodo", "--json")
    assert json.loads(gone.stdout) == {"removed": contact["id"]}
    assert run("wallet", "contact", "list").stdout == ""


def test_another_card_under_the_same_name_does_not_take_its_place(run: Run, other: dict[str, Any]) -> None:
    assert run("wallet", "contact", "add", other["card"]).exit_code == 0
    strange = shown(run, "--name", "Bo", "--new", persona="other")
    assert code(run("wallet", "contact", "add", strange["card"])) == (1, "contact_exists")
    assert run("wallet", "contact", "list").stdout.count(other["fingerprint"]) == 1


def test_a_card_that_was_changed_is_not_added(run: Run, other: dict[str, Any]) -> None:
    head, payload, signature = other["card"].split(".")[1:]
    swapped = shown(run, "--new", persona="other")["card"].split(".")[2]
    assert code(run("wallet", "contact", "add", f"sct:c1.{head}.{swapped}.{signature}")) == (
        1,
        "signature_invalid",
    )
    for garbage in ("", "sct:c1.", "sct:s1.AAAA", "https://relay.example", "sct:c1." + "A" * 5000):
        assert run("wallet", "contact", "add", garbage or " ").exit_code == 1
    assert payload
    assert run("wallet", "contact", "list").stdout == ""


def test_contacts_are_not_seen_by_other_personas_nor_in_the_file(
    run: Run, tmp_path: Path, other: dict[str, Any]
) -> None:
    assert run("wallet", "contact", "add", other["card"], "--name", "Bodo Unmistakable").exit_code == 0
    assert run("wallet", "--persona", "other", "contact", "list").stdout == ""
    database = b"".join(path.read_bytes() for path in (tmp_path / "safeconduct-data").rglob("wallet.db*"))
    for needle in ("Bodo Unmistakable", other["card"][:60], other["jkt"]):
        assert needle.encode() not in database
    with sqlite3.connect(tmp_path / "safeconduct-data/wallet/wallet.db") as connection:
        kinds = [kind for (kind,) in connection.execute("SELECT kind FROM wallet_records")]
    assert kinds == ["contact"]


def test_contacts_and_cards_are_in_a_backup(
    run: Run, tmp_path: Path, other: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from safeconduct.wallet import passphrases

    monkeypatch.setattr(passphrases, "COST", 2**14)
    mine = shown(run, "--name", "Anna")
    assert run("wallet", "contact", "add", other["card"]).exit_code == 0
    (tmp_path / "passphrase").write_text("correct horse battery\n")
    given = ("wallet.backup", "--passphrase-file", "passphrase")
    assert run("wallet", "backup", *given).exit_code == 0
    monkeypatch.setenv("SAFECONDUCT_WALLET__STORE", "elsewhere")
    assert json.loads(run("wallet", "restore", *given, "--json").stdout) == {"records": 2}
    assert shown(run) == mine
    assert run("wallet", "contact", "list").stdout.count(other["fingerprint"]) == 1


# Codes for cameras.


def test_a_code_in_the_terminal_has_the_modules_of_the_code() -> None:
    text = "https://relay.example/v1/m/5d6c0ea4-0d5b-4ad2-8c0c-6a9d8b1f6c11?v=a#AAAA.2p"
    upper, lower = {"\u2588": (0, 0), "\u2580": (0, 1), "\u2584": (1, 0), " ": (1, 1)}, []
    for line in qr.lines(text):
        pairs = [upper[character] for character in line]
        lower += [[pair[0] for pair in pairs], [pair[1] for pair in pairs]]
    wanted = [[int(module) for module in row] for row in segno.make_qr(text).matrix_iter(border=2)]
    assert lower[: len(wanted)] == wanted
    assert all(not any(row) for row in lower[len(wanted) :])


def test_a_text_that_no_code_holds_is_told(run: Run) -> None:
    with pytest.raises(Rejected) as error:
        qr.lines("x" * 3000)
    assert error.value.code == "qr_too_long"


def test_the_code_goes_to_standard_error_and_the_card_alone_to_standard_output(run: Run) -> None:
    done = run("wallet", "contact", "show", "--name", "Anna", "--qr")
    assert done.exit_code == 0
    assert done.stdout.startswith("sct:c1.")
    assert done.stdout.count("\n") == 1
    assert "\u2588" * 20 in done.stderr
    assert "Digits to compare:" in done.stderr
