"""`safeconduct wallet share` and what belongs to it, at an issuer and a relay that answer on this machine."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from tests.flows.sharing_stage import CLAIMS, sharing_settings
from tests.services.live import ADMIN_TOKEN, live_issuer, live_relay
from tests.unit.cli.conftest import Run
from typer.testing import Result

from safeconduct.cli import periods
from safeconduct.cli.faults import WrongUse
from safeconduct.cli.wallet import common, receiving
from safeconduct.wallet.sharing.receiving import ShareQuestion


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An issuer of cars and a relay; their URLs."""
    folder = tmp_path_factory.mktemp("house")
    ports = {"issuer": free_port(), "relay": free_port()}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    with ExitStack() as stack:
        settings = sharing_settings(folder)
        issuer = live_issuer(folder, identifier=urls["issuer"], port=ports["issuer"], **settings)
        urls["admin"] = stack.enter_context(issuer).admin
        stack.enter_context(live_relay(folder, identifier=urls["relay"], port=ports["relay"]))
        yield urls


@pytest.fixture
def car(house: dict[str, str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A car of the persona without a name; "rae" has a wallet too. The relay is set."""
    monkeypatch.setenv("SAFECONDUCT_WALLET__RELAY", house["relay"])
    monkeypatch.setenv("SAFECONDUCT_ISSUER__ADMIN_TOKEN", ADMIN_TOKEN)
    monkeypatch.setenv("SAFECONDUCT_WALLET__FETCH_TIMEOUT", "60")  # however slow the machine
    (tmp_path / "claims.json").write_text(json.dumps(dict(CLAIMS)))
    offer = ("offer", "create", "--issuer", house["admin"], "--configuration", "car_jwt")
    uri = run(*offer, "--claims", "claims.json").stdout.strip()
    assert run("wallet", "persona", "add", "rae").exit_code == 0
    accepted = run("wallet", "accept", uri, "--json")
    assert accepted.exit_code == 0, accepted.output
    return str(json.loads(accepted.stdout)["id"])


def ok(done: Result) -> Any:
    """What a command with --json has answered."""
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def code(done: Result) -> tuple[int, str]:
    return done.exit_code, done.stderr.partition(":")[0]


RAE = ("wallet", "--persona", "rae")


def test_a29_the_link_is_printed_and_the_pin_apart_from_it(run: Run, car: str) -> None:
    done = run("wallet", "share", car[:4], "--rights", "open", "--expires", "7d", "--lifetime", "2h")
    assert done.exit_code == 0, done.output
    link = done.stdout.strip()
    assert done.stdout == f"{link}\n"
    assert link.endswith(".2p")
    [pin] = [line.removeprefix("PIN: ") for line in done.stderr.splitlines() if line.startswith("PIN: ")]
    assert pin not in done.stdout
    assert link not in done.stderr
    assert "never both by one way" in done.stderr
    assert "safeconduct wallet revoke " in done.stderr
    received = run(*RAE, "receive", "-", "--tx-code", pin, stdin=link.encode())
    assert received.exit_code == 0, received.output
    held = received.stdout.split("\t")[0]
    assert ok(run(*RAE, "show", held))["claims"]["access_rights"] == ["open"]
    [standing] = [line.split("\t") for line in run("wallet", "shares").stdout.splitlines()]
    assert standing[1:6] == [car, "pin", "share", "issued", "gone"]
    revoked = run("wallet", "revoke", standing[0])
    assert (revoked.exit_code, revoked.stdout) == (0, "revoked\tgone\n")


def test_a_share_as_json_has_link_and_pin_as_members_of_their_own(run: Run, car: str) -> None:
    shared = ok(run("wallet", "share", car, "--json"))
    assert shared["level"] == "pin"
    assert shared["tx_code"] not in shared["link"]
    again = ok(run("wallet", "link", shared["id"], "--json"))
    assert again["link"] == shared["link"]
    [standing] = ok(run("wallet", "shares", "--json"))["shares"]
    assert (standing["id"], standing["relay_state"]) == (shared["id"], "unclaimed")
    wrong = str((int(shared["tx_code"]) + 1) % 10**6).zfill(6)
    refused = run(*RAE, "receive", shared["link"], "--tx-code", wrong, "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["code"]) == (1, "pin_refused")
    needed = run(*RAE, "receive", shared["link"])
    assert code(needed) == (1, "tx_code_needed")
    assert ok(run("wallet", "revoke", shared["id"], "--json")) == {"issuer": "cancelled", "relay": "deleted"}
    assert code(run("wallet", "revoke", "0000")) == (1, "transfer_unknown")


def test_the_link_is_shown_as_a_code_for_cameras(run: Run, car: str) -> None:
    done = run("wallet", "share", car, "--level", "link", "--qr")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("\n") == 1
    assert "\u2588" * 20 in done.stderr
    assert "Whoever opens the link first" in done.stderr


def test_s3_digits_are_compared_in_two_terminals(run: Run, car: str) -> None:
    shared = ok(run("wallet", "share", car, "--level", "approve", "--json"))
    assert shared["tx_code"] is None
    waiting = run("wallet", "approve", shared["id"])
    assert waiting.stdout == f"{shared['id']}\twaiting\t\n"
    opened = ok(run(*RAE, "receive", shared["link"], "--json"))
    assert (opened["state"], opened["digits"]) == ("awaited", None)
    assert f"opened, not received: {opened['id']}" in run(*RAE, "list").stderr
    comparing = ok(run("wallet", "approve", shared["id"], "--json"))
    assert comparing["state"] == "compare"
    shown = run(*RAE, "receive", opened["id"])
    assert shown.stdout == f"{opened['id']}\tawaited\t{comparing['digits']}\n"
    assert f"Digits: {common.digits_text(comparing['digits'])}" in shown.stderr
    assert run("wallet", "approve", shared["id"], "--digits", "12345").exit_code == 2
    said = run("wallet", "approve", shared["id"], "--digits", common.digits_text(comparing["digits"]))
    assert said.stdout.split("\t")[:2] == [shared["id"], "released"]
    assert ok(run(*RAE, "receive", opened["id"], "--json"))["state"] == "held"


def test_s3_other_digits_take_the_share_back(run: Run, car: str) -> None:
    shared = ok(run("wallet", "share", car, "--level", "approve", "--json"))
    ok(run(*RAE, "receive", shared["link"], "--json"))
    digits = ok(run("wallet", "approve", shared["id"], "--json"))["digits"]
    other = str((int(digits) + 1) % 10**6).zfill(6)
    assert code(run("wallet", "approve", shared["id"], "--digits", other)) == (1, "digits_differ")
    assert code(run(*RAE, "receive", shared["link"])) == (1, "share_withdrawn")
    [standing] = ok(run("wallet", "shares", "--json"))["shares"]
    assert (standing["issuer_state"], standing["relay_state"]) == ("cancelled", "gone")


def test_s4_and_s9_a_share_for_a_contact_goes_by_link_and_by_file(run: Run, car: str, tmp_path: Path) -> None:
    card = run(*RAE, "contact", "show", "--name", "Rae").stdout
    assert run("wallet", "contact", "add", "-", stdin=card.encode()).exit_code == 0
    shared = run("wallet", "share", car, "--to", "Rae", "--file", "share.sct")
    assert (shared.exit_code, shared.stdout) == (0, "")
    assert (tmp_path / "share.sct").read_text().startswith("sct:s1.")
    assert run(*RAE, "receive", "share.sct").exit_code == 0
    printed = run("wallet", "share", car, "--to", "Rae", "--file", "-", "--qr")
    assert printed.stdout.startswith("sct:s1.")
    assert code(run("wallet", "receive", printed.stdout.strip())) == (1, "sealed_for_another")
    linked = run("wallet", "share", car, "--to", "Rae")
    assert linked.stdout.strip().endswith(".2k")
    assert "Only the contact can open it" in linked.stderr
    assert run(*RAE, "receive", linked.stdout.strip()).exit_code == 0
    lines = run("wallet", "shares").stdout.splitlines()
    assert [line.split("\t")[-1] for line in lines] == ["Rae", "Rae", "Rae"]


def test_s6_a_share_is_declined_or_given_back(run: Run, car: str) -> None:
    link = run("wallet", "share", car, "--level", "approve").stdout.strip()
    opened = ok(run(*RAE, "receive", link, "--json"))
    given_back = run(*RAE, "decline", opened["id"], "--give-back")
    assert (given_back.exit_code, given_back.stdout) == (0, "given_back\n")
    assert ok(run(*RAE, "decline", link, "--json")) == {"outcome": "refused"}
    assert code(run(*RAE, "receive", link)) == (1, "mailbox_gone")


def test_s7_a_moved_credential_ends_at_its_sender(run: Run, car: str) -> None:
    link = run("wallet", "share", car, "--mode", "move", "--level", "link").stdout.strip()
    assert run(*RAE, "receive", link).exit_code == 0
    listed = run("wallet", "shares")
    assert listed.stdout.split("\t")[3:5] == ["move", "moved"]
    assert run("wallet", "list").stdout == ""


def test_a37_a_relay_that_nobody_named_is_not_spoken_to_unless_that_is_said(
    run: Run, car: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = run("wallet", "share", car, "--level", "link").stdout.strip()
    monkeypatch.delenv("SAFECONDUCT_WALLET__RELAY")
    assert code(run(*RAE, "receive", link)) == (1, "relay_unlisted")
    assert code(run("wallet", "share", car)) == (1, "relay_missing")
    assert run(*RAE, "receive", link, "--relay-ok").exit_code == 0


def test_s8_a_delegation_is_signed_by_its_sender(run: Run, car: str) -> None:
    delegated = run("wallet", "delegate", car, "--disclose", "vehicle", "--no-pin", "--expires", "2d")
    assert delegated.exit_code == 0, delegated.output
    link = delegated.stdout.strip()
    assert link.endswith(".2s")
    opened = ok(run(*RAE, "receive", link, "--json"))
    assert opened["state"] == "awaited"
    [standing] = ok(run("wallet", "shares", "--json"))["shares"]
    asked = ok(run("wallet", "approve", standing["id"], "--json"))
    assert asked["state"] == "unconfirmed"
    signed = run("wallet", "approve", standing["id"], "--yes")
    assert signed.stdout == f"{standing['id']}\tsigned\n"
    held = ok(run(*RAE, "receive", opened["id"], "--json"))
    assert ok(run(*RAE, "show", held["id"]))["claims"]["vehicle"] == "A 1"


# What a person is asked.


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Somebody at a terminal who agrees to everything; what they were asked, and how it was asked."""
    asked: list[tuple[str, str]] = []

    def confirm(text: str, **_: Any) -> bool:
        asked.append(("confirm", text))
        return True

    monkeypatch.setattr(common, "on_terminal", lambda: True)
    monkeypatch.setattr(typer, "confirm", confirm)
    return asked


def test_a30_a_person_sees_issuer_and_content_before_the_pin_is_asked_for(
    run: Run, car: str, person: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, house: dict[str, str]
) -> None:
    shared = ok(run("wallet", "share", car, "--json", "--yes"))

    def prompt(text: str, **options: Any) -> str:
        assert options["hide_input"]
        person.append(("prompt", text))
        return f"{shared['tx_code'][:3]} {shared['tx_code'][3:]}"

    monkeypatch.setattr(typer, "prompt", prompt)
    received = run(*RAE, "receive", shared["link"])
    assert received.exit_code == 0, received.output
    assert [kind for kind, _ in person] == ["confirm", "confirm", "prompt"]
    assert person[-1][1] == f"PIN for {house['issuer']}, from the sender"
    said = received.stderr
    assert f"Issuer:       {house['issuer']}   (new to this wallet)" in said
    assert "Credential:   car_jwt" in said


def test_a32_a_person_is_asked_before_anything_is_shared(
    run: Run, car: str, person: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("wallet", "share", car, "--level", "link", "--mode", "move", "--rights", "open")
    assert done.exit_code == 0, done.output
    assert person == [("confirm", "Share it?")]
    assert "whoever gets the link; level link" in done.stderr
    assert "Your own credential ends" in done.stderr
    monkeypatch.setattr(typer, "confirm", lambda *_args, **_options: False)
    assert code(run("wallet", "share", car))[0] == 1
    assert len(ok(run("wallet", "shares", "--json"))["shares"]) == 1


def test_s3_a_person_compares_the_digits_on_both_sides(
    run: Run, car: str, person: list[tuple[str, str]]
) -> None:
    done = run("wallet", "share", car, "--level", "approve", "--wait", "0")
    link = done.stdout.strip()
    opened = run(*RAE, "receive", link, "--wait", "0")
    assert opened.exit_code == 0, opened.output
    [standing] = ok(run("wallet", "shares", "--json"))["shares"]
    released = run("wallet", "approve", standing["id"], "--wait", "0")
    assert released.exit_code == 0, released.output
    assert person[-1] == ("confirm", "Does the receiver read out the same digits?")
    [shown] = [line for line in released.stderr.splitlines() if line.startswith("Digits: ")]
    assert len(shown.split()) == 3


# Wrong use, and times as people write them.


@pytest.mark.parametrize(
    "arguments",
    [
        ("share", "ab", "--level", "hope"),
        ("share", "ab", "--mode", "sell"),
        ("share", "ab", "--level", "key"),
        ("share", "ab", "--level", "pin", "--to", "Rae"),
        ("share", "ab", "--file", "x.sct"),
        ("share", "ab", "--to", "Rae", "--file", "x.sct", "--relay", "https://relay.example"),
        ("share", "ab", "--expires", "yesterday"),
        ("share", "ab", "--lifetime", "7"),
        ("approve", "ab", "--digits", "abcdef"),
        ("delegate", "ab", "--right", "open"),
        ("receive",),
    ],
)
def test_wrong_use_is_told(run: Run, arguments: tuple[str, ...]) -> None:
    done = run("wallet", *arguments)
    assert done.exit_code == 2, done.output


def test_what_does_not_exist_has_a_code(run: Run) -> None:
    for arguments, expected in (
        (("share", "ab"), "relay_missing"),
        (("share", "ab", "--to", "Rae"), "contact_unknown"),
        (("receive", "abcd"), "transfer_unknown"),
        (("receive", "https://relay.example/"), "link_malformed"),
        (("approve", "abcd"), "transfer_unknown"),
        (("link", "abcd"), "transfer_unknown"),
        (("decline", "abcd"), "transfer_unknown"),
    ):
        assert code(run("wallet", *arguments)) == (1, expected), arguments
    assert ok(run("wallet", "shares", "--json")) == {"shares": []}


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("45m", 2700), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600)]
)
def test_lengths_of_time(text: str, seconds: int) -> None:
    assert periods.seconds("--lifetime", text) == seconds
    assert periods.moment("--expires", text, now=1000) == 1000 + seconds


