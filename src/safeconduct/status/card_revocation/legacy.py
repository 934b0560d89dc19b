"""Identifiers of cards without a rid, computed from the card itself.

Neither is a digest of a token or of a whole signature: an ECDSA signature has a twin, and base64url a tail of
bits that stand for nothing, so that whoever holds a card can make others of it with another digest.
"""

import hashlib
from typing import Any

from safeconduct.encoding import b64, jcs
from safeconduct.errors import Unsupported
from safeconduct.status.card_revocation.methods import HASH_FHIR, SIGNED_TEXT


def identifier(method: str, *, bundle: Any, signing_input: bytes, signature: bytes) -> str:
    """Returns a card's identifier under a method for cards without a rid.

    Raises Unsupported "status_method_unknown" for any other method.
    """
    if method == HASH_FHIR:
        return of_bundle(bundle)
    if method == SIGNED_TEXT:
        return of_signed_text(signing_input, signature)
    raise Unsupported("status_method_unknown", "The list's method is not one that is known here.")


def of_bundle(bundle: Any) -> str:
    """Returns a card's identifier under the method `hash-fhir`: 11 characters.

    bundle: the value of `fhirBundle`. Source: draft RFC 002 of the framework; base64url of the first 8 bytes
    of SHA-256 over the base64url text of the bundle's canonical JSON (RFC 8785).
    """
    return b64.encode(_sha256(b64.encode(jcs.dumps(bundle)).encode())[:_BUNDLE_BYTES])


def of_signed_text(signing_input: bytes, signature: bytes) -> str:
    """Returns a card's identifier under the method SIGNED_TEXT: 22 characters, 128 bits.

    signing_input: the header and payload of the JWS as received, with the dot between. signature: its bytes,
    r and s of 32 each. Only r goes in: with -s in the place of s the signature verifies as well, with another
    r it does not. Nobody who has not seen the card can guess r, so the identifier tells nothing of the card.
    """
    return b64.encode(_sha256(signing_input + signature[:_R_BYTES])[:_SIGNED_TEXT_BYTES])


_BUNDLE_BYTES = 8
_R_BYTES = 32
_SIGNED_TEXT_BYTES = 16


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
