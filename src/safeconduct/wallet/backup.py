"""A wallet in one file: every record, under a passphrase, so that it outlives the device and its keys.

A line says what the file is; the next, JSON, how the passphrase is stretched; the rest is AES-256-GCM over
all records, with both lines as associated data. A reader takes exactly this, and nothing before the tag is
right.
"""

import re
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected
from safeconduct.ids import Random
from safeconduct.wallet import passphrases
from safeconduct.wallet.records import KnownIssuer, Pending, StoredCredential, StoredInstance
from safeconduct.wallet.sharing.contacts import CARD, CONTACT, Contact, OwnCard
from safeconduct.wallet.sharing.records import Transfer
from safeconduct.wallet.sharing.register import TRANSFER
from safeconduct.wallet.store import CREDENTIAL, INSTANCE, ISSUER, PENDING, Raw

MAGIC = b"safeconduct wallet backup 1\n"

_NONCE_BYTES = 12
_HEADER_BYTES = 1024
_NAME = re.compile(r"[0-9a-f-]{1,64}")
_KINDS: dict[str, Any] = {
    CREDENTIAL: StoredCredential,
    INSTANCE: StoredInstance,
    ISSUER: KnownIssuer,
    PENDING: Pending,
    TRANSFER: Transfer,
    CARD: OwnCard,
    CONTACT: Contact,
}


def write_backup(records: tuple[Raw, ...], passphrase: str, *, random: Random = secrets.token_bytes) -> bytes:
    """Return a backup of the records. Raises Rejected: passphrase_short, backup_too_large."""
    key, parameters = passphrases.new_key(passphrase, random=random)
    content = msgspec.json.encode([_Record(raw.kind, raw.id, raw.parent, raw.content) for raw in records])
    if len(content) > limits.WALLET_BACKUP_BYTES - len(MAGIC) - _HEADER_BYTES:
        raise Rejected("backup_too_large", "The wallet holds more than a backup may.")
    head = MAGIC + json.dumps({**parameters, "nonce": random(_NONCE_BYTES).hex()}) + b"\n"
    return head + AESGCM(key).encrypt(_nonce(head), content, head)


def read_backup(data: bytes, passphrase: str) -> tuple[Raw, ...]:
    """Return the records in a backup.

    data: at most `limits.WALLET_BACKUP_BYTES`.
    Raises Malformed: backup_malformed, backup_version; Rejected: passphrase_wrong (or the file was changed).
    """
    head, sealed = _split(data)
    members = json.loads_object(head[len(MAGIC) :])
    nonce = members.pop("nonce", None)
    if not isinstance(nonce, str):
        raise _malformed()
    key = passphrases.key(passphrase, members)
    try:
        content = AESGCM(key).decrypt(_nonce(head), sealed, head)
    except InvalidTag:
        raise Rejected(
            "passphrase_wrong", "The passphrase does not open the backup, or the file was changed."
        ) from None
    return _records(content)


class _Record(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    id: str
    parent: str
    content: bytes


def _hang_together(found: Sequence[_Record]) -> bool:
    """Whether each name is there once, each credential has instances, and each of those a credential."""
    names = {(record.kind, record.id) for record in found}
    credentials = {name for kind, name in names if kind == CREDENTIAL}
    parents = {record.parent for record in found if record.kind == INSTANCE}
    orphans = any(record.parent for record in found if record.kind != INSTANCE)
    written = all(_NAME.fullmatch(name) for _kind, name in names)
    return len(names) == len(found) and credentials == parents and not orphans and written


def _split(data: bytes) -> tuple[bytes, bytes]:
    if len(data) > limits.WALLET_BACKUP_BYTES:
        raise _malformed()
    if not data.startswith(MAGIC):
        if data.startswith(MAGIC[:-2]):
            raise Malformed("backup_version", "The backup is of a version that is not known here.")
        raise _malformed()
    end = data.find(b"\n", len(MAGIC), len(MAGIC) + _HEADER_BYTES)
    if end < 0:
        raise _malformed()
    return data[: end + 1], data[end + 1 :]


def _nonce(head: bytes) -> bytes:
    text: Any = json.loads_object(head[len(MAGIC) :]).get("nonce")
    try:
        nonce = bytes.fromhex(text)
    except ValueError:
        raise _malformed() from None
    if len(nonce) != _NONCE_BYTES:
        raise _malformed()
    return nonce


def _records(content: bytes) -> tuple[Raw, ...]:
    """Read what the passphrase vouches for; a record that this version cannot read stops everything."""
    try:
        found = msgspec.json.decode(content, type=tuple[_Record, ...])
        for record in found:
            msgspec.json.decode(record.content, type=_KINDS[record.kind])
    except (msgspec.DecodeError, KeyError):
        raise _malformed() from None
    if not _hang_together(found):
        raise _malformed()
    return tuple(Raw(record.kind, record.id, record.parent, record.content) for record in found)


def _malformed() -> Malformed:
    return Malformed("backup_malformed", "The file is no backup of a wallet.")
