"""The cipher suites of RFC 9420 §17.1: what each signs and hashes with.

Their HPKE parts are for those who operate groups and do not stand here.
"""

import hashlib
from typing import Final

import msgspec

from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import tls
from safeconduct.errors import Unsupported


class CipherSuite(msgspec.Struct, frozen=True, kw_only=True):
    """One cipher suite.

    number: in the registry. name: there. algorithm: COSE name of its signature algorithm. hash: as hashlib
    calls it.
    """

    number: int
    name: str
    algorithm: str
    hash: str

    def public_key(self, signature_key: bytes) -> PublicKey:
        """Returns the key that a SignaturePublicKey holds: raw for EdDSA, else an uncompressed point.

        Raises Malformed "key_malformed", also for a compressed point. Source: RFC 9420 §5.1.1.
        """
        return PublicKey.from_raw(signature_key, self.algorithm)

    def reference(self, label: str, value: bytes) -> bytes:
        """Returns the hash that refers to `value`, RefHash (RFC 9420 §5.2).

        label: the whole of it, with "MLS 1.0 " at its front where the text has that.
        """
        return hashlib.new(self.hash, tls.opaque(label.encode("ascii")) + tls.opaque(value)).digest()


def _suite(number: int, name: str, algorithm: str, hash_: str) -> CipherSuite:
    return CipherSuite(number=number, name=name, algorithm=algorithm, hash=hash_)


CIPHER_SUITES: Final = (
    _suite(1, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519", "Ed25519", "sha256"),
    _suite(2, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256", "ES256", "sha256"),
    _suite(3, "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519", "Ed25519", "sha256"),
    _suite(4, "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448", "Ed448", "sha512"),
    _suite(5, "MLS_256_DHKEMP521_AES256GCM_SHA512_P521", "ES512", "sha512"),
    _suite(6, "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448", "Ed448", "sha512"),
    _suite(7, "MLS_256_DHKEMP384_AES256GCM_SHA384_P384", "ES384", "sha384"),
)
"""All that are known here."""

_BY_NUMBER: Final = {suite.number: suite for suite in CIPHER_SUITES}


def by_number(number: int) -> CipherSuite:
    """Returns the cipher suite of that number. Raises Unsupported "mls_cipher_suite_unsupported"."""
    found = _BY_NUMBER.get(number)
    if found is None:
        raise Unsupported("mls_cipher_suite_unsupported", "The cipher suite is not one that is known here.")
    return found
