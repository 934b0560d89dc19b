"""X.509 certificates as JOSE carries them (`x5c`, RFC 7515 §4.1.6), and the path from one to a trust anchor.

The path is judged as RFC 5280 §6.1 has it, on a narrow profile: the chain stands in order and is complete up
to the anchor, which is not in it (HAIP 1.0), keys are those that this library signs with, and whatever could
narrow a certificate in a way that is not understood here refuses it. Revocation is not looked at.
"""

import base64
import binascii
import hashlib
import itertools
import re
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtensionOID, SignatureAlgorithmOID

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.kinds import Handle
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported

SELF_SIGNED_LEAF: Final = "self-signed-leaf"
"""Leniency: a certificate signed by its own key is believed if it is itself an anchor, and stands alone."""

ANCHOR_IN_CHAIN: Final = "anchor-in-chain"
"""Leniency: the chain may go on to the anchor itself, which HAIP 1.0 forbids."""

LENIENCIES: Final = frozenset((SELF_SIGNED_LEAF, ANCHOR_IN_CHAIN))
"""All departures from HAIP 1.0 that a caller may accept by name."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that is well formed; whether to believe what it says is for `verify_chain` to find out.

    der: its exact bytes. subject: the name it certifies, as text (RFC 4514). dns, uris: its subject
    alternative names of these kinds. self_issued: whether it names itself as its issuer. key: the key that it
    certifies. not_before, not_after: seconds since 1970, both still within. authority: whether it is a CA's,
    and path_length: how many further CAs may stand between that CA and a leaf, None for any number. signs,
    certifies: whether the key may sign data, and certificates. opaque: whether it has a restriction that is
    not understood here.
    """

    der: bytes
    subject: str
    dns: tuple[str, ...]
    uris: tuple[str, ...]
    self_issued: bool
    key: PublicKey
    not_before: int
    not_after: int
    authority: bool
    path_length: int | None
    signs: bool
    certifies: bool
    opaque: bool
    handle: Handle

    @property
    def thumbprint(self) -> bytes:
        """The SHA-256 of its bytes (RFC 7515 §4.1.8)."""
        return hashlib.sha256(self.der).digest()

    def __repr__(self) -> str:
        return f"<Certificate {len(self.der)} bytes>"


def from_der(der: bytes) -> Certificate:
    """Reads one certificate.

    Raises Malformed "certificate_malformed"; Unsupported "certificate_unsupported" (its key, or the signature
    on it, is not of an algorithm that is used here).
    """
    if len(der) > limits.CERTIFICATE_BYTES:
        raise _malformed("A certificate is longer than allowed here.")
    try:
        handle = x509.load_der_x509_certificate(der)
        return _certificate(der, handle)
    except UnsupportedAlgorithm:
        raise _unsupported("A certificate has a key of a type that is not used here.") from None
    except _MISREAD:
        raise _malformed("A certificate is not a DER X.509 certificate.") from None


def read_x5c(value: Any) -> tuple[Certificate, ...]:
    """Reads the `x5c` member of a JOSE header: an array of certificates in base64, the leaf's first.

    value: the member's decoded JSON.

    Raises Malformed "x5c_malformed", Unsupported "certificate_unsupported".
    Source: RFC 7515 §4.1.6. Nothing is believed yet.
    """
    if not isinstance(value, list) or not 0 < len(value) <= limits.X5C_CERTIFICATES:
        raise _x5c_malformed(f"x5c is not an array of 1 to {limits.X5C_CERTIFICATES} certificates.")
    try:
        return tuple(from_der(_base64(entry)) for entry in value)
    except Malformed as error:
        raise _x5c_malformed(error.reason) from error


def to_x5c(chain: Sequence[Certificate]) -> list[str]:
    """Returns a chain as the `x5c` member of a JOSE header; the anchor should not be in it (HAIP 1.0)."""
    return [base64.b64encode(certificate.der).decode("ascii") for certificate in chain]


