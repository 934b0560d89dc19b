"""Integrity metadata: a hash that a document must have (W3C Subresource Integrity §3)."""

import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from safeconduct.errors import Malformed, Rejected

_RULE = "W3C SRI §3.3"
_HASHES: dict[str, Callable[[bytes], Any]] = {
    "sha512": hashlib.sha512,
    "sha384": hashlib.sha384,
    "sha256": hashlib.sha256,
}
"""Strongest first."""


def checksum(document: bytes) -> str:
    """Return the integrity metadata of a document."""
    return f"sha256-{binascii.b2a_base64(hashlib.sha256(document).digest(), newline=False).decode()}"


def check(document: bytes, expected: str) -> None:
    """Check a document against integrity metadata: one of the hashes of the strongest kind must be its own.

    Raises Malformed: integrity_malformed, also where no hash is of a known kind; Rejected:
    integrity_mismatch. Source: W3C SRI §3.3.4, §3.3.5, which would let the latter pass.
    """
    listed = [word.partition("?")[0].partition("-") for word in expected.split()[:_MOST]]
    for name, new in _HASHES.items():
        hashes = [_decoded(value) for kind, _, value in listed if kind == name]
        if hashes:
            own = new(document).digest()
            if not any(hmac.compare_digest(own, item) for item in hashes):
                raise Rejected(
                    "integrity_mismatch", "The document does not have the hash it should.", rule=_RULE
                )
            return
    raise Malformed("integrity_malformed", "The integrity metadata has no hash of a known kind.", rule=_RULE)


_MOST = 16


def _decoded(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise Malformed("integrity_malformed", "A hash is not in base64.", rule=_RULE) from None
