"""`safeconduct health-card verify`: its contract, and every kind of evidence that it takes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.negative.health_card_builder import BUNDLE, ISSUER, KEY, KID, NOW, card, claims, vc
from tests.pki import Authority
from tests.unit.cli.conftest import Run

from safeconduct import health_card
from safeconduct.crypto import x509
from safeconduct.crypto.keys import Key
from safeconduct.formats.health_card import drawing, files, qr
from safeconduct.status.card_keys import CardKey, KeySet
from safeconduct.status.card_revocation.crl import RevocationList

VERIFY = ("health-card", "verify")
AT = ("--at", str(NOW))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    keys = KeySet((CardKey.of(KEY.public, crl_version=2),))
    (tmp_path / "jwks.json").write_bytes(keys.encode())
    (tmp_path / "plain.json").write_bytes(KeySet((CardKey.of(KEY.public),)).encode())
    (tmp_path / "crl.json").write_bytes(RevocationList(kid=KID, ctr=2, entries={"gone": None}).encode())
    (tmp_path / "old.json").write_bytes(RevocationList(kid=KID, ctr=1, entries={}).encode())
    (tmp_path / "everyone.json").write_bytes(b'{"*":' + keys.encode() + b"}")
    (tmp_path / "good.txt").write_text(card(vc(rid="good")) + "\n")
    (tmp_path / "gone.txt").write_text(card(vc(rid="gone")))
    (tmp_path / "late.txt").write_text(card(claims(exp=NOW - 1)))
    (tmp_path / "early.txt").write_text(card(claims(nbf=NOW + 1)))
    (tmp_path / "forged.txt").write_text(card(sign=Key.generate("ES256").sign))
    return tmp_path


def told(run: Run, *arguments: str, **options: Any) -> tuple[int, dict[str, Any]]:
    done = run(*VERIFY, *arguments, *AT, "--json", **options)
    assert done.exit_code in (0, 1), done.output
    document = json.loads(done.stdout)
    assert set(document["status"]) == {"state", "reason"}
    assert ("card" in document) == (document["verdict"] == "valid") != ("code" in document)
    assert isinstance(document["findings"], list)
    return done.exit_code, document


def verdict(run: Run, *arguments: str) -> tuple[int, str, str, str | None]:
    code, document = told(run, *arguments)
    return code, document["verdict"], document["status"]["state"], document["status"]["reason"]


KEYS_AND_LIST = ("--jwks", "jwks.json", "--crl", "crl.json")


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("good.txt", (0, "valid", "good", None)),
        ("gone.txt", (1, "revoked", "revoked", None)),
        ("late.txt", (1, "expired", "good", None)),
        ("early.txt", (1, "not-yet-valid", "good", None)),
        ("forged.txt", (1, "invalid", "unknown", None)),
        ("jwks.json", (1, "invalid", "unknown", None)),
    ],
)
@pytest.mark.usefixtures("place")
def test_each_verdict_has_its_exit_status(file: str, expected: tuple[Any, ...], run: Run) -> None:
    assert verdict(run, file, *KEYS_AND_LIST) == expected


@pytest.mark.usefixtures("place")
def test_an_unknown_status_is_refused_unless_told_otherwise(run: Run) -> None:
    for evidence, reason in (
        (("--jwks", "jwks.json"), "missing"),
        (("--jwks", "jwks.json", "--crl", "old.json"), "stale"),
    ):
        assert verdict(run, "good.txt", *evidence) == (1, "unknown", "unknown", reason)
        opened = verdict(run, "good.txt", *evidence, "--status-policy", "fail-open")
        assert opened == (0, "valid", "unknown", reason)
    assert verdict(run, "good.txt", "--jwks", "plain.json") == (0, "valid", "unknown", "no-crl")
    demanded = verdict(run, "good.txt", "--jwks", "plain.json", "--require-list")
    assert demanded == (1, "unknown", "unknown", "no-crl")


def test_a_list_that_is_too_old_counts_as_stale(place: Path, run: Run) -> None:
    os.utime(place / "crl.json", (NOW - 100, NOW - 100))
    assert verdict(run, "good.txt", *KEYS_AND_LIST, "--max-age", "100")[1] == "valid"
    late = verdict(run, "good.txt", *KEYS_AND_LIST, "--max-age", "99")
    assert late == (1, "unknown", "unknown", "stale")


@pytest.mark.usefixtures("place")
def test_a_valid_card_is_printed_and_another_gives_code_and_reason(run: Run) -> None:
    done = run(*VERIFY, "good.txt", *KEYS_AND_LIST, *AT)
    assert done.exit_code == 0
    assert json.loads(done.stdout) == vc(rid="good")
    done = run(*VERIFY, "gone.txt", *KEYS_AND_LIST, *AT)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == "card_revoked: The issuer has revoked the card."


def test_a_card_is_taken_in_every_form(place: Path, run: Run) -> None:
    jws = card(vc(rid="good"))
    (place / "card.smart-health-card").write_bytes(files.write([jws]))
    (place / "digits.txt").write_text(qr.write(jws))
    (place / "qr.png").write_bytes(drawing.draw(jws, form="png"))
    for name in ("card.smart-health-card", "digits.txt", "qr.png"):
        assert verdict(run, name, *KEYS_AND_LIST) == (0, "valid", "good", None)
    assert told(run, *KEYS_AND_LIST, stdin=jws.encode())[0] == 0
    assert told(run, "-", *KEYS_AND_LIST, stdin=jws.encode())[0] == 0


def test_of_several_cards_the_worst_decides(place: Path, run: Run) -> None:
    texts = [(place / f"{name}.txt").read_text().strip() for name in ("good", "late", "gone")]
    (place / "three.smart-health-card").write_bytes(files.write(texts))
    code, document = told(run, "three.smart-health-card", *KEYS_AND_LIST)
    assert (code, document["verdict"]) == (1, "revoked")
    assert [one["verdict"] for one in document["cards"]] == ["valid", "expired", "revoked"]


@pytest.mark.usefixtures("place")
def test_what_is_no_card_is_an_invalid_one(run: Run) -> None:
    for garbage in (
        b"",
        b"garbage",
        b"\xff\xfe",
        b"{}",
        b"shc:/12",
        b"\x89PNG\r\n\x1a\nx",
        b'{"verifiableCredential":[]}',
    ):
        code, document = told(run, *KEYS_AND_LIST, stdin=garbage)
        assert (code, document["verdict"]) == (1, "invalid")


def test_findings_stand_beside_the_verdict(place: Path, run: Run) -> None:
    payload = claims()
    payload["vc"]["credentialSubject"]["fhirBundle"] = {**BUNDLE, "id": "x"}
    (place / "odd.txt").write_text(card(payload))
    code, document = told(run, "odd.txt", "--jwks", "plain.json")
    assert (code, document["verdict"]) == (0, "valid")
    assert {"code", "severity", "text", "path"} == set(document["findings"][0])
    assert document["findings"] != told(run, "good.txt", "--jwks", "plain.json")[1]["findings"]


def test_findings_are_said_where_they_are_asked_for_equal_ones_once(place: Path, run: Run) -> None:
    payload = claims()
    named = [{**entry, "resource": {**entry["resource"], "id": "x"}} for entry in BUNDLE["entry"] * 3]
    payload["vc"]["credentialSubject"]["fhirBundle"] = {**BUNDLE, "type": "", "entry": named}
    (place / "odd.txt").write_text(card(payload) + " ")
    quiet = run(*VERIFY, "odd.txt", "--jwks", "plain.json", *AT)
    assert (quiet.exit_code, quiet.stderr) == (0, "status unknown: no-crl\n")

    said = run(*VERIFY, "odd.txt", "--jwks", "plain.json", *AT, "--findings")

    bundle = "vc.credentialSubject.fhirBundle"
    assert (said.exit_code, said.stdout) == (0, quiet.stdout)
    assert said.stderr.splitlines()[1:] == [
        "error: card_trailing_space: White space stands around the card.",
        "warning: card_fhir_id: In a QR code no resource has an id. "
        f"({bundle}.entry[0].resource.id, 3 times in all)",
        f"error: card_fhir_url_duplicate: Another entry has the same URL. ({bundle}.entry[1].fullUrl, "
        "2 times in all)",
        f"error: card_fhir_empty: FHIR has no empty elements. ({bundle}.type)",
    ]
    listed = told(run, "odd.txt", "--jwks", "plain.json")[1]["findings"]
    assert [one["code"] for one in listed].count("card_fhir_id") == 3


def test_a_directory_tells_whose_keys_are_whose(place: Path, run: Run) -> None:
    jwks = json.loads((place / "jwks.json").read_bytes())
    crl = json.loads((place / "crl.json").read_bytes())
    time = "2023-11-14T22:00:00Z"
    entry = {
        "issuer": {"iss": ISSUER, "name": "One"},
        "keys": jwks["keys"],
        "crls": [crl],
        "lastRetrieved": time,
    }
    snapshot = {"directory": "https://d.example", "time": time, "issuerInfo": [entry]}
    (place / "snapshot.json").write_text(json.dumps(snapshot))
    assert verdict(run, "good.txt", "--directory", "snapshot.json") == (0, "valid", "good", None)
    assert verdict(run, "gone.txt", "--directory", "snapshot.json") == (1, "revoked", "revoked", None)
    for name, issuer in (("own.json", ISSUER), ("other.json", ISSUER + "2")):
        (place / name).write_text(json.dumps({issuer: jwks}))
    assert verdict(run, "good.txt", "--directory", "own.json", "--crl", "crl.json")[1] == "valid"
    assert told(run, "good.txt", "--directory", "other.json")[1]["code"] == "card_issuer_untrusted"


def test_a_key_may_be_demanded_to_be_certified_for_the_issuer(place: Path, run: Run) -> None:
    root, stranger = Authority.root(), Authority.root("Stranger")
    for name, authority in (("root.pem", root), ("stranger.pem", stranger)):
        (place / name).write_text(authority.certificate.handle.public_bytes(Encoding.PEM).decode())
    chain = tuple(x509.to_x5c(root.chain(KEY, uris=[ISSUER])))
    (place / "x5c.json").write_bytes(KeySet((CardKey.of(KEY.public, chains=[chain]),)).encode())
    assert verdict(run, "good.txt", "--jwks", "x5c.json", "--anchor", "root.pem")[1] == "valid"
    refused = told(run, "good.txt", "--jwks", "x5c.json", "--anchor", "stranger.pem")[1]
    assert (refused["verdict"], refused["code"]) == ("invalid", "card_key_unknown")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "status sync"),
        (("--jwks", "nothing.json"), "cannot be read"),
        (("--jwks", "good.txt"), "no JWKS"),
        (("--jwks", "jwks.json", "--crl", "nothing.json"), "cannot be read"),
        (("--pack", "nothing.pack"), "cannot be read"),
        (("--directory", "good.txt"), "no directory"),
        (("--directory", "everyone.json"), "not an https URL"),
        (("--jwks", "jwks.json", "--anchor", "good.txt"), "no certificates"),
        (("--directory", "own.json", "--anchor", "root.pem"), "give that with --jwks"),
        (("--jwks", "jwks.json", "--pack-key", "mirror.pem"), "give that with --pack"),
    ],
)
@pytest.mark.usefixtures("place")
def test_wrong_use_says_what_to_do_next(arguments: tuple[str, ...], says: str, run: Run) -> None:
    done = run(*VERIFY, "good.txt", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr


@pytest.mark.usefixtures("place")
def test_a_pack_that_is_none_makes_the_card_unbelieved(place: Path, run: Run) -> None:
    (place / "bad.pack").write_bytes(b"garbage")
    code, document = told(run, "good.txt", "--jwks", "plain.json", "--pack", "bad.pack")
    assert (code, document["verdict"], document["status"]["reason"]) == (1, "unknown", "malformed")


def test_an_issuer_that_cannot_be_asked_is_not_believed_and_that_is_said(place: Path, run: Run) -> None:
    issuer = "https://127.0.0.1:9/cards"  # nobody answers there
    (place / "listed.json").write_text(json.dumps({"participating_issuers": [{"iss": issuer}]}))
    (place / "far.txt").write_text(card(claims(iss=issuer)))
    done = run(*VERIFY, "far.txt", "--directory", "listed.json", "--allow-loopback", *AT)
    assert (done.exit_code, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("fetch_failed: https://127.0.0.1:9/cards: ")
    assert second.startswith("card_key_unknown: ")


@pytest.mark.usefixtures("place")
def test_a_list_is_stale_if_any_evidence_announces_a_newer_one(place: Path, run: Run) -> None:
    keys = json.loads(KeySet((CardKey.of(KEY.public, crl_version=1),)).encode())
    (place / "outdated.json").write_text(json.dumps({ISSUER: keys}))
    evidence = ("--directory", "outdated.json", "--crl", "old.json")
    assert verdict(run, "good.txt", *evidence) == (0, "valid", "good", None)
    announced = verdict(run, "good.txt", *evidence, "--jwks", "jwks.json")
    assert announced == (1, "unknown", "unknown", "stale")


@pytest.mark.usefixtures("place")
def test_keys_that_break_the_rules_are_mentioned(place: Path, run: Run) -> None:
    keys = json.loads((place / "plain.json").read_bytes())["keys"]
    (place / "two.json").write_text(json.dumps({"keys": [*keys, {**keys[0], "d": "AA"}]}))
    done = run(*VERIFY, "good.txt", "--jwks", "two.json", *AT)
    assert done.exit_code == 0
    assert "1 keys of --jwks break the rules" in done.stderr


def test_nothing_is_said_of_what_a_refused_card_holds(place: Path, run: Run) -> None:
    (place / "secret.txt").write_text(card(claims(iss=ISSUER, exp=NOW - 1, note="Q-secret")))
    done = run(*VERIFY, "secret.txt", "--jwks", "plain.json", *AT, "--json")
    assert json.loads(done.stdout)["verdict"] == "expired"
    assert "Q-secret" not in done.output
    assert health_card.CARD_TYPE not in done.output