def chain_from_pem(text: str | bytes) -> tuple[Certificate, ...]:
    """Reads the PEM certificates of a file in their order.

    Raises Malformed "certificate_malformed" (no certificate, too many, or one that is none), Unsupported
    "certificate_unsupported", Rejected "private_key_where_public_expected".
    """
    try:
        data = text.encode("ascii") if isinstance(text, str) else text
    except UnicodeEncodeError:
        raise _malformed("The certificate file is not ASCII text.") from None
    if len(data) > _PEM_BYTES:
        raise _malformed("The certificate file is longer than allowed here.")
    if b"PRIVATE KEY-----" in data:
        raise Rejected("private_key_where_public_expected", "A certificate file holds a private key.")
    blocks = _PEM_BLOCK.findall(data)
    if not 0 < len(blocks) <= limits.TRUST_CERTIFICATES or len(blocks) != data.count(_PEM_BEGIN):
        raise _malformed(f"The file does not hold 1 to {limits.TRUST_CERTIFICATES} PEM certificates.")
    try:
        return tuple(from_der(base64.b64decode(b"".join(block.split()), validate=True)) for block in blocks)
    except binascii.Error:
        raise _malformed("A PEM certificate is not base64.") from None


def verify_chain(
    chain: Sequence[Certificate],
    *,
    anchors: Collection[Certificate],
    now: int,
    accept: Collection[str] = (),
) -> Certificate:
    """Returns the leaf of the chain if one of the anchors stands behind it at `now`.

    chain: the leaf's certificate first, each certified by the next one. anchors: the CAs that are believed.
    now: seconds since 1970. accept: names of `LENIENCIES`; without one the chain is as HAIP 1.0 wants it.

    Raises Rejected: "x5c_self_signed", "x5c_includes_anchor", "x5c_untrusted" (a signature or name does not
    lead on to an anchor), "x5c_expired", "x5c_not_yet_valid", "x5c_usage" (not a CA's, too many CAs, or a
    key that may not do this), "x5c_extension" (a restriction that is not understood here).
    Source: RFC 5280 §6.1; HAIP 1.0.
    """
    if not LENIENCIES.issuperset(accept):
        raise ValueError(f"leniencies are {', '.join(sorted(LENIENCIES))}")
    leaf = chain[0]
    if leaf.self_issued:
        _check_pinned(chain, anchors, accept)
        path = [leaf]
    else:
        path = _path(_without_anchor(chain, anchors, accept), anchors, now)
    for certificate in path:
        _check_time(certificate, now)
        if certificate.opaque:
            raise Rejected("x5c_extension", "A certificate has a restriction that is not understood here.")
    if not leaf.signs or (leaf.authority and len(path) > 1):
        raise _usage("The leaf's certificate is not for signing data.")
    for further, certificate in enumerate(path[1:]):
        _check_authority(certificate, further)
    return leaf


# TypeError: a name of a type that its attribute cannot have.
_MISREAD = (
    TypeError,
    ValueError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)

_PEM_BEGIN = b"-----BEGIN CERTIFICATE-----"
_PEM_BLOCK = re.compile(_PEM_BEGIN + rb"([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")
_PEM_BYTES = limits.TRUST_CERTIFICATES * limits.CERTIFICATE_BYTES

