"""Revocation of health cards against what is published: rids, a bundle's hash, lists, malleated cards."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from safeconduct.encoding import b64
from safeconduct.formats import health_card
from safeconduct.status.card_revocation import RevocationList, legacy, rids

KID = "3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s"
RIDS = {
    "userid-00": "MKyCxh7p6uQ",
    "userid-02": "YjKhdFoxL_g",
    "userid-03": "vwAjHdarZuc",
    "fake-userid-1": "FKDIxsTCGlU",
    "fake-userid-2": "XkNHp2Iyk0Y",
    "fake-userid-3": "TqB_qu_6OtM",
}
TWINS = ("example-03-s-twin.jws.txt", "example-03-b64-tail.jws.txt")


@pytest.fixture(scope="module")
def cards(vectors: Path) -> Path:
    return vectors / "health-card"


@pytest.fixture(scope="module")
def secret(cards: Path) -> bytes:
    """The published secret as the published rids were made with it: the base64url text itself is the key."""
    members = json.loads((cards / "spec-keys/issuer.hmac.private.json").read_text())
    return str(members["secret"]).encode()


@pytest.mark.parametrize("subject", RIDS)
def test_the_published_rids_are_derived(secret: bytes, subject: str) -> None:
    assert rids.derive(secret, KID, subject) == RIDS[subject]


def test_the_decoded_secret_is_another_one(secret: bytes) -> None:
    assert rids.derive(b64.decode(secret), KID, "userid-00") != RIDS["userid-00"]


def test_the_rids_of_the_example_cards_are_derived(cards: Path, secret: bytes) -> None:
    payloads = sorted(cards.glob("spec-examples/example-0?-c-jws-payload-minified.json"))
    found = [json.loads(path.read_text()) for path in payloads]
    with_rid = [(n, claims["vc"]["rid"]) for n, claims in enumerate(found) if "rid" in claims["vc"]]

    assert len(with_rid) >= 3
    for number, rid in with_rid:
        assert rid == rids.derive(secret, KID, f"userid-0{number}")


def test_the_published_list_is_read_and_names_the_third_example(cards: Path) -> None:
    data = (cards / f"spec-examples/issuer/.well-known/crl/{KID}.json").read_bytes()

    found = RevocationList.parse(data, kid=KID)

    assert found.entries == {
        "vwAjHdarZuc": 1687450765,
        "FKDIxsTCGlU": None,
        "XkNHp2Iyk0Y": 1687450765,
        "TqB_qu_6OtM": None,
    }
    assert found.status(RIDS["userid-03"], 1687450764.656).state == "revoked"
    assert found.status(RIDS["userid-00"], 1687450764.656).state == "good"
    assert RevocationList.parse(found.encode()) == found


def test_the_published_hash_of_a_bundle(cards: Path) -> None:
    bundle = json.loads((cards / "spec-examples/example-03-a-fhirBundle.json").read_text())

    assert legacy.of_bundle(bundle) == "JuTJHwXo2Yc"


@pytest.mark.parametrize("twin", TWINS)
def test_malleated_cards_keep_the_identifier_of_their_signed_text(cards: Path, twin: str) -> None:
    original = (cards / "spec-examples/example-03-d-jws.txt").read_text().strip()
    malleated = (cards / "malleated" / twin).read_text().strip()
    assert malleated != original

    assert identifier(malleated) == identifier(original)


def identifier(text: str) -> str:
    card = health_card.parse(text)
    return legacy.of_signed_text(card.signing_input, card.signature)


def test_every_list_of_real_issuers_is_read_and_reached_by_its_history(vectors: Path) -> None:
    lists: dict[tuple[str, str], RevocationList] = {}
    events = 0
    for event in _history(vectors):
        events += 1
        place = (str(event["iss"]), str(event["kid"]))
        before = lists.get(place)
        # Issuers have replaced the time of an entry, which the history notes as an entry gone and one come.
        named = set(rids.write_entries(before.entries)) if before else set()
        named = named - set(event["removed"]) | set(event["added"])
        members = {"kid": event["kid"], "method": event["method"], "ctr": event["ctr"], "rids": sorted(named)}

        lists[place] = RevocationList.parse(json.dumps(members).encode(), kid=place[1])

        assert len(lists[place].entries) == event["count"]
    assert events == 567
    assert sum(len(found.entries) for found in lists.values()) >= 1343


def _history(vectors: Path) -> Iterator[dict[str, list[str]]]:
    with (vectors / "status/vci-directory/crl_history.jsonl").open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
