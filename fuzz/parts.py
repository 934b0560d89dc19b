"""Trees of COSE messages with the seals left open: digests, hashes and ciphertexts are made when written.

So a change anywhere in a tree gives a message whose digests and signatures still hold, and a parser goes on
to what it would otherwise never look at.
"""

import hashlib
from typing import Any

import cbor2
import msgspec

from fuzz.choices import Choices
from safeconduct.crypto import aead
from safeconduct.crypto.keys import Key

AEAD_KEY = bytes(range(16))
_HASHES = {-16: "sha256", -43: "sha384", -44: "sha512"}


class Wrapped(msgspec.Struct, frozen=True):
    """A byte string that holds CBOR."""

    value: Any


class Shown(msgspec.Struct, frozen=True):
    """A disclosure, under the number that its digest knows it by."""

    number: int
    parts: Any


class Digest(msgspec.Struct, frozen=True):
    """The digest of the disclosure of that number; of nothing if the tree has none."""

    number: int


class Hidden(msgspec.Struct, frozen=True):
    """A disclosure encrypted under `AEAD_KEY`."""

    nonce: Any
    shown: Any


class Sealing(msgspec.Struct, frozen=True, kw_only=True):
    """How trees are written: with which hash, over what."""

    sd_alg: Any = -16
    wrapped_digests: bool = True
    shown: dict[Any, Any] = {}

    @classmethod
    def of(cls, *trees: Any, sd_alg: Any, wrapped_digests: bool) -> "Sealing":
        """The sealing of a message that consists of `trees`."""
        shown: dict[Any, Any] = {}
        for tree in trees:
            _collect(tree, shown)
        return cls(sd_alg=sd_alg, wrapped_digests=wrapped_digests, shown=shown)

    def encoded(self, tree: Any) -> bytes:
        """Returns the CBOR of a tree."""
        return cbor2.dumps(self.plain(tree))

    def hash(self, data: bytes) -> bytes:
        """Hashes with `sd_alg`, or with SHA-256 where that is no hash."""
        known = _HASHES.get(self.sd_alg) if isinstance(self.sd_alg, int) else None
        return hashlib.new(known or "sha256", data).digest()

    def digest_of(self, disclosure: bytes) -> bytes:
        """Returns the digest that stands for an encoded disclosure."""
        return self.hash(cbor2.dumps(disclosure) if self.wrapped_digests else disclosure)

    def plain(self, tree: Any, depth: int = 0) -> Any:
        """Returns a tree as values that cbor2 writes."""
        if isinstance(tree, dict):
            return {self.plain(key, depth): self.plain(value, depth) for key, value in tree.items()}
        if isinstance(tree, list):
            return [self.plain(item, depth) for item in tree]
        if isinstance(tree, cbor2.CBORTag):
            return cbor2.CBORTag(tree.tag, self.plain(tree.value, depth))
        if isinstance(tree, Wrapped):
            return cbor2.dumps(self.plain(tree.value, depth))
        if isinstance(tree, Shown):
            return cbor2.dumps(self.plain(tree.parts, depth))
        if isinstance(tree, Digest):
            return self._digest(tree, depth)
        if isinstance(tree, Hidden):
            return self._hidden(tree, depth)
        return tree

    def _digest(self, digest: Digest, depth: int) -> bytes:
        # A changed tree may hold a disclosure that names itself.
        parts = self.shown.get(digest.number) if isinstance(digest.number, int) else None
        if parts is None or depth > 20:
            return hashlib.sha256(repr(digest.number).encode()).digest()
        return self.digest_of(cbor2.dumps(self.plain(parts, depth + 1)))

    def _hidden(self, hidden: Hidden, depth: int) -> Any:
        plaintext = cbor2.dumps(self.plain(hidden.shown, depth))
        if not isinstance(hidden.nonce, bytes) or len(hidden.nonce) != 12:
            return [hidden.nonce, plaintext, bytes(16)]
        return [hidden.nonce, *aead.seal(1, AEAD_KEY, hidden.nonce, plaintext)]


def sign1(protected: bytes, unprotected: Any, payload: bytes, key: Key) -> cbor2.CBORTag:
    """Returns a COSE_Sign1, signed whatever its parts are."""
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    return cbor2.CBORTag(18, [protected, unprotected, payload, key.sign(signed)])


def scratched(data: bytes, choices: Choices) -> bytes:
    """Returns `data`, one time in eight with a byte changed, added or taken away: before it is signed."""
    if choices.number(8) != 7 or not data:
        return data
    place = choices.number(len(data))
    return choices.pick(
        (
            data[:place] + choices.take(1) + data[place + 1 :],
            data[:place] + data[place + 1 :],
            data[:place] + choices.take(1) + data[place:],
        )
    )


def opened(item: Any, digests: dict[bytes, int]) -> Any:
    """Returns decoded CBOR as a tree in which digests are known by their disclosure's number."""
    if isinstance(item, dict):
        return {key: opened(value, digests) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [opened(value, digests) for value in item]
    if isinstance(item, cbor2.CBORTag):
        return cbor2.CBORTag(item.tag, opened(item.value, digests))
    if isinstance(item, bytes) and item in digests:
        return Digest(digests[item])
    return item


def _collect(tree: Any, shown: dict[Any, Any]) -> None:
    if isinstance(tree, Shown):
        if isinstance(tree.number, int):
            shown.setdefault(tree.number, tree.parts)
        _collect(tree.parts, shown)
    elif isinstance(tree, dict):
        for value in tree.values():
            _collect(value, shown)
    elif isinstance(tree, list):
        for item in tree:
            _collect(item, shown)
    elif isinstance(tree, cbor2.CBORTag | Wrapped):
        _collect(tree.value, shown)
    elif isinstance(tree, Hidden):
        _collect(tree.shown, shown)