_SIGNATURES = frozenset(
    (
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
        SignatureAlgorithmOID.ED25519,
        SignatureAlgorithmOID.ED448,
    )
)
_UNDERSTOOD = frozenset(
    (ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
)


def _certificate(der: bytes, handle: x509.Certificate) -> Certificate:
    if handle.signature_algorithm_oid not in _SIGNATURES:
        raise _unsupported("The signature on a certificate is not of an algorithm that is used here.")
    by_kind = {type(extension.value): extension.value for extension in handle.extensions}
    constraints = by_kind.get(x509.BasicConstraints)
    usage = by_kind.get(x509.KeyUsage)
    names = by_kind.get(x509.SubjectAlternativeName)
    return Certificate(
        der=der,
        subject=handle.subject.rfc4514_string(),
        dns=tuple(names.get_values_for_type(x509.DNSName)) if names else (),
        uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names else (),
        self_issued=handle.subject == handle.issuer,
        key=_key(handle),
        not_before=int(handle.not_valid_before_utc.timestamp()),
        not_after=int(handle.not_valid_after_utc.timestamp()),
        authority=constraints is not None and constraints.ca,
        path_length=constraints.path_length if constraints is not None else None,
        # RFC 5280 §4.2.1.3: without the extension, the key is not restricted.
        signs=usage is None or usage.digital_signature,
        certifies=usage is None or usage.key_cert_sign,
        opaque=_has_unknown_restriction(handle.extensions),
        handle=handle,
    )


def _key(handle: x509.Certificate) -> PublicKey:
    encoded = handle.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        return PublicKey.from_der(encoded)
    except SafeconductError as error:
        raise _unsupported("A certificate has a key that is not used here.") from error


def _has_unknown_restriction(extensions: x509.Extensions) -> bool:
    # Name constraints always restrict; of the others, those say so themselves (RFC 5280 §4.2).
    return any(
        extension.oid == ExtensionOID.NAME_CONSTRAINTS
        or (extension.critical and extension.oid not in _UNDERSTOOD)
        for extension in extensions
    )


def _check_pinned(
    chain: Sequence[Certificate], anchors: Collection[Certificate], accept: Collection[str]
) -> None:
    if SELF_SIGNED_LEAF not in accept:
        raise Rejected("x5c_self_signed", "The leaf's certificate is signed by itself.", rule=_HAIP)
    if len(chain) > 1 or chain[0] not in anchors:
        raise _untrusted()


def _without_anchor(
    chain: Sequence[Certificate], anchors: Collection[Certificate], accept: Collection[str]
) -> Sequence[Certificate]:
    """Returns the chain up to where it reaches an anchor, which is found again by name and signature."""
    for place, certificate in enumerate(chain[1:], start=1):
        if certificate.self_issued or certificate in anchors:
            if ANCHOR_IN_CHAIN not in accept:
                raise Rejected("x5c_includes_anchor", "x5c includes a trust anchor.", rule=_HAIP)
            return chain[:place]
    return chain


def _path(chain: Sequence[Certificate], anchors: Collection[Certificate], now: int) -> list[Certificate]:
    """Returns the chain with its anchor, every signature and name in it checked."""
    for certificate, issuer in itertools.pairwise(chain):
        if not _is_issued_by(certificate, issuer):
            raise _untrusted()
    # An anchor that was renewed has the name and key of its successor: one that is in its time goes first.
    for anchor in sorted(anchors, key=lambda anchor: not anchor.not_before <= now <= anchor.not_after):
        if _is_issued_by(chain[-1], anchor):
            return [*chain, anchor]
    raise _untrusted()


def _is_issued_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Tells whether the issuer's name stands in the certificate and its key has signed it."""
    try:
        certificate.handle.verify_directly_issued_by(issuer.handle)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False  # another name, another kind of key, another key
    return True


def _check_time(certificate: Certificate, now: int) -> None:
    if now < certificate.not_before:
        raise Rejected("x5c_not_yet_valid", "A certificate is not valid yet.", rule=_RFC_5280)
    if now > certificate.not_after:
        raise Rejected("x5c_expired", "A certificate has expired.", rule=_RFC_5280)


def _check_authority(certificate: Certificate, further: int) -> None:
    """Checks a CA's certificate, with that many CAs between it and the leaf."""
    if not certificate.authority or not certificate.certifies:
        raise _usage("A certificate in the chain is not a CA's.")
    if certificate.path_length is not None and further > certificate.path_length:
        raise _usage("The chain is longer than one of its CAs may make it.")


def _base64(entry: Any) -> bytes:
    if not isinstance(entry, str) or len(entry) > limits.CERTIFICATE_BYTES * 4 // 3 + 4:
        raise _malformed("An entry of x5c is not base64 text, or longer than allowed here.")
    try:
        data = base64.b64decode(entry.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise _malformed("An entry of x5c is not base64.") from None
    if base64.b64encode(data).decode("ascii") != entry:
        raise _malformed("An entry of x5c is not the one base64 of its bytes.")
    return data


_RFC_5280 = "RFC 5280 §6.1.3"
_HAIP = "HAIP 1.0"


def _malformed(reason: str) -> Malformed:
    return Malformed("certificate_malformed", reason, rule="RFC 5280 §4.1")


def _x5c_malformed(reason: str) -> Malformed:
    return Malformed("x5c_malformed", reason, rule="RFC 7515 §4.1.6")


def _unsupported(reason: str) -> Unsupported:
    return Unsupported("certificate_unsupported", reason)


def _untrusted() -> Rejected:
    return Rejected("x5c_untrusted", "The certificates do not lead to a trust anchor.", rule=_RFC_5280)


def _usage(reason: str) -> Rejected:
    return Rejected("x5c_usage", reason, rule="RFC 5280 §6.1.4")
