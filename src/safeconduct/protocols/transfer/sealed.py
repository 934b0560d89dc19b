"""Offers that only one key opens, besides what the channel does: HPKE (RFC 9180) to a receiver's X25519 key.

Through a relay the transfer's secret is HPKE's pre-shared key, so that the offer opens for nobody who has
only the link, nor for anybody who has only the key. As a file or QR code there is no relay and no secret, and
the key alone opens it.

DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
"""

from typing import Annotated, Any, Final

import msgspec

from safeconduct import limits
from safeconduct.crypto import hpke
from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected, Unsupported
from safeconduct.protocols import wire
from safeconduct.protocols.transfer import padding
from safeconduct.protocols.transfer.content import (
    SEALED_FORMAT,
    Content,
    Offer,
    encode_content,
    offer_content,
    parse_content,
    read_members,
    read_offer,
)
from safeconduct.protocols.transfer.keys import TransferKeys

FILE_PREFIX: Final = "sct:s1."
"""How the text of a sealed file begins."""

_SUITE: Final = hpke.Suite(kem=hpke.KEM_X25519, aead=hpke.AEAD_AES_256_GCM)
_PARAMETERS: Final[dict[str, Any]] = {
    "mode": "psk",
    "kem": _SUITE.kem,
    "kdf": _SUITE.kdf,
    "aead": _SUITE.aead,
}
_ENC_BYTES: Final = 32
_FILE_INFO: Final = b"sct/2 file"

_BASE64URL: Final = r"\A[A-Za-z0-9_-]*\Z"

_Short = Annotated[str, msgspec.Meta(max_length=64, pattern=_BASE64URL)]
_Long = Annotated[str, msgspec.Meta(max_length=limits.TRANSFER_DATA_CHARS, pattern=_BASE64URL)]


class Sealed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The content of the format "sct.sealed/1".

    hpke: mode, KEM, KDF and AEAD by their RFC 9180 numbers. enc, ciphertext: base64url. confirmation: of an
    approval, by whom it was sealed.
    """

    hpke: dict[str, Any]
    enc: _Short
    ciphertext: _Long
    confirmation: _Short | None = None

    def __repr__(self) -> str:
        return "<Sealed (not shown)>"


def seal_offer(offer: Offer, *, recipient: AgreementPublicKey, keys: TransferKeys) -> Content:
    """Returns a message with an offer that `recipient` opens, if its owner has the transfer's secret too.

    Raises Malformed "content_too_large"; Rejected "key_curve_mismatch", "shared_secret_invalid" for a key
    that is none for X25519.
    """
    enc, ciphertext = hpke.seal(
        _SUITE, recipient, plaintext=_plaintext(offer), info=_info(keys), psk=keys.psk
    )
    sealed = Sealed(_PARAMETERS, b64.encode(enc), b64.encode(ciphertext))
    return Content(SEALED_FORMAT, wire.plain(sealed))


def open_offer(content: Content, *, key: AgreementKey, keys: TransferKeys) -> Offer:
    """Returns the offer of a message that `seal_offer` made for `key`.

    Raises Unsupported "content_format_unsupported", "sealed_suite_unsupported"; Rejected
    "sealed_not_for_this_key"; Malformed "message_malformed", "base64url_malformed", and as `parse_content`.
    """
    sealed = read_members(content, SEALED_FORMAT, Sealed)
    if sealed.hpke != _PARAMETERS:
        raise Unsupported("sealed_suite_unsupported", "The offer is sealed in a way that is not known here.")
    enc = b64.decode(sealed.enc)
    ciphertext = b64.decode(sealed.ciphertext, max_bytes=limits.TRANSFER_DATA_CHARS)
    return _opened(key, enc, ciphertext, info=_info(keys), psk=keys.psk)


def seal_file(offer: Offer, *, recipient: AgreementPublicKey) -> str:
    """Returns an offer as one line of text that `recipient` opens: for a file, or a QR code.

    Raises Malformed "content_too_large"; Rejected "key_curve_mismatch", "shared_secret_invalid".
    """
    enc, ciphertext = hpke.seal(_SUITE, recipient, plaintext=_plaintext(offer), info=_FILE_INFO)
    return FILE_PREFIX + b64.encode(enc + ciphertext)


def open_file(text: str, *, key: AgreementKey) -> Offer:
    """Returns the offer of a text that `seal_file` made for `key`. Anybody may have made it.

    Raises Malformed "sealed_file_malformed" and those of `parse_content`; Rejected "sealed_not_for_this_key".
    """
    if len(text) > limits.TRANSFER_DATA_CHARS:
        raise _file_malformed()
    line = text.strip()
    try:
        data = b64.decode(line.removeprefix(FILE_PREFIX), max_bytes=limits.TRANSFER_DATA_CHARS)
    except Malformed:
        raise _file_malformed() from None
    if not line.startswith(FILE_PREFIX) or len(data) <= _ENC_BYTES:
        raise _file_malformed()
    return _opened(key, data[:_ENC_BYTES], data[_ENC_BYTES:], info=_FILE_INFO, psk=None)


def _opened(key: AgreementKey, enc: bytes, ciphertext: bytes, *, info: bytes, psk: hpke.Psk | None) -> Offer:
    try:
        text = hpke.open_(_SUITE, key, enc=enc, ciphertext=ciphertext, info=info, psk=psk)
    except Rejected:
        raise Rejected(
            "sealed_not_for_this_key", "The offer was not sealed to this key in this transfer."
        ) from None
    return read_offer(parse_content(text))


def _plaintext(offer: Offer) -> bytes:
    return padding.pad(encode_content(offer_content(offer)))


def _info(keys: TransferKeys) -> bytes:
    return b"sct/2 offer" + keys.context


def _file_malformed() -> Malformed:
    return Malformed("sealed_file_malformed", "The text is not a sealed offer.")
