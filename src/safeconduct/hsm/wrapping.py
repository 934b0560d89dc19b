"""Secrets that only a PKCS#11 token can open: sealed by AES-256-GCM with a key that never leaves it."""

import secrets
from typing import Any, Final

from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, MechanismFlag, ObjectClass, Session
from pkcs11.exceptions import EncryptedDataInvalid, EncryptedDataLenRange, GeneralError
from pkcs11.types import DecryptMixin, EncryptMixin

from safeconduct.hsm.errors import HsmError
from safeconduct.hsm.objects import all_of, only, usable
from safeconduct.hsm.token import token_of
from safeconduct.hsm.uri import Pkcs11Uri

_KEY_BITS: Final = 256
_ID_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_MAX_BYTES: Final = 4096
_USE: Final = MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT


def generate_wrapping(place: Pkcs11Uri) -> None:
    """Makes an AES key in the token; see `hsm.generate_wrapping_key`."""

    def make(session: Session) -> None:
        if all_of(session, place, ObjectClass.SECRET_KEY):
            raise HsmError("hsm_key_exists", "The token has a key of that name already.")
        session.generate_key(
            KeyType.AES,
            _KEY_BITS,
            id=place.id or secrets.token_bytes(_ID_BYTES),
            label=place.label,
            store=True,
            capabilities=_USE,
            template={
                Attribute.PRIVATE: True,
                Attribute.SENSITIVE: True,
                Attribute.EXTRACTABLE: False,
            },
        )

    token_of(place).call(make, writing=True)


def wrap(place: Pkcs11Uri, secret: bytes, context: bytes) -> bytes:
    """Returns nonce, ciphertext and tag; see `hsm.wrap`."""
    if len(secret) > _MAX_BYTES:
        raise ValueError(f"a secret to wrap has at most {_MAX_BYTES} bytes")
    nonce = secrets.token_bytes(_NONCE_BYTES)

    def work(session: Session) -> bytes:
        key = usable(only(session, place, ObjectClass.SECRET_KEY), EncryptMixin)
        return bytes(key.encrypt(secret, **_gcm(nonce, context)))

    return nonce + token_of(place).call(work)


def unwrap(place: Pkcs11Uri, wrapped: bytes, context: bytes) -> bytes:
    """Returns the secret; see `hsm.unwrap`."""
    if not _NONCE_BYTES + _TAG_BYTES <= len(wrapped) <= _NONCE_BYTES + _MAX_BYTES + _TAG_BYTES:
        raise _failed()
    nonce, ciphertext = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]

    def work(session: Session) -> bytes:
        key = usable(only(session, place, ObjectClass.SECRET_KEY), DecryptMixin)
        try:
            return bytes(key.decrypt(ciphertext, **_gcm(nonce, context)))
        except (EncryptedDataInvalid, EncryptedDataLenRange, GeneralError):
            # SoftHSM says no more than "general error" of a tag that is wrong.
            raise _failed() from None

    return token_of(place).call(work)


def _gcm(nonce: bytes, context: bytes) -> dict[str, Any]:
    parameters = GCMParams(nonce, context, _TAG_BYTES * 8)
    return {"mechanism": Mechanism.AES_GCM, "mechanism_param": parameters}


def _failed() -> HsmError:
    return HsmError("hsm_unwrap_failed", "The secret was not wrapped by this key for this use.")
