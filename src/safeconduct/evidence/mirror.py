"""What a mirror gathers of many issuers, as a pack needs it: from a store, a snapshot, an earlier pack."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from safeconduct.encoding import b64
from safeconduct.errors import SafeconductError
from safeconduct.evidence.card_records import KeyRecord
from safeconduct.evidence.card_store import CardStore
from safeconduct.status.card_keys import CardKey
from safeconduct.status.card_snapshot import Snapshot, SnapshotIssuer, SnapshotList
from safeconduct.status.compact import body, hashed
from safeconduct.status.compact.body import EntryRow, IssuerRow
from safeconduct.status.compact.pack import Pack, card_key
from safeconduct.status.compact.packing import CarriedList, Gathered, GatheredIssuer, HashedList
from safeconduct.status.states import Reason


def of_store(store: CardStore, issuers: Iterable[str], *, as_of: int, now: int) -> list[GatheredIssuer]:
    """Return what a store holds of the issuers; of those that it never reached, nothing.

    as_of: when the last synchronisation began: what was had since is as fresh as the pack. now: in seconds.
    Raises Rejected "store_damaged".
    """
    return [found for issuer in issuers if (found := _of_store(store, issuer, as_of, now)) is not None]


def of_snapshot(snapshot: Snapshot) -> list[GatheredIssuer]:
    """Return what a directory's snapshot holds."""
    return [_of_snapshot(issuer, snapshot.time) for issuer in snapshot.issuers]


def with_previous(
    found: Iterable[GatheredIssuer], wanted: Iterable[str], *, previous: Pack
) -> list[GatheredIssuer]:
    """Return what was found, completed by what the previous pack has of the issuers that are wanted.

    An issuer that could not be reached stays as it was, and so does a list that is gone or has gone back,
    each with the time at which it was last had.
    """
    before = _Before(previous)
    by_url = {issuer.url: issuer for issuer in found}
    completed = [before.lists_kept(issuer) for issuer in by_url.values()]
    missing = (before.issuer(url) for url in dict.fromkeys(wanted) if url not in by_url)
    return completed + [issuer for issuer in missing if issuer is not None]


_STATES: Final[Mapping[Reason | None, int]] = {
    None: body.NO_LIST,
    "no-crl": body.NO_LIST,
    "missing": body.MISSING,
    "stale": body.MISSING,
    "malformed": body.MALFORMED,
    "unverified": body.UNVERIFIED,
    "unsupported-method": body.UNSUPPORTED,
}


def _of_store(store: CardStore, issuer: str, as_of: int, now: int) -> GatheredIssuer | None:
    record, keys = store.issuer(issuer), store.keys(issuer)
    if record is None or keys is None:
        return None
    return GatheredIssuer(
        url=issuer,
        since=_since(record.fetched_at, as_of),
        keys=tuple(
            _with_list(store, issuer, key, demanded=record.demands_head, as_of=as_of, now=now)
            for key in keys.keys
        ),
    )


def _with_list(store: CardStore, url: str, key: CardKey, *, demanded: bool, as_of: int, now: int) -> Gathered:
    record = store.record(url, key.kid)
    held = None if record is None else record.held
    if held is None:
        return Gathered(kid=key.kid, key=key, state=_state(record, key))
    if demanded and held.signed_until < now:
        return Gathered(kid=key.kid, key=key, state=body.UNVERIFIED)
    listed = HashedList(
        method=held.method,
        ctr=held.ctr,
        digest=_raw(held.digest),
        records=store.entries(url, key.kid),
    )
    since = _since(held.confirmed_at, as_of)
    return Gathered(kid=key.kid, key=key, state=body.LISTED, listed=listed, since=since)


def _state(record: KeyRecord | None, key: CardKey) -> int:
    if record is not None and record.fault is not None:
        return _STATES[record.fault]
    return body.NO_LIST if key.crl_version is None else body.MISSING


def _of_snapshot(issuer: SnapshotIssuer, time: int) -> GatheredIssuer:
    lists = {listed.kid: listed for listed in issuer.lists}
    since = _since(issuer.retrieved, time)
    keys = tuple(_listed(key, lists.get(key.kid), since) for key in issuer.keys.keys)
    return GatheredIssuer(url=issuer.url, name=issuer.name, since=since, keys=keys)


def _listed(key: CardKey, listed: SnapshotList | None, since: int) -> Gathered:
    if listed is None:
        return Gathered(kid=key.kid, key=key, state=_state(None, key))
    if listed.found is None:
        return Gathered(kid=key.kid, key=key, state=body.MALFORMED)
    found = listed.found
    made = HashedList(
        method=found.method,
        ctr=found.ctr,
        digest=_raw(found.digest()) if found.understood else bytes(32),
        records=hashed.records(found.entries),
    )
    return Gathered(kid=key.kid, key=key, state=body.LISTED, listed=made, since=since)


class _Before:
    """What the previous pack has."""

    def __init__(self, pack: Pack) -> None:
        self._as_of = pack.head.as_of
        self._issuers: dict[bytes, IssuerRow] = {row.tag: row for row in pack.body.issuers()}
        self._rows: dict[bytes, EntryRow] = {row.tags: row for row in pack.body.rows()}

    def issuer(self, url: str) -> GatheredIssuer | None:
        """An issuer as it was."""
        row = self._issuers.get(body.tag(url))
        if row is None:
            return None
        keys = tuple(self._keys(row.tag))
        return GatheredIssuer(url=url, name=row.name, since=row.since or self._as_of, keys=keys)

    def lists_kept(self, issuer: GatheredIssuer) -> GatheredIssuer:
        """An issuer with the lists as they were where they are gone, cannot be read, or went back."""
        keys = tuple(self._kept(issuer.url, gathered) for gathered in issuer.keys)
        return msgspec.structs.replace(issuer, keys=keys)

    def _keys(self, issuer_tag: bytes) -> Iterator[Gathered]:
        for tags, row in self._rows.items():
            key = card_key(row.facts) if tags[body.TAG_BYTES :] == issuer_tag else None
            if key is not None:
                yield self._carried(row, key)

    def _kept(self, url: str, gathered: Gathered) -> Gathered:
        row = self._rows.get(body.tags_of(url, gathered.kid))
        if row is None or not row.section or gathered.key is None or gathered.state == body.UNVERIFIED:
            return gathered
        if isinstance(gathered.listed, HashedList) and gathered.listed.ctr >= row.facts.ctr:
            return gathered
        return self._carried(row, gathered.key)

    def _carried(self, row: EntryRow, key: CardKey) -> Gathered:
        listed = CarriedList(row.facts, row.section) if row.section else None
        since = row.facts.since or self._as_of if row.section else 0
        return Gathered(kid=key.kid, key=key, state=row.facts.state, listed=listed, since=since)


def _since(had: int, as_of: int) -> int:
    return 0 if had >= as_of else had


def _raw(digest: str) -> bytes:
    """The bytes of a digest; zeros for one by another hash."""
    try:
        raw = b64.decode(digest.removeprefix("sha-256:"))
    except SafeconductError:
        return bytes(32)
    return raw if len(raw) == len(bytes(32)) else bytes(32)
