"""External senders (RFC 9420 §12.1.8.1): who may send proposals to a group without being a member."""

from collections.abc import Iterable

import msgspec

from safeconduct import limits
from safeconduct.encoding import tls
from safeconduct.encoding.tls import Reader
from safeconduct.protocols.mls.credential import Credential, Framing, take_credential


class ExternalSender(msgspec.Struct, frozen=True, kw_only=True):
    """One who may send proposals: his key and his credential."""

    signature_key: bytes
    credential: Credential

    def encode(self) -> bytes:
        """Returns the ExternalSender as MLS carries it."""
        return tls.opaque(self.signature_key) + self.credential.encode()

    def __repr__(self) -> str:
        return f"<ExternalSender {self.credential!r}>"


def parse_external_senders(data: bytes, *, framing: Framing) -> tuple[ExternalSender, ...]:
    """Returns what the extension external_senders holds, in order: a sender is named by his place there.

    data: of the extension, the length of the list included. framing: of an SD-JWT in it.
    Raises Malformed "tls_…"; Unsupported "tls_too_long" above `limits.MLS_MESSAGE_BYTES`, "tls_too_many"
    above `limits.MLS_EXTERNAL_SENDERS`; and what a credential raises.
    """
    return tls.read(
        data,
        lambda reader: reader.vector(
            lambda inner: _take_external_sender(inner, framing), count=limits.MLS_EXTERNAL_SENDERS
        ),
        most=limits.MLS_MESSAGE_BYTES,
    )


def encode_external_senders(senders: Iterable[ExternalSender]) -> bytes:
    """Returns the data of the extension external_senders."""
    return tls.vector(sender.encode() for sender in senders)


def _take_external_sender(reader: Reader, framing: Framing) -> ExternalSender:
    return ExternalSender(signature_key=reader.opaque(), credential=take_credential(reader, framing))
