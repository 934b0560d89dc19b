"""The offline pack: the revoked cards and the keys of many issuers in one file that is signed and mapped.

Whoever holds it looks cards up without telling anybody. Opening it reads the head and the digests of its
blocks; a block is read, and compared with its digest, when something in it is asked for.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, Literal, Protocol

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported
from safeconduct.status.card_keys import CardKey, CardKeySource
from safeconduct.status.card_revocation.lists import judge
from safeconduct.status.card_revocation.methods import METHODS
from safeconduct.status.compact import body, hashed, pack_file, packed_list
from safeconduct.status.compact.body import Body, Facts, IssuerRow, PlacedEntry
from safeconduct.status.compact.pack_file import OpenFile
from safeconduct.status.compact.pack_head import Head
from safeconduct.status.compact.packed_list import PackedList
from safeconduct.status.states import GOOD, REVOKED, CardId, CardStatusSource, Reason, Status, unknown
from safeconduct.trust import Waived


class PackedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a pack says of one key of an issuer: the key, and its list, None without one."""

    issuer: str
    key: CardKey
    listed: "Listed | None"


class Listed(msgspec.Struct, frozen=True):
    """A list within a pack: what its issuer, or anybody who has the list, can compare.

    digest: "sha-256:…" of its canonical file. count: of entries.
    """

    method: str
    ctr: int
    digest: str
    count: int


class StatusPack(CardStatusSource, CardKeySource, Protocol):
    """Evidence of status and a directory of keys in one."""


class Pack:
    """A pack that is open. It is a `CardStatusSource` and a `CardKeySource`, and may be used by threads.

    head: what its mirror says of it.
    """

    __slots__ = ("_body", "_entries", "_keys", "_max_age", "head", "text")

    def __init__(self, opened: OpenFile, *, max_age: int | None) -> None:
        self.head: Final[Head] = opened.head
        self.text: Final[str] = opened.text
        self._body = Body(opened.body)
        self._max_age = max_age
        self._entries: dict[tuple[str, str], _Entry | None] = {}
        self._keys: dict[str, Mapping[str, CardKey]] = {}

    @classmethod
    def open(
        cls,
        data: bytes | memoryview,
        *,
        keys: Collection[PublicKey] | Waived,
        oldest: int = 0,
        max_age: int | None = None,
    ) -> "Pack":
        """Opens a pack; what it returns is believed only as far as `card_status` says.

        data: the whole file, also a mapped one. keys: of the mirrors that are believed; WAIVED for a file
        that the caller vouches for. oldest: the highest version seen before. max_age: seconds after which
        what an issuer last said is stale; None: never.

        Raises Malformed "pack_malformed", "pack_length", "pack_head_malformed"; Rejected "pack_key_unknown",
        "jws_type", "signature_invalid", "pack_digest", "pack_rolled_back"; Unsupported
        "pack_version_unknown".
        """
        opened = pack_file.open_file(data, keys=keys)
        if opened.head.version < oldest:
            raise Rejected("pack_rolled_back", "The pack is older than one seen before.")
        return cls(opened, max_age=max_age)

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:
        """Returns what the pack says of a card; a hit in a lossy pack is revoked, to be confirmed.

        A pack that has expired, or says so of a list, still revokes what it names; what it does not name is
        unknown. A part that is not what was signed makes the cards that it is about unknown.
        """
        try:
            entry = self._entry(card.issuer, card.kid)
            if entry is None or entry.listed is None:
                return unknown(self._reason(entry, crl_version, now))
            return self._listed(entry.listed, card, crl_version, now)
        except Rejected:
            return unknown("unverified")
        except Malformed:
            return unknown("malformed")

    def list_counter(self, card: CardId) -> int | None:
        """Returns the counter of the list by which a card is judged, None without one that can be read."""
        try:
            entry = self._entry(card.issuer, card.kid)
        except SafeconductError:
            return None
        return None if entry is None or entry.listed is None else entry.listed.ctr

    def keys_named(self, kid: str) -> Mapping[str, CardKey]:
        """Returns the keys of that name by issuer; none of those whose part is not what was signed."""
        found = self._keys.get(kid)
        if found is None:
            _bound(self._keys)
            found = self._keys[kid] = self._read_keys(kid)
        return found

    def issuers(self) -> Collection[IssuerRow]:
        """Returns all issuers of the pack. Raises Rejected "pack_digest", Malformed "pack_malformed"."""
        return self._body.issuers()

    def entries(self) -> Iterator[PackedEntry]:
        """Gives all keys, with what is known of their lists. Raises as `issuers`."""
        for placed in self._body.entries():
            issuer, key = self._body.issuer(placed.tags[body.TAG_BYTES :]), card_key(placed.facts)
            if issuer is not None and key is not None:
                yield PackedEntry(issuer=issuer.url, key=key, listed=self._told(placed))

    @property
    def body(self) -> Body:
        """The rows that the pack is made of."""
        return self._body

    def _entry(self, issuer: str, kid: str) -> "_Entry | None":
        place = issuer, kid
        if place not in self._entries:
            _bound(self._entries)
            placed = self._body.find(body.tags_of(issuer, kid))
            self._entries[place] = None if placed is None else self._opened(placed)
        return self._entries[place]

    def _opened(self, placed: PlacedEntry) -> "_Entry":
        facts, found = placed.facts, self._list_of(placed)
        issuer = self._body.issuer(placed.tags[body.TAG_BYTES :])
        since = self.head.as_of if issuer is None else issuer.since or self.head.as_of
        listed = None if found is None else _List(found, facts, facts.since or self.head.as_of)
        return _Entry(facts, listed, since)

    def _list_of(self, placed: PlacedEntry) -> PackedList | None:
        if not placed.length:
            return None
        return PackedList(self._body.read, at=placed.at, length=placed.length)

    def _told(self, placed: PlacedEntry) -> Listed | None:
        listed, facts = self._list_of(placed), placed.facts
        if listed is None:
            return None
        return Listed(listed.method, facts.ctr, f"sha-256:{b64.encode(facts.digest)}", listed.count)

    def _reason(self, entry: "_Entry | None", crl_version: int | None, now: int) -> Reason:
        """Why nothing can be said of a card whose list is not in the pack."""
        announced = crl_version is not None or (entry is not None and entry.facts.crl_version > 0)
        if entry is not None and entry.facts.state in _REASONS:
            return _REASONS[entry.facts.state]
        if self._is_old(now, self.head.as_of if entry is None else entry.keys_since):
            return "stale"  # by now the issuer may announce a list
        return "missing" if announced else "no-crl"

    def _listed(self, listed: "_List", card: CardId, crl_version: int | None, now: int) -> Status:
        announced = max(crl_version or 0, listed.announced)
        outdated = self._is_old(now, listed.since)
        status = judge(listed, card, crl_version=announced or None, outdated=outdated)
        return _CONFIRM if status.state == "revoked" and listed.lossy else status

    def _is_old(self, now: int, since: int) -> bool:
        return now >= self.head.exp or (self._max_age is not None and now - since > self._max_age)

    def _read_keys(self, kid: str) -> dict[str, CardKey]:
        found = {}
        try:
            for placed in self._body.of_kid(body.tag(kid)):
                issuer = self._body.issuer(placed.tags[body.TAG_BYTES :])
                key = card_key(placed.facts)
                # Another key may have the same tag, by the mirror's will: its name is what counts.
                if issuer is not None and key is not None and key.kid == kid:
                    found[issuer.url] = key
        except SafeconductError:
            return {}
        return found

    def __repr__(self) -> str:
        return f"<Pack version {self.head.version}>"


