"""The one engine of selective disclosure: it conceals and reveals in plain trees of maps and arrays.

A format hands it a `Codec`: how a disclosure is encoded, what its digest is, and where digests stand in a
tree. The formats differ in nothing else.

`conceal` replaces every marked value by the digest of its disclosure, inner ones first. `reveal` does the
opposite with the disclosures that are at hand, and refuses any that no digest asks for.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any, Literal, Protocol

import msgspec

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected
from safeconduct.formats.paths import Index
from safeconduct.ids import Random

Kind = Literal["entry", "element", "decoy"]
Path = tuple[Any, ...]
"""Map keys, and an `Index` for each array element, from the root to a value."""


class Redacted(msgspec.Struct, frozen=True):
    """A value that the holder may withhold: the value of a map entry, or an array element."""

    value: Any


class Decoys(msgspec.Struct, frozen=True):
    """Digests that stand for nothing; a key of a map (its value is ignored) or an element of an array.

    count: how many. number: set where the format numbers its decoys, for reproducible salts.
    """

    count: int
    number: int | None = None


def redact(value: Any) -> Redacted:
    """Mark a map entry's value or an array element as one that the holder may withhold."""
    return Redacted(value)


def decoys(count: int) -> Decoys:
    """Mark where `count` decoy digests are added: as a map key (`{decoys(2): None}`) or an array element.

    Raises ValueError for a count outside 1 to `limits.DECOYS`.
    """
    if not 1 <= count <= limits.DECOYS:
        raise ValueError(f"between 1 and {limits.DECOYS} decoys can be asked for")
    return Decoys(count)


class Disclosure(msgspec.Struct, frozen=True):
    """One salted value, with the bytes that carry it.

    kind: what it discloses. salt: bytes or text, as the format has it. key: the map key of an entry.
    encoded: as sent or received.
    """

    kind: Kind
    salt: Any
    encoded: bytes
    value: Any = None
    key: Any = None

    def __repr__(self) -> str:
        return f"<Disclosure: {self.kind}>"


class Codec(Protocol):
    """What a format tells the engine; instances are frozen."""

    @property
    def marker(self) -> Any:
        """The map key under which the digests of redacted entries stand."""

    @property
    def leaves(self) -> frozenset[type]:
        """The types that need no look inside."""

    def encode(self, kind: Kind, salt: bytes, key: Any, value: Any) -> Disclosure:
        """Make a disclosure."""

    def digest(self, encoded: bytes) -> Any:
        """Return the digest of a disclosure."""

    @property
    def digests_each(self) -> int:
        """How many digests a disclosure has: more than one where a leniency admits other hash inputs."""

    def index(self, disclosures: Collection[Disclosure]) -> dict[Any, Disclosure]:
        """Return the disclosures by each of their digests."""

    @property
    def digest_type(self) -> type[Any]:
        """The type of a digest."""

    @property
    def digest_size(self) -> int:
        """The length of a digest in its own units."""

    def element(self, digest: Any) -> Any:
        """Return the array element that holds a digest."""

    def element_digest(self, item: Any) -> Any | None:
        """Return the digest that an array element holds, None for an ordinary element."""

    def check_key(self, key: Any) -> None:
        """Raise Malformed unless `key` may be a claim key."""

    def check_keys(self, keys: Collection[Any]) -> None:
        """Check several keys as `check_key` does."""

    def wrapped(self, item: Any) -> tuple[Any, Callable[[Any], Any]] | None:
        """Open an item that wraps another (a tag); None for a leaf. Raises Malformed for what may not be."""


Salts = Callable[[Kind, Any, Any], bytes]
"""Gives the salt of a disclosure from its kind, key (None for an element) and value (a decoy's number)."""


def random_salts(random: Random = secrets.token_bytes, size: int = 16) -> Salts:
    """Return a source of unpredictable salts of `size` bytes."""
    pool: list[bytes] = []

    def salt(_kind: Kind, _key: Any, _value: Any) -> bytes:
        if not pool:  # one draw for many: the operating system is asked once
            drawn = random(size * _DRAWN)
            pool[:] = [drawn[start : start + size] for start in range(0, size * _DRAWN, size)]
        return pool.pop()

    return salt


_DRAWN = 16
_DISCLOSURES = "SD-CWT-08 §9 step 8; RFC 9901 §7.1"
_NEVER_REDACTED = "SD-CWT-08 §4; RFC 9901 §9.7"


