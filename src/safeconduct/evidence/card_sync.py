"""Bringing the copy of one key's revocation list up to date.

Whatever way a list came, it is checked before it takes the place of the one that is held: its counter is not
below one seen, a delta and a log lead to the digest that they state, and where the issuer's status key is
pinned, a signed head speaks for the very list. What fails leads to the next way, in the end to the full list,
which is all that an issuer needs to publish; when that fails as well, the list that is held stays.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.evidence import sync_plan
from safeconduct.evidence.card_line import Line
from safeconduct.evidence.card_records import HeldList, IssuerRecord, Validators
from safeconduct.evidence.card_writing import IssuerFolder
from safeconduct.evidence.sync_plan import CheapWay, Target, Way
from safeconduct.status.card_keys import CardKey
from safeconduct.status.card_revocation import deltas, heads, log
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.deltas import Delta
from safeconduct.status.card_revocation.files import digest
from safeconduct.status.card_revocation.heads import Head
from safeconduct.status.card_revocation.log import Log
from safeconduct.status.states import Reason

DAY: Final = 86400


class SyncRules(msgspec.Struct, frozen=True, kw_only=True):
    """How to synchronise. Times in seconds.

    ways: what may be used beside the full list. refresh: after so long a list is asked for again though its
    announced counter has not moved, because some issuers change lists without moving it. conditional: send
    back what a host gave to recognise a document by, which lets it recognise who asks as well.
    status_keys: that heads of these issuers must be signed by from now on; None: those that the store has.
    unsigned: whether a list may nevertheless come without a head; None: as the store has it.
    at_once: how many issuers.
    """

    ways: frozenset[CheapWay] = frozenset(("delta", "log"))
    refresh: int = DAY
    conditional: bool = True
    status_keys: tuple[PublicKey, ...] | None = None
    unsigned: bool | None = None
    at_once: int = 8


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an issuer's JWKS, or of the list of a key (kid).

    way: "kept" without asking; "unchanged", "delta", "log", "full": how it is the newest now; "failed".
    ctr: of the list that is held. code, reason: what is wrong, also with one that was taken. detours: codes
    of what was tried before. received: bytes. refused: keys of a JWKS that break the rules.
    """

    issuer: str
    kid: str | None = None
    way: Literal["kept", "unchanged", "delta", "log", "full", "failed"]
    ctr: int | None = None
    code: str | None = None
    reason: str | None = None
    detours: tuple[str, ...] = ()
    received: int = 0
    refused: int = 0


