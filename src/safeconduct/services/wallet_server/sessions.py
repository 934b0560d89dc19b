"""Sessions that nobody has to store: a token holds the session, under the server's authenticator.

So opening sessions costs a stranger's flood one HMAC each, and holds nothing. A row is written only when a
session ends before its time.

Token, before base64url: version (1 byte), epoch of the key (4), identifier (16), end of the session (8), end
of the token (8), HMAC-SHA256 (32). Ticket: epoch of the key (4), HMAC-SHA256 (32) over owner, end of the
session and issuer.
"""

import hashlib
import hmac
import secrets
import struct
from collections.abc import Mapping

import msgspec

from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected
from safeconduct.ids import Random

EPOCH_SECONDS = 86400
"""How long one key makes tokens."""

KEY_BYTES = 32

_VERSION = 1
_PAYLOAD = struct.Struct(">BI16sQQ")
_EPOCH = struct.Struct(">I")
_MAC_BYTES = 32


class SessionUnknown(Rejected):
    """The request names no session, or none that is in force."""

    oauth_error = "invalid_token"
    http_status = 401


class TicketRefused(Rejected):
    """The ticket is not one that this session was given for this issuer."""

    oauth_error = "access_denied"
    http_status = 403


class Session(msgspec.Struct, frozen=True):
    """A session in force. ends: when it is over for good, in seconds."""

    id: bytes
    ends: int

    @property
    def owner(self) -> bytes:
        """By what the database knows the session; the identifier itself is stored nowhere."""
        return hashlib.sha256(b"owner\0" + self.id).digest()

    def __repr__(self) -> str:
        return f"<Session ends={self.ends}>"


class Opened(msgspec.Struct, frozen=True):
    """What a wallet is given. expires_in, renewable_for: seconds that the token and the session last."""

    token: str
    expires_in: int
    renewable_for: int

    def __repr__(self) -> str:
        return f"<Opened expires_in={self.expires_in}>"


class Seal:
    """Makes and reads tokens and tickets. keys: by epoch; the caller keeps them current."""

    def __init__(self, *, random: Random = secrets.token_bytes) -> None:
        self.keys: Mapping[int, bytes] = {}
        self._random = random

    def begin(self, *, now: int, lifetime: int) -> Session:
        """Return a new session that lasts `lifetime` seconds."""
        return Session(self._random(16), now + lifetime)

    def token(self, session: Session, *, now: int, lifetime: int) -> Opened:
        """Return a token for the session, good for `lifetime` seconds or until the session's end."""
        epoch = now // EPOCH_SECONDS
        expires = min(now + lifetime, session.ends)
        payload = _PAYLOAD.pack(_VERSION, epoch, session.id, session.ends, expires)
        mac = self._mac(epoch, b"session\0" + payload)
        return Opened(b64.encode(payload + mac), expires - now, session.ends - now)

    def read(self, token: str | None, *, now: int) -> Session:
        """Return the session of a token in force. Raises SessionUnknown "session_unknown"."""
        payload, mac = _parts(token or "", _PAYLOAD.size)
        version, epoch, identifier, ends, expires = _PAYLOAD.unpack(payload)
        if version != _VERSION or not self._is_ours(epoch, b"session\0" + payload, mac) or expires <= now:
            raise _unknown()
        return Session(identifier, ends)

    def ticket(self, session: Session, issuer: str, *, now: int) -> str:
        """Return the proof that this session has something to expect from this issuer."""
        epoch = now // EPOCH_SECONDS
        return b64.encode(_EPOCH.pack(epoch) + self._mac(epoch, _ticketed(session, issuer)))

    def check_ticket(self, ticket: str, session: Session, issuer: str) -> None:
        """Raises TicketRefused "ticket_refused" unless the ticket is of this session and issuer."""
        try:
            payload, mac = _parts(ticket, _EPOCH.size)
        except SessionUnknown:
            raise _refused() from None
        (epoch,) = _EPOCH.unpack(payload)
        if not self._is_ours(epoch, _ticketed(session, issuer), mac):
            raise _refused()

    def _mac(self, epoch: int, message: bytes) -> bytes:
        return hmac.digest(self.keys[epoch], message, "sha256")

    def _is_ours(self, epoch: int, message: bytes, mac: bytes) -> bool:
        return epoch in self.keys and hmac.compare_digest(self._mac(epoch, message), mac)


def delivery_id(session: Session, idempotency_key: str) -> str:
    """Return the identifier of the delivery that the session knows by this key; unpredictable to others."""
    return b64.encode(hmac.digest(session.id, b"delivery\0" + idempotency_key.encode(), "sha256"))


def _ticketed(session: Session, issuer: str) -> bytes:
    return b"ticket\0" + session.owner + session.ends.to_bytes(8, "big") + issuer.encode()


def _parts(text: str, size: int) -> tuple[bytes, bytes]:
    try:
        data = b64.decode(text, max_bytes=size + _MAC_BYTES)
    except Malformed:
        raise _unknown() from None
    if len(data) != size + _MAC_BYTES:
        raise _unknown()
    return data[:size], data[size:]


def _unknown() -> SessionUnknown:
    return SessionUnknown("session_unknown", "There is no such session; begin one.")


def _refused() -> TicketRefused:
    return TicketRefused("ticket_refused", "Nothing of this issuer is awaited in this session.")
