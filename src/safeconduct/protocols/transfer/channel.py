"""The channel of version 2: a relay can keep a message back, but not change, reflect, repeat or reorder one.

Each direction has a key of its own and counts its messages; transfer, direction and count are authenticated
with each. A link says which version it is for, so that a relay cannot make anybody fall back to the drafts'.

    data = base64( 0x02 ‖ n ‖ IV ‖ ciphertext ‖ tag )        n: 4 bytes, from 1;  IV: 12 random bytes
    associated data = "sct/2" ‖ context ‖ direction ‖ n      direction: "s2r" or "r2s"
"""

import secrets
from typing import Final, Literal

from safeconduct.crypto import aead
from safeconduct.errors import Malformed, Rejected, Unsupported
from safeconduct.ids import Random
from safeconduct.protocols.transfer import padding
from safeconduct.protocols.transfer.draft_payload import DRAFT_TYPES, authentication_failed
from safeconduct.protocols.transfer.keys import TransferKeys, derive_keys
from safeconduct.protocols.transfer.payload import Payload, malformed, payload_bytes, payload_of

Role = Literal["sender", "receiver"]

PAYLOAD_TYPE: Final = "SCT2_AES_256_GCM"
"""The payload type of version 2."""

_VERSION: Final = b"\x02"
_COUNT_BYTES: Final = 4
_MOST: Final = (1 << 8 * _COUNT_BYTES) - 1
_NONCE_AT: Final = len(_VERSION) + _COUNT_BYTES
_CIPHERTEXT_AT: Final = _NONCE_AT + 12
_TAG_BYTES: Final = 16
_AES_256_GCM: Final = 2
_OUTGOING: Final[dict[Role, bytes]] = {"sender": b"s2r", "receiver": b"r2s"}
_INCOMING: Final[dict[Role, bytes]] = {"sender": b"r2s", "receiver": b"s2r"}


class Channel:
    """One party's end of a transfer. It keeps two counts, which have to outlive the process with the secret.

    `sent` is to be stored before a payload is sent: with an older count, the other party refuses the next
    one. What is sent again because an answer was lost is the same payload, not the content sealed anew.
    """

    __slots__ = ("_keys", "_received", "_role", "_sent")

    def __init__(self, secret: bytes, role: Role, *, sent: int = 0, received: int = 0) -> None:
        """secret: 16 or 32 bytes. sent, received: the counts so far. Raises Malformed
        "transfer_secret_malformed".
        """
        self._keys = derive_keys(secret)
        self._role = role
        self._sent = sent
        self._received = received

    @property
    def keys(self) -> TransferKeys:
        """The keys of the transfer."""
        return self._keys

    @property
    def sent(self) -> int:
        """Number of the last message sealed; 0 before the first."""
        return self._sent

    @property
    def received(self) -> int:
        """Number of the last message opened; 0 before the first."""
        return self._received

    def seal(self, content: bytes, *, random: Random = secrets.token_bytes) -> Payload:
        """Returns JSON text as this party's next message, padded and sealed.

        Raises Malformed "content_too_large", Rejected "channel_exhausted".
        """
        if self._sent >= _MOST:
            raise Rejected("channel_exhausted", "The channel has carried all the messages that it may.")
        padded = padding.pad(content)
        count = (self._sent + 1).to_bytes(_COUNT_BYTES, "big")
        direction = _OUTGOING[self._role]
        nonce = random(_CIPHERTEXT_AT - _NONCE_AT)
        aad = self._associated(direction, count)
        ciphertext, tag = aead.seal(_AES_256_GCM, self._key(direction), nonce, padded, aad)
        payload = payload_of(PAYLOAD_TYPE, _VERSION + count + nonce + ciphertext + tag)
        self._sent += 1
        return payload

    def open(self, payload: Payload) -> bytes:
        """Returns the content of the other party's message: JSON text, with its padding.

        Numbers may be left out, because a message that nobody read may be overwritten; none comes twice.

        Raises Rejected "payload_authentication_failed"; "payload_reflected" (a message of this party's own),
        "payload_rolled_back" (not newer than the last one opened), "payload_downgraded" (of the drafts);
        Unsupported "payload_type_unsupported"; Malformed "payload_malformed", "payload_too_large". A failure
        leaves the count as it is.
        """
        count, content = self._unseal(payload, _INCOMING[self._role])
        if count <= self._received:
            raise Rejected("payload_rolled_back", "The message is not newer than the last one.")
        self._received = count
        return content

    def is_own(self, payload: Payload) -> bool:
        """Tells whether a payload is a message of this party, such as one nobody has answered yet."""
        try:
            self._unseal(payload, _OUTGOING[self._role])
        except (Malformed, Rejected, Unsupported):
            return False
        return True

    def _unseal(self, payload: Payload, direction: bytes) -> tuple[int, bytes]:
        data = _read(payload)
        count = data[len(_VERSION) : _NONCE_AT]
        try:
            content = self._opened(data, direction, count)
        except (Malformed, Rejected):
            if direction == _INCOMING[self._role] and self.is_own(payload):
                raise Rejected("payload_reflected", "The message is this party's own.") from None
            raise authentication_failed() from None
        return int.from_bytes(count, "big"), content

    def _opened(self, data: bytes, direction: bytes, count: bytes) -> bytes:
        nonce = data[_NONCE_AT:_CIPHERTEXT_AT]
        ciphertext, tag = data[_CIPHERTEXT_AT:-_TAG_BYTES], data[-_TAG_BYTES:]
        aad = self._associated(direction, count)
        return aead.open_(_AES_256_GCM, self._key(direction), nonce, ciphertext, tag, aad)

    def _key(self, direction: bytes) -> bytes:
        keys = self._keys
        return keys.sender_to_receiver if direction == b"s2r" else keys.receiver_to_sender

    def _associated(self, direction: bytes, count: bytes) -> bytes:
        return b"sct/2" + self._keys.context + direction + count

    def __repr__(self) -> str:
        return f"<Channel of the {self._role} (keys not shown)>"


def _read(payload: Payload) -> bytes:
    if payload.type in DRAFT_TYPES:
        raise Rejected("payload_downgraded", "The link is for version 2, the payload is not.")
    if payload.type != PAYLOAD_TYPE:
        raise Unsupported("payload_type_unsupported", "The payload is of an unknown type.")
    data = payload_bytes(payload)
    if not data.startswith(_VERSION) or len(data) < _CIPHERTEXT_AT + _TAG_BYTES:
        raise malformed()
    return data
