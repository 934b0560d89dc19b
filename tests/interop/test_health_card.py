"""kill-the-clipboard (npm) reads our cards and our published lists over HTTPS, and we read its cards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.interop.conftest import opened
from tests.interop.https import served
from tests.interop.peer import Peer, Refused

from safeconduct import Key
from safeconduct.formats import health_card
from safeconduct.formats.health_card import CardTrust, files, qr
from safeconduct.status.card_keys import CardKey, KeySet, read_key_set
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.lists import RevocationLists
from safeconduct.status.card_revocation.rids import Reach

pytestmark = pytest.mark.interop

NOW = 1_750_000_000
MADE = 1_700_000_000
NEVER = 4_000_000_000
CARRIERS = ("jws", "qr", "file")
BUNDLE = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "fullUrl": "resource:0",
            "resource": {
                "resourceType": "Patient",
                "name": [{"family": "Anyperson", "given": ["Åsa", "健"]}],
                "birthDate": "1951-01-20",
            },
        },
        {
            "fullUrl": "resource:1",
            "resource": {
                "resourceType": "Immunization",
                "status": "completed",
                "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "207"}]},
                "patient": {"reference": "resource:0"},
                "occurrenceDateTime": "2021-01-01",
            },
        },
    ],
}
LISTED: dict[str, Reach] = {
    "wholly-revoked": None,
    "revoked-until": MADE + 100,
    "0": None,
    "AAAAAAAAAAAAAAAAAAAAAAAA": None,
}


class Site:
    """An issuer whose keys and lists are on HTTPS, and the peer that trusts its host."""

    def __init__(self, peer: Peer, folder: Path, url: str) -> None:
        self.peer, self.folder, self.url = peer, folder, url
        self.key = Key.generate("ES256")
        self.kid = CardKey.of(self.key.public).kid
        self.publish(RevocationList(kid=self.kid, ctr=1, entries=LISTED))

    def publish(self, found: RevocationList, *keys: Key) -> None:
        """Puts the list and the keys where cards say, and lets the peer fetch them."""
        place = self.folder / "cards" / ".well-known"
        (place / "crl").mkdir(parents=True, exist_ok=True)
        (place / "crl" / f"{self.kid}.json").write_bytes(found.encode())
        public = [CardKey.of(key.public, crl_version=found.ctr) for key in keys or (self.key,)]
        (place / "jwks.json").write_bytes(KeySet(tuple(public)).encode())
        self.found = found
        self.peer.ask("fetch", urls=[self.url])

    def card(self, rid: str | None = None, *, nbf: float = MADE, **more: Any) -> str:
        """A card that the issuer signed."""
        return health_card.issue(BUNDLE, issuer=self.url, key=self.key, now=nbf, rid=rid, **more)

    def theirs(self, card: str, kind: str = "jws") -> Any:
        """The bundle that the peer reads from a card. Raises Refused."""
        carried = {"jws": card, "qr": qr.write(card), "file": files.write([card]).decode()}
        return self.peer.ask("read", kind=kind, card=carried[kind])

    def ours(self, card: str) -> str:
        """Our verdict, from the published files."""
        place = self.folder / "cards" / ".well-known"
        trust = CardTrust({self.url: read_key_set((place / "jwks.json").read_bytes())})
        status = RevocationLists()
        status.read((place / "crl" / f"{self.kid}.json").read_bytes(), issuer=self.url)
        return health_card.judge(card, trust=trust, status=status, now=NOW).verdict


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, secrets = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("secrets")
    with served(folder, secrets=secrets) as (origin, trusted):
        environment = {"NODE_EXTRA_CA_CERTS": str(trusted)}
        for peer in opened("health_card", environment=environment):
            yield Site(peer, folder, f"{origin}/cards")


@pytest.mark.parametrize("kind", CARRIERS)
@pytest.mark.parametrize(
    ("rid", "more"),
    [
        (None, {}),
        ("not-listed", {}),
        ("wholly-revoke", {}),
        ("not-listed", {"nbf": MADE + 0.656}),
        ("not-listed", {"expires": NEVER}),
        ("revoked-until", {"nbf": MADE + 101}),
        ("revoked-until", {"nbf": MADE + 101.5}),
        ("-_-_-_-_-_-_-_-_-_-_-_-_", {"types": ["https://smarthealth.cards#immunization"]}),
    ],
)
def test_they_accept_every_valid_card(site: Site, rid: str | None, more: dict[str, Any], kind: str) -> None:
    card = site.card(rid, **more)

    assert site.theirs(card, kind) == BUNDLE
    assert site.ours(card) == "valid"


@pytest.mark.parametrize("kind", CARRIERS)
@pytest.mark.parametrize(
    ("rid", "nbf"),
    [
        ("wholly-revoked", MADE),
        ("wholly-revoked", MADE + 0.656),
        ("revoked-until", MADE),
        ("revoked-until", MADE + 99.5),
        ("0", MADE),
        ("AAAAAAAAAAAAAAAAAAAAAAAA", MADE),
    ],
)
def test_they_reject_every_revoked_card(site: Site, rid: str, nbf: float, kind: str) -> None:
    card = site.card(rid, nbf=nbf)

    with pytest.raises(Refused, match="revoked"):
        site.theirs(card, kind)
    assert site.ours(card) == "revoked"


@pytest.mark.parametrize("nbf", [MADE + 100, MADE + 100.5])
def test_they_take_a_card_of_the_very_second_for_revoked_and_the_framework_does_not(
    site: Site, nbf: float
) -> None:
    card = site.card("revoked-until", nbf=nbf)

    with pytest.raises(Refused, match="revoked"):
        site.theirs(card)
    assert site.ours(card) == "valid"


def test_they_follow_what_is_revoked_and_taken_back(site: Site) -> None:
    before = site.found
    first, other = site.card("wholly-revoked"), site.card("another")
    try:
        site.publish(RevocationList(kid=site.kid, ctr=2, entries={"another": None}))

        assert (site.ours(first), site.ours(other)) == ("valid", "revoked")
        assert site.theirs(first) == BUNDLE
        with pytest.raises(Refused, match="revoked"):
            site.theirs(other)
    finally:
        site.publish(before)


def test_a_card_of_a_revoked_key_is_rejected(site: Site) -> None:
    card = site.card()
    try:
        site.publish(site.found, Key.generate("ES256"))

        with pytest.raises(Refused):
            site.theirs(card)
        assert site.ours(card) == "invalid"
    finally:
        site.publish(site.found)


def test_neither_takes_a_changed_card(site: Site) -> None:
    header, payload, signature = site.card().split(".")
    other = "A" if payload[20] != "A" else "B"
    changed = ".".join((header, payload[:20] + other + payload[21:], signature))

    with pytest.raises(Refused):
        site.theirs(changed)
    assert site.ours(changed) == "invalid"


@pytest.mark.parametrize("kind", CARRIERS)
@pytest.mark.parametrize("rid", [None, "wholly-revoked"])
def test_we_judge_what_they_issue(site: Site, rid: str | None, kind: str) -> None:
    issued = site.peer.ask(
        "issue", issuer=site.url, key=site.key.to_jwk(private=True), bundle=BUNDLE, rid=rid
    )
    carried: dict[str, str] = {
        "jws": issued["jws"],
        "qr": qr.read_all(issued["qr"]),
        "file": files.read(issued["file"].encode())[0],
    }

    trust = CardTrust({site.url: KeySet((CardKey.of(site.key.public, crl_version=1),))})
    status = RevocationLists()
    status.add(site.found, issuer=site.url)
    judged = health_card.judge(carried[kind], trust=trust, status=status, now=NEVER)

    assert judged.verdict == ("valid" if rid is None else "revoked")
    assert judged.card is None or judged.card.bundle == BUNDLE
