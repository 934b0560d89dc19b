"""`safeconduct health-card issue, inspect, qr`: what goes in, what comes out, and what the user is told."""

import json
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run

from safeconduct.crypto.keys import Key
from safeconduct.formats import health_card
from safeconduct.formats.health_card import carriers, drawing, files, images, links, qr
from safeconduct.protocols import health_cards_issue

NOW = 1_700_000_000
ISSUER = "https://issuer.example"
BUNDLE = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "fullUrl": "https://fhir.example/Patient/1",
            "resource": {"resourceType": "Patient", "id": "1", "birthDate": "1951-01-20"},
        }
    ],
}
ISSUE = (
    "health-card",
    "issue",
    "bundle.json",
    "--issuer",
    ISSUER,
    "--key",
    "card-key.pem",
    "--now",
    str(NOW),
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "card-key.pem").write_text(Key.generate("ES256").to_pem(private=True))
    (tmp_path / "bundle.json").write_text(json.dumps(BUNDLE, indent=1))
    return tmp_path


@pytest.fixture
def card(place: Path, run: Run) -> str:
    done = run(*ISSUE, "--qr-minimise", "--rid", "MKyCxh7p6uQ")
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout.strip()


def test_a_bundle_becomes_a_card(card: str) -> None:
    claims = health_card.parse(card).unverified_claims()
    assert (claims.issuer, claims.nbf, claims.rid, claims.expires) == (ISSUER, NOW, "MKyCxh7p6uQ", None)
    assert claims.bundle["entry"] == [
        {"fullUrl": "resource:0", "resource": {"resourceType": "Patient", "birthDate": "1951-01-20"}}
    ]


def test_one_command_writes_a_jws_a_file_and_a_code(place: Path, run: Run) -> None:
    written = ("--out", "card.txt", "--file", "jane.smart-health-card", "--qr", "jane.png")
    done = run(*ISSUE, "--qr-minimise", "--lifetime", "60", *written, "--level", "M", "--scale", "3")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    jws = (place / "card.txt").read_text().strip()
    assert files.read((place / "jane.smart-health-card").read_bytes()) == (jws,)
    (code,) = images.read((place / "jane.png").read_bytes())
    assert (qr.read(code.text), code.level, drawing.examine(code)) == (jws, "M", ())
    assert health_card.parse(jws).unverified_claims().expires == NOW + 60


def test_the_answer_in_json_has_the_card_or_says_where_it_is(place: Path, run: Run) -> None:
    answer = json.loads(run(*ISSUE, "--json").stdout)
    assert answer["bytes"] == len(answer["card"])
    assert [finding["code"] for finding in answer["findings"]] == ["card_fhir_url", "card_fhir_id"]
    answer = json.loads(run(*ISSUE, "--out", "card.txt", "--json").stdout)
    assert (answer["out"], "card" in answer) == ("card.txt", False)


def test_what_breaks_a_rule_is_said_and_rules_for_codes_only_where_there_is_one(
    place: Path, run: Run
) -> None:
    assert run(*ISSUE).stderr == ""
    said = run(*ISSUE, "--qr", "a.svg").stderr
    assert "warning: card_fhir_id: " in said
    assert "entry[0].resource.id" in said
    (place / "bundle.json").write_text(json.dumps({**BUNDLE, "entry": []}))
    assert "error: card_fhir_malformed: " in run(*ISSUE).stderr


def test_a_whole_payload_is_signed_as_it_is(place: Path, run: Run) -> None:
    payload = json.loads(health_card.payload(BUNDLE, issuer="https://other.example", now=1.5, rid="abc"))
    (place / "payload.json").write_text(json.dumps(payload, indent=2))
    sign = ("health-card", "issue", "payload.json", "--key", "card-key.pem")
    done = run(*sign)
    assert health_card.parse(done.stdout.strip()).unverified_claims().payload == payload
    small = health_card.parse(run(*sign, "--qr-minimise").stdout.strip()).unverified_claims()
    assert small.bundle["entry"][0]["fullUrl"] == "resource:0"
    assert (small.rid, small.nbf) == ("abc", 1.5)
    for option in (("--rid", "a"), ("--issuer", ISSUER), ("--lifetime", "5"), ("--type", "x:y")):
        assert run(*sign, *option).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("health-card", "issue", "bundle.json", "--key", "card-key.pem"), 2, "--issuer wants"),
        ((*ISSUE, "--qr", "a.gif"), 2, ".svg or .png"),
        ((*ISSUE, "--expires", "9", "--lifetime", "9"), 2, "exclude each other"),
        ((*ISSUE, "--expires", "9"), 1, "card_times"),
        ((*ISSUE, "--rid", "no spaces"), 1, "card_rid_malformed"),
        ((*ISSUE, "--rid", ""), 1, "card_rid_malformed"),
        ((*ISSUE, "--expires", "0"), 1, "card_times"),
        ((*ISSUE, "--issuer", ""), 1, "card_issuer_url"),
        (
            ("health-card", "issue", "card-key.pem", "--issuer", ISSUER, "--key", "card-key.pem"),
            1,
            "json_malformed",
        ),
        (("health-card", "issue", "none", "--issuer", ISSUER, "--key", "card-key.pem"), 2, "cannot be read"),
        (("health-card", "qr", "bundle.json"), 1, "card_file_malformed"),
        (("health-card", "qr", "card-key.pem"), 1, "jws_malformed"),
        (("health-card", "inspect", "card-key.pem", "bundle.json"), 1, "card_"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: tuple[str, ...], exit_code: int, said: str, place: Path, run: Run
) -> None:
    done = run(*arguments)
    assert done.exit_code == exit_code
    assert said in done.stderr
    assert done.stdout == ""


