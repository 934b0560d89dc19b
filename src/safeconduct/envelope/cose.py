"""COSE_Sign1 (RFC 9052 §4.2): one signer, tagged, protected header never empty here.

`parse` keeps the bytes as they came; `verify` checks the signature over those bytes, never over a
re-encoding.
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.crypto import algorithms
from safeconduct.crypto.algorithms import Algorithm
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import cbor
from safeconduct.errors import Malformed, Rejected, Unsupported

SIGN1_TAG = 18

ALG = 1
CRIT = 2
CONTENT_TYPE = 3
KID = 4
KCWT = 13
CWT_CLAIMS = 15
TYP = 16

Header = Mapping[int | str, Any]


class Sign1(msgspec.Struct, frozen=True):
    """A parsed COSE_Sign1; nothing in it is verified.

    protected_bytes, payload, signature: exactly as received.
    """

    protected_bytes: bytes
    protected: Header
    unprotected: Header
    payload: bytes
    signature: bytes

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm that the protected header names."""
        identifier = self.protected.get(ALG)
        if type(identifier) is not int:
            raise Malformed("cose_alg_missing", "The protected header names no algorithm.", rule=_HEADERS)
        return algorithms.by_cose(identifier)


_HEADERS = "RFC 9052 §3"
_STRUCTURE = "RFC 9052 §4.2"


def sign(
    payload: bytes,
    *,
    signer: Signer,
    protected: Mapping[int | str, Any],
    unprotected: Mapping[int | str, Any] | None = None,
) -> bytes:
    """Return the tagged COSE_Sign1 of `payload`; `alg` is added to the protected header.

    Source: RFC 9052 §4.2, §4.4.
    """
    header = cbor.dumps({ALG: signer.algorithm.cose, **protected})
    signature = signer.sign(_to_be_signed(header, payload))
    return assemble(header, unprotected or {}, payload, signature)


def assemble(protected: bytes, unprotected: Header, payload: bytes, signature: bytes) -> bytes:
    """Return the tagged COSE_Sign1 of parts that are already made."""
    parts = (protected, unprotected, payload, signature)
    return _SIGN1_HEAD + b"\x84" + b"".join([cbor.dumps(part) for part in parts])


def parse(data: bytes, *, max_bytes: int = limits.TOKEN_BYTES) -> Sign1:
    """Read a tagged COSE_Sign1 with an embedded payload.

    Raises Malformed: cbor_*, cose_malformed, cose_alg_missing, cose_header_duplicate; Unsupported:
    crit_unsupported. Source: RFC 9052 §3, §3.1, §4.2.
    """
    if data[:1] == _SIGN1_HEAD:
        # The tag is one byte; without it the parts need no copy out of a tagged, frozen item.
        return _from_parts(cbor.loads(data[1:], max_bytes=max_bytes - 1))
    return from_item(cbor.loads(data, max_bytes=max_bytes))


def from_item(item: Any) -> Sign1:
    """Read a COSE_Sign1 that has been decoded as part of something larger. Raises as `parse`."""
    if type(item) is not cbor.Tag or item.tag != SIGN1_TAG:
        raise Malformed("cose_malformed", "The item is not a tagged COSE_Sign1.", rule=_STRUCTURE)
    return _from_parts(item.value)


def _from_parts(parts: Any) -> Sign1:
    if type(parts) is not list or len(parts) != 4:
        raise Malformed("cose_malformed", "A COSE_Sign1 has four parts.", rule=_STRUCTURE)
    protected_bytes, unprotected, payload, signature = parts
    if not (type(protected_bytes) is type(payload) is type(signature) is bytes and type(unprotected) is dict):
        raise Malformed("cose_malformed", "A part of the COSE_Sign1 has the wrong type.", rule=_STRUCTURE)
    protected = cbor.loads(protected_bytes) if protected_bytes else {}
    if type(protected) is not dict:
        raise Malformed("cose_malformed", "The protected header is not a map.", rule=_HEADERS)
    _check_headers(protected, unprotected)
    return Sign1(protected_bytes, protected, unprotected, payload, signature)


def verify(message: Sign1, *, key: PublicKey, accept: Collection[str]) -> None:
    """Check the signature over the received bytes.

    accept: names of the algorithms that the caller allows; the key must fit the one that the header names.
    Raises Unsupported: algorithm_unsupported; Rejected: algorithm_not_accepted, algorithm_key_mismatch,
    signature_invalid. Source: RFC 9052 §4.4.
    """
    algorithm = message.algorithm
    if algorithm.name not in accept:
        raise Rejected("algorithm_not_accepted", "The algorithm is not among the accepted ones.")
    if not algorithms.compatible(algorithm, key.algorithm):
        raise Rejected("algorithm_key_mismatch", "The key does not fit the algorithm that the header names.")
    key.verify(message.signature, _to_be_signed(message.protected_bytes, message.payload))


def _check_headers(protected: Header, unprotected: Header) -> None:
    for header in (protected, unprotected):
        for label in header:
            if type(label) is not int and type(label) is not str:
                raise Malformed(
                    "cose_malformed", "A header label is neither integer nor text.", rule=_HEADERS
                )
    if not protected.keys().isdisjoint(unprotected.keys()):
        raise Malformed("cose_header_duplicate", "A label stands in both headers.", rule=_HEADERS)
    if ALG in unprotected:
        raise Malformed("cose_alg_missing", "The algorithm must be protected.", rule="RFC 9052 §3.1")
    if CRIT in protected or CRIT in unprotected:
        raise Unsupported(
            "crit_unsupported", "No critical header parameter is understood here.", rule="RFC 9052 §3.1"
        )


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """Return the encoded Sig_structure with an empty external_aad (RFC 9052 §4.4)."""
    return b"".join(
        (
            _SIGNATURE1,
            cbor.byte_string_head(len(protected)),
            protected,
            b"\x40",
            cbor.byte_string_head(len(payload)),
            payload,
        )
    )


_SIGN1_HEAD = bytes((0xC0 | SIGN1_TAG,))
_SIGNATURE1 = b"\x84" + cbor.dumps("Signature1")
