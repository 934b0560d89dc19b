"""Bringing a verifier's copy of issuers' keys and revocation lists up to date.

The hosts learn which issuers' lists are fetched and when, never which card is checked: nothing that is looked
up in the store takes part in what is asked for. Each list is written when it has come, so that what is
interrupted goes on from there; two processes wait for each other at each issuer.
"""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from safeconduct import limits
from safeconduct.clock import Clock
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.evidence import disk
from safeconduct.evidence.card_line import Line
from safeconduct.evidence.card_records import IssuerRecord
from safeconduct.evidence.card_store import place
from safeconduct.evidence.card_sync import KeySync, Outcome, SyncRules
from safeconduct.evidence.card_writing import IssuerFolder
from safeconduct.net.fetch import Fetcher
from safeconduct.status.card_keys import KeySet, check_issuer_url, read_key_set

__all__ = ["Outcome", "SyncReport", "SyncRules", "sync"]


class SyncReport(msgspec.Struct, frozen=True):
    """What became of each issuer and list, in the order in which they were done."""

    outcomes: tuple[Outcome, ...]

    @property
    def faults(self) -> tuple[Outcome, ...]:
        """Those with which something is wrong."""
        return tuple(outcome for outcome in self.outcomes if outcome.code is not None)

    @property
    def received(self) -> int:
        """Bytes of the bodies of all answers."""
        return sum(outcome.received for outcome in self.outcomes)


async def sync(
    issuers: Iterable[str],
    *,
    folder: Path,
    fetcher: Fetcher,
    clock: Clock,
    rules: SyncRules = SyncRules(),  # noqa: B008  immutable
    progress: Callable[[Outcome], None] | None = None,
) -> SyncReport:
    """Fetch what is new of the issuers into the store in a folder.

    What goes wrong with an issuer or a list is in the report and stops none of the others.
    progress: is told each outcome as it comes; one without kid is the last of its issuer.
    """
    disk.make_folder(folder)
    outcomes: list[Outcome] = []
    gate = asyncio.Semaphore(rules.at_once)

    def tell(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if progress is not None:
            progress(outcome)

    async def one(issuer: str) -> None:
        async with gate:
            tell(await _synced(issuer, folder, fetcher, clock, rules, tell))

    try:
        async with asyncio.TaskGroup() as tasks:
            for issuer in dict.fromkeys(issuers):
                tasks.create_task(one(issuer))
    except ExceptionGroup as group:
        raise group.exceptions[0] from None  # what the disk says is the same for all
    return SyncReport(tuple(outcomes))


async def _synced(
    issuer: str,
    folder: Path,
    fetcher: Fetcher,
    clock: Clock,
    rules: SyncRules,
    tell: Callable[[Outcome], None],
) -> Outcome:
    try:
        check_issuer_url(issuer)
        async with disk.alone(place(folder, issuer)):
            return await _IssuerSync(issuer, folder, fetcher, clock, rules).run(tell)
    except SafeconductError as error:
        return Outcome(issuer=issuer, way="failed", code=error.code, reason=error.reason)


class _IssuerSync:
    def __init__(self, issuer: str, folder: Path, fetcher: Fetcher, clock: Clock, rules: SyncRules) -> None:
        self._line = Line(fetcher, issuer, conditional=rules.conditional)
        self._folder = IssuerFolder(place(folder, issuer))
        self._issuer = issuer
        self._clock = clock
        self._rules = rules

    async def run(self, tell: Callable[[Outcome], None]) -> Outcome:
        record = self._pinned(self._folder.issuer() or IssuerRecord(issuer=self._issuer))
        keys, outcome = await self._keys(record)
        record = self._folder.issuer() or record
        for key in keys.keys:
            if key.crl_version is not None or self._folder.key(key.kid).held is not None:
                now = self._clock()
                tell(await KeySync(self._line, self._folder, record, key, rules=self._rules, now=now).run())
        return outcome

    def _pinned(self, record: IssuerRecord) -> IssuerRecord:
        rules, pinned = self._rules, record
        if rules.status_keys is not None:
            pinned = replace(pinned, status_keys=tuple(key.to_jwk() for key in rules.status_keys))
        if rules.unsigned is not None:
            pinned = replace(pinned, unsigned=rules.unsigned)
        if pinned != record:
            self._folder.put_issuer(pinned)
        return pinned

    async def _keys(self, record: IssuerRecord) -> tuple[KeySet, Outcome]:
        known = record.validators if record.jwks else None
        document = await self._line.get("jwks.json", max_bytes=limits.JSON_BYTES, known=known)
        if document.state == "absent":
            raise Rejected("card_keys_missing", "The issuer publishes no JWKS.")
        now = self._clock()
        if document.state == "same":
            record = replace(record, fetched_at=now)
        else:
            read_key_set(document.body)
            record = replace(
                record, jwks=document.body.decode(), fetched_at=now, validators=document.validators
            )
        keys = read_key_set(record.jwks.encode())
        self._folder.put_issuer(record)
        return keys, Outcome(
            issuer=self._issuer,
            way="unchanged" if document.state == "same" else "full",
            received=len(document.body),
            refused=len(keys.refused),
        )
