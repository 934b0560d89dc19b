"""Signatures of MLS (RFC 9420 §5.1.2): over a label and a content, so that one never passes for another.

ECDSA signatures are DER here, where COSE and JOSE have r followed by s (RFC 8446 §4.2.3).
"""

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from safeconduct.crypto import algorithms
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import tls
from safeconduct.errors import Rejected
from safeconduct.protocols.mls.cipher_suites import CipherSuite

_PREFIX = "MLS 1.0 "


def sign_with_label(signer: Signer, *, suite: CipherSuite, label: str, content: bytes) -> bytes:
    """Returns SignWithLabel(., label, content), as MLS carries a signature.

    label: without "MLS 1.0 ". Raises ValueError if the signer's key is not one of the suite.
    """
    if not algorithms.compatible(algorithms.by_name(suite.algorithm), signer.algorithm):
        raise ValueError("the signer's key is not one of the cipher suite")
    signature = signer.sign(_sign_content(label, content))
    return signature if signer.algorithm.hash is None else _to_der(signature)


def verify_with_label(
    signature: bytes, *, signature_key: bytes, suite: CipherSuite, label: str, content: bytes
) -> None:
    """Returns if VerifyWithLabel(signature_key, label, content, signature) holds.

    signature_key: the SignaturePublicKey as MLS carries it. label: without "MLS 1.0 ".
    Raises Malformed "key_malformed"; Rejected "signature_invalid", also for one that is not strict DER.
    """
    key = suite.public_key(signature_key)
    if key.algorithm.hash is not None:
        signature = _from_der(signature, half=key.algorithm.signature_bytes // 2)
    key.verify(signature, _sign_content(label, content))


def _sign_content(label: str, content: bytes) -> bytes:
    return tls.opaque((_PREFIX + label).encode("ascii")) + tls.opaque(content)


def _to_der(signature: bytes) -> bytes:
    half = len(signature) // 2
    return encode_dss_signature(
        int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    )


def _from_der(signature: bytes, *, half: int) -> bytes:
    """The two numbers in as many bytes as the curve has; `cryptography` reads the one DER spelling only."""
    try:
        r, s = decode_dss_signature(signature)
        return r.to_bytes(half, "big") + s.to_bytes(half, "big")
    except (ValueError, OverflowError):
        raise Rejected(
            "signature_invalid", "The signature is not one in DER.", rule="RFC 9420 §5.1.1"
        ) from None