def test_a_card_that_is_too_long_for_a_code_leaves_no_file(place: Path, run: Run) -> None:
    import secrets

    resource = {"resourceType": "Patient", "implicitRules": secrets.token_hex(3000)}
    (place / "bundle.json").write_text(
        json.dumps({**BUNDLE, "entry": [{"fullUrl": "resource:0", "resource": resource}]})
    )
    done = run(*ISSUE, "--qr", "a.svg", "--file", "a.smart-health-card")
    assert (done.exit_code, done.stderr.partition(":")[0]) == (1, "card_qr_too_long")
    assert {path.name for path in place.iterdir()} == {"card-key.pem", "bundle.json"}


def test_a_code_is_drawn_of_a_card_in_any_form(place: Path, run: Run, card: str) -> None:
    forms = {
        "card.txt": card.encode() + b"\n",
        "digits.txt": qr.write(card).encode(),
        "card.svg": drawing.draw(card),
        "card.smart-health-card": files.write([card]),
        "link.txt": links.write("https://app.example/SMARTHealthCard/", [card]).encode(),
        "answer.json": health_cards_issue.write_response(health_cards_issue.Response(cards=(card,))),
    }
    for name, data in forms.items():
        (place / name).write_bytes(data)
        assert run("health-card", "qr", name).stdout == qr.write(card) + "\n", name
        assert run("health-card", "qr", name, "--out", "drawn.png").exit_code == 0
        (code,) = images.read((place / "drawn.png").read_bytes())
        assert code.text == qr.write(card)
    assert run("health-card", "qr", stdin=card.encode()).stdout == qr.write(card) + "\n"
    assert json.loads(run("health-card", "qr", "card.txt", "--out", "a.svg", "--json").stdout) == {
        "text": qr.write(card),
        "out": "a.svg",
    }


def test_of_several_cards_one_is_chosen(place: Path, run: Run, card: str) -> None:
    (place / "two").write_bytes(files.write([card, card[:-86] + "A" * 86]))
    assert "--number" in run("health-card", "qr", "two").stderr
    assert run("health-card", "qr", "two", "--number", "3").exit_code == 2
    assert run("health-card", "qr", "two", "--number", "1").stdout == qr.write(card) + "\n"


def test_what_is_in_a_card_is_shown(place: Path, run: Run, card: str) -> None:
    (place / "card.txt").write_text(card)
    shown = run("health-card", "inspect", "card.txt", "--now", str(NOW)).stdout
    assert shown.startswith("NOT VERIFIED")
    assert 'rid: "MKyCxh7p6uQ"' in shown
    seen = json.loads(run("health-card", "inspect", "bundle.json", "--json").stdout)
    assert (seen["kind"], seen["verified"]) == ("FHIR bundle", False)
    assert [node["name"] for node in seen["parts"][-1]["children"]] == ["card_fhir_url", "card_fhir_id"]
    (place / "answer.json").write_bytes(
        health_cards_issue.write_response(health_cards_issue.Response(cards=(card,)))
    )
    assert run("health-card", "inspect", "answer.json").stdout.startswith("NOT VERIFIED")


def test_no_more_files_are_taken_than_codes_make_a_card(place: Path, run: Run, card: str) -> None:
    (place / "card.txt").write_text(qr.write(card))
    assert run("health-card", "qr", *["card.txt"] * 64).exit_code == 0
    assert run("health-card", "qr", *["card.txt"] * 65).exit_code == 2


def test_the_forms_of_pictures_that_a_name_asks_for_are_those_that_are_drawn(card: str) -> None:
    assert {*drawing.MEDIA_TYPES} == {"svg", "png"}
    assert carriers.unwrap(drawing.draw(card)).kind == "image"