class Concealed(msgspec.Struct, frozen=True):
    """What `conceal` returns: the tree to sign, and every disclosure, inner ones before outer ones."""

    tree: Any
    disclosures: tuple[Disclosure, ...]

    def __repr__(self) -> str:
        return f"<Concealed: {len(self.disclosures)} disclosures>"


def conceal(
    tree: Mapping[Any, Any], codec: Codec, *, salts: Salts, order: Callable[[list[Any]], list[Any]] = sorted
) -> Concealed:
    """Replace each `Redacted` value in `tree` by a digest.

    order: arranges the digests of one map. The default sorts them, so that their order tells nothing about
    the entries they stand for.
    Raises Malformed for keys or values that the format cannot carry.
    """
    concealer = _Concealer(codec, salts, order)
    return Concealed(concealer.map(tree, 1), tuple(concealer.disclosures))


class _Concealer:
    def __init__(self, codec: Codec, salts: Salts, order: Callable[[list[Any]], list[Any]]) -> None:
        self.codec, self.salts, self.order = codec, salts, order
        self.disclosures: list[Disclosure] = []

    def value(self, value: Any, depth: int) -> Any:
        if type(value) in self.codec.leaves:
            return value
        if isinstance(value, Mapping):
            return self.map(value, depth)
        if isinstance(value, list | tuple):
            return self.array(value, depth)
        if isinstance(value, Redacted | Decoys):
            raise Malformed("redaction_misplaced", "A mark stands where nothing can be redacted.")
        _check_depth(depth, 1)
        opened = self.codec.wrapped(value)
        if opened is None:
            return value
        inner, close = opened
        return close(self.value(inner, depth + 1))

    def map(self, entries: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
        _check_depth(depth, len(entries))
        leaves, check_key = self.codec.leaves, self.codec.check_key
        clear: dict[Any, Any] = {}
        digests: list[Any] = []
        for key, item in entries.items():
            if type(key) is Decoys:
                digests += self.decoys(key)
                continue
            check_key(key)
            if type(item) is Redacted:
                value = item.value
                inner = value if type(value) in leaves else self.value(value, depth + 1)
                digests.append(self.hide("entry", key, inner))
            else:
                clear[key] = item if type(item) in leaves else self.value(item, depth + 1)
        if digests:
            if self.codec.marker in clear:
                raise Malformed("claim_reserved", "A map has a key that its redacted entries need.")
            clear[self.codec.marker] = self.order(digests)
        return clear

    def array(self, items: Sequence[Any], depth: int) -> list[Any]:
        _check_depth(depth, len(items))
        result: list[Any] = []
        for item in items:
            if type(item) is Redacted:
                digest = self.hide("element", None, self.value(item.value, depth + 1))
                result.append(self.codec.element(digest))
            elif type(item) is Decoys:
                result += map(self.codec.element, self.decoys(item))
            else:
                result.append(self.value(item, depth + 1))
        return result

    def hide(self, kind: Kind, key: Any, value: Any) -> Any:
        if len(self.disclosures) >= limits.DISCLOSURES:
            raise Malformed("too_many_disclosures", f"More than {limits.DISCLOSURES} disclosures.")
        disclosure = self.codec.encode(kind, self.salts(kind, key, value), key, value)
        self.disclosures.append(disclosure)
        return self.codec.digest(disclosure.encoded)

    def decoys(self, mark: Decoys) -> list[Any]:
        return [self.hide("decoy", None, mark.number) for _ in range(mark.count)]


class Located(msgspec.Struct, frozen=True):
    """A disclosure and where it belongs.

    path: the place of its value. outer: the disclosures that must be shown for this one to be found.
    """

    disclosure: Disclosure
    path: Path
    outer: tuple[Disclosure, ...]

    def __repr__(self) -> str:
        return f"<Located: {len(self.path)} levels deep>"


class Revealed(msgspec.Struct, frozen=True):
    """What `reveal` returns.

    trees: the trees without any digest. withheld: the number of digests that no disclosure answered.
    located: where each disclosure stands, in walk order; empty unless asked for.
    """

    trees: tuple[dict[Any, Any], ...]
    withheld: int
    located: tuple[Located, ...]

    def __repr__(self) -> str:
        return f"<Revealed: {self.withheld} withheld>"


def reveal(
    trees: Iterable[Mapping[Any, Any]],
    disclosures: Iterable[Disclosure],
    codec: Codec,
    *,
    fixed: frozenset[Any] = frozenset(),
    locate: bool = False,
) -> Revealed:
    """Put every disclosure in the place of its digest and drop what stays redacted.

    trees: claim sets that share the disclosures. fixed: keys at the top of a tree that may not be redacted,
    and inside which nothing may be. locate: whether to record where each disclosure stands.
    Raises Rejected: disclosure_duplicate, disclosure_unreferenced, digest_duplicate, disclosure_misplaced,
    claim_duplicate, claim_not_redactable; Malformed: digest_malformed, claim_too_deep, and for keys and
    values that the format forbids.
    Source: SD-CWT-08 §7, §9 step 8; RFC 9901 §7.1.
    """
    revealer = _Revealer(disclosures, codec, fixed, locate)
    result = tuple(revealer.map(tree, 1, ()) for tree in trees)
    if revealer.by_digest:
        raise Rejected("disclosure_unreferenced", "A disclosure answers no digest.", rule=_DISCLOSURES)
    return Revealed(result, revealer.withheld, tuple(revealer.located))


class _Revealer:
    def __init__(
        self, disclosures: Iterable[Disclosure], codec: Codec, fixed: frozenset[Any], locate: bool
    ) -> None:
        self.codec, self.fixed, self.locate = codec, fixed, locate
        self.leaves, self.marker = codec.leaves, codec.marker
        self.digest_type, self.digest_size = codec.digest_type, codec.digest_size
        self.seen: set[Any] = set()
        self.withheld = 0
        self.outer: tuple[Disclosure, ...] = ()
        self.located: list[Located] = []
        shown = tuple(disclosures)
        self.by_digest = codec.index(shown)
        self.aliased = codec.digests_each > 1
        if len(self.by_digest) != len(shown) * codec.digests_each:
            raise Rejected("disclosure_duplicate", "A disclosure is there twice.")

    def value(self, value: Any, depth: int, path: Path) -> Any:
        kind = type(value)
        if kind in self.leaves:
            return value
        if kind is dict:
            return self.map(value, depth, path)
        if kind is list:
            return self.array(value, depth, path)
        _check_depth(depth, 1)
        opened = self.codec.wrapped(value)
        if opened is None:
            return value
        inner, close = opened
        return close(self.value(inner, depth + 1, path))

    def map(self, entries: Mapping[Any, Any], depth: int, path: Path) -> dict[Any, Any]:
        _check_depth(depth, len(entries))
        leaves, marker = self.leaves, self.marker
        if leaves.issuperset(map(type, entries.values())) and marker not in entries:
            self.codec.check_keys(entries)
            return dict(entries)
        if type(marker) is str:
            return self.named(dict(entries), depth, path)
        result: dict[Any, Any] = {}
        check_key = self.codec.check_key
        marker_type = type(marker)  # cbor2's simple(59) equals the integer 59
        digests = _ABSENT
        for key, item in entries.items():
            if type(key) is marker_type and key == marker:
                digests = item
                continue
            check_key(key)
            result[key] = item if type(item) in leaves else self.value(item, depth + 1, (*path, key))
        if digests is not _ABSENT:
            self.entries(digests, result, depth, path)
        return result

    def named(self, result: dict[Any, Any], depth: int, path: Path) -> dict[Any, Any]:
        """Reveal in a map whose marker is a text, which equals no key of another type."""
        digests = result.pop(self.marker, _ABSENT)
        self.codec.check_keys(result)
        for key in [key for key, item in result.items() if type(item) not in self.leaves]:
            result[key] = self.value(result[key], depth + 1, (*path, key))
        if digests is not _ABSENT:
            self.entries(digests, result, depth, path)
        return result

    def entries(self, digests: Any, result: dict[Any, Any], depth: int, path: Path) -> None:
        if type(digests) is not list:
            raise Malformed("digest_malformed", "The redacted claim keys are not an array.")
        self.admit(digests, path)
        fixed: frozenset[Any] = frozenset() if path else self.fixed
        found: Iterable[Disclosure | None] = map(self.by_digest.pop, digests, repeat(None))
        if not self.aliased and not self.locate:
            found = [*found]
            if self.simple_entries(found, result, fixed):
                return
        leaves, marker, check_key = self.leaves, self.marker, self.codec.check_key
        for disclosure in found:
            if disclosure is None:
                self.withheld += 1
                continue
            if (disclosure.kind != "entry" or self.aliased) and not self.fits(disclosure, "entry"):
                continue
            key, value = disclosure.key, disclosure.value
            check_key(key)
            if key in result:
                raise Rejected("claim_duplicate", "A revealed claim stands there already.", rule=_DISCLOSURES)
            if key in fixed:
                raise Rejected(
                    "claim_not_redactable", "This claim may not be redacted.", rule=_NEVER_REDACTED
                )
            if type(key) is type(marker) and key == marker:
                raise Rejected("claim_reserved", "A disclosure reveals the marker of redacted claims.")
            simple = type(value) in leaves and not self.locate
            result[key] = value if simple else self.inner(disclosure, depth + 1, path, key)

    def simple_entries(
        self, found: list[Disclosure | None], result: dict[Any, Any], fixed: frozenset[Any]
    ) -> bool:
        """Reveal entries that have plain values and new keys, without a step of Python for each of them.

        Returns False, with nothing revealed, where one of them wants a closer look.
        """
        shown = [*filter(None, found)]
        if not _ENTRIES.issuperset(map(_KIND, shown)):
            return False
        keys = [*map(_KEY, shown)]
        self.codec.check_keys(keys)
        revealed = dict(zip(keys, map(_VALUE, shown), strict=True))
        if not (
            len(revealed) == len(shown)
            and self.leaves.issuperset(map(type, revealed.values()))
            and revealed.keys().isdisjoint(result)
            and fixed.isdisjoint(revealed)
            and self.marker not in revealed
        ):
            return False
        result |= revealed
        self.withheld += len(found) - len(shown)
        return True

    def array(self, items: list[Any], depth: int, path: Path) -> list[Any]:
        _check_depth(depth, len(items))
        result: list[Any] = []
        for item in items:
            if type(item) in self.leaves:
                result.append(item)
                continue
            here = Index(len(result))
            digest = self.codec.element_digest(item)
            if digest is None:
                result.append(self.value(item, depth + 1, (*path, here)))
                continue
            self.admit([digest], path)
            disclosure = self.by_digest.pop(digest, None)
            if disclosure is None:
                self.withheld += 1
            elif self.fits(disclosure, "element"):
                result.append(self.inner(disclosure, depth + 1, path, here))
        return result

    def admit(self, digests: list[Any], path: Path) -> None:
        """Check the form and place of digests, and that none was there before: each stands for one claim."""
        if path and path[0] in self.fixed:
            raise Rejected(
                "claim_not_redactable", "Nothing inside this claim may be redacted.", rule=_NEVER_REDACTED
            )
        if digests and (
            {*map(type, digests)} != {self.digest_type} or {*map(len, digests)} != {self.digest_size}
        ):
            raise Malformed("digest_malformed", "A digest has the wrong type or length.")
        if len(set(digests)) != len(digests) or not self.seen.isdisjoint(digests):
            raise Rejected("digest_duplicate", "A digest occurs twice.", rule="RFC 9901 §7.1 step 4")
        self.seen.update(digests)

    def fits(self, disclosure: Disclosure, kind: Kind) -> bool:
        """Tell whether a disclosure that was found gives a claim; False for a decoy."""
        if self.aliased:  # it is found under another digest too, and answers one only
            for alias in [key for key, other in self.by_digest.items() if other is disclosure]:
                del self.by_digest[alias]
        if disclosure.kind in (kind, "decoy"):
            return disclosure.kind == kind
        raise Rejected("disclosure_misplaced", "An entry's disclosure stands for an element, or the reverse.")

    def inner(self, disclosure: Disclosure, depth: int, path: Path, key: Any) -> Any:
        value = disclosure.value
        if not self.locate:
            return value if type(value) in self.leaves else self.value(value, depth, (*path, key))
        self.located.append(Located(disclosure, (*path, key), self.outer))
        outer, self.outer = self.outer, (*self.outer, disclosure)
        value = self.value(value, depth, (*path, key))
        self.outer = outer
        return value


_ABSENT = object()
_KIND, _KEY, _VALUE = attrgetter("kind"), attrgetter("key"), attrgetter("value")
_ENTRIES = frozenset({"entry"})


def _check_depth(depth: int, items: int) -> None:
    """Bound the level of the deepest item: values in the claims map are level 1, each container adds one."""
    if depth - (items == 0) > limits.CLAIM_DEPTH:
        raise Malformed(
            "claim_too_deep",
            f"Claims are nested deeper than {limits.CLAIM_DEPTH} levels.",
            rule="SD-CWT-08 §5",
        )
