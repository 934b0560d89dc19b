"""An issuer with one key on a host in memory, and a store that is synchronised with it."""

import asyncio
from pathlib import Path

import msgspec
from tests.status_host import Host, Publisher, card_key

from safeconduct.crypto.keys import Key
from safeconduct.errors import Unsupported
from safeconduct.evidence.card_store import CardStore
from safeconduct.evidence.sync import Outcome, SyncReport, SyncRules, sync
from safeconduct.status.card_revocation.methods import RID
from safeconduct.status.states import Status

ISSUER = "https://issuer.example/shc"
NOW = 1_700_000_000
DAY = 86400

FULL = SyncRules(ways=frozenset(), refresh=0)
DELTA = SyncRules(ways=frozenset(("delta",)), refresh=0)
LOG = SyncRules(ways=frozenset(("log",)), refresh=0)
AUTO = SyncRules(refresh=0)

MANY = dict.fromkeys(f"rid-{number}" for number in range(300))
"""Entries enough for one step to be cheaper than the list."""

MORE = dict.fromkeys(f"rid-{number}" for number in range(5000))
"""Entries enough for many steps to be."""


class Card(msgspec.Struct, frozen=True):
    """What a store is asked about a card."""

    issuer: str
    kid: str
    nbf: int | float
    rid: str | None

    def identifier(self, method: str) -> str | None:
        if method != RID:
            raise Unsupported("status_method_unknown", "Not by rid.")
        return self.rid


class Stage:
    """Time stands still unless it is moved: `now`."""

    def __init__(self, folder: Path, *, tree: bool = True) -> None:
        self.folder = folder
        self.now = NOW
        self.host = Host()
        self.status_key = Key.generate("ES256")
        self.key = card_key()
        self.kid: str = self.key["kid"]
        signer = self.status_key if tree else None
        self.publisher = Publisher(self.host, ISSUER, keys=[self.key], status_key=signer, tree=tree)

    @property
    def store(self) -> CardStore:
        return CardStore.open(self.folder)

    def pinned(self, rules: SyncRules = FULL) -> SyncRules:
        return msgspec.structs.replace(rules, status_keys=(self.status_key.public,))

    def url(self, name: str) -> str:
        """The URL of `list`, `log`, `head`, or of a file with another name."""
        names = {
            "list": f"crl/{self.kid}.json",
            "log": f"crl/{self.kid}.log",
            "head": f"crl/{self.kid}.jws",
        }
        return self.publisher.url(names.get(name, name))

    def publish(self, entries: dict[str, int | None]) -> None:
        self.publisher.publish(self.kid, entries, now=self.now)

    def sync(self, rules: SyncRules = FULL) -> SyncReport:
        """Synchronise, after forgetting what was asked before."""
        self.host.forget()
        return asyncio.run(
            sync([ISSUER], folder=self.folder, fetcher=self.host, clock=lambda: self.now, rules=rules)
        )

    def outcome(self, rules: SyncRules = FULL) -> Outcome:
        """Synchronise, and return what became of the list."""
        return next(one for one in self.sync(rules).outcomes if one.kid == self.kid)

    def status(
        self, rid: str | None, *, nbf: float = NOW, version: int | None = None, max_age: int | None = None
    ) -> tuple[str, str | None]:
        """What the store says of a card, as state and reason."""
        card = Card(ISSUER, self.kid, nbf, rid)
        store = CardStore.open(self.folder, max_age=max_age)
        found: Status = store.card_status(card, crl_version=version, now=self.now)
        return found.state, found.reason
