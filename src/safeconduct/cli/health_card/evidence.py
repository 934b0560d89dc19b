"""Whose cards `safeconduct health-card verify` believes, and what it knows of revoked ones."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from safeconduct import limits
from safeconduct.cli import files, keyfiles
from safeconduct.cli.faults import WrongUse
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.formats.health_card import ParsedCard
from safeconduct.status.card_keys import (
    CardKeySource,
    CardTrust,
    KeySet,
    certified,
    check_issuer_url,
    read_key_set,
    read_keys,
)
from safeconduct.status.card_revocation.lists import RevocationLists
from safeconduct.status.card_sources import CardStatusSources
from safeconduct.status.compact import ribbon_file
from safeconduct.status.compact.ribbon import Ribbon
from safeconduct.status.compact.ribbons import Ribbons
from safeconduct.status.states import CardStatusSource
from safeconduct.trust import WAIVED

if TYPE_CHECKING:
    from safeconduct.crypto.x509 import Certificate
    from safeconduct.status.card_snapshot import Snapshot

Fetch = Callable[[str], Path]
"""Brings what an issuer publishes into a store, and returns the store's folder."""


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """What the user names as evidence. max_age: seconds after which a list counts no more, None: any age."""

    jwks: str | None = None
    anchors: Sequence[str] = ()
    crls: Sequence[str] = ()
    directory: bytes | None = None
    pack: Path | None = None
    pack_keys: Sequence[str] = ()
    store: Path | None = None
    max_age: int | None = None


class Evidence:
    """What the user gave, read once, for any number of cards."""

    def __init__(self, sources: Sources, *, now: int, fetch: Fetch) -> None:
        """Read the files. fetch: for a directory that only names its issuers.

        Raises WrongUse for a file that is not what it is given as.
        """
        self._now = now
        self._fetch = fetch
        self._max_age = sources.max_age
        self._anchors = _certificates(sources.anchors)
        self._pinned = None if sources.jwks is None else _key_set(sources.jwks)
        self._listed: frozenset[str] = frozenset()
        self._status: list[CardStatusSource] = []
        self._directories: list[CardKeySource] = []
        if sources.crls:
            self._status += _lists(sources.crls, sources.max_age)
        if sources.store is not None:
            self._add_store(sources.store)
        if sources.pack is not None:
            self._add_pack(sources.pack, sources.pack_keys)
        if sources.directory is not None:
            self._add_directory(sources.directory)

    @property
    def refused(self) -> int:
        """How many keys of the JWKS break a rule and are not used."""
        return 0 if self._pinned is None else len(self._pinned.refused)

    def about(self, card: ParsedCard) -> tuple[CardKeySource, CardStatusSource | None]:
        """Return whose keys are believed for a card, and what is known of revoked cards.

        Raises SafeconductError where the issuer that the card names decides that, and it names none.
        """
        pinned = self._pinned
        if pinned is not None and self._anchors:
            issuer = card.needs().issuer
            pinned = certified(pinned, issuer=issuer, anchors=self._anchors, now=self._now)
        if self._listed and card.needs().issuer in self._listed:
            self._listed -= {card.needs().issuer}
            self._add_store(self._fetch(card.needs().issuer))
        status = CardStatusSources(self._status) if self._status else None
        return CardTrust(pinned=pinned, directories=self._directories), status

    def _add_store(self, folder: Path) -> None:
        from safeconduct.evidence.card_store import CardStore

        store = CardStore.open(folder, max_age=self._max_age)
        self._status.append(store)
        self._directories.append(store)

    def _add_pack(self, path: Path, pack_keys: Sequence[str]) -> None:
        from safeconduct.evidence.packs import seen_beside, source_of

        keys = [keyfiles.read_public(place) for place in pack_keys] or WAIVED
        try:
            pack = source_of(path, keys=keys, max_age=self._max_age, seen=seen_beside(path))
        except OSError as error:
            raise WrongUse(f"{files.shown(str(path))} cannot be read: {error.strerror}") from None
        self._status.append(pack)
        self._directories.append(pack)

    def _add_directory(self, data: bytes) -> None:
        """Take a directory: a snapshot, issuers with their JWKS, or a list of issuers alone."""
        from safeconduct.evidence.directories import read_issuers
        from safeconduct.status import card_snapshot

        try:
            members = json.loads(data, max_bytes=limits.SNAPSHOT_BYTES)
            if isinstance(members, dict) and "issuerInfo" in members:
                self._add_snapshot(card_snapshot.parse(data))
            elif isinstance(members, dict) and "participating_issuers" not in members:
                for url in members:
                    check_issuer_url(url)
                self._directories.append(CardTrust({url: _keys(entry) for url, entry in members.items()}))
            else:
                self._listed = frozenset(read_issuers(data))
        except SafeconductError as error:
            raise WrongUse(f"--directory holds no directory of issuers: {error.reason}") from None

    def _add_snapshot(self, snapshot: "Snapshot") -> None:
        lists = RevocationLists(max_age=self._max_age)
        for issuer in snapshot.issuers:
            for one in issuer.lists:
                if one.found is None:
                    lists.read(b"", issuer=issuer.url, kid=one.kid)  # known to be malformed
                else:
                    lists.add(one.found, issuer=issuer.url, fetched_at=issuer.retrieved)
        self._status.append(lists)
        self._directories.append(CardTrust({issuer.url: issuer.keys for issuer in snapshot.issuers}))


def _key_set(place: str) -> KeySet:
    try:
        return read_key_set(files.read_whole(place, max_bytes=limits.JSON_BYTES))
    except SafeconductError as error:
        raise WrongUse(f"{files.shown(place)} is no JWKS of an issuer: {error.reason}") from None


def _keys(entry: object) -> KeySet:
    """The JWKS of an issuer in a directory that is an object of them."""
    keys = entry.get("keys") if isinstance(entry, dict) else None
    if not isinstance(keys, list):
        raise WrongUse('--directory wants issuers with their JWKS: {"https://issuer.example": {"keys": []}}')
    return read_keys(keys)


def _lists(places: Sequence[str], max_age: int | None) -> list[CardStatusSource]:
    """Reads revocation lists and ribbons, told apart by how they begin."""
    lists, ribbons = RevocationLists(max_age=max_age), Ribbons(max_age=max_age)
    used: list[CardStatusSource] = []
    for place in places:
        data = files.read(place, max_bytes=limits.CRL_BYTES)
        is_ribbon = data.startswith(ribbon_file.MAGIC)
        if is_ribbon:
            ribbons.add(_ribbon(place, data))
        else:
            lists.read(data, fetched_at=files.written_at(place))
        source = ribbons if is_ribbon else lists
        used += [] if source in used else [source]
    return used


def _ribbon(place: str, data: bytes) -> Ribbon:
    try:
        return ribbon_file.read(data)
    except SafeconductError as error:
        raise WrongUse(f"{files.shown(place)} is no whole ribbon: {error.reason}") from None


def _certificates(places: Sequence[str]) -> "tuple[Certificate, ...]":
    if not places:
        return ()
    from safeconduct.crypto import x509

    found: list[Certificate] = []
    for place in places:
        try:
            data = files.read_whole(place, max_bytes=limits.TRUST_CERTIFICATES * limits.CERTIFICATE_BYTES)
            found += x509.chain_from_pem(data)
        except SafeconductError as error:
            raise WrongUse(f"{files.shown(place)} holds no certificates: {error.reason}") from None
    return tuple(found)
