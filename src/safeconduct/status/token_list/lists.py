"""Status lists: many small numbers in a compressed byte array (draft-ietf-oauth-status-list §4).

Entry i stands from the least significant bit on: in byte i * bits / 8, shifted by (i * bits) % 8.
"""

import zlib
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64, cbor
from safeconduct.errors import Malformed, Rejected

Bits = Literal[1, 2, 4, 8]

BITS: Final[tuple[Bits, ...]] = (1, 2, 4, 8)
"""How many bits a status may have."""

VALID, INVALID, SUSPENDED = 0, 1, 2
"""Registered status values (§7.1)."""

_LEVEL = 9  # "the highest compression level available"; the published vectors are made with it
_LIST = "Token Status List §4.1"
_JSON = "Token Status List §4.2"
_CBOR = "Token Status List §4.3"


class StatusList(msgspec.Struct, frozen=True):
    """The statuses of many tokens.

    bits: of each status. data: the array, not compressed. aggregation_uri: where further lists are named.
    """

    bits: Bits
    data: bytes
    aggregation_uri: str | None = None

    @classmethod
    def of(
        cls, statuses: Mapping[int, int], *, size: int, bits: Bits, aggregation_uri: str | None = None
    ) -> "StatusList":
        """Returns a list of `size` statuses: VALID but for those that are given by their index.

        The size is rounded up to whole bytes. Raises ValueError for an index or a status that has no room.
        """
        if bits not in BITS or not 0 < size * bits <= 8 * limits.STATUS_LIST_BYTES:
            raise ValueError("no list has this size, or statuses of so many bits")
        data = bytearray((size * bits + 7) // 8)
        for index, value in statuses.items():
            if not (0 <= index < size and 0 <= value < 1 << bits):
                raise ValueError("an index or a status has no room in the list")
            place, shift = divmod(index * bits, 8)
            data[place] = data[place] & ~(((1 << bits) - 1) << shift) | value << shift
        return cls(bits, bytes(data), aggregation_uri)

    @classmethod
    def from_json(cls, members: Any) -> "StatusList":
        """Reads the `status_list` of a JWT, decoded.

        Raises Malformed: status_list_malformed, base64url_*. Source: §4.2.
        """
        if type(members) is not dict:
            raise _malformed("The status list is not an object.", _JSON)
        text = members.get("lst")
        if type(text) is not str:
            raise _malformed("lst is not text.", _JSON)
        return cls._read(members, b64.decode(text, max_bytes=limits.STATUS_TOKEN_BYTES), _JSON)

    @classmethod
    def from_cbor(cls, entries: Any) -> "StatusList":
        """As `from_json`, for the claim 65533 of a CWT. Source: §4.3."""
        if type(entries) is not dict:
            raise _malformed("The status list is not a map.", _CBOR)
        data = entries.get("lst")
        if type(data) is not bytes:
            raise _malformed("lst is not a byte string.", _CBOR)
        return cls._read(entries, data, _CBOR)

    @classmethod
    def _read(cls, members: Mapping[Any, Any], compressed: bytes, rule: str) -> "StatusList":
        bits, aggregation = members.get("bits"), members.get("aggregation_uri")
        if type(bits) is not int or bits not in BITS:
            raise _malformed("bits is none of 1, 2, 4 and 8.", rule)
        if aggregation is not None and (
            type(aggregation) is not str or not 0 < len(aggregation) <= limits.URL_CHARS
        ):
            raise _malformed("aggregation_uri is no URI.", rule)
        return cls(bits, inflate(compressed), aggregation)

    def __repr__(self) -> str:
        return f"<StatusList of {self.size}>"

    @property
    def size(self) -> int:
        """How many statuses there are; the last index is one less."""
        return len(self.data) * 8 // self.bits

    def status(self, index: int) -> int:
        """Returns the status at an index. Raises Rejected "status_index_out_of_range" (§8.3 step 6)."""
        if not 0 <= index < self.size:
            raise Rejected(
                "status_index_out_of_range",
                "The credential names a place that its status list does not have.",
                rule="Token Status List §8.3 step 6",
            )
        place, shift = divmod(index * self.bits, 8)
        return self.data[place] >> shift & ((1 << self.bits) - 1)

    def entries(self) -> dict[int, int]:
        """Returns the statuses that are not VALID, by their index."""
        each, mask = 8 // self.bits, (1 << self.bits) - 1
        return {
            place * each + part: value
            for place, byte in enumerate(self.data)
            if byte
            for part in range(each)
            if (value := byte >> part * self.bits & mask)
        }

    def compressed(self) -> bytes:
        """Returns the array as ZLIB data (RFC 1950)."""
        return zlib.compress(self.data, _LEVEL)

    def to_json(self) -> dict[str, Any]:
        """Returns the value of `status_list` in a JWT."""
        more = {} if self.aggregation_uri is None else {"aggregation_uri": self.aggregation_uri}
        return {"bits": self.bits, "lst": b64.encode(self.compressed()), **more}

    def to_cbor(self) -> bytes:
        """Returns the value of the claim 65533 in a CWT, encoded, in the order of the draft's examples."""
        entries: list[tuple[str, Any]] = [("bits", self.bits), ("lst", self.compressed())]
        if self.aggregation_uri is not None:
            entries.append(("aggregation_uri", self.aggregation_uri))
        encoded = b"".join(cbor.dumps(key) + cbor.dumps(value) for key, value in entries)
        return bytes((0xA0 | len(entries),)) + encoded


def inflate(compressed: bytes, *, gzip: bool = False) -> bytes:
    """Returns what ZLIB data, or GZIP data of one member, inflates to.

    Bounded by `limits.STATUS_LIST_BYTES`. Raises Malformed: status_list_deflate (not such data, cut short,
    followed by something, or empty), status_list_too_large.
    """
    machine = zlib.decompressobj(zlib.MAX_WBITS | (16 if gzip else 0))
    try:
        data = machine.decompress(compressed, limits.STATUS_LIST_BYTES + 1)
    except zlib.error as error:
        raise _not_deflated() from error
    if len(data) > limits.STATUS_LIST_BYTES:
        raise Malformed("status_list_too_large", "The status list inflates to more than is accepted.")
    # The end of the stream carries the checksum: without it, anything could be missing.
    if not machine.eof or machine.unused_data or not data:
        raise _not_deflated()
    return data


def _not_deflated() -> Malformed:
    return Malformed(
        "status_list_deflate", "The status list is not one whole compressed byte array.", rule=_LIST
    )


def _malformed(reason: str, rule: str) -> Malformed:
    return Malformed("status_list_malformed", reason, rule=rule)
