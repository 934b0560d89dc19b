"""A verifier's copy of issuers' keys and revocation lists: a folder that is read without any network.

It is a `CardStatusSource` and a `CardKeySource`. Synchronisation writes it, also while it is read: records
are replaced whole, each names the files that belong to it, and files that are in use stay readable.

Methods that read files raise Rejected "store_damaged" for one that is not as it was written.
"""

import hashlib
import mmap
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected
from safeconduct.evidence import disk
from safeconduct.evidence.card_records import HeldList, IssuerRecord, KeyRecord, Record, decode
from safeconduct.evidence.card_sets import RECORD_BYTES, CardSet
from safeconduct.status.card_keys import CardKey, KeySet, read_key_set
from safeconduct.status.card_revocation.files import is_kid
from safeconduct.status.card_revocation.lists import judge
from safeconduct.status.states import CardId, Reason, Status, unknown


class CardStore:
    """A store that is open for reading; it notices by itself what a synchronisation changes.

    It may be used by several threads. What it returns is of one moment for one key.
    """

    def __init__(self, folder: Path, *, max_age: int | None = None) -> None:
        self._folder = folder
        self._changed = os.fspath(folder / CHANGED)
        self._max_age = max_age
        self._seen = _Seen(folder, None)

    @classmethod
    def open(cls, folder: Path, *, max_age: int | None = None) -> "CardStore":
        """Open the store in a folder, which need not be there: then nothing is known.

        max_age: seconds after which what a host last confirmed is stale; None: never.
        """
        return cls(folder, max_age=max_age)

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:
        """Return what the store knows of a card, as `CardStatusSource` has it."""
        try:
            return self._card_status(card, crl_version, now)
        except Rejected:
            return unknown("malformed")  # the files of the store itself

    def keys_named(self, kid: str) -> Mapping[str, CardKey]:
        """Return the keys of that name by issuer, as `CardKeySource` has it."""
        return self._fresh().named.get(kid, {})

    def keys(self, issuer: str) -> KeySet | None:
        """Return an issuer's keys as last fetched, None if they never were."""
        return self._fresh().keys(issuer)

    def issuers(self) -> tuple[str, ...]:
        """Return the issuers that the store knows, sorted."""
        return self._fresh().issuers

    def kids(self, issuer: str) -> tuple[str, ...]:
        """Return the keys of an issuer of which a list is known, also those that are no longer published."""
        names = (path.name for path in place(self._folder, issuer).glob("*.json"))
        kids = (name.removesuffix(".json") for name in names)
        return tuple(sorted(kid for kid in kids if is_kid(kid)))

    def issuer(self, issuer: str) -> IssuerRecord | None:
        """Return what is known of an issuer."""
        return self._fresh().issuer(issuer)

    def record(self, issuer: str, kid: str) -> KeyRecord | None:
        """Return what is known of the list of a key."""
        return self._fresh().record(issuer, kid)

    def held(self, issuer: str, kid: str) -> HeldList | None:
        """Return what is held of a list."""
        record = self.record(issuer, kid)
        return None if record is None else record.held

    def lookup(self, issuer: str, kid: str) -> CardSet | None:
        """Return the held list of a key to look cards up in."""
        return self._lookup(issuer, kid)[1]

    def entries(self, issuer: str, kid: str) -> bytes:
        """Return the records of a held list (see `card_sets`), none if none is held."""
        found = self._lookup(issuer, kid)[1]
        return b"" if found is None else bytes(found.records)

    def list_bytes(self, issuer: str, kid: str) -> bytes | None:
        """Return a held list as its canonical file; None if none is held, or only its log."""
        for _ in range(_ATTEMPTS):
            held = self.held(issuer, kid)
            if held is None or held.form != "list":
                return None
            data = read_source(place(self._folder, issuer), held)
            if data is not None:
                return data
            self._forget()
        raise damaged()

    def _card_status(self, card: CardId, crl_version: int | None, now: int) -> Status:
        record, found, seen = self._lookup(card.issuer, card.kid)
        issuer = seen.issuer(card.issuer)
        announced = _largest(crl_version, seen.announced(card.issuer, card.kid))
        if record is None or record.held is None or found is None:
            return unknown(self._reason(issuer, record, announced, now))
        demanded = issuer is not None and issuer.demands_head
        if demanded and not record.held.signed_until:
            return unknown("unverified")
        outdated = found.ctr < record.seen or self._is_old(record.held.confirmed_at, now)
        status = judge(found, card, crl_version=announced, outdated=outdated)
        if status == _STALE and record.fault is not None:
            return unknown(record.fault)
        if status.reason is None and demanded and record.held.signed_until < now:
            return _no_longer_signed(status)
        return status

    def _lookup(self, issuer: str, kid: str) -> tuple[KeyRecord | None, CardSet | None, "_Seen"]:
        for _ in range(_ATTEMPTS):
            seen = self._fresh()
            record = seen.record(issuer, kid)
            if record is None or record.held is None:
                return record, None, seen
            records = seen.records(issuer, record.held)
            if records is not None:
                found = CardSet(method=record.held.method, ctr=record.held.ctr, records=records)
                return record, found, seen
            self._forget()
        raise damaged()

    def _reason(
        self, issuer: IssuerRecord | None, record: KeyRecord | None, announced: int | None, now: int
    ) -> Reason:
        """Why nothing is held of a list."""
        if record is not None and record.fault is not None:
            return record.fault
        if announced is not None:
            return "missing"
        if issuer is not None and self._is_old(issuer.fetched_at, now):
            return "stale"  # by now the issuer may announce a list
        return "no-crl"

    def _is_old(self, confirmed_at: int, now: int) -> bool:
        return self._max_age is not None and now - confirmed_at > self._max_age

    def _fresh(self) -> "_Seen":
        """Return what was read since the last change."""
        stamp = _stamp(self._changed)
        seen = self._seen
        if seen.stamp != stamp:
            seen = self._seen = _Seen(self._folder, stamp)
        return seen

    def _forget(self) -> None:
        """Read anew: a file has gone because another took its place since its record was read."""
        self._seen = _Seen(self._folder, self._seen.stamp)

    def __repr__(self) -> str:
        return "<CardStore>"


