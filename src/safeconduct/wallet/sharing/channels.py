"""From a record to the messages of its transfer: sealed and opened under the counters that stand in it.

Keep the record that `seal_next` returns before its payload is sent, and the payload with it: a message that
is sent again must be the same. Keep the one that `open_next` returns together with what the message said.
"""

from typing import TypeVar

import msgspec

from safeconduct.errors import Rejected
from safeconduct.protocols.transfer import draft_payload
from safeconduct.protocols.transfer.channel import Channel, Role
from safeconduct.protocols.transfer.content import Content, encode_content, parse_content
from safeconduct.protocols.transfer.payload import Payload
from safeconduct.wallet.context import Context
from safeconduct.wallet.sharing.records import Given, Taken

T = TypeVar("T", Given, Taken)

_DRAFT = 1


def channel_of(record: Given | Taken) -> Channel:
    """Return this party's end of the transfer, as it stands in its record."""
    role: Role = "sender" if isinstance(record, Given) else "receiver"
    return Channel(record.secret, role, sent=record.sent, received=record.received)


def seal_next(context: Context, record: T, content: Content) -> tuple[T, Payload]:
    """Return this party's next message, and the record that has counted it."""
    encoded = encode_content(content)
    if record.version == _DRAFT:
        return record, draft_payload.seal_draft(record.secret, encoded, random=context.random)
    channel = channel_of(record)
    payload = channel.seal(encoded, random=context.random)
    return msgspec.structs.replace(record, sent=channel.sent), payload


def open_next(record: T, payload: Payload) -> tuple[T, Content]:
    """Return what the other party's message says, and the record that has counted it.

    Raises what `Channel.open`, `open_draft` and `parse_content` raise; above all Rejected
    payload_authentication_failed, payload_rolled_back, payload_reflected, payload_downgraded.
    """
    if record.version == _DRAFT:
        return record, parse_content(draft_payload.open_draft(record.secret, payload))
    channel = channel_of(record)
    opened = channel.open(payload)
    return msgspec.structs.replace(record, received=channel.received), parse_content(opened)


def is_new(record: Given | Taken, payload: Payload) -> bool:
    """Tell whether a payload is neither this party's own nor one that it has opened before.

    A message that opens with none of the keys is new: what is wrong with it is told when it is opened.
    """
    if record.version == _DRAFT:
        return True
    try:
        channel_of(record).open(payload)
    except Rejected as error:
        return error.code not in ("payload_reflected", "payload_rolled_back")
    return True
