"""The key that signs credentials: a PEM file that only its owner may read, made at the first start."""

import os
import secrets
from pathlib import Path

import msgspec

from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64
from safeconduct.errors import SafeconductError
from safeconduct.settings import SettingsError

ALGORITHM = "ES256"
"""Of a key that is made here; a key of one's own may have another."""


class SigningKey(msgspec.Struct, frozen=True):
    """The key, named by its RFC 7638 thumbprint. created: whether it was made just now."""

    key: Key
    created: bool


def load_or_create(path: Path) -> SigningKey:
    """Returns the private key in the PEM file, which is made if it is not there.

    Raises SettingsError if the file cannot be read, written, or used.
    """
    try:
        created = not path.exists() and _create(path)
        key = Key.from_pem(path.read_bytes())
    except OSError as error:
        raise SettingsError((f"{path}: cannot be used ({error.strerror})",)) from None
    except SafeconductError as error:
        raise SettingsError((f"{path}: {error.reason}",)) from None
    return SigningKey(key.with_kid(b64.encode(key.public.jwk_thumbprint())), created)


def _create(path: Path) -> bool:
    """Puts a new key in place, whole or not at all; the first of several processes wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(Key.generate(ALGORITHM).to_pem(private=True))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
