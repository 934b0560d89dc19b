"""Salts from a file, for tokens that come out the same in every implementation.

The file is CSV: the hexadecimal SHA-256 of a disclosure without its salt, or a decoy's number; then the salt.
What is hashed is the CBOR array [key, value], and [null, value] for an array element, with everything inside
the value redacted already.
"""

import csv
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from safeconduct.cli.faults import WrongUse
from safeconduct.encoding import cbor
from safeconduct.formats.redaction import Kind
from safeconduct.ids import Random

SALT_BYTES = 16
MAX_BYTES = 1024 * 1024
"""A nonce list: ten thousand lines."""


def read_salts(data: bytes) -> dict[str, bytes]:
    """Read a nonce list: salts by digest or decoy number. Raises WrongUse, which names the line."""
    try:
        rows = list(csv.reader(data.decode().splitlines()))
    except (UnicodeDecodeError, csv.Error):
        raise WrongUse("the nonce list is no CSV") from None
    salts = {}
    for line, row in enumerate(rows, start=1):
        fields = [field.strip().lower() for field in row]
        if not any(fields):
            continue
        if len(fields) < 2 or not _is_name(fields[0]) or not _is_hex(fields[1], SALT_BYTES):
            raise WrongUse(
                f"line {line} of the nonce list is not a SHA-256 or a decoy's number, a comma and a salt"
            )
        salts[fields[0]] = bytes.fromhex(fields[1])
    return salts


def _is_name(text: str) -> bool:
    is_number = text.isascii() and text.isdigit() and len(text) < 20 and int(text) > 0
    return is_number or _is_hex(text, hashlib.sha256().digest_size)


def _is_hex(text: str, size: int) -> bool:
    return len(text) == 2 * size and all(char in "0123456789abcdef" for char in text)


class ListedSalts:
    """A source of salts that takes each listed salt once, draws the others, and keeps account of all."""

    def __init__(self, listed: Mapping[str, bytes], random: Random = secrets.token_bytes) -> None:
        self._listed = dict(listed)
        self._random = random
        self._used: list[tuple[str, bytes]] = []

    def __call__(self, kind: Kind, key: Any, value: Any) -> bytes:
        """Return the salt of a disclosure."""
        name = _name(kind, key, value)
        # The same content elsewhere must not have the same digest, so a listed salt serves once.
        salt = self._listed.pop(name, None) or self._random(SALT_BYTES)
        self._used.append((name, salt))
        return salt

    def used(self) -> bytes:
        """Return all salts that were given out, in the form of the file."""
        return "".join(f"{name},{salt.hex()}\n" for name, salt in self._used if name).encode()


def _name(kind: Kind, key: Any, value: Any) -> str:
    if kind == "decoy":
        return "" if value is None else str(value)
    return hashlib.sha256(cbor.dumps([key, value])).hexdigest()
