"""The keys that sign credentials: one in use, made at the first start, and those that were replaced.

A PEM file holds the private key, for its owner alone; or a PKCS#11 token does. Beside the file,
`FILE.retired` lists public halves of keys before it, each published until wallets and verifiers had time to
see the new one: `{"retired": [{"key": JWK, "until": Unix seconds}]}`. A running service publishes a new key
at once and signs with it from its next sweep on, so that no credential is out before its key is.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec

from safeconduct import hsm, limits
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.crypto.x509 import Certificate, chain_from_pem
from safeconduct.encoding import b64, json
from safeconduct.errors import SafeconductError
from safeconduct.settings import KeyPlace, SettingsError

ALGORITHM = "ES256"
"""Of a key that is made here; a key of one's own may have another."""


class Retired(msgspec.Struct, frozen=True):
    """A public key whose private half is destroyed. until: Unix seconds, when it is published no more."""

    key: PublicKey
    until: int


class SigningKeys:
    """The key that signs, the certificates that go with it, and the public keys to publish."""

    def __init__(self, key: KeyPlace | Path, *, certificate: Path | None = None) -> None:
        """Read the files; a key file that is not there is made. certificate: PEM, the leaf first.

        Raises SettingsError if a file or token cannot be used, or key and certificate do not fit together.
        """
        place = KeyPlace(key)
        self._path = None if place.in_hardware else Path(place)
        self._certificate = certificate
        self._stamp: tuple[object, ...] = ()
        self._retired: tuple[Retired, ...] = ()
        self.created = self._path is not None and _make_if_missing(self._path)
        if self._path is None:
            self._newest = _open_in_hardware(place)
        else:
            self._stamp = _stamp(self._path)
            self._newest = _read_key(self._path)
            self._retired = _read_retired(self._path)
        self._signer = self._newest
        self._chain = _read_chain(certificate, self._newest.public)

    @property
    def signer(self) -> Signer:
        """The key to sign with now."""
        return self._signer

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """The certificates of the key that signs, its own first; () without."""
        return self._chain

    def published(self, now: int) -> tuple[PublicKey, ...]:
        """Returns the public keys that verifiers may need: the newest first, then retired ones.

        While the files cannot be used, it is what they held before.
        """
        with suppress(SettingsError):  # `refresh` tells the operator
            self._look()
        retired = [entry.key for entry in self._retired if entry.until > now]
        keys = [self._newest.public, self._signer.public, *retired]
        return tuple({key.jwk_thumbprint(): key for key in keys}.values())

    def refresh(self) -> bool:
        """Signs with the key that the file holds now; returns whether it is another than before.

        Raises SettingsError if the files cannot be used; then the key before stays in use.
        """
        self._look()
        if self._newest is self._signer:
            return False
        self._chain = _read_chain(self._certificate, self._newest.public)
        self._signer = self._newest
        return True

    def _look(self) -> None:
        if self._path is None:  # what a token holds changes with the setting only
            return
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        newest, retired = _read_key(self._path), _read_retired(self._path)
        if newest.algorithm != self._signer.algorithm:
            raise SettingsError((f"{self._path}: the new key has another algorithm; restart the service",))
        if newest.kid != self._newest.kid:
            self._newest = newest
        self._retired, self._stamp = retired, stamp


def rotate(path: Path, *, overlap: int, now: int) -> PublicKey:
    """Puts a new key of the same algorithm in the file's place and destroys the old private half.

    overlap: seconds that the old public half stays published. Returns the new public key.
    Raises SettingsError if the file cannot be read, written or used, or is being rotated.
    """
    try:
        with path.open("r+b") as file, _alone(path, file):
            old = _read_key(path)
            new = Key.generate(old.algorithm.name)
            before = [entry for entry in _read_retired(path) if entry.until > now]
            retired = [*before, Retired(old.public, now + overlap)]
            _write_privately(_beside(path), _retired_json(retired[-_MOST_RETIRED:]))
            _write_privately(path, new.to_pem(private=True).encode())
            _overwrite(file)
    except OSError as error:
        raise SettingsError((f"{path}: cannot be used ({error.strerror})",)) from None
    return new.public


