"""Bitstring Status List v1.0 (W3C): read and written; its credential is signed by whoever issues it.

Two things are the other way round than in a Token Status List: index 0 is the left-most, most significant
bit, and the array is GZIP data.
"""

import zlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected
from safeconduct.status.token_list.lists import inflate

ENTRIES: Final = 131_072
"""Fewest entries of a list: among fewer, who asks for it tells too much (§7.1)."""

_LEVEL = 9
_RULE = "Bitstring Status List v1.0 §3.2"
_ENTRY = "Bitstring Status List v1.0 §2.1"
_CREDENTIAL = "Bitstring Status List v1.0 §2.2"
_CONTEXT = "https://www.w3.org/ns/credentials/v2"


class Bitstring(msgspec.Struct, frozen=True):
    """The statuses of many credentials. data: the array. size: bits of each status, 1 to 8."""

    data: bytes
    size: int = 1

    @classmethod
    def of(cls, statuses: Mapping[int, int], *, entries: int = ENTRIES, size: int = 1) -> "Bitstring":
        """Returns a list of zeros but for the statuses given by their index.

        Raises ValueError for what has no room.
        """
        if not (1 <= size <= 8 and 0 < entries * size <= 8 * limits.STATUS_LIST_BYTES):
            raise ValueError("no list has this many entries, or statuses of so many bits")
        data = bytearray((entries * size + 7) // 8)
        for index, value in statuses.items():
            if not (0 <= index < entries and 0 <= value < 1 << size):
                raise ValueError("an index or a status has no room in the list")
            for place in range(size):
                bit = index * size + place
                data[bit >> 3] |= (value >> (size - 1 - place) & 1) << (7 - (bit & 7))
        return cls(bytes(data), size)

    @classmethod
    def read(cls, encoded: str, *, size: int = 1, entries: int = ENTRIES) -> "Bitstring":
        """Reads an `encodedList`. entries: the fewest that it must have.

        Raises Malformed: bitstring_malformed, base64url_*, status_list_deflate, status_list_too_large;
        Rejected: bitstring_too_short.
        """
        if not encoded.startswith("u"):
            raise Malformed(
                "bitstring_malformed", "The list is not multibase in base64url.", rule=_CREDENTIAL
            )
        if not 1 <= size <= 8:
            raise Malformed("bitstring_malformed", "A status has one to eight bits here.", rule=_ENTRY)
        data = inflate(b64.decode(encoded[1:], max_bytes=limits.STATUS_TOKEN_BYTES), gzip=True)
        if len(data) * 8 // size < entries:
            raise Rejected("bitstring_too_short", "The list has too few entries to hide one.", rule=_RULE)
        return cls(data, size)

    def __repr__(self) -> str:
        return f"<Bitstring of {self.entries}>"

    @property
    def entries(self) -> int:
        """How many statuses there are."""
        return len(self.data) * 8 // self.size

    def status(self, index: int) -> int:
        """Returns the status at an index. Raises Rejected "status_index_out_of_range"."""
        if not 0 <= index < self.entries:
            raise Rejected(
                "status_index_out_of_range",
                "The credential names a place that its status list does not have.",
                rule=_RULE,
            )
        first = index * self.size
        window = int.from_bytes(self.data[first >> 3 : (first >> 3) + 2].ljust(2, b"\0"), "big")
        return window >> (16 - self.size - (first & 7)) & ((1 << self.size) - 1)

    def write(self) -> str:
        """Returns the `encodedList`; equal lists give equal text."""
        machine = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        return "u" + b64.encode(machine.compress(self.data) + machine.flush())


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A `credentialStatus`: where the status of a credential stands.

    purpose: "revocation", "suspension", "refresh" or "message". index: from 0. list_url: of the list's
    credential. size: bits of a status. messages: what the values mean, where the purpose is "message".
    """

    purpose: str
    index: int
    list_url: str
    size: int = 1
    messages: tuple[tuple[int, str], ...] = ()

    def __repr__(self) -> str:
        return "<Entry>"

    def write(self) -> dict[str, Any]:
        """Returns it as JSON values; the index is text there."""
        members: dict[str, Any] = {
            "type": "BitstringStatusListEntry",
            "statusPurpose": self.purpose,
            "statusListIndex": str(self.index),
            "statusListCredential": self.list_url,
        }
        if self.size != 1 or self.messages:
            members["statusSize"] = self.size
            members["statusMessage"] = [
                {"status": hex(value), "message": text} for value, text in self.messages
            ]
        return members


def read_entry(members: Any) -> Entry:
    """Reads a `credentialStatus`. Raises Malformed: bitstring_malformed. Source: §2.1."""
    fields = members if type(members) is dict else {}
    purpose, index, url = (
        fields.get(name) for name in ("statusPurpose", "statusListIndex", "statusListCredential")
    )
    size, messages = fields.get("statusSize", 1), fields.get("statusMessage", [])
    if (
        fields.get("type") != "BitstringStatusListEntry"
        or not (type(purpose) is str and type(url) is str and 0 < len(url) <= limits.URL_CHARS)
        or not (type(index) is str and index.isascii() and index.isdecimal() and len(index) <= _INDEX_DIGITS)
        or not (type(size) is int and 1 <= size <= 8 and type(messages) is list)
    ):
        raise Malformed("bitstring_malformed", "The entry is not one of a bitstring list.", rule=_ENTRY)
    found = tuple(_message(item) for item in messages)
    if (size > 1 or messages) and len(found) != 1 << size:
        raise Malformed("bitstring_malformed", "Not every status has its message.", rule=_ENTRY)
    return Entry(purpose=purpose, index=int(index), list_url=url, size=size, messages=found)


def write_credential(
    bits: Bitstring, *, url: str, issuer: str, purpose: str, valid_from: str, valid_until: str | None = None
) -> dict[str, Any]:
    """Returns the credential that carries a list, not signed (§2.2).

    url: where it will be. purpose: as in `Entry`. valid_from, valid_until: times as XML Schema writes them.
    """
    until = {} if valid_until is None else {"validUntil": valid_until}
    return {
        "@context": [_CONTEXT],
        "id": url,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer,
        "validFrom": valid_from,
        **until,
        "credentialSubject": {
            "id": f"{url}#list",
            "type": "BitstringStatusList",
            "statusPurpose": purpose,
            "encodedList": bits.write(),
        },
    }


def look_up(credential: Mapping[str, Any], entry: Entry) -> int:
    """Returns the status of an entry in a list's credential, whose proof and validity the caller has checked.

    Raises Malformed: bitstring_malformed; Rejected: bitstring_mismatch, and as `Bitstring.read` and `status`.
    Source: §3.2 (Validate Algorithm) steps 4 to 11.
    """
    subject = credential.get("credentialSubject")
    kinds = credential.get("type")
    if type(subject) is not dict or subject.get("type") != "BitstringStatusList":
        raise Malformed("bitstring_malformed", "The credential carries no bitstring list.", rule=_CREDENTIAL)
    if type(kinds) is not list or "BitstringStatusListCredential" not in kinds:
        raise Malformed("bitstring_malformed", "The credential is none of a list.", rule=_CREDENTIAL)
    purposes, encoded = subject.get("statusPurpose"), subject.get("encodedList")
    if entry.purpose not in (purposes if type(purposes) is list else [purposes]):
        raise Rejected("bitstring_mismatch", "The list serves another purpose.", rule=_RULE)
    if credential.get("id", entry.list_url) != entry.list_url:
        raise Rejected("bitstring_mismatch", "The list is another than the entry names.", rule=_RULE)
    if type(encoded) is not str:
        raise Malformed("bitstring_malformed", "encodedList is not text.", rule=_CREDENTIAL)
    return Bitstring.read(encoded, size=entry.size).status(entry.index)


_INDEX_DIGITS = 10


def _message(item: Any) -> tuple[int, str]:
    value, text = (item.get("status"), item.get("message")) if type(item) is dict else (None, None)
    if type(value) is not str or type(text) is not str or not _is_hex(value):
        raise Malformed("bitstring_malformed", "A message is not {status, message}.", rule=_ENTRY)
    return int(value, 16), text


def _is_hex(text: str) -> bool:
    digits = text.removeprefix("0x")
    return digits != text and 0 < len(digits) <= 2 and set(digits) <= set("0123456789abcdefABCDEF")
