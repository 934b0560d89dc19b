"""Keys in PEM and DER: SubjectPublicKeyInfo, PKCS#8 (version 1 and 2, also with passphrase) and SEC 1."""

import base64
import binascii
import re
from typing import Final

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from safeconduct import limits
from safeconduct.crypto import pkcs8
from safeconduct.crypto.kinds import Handle, kind_of, malformed, raw_public, unsupported
from safeconduct.errors import Rejected

_PLAIN_BLOCK: Final = re.compile(rb"-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]*)-----END PRIVATE KEY-----")
_ENCRYPTED: Final = (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED")


def read_public(pem: str | bytes) -> Handle:
    """Reads a PEM SubjectPublicKeyInfo.

    Raises Malformed "key_malformed", Unsupported "key_unsupported", Rejected
    "private_key_where_public_expected".
    """
    data = _measured(pem)
    if b"PRIVATE KEY-----" in data:
        raise Rejected("private_key_where_public_expected", "A public key file holds a private key.")
    try:
        return serialization.load_pem_public_key(data)
    except UnsupportedAlgorithm:
        raise unsupported("The public key is not of a type that is used here.") from None
    except ValueError:
        raise malformed("The public key is not a PEM SubjectPublicKeyInfo.", rule="RFC 7468 §13") from None


def read_public_der(der: bytes) -> Handle:
    """Reads a DER SubjectPublicKeyInfo; raises Malformed "key_malformed", Unsupported "key_unsupported"."""
    try:
        return serialization.load_der_public_key(_measured(der))
    except UnsupportedAlgorithm:
        raise unsupported("The public key is not of a type that is used here.") from None
    except ValueError:
        raise malformed("The public key is not a DER SubjectPublicKeyInfo.", rule="RFC 5280 §4.1") from None


def read_private(pem: str | bytes, *, password: bytes | None = None) -> Handle:
    """Reads a PEM private key: PKCS#8, encrypted PKCS#8 or SEC 1.

    password: opens an encrypted key; must be None for one that is not encrypted.

    Raises Malformed "key_malformed", Unsupported "key_unsupported", Rejected "key_pair_mismatch" (the
    attached public key is another's) or "key_password_wrong".
    """
    data = _measured(pem)
    encrypted = any(mark in data for mark in _ENCRYPTED)
    if encrypted != (password is not None):
        raise Rejected("key_password_wrong", "A passphrase is missing, or given for a key without one.")
    if not encrypted and b"-----BEGIN PRIVATE KEY-----" in data:
        return read_private_der(_plain_block(data))
    try:
        return serialization.load_pem_private_key(data, password)
    except UnsupportedAlgorithm:
        raise unsupported("The private key is not of a type that is used here.") from None
    except (ValueError, TypeError, InternalError) as error:
        if encrypted and not isinstance(error, InternalError):
            raise Rejected("key_password_wrong", "The passphrase does not open the private key.") from None
        raise malformed("The private key is not PEM PKCS#8 or SEC 1.", rule="RFC 7468 §10") from None


def read_private_der(der: bytes) -> Handle:
    """Reads an unencrypted DER private key: PKCS#8 of either version, or SEC 1.

    Raises Malformed "key_malformed", Unsupported "key_unsupported", Rejected "key_pair_mismatch".
    """
    data, attached = _measured(der), None
    if pkcs8.is_version_2(data):
        data, attached = pkcs8.detach_public_key(data)
    try:
        handle = serialization.load_der_private_key(data, None)
    except UnsupportedAlgorithm:
        raise unsupported("The private key is not of a type that is used here.") from None
    except (ValueError, TypeError, InternalError):  # the last for an Edwards key of a wrong length
        raise malformed("The private key is not DER PKCS#8 or SEC 1.", rule="RFC 5958 §2") from None
    if attached is not None and raw_public(kind_of(handle), handle.public_key()) != attached:
        raise Rejected("key_pair_mismatch", "The attached public key is not that of the private key.")
    return handle


def write_public(handle: Handle) -> str:
    """Returns a public key as a PEM SubjectPublicKeyInfo."""
    encoded: bytes = handle.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded.decode("ascii")


def write_public_der(handle: Handle) -> bytes:
    """Returns a public key as a DER SubjectPublicKeyInfo."""
    encoded: bytes = handle.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def write_private(handle: Handle, *, password: bytes | None = None) -> str:
    """Returns a private key as PEM PKCS#8 version 1, encrypted if a passphrase is given."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    encoded: bytes = handle.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    return encoded.decode("ascii")


def _plain_block(data: bytes) -> bytes:
    blocks = _PLAIN_BLOCK.findall(data)
    if len(blocks) != 1:
        raise malformed("The file does not hold exactly one private key.", rule="RFC 7468 §10")
    try:
        return base64.b64decode(b"".join(blocks[0].split()), validate=True)
    except binascii.Error:
        raise malformed("The private key is not base64.", rule="RFC 7468 §10") from None


def _measured(text: str | bytes) -> bytes:
    if len(text) > limits.KEY_BYTES:
        raise malformed("The key is longer than any that is used here.")
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("ascii")
    except UnicodeEncodeError:
        raise malformed("The key file is not ASCII text.", rule="RFC 7468 §2") from None
