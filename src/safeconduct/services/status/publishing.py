"""Publishing: a tree of static files is brought up to what the issuer's database says.

It holds the status keys, for each key of cards the list with its deltas, log and signed head, then the Token
Status Lists, and at last `jwks.json`, which announces the counters: whoever reads that finds the rest there.
A run without change writes nothing.
"""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.x509 import to_x5c
from safeconduct.encoding import json
from safeconduct.services.card_register import public_key
from safeconduct.services.signing_keys import SigningKeys
from safeconduct.services.status import card_files
from safeconduct.services.status.card_files import Heading
from safeconduct.services.status.list_files import ListHeading, list_files
from safeconduct.services.status.tree import Tree
from safeconduct.settings import IssuerSettings, Settings, SettingsError
from safeconduct.status.card_keys import CardKey, KeySet
from safeconduct.storage import Database
from safeconduct.storage.status import card_lists, card_store, places


class Published(msgspec.Struct, frozen=True):
    """What a run of publishing did. changed: files written. lists: of cards, that are published."""

    changed: int
    lists: int


async def publish(settings: Settings, database: Database, *, now: int, tree: Path | None = None) -> Published:
    """Brings a tree up to date; with tenants, each has a folder of its name in it.

    database: of the issuer. tree: the folder, if not the one in the settings. Two processes may publish at
    once; they take turns. Raises SettingsError (a key), StorageUnavailable, OSError; Rejected
    "status_tree_newer".
    """
    root = settings.status.tree if tree is None else tree
    changed = lists = 0
    for issuer in settings.issuer.issuers:
        of_one = _Publisher(settings, issuer, database, Tree(root / issuer.name), now)
        done = await of_one.run()
        changed, lists = changed + done.changed, lists + done.lists
    return Published(changed, lists)


class _Due(msgspec.Struct, frozen=True):
    """A list of cards to publish. ctr: of the newest. written: whether the tree has it."""

    kid: str
    ctr: int
    written: bool


class _Publisher:
    """One run for one issuer."""

    def __init__(
        self, settings: Settings, issuer: IssuerSettings, database: Database, tree: Tree, now: int
    ) -> None:
        self._settings = settings
        self._issuer = issuer
        self._database = database
        self._tree = tree
        self._now = now

    async def run(self) -> Published:
        """Writes what has changed, in the one order in which no reader misses a file."""
        turn = ExitStack()
        await asyncio.to_thread(turn.enter_context, self._tree.alone())
        with turn:
            cards = await self._publish_lists()
            await self._publish_statuses()
            if cards is not None:
                await self._write("jwks.json", KeySet(cards).encode())
        return Published(self._tree.written, len(cards or ()))

    async def _publish_lists(self) -> tuple[CardKey, ...] | None:
        """Returns the keys to announce, None if the issuer makes no cards."""
        url = self._settings.card_issuer_of(self._issuer)
        stored = await self._database.run(card_store.stored_keys, url) if url else ()
        if not stored:
            return None
        keys = SigningKeys(self._settings.status.key)
        status_keys = keys.published(self._now)
        _check_apart(status_keys, [public_key(key) for key in stored])
        heading = Heading(
            issuer=url, signer=keys.signer, lifetime=self._settings.status.head_lifetime, now=self._now
        )
        # All are looked at before any is written: a tree that is newer stays as it is.
        due = [await self._take_list(key.kid, heading) for key in stored if not key.removed]
        await self._write("status-keys.json", _status_keys(status_keys))
        return tuple([await self._publish_list(one, heading) for one in due])

    async def _take_list(self, kid: str, heading: Heading) -> _Due:
        ctr = await self._database.run(card_lists.take_list, heading.issuer, kid)
        digests = await self._database.run(card_lists.digests, heading.issuer, kid)
        written = await asyncio.to_thread(
            card_files.is_up_to_date, self._tree.read, kid=kid, ctr=ctr, digests=digests, heading=heading
        )
        return _Due(kid, ctr, written)

    async def _publish_list(self, due: _Due, heading: Heading) -> CardKey:
        if not due.written:
            history = await self._database.run(card_lists.history, heading.issuer, due.kid)
            await asyncio.to_thread(self._write_all, history, heading)
        stored = await self._database.run(card_store.require_key, heading.issuer, due.kid)
        return msgspec.structs.replace(public_key(stored), crl_version=due.ctr)

    def _write_all(self, history: card_lists.History, heading: Heading) -> None:
        for name, data in card_files.card_files(history, heading=heading, exists=self._tree.exists):
            self._tree.write(name, data)

    async def _publish_statuses(self) -> None:
        """Writes the Token Status Lists of the issuer's other credentials, if they have any."""
        issuer, status = self._issuer, self._settings.status
        if not issuer.status_list_uri:
            return
        keys = SigningKeys(issuer.signing_key, certificate=issuer.signing_certificate)
        heading = ListHeading(
            issuer=issuer.url,
            folder_url=issuer.status_list_uri,
            bits=issuer.status_list_bits,
            signer=keys.signer,
            x5c=to_x5c(keys.chain) if keys.chain else (),
            lifetime=status.list_lifetime,
            ttl=status.list_ttl,
            now=self._now,
        )
        rows = await self._database.run(places.read_lists, issuer.url)
        await asyncio.to_thread(self._write_lists, rows, heading)

    def _write_lists(self, rows: Sequence[places.ListRow], heading: ListHeading) -> None:
        for name, data in list_files(rows, heading=heading, read=self._tree.read):
            self._tree.write(name, data)

    async def _write(self, name: str, data: bytes) -> None:
        await asyncio.to_thread(self._tree.write, name, data)


def _check_apart(status_keys: Sequence[PublicKey], card_keys: Sequence[CardKey]) -> None:
    """A key of cards that also signs heads would let its holder vouch for lists with a card key, and back."""
    if {key.jwk_thumbprint() for key in status_keys} & {key.key.jwk_thumbprint() for key in card_keys}:
        raise SettingsError(("status.key: expected another key than one that signs cards",))


def _status_keys(keys: Sequence[PublicKey]) -> bytes:
    return json.dumps({"keys": [{**key.to_jwk(), "use": "sig"} for key in keys]})