class KeySync:
    """One try to bring the list of one key up to date."""

    def __init__(
        self,
        line: Line,
        folder: IssuerFolder,
        issuer: IssuerRecord,
        key: CardKey,
        *,
        rules: SyncRules,
        now: int,
    ) -> None:
        """Take what the try needs; whoever makes it holds the lock of the folder. now: seconds since 1970."""
        self._line = line
        self._folder = folder
        self._issuer = issuer
        self._status_keys = _keys(issuer)
        self._kid = key.kid
        self._announced = key.crl_version or 0
        self._rules = rules
        self._now = now
        self._record = folder.key(key.kid)
        self._held = self._record.held
        if self._held is not None and not folder.is_whole(self._held):
            self._held = None
        self._detours: list[str] = []

    async def run(self) -> Outcome:
        """Try, write what came of it, and tell. Raises Rejected "store_damaged"."""
        if self._is_current():
            return self._outcome("kept")
        before = self._line.received
        try:
            way, held = await self._newest_or_again()
        except SafeconductError as error:
            fault = _FAULTS.get(error.code, self._record.fault)
            self._record = replace(self._record, fault=fault, code=error.code)
            self._folder.put_key(self._record, unfinished=True)
            return self._outcome("failed", error, received=self._line.received - before)
        complaint = self._complaint(held)
        self._held = held
        self._record = replace(
            self._record,
            held=held,
            seen=max(held.ctr, self._record.seen),
            fault=None if complaint is None else _FAULTS.get(complaint.code),
            code="" if complaint is None else complaint.code,
        )
        self._folder.put_key(self._record)
        return self._outcome(way, complaint, received=self._line.received - before)

    def _is_current(self) -> bool:
        held, soon = self._held, self._now + self._rules.refresh
        return (
            held is not None
            and not self._record.code
            and held.ctr >= self._announced
            and self._now < held.confirmed_at + self._rules.refresh
            and (not self._issuer.demands_head or held.signed_until > soon)
        )

    def _complaint(self, held: HeldList) -> Rejected | None:
        if held.ctr < self._announced:
            return Rejected("crl_stale", "The issuer announces a newer list than the one that it publishes.")
        if held.method and not RevocationList(kid="", ctr=1, entries={}, method=held.method).understood:
            return Rejected("status_method_unknown", "The list names cards in a way that is not known here.")
        return None

    async def _newest_or_again(self) -> tuple[Way | Literal["unchanged"], HeldList]:
        try:
            return await self._newest()
        except Rejected as error:
            if error.code != "crl_unsigned":
                raise
            # The issuer may have been publishing: the head and the list are of two moments.
            self._detours.append(error.code)
            return await self._newest()

    async def _newest(self) -> tuple[Way | Literal["unchanged"], HeldList]:
        head = await self._head() if self._wants_head() else None
        held = self._held
        if held is not None and head is not None and _speaks_for(head, held):
            return "unchanged", self._signed(replace(held, confirmed_at=self._now), head)
        target = Target(ctr=head.ctr if head is not None else self._announced, head=head)
        faults: dict[Way, SafeconductError] = {}
        pinned = bool(self._status_keys)
        for way in sync_plan.ways(held, target, allowed=self._allowed(), pinned=pinned):
            try:
                return await self._by(way, target)
            except SafeconductError as error:
                faults[way] = error
                self._detours.append(error.code)
        self._detours.remove(faults["full"].code)
        raise faults["full"]

    async def _by(self, way: Way, target: Target) -> tuple[Way | Literal["unchanged"], HeldList]:
        held, head = self._held, target.head
        if way == "delta" and held is not None:
            return "delta", self._signed(await self._by_deltas(held, target), head)
        if way == "log" and head is not None and head.log is not None:
            return "log", self._signed(await self._by_log(head, head.log), head)
        found = self._signed(await self._by_list(head), head)
        return "unchanged" if held is not None and found.name == held.name else "full", found

    def _allowed(self) -> frozenset[CheapWay]:
        return self._rules.ways - {"delta"} if self._record.no_delta_until > self._now else self._rules.ways

    # Heads.

    def _wants_head(self) -> bool:
        if self._status_keys:
            return True
        if "log" not in self._rules.ways or self._record.no_head_until > self._now:
            return False
        held = self._held
        if held is None or held.form == "log":
            return True
        # Otherwise a head only helps to choose, and it should not cost more than it can save.
        return sync_plan.delta_cost(held, self._announced) > sync_plan.HEAD_COST

    async def _head(self) -> Head | None:
        try:
            head = await self._fetched_head()
        except SafeconductError as error:
            if self._issuer.demands_head:
                raise
            self._detours.append(error.code)
            return None
        if head is None and self._issuer.demands_head:
            raise Rejected("head_missing", "The issuer publishes no signed head for the list.")
        return head

    async def _fetched_head(self) -> Head | None:
        known = self._record.head_validators if self._record.head else None
        document = await self._line.get(f"crl/{self._kid}.jws", max_bytes=limits.HEAD_BYTES, known=known)
        if document.state == "absent":
            if not self._record.gave_head:
                self._record = replace(self._record, no_head_until=self._now + _ASK_AGAIN)
            return None
        text = self._record.head if document.state == "same" else document.body.decode("latin-1")
        if self._status_keys:
            head = heads.verify(
                text, keys=self._status_keys, issuer=self._issuer.issuer, kid=self._kid, now=self._now
            )
        else:
            head = _believed(text, issuer=self._issuer.issuer, kid=self._kid, now=self._now)
        if head.ctr < self._record.seen or (self._status_keys and head.iat < self._record.head_iat):
            raise Rejected("head_rolled_back", "The host gave an older head than before.")
        if head.ctr < self._announced and not self._issuer.demands_head:
            raise Rejected("head_stale", "The issuer announces a newer list than its head is of.")
        self._record = replace(
            self._record,
            gave_head=True,
            head=text,
            head_validators=self._record.head_validators if document.state == "same" else document.validators,
            head_iat=head.iat if self._status_keys else self._record.head_iat,
            seen=max(head.ctr, self._record.seen) if self._status_keys else self._record.seen,
        )
        return head

    def _signed(self, held: HeldList, head: Head | None) -> HeldList:
        """Note until when a head speaks for a list; refuse one that no head speaks for, where one must."""
        spoken_for = bool(self._status_keys) and head is not None and _speaks_for(head, held)
        if self._issuer.demands_head and not spoken_for:
            raise Rejected("crl_unsigned", "The list is not the one that its signed head speaks for.")
        return replace(held, signed_until=head.exp if spoken_for and head is not None else 0)

    # The full list.

    async def _by_list(self, head: Head | None) -> HeldList:
        held, path = self._held, f"crl/{self._kid}.json"
        known = held.validators if held is not None and self._may_be_newest(held, head) else None
        if held is not None and self._came_by_deltas(held):
            told = await self._told(path)
            if told is not None and told[0] == held.size:
                return replace(held, confirmed_at=self._now, validators=told[1])
        document = await self._line.get(path, max_bytes=limits.CRL_BYTES, known=known)
        if document.state == "absent":
            raise Rejected("crl_missing", "The issuer announces a list and publishes none.")
        if document.state == "same" and held is not None:
            return held if held.ctr < self._announced else replace(held, confirmed_at=self._now)
        found = RevocationList.parse(document.body, kid=self._kid)
        if found.ctr < self._record.seen:
            raise Rejected("crl_rolled_back", "The host gave an older list than before.")
        kept = self._folder.keep_list(found, document.body, now=self._now)
        return replace(kept, validators=document.validators)

    def _may_be_newest(self, held: HeldList, head: Head | None) -> bool:
        """Whether nothing speaks against a held list being the newest.

        Otherwise the host is not asked whether it has changed: one that goes by the second of a change, or
        that gave the tag of a list which it was just replacing, would say that it has not, for ever.
        """
        newest = held.ctr >= self._announced and (head is None or _speaks_for(head, held))
        return held.form == "list" and newest

    async def _told(self, path: str) -> tuple[int, Validators] | None:
        try:
            return await self._line.ask(path)
        except SafeconductError as error:
            self._detours.append(error.code)
            return None

    def _came_by_deltas(self, held: HeldList) -> bool:
        """Whether a list is current and the host has never been asked by what it recognises it.

        Who publishes deltas moves the counter with each change, so that the length is enough to go by.
        """
        return (
            self._line.conditional
            and self._record.gave_delta
            and held.form == "list"
            and held.ctr >= self._announced
            and held.validators == Validators()
        )

    # Deltas.

    async def _by_deltas(self, held: HeldList, target: Target) -> HeldList:
        current = RevocationList.parse(self._folder.source(held), kid=self._kid)
        budget = max(held.size, limits.DELTA_BYTES)
        steps = []
        for start, end in deltas.chain(held.ctr, target.ctr):
            steps.append(await self._delta(start, end, max_bytes=budget))
            budget = max(budget - len(steps[-1]), 1)
        try:
            current = deltas.follow(current, [Delta.parse(data, kid=self._kid) for data in steps])
        except SafeconductError:
            self._folder.drop_parts(self._kid)
            raise
        self._record = replace(self._record, gave_delta=True)
        if target.head is not None and current.digest() != target.head.digest:
            raise Rejected("delta_mismatch", "The deltas lead to another list than the head speaks for.")
        return self._folder.keep_list(current, b"", now=self._now)

    async def _delta(self, start: int, end: int, *, max_bytes: int) -> bytes:
        part = f"{self._kid}.delta-{start}-{end}"
        data = self._folder.part(part, max_bytes=max_bytes)
        if data is None:
            document = await self._line.get(deltas.file_name(self._kid, start, end), max_bytes=max_bytes)
            if document.state == "absent":
                if not self._record.gave_delta:
                    self._record = replace(self._record, no_delta_until=self._now + _ASK_AGAIN)
                raise Rejected("delta_missing", "The issuer publishes no delta for this step.")
            data = document.body
            self._folder.put_part(part, data)
        return data

    # The log.

    async def _by_log(self, head: Head, end: heads.LogEnd) -> HeldList:
        if end.length > log.HEADER_BYTES + limits.LOG_RECORDS * log.RECORD_BYTES:
            raise Rejected("log_mismatch", "The head speaks of a longer log than is accepted.")
        data = await self._log_up_to(end.length)
        if digest(data) != end.digest:
            self._folder.drop_parts(self._kid)
            raise Rejected("log_mismatch", "The log is not the one that its head speaks for.")
        found = Log.parse(data, kid=self._kid)
        kept = self._folder.keep_log(
            found, data, kid=self._kid, method=head.method, ctr=head.ctr, now=self._now
        )
        if kept.count != head.count:
            raise Rejected("log_mismatch", "The log has another number of entries than its head says.")
        return kept

    async def _log_up_to(self, length: int) -> bytes:
        held = self._held
        data = b""
        if held is not None and held.form == "log" and held.size <= length:
            data = self._folder.source(held)
        parts = [data]
        at = len(data)
        while at < length:
            end = min(at + limits.RANGE_BYTES, length)
            part = f"{self._kid}.log-{at}-{end}"
            piece = self._folder.part(part, max_bytes=end - at)
            if piece is None:
                piece, whole = await self._line.get_from(
                    f"crl/{self._kid}.log", at, end, max_bytes=length + limits.RANGE_BYTES
                )
                if whole:
                    return piece[:length]
                if end < length:
                    self._folder.put_part(part, piece)
            parts.append(piece)
            at = end
        return b"".join(parts)

    def _outcome(
        self,
        way: Literal["kept", "unchanged", "delta", "log", "full", "failed"],
        fault: SafeconductError | None = None,
        *,
        received: int = 0,
    ) -> Outcome:
        return Outcome(
            issuer=self._issuer.issuer,
            kid=self._kid,
            way=way,
            ctr=None if self._held is None else self._held.ctr,
            code=None if fault is None else fault.code,
            reason=None if fault is None else fault.reason,
            detours=tuple(self._detours),
            received=received,
        )


