"""SD-CWT as the redaction engine sees it: legal keys and values, disclosures, digests."""

import hashlib
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.encoding import cbor
from safeconduct.encoding.cbor import Simple, Tag, undefined
from safeconduct.errors import Malformed, Unsupported
from safeconduct.formats.redaction import Disclosure, Kind
from safeconduct.formats.sd_cwt import labels, values
from safeconduct.formats.sd_cwt.profile import HASHES, Profile

_ENCODING = "SD-CWT-08 §5"
_LEAVES = frozenset[type]({int, str, bytes, bool, float, type(None), type(undefined)})
_RESERVED_TAGS = frozenset({labels.TO_BE_REDACTED_TAG, labels.REDACTED_ELEMENT_TAG, labels.TO_BE_DECOY_TAG})
_ELLIPSIS = "..."
_SURELY_SHORT = limits.CLAIM_KEY_BYTES // 4  # a character has at most four bytes


class CborCodec(msgspec.Struct, frozen=True):
    """The codec of one token: a profile, its `sd_alg` and whether raw digests are read too."""

    profile: Profile
    sd_alg: int
    least_salt: int
    most_salt: int
    value_first: bool
    raw_only: bool
    raw_digests: bool
    marker: Any
    hash_new: Callable[..., Any]
    digest_size: int
    digest_type: type = bytes
    leaves: frozenset[type] = _LEAVES

    def encode(self, kind: Kind, salt: bytes, key: Any, value: Any) -> Disclosure:
        """Make a disclosure (SD-CWT-08 §6)."""
        start = cbor.byte_string_head(len(salt)) + salt
        if kind == "entry":
            first, second = (value, key) if self.value_first else (key, value)
            encoded = b"\x83" + start + cbor.dumps(first) + cbor.dumps(second)
        elif kind == "element":
            encoded = b"\x82" + start + cbor.dumps(value)
        else:
            encoded, value = b"\x81" + start, None
        return Disclosure(kind, salt, encoded, value, key)

    def decode(self, encoded: list[Any]) -> tuple[Disclosure, ...]:
        """Read received disclosures. Raises Malformed: disclosure_malformed, salt_size and cbor_*."""
        if {*map(type, encoded)} - {bytes}:
            raise Malformed("disclosure_malformed", "A disclosure is not a byte string.", rule="SD-CWT-08 §6")
        return tuple(map(self._disclosure, encoded, cbor.loads_each(encoded)))

    def _disclosure(self, encoded: bytes, parts: Any) -> Disclosure:
        if type(parts) is not list or not 1 <= len(parts) <= 3 or type(parts[0]) is not bytes:
            raise Malformed("disclosure_malformed", "A disclosure is not [salt, ...].", rule="SD-CWT-08 §6")
        if not self.least_salt <= len(parts[0]) <= self.most_salt:
            raise Malformed("salt_size", "A salt has the wrong length.", rule="SD-CWT-08 §6")
        if len(parts) == 3:
            salt, value, key = parts if self.value_first else (parts[0], parts[2], parts[1])
            return Disclosure("entry", salt, encoded, value, key)
        if len(parts) == 2:
            return Disclosure("element", parts[0], encoded, parts[1])
        return Disclosure("decoy", parts[0], encoded)

    def digest(self, encoded: bytes) -> bytes:
        """Return the Redacted Claim Hash of the bytes received, wrapped in a byte string as -08 has it."""
        data = encoded if self.raw_only else cbor.byte_string_head(len(encoded)) + encoded
        digest: bytes = self.hash_new(data).digest()
        return digest

    @property
    def digests_each(self) -> int:
        """Two where raw digests are read besides wrapped ones."""
        return 2 if self.raw_digests and not self.raw_only else 1

    def index(self, disclosures: Collection[Disclosure]) -> dict[Any, Disclosure]:
        """Return the disclosures by digest, by the raw one too where that leniency is accepted."""
        new, head = self.hash_new, cbor.byte_string_head
        raw: dict[Any, Disclosure] = {}
        if self.raw_only or self.raw_digests:
            raw = {new(item.encoded).digest(): item for item in disclosures}
        if self.raw_only:
            return raw
        return raw | {new(head(len(item.encoded)) + item.encoded).digest(): item for item in disclosures}

    def hash(self, data: bytes) -> bytes:
        """Hash with `sd_alg`."""
        return bytes(self.hash_new(data).digest())

    def element(self, digest: bytes) -> Any:
        """Write a redacted array element."""
        return (
            Tag(labels.REDACTED_ELEMENT_TAG, digest) if self.profile.element == "tag" else {_ELLIPSIS: digest}
        )

    def element_digest(self, item: Any) -> Any | None:
        """Read a redacted array element."""
        if self.profile.element == "tag":
            return item.value if type(item) is Tag and item.tag == labels.REDACTED_ELEMENT_TAG else None
        return item[_ELLIPSIS] if type(item) is dict and len(item) == 1 and _ELLIPSIS in item else None

    def check_key(self, key: Any) -> None:
        """Raise Malformed: claim_key (SD-CWT-08 §5)."""
        if type(key) is int or (type(key) is str and len(key) <= _SURELY_SHORT and key != _ELLIPSIS):
            return
        values.check_key(key)
        if key == _ELLIPSIS and self.profile.element == "ellipsis":
            raise Malformed("claim_key", "The key of a redacted element stands in a map of claims.")

    def check_keys(self, keys: Collection[Any]) -> None:
        """Check several keys as `check_key` does, which returns nothing or raises."""
        any(map(self.check_key, keys))

    def wrapped(self, item: Any) -> tuple[Any, Callable[[Any], Any]] | None:
        """Open a tag. Raises Malformed: claim_value for what may not stand in claims."""
        if type(item) is Tag:
            number = item.tag
            if number in _RESERVED_TAGS:
                raise Malformed("claim_value", "A tag stands where it is not allowed.", rule=_ENCODING)
            return item.value, lambda value: Tag(number, value)
        if type(item) is Simple and (item.value == labels.REDACTED_KEYS_SIMPLE or 24 <= item.value < 32):
            raise Malformed("claim_value", "A simple value stands where it is not allowed.", rule=_ENCODING)
        if type(item) is not Simple:
            raise Malformed(
                "claim_value", "A claim has a type that CBOR claims cannot carry.", rule=_ENCODING
            )
        return None


def for_profile(profile: Profile, sd_alg: Any, *, raw_digests: bool = False) -> CborCodec:
    """Return the codec of a token. Raises Unsupported: sd_alg_unsupported (SD-CWT-08 §8.2)."""
    found = _HASHES.get(sd_alg) if type(sd_alg) is int else None
    if found is None:
        raise Unsupported(
            "sd_alg_unsupported", "The hash algorithm is not one of SHA-2.", rule="SD-CWT-08 §4"
        )
    return CborCodec(
        profile,
        sd_alg,
        *profile.salt_bytes,
        profile.order == "value-key",
        profile.digest_input == "raw",
        raw_digests,
        profile.marker,
        *found,
    )


def _hash(name: str) -> tuple[Callable[..., Any], int]:
    """Return the constructor of a hash and its digest's length in bytes."""
    constructor = getattr(hashlib, name, None) or (lambda data: hashlib.new(name, data))
    return constructor, hashlib.new(name).digest_size


_HASHES = {sd_alg: _hash(name) for sd_alg, name in HASHES.items()}
