"""A directory's snapshot: keys and revocation lists of many issuers in one JSON file, signed beside it.

This is what the VCI directory publishes each day. Its signature is detached: ECDSA over the bytes of the
file, in DER, by the key of a certificate that whoever believes the directory has pinned.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from safeconduct import limits
from safeconduct.crypto.x509 import Certificate
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported
from safeconduct.status.card_keys import KeySet, check_issuer_url, read_keys
from safeconduct.status.card_revocation.crl import RevocationList


class SnapshotList(msgspec.Struct, frozen=True):
    """A list in a snapshot. found: None for one that breaks its format."""

    kid: str
    found: RevocationList | None


class SnapshotIssuer(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer in a snapshot. retrieved: when the directory had its keys from it, seconds since 1970."""

    url: str
    name: str
    keys: KeySet
    lists: tuple[SnapshotList, ...]
    retrieved: int


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot. time: when it was made. refused: how many entries are no issuers and left out."""

    time: int
    issuers: tuple[SnapshotIssuer, ...]
    refused: int


def verify(data: bytes, *, signature: bytes, certificate: Certificate, now: int) -> Snapshot:
    """Returns a snapshot that the certificate's key has signed.

    data: the bytes of the file. signature: of them, in DER, with the hash that belongs to the key's curve
    (SHA-512 with P-521). certificate: pinned; it must be in force, whatever else it says. now: seconds.

    Raises Rejected "snapshot_certificate" (not in force), "signature_invalid"; Malformed
    "snapshot_signature"; Unsupported "snapshot_key"; what `parse` raises.
    """
    if not certificate.not_before <= now <= certificate.not_after:
        raise Rejected("snapshot_certificate", "The certificate of the snapshot is not in force.")
    if len(data) > limits.SNAPSHOT_BYTES:
        raise _too_large()
    certificate.key.verify(_joined(signature, certificate), data)
    return parse(data)


def parse(data: bytes) -> Snapshot:
    """Returns a snapshot that is believed for another reason than its signature.

    What is wrong with one issuer, key or list does not harm the others. Of an issuer that stands twice the
    first entry counts.

    Raises Malformed "snapshot_malformed", "snapshot_too_large".
    """
    _measure(data)
    try:
        members = json.loads_object(data, max_bytes=limits.SNAPSHOT_BYTES)
    except SafeconductError as error:
        raise _malformed() from error
    entries, time = members.get("issuerInfo"), _seconds(members.get("time"))
    if not isinstance(entries, list) or time is None:
        raise _malformed()
    if len(entries) > limits.SNAPSHOT_ISSUERS:
        raise _too_large()
    found: dict[str, SnapshotIssuer] = {}
    for issuer in _issuers(entries, time):
        found.setdefault(issuer.url, issuer)
    return Snapshot(time, tuple(found.values()), len(entries) - len(found))


_NAME_CHARS: Final = 256
_OBJECTS_OF_ISSUER: Final = 8


def _measure(data: bytes) -> None:
    """Counts before anything is made of the bytes: two of them could become an object of sixty."""
    objects = data.count(b"{") + data.count(b"[")
    if len(data) > limits.SNAPSHOT_BYTES or data.count(b",") > limits.CRL_ENTRIES:
        raise _too_large()
    if objects > _OBJECTS_OF_ISSUER * limits.SNAPSHOT_ISSUERS:
        raise _too_large()


def _joined(der: bytes, certificate: Certificate) -> bytes:
    """An ECDSA signature in DER as r followed by s."""
    algorithm = certificate.key.algorithm
    if algorithm.key_type != "EC2":
        raise Unsupported("snapshot_key", "The certificate of the snapshot has no key for ECDSA.")
    half = algorithm.signature_bytes // 2
    try:
        r, s = decode_dss_signature(der)
        return r.to_bytes(half, "big") + s.to_bytes(half, "big")
    except (ValueError, OverflowError):
        raise Malformed("snapshot_signature", "The signature of the snapshot is not one of ECDSA.") from None


def _issuers(entries: list[Any], time: int) -> Iterator[SnapshotIssuer]:
    for entry in entries:
        issuer = entry.get("issuer") if isinstance(entry, dict) else None
        keys = entry.get("keys") if isinstance(entry, dict) else None
        if not isinstance(issuer, dict) or not isinstance(keys, list):
            continue
        url, name = issuer.get("iss"), issuer.get("name")
        if not isinstance(url, str) or not _is_issuer(url):
            continue
        retrieved = _seconds(entry.get("lastRetrieved"))
        yield SnapshotIssuer(
            url=url,
            name=name[:_NAME_CHARS] if isinstance(name, str) else "",
            keys=_keys(keys),
            lists=tuple(_lists(entry.get("crls"))),
            retrieved=time if retrieved is None else min(retrieved, time),
        )


def _is_issuer(url: str) -> bool:
    try:
        check_issuer_url(url)
    except SafeconductError:
        return False
    return True


def _keys(entries: list[Any]) -> KeySet:
    try:
        return read_keys(entries)
    except SafeconductError:
        return KeySet(())


def _lists(entries: object) -> Iterator[SnapshotList]:
    for entry in entries if isinstance(entries, list) else ():
        kid = entry.get("kid") if isinstance(entry, dict) else None
        if not isinstance(kid, str):
            continue
        try:
            yield SnapshotList(kid, RevocationList.parse(json.dumps(entry), kid=kid))
        except SafeconductError:
            yield SnapshotList(kid, None)


def _seconds(text: object) -> int | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    # Without a zone, what it says depends on where it is read.
    return None if moment is None or moment.tzinfo is None else max(int(moment.timestamp()), 0)


def _malformed() -> Malformed:
    return Malformed("snapshot_malformed", "The snapshot is not a JSON object with a time and issuers.")


def _too_large() -> Malformed:
    return Malformed("snapshot_too_large", "The snapshot is longer than allowed here.")