def test_days_begin_in_utc() -> None:
    assert periods.moment("--expires", "2026-12-01", now=0) == 1_796_083_200
    assert periods.moment("--expires", "2026-12-01T00:00:00+01:00", now=0) == 1_796_079_600
    for wrong in ("2026-12-01T00:00:00", "2026-13-01", "0d", "1", "", "-1d", "999999999999d", "1970-01-01"):
        with pytest.raises(WrongUse):
            periods.moment("--expires", wrong, now=5)


def test_the_drafts_are_not_written_at_levels_that_they_do_not_know(run: Run, car: str) -> None:
    refused = run("wallet", "share", car, "--draft", "--level", "approve")
    assert code(refused) == (1, "share_level_not_allowed")
    card = run(*RAE, "contact", "show", "--name", "Rae").stdout
    assert run("wallet", "contact", "add", "-", stdin=card.encode()).exit_code == 0
    assert code(run("wallet", "share", car, "--draft", "--to", "Rae")) == (1, "share_level_not_allowed")
    assert ok(run("wallet", "shares", "--json"))["shares"] == []


def test_json_never_waits_with_the_link_in_its_hand(run: Run, car: str) -> None:
    shared = ok(run("wallet", "share", car, "--level", "approve", "--wait", "600", "--json"))
    assert shared["link"].endswith(".2a")