class UnusablePack:
    """What stands for a pack that could not be opened: knows no key, and of no card more than the reason."""

    __slots__ = ("error", "reason")

    def __init__(self, error: SafeconductError) -> None:
        """error: what `Pack.open` raised."""
        self.error = error
        self.reason: Reason = _reason_of(error)

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:  # noqa: ARG002
        """Returns an unknown status with the reason why the pack cannot be used."""
        return unknown(self.reason)

    def keys_named(self, kid: str) -> Mapping[str, CardKey]:  # noqa: ARG002
        """Returns no key."""
        return {}


def card_key(facts: Facts) -> CardKey | None:
    """Returns the key that a row of a pack is about, None if the row does not hold it.

    Raises Malformed "key_malformed".
    """
    if facts.key is None:
        return None
    key = CardKey.of(PublicKey.from_raw(b"\x04" + facts.key, "ES256"))
    return CardKey(key.key.with_kid(key.kid), key.kid, facts.crl_version or None)


def source(
    data: bytes | memoryview,
    *,
    keys: Collection[PublicKey] | Waived,
    oldest: int = 0,
    max_age: int | None = None,
) -> StatusPack:
    """As `Pack.open`, and never raises for what the file holds: then every card's status is unknown.

    The reason is "malformed" for a file that is no pack or not whole, "stale" for one of an older version,
    "unverified" for one that is forged or altered.
    """
    try:
        return Pack.open(data, keys=keys, oldest=oldest, max_age=max_age)
    except SafeconductError as error:
        return UnusablePack(error)


class _Entry(msgspec.Struct, frozen=True):
    """What was found of a key. keys_since: when its issuer's keys were last had."""

    facts: Facts
    listed: "_List | None"
    keys_since: int


class _List:
    """A list of the pack, as `judge` consults it. since: when it was last had. announced: its crlVersion."""

    __slots__ = ("_list", "announced", "ctr", "lossy", "method", "since", "understood")

    def __init__(self, found: PackedList, facts: Facts, since: int) -> None:
        self._list, self.since = found, since
        self.method, self.lossy = found.method, found.lossy
        self.ctr, self.announced = facts.ctr, facts.crl_version
        self.understood = found.method in METHODS

    def status(self, identifier: str | None, nbf: float) -> Status:
        if identifier is None:
            return GOOD
        reach = self._list.reach(hashed.prefix(identifier))
        if reach is None or not (reach == packed_list.WHENEVER or nbf < reach):
            return GOOD
        return REVOKED


_CONFIRM: Final = Status("revoked", "confirm")
_REASONS: Final[Mapping[int, Reason]] = {
    body.MISSING: "missing",
    body.MALFORMED: "malformed",
    body.UNVERIFIED: "unverified",
    body.UNSUPPORTED: "unsupported-method",
}
_Unusable = Literal["malformed", "stale", "unverified"]


def _reason_of(error: SafeconductError) -> _Unusable:
    if error.code == "pack_rolled_back":
        return "stale"
    return "malformed" if isinstance(error, (Malformed, Unsupported)) else "unverified"


def _bound(cache: dict[str, Mapping[str, CardKey]] | dict[tuple[str, str], _Entry | None]) -> None:
    """Forgets everything before what strangers ask for fills the memory."""
    if len(cache) >= limits.PACK_REMEMBERED:
        cache.clear()