_ASK_AGAIN: Final = 7 * DAY

_FAULTS: Final[dict[str, Reason]] = {
    "crl_stale": "stale",
    "crl_rolled_back": "stale",
    "crl_missing": "missing",
    "crl_too_large": "malformed",
    "crl_malformed": "malformed",
    "crl_kid": "malformed",
    "crl_entry_malformed": "malformed",
    "crl_duplicate": "malformed",
    "fetch_too_large": "malformed",
    "status_method_unknown": "unsupported-method",
    "crl_unsigned": "unverified",
    "head_missing": "unverified",
    "head_malformed": "unverified",
    "head_key_unknown": "unverified",
    "head_of_another_list": "unverified",
    "head_expired": "unverified",
    "head_from_the_future": "unverified",
    "head_rolled_back": "unverified",
    "jws_type": "unverified",
    "signature_invalid": "unverified",
    "algorithm_unsupported": "unverified",
}


def _keys(issuer: IssuerRecord) -> Sequence[PublicKey]:
    return [PublicKey.from_jwk(jwk) for jwk in issuer.status_keys]


def _speaks_for(head: Head, held: HeldList) -> bool:
    """Whether a head is of the very list that is held, whoever signed it."""
    if (head.ctr, head.method) != (held.ctr, held.method):
        return False
    if held.form == "list":
        return head.digest == held.digest
    return head.log is not None and head.log.digest == held.digest


def _believed(text: str, *, issuer: str, kid: str, now: int) -> Head:
    """Return a head as it stands where no key is pinned: it is worth as much as the list of its host."""
    head = heads.read_unverified(text)
    if (head.iss, head.kid) != (issuer, kid) or head.exp < now:
        raise Rejected("head_of_another_list", "The head is of another list, or no longer holds.")
    return head