_MOST_RETIRED = 16


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: dict[str, Any]
    until: Annotated[int, msgspec.Meta(ge=0)]


class _Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    retired: Annotated[tuple[_Entry, ...], msgspec.Meta(max_length=_MOST_RETIRED)]


def _make_if_missing(path: Path) -> bool:
    """Whether the key file had to be made."""
    try:
        return not path.exists() and _create(path)
    except OSError as error:
        raise SettingsError((f"{path}: cannot be used ({error.strerror})",)) from None


def _open_in_hardware(place: KeyPlace) -> Signer:
    try:
        signer = hsm.open_signer(place)
    except SafeconductError as error:
        raise SettingsError((f"signing_key: {error.reason}",)) from None
    return signer.with_kid(_name(signer.public))


def _read_key(path: Path) -> Key:
    try:
        key = Key.from_pem(path.read_bytes())
    except OSError as error:
        raise SettingsError((f"{path}: cannot be used ({error.strerror})",)) from None
    except SafeconductError as error:
        raise SettingsError((f"{path}: {error.reason}",)) from None
    return key.with_kid(_name(key.public))


def _name(key: PublicKey) -> str:
    """A key is named by its RFC 7638 thumbprint."""
    return b64.encode(key.jwk_thumbprint())


def _read_chain(path: Path | None, key: PublicKey) -> tuple[Certificate, ...]:
    if path is None:
        return ()
    try:
        chain = chain_from_pem(path.read_bytes())
    except OSError as error:
        raise SettingsError((f"{path}: cannot be used ({error.strerror})",)) from None
    except SafeconductError as error:
        raise SettingsError((f"{path}: {error.reason}",)) from None
    if chain[0].key.jwk_thumbprint() != key.jwk_thumbprint():
        raise SettingsError((f"{path}: its first certificate is not of the signing key",))
    return chain


def _read_retired(path: Path) -> tuple[Retired, ...]:
    place = _beside(path)
    try:
        data = place.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SettingsError((f"{place}: cannot be used ({error.strerror})",)) from None
    try:
        listed = msgspec.convert(json.loads_object(data, max_bytes=limits.JSON_BYTES), _Listed)
        keys = [PublicKey.from_jwk(entry.key) for entry in listed.retired]
    except (SafeconductError, msgspec.ValidationError):
        raise SettingsError((f"{place}: expected what `safeconduct key rotate` writes",)) from None
    named = [key.with_kid(_name(key)) for key in keys]
    return tuple(Retired(key, entry.until) for key, entry in zip(named, listed.retired, strict=True))


def _retired_json(retired: Sequence[Retired]) -> bytes:
    return json.dumps({"retired": [{"key": one.key.to_jwk(), "until": one.until} for one in retired]})


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.retired")


def _stamp(path: Path) -> tuple[object, ...]:
    """What changes when one of the files does."""
    return tuple(_seen(place) for place in (path, _beside(path)))


def _seen(path: Path) -> tuple[int, int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_ino, seen.st_mtime_ns, seen.st_size


@contextmanager
def _alone(path: Path, file: BinaryIO) -> Iterator[None]:
    """Keeps others from rotating the same file; it must still be the one that was opened."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SettingsError((f"{path}: is being rotated already",)) from None
    if os.fstat(file.fileno()).st_ino != path.stat().st_ino:
        raise SettingsError((f"{path}: has just been rotated",))
    yield


def _overwrite(file: BinaryIO) -> None:
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    file.write(bytes(size))
    file.flush()
    os.fsync(file.fileno())


def _write_privately(path: Path, data: bytes) -> None:
    """Replaces a file whole or not at all; only its owner may read it."""
    draft = _draft(path, data)
    draft.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(path: Path) -> bool:
    """Puts a new key in place, whole or not at all; the first of several processes wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = _draft(path, Key.generate(ALGORITHM).to_pem(private=True).encode())
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def _draft(path: Path, data: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return draft
