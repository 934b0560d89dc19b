"""Where the key lies that opens the wallet: in a file, in a passphrase, in the system's keyring, in a token.

A guard makes a key under a name of its own each time, so that a wallet can change its guard, or its key under
the same guard, and is never without a good one: the old one goes when the new one holds.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol

from safeconduct import hsm, limits
from safeconduct.encoding import b64
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.ids import Random
from safeconduct.wallet import passphrases
from safeconduct.wallet.vault import KEY_BYTES

GuardName = Literal["key-file", "passphrase", "keyring", "pkcs11"]

Passphrase = Callable[[], str]
"""Gets the passphrase: asks the user, or takes it from where the user said."""

_SERVICE = "safeconduct-wallet"
_NAME_BYTES = 8
_CONTEXT = b"safeconduct wallet 1"


class Guard(Protocol):
    """Keeps one key. Every method may raise Rejected: guard_unavailable, besides its own."""

    name: GuardName

    def new(self, random: Random) -> tuple[bytes, dict[str, Any]]:
        """Make a key and keep it; return it, and the parameters that find it again, which are no secret."""

    def key(self, parameters: dict[str, Any]) -> bytes:
        """Return the key of these parameters. Raises SafeconductErrors if there is none."""

    def forget(self, parameters: dict[str, Any]) -> None:
        """Destroy the key of these parameters, which opens nothing any more."""


class KeyFile:
    """A file beside the database that only its owner may read: protects a database that gets away alone."""

    name: GuardName = "key-file"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def new(self, random: Random) -> tuple[bytes, dict[str, Any]]:
        """See `Guard.new`."""
        key, file = random(KEY_BYTES), f"wallet-{random(_NAME_BYTES).hex()}.key"
        descriptor = os.open(self._directory / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(b64.encode(key).encode())
            stream.flush()
            os.fsync(descriptor)
        return key, {"file": file}

    def key(self, parameters: dict[str, Any]) -> bytes:
        """See `Guard.key`. Raises Rejected: guard_unavailable."""
        with suppress(OSError, SafeconductError, UnicodeDecodeError):
            with self._place(parameters).open("rb") as stream:
                found = b64.decode(stream.read(limits.PASSPHRASE_BYTES).decode(), max_bytes=KEY_BYTES)
            if len(found) == KEY_BYTES:
                return found
        raise _unavailable("The wallet's key file is not where it was; put it back, or restore a backup.")

    def forget(self, parameters: dict[str, Any]) -> None:
        """See `Guard.forget`."""
        self._place(parameters).unlink(missing_ok=True)

    def _place(self, parameters: dict[str, Any]) -> Path:
        # Only its last part counts: who could change the database could name any file.
        return self._directory / Path(str(parameters.get("file"))).name


class ByPassphrase:
    """A passphrase that only the user has. passphrase: gets it; asked once."""

    name: GuardName = "passphrase"

    def __init__(self, passphrase: Passphrase | None) -> None:
        self._ask = passphrase

    def new(self, random: Random) -> tuple[bytes, dict[str, Any]]:
        """See `Guard.new`. Raises Rejected: passphrase_needed, passphrase_short."""
        return passphrases.new_key(self._passphrase(), random=random)

    def key(self, parameters: dict[str, Any]) -> bytes:
        """See `Guard.key`. Raises Rejected: passphrase_needed; Malformed: passphrase_parameters."""
        return passphrases.key(self._passphrase(), parameters)

    def forget(self, parameters: dict[str, Any]) -> None:
        """See `Guard.forget`: there is nothing but the user's memory."""

    def _passphrase(self) -> str:
        if self._ask is None:
            raise Rejected(
                "passphrase_needed",
                "The wallet is locked with a passphrase; give it with --passphrase-file, or in "
                "SAFECONDUCT_WALLET__PASSPHRASE.",
            )
        return self._ask()


class InToken:
    """A key that never leaves a PKCS#11 token. uri: of an AES key, as `hsm.generate_wrapping_key` makes.

    The URI is the settings' affair: it may have a PIN, and what a database says must not choose a driver.
    """

    name: GuardName = "pkcs11"

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def new(self, random: Random) -> tuple[bytes, dict[str, Any]]:
        """See `Guard.new`. Raises HsmError."""
        key = random(KEY_BYTES)
        return key, {"wrapped": b64.encode(hsm.wrap(self._place(), key, context=_CONTEXT))}

    def key(self, parameters: dict[str, Any]) -> bytes:
        """See `Guard.key`. Raises HsmError."""
        wrapped = b64.decode(str(parameters.get("wrapped")), max_bytes=limits.PASSPHRASE_BYTES)
        key = hsm.unwrap(self._place(), wrapped, context=_CONTEXT)
        if len(key) != KEY_BYTES:
            raise _unavailable("The token gave no key of the wallet's; restore a backup.")
        return key

    def forget(self, parameters: dict[str, Any]) -> None:
        """See `Guard.forget`: the wrapped key goes with the parameters."""

    def _place(self) -> str:
        if not self._uri:
            raise _unavailable("Say which key of the token locks the wallet: SAFECONDUCT_WALLET__PKCS11_KEY.")
        return self._uri


class Keyring:
    """The system's keyring, which the user's login opens. Needs the extra `safeconduct[keyring]`."""

    name: GuardName = "keyring"

    def new(self, random: Random) -> tuple[bytes, dict[str, Any]]:
        """See `Guard.new`."""
        key, entry = random(KEY_BYTES), random(_NAME_BYTES).hex()
        _keyring("set_password", entry, b64.encode(key))
        return key, {"entry": entry}

    def key(self, parameters: dict[str, Any]) -> bytes:
        """See `Guard.key`. Raises Rejected: guard_unavailable."""
        found = _keyring("get_password", str(parameters.get("entry")))
        if found is None:
            raise _unavailable("The system's keyring has no key for this wallet; restore a backup.")
        return b64.decode(found, max_bytes=KEY_BYTES)

    def forget(self, parameters: dict[str, Any]) -> None:
        """See `Guard.forget`."""
        with suppress(Rejected):
            _keyring("delete_password", str(parameters.get("entry")))


def guard_named(name: str, *, directory: Path, passphrase: Passphrase | None, pkcs11_key: str) -> Guard:
    """Return the guard of that name. pkcs11_key: URI of a key in a token.

    Raises Rejected: guard_unknown.
    """
    if name == "key-file":
        return KeyFile(directory)
    if name == "passphrase":
        return ByPassphrase(passphrase)
    if name == "keyring":
        return Keyring()
    if name == "pkcs11":
        return InToken(pkcs11_key)
    raise Rejected("guard_unknown", "The wallet is protected in a way that this version does not know.")


def _keyring(operation: str, *arguments: str) -> str | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ModuleNotFoundError:
        raise _unavailable(
            "The system's keyring needs the extra: safeconduct[keyring]; install it."
        ) from None
    try:
        found: str | None = getattr(keyring, operation)(_SERVICE, *arguments)
    except (
        KeyringError,
        RuntimeError,
    ) as error:  # RuntimeError: no keyring on this machine, of some back ends
        raise _unavailable(
            "The system's keyring cannot be used here; unlock it, or choose another guard."
        ) from error
    return found


def _unavailable(reason: str) -> Rejected:
    return Rejected("guard_unavailable", reason)
