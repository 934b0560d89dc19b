"""SD-JWT as the redaction engine sees it: legal names and values, disclosures, digests (RFC 9901 §4.2)."""

import hashlib
from collections.abc import Callable, Collection
from itertools import repeat
from operator import attrgetter, methodcaller
from typing import Any

import msgspec

from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported
from safeconduct.formats.redaction import Disclosure, Kind

SD, ELLIPSIS, SD_ALG = "_sd", "...", "_sd_alg"

_RESERVED = frozenset({SD, ELLIPSIS, SD_ALG})
_LEAVES = frozenset[type]({str, int, bool, float, type(None)})
_RULE = "RFC 9901 §4.2"


class JsonCodec(msgspec.Struct, frozen=True):
    """The codec of one token, after its `_sd_alg`.

    sd_alg: name of the hash. digest_size: characters of a digest in base64url.
    """

    sd_alg: str
    hash_new: Callable[..., Any]
    digest_size: int
    marker: str = SD
    digest_type: type = str
    leaves: frozenset[type] = _LEAVES
    digests_each: int = 1

    def encode(self, kind: Kind, salt: bytes, key: Any, value: Any) -> Disclosure:
        """Make a disclosure; of a decoy only its digest is used (RFC 9901 §4.2.1, §4.2.2, §4.2.5)."""
        if kind == "decoy":
            return Disclosure(kind, salt, salt)
        text = b64.encode(salt)
        parts = [text, key, value] if kind == "entry" else [text, value]
        return Disclosure(kind, text, b64.encode(json.dumps(parts)).encode("ascii"), value, key)

    def decode(self, texts: Collection[bytes]) -> tuple[Disclosure, ...]:
        """Read received disclosures, each in base64url.

        Raises Malformed: disclosure_malformed; Rejected: salt_duplicate.
        """
        try:
            opened = json.loads_each(b64.decode_each(texts))
        except SafeconductError as error:
            raise Malformed(
                "disclosure_malformed", "A disclosure is not JSON in base64url.", rule=_RULE
            ) from error
        disclosures = _entries(texts, opened) or tuple(map(_disclosure, texts, opened))
        if len({*map(_SALT, disclosures)}) != len(disclosures) == len({*texts}):
            raise Rejected("salt_duplicate", "Two disclosures have the same salt.", rule="RFC 9901 §4.2.1")
        return disclosures

    def digest(self, encoded: bytes) -> str:
        """Return the digest of a disclosure: over its base64url text, in base64url (RFC 9901 §4.2.3)."""
        return b64.encode(self.hash_new(encoded).digest())

    def index(self, disclosures: Collection[Disclosure]) -> dict[Any, Disclosure]:
        """Return the disclosures by digest."""
        digests = b64.encode_each(map(_DIGEST, map(self.hash_new, map(_ENCODED, disclosures))))
        return dict(zip(digests, disclosures, strict=True))

    def element(self, digest: str) -> Any:
        """Write a redacted array element."""
        return {ELLIPSIS: digest}

    def element_digest(self, item: Any) -> Any | None:
        """Read a redacted array element."""
        return item[ELLIPSIS] if type(item) is dict and len(item) == 1 and ELLIPSIS in item else None

    def check_key(self, key: Any) -> None:
        """Check a claim name.

        Raises Rejected: claim_reserved (RFC 9901 §4.1, §4.1.1, §7.1 step 3.3.2.2); Malformed: claim_key.
        """
        if type(key) is not str:
            raise Malformed("claim_key", "A claim name is not text.", rule="RFC 9901 §4.2.1")
        if key in _RESERVED:
            raise Rejected(
                "claim_reserved", "A claim has a name that digests need.", rule="RFC 9901 §4.1; §7.1 step 3"
            )

    def check_keys(self, keys: Collection[Any]) -> None:
        """Check several claim names that JSON has given, so that they are text, as `check_key` does."""
        if not _RESERVED.isdisjoint(keys):
            any(map(self.check_key, keys))

    def wrapped(self, _item: Any) -> tuple[Any, Callable[[Any], Any]] | None:
        """Raise Malformed: claim_value; JSON has nothing that wraps another item."""
        raise Malformed("claim_value", "A claim has a type that JSON cannot carry.", rule=_RULE)


def for_algorithm(name: Any) -> JsonCodec:
    """Return the codec for an `_sd_alg`. Raises Unsupported: sd_alg_unsupported (RFC 9901 §4.1.1, §9.4)."""
    found = CODECS.get(name) if type(name) is str else None
    if found is None:
        raise Unsupported(
            "sd_alg_unsupported", "The hash algorithm is not one of SHA-2.", rule="RFC 9901 §7.1 step 2.4"
        )
    return found


CODECS = {
    "sha-256": JsonCodec("sha-256", hashlib.sha256, 43),
    "sha-384": JsonCodec("sha-384", hashlib.sha384, 64),
    "sha-512": JsonCodec("sha-512", hashlib.sha512, 86),
}
"""By name in the IANA registry of Named Information hashes; the truncated ones there are too short."""


def _entries(texts: Collection[bytes], opened: list[Any]) -> tuple[Disclosure, ...] | None:
    """Return all disclosures at once where each is one of a map entry; None where some is not."""
    if not (_ONLY_LISTS.issuperset(map(type, opened)) and {*map(len, opened)} == {3}):
        return None
    salts, keys, values = zip(*opened, strict=True)
    if not (_ONLY_TEXTS.issuperset(map(type, salts)) and _ONLY_TEXTS.issuperset(map(type, keys))):
        return None
    return tuple(map(Disclosure, repeat(_ENTRY), salts, texts, values, keys))


def _disclosure(text: bytes, parts: Any) -> Disclosure:
    size = len(parts) if type(parts) is list else 0
    if size == 3 and type(parts[0]) is type(parts[1]) is str:
        return Disclosure("entry", parts[0], text, parts[2], parts[1])
    if size == 2 and type(parts[0]) is str:
        return Disclosure("element", parts[0], text, parts[1])
    raise Malformed(
        "disclosure_malformed", "A disclosure is not [salt, value] or [salt, name, value].", rule=_RULE
    )


_ENTRY: Kind = "entry"
_ONLY_LISTS, _ONLY_TEXTS = frozenset[type]({list}), frozenset[type]({str})
_SALT, _ENCODED, _DIGEST = attrgetter("salt"), attrgetter("encoded"), methodcaller("digest")
