"""Encrypted disclosures: `sd_aead_encrypted_claims` (SD-CWT-08 §11).

The holder encrypts a disclosure under a key that only some of its readers have. The digest is over the
plaintext, so whoever opens an entry treats it like any other disclosure; whoever cannot, passes it on.
"""

import secrets
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.crypto import aead
from safeconduct.encoding import cbor
from safeconduct.envelope.cose import Header
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported
from safeconduct.formats.redaction import Disclosure
from safeconduct.formats.sd_cwt.codec import CborCodec
from safeconduct.formats.sd_cwt.labels import SD_AEAD, SD_AEAD_ENCRYPTED_CLAIMS
from safeconduct.ids import Random
from safeconduct.trust import AeadKey

DEFAULT_AEAD = 1
_RULE = "SD-CWT-08 §11"
_OLD_NONCE_BYTES = 16


class Entry(msgspec.Struct, frozen=True):
    """One encrypted disclosure. context: names the key, None where nothing names it."""

    nonce: bytes
    ciphertext: bytes
    tag: bytes
    context: int | str | bytes | None = None

    def item(self) -> list[Any]:
        """Return the entry as it stands in the header."""
        parts: list[Any] = [self.nonce, self.ciphertext, self.tag]
        return parts if self.context is None else [*parts, self.context]


def algorithm(protected: Header) -> int:
    """Return the AEAD number that the issuer fixed.

    Raises Malformed: sd_aead_malformed; Unsupported: sd_aead_forbidden.
    """
    number = protected.get(SD_AEAD, DEFAULT_AEAD)
    if type(number) is not int or not 0 <= number <= 0xFFFF:
        raise Malformed("sd_aead_malformed", "sd_aead is not a 16-bit number.", rule=_RULE)
    if number in aead.SD_CWT_FORBIDDEN:
        raise Unsupported("sd_aead_forbidden", "The AEAD algorithm is forbidden for disclosures.", rule=_RULE)
    return number


def read(unprotected: Header, protected: Header, *, old_nonces: bool) -> tuple[Entry, ...]:
    """Read the entries of a token without opening them.

    old_nonces: whether 16-byte nonces are read too.
    Raises Rejected: aead_claims_empty; Malformed: aead_entry_malformed, and as `algorithm`.
    """
    if SD_AEAD_ENCRYPTED_CLAIMS not in unprotected:
        return ()
    carried = unprotected[SD_AEAD_ENCRYPTED_CLAIMS]
    if type(carried) is not list:
        raise Malformed("aead_entry_malformed", "sd_aead_encrypted_claims is not an array.", rule=_RULE)
    if not carried:
        raise Rejected("aead_claims_empty", "sd_aead_encrypted_claims is empty.", rule="SD-CWT-08 §9 step 2")
    if len(carried) > limits.DISCLOSURES:
        raise Malformed("too_many_disclosures", f"More than {limits.DISCLOSURES} disclosures.")
    number = algorithm(protected)
    return tuple(_entry(item, number, old_nonces=old_nonces) for item in carried)


def _entry(item: Any, number: int, *, old_nonces: bool) -> Entry:
    if type(item) is not list or not 3 <= len(item) <= 4 or any(type(part) is not bytes for part in item[:3]):
        raise Malformed("aead_entry_malformed", "An entry is not [nonce, ciphertext, tag].", rule=_RULE)
    if len(item) == 4 and (type(item[3]) not in (int, str, bytes) or (type(item[3]) is int and item[3] < 0)):
        raise Malformed("aead_entry_malformed", "A key context has the wrong type.", rule=_RULE)
    entry = Entry(*item)
    try:
        known = aead.by_identifier(number)
    except Unsupported:
        return entry
    nonce_sizes = {known.nonce_bytes, _OLD_NONCE_BYTES} if old_nonces else {known.nonce_bytes}
    if len(entry.nonce) not in nonce_sizes or len(entry.tag) != known.tag_bytes:
        raise Malformed("aead_entry_malformed", "A nonce or tag has the wrong length.", rule=_RULE)
    return entry


def open_entries(
    entries: Iterable[Entry], *, keys: Collection[AeadKey], number: int, codec: CborCodec
) -> tuple[Disclosure, ...]:
    """Decrypt the entries that the keys are for; entries for other keys are passed over.

    Raises Rejected: aead_authentication_failed for an entry that a key is for and none opens, and as
    `CborCodec.decode` for what is inside.
    """
    opened: list[bytes] = []
    for entry in entries:
        fitting = [key for key in keys if key.context is None or key.context == entry.context]
        if fitting:
            opened.append(_unwrap(_decrypt(entry, fitting, number)))
    return codec.decode(opened)


def _decrypt(entry: Entry, keys: Iterable[AeadKey], number: int) -> bytes:
    failure: SafeconductError | None = None
    for key in keys:
        try:
            return aead.open_(
                number, key.key, entry.nonce, entry.ciphertext, entry.tag, nonce_bytes=len(entry.nonce)
            )
        except SafeconductError as error:
            failure = error
    assert failure is not None
    raise failure


def _unwrap(plaintext: bytes) -> bytes:
    encoded = cbor.loads(plaintext)
    if type(encoded) is not bytes:
        raise Malformed("disclosure_malformed", "An encrypted disclosure is not a byte string.", rule=_RULE)
    return encoded


def seal(disclosure: Disclosure, key: AeadKey, *, number: int, random: Random = secrets.token_bytes) -> Entry:
    """Encrypt a disclosure (SD-CWT-08 §11: the wrapped disclosure, a fresh nonce, no AAD).

    Raises Unsupported: aead_unsupported; Malformed: aead_malformed for a key of the wrong length.
    """
    nonce = random(aead.by_identifier(number).nonce_bytes)
    ciphertext, tag = aead.seal(number, key.key, nonce, cbor.dumps(disclosure.encoded))
    return Entry(nonce, ciphertext, tag, key.context)
