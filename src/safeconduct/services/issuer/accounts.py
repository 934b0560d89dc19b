"""Accounts from a file, for people who log in with a name and a password.

[[accounts]]
name = "erika"
password = "scrypt$15$8$1$…$…"            # as `safeconduct login password` prints it
subject = "urn:example:person:1"          # as the issuer's records name her; her name unless given

[accounts.claims]                         # of her credentials, unless they come from elsewhere
given_name = "Erika"
"""

import hashlib
import hmac
import re
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.ids import Random
from safeconduct.settings import SettingsError

_LOG_N, _R, _P = 15, 8, 1
_MOST_LOG_N = 20
_KEY_BYTES = 32
_SALT_BYTES = 16
_HASH = re.compile(
    r"scrypt\$(1[0-9]|20)\$([1-9]|1[0-6])\$([1-9])\$([A-Za-z0-9_-]{16,64})\$([A-Za-z0-9_-]{43})"
)

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.LOGIN_CHARS)]


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account. password: its hash. subject: "" for the name. claims: None if they come from elsewhere."""

    name: _Name
    password: Annotated[str, msgspec.Meta(pattern=f"^{_HASH.pattern}$")]
    subject: str = ""
    claims: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return "<Account>"


def load_accounts(path: Path | None) -> Mapping[str, Account]:
    """Returns the accounts of a file by name; none without one. Raises SettingsError."""
    if path is None:
        return {}
    try:
        listed = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).accounts
    except OSError as error:
        raise SettingsError((f"{path}: cannot be read ({error.strerror})",)) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError((f"{path}: {error}",)) from None
    accounts = {account.name: account for account in listed}
    if len(accounts) != len(listed):
        raise SettingsError((f"{path}: an account is given twice",))
    return accounts


def hash_password(password: str, *, random: Random = secrets.token_bytes) -> str:
    """Returns what may be stored of a password: `scrypt$log2 N$r$p$salt$key`, the last two in base64url."""
    salt = random(_SALT_BYTES)
    key = _scrypt(password, salt, _LOG_N, _R, _P)
    return f"scrypt${_LOG_N}${_R}${_P}${b64.encode(salt)}${b64.encode(key)}"


NOBODY = f"scrypt${_LOG_N}${_R}${_P}${'A' * 22}${'A' * 43}"
"""A hash that no password has. For an account that does not exist it is compared, to take as long."""


def password_fits(password: str, hashed: str) -> bool:
    """Returns whether a password is the one of a hash. Takes some tenths of a second of one core."""
    parts = _HASH.fullmatch(hashed)
    if parts is None:
        return False
    log_n, r, p = (int(parts[place]) for place in (1, 2, 3))
    key = _scrypt(password, b64.decode(parts[4], max_bytes=64), log_n, r, p)
    return hmac.compare_digest(b64.encode(key), parts[5])


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    accounts: tuple[Account, ...] = ()


def _scrypt(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    memory = 128 * r * ((1 << min(log_n, _MOST_LOG_N)) + p + 2)
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=1 << log_n, r=r, p=p, maxmem=memory, dklen=_KEY_BYTES)
