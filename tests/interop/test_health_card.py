"""kill-the-clipboard (npm) reads our cards and the tree that we publish over HTTPS, and we read its cards."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.interop.conftest import opened
from tests.interop.https import served
from tests.interop.peer import Peer, Refused

from safeconduct import Key
from safeconduct.envelope import jws
from safeconduct.formats import health_card
from safeconduct.formats.health_card import CardTrust, files, qr
from safeconduct.formats.health_card.deflate import inflate
from safeconduct.services.card_register import CardRegister
from safeconduct.services.status.publishing import publish
from safeconduct.settings import Settings, load
from safeconduct.status.card_keys import read_key_set
from safeconduct.status.card_revocation.lists import RevocationLists
from safeconduct.status.card_revocation.rids import Reach
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER

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
    """An issuer whose published tree is on HTTPS, and the peer that trusts its host."""

    def __init__(self, peer: Peer, settings: Settings, database: Database) -> None:
        self.peer, self.settings, self.database = peer, settings, database
        self.url = settings.issuer.card_issuer
        self.register = CardRegister(database, self.url)
        self.key = Key.generate("ES256")
        self.kid = ""

    @classmethod
    async def open(cls, peer: Peer, folder: Path, place: Path, url: str) -> "Site":
        """A tree in `folder`, with the issuer's files in `place`."""
        environ = {
            "SAFECONDUCT_ISSUER__CARD_ISSUER": url,
            "SAFECONDUCT_ISSUER__DATABASE": f"sqlite:///{place}/issuer.db",
            "SAFECONDUCT_STATUS__KEY": str(place / "status-key.pem"),
            "SAFECONDUCT_STATUS__TREE": str(folder),
        }
        settings = load(environ=environ)
        site = cls(peer, settings, await Database.open(settings.issuer.database, branch=ISSUER))
        site.kid = await site.register.register(site.key.public, now=NOW)
        for rid, before in LISTED.items():
            await site.register.revoke_rid(rid, kid=site.kid, before=before)
        await site.publish()
        return site

    async def publish(self) -> None:
        """Publishes what has changed, and lets the peer fetch it."""
        await publish(self.settings, self.database, now=NOW)
        self.peer.ask("fetch", urls=[self.url])

    def card(self, rid: str | None = None, *, nbf: float = MADE, key: Key | None = None, **more: Any) -> str:
        """A card that the issuer signed."""
        return health_card.issue(BUNDLE, issuer=self.url, key=key or self.key, now=nbf, rid=rid, **more)

    def theirs(self, card: str, kind: str = "jws") -> Any:
        """The bundle that the peer reads from a card. Raises Refused."""
        carried = {"jws": card, "qr": qr.write(card), "file": files.write([card]).decode()}
        return self.peer.ask("read", kind=kind, card=carried[kind])

    def ours(self, card: str, now: int = NOW) -> str:
        """Our verdict, from the published files."""
        tree = self.settings.status.tree
        trust = CardTrust({self.url: read_key_set((tree / "jwks.json").read_bytes())})
        status = RevocationLists()
        for path in (tree / "crl").glob(f"{'?' * 43}.json"):
            status.read(path.read_bytes(), issuer=self.url)
        return health_card.judge(card, trust=trust, status=status, now=now).verdict


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, place = tmp_path_factory.mktemp("host"), tmp_path_factory.mktemp("issuer")
    with served(folder, secrets=place) as (origin, trusted):
        tree = folder / "cards" / ".well-known"
        tree.parent.mkdir()
        environment = {"NODE_EXTRA_CA_CERTS": str(trusted)}
        for peer in opened("health_card", environment=environment):
            made = asyncio.run(Site.open(peer, tree, place, f"{origin}/cards"))
            yield made
            asyncio.run(made.database.close())


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
    card = site.card("changing")

    async def change(what: Callable[..., Awaitable[int]], **more: Any) -> None:
        assert await what("changing", kid=site.kid, **more) == 1
        await site.publish()

    assert (site.theirs(card), site.ours(card)) == (BUNDLE, "valid")
    asyncio.run(change(site.register.revoke_rid, before=None))
    with pytest.raises(Refused, match="revoked"):
        site.theirs(card)
    assert site.ours(card) == "revoked"
    asyncio.run(change(site.register.reinstate_rid))
    assert (site.theirs(card), site.ours(card)) == (BUNDLE, "valid")


def test_a_subject_is_revoked_under_every_key(site: Site) -> None:
    other = Key.generate("ES256")

    async def cards() -> list[str]:
        kids = [(site.key, site.kid), (other, await site.register.register(other.public, now=NOW))]
        allocate = site.register.allocate
        made = [site.card(await allocate(kid, "urn:p:1", now=NOW), key=key) for key, kid in kids]
        await site.publish()
        return made

    async def revoke() -> None:
        assert await site.register.revoke_subject("urn:p:1", before=MADE + 1) == 2
        await site.publish()

    made = asyncio.run(cards())
    assert [site.theirs(card) for card in made] == [BUNDLE, BUNDLE]
    assert [site.ours(card) for card in made] == ["valid", "valid"]
    asyncio.run(revoke())
    for card in made:
        with pytest.raises(Refused, match="revoked"):
            site.theirs(card)
        assert site.ours(card) == "revoked"


def test_a_card_of_a_revoked_key_is_rejected(site: Site) -> None:
    old = Key.generate("ES256")

    async def begin() -> str:
        kid = await site.register.register(old.public, now=NOW)
        await site.publish()
        return kid

    async def end(kid: str) -> None:
        assert await site.register.revoke_key(kid, now=NOW)
        await site.publish()

    kid, card = asyncio.run(begin()), site.card(key=old)
    assert site.theirs(card) == BUNDLE
    asyncio.run(end(kid))
    with pytest.raises(Refused):
        site.theirs(card)
    assert site.ours(card) == "invalid"


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

    assert site.ours(carried[kind], NEVER) == ("valid" if rid is None else "revoked")
    assert health_card.open_claims(inflate(jws.parse(carried[kind]).payload)).bundle == BUNDLE