CHANGED: Final = "changed"
"""The file that is replaced with each change, so that readers notice."""

ISSUER_FILE: Final = "issuer.json"


def place(folder: Path, issuer: str) -> Path:
    """Return the folder of an issuer within a store."""
    return folder / hashlib.sha256(issuer.encode("utf-8", "surrogatepass")).hexdigest()[:_PLACE_CHARS]


def read_issuer(folder: Path) -> IssuerRecord | None:
    """Return the record of an issuer in its folder, None if there is none."""
    return _read(folder / ISSUER_FILE, IssuerRecord)


def read_key(folder: Path, kid: str) -> KeyRecord | None:
    """Return the record of a key's list in its issuer's folder."""
    return _read(folder / f"{kid}.json", KeyRecord) if is_kid(kid) else None


def read_source(folder: Path, held: HeldList) -> bytes | None:
    """Return the list or the log that is held, None if its file is not there as it was written."""
    data = disk.read(folder / f"{held.name}.{held.form}", max_bytes=held.size)
    return data if data is not None and len(data) == held.size else None


def damaged() -> Rejected:
    """Return the error for a file of a store that is not as it was written."""
    return Rejected(
        "store_damaged", "A file of the store is damaged: delete the store and synchronise again."
    )


class _Seen:
    """What was read from the folder since one change. Reading something twice does no harm."""

    def __init__(self, folder: Path, stamp: tuple[int, int] | None) -> None:
        self.stamp = stamp
        self._folder = folder
        self._issuers: dict[str, IssuerRecord | None] = {}
        self._keys: dict[str, KeySet | None] = {}
        self._records: dict[tuple[str, str], KeyRecord | None] = {}
        self._mapped: dict[tuple[str, str], bytes | mmap.mmap] = {}

    def issuer(self, issuer: str) -> IssuerRecord | None:
        if issuer not in self._issuers:
            _bound(self._issuers)
            self._issuers[issuer] = read_issuer(place(self._folder, issuer))
        return self._issuers[issuer]

    def keys(self, issuer: str) -> KeySet | None:
        if issuer not in self._keys:
            _bound(self._keys)
            self._keys[issuer] = _key_set(self.issuer(issuer))
        return self._keys[issuer]

    def announced(self, issuer: str, kid: str) -> int | None:
        keys = self.keys(issuer)
        key = None if keys is None else keys.get(kid)
        return None if key is None else key.crl_version

    def record(self, issuer: str, kid: str) -> KeyRecord | None:
        if (issuer, kid) not in self._records:
            _bound(self._records)
            self._records[issuer, kid] = read_key(place(self._folder, issuer), kid)
        return self._records[issuer, kid]

    def records(self, issuer: str, held: HeldList) -> bytes | mmap.mmap | None:
        if (issuer, held.name) not in self._mapped:
            found = _mapped(place(self._folder, issuer) / f"{held.name}.set") if held.count else b""
            if found is None or len(found) != held.count * RECORD_BYTES:
                return None
            _bound(self._mapped)
            self._mapped[issuer, held.name] = found
        return self._mapped[issuer, held.name]

    @cached_property
    def issuers(self) -> tuple[str, ...]:
        found = (read_issuer(path.parent) for path in self._folder.glob(f"*/{ISSUER_FILE}"))
        return tuple(sorted(record.issuer for record in found if record is not None))

    @cached_property
    def named(self) -> dict[str, dict[str, CardKey]]:
        named: dict[str, dict[str, CardKey]] = {}
        for issuer in self.issuers:
            for key in (_key_set(self.issuer(issuer)) or KeySet(())).keys:
                named.setdefault(key.kid, {})[issuer] = key
        return named


_PLACE_CHARS: Final = 32
_ATTEMPTS: Final = 3
_STALE: Final = unknown("stale")


def _read(path: Path, kind: type[Record]) -> Record | None:
    data = disk.read(path, max_bytes=limits.STORE_RECORD_BYTES)
    if data is None:
        return None
    record = decode(data, kind)
    if record is None:
        raise damaged()
    return record


def _key_set(record: IssuerRecord | None) -> KeySet | None:
    if record is None or not record.jwks:
        return None
    try:
        return read_key_set(record.jwks.encode())
    except Malformed:
        raise damaged() from None


def _mapped(path: Path) -> mmap.mmap | None:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (FileNotFoundError, ValueError):
        return None


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return seen.st_ino, seen.st_mtime_ns


def _bound(cache: dict[Any, Any]) -> None:
    """Forget everything before what strangers ask for fills the memory."""
    if len(cache) >= limits.STORE_REMEMBERED:
        cache.clear()


def _largest(*versions: int | None) -> int | None:
    return max((version for version in versions if version is not None), default=None)


def _no_longer_signed(status: Status) -> Status:
    # Who is revoked remains so; that nobody else has been meanwhile is what the signature no longer says.
    return Status("revoked", "unverified") if status.state == "revoked" else unknown("unverified")
