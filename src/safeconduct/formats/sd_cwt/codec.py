"""SD-CWT as the redaction engine sees it: legal keys and values, disclosures, digests."""

import hashlib
from collections.abc import Callable
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
    raw_digests: bool
    marker: Any
    hash_new: Callable[..., Any]
    digest_bytes: int
    leaves: frozenset[type] = _LEAVES

    def encode(self, kind: Kind, salt: bytes, key: Any, value: Any) -> Disclosure:
        """Make a disclosure (SD-CWT-08 §6)."""
        parts = [cbor.dumps(salt)]
        if kind == "entry":
            parts += [cbor.dumps(value), cbor.dumps(key)]
            if self.profile.order == "key-value":
                parts[1:] = reversed(parts[1:])
        elif kind == "element":
            parts.append(cbor.dumps(value))
        encoded = bytes((0x80 | len(parts),)) + b"".join(parts)
        return Disclosure(kind, salt, encoded, None if kind == "decoy" else value, key)

    def decode(self, encoded: Any) -> Disclosure:
        """Read a received disclosure. Raises Malformed: disclosure_malformed, salt_size and cbor_*."""
        if type(encoded) is not bytes:
            raise Malformed("disclosure_malformed", "A disclosure is not a byte string.", rule="SD-CWT-08 §6")
        parts = cbor.loads(encoded)
        if type(parts) is not list or not 1 <= len(parts) <= 3 or type(parts[0]) is not bytes:
            raise Malformed("disclosure_malformed", "A disclosure is not [salt, ...].", rule="SD-CWT-08 §6")
        salt = parts[0]
        least, most = self.profile.salt_bytes
        if not least <= len(salt) <= most:
            raise Malformed("salt_size", "A salt has the wrong length.", rule="SD-CWT-08 §6")
        if len(parts) == 1:
            return Disclosure("decoy", salt, encoded)
        if len(parts) == 2:
            return Disclosure("element", salt, encoded, parts[1])
        value, key = parts[1:] if self.profile.order == "value-key" else reversed(parts[1:])
        return Disclosure("entry", salt, encoded, value, key)

    def digests(self, encoded: bytes) -> tuple[bytes, ...]:
        """Return the Redacted Claim Hash of the bytes received, wrapped in a byte string as -08 has it."""
        if self.profile.digest_input == "raw":
            return (self.digest(encoded),)
        wrapped = self.digest(cbor.byte_string_head(len(encoded)) + encoded)
        return (wrapped, self.digest(encoded)) if self.raw_digests else (wrapped,)

    def digest(self, data: bytes) -> bytes:
        """Hash with `sd_alg`."""
        return bytes(self.hash_new(data).digest())

    def is_digest(self, digest: Any) -> bool:
        """Tell whether this is a byte string of the hash's length."""
        return type(digest) is bytes and len(digest) == self.digest_bytes

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
    name = HASHES.get(sd_alg) if type(sd_alg) is int else None
    if name is None:
        raise Unsupported(
            "sd_alg_unsupported", "The hash algorithm is not one of SHA-2.", rule="SD-CWT-08 §4"
        )
    digest_bytes = hashlib.new(name).digest_size
    constructor = _constructor(name)
    return CborCodec(profile, sd_alg, raw_digests, profile.marker, constructor, digest_bytes)


def _constructor(name: str) -> Callable[..., Any]:
    if name in ("sha256", "sha384", "sha512"):
        found: Callable[..., Any] = getattr(hashlib, name)
        return found
    return lambda data: hashlib.new(name, data)
