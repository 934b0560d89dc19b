"""The relay's flow: mailboxes are made, read, written, given back and deleted; their contents stay opaque.

Nothing is kept but the mailbox: no address, no account, no log of who asked. Notification tokens are taken,
as the drafts want, and thrown away: a push service that both mailboxes of a person name would link them, and
a relay that calls URLs of strangers can be made to call anybody. Wallets wait by long-polls instead.
"""

import asyncio
import secrets
from collections.abc import Callable

import msgspec

from safeconduct.clock import Clock
from safeconduct.encoding import json
from safeconduct.ids import Random
from safeconduct.protocols import wire
from safeconduct.protocols.transfer import mailbox as life
from safeconduct.protocols.transfer.claims import claim_digest
from safeconduct.protocols.transfer.mailbox import MailboxUnknown
from safeconduct.protocols.transfer.messages import (
    CreateMailbox,
    DisplayInformation,
    Headers,
    UpdateMailbox,
    encode_reading,
    payload_json,
    read_terms,
)
from safeconduct.protocols.transfer.uuids import new_uuid, parse_uuid, uuid_text
from safeconduct.services.relay import store
from safeconduct.services.relay.display import PICTURE_PATH, Display, clean_display, display_members
from safeconduct.services.relay.waiting import Waiting
from safeconduct.settings import RelaySettings
from safeconduct.storage import Database
from safeconduct.storage.erasure import erase_traces
from safeconduct.web.quota import Quota

_WAITERS = 500
"""Mailboxes that are looked at in one statement."""


class Created(msgspec.Struct, frozen=True):
    """A mailbox, by its id as text. repeated: whether the request had made it before."""

    mailbox: str
    repeated: bool

    def __repr__(self) -> str:
        return f"<Created repeated={self.repeated}>"


