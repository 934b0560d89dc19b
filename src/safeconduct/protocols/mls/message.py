"""MLSMessage (RFC 9420 §6): the envelope in which everything of MLS travels."""

import msgspec

from safeconduct import limits
from safeconduct.encoding import tls
from safeconduct.encoding.tls import Reader
from safeconduct.errors import Unsupported
from safeconduct.protocols.mls import registries
from safeconduct.protocols.mls.credential import Framing
from safeconduct.protocols.mls.group_info import GroupInfo, take_group_info
from safeconduct.protocols.mls.key_package import KeyPackage, take_key_package
from safeconduct.protocols.mls.registries import MLS10, take_version

_FOR_MEMBERS = (registries.PUBLIC_MESSAGE, registries.PRIVATE_MESSAGE, registries.WELCOME)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message.

    wire_format: its number. body: for a KeyPackage or GroupInfo what it is; of those that members of a group
    send one another the bytes, which are not looked at.
    """

    wire_format: int
    body: KeyPackage | GroupInfo | bytes

    @property
    def encoded(self) -> bytes:
        """The whole message, exactly as received."""
        body = self.body if isinstance(self.body, bytes) else self.body.encoded
        return tls.uint(MLS10, 2) + tls.uint(self.wire_format, 2) + body

    def __repr__(self) -> str:
        return f"<Message of wire format {self.wire_format}>"


def parse_message(data: bytes, *, framing: Framing) -> Message:
    """Returns the MLSMessage that `data` is.

    framing: of an SD-JWT in it. Raises Unsupported "mls_version_unsupported", "mls_wire_format_unsupported",
    "tls_too_long" above `limits.MLS_MESSAGE_BYTES`, or for a KeyPackage above `limits.MLS_KEY_PACKAGE_BYTES`;
    and what a KeyPackage or GroupInfo raises.
    """
    return tls.read(data, lambda reader: _take_message(reader, framing), most=limits.MLS_MESSAGE_BYTES)


def key_package_message(key_package: KeyPackage) -> Message:
    """Returns the message in which a KeyPackage is published."""
    return Message(wire_format=registries.KEY_PACKAGE, body=key_package)


def _take_message(reader: Reader, framing: Framing) -> Message:
    take_version(reader)
    wire_format = reader.uint16()
    return Message(wire_format=wire_format, body=_take_body(reader, wire_format, framing))


def _take_body(reader: Reader, wire_format: int, framing: Framing) -> KeyPackage | GroupInfo | bytes:
    if wire_format == registries.KEY_PACKAGE:
        return tls.read(
            reader.rest(),
            lambda inner: take_key_package(inner, framing),
            most=limits.MLS_KEY_PACKAGE_BYTES,
        )
    if wire_format == registries.GROUP_INFO:
        return take_group_info(reader)
    if wire_format in _FOR_MEMBERS:
        return reader.rest()
    raise Unsupported("mls_wire_format_unsupported", "The message is of a kind that is not known here.")
