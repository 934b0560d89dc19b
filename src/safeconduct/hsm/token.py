"""One token of a PKCS#11 module: logged in once for the whole process, opened again when it was lost."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import pkcs11
from pkcs11.exceptions import (
    KeyTypeInconsistent,
    MechanismInvalid,
    MultipleTokensReturned,
    NoSuchKey,
    NoSuchToken,
    PinExpired,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
    UserAlreadyLoggedIn,
)

from safeconduct.hsm.errors import HsmError
from safeconduct.hsm.uri import Pkcs11Uri

T = TypeVar("T")

_PIN_REFUSED: Final = (PinIncorrect, PinInvalid, PinLenRange, PinLocked, PinExpired)

_registry = threading.Lock()
_modules: dict[str, threading.RLock] = {}
_tokens: dict[tuple[str, str | None, str | None, Path | None], "Token"] = {}


class Token:
    """A token and the one session in it. Made by `token_of`."""

    def __init__(self, place: Pkcs11Uri, module_lock: threading.RLock) -> None:
        self._place = place
        # Modules are initialised without locking of their own (C_Initialize with NULL).
        self._lock = module_lock
        self._process = os.getpid()
        self._session: pkcs11.Session | None = None
        self._writing = False
        self._pin_refused = False

    def call(self, work: Callable[[pkcs11.Session], T], *, writing: bool = False) -> T:
        """Returns what `work` returns in a session that is logged in.

        work: runs alone in the module; a second time, in a new session, if the first one was lost.
        writing: whether it changes the token, which needs a session of another kind.

        Raises HsmError: what `work` raises, "hsm_forked", "hsm_module", "hsm_token_missing",
        "hsm_token_ambiguous", "hsm_pin_source", "hsm_pin_wrong", "hsm_unreachable".
        """
        if self._process != os.getpid():
            raise HsmError("hsm_forked", "The token was opened by a process that has forked since.")
        with self._lock:
            if writing != self._writing:
                self._drop()
                self._writing = writing
            if self._session is not None:
                try:
                    return work(self._session)
                except PKCS11Error:
                    self._drop()  # lost or logged out, perhaps: in a new session it is seen what is wrong
            try:
                self._session = self._open()
                return work(self._session)
            except PKCS11Error as error:
                self._drop()
                raise _explained(error) from None

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(PKCS11Error):
                session.close()

    def _open(self) -> pkcs11.Session:
        if self._pin_refused:
            # Tokens lock themselves after a few wrong PINs; one is enough to know.
            raise _pin_wrong()
        token = self._find()
        pin = self._place.pin()
        try:
            return token.open(rw=self._writing, user_pin=pin)
        except UserAlreadyLoggedIn:
            return token.open(rw=self._writing)
        except _PIN_REFUSED:
            self._pin_refused = True
            raise _pin_wrong() from None

    def _find(self) -> pkcs11.Token:
        try:
            module = pkcs11.lib(self._place.module)
        except PKCS11Error:
            raise HsmError("hsm_module", "The PKCS#11 module cannot be loaded.") from None
        wanted = {"token_label": self._place.token}
        serial = None if self._place.serial is None else self._place.serial.encode()
        try:
            return module.get_token(**wanted, token_serial=serial)
        except NoSuchToken:
            # A module may know only the tokens that were there when it was initialised.
            module.reinitialize()
            return module.get_token(**wanted, token_serial=serial)


def token_of(place: Pkcs11Uri) -> Token:
    """Returns the token that a URI names, the same one for all its keys. Nothing is opened yet."""
    name = (place.module, place.token, place.serial, place.pin_file)
    with _registry:
        found = _tokens.get(name)
        if found is None:
            module_lock = _modules.setdefault(place.module, threading.RLock())
            found = _tokens[name] = Token(place, module_lock)
        return found


def _explained(error: PKCS11Error) -> HsmError:
    match error:
        case NoSuchToken():
            return HsmError("hsm_token_missing", "The module has no token of that name.")
        case MultipleTokensReturned():
            return HsmError("hsm_token_ambiguous", "The module has several tokens of that name.")
        case NoSuchKey():
            return HsmError("hsm_key_missing", "The token has no such key, or not both of its halves.")
        case MechanismInvalid() | KeyTypeInconsistent():
            return HsmError("hsm_key_unsupported", "The token does not use the key by its algorithm.")
    name = type(error).__name__
    return HsmError("hsm_unreachable", f"The token does not answer as it should ({name}).")


def _pin_wrong() -> HsmError:
    return HsmError("hsm_pin_wrong", "The token does not take the PIN; it is not tried again.")
