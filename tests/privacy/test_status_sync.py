"""The host of revocation lists learns which lists are fetched, and never which card is checked."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from tests.status_host import Host, Publisher, card_key

from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64
from safeconduct.evidence.card_store import CardStore
from safeconduct.evidence.sync import SyncRules, sync
from safeconduct.formats import health_card
from safeconduct.status.card_revocation import heads
from safeconduct.status.states import CardId, CardStatusSource, Status

ISSUER = "https://issuer.example/shc"
NOW = 1_700_000_000
WAYS = {
    "full": SyncRules(ways=frozenset(), refresh=0),
    "delta": SyncRules(ways=frozenset(("delta",)), refresh=0),
    "log": SyncRules(ways=frozenset(("log",)), refresh=0),
    "cheapest": SyncRules(refresh=0),
}
Seen = list[tuple[str, str, dict[str, str]]]


class Scene:
    """An issuer with a key for cards, its host, and a verifier's store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = Host()
        self.key = Key.generate("ES256", kid=None)
        jwk = self.key.public.to_jwk()
        self.kid = heads.key_id(self.key.public)
        entry = {**card_key(), "x": jwk["x"], "y": jwk["y"], "kid": self.kid}
        self.publisher = Publisher(self.host, ISSUER, keys=[entry], status_key=Key.generate("ES256"))
        self.publisher.publish(self.kid, dict.fromkeys(("revoked", "other")), now=NOW)

    def synchronise(self, rules: SyncRules) -> None:
        asyncio.run(sync([ISSUER], folder=self.folder, fetcher=self.host, clock=lambda: NOW, rules=rules))

    def card(self, rid: str) -> str:
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": []}
        return health_card.issue(bundle, issuer=ISSUER, key=self.key, now=NOW, rid=rid)

    def verdict(self, card: str, status: CardStatusSource) -> str:
        return health_card.judge(card, trust=CardStore.open(self.folder), status=status, now=NOW).verdict


def traces(rid: str, card: str) -> list[str]:
    """What of a card would tell a host that it is checked."""
    hashed = hashlib.sha256(rid.encode()).digest()
    return [rid, *card.split("."), hashed.hex()[:8], b64.encode(hashed)[:8]]


def found(seen: Seen, marks: Iterable[str]) -> list[str]:
    everything = "\n".join(f"{method} {url} {headers}" for method, url, headers in seen)
    return [mark for mark in marks if mark in everything]


def play(
    scene: Scene, rids: Iterable[str], rules: SyncRules, source: Callable[[Scene], CardStatusSource]
) -> Seen:
    """Check cards of these rids, between synchronisations; return all that the host was asked."""
    seen: Seen = []
    scene.synchronise(rules)
    for number, rid in enumerate(rids):
        assert scene.verdict(scene.card(rid), source(scene)) == ("revoked" if rid == "revoked" else "valid")
        scene.publisher.publish(scene.kid, dict.fromkeys(("revoked", f"new-{number}")), now=NOW)
        scene.synchronise(rules)
    seen += scene.host.requests
    return seen


def of_the_store(scene: Scene) -> CardStatusSource:
    return CardStore.open(scene.folder)


@pytest.mark.parametrize("way", WAYS)
def test_what_a_host_sees_does_not_depend_on_the_cards(way: str, tmp_path: Path) -> None:
    asked = []
    for number, rids in enumerate((("revoked", "good"), ("good", "revoked"), ("someone", "else"))):
        scene = Scene(tmp_path / str(number))
        seen = play(scene, rids, WAYS[way], of_the_store)
        shown = [
            (method, url.replace(scene.kid, "KID"), sorted(headers.keys() - {"if-none-match"}))
            for method, url, headers in seen
        ]
        asked.append(shown)
        for rid in rids:
            assert found(seen, traces(rid, scene.card(rid))) == []
        assert {method for method, _, _ in seen} == {"GET"}
        assert {name for _, _, headers in seen for name in headers} <= {"if-none-match", "range"}
        assert not any("?" in url for _, url, _ in seen)
    assert asked[0] == asked[1] == asked[2]


def test_checking_alone_asks_nobody(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.synchronise(WAYS["cheapest"])
    scene.host.forget()
    store = CardStore.open(tmp_path)
    for rid in ("revoked", "good", "unheard-of"):
        scene.verdict(scene.card(rid), store)
    assert scene.host.requests == []


class Asking:
    """What this project does not have: a source that asks the host about each card."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:
        rid = card.identifier("rid")
        asyncio.run(self._scene.host.request("GET", f"{ISSUER}/.well-known/crl/{card.kid}.json?rid={rid}"))
        return CardStore.open(self._scene.folder).card_status(card, crl_version=crl_version, now=now)


def test_the_search_finds_a_source_that_asks_about_cards(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    seen = play(scene, ("someone",), WAYS["full"], Asking)
    assert found(seen, traces("someone", scene.card("someone"))) == ["someone"]


def test_a_host_cannot_recognise_who_sends_no_validators_back(tmp_path: Path) -> None:
    shy = SyncRules(ways=frozenset(), refresh=0, conditional=False)
    scene = Scene(tmp_path / "shy")
    assert all(headers == {} for _, _, headers in play(scene, ("good",), shy, of_the_store))
    known = Scene(tmp_path / "known")
    seen = play(known, ("good",), WAYS["full"], of_the_store)
    assert any("if-none-match" in headers for _, _, headers in seen), "or the test would show nothing"
