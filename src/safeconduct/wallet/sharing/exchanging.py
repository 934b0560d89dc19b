"""Messages after the first, either way: sealed, kept, sent; waited for, read, opened.

Both sides use these. A record whose answer was lost has its letter still, and `flush` sends that again.
"""

from typing import TypeVar

import msgspec

from safeconduct.errors import Rejected
from safeconduct.protocols.transfer.content import Content
from safeconduct.wallet.context import Context
from safeconduct.wallet.sharing import channels, register, relays
from safeconduct.wallet.sharing.records import Box, Given, Letter, Taken
from safeconduct.wallet.sharing.relay_line import Mail, RelayLine, polls

T = TypeVar("T", Given, Taken)


async def send(context: Context, record: T, content: Content) -> T:
    """Send a message in the place of the one that lies there.

    record: with all that goes with the message; it is kept before anything is sent.
    Raises Rejected: transfer_over if another process has ended the transfer; and as `RelayLine.update`.
    """
    sealed, payload = channels.seal_next(context, record, content)
    letter = Letter(payload, relays.new_id(context))
    return await flush(context, await keep(context, msgspec.structs.replace(sealed, letter=letter)))


async def flush(context: Context, record: T) -> T:
    """Send again what may not have arrived, if there is something. Raises as `send`."""
    if record.letter is None:
        return record
    box = box_of(record)
    sequence = await RelayLine(context, box).update(
        record.letter.payload, request_id=record.letter.request_id
    )
    box = msgspec.structs.replace(box, sequence=max(sequence, box.sequence))
    return await keep(context, msgspec.structs.replace(record, letter=None, box=box))


async def receive(context: Context, record: T, *, seconds: int) -> tuple[T, Content | None]:
    """Return the other party's next message, or None if there was none within so many seconds.

    The record that comes back has counted the message, and is not kept yet: keep it together with what the
    message said, or the message cannot be read again after a crash. It also has the mailbox's state.
    Raises as `RelayLine.read` (mailbox_gone: the other party, or the end of its time, has ended the transfer)
    and `channels.open_next`.
    """
    record = await flush(context, record)
    until = context.clock() + seconds
    for _ in range(seconds + 1):  # whatever the relay answers, and however soon
        asked = context.clock()
        record, mail = await look(context, record, seconds=max(0, until - asked))
        if mail is not None and channels.is_new(record, mail.payload):
            return channels.open_next(record, mail.payload)
        if context.clock() >= until:
            break
        if mail is not None or not polls(context) or context.clock() == asked:
            await context.sleep(1)  # also where a relay lets nobody wait, because too many do
    return record, None


async def look(context: Context, record: T, *, seconds: int = 0) -> tuple[T, Mail | None]:
    """Return what lies in the mailbox, None if nothing has happened there since the last time.

    The record that comes back has the mailbox's sequence and state. A relay that does not count is asked at
    once, always. Raises as `RelayLine.read`.
    """
    box = box_of(record)
    mail = await RelayLine(context, box).read(wait=seconds, known=box.sequence or None)
    if mail is None:
        return record, None
    seen = msgspec.structs.replace(box, sequence=mail.sequence, state=mail.state or box.state)
    return msgspec.structs.replace(record, box=seen), mail


async def keep(context: Context, record: T) -> T:
    """Keep what is new, and return the record as it is kept.

    Raises Rejected: transfer_over if another process has ended the transfer, transfer_changed if one goes on
    with it.
    """
    kept: T | None = await context.safe.run(register.change, record)
    if kept is not None:
        return kept
    if await context.safe.run(register.get, record.id) is None:
        raise Rejected("transfer_over", "The transfer was ended meanwhile.")
    raise changed()


def changed() -> Rejected:
    """The error for a transfer that another process goes on with."""
    return Rejected("transfer_changed", "Another program goes on with this transfer; look at it there.")


def box_of(record: Given | Taken) -> Box:
    """Return the transfer's mailbox. Raises Rejected: relay_missing for one without a relay."""
    if record.box is None or not record.box.id:
        raise Rejected("relay_missing", "The transfer goes without a relay.")
    return record.box
