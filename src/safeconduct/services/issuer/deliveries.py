"""What deliveries are recognised by when a wallet asks again, and what they are called; no key is stored."""

import hashlib
import hmac
from collections.abc import Iterable

from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import b64

_LABEL = b"safeconduct delivery"


def ranked(holders: Iterable[PublicKey]) -> list[PublicKey]:
    """Returns the keys in an order that does not depend on that of the request."""
    return sorted(holders, key=PublicKey.jwk_thumbprint)


def delivery_digest(secret: str, configuration_id: str, holders: Iterable[PublicKey]) -> bytes:
    """Returns what a delivery to some holder keys is remembered by, in whatever order they came.

    secret: the credential identifier or access token of the request. Without it, the digest does not tell
    whether a key that a verifier saw is among them. configuration_id: a token may be good for several.
    """
    thumbprints = b"".join(key.jwk_thumbprint() for key in ranked(holders))
    kind = hashlib.sha256(configuration_id.encode()).digest()
    return hmac.digest(secret.encode(), _LABEL + kind + thumbprints, "sha256")


def name_of(digest: bytes, *, secret: str, purpose: str) -> str:
    """Returns a `transaction_id` or `notification_id` that is the same each time for one delivery.

    So a wallet that asks again gets the same one, and it need not be stored. purpose: which of them.
    """
    return b64.encode(hmac.digest(secret.encode(), f"safeconduct {purpose}".encode() + digest, "sha256"))
