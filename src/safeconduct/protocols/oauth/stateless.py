"""Nonces that a server recognises without having stored them.

A nonce is `time || random || HMAC-SHA256(key, purpose || time || random)` in base64url, `time` in seconds as
eight bytes. The purpose separates uses: a nonce for key proofs is not one for DPoP proofs. That a nonce is
used once only is a policy that needs memory, and not part of this.
"""

import hashlib
import hmac
import secrets

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import Malformed
from safeconduct.ids import Random

C_NONCE = "openid4vci c_nonce"
"""Purpose of nonces in key proofs (OpenID4VCI 1.0 §7)."""

DPOP_NONCE = "oauth dpop nonce"
"""Purpose of nonces in DPoP proofs (RFC 9449 §8)."""

PRESENTATION_NONCE = "presentation nonce"
"""Purpose of nonces that a verifier challenges a holder with."""

_KEY_BYTES = 32
_TIME_BYTES = 8
_RANDOM_BYTES = 16
_NONCE_BYTES = _TIME_BYTES + _RANDOM_BYTES + hashlib.sha256().digest_size


class StatelessNonces(msgspec.Struct, frozen=True):
    """Makes and recognises the nonces of one purpose.

    keys: server secrets of at least 32 bytes; the first makes nonces, all recognise them (rotation).
    purpose: what the nonces are for; distinct purposes never accept each other's.
    lifetime: seconds that a nonce is good.

    Raises ValueError on a short or missing key, or a lifetime that is not positive.
    """

    keys: tuple[bytes, ...]
    purpose: str
    lifetime: int = limits.NONCE_LIFETIME

    def __post_init__(self) -> None:
        if not self.keys or min(map(len, self.keys)) < _KEY_BYTES or self.lifetime <= 0:
            raise ValueError("stateless nonces need keys of 32 bytes or more and a positive lifetime")

    def __repr__(self) -> str:
        return f"StatelessNonces(purpose={self.purpose!r}, lifetime={self.lifetime})"

    def create(self, now: int, *, random: Random = secrets.token_bytes) -> str:
        """Returns a fresh nonce, good from `now` on."""
        body = now.to_bytes(_TIME_BYTES, "big") + random(_RANDOM_BYTES)
        return b64.encode(body + self._mac(self.keys[0], body))

    def accepts(self, nonce: str, *, now: int) -> bool:
        """Returns whether this server made `nonce` for this purpose within the lifetime before `now`."""
        try:
            raw = b64.decode(nonce, max_bytes=_NONCE_BYTES)
        except Malformed:
            return False
        if len(raw) != _NONCE_BYTES:
            return False
        body, mac = raw[:-32], raw[-32:]
        # Every key is tried, so that the time taken does not tell which one made the nonce.
        genuine = sum(hmac.compare_digest(mac, self._mac(key, body)) for key in self.keys) > 0
        made = int.from_bytes(body[:_TIME_BYTES], "big")
        return genuine and made - limits.CLOCK_SKEW <= now <= made + self.lifetime

    def _mac(self, key: bytes, body: bytes) -> bytes:
        purpose = self.purpose.encode()
        message = len(purpose).to_bytes(2, "big") + purpose + body
        return hmac.digest(key, message, "sha256")