class Relay:
    """One relay, over its database."""

    def __init__(
        self,
        *,
        settings: RelaySettings,
        database: Database,
        clock: Clock,
        random: Random = secrets.token_bytes,
    ) -> None:
        self.settings = settings
        self._database = database
        self._clock = clock
        self._random = random
        self._quota = Quota(settings.mailboxes)
        self._waiting = Waiting()
        self._picture = f"{settings.url}{PICTURE_PATH}"

    async def create(self, headers: Headers, wanted: CreateMailbox, *, admit: Callable[[], None]) -> Created:
        """Makes a mailbox. admit: raises where the caller may make none; called when all else is in order.

        Raises Malformed and Rejected as the parts of `messages` do, and TooMuchOpen "too_much_open".
        """
        claim, request_id, now = headers.claim(), headers.request_id(), self._clock()
        settings = self.settings
        terms = read_terms(
            wanted.configuration, now=now, default=settings.lifetime_default, most=settings.lifetime_most
        )
        shown = clean_display(
            wanted.display.title,
            wanted.display.description,
            wanted.display.image_url,
            image_hosts=settings.image_hosts,
        )
        made = new_uuid(self._random(16))
        new = store.NewMailbox(
            id=made,
            creation=life.request_digest("create", claim, request_id),
            claim=claim_digest(made, claim),
            rights=terms.rights,
            claim_key=terms.claim_key,
            display=json.dumps(display_members(shown, base=settings.url)),
            payload=payload_json(wanted.payload, most_chars=settings.payload_chars),
            expires_at=terms.expires_at,
        )
        admit()
        self._quota.take()
        found = await self._database.run_prepared(store.create, new, now=now)
        if found != made:
            self._quota.count(-1)
        return Created(uuid_text(found), repeated=found != made)

    async def find_display(self, mailbox: str) -> Display:
        """Returns what anyone may see of a mailbox; binds nothing. Raises MailboxUnknown."""
        found = await self._database.run_prepared(store.find_display, _id(mailbox), now=self._clock())
        shown = wire.read_json(found, DisplayInformation, what="displayInformation")
        own = shown.image_url == self._picture
        return Display(shown.title, shown.description, "" if own else shown.image_url)

    async def read(self, mailbox: str, headers: Headers) -> bytes | None:
        """Returns the answer to a read, None if there is nothing new within the time that is waited.

        The first stranger becomes the receiver. Raises as `store.read`, and Malformed and Rejected for fields
        of the header.
        """
        claim, id_ = headers.claim(), _id(mailbox)
        headers.optional_request_id()
        known, wait = headers.known_sequence(), headers.wait(most=self.settings.wait_most)
        reader = store.Reader(
            mailbox=id_,
            claim=claim,
            digest=claim_digest(id_, claim),
            proof=headers.proof(),
            binds=True,
        )
        if known is None:
            return self._answer(id_, await self._read(reader))
        waiting = self._waiting.listening(id_, reader=reader.digest, known=known, seconds=wait)
        with waiting as (bell, granted):
            until = asyncio.get_running_loop().time() + granted
            while True:
                bell.hush()
                reading = await self._read(reader)
                if reading.bound or reading.sequence != known:
                    return self._answer(id_, reading)
                left = until - asyncio.get_running_loop().time()
                if left <= 0:
                    return None
                await bell.heard(left)
                # A receiver that steps back while it waits must not be bound again by its waiting.
                reader = msgspec.structs.replace(reader, binds=False)

    async def put(self, mailbox: str, headers: Headers, wanted: UpdateMailbox) -> store.Written:
        """Puts a party's message into a mailbox. Raises as `store.put`, and for the parts of the request."""
        claim, request_id, id_ = headers.claim(), headers.request_id(), _id(mailbox)
        digest = claim_digest(id_, claim)
        write = life.Write(
            payload=payload_json(wanted.payload, most_chars=self.settings.payload_chars),
            request=life.request_digest("update", digest, request_id),
            if_sequence=headers.if_sequence(),
            most_updates=self.settings.updates,
        )
        written = await self._database.run_prepared(store.put, id_, digest, write, now=self._clock())
        self._waiting.wake(id_)
        return written

    async def relinquish(self, mailbox: str, headers: Headers) -> store.Written:
        """Frees the receiver's place. Raises as `store.relinquish`, and for fields of the header."""
        claim, request_id, id_ = headers.claim(), headers.request_id(), _id(mailbox)
        digest = claim_digest(id_, claim)
        request = life.request_digest("relinquish", digest, request_id)
        written = await self._database.run_prepared(store.relinquish, id_, digest, request, now=self._clock())
        self._waiting.wake(id_)
        return written

    async def delete(self, mailbox: str, headers: Headers) -> None:
        """Deletes a mailbox. Raises as `store.remove`, and for fields of the header."""
        claim, id_ = headers.claim(), _id(mailbox)
        headers.optional_request_id()
        digest = claim_digest(id_, claim)
        await self._database.run_prepared(store.remove, id_, digest, now=self._clock())
        self._quota.count(-1)
        self._waiting.wake(id_)

    async def counts(self) -> store.Counts:
        """Counts the mailboxes by state."""
        return await self._database.run(store.count, now=self._clock())

    async def sweep(self) -> None:
        """Deletes what has expired, some rows at a time, and what deleted rows left in the log of SQLite."""
        while swept := await self._database.run(store.sweep, now=self._clock()):
            self._quota.count(-swept)
        await self.recount()
        await erase_traces(self._database)

    async def recount(self) -> None:
        """Looks how many mailboxes there are, those of other processes and those that have expired too."""
        self._quota.recount(await self._database.run(store.count_rows))

    async def look(self) -> None:
        """Wakes those who wait for what another process has done, or time."""
        mailboxes, now = self._waiting.mailboxes, self._clock()
        for place in range(0, len(mailboxes), _WAITERS):
            some = mailboxes[place : place + _WAITERS]
            found = await self._database.run(store.sequences, some, now=now)
            for mailbox in some:
                self._waiting.compare(mailbox, found.get(mailbox))

    async def _read(self, reader: store.Reader) -> store.Reading:
        return await self._database.run_prepared(store.read, reader, now=self._clock())

    def _answer(self, mailbox: bytes, reading: store.Reading) -> bytes:
        if reading.bound:
            self._waiting.wake(mailbox)
        return encode_reading(
            reading.payload,
            reading.display,
            expires_at=reading.expires_at,
            sequence=reading.sequence,
            state=reading.state,
        )


def _id(text: str) -> bytes:
    """The id in a path; what can be none is as unknown as any other (A8)."""
    found = parse_uuid(text)
    if found is None:
        raise MailboxUnknown("mailbox_unknown", "There is no such mailbox, or none any more.")
    return found