def test_what_is_neither_a_link_nor_a_file_nor_an_id_is_wrong_use(run: Run, car: str) -> None:
    for given in ("garbage", "missing.sct", "./missing.sct", "relay.example/v1/m/x"):
        done = run("wallet", "receive", given)
        assert done.exit_code == 2, given
        assert "a file that is there" in done.stderr
    assert code(run("wallet", "receive", "5e0c")) == (1, "transfer_unknown")


def test_hints_name_the_persona_and_what_to_do(run: Run, car: str) -> None:
    shared = ok(run("wallet", "share", car, "--json"))
    needed = run(*RAE, "receive", shared["link"])
    assert code(needed) == (1, "tx_code_needed")
    assert "--tx-code" in needed.stderr
    listed = run(*RAE, "list")
    assert "`safeconduct wallet --persona rae receive " in listed.stderr
    [opened] = ok(run(*RAE, "list", "--json"))["opened"]
    assert opened["stage"] == "offered"
    unwanted = run("wallet", "approve", shared["id"])
    assert code(unwanted) == (1, "approval_unwanted")
    assert "wallet contact list" in run("wallet", "share", car, "--to", "Nobody").stderr


def test_s9_a_share_in_a_file_can_be_declined(run: Run, car: str) -> None:
    card = run(*RAE, "contact", "show", "--name", "Rae").stdout
    assert run("wallet", "contact", "add", "-", stdin=card.encode()).exit_code == 0
    assert run("wallet", "share", car, "--to", "Rae", "--file", "share.sct").exit_code == 0
    assert ok(run(*RAE, "decline", "share.sct", "--json")) == {"outcome": "forgotten"}
    assert code(run("wallet", "decline", "share.sct")) == (1, "sealed_for_another")


def test_a_share_that_finds_no_relay_says_how_it_goes_on(run: Run, car: str) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    failed = run("wallet", "share", car, "--relay", down)
    assert failed.exit_code == 1
    assert "relay_unavailable: " in failed.stderr
    [standing] = ok(run("wallet", "shares", "--json"))["shares"]
    assert f"`wallet link {standing['id']}` goes on" in failed.stderr


def test_a30_no_word_of_a_stranger_begins_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    forged = "car\nIssuer:       https://bank.example"
    question = ShareQuestion(
        step="redeem",
        host="evil.example",
        issuer="https://evil.example",
        configurations=(forged,),
        description=forged,
    )
    receiving._describe(question)
    receiving._describe(msgspec.structs.replace(question, step="claim", title=forged))
    receiving._showing(lambda: None, quiet=False)("123456", forged)
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("Issuer:")] == [
        "Issuer:       https://evil.example   (new to this wallet)"
    ]
