"""Writing into a verifier's copy: what belongs to one issuer, by whoever holds the lock of its folder."""

import hashlib
import secrets
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from safeconduct.evidence import card_sets, disk
from safeconduct.evidence.card_records import HeldList, IssuerRecord, KeyRecord, encode
from safeconduct.evidence.card_store import CHANGED, ISSUER_FILE, damaged, read_issuer, read_key, read_source
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.files import digest
from safeconduct.status.card_revocation.log import Log


class IssuerFolder:
    """The folder of one issuer. A record is written after the files that it names, and by that they count."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def issuer(self) -> IssuerRecord | None:
        """Return the issuer's record."""
        return read_issuer(self._folder)

    def put_issuer(self, record: IssuerRecord) -> None:
        """Replace the issuer's record; when it was confirmed need not outlast a power cut."""
        before = read_issuer(self._folder)
        lasting = before is None or replace(before, fetched_at=record.fetched_at) != record
        disk.write(self._folder / ISSUER_FILE, encode(record), lasting=lasting)
        self._tell()

    def key(self, kid: str) -> KeyRecord:
        """Return the record of a key's list, an empty one if there is none."""
        return read_key(self._folder, kid) or KeyRecord(kid=kid)

    def put_key(self, record: KeyRecord, *, unfinished: bool = False) -> None:
        """Replace the record of a key's list, and delete what no record names any more.

        unfinished: keep the parts of a download, for the next try.
        """
        before = self.key(record.kid)
        lasting = (before.seen, before.head_iat, _held_name(before)) != (
            record.seen,
            record.head_iat,
            _held_name(record),
        )
        disk.write(self._folder / f"{record.kid}.json", encode(record), lasting=lasting)
        self._tell()
        kept = "" if record.held is None else f"{record.held.name}."
        for path in self._folder.glob(f"{record.kid}.*"):
            named = kept and path.name.startswith(kept)
            if path.suffix in _SUFFIXES and not named and not (unfinished and path.suffix == _PART):
                path.unlink(missing_ok=True)
        for path in self._folder.glob(f".*{record.kid}.*"):
            path.unlink(missing_ok=True)  # what a process left that ended while writing

    def is_whole(self, held: HeldList) -> bool:
        """Whether the files of a held list are there in full length."""
        sizes = {held.form: held.size, "set": held.count * card_sets.RECORD_BYTES}
        return all(_size(self._folder / f"{held.name}.{suffix}") == size for suffix, size in sizes.items())

    def source(self, held: HeldList) -> bytes:
        """Return the list or log that is held."""
        data = read_source(self._folder, held)
        if data is None:
            raise damaged()
        return data

    def keep_list(self, found: RevocationList, published: bytes, *, now: int) -> HeldList:
        """Write a list's files and return what a record has to say of them. published: as it was fetched."""
        source = found.encode() if found.understood else published
        return self._keep(
            HeldList(
                method=found.method,
                ctr=found.ctr,
                form="list",
                name=_name(found.kid, source),
                digest=digest(source),
                size=len(source),
                count=len(found.entries),
                confirmed_at=now,
            ),
            source,
            card_sets.of_list(found.entries),
        )

    def keep_log(self, found: Log, source: bytes, *, kid: str, method: str, ctr: int, now: int) -> HeldList:
        """Write a log's files and return what a record has to say of them. source: the log itself."""
        records = card_sets.of_log(found)
        return self._keep(
            HeldList(
                method=method,
                ctr=ctr,
                form="log",
                name=_name(kid, source),
                digest=digest(source),
                size=len(source),
                count=len(records) // card_sets.RECORD_BYTES,
                confirmed_at=now,
            ),
            source,
            records,
        )

    def part(self, name: str, *, max_bytes: int) -> bytes | None:
        """Return a part of a download that was fetched before, None if it was not."""
        return disk.read(self._folder / f"{name}{_PART}", max_bytes=max_bytes)

    def put_part(self, name: str, data: bytes) -> None:
        """Keep a part of a download, should the rest not come."""
        disk.write(self._folder / f"{name}{_PART}", data, lasting=False)

    def drop_parts(self, kid: str) -> None:
        """Delete the parts of a list's downloads, of which one turned out to be wrong."""
        for path in self._folder.glob(f"{kid}.*{_PART}"):
            path.unlink(missing_ok=True)

    def _keep(self, held: HeldList, source: bytes, records: bytes) -> HeldList:
        for suffix, data in ((held.form, source), ("set", records)):
            path = self._folder / f"{held.name}.{suffix}"
            if _size(path) != len(data):
                disk.write(path, data, lasting=True)
        return held

    def _tell(self) -> None:
        disk.write(self._folder.parent / CHANGED, secrets.token_bytes(8), lasting=False)


_PART: Final = ".part"
_SUFFIXES: Final = frozenset((".list", ".log", ".set", _PART))
_NAME_BYTES: Final = 12


def _held_name(record: KeyRecord) -> str:
    return "" if record.held is None else record.held.name


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _name(kid: str, source: bytes) -> str:
    """Equal content has one name: who lists the same in another order costs no writing."""
    return f"{kid}.{hashlib.sha256(source).hexdigest()[: 2 * _NAME_BYTES]}"
