"""Looking into any token without verifying it: what is clear, redacted, disclosed or a decoy.

Everything here is a claim of whoever sent the bytes. Nothing in it may be relied on; that is what `verify`
is for.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from safeconduct.encoding import cbor
from safeconduct.encoding.cbor import Tag
from safeconduct.envelope import cose
from safeconduct.errors import Malformed
from safeconduct.formats.inspected import Inspection, Node, State, date
from safeconduct.formats.paths import Index
from safeconduct.formats.redaction import Path
from safeconduct.formats.sd_cwt import labels, wording
from safeconduct.formats.sd_cwt.claims import path_text
from safeconduct.formats.sd_cwt.profile import HASHES, IETF_08, SEED_2024, Profile

_DEEPEST = 64


def inspect(data: bytes) -> Inspection:
    """Describe a token: issued or presented, of any profile, also one that would not verify.

    Raises Malformed: cbor_*, for bytes that are no strict CBOR.
    """
    item = cbor.loads(data)
    message = _Message.opened(item)
    if message is None:
        return Inspection("CBOR", "", len(data), (_Walker().node("item", item),))
    kcwt = message.header(cose.KCWT)
    profile = IETF_08 if kcwt is not None else _profile_of(message)
    if profile is None:
        return Inspection("COSE_Sign1", "", len(data), tuple(_parts(message, _Walker())))
    token: _Message | None = message
    binding = _Message.opened(_nested(message.unprotected.get(SEED_2024.sd_kbt)))
    if kcwt is not None:
        token, binding = _Message.opened(_nested(kcwt) or kcwt), message
    walker = _Walker(profile, token, issued=binding is None)
    sections = []
    if binding is not None:
        names = {} if profile.sd_hash is None else {profile.sd_hash: "sd_hash"}
        described = tuple(_parts(binding, _Walker(names=names)))
        sections.append(Node("key binding token", children=described))
    if token is not None:
        sections.append(Node("SD-CWT", children=(*_parts(token, walker), *walker.left_over())))
    kind = "issued SD-CWT" if binding is None else "presentation"
    return Inspection(kind, profile.name, len(data), tuple(sections), counts=walker.counts)


class _Message(msgspec.Struct, frozen=True):
    """The four parts of a COSE_Sign1. protected, claims: None where they are no maps."""

    protected_bytes: bytes
    protected: dict[Any, Any] | None
    unprotected: dict[Any, Any]
    payload: bytes | None
    claims: dict[Any, Any] | None
    signature: bytes

    @classmethod
    def opened(cls, item: Any) -> "_Message | None":
        """Open a COSE_Sign1, also one without its tag; None for anything else."""
        parts = item.value if type(item) is Tag and item.tag == cose.SIGN1_TAG else item
        if type(parts) is not list or len(parts) != 4:
            return None
        protected, unprotected, payload, signature = parts
        if type(protected) is not bytes or type(unprotected) is not dict or type(signature) is not bytes:
            return None
        if payload is not None and type(payload) is not bytes:
            return None
        header = _map_in(protected) if protected else {}
        return cls(protected, header, unprotected, payload, _map_in(payload), signature)

    def header(self, label: int) -> Any:
        """Return a protected header parameter, None if it is not there."""
        return None if self.protected is None else self.protected.get(label)


def _nested(data: Any) -> Any:
    """Decode a byte string that should hold CBOR; None if it does not."""
    try:
        return cbor.loads(data) if type(data) is bytes else None
    except Malformed:
        return None


def _map_in(data: Any) -> dict[Any, Any] | None:
    item = _nested(data)
    return item if type(item) is dict else None


def _profile_of(message: _Message) -> Profile | None:
    typ = message.header(cose.TYP)
    named = typ if type(typ) in (int, str) else None
    if SEED_2024.sd_kbt in message.unprotected or named in SEED_2024.typ_read:
        return SEED_2024
    suffixed = (
        isinstance(named, str) and IETF_08.typ_suffix is not None and named.endswith(IETF_08.typ_suffix)
    )
    return (
        IETF_08 if suffixed or named in IETF_08.typ_read or IETF_08.sd_claims in message.unprotected else None
    )


def _parts(message: _Message, walker: "_Walker") -> Iterator[Node]:
    """Describe the four parts of a COSE_Sign1."""
    yield _section("protected header", message.protected_bytes, message.protected, walker.protected)
    yield Node("unprotected header", children=tuple(walker.headers(message.unprotected)))
    if message.payload is None:
        yield Node("claims", note="detached: not in the token")
    else:
        yield _section("claims", message.payload, message.claims, walker.claims)
    yield Node("signature", text=wording.bytes_text(message.signature), size=len(message.signature))


def _section(
    name: str, data: bytes, content: dict[Any, Any] | None, walk: Callable[[dict[Any, Any]], Iterable[Node]]
) -> Node:
    if content is None:
        return Node(name, text=wording.bytes_text(data), note="not a CBOR map", size=len(data))
    return Node(name, size=len(data), children=tuple(walk(content)))


class _Shown(msgspec.Struct):
    """A disclosure that the token carries. parts: salt, and value and key where it has them."""

    encoded: bytes
    parts: list[Any] | None
    used: bool = False


class _Walker:
    """Describes trees, and puts disclosures where their digests stand."""

    def __init__(
        self,
        profile: Profile | None = None,
        message: _Message | None = None,
        *,
        issued: bool = False,
        names: Mapping[int, str] | None = None,
    ) -> None:
        self.profile = profile
        # Claims that have other names here than in the registry.
        self.names = names or dict.fromkeys(profile.own_claims if profile else (), "sd_alg")
        # In a presentation positions of elements have shifted: its paths would mislead.
        self.issued = issued
        self.shown: list[_Shown] = []
        self.by_digest: dict[bytes, _Shown] = {}
        self.counts: dict[str, int] = {}
        if profile is not None and message is not None:
            self.collect(profile, message)

    def collect(self, profile: Profile, message: _Message) -> None:
        """Read the disclosures and index them by both kinds of digest."""
        carried = message.unprotected.get(profile.sd_claims)
        listed = _nested(carried) if type(carried) is bytes else carried
        home = (message.protected if profile.sd_alg_place == "header" else message.claims) or {}
        sd_alg = home.get(profile.sd_alg, -16)
        name = HASHES.get(sd_alg) if type(sd_alg) is int else None
        for encoded in listed if type(listed) is list else ():
            if type(encoded) is not bytes:
                continue
            parts = _nested(encoded)
            shown = _Shown(encoded, parts if type(parts) is list and 1 <= len(parts) <= 3 else None)
            self.shown.append(shown)
            if name is not None:
                for preimage in (cbor.byte_string_head(len(encoded)) + encoded, encoded):
                    self.by_digest.setdefault(hashlib.new(name, preimage).digest(), shown)

    def left_over(self) -> Iterator[Node]:
        """Describe the disclosures that answer no digest: a token with one does not verify."""
        for shown in self.shown:
            if not shown.used:
                self.count("unreferenced")
                value = shown.parts if shown.parts is not None else shown.encoded
                node = self.node("disclosure", value)
                yield msgspec.structs.replace(
                    node, state="unreferenced", note="answers no digest", size=len(shown.encoded)
                )

    def protected(self, header: dict[Any, Any]) -> Iterator[Node]:
        """Describe a protected header; the SD-CWT in `kcwt` is described apart."""
        for label, value in header.items():
            if label == cose.KCWT:
                yield Node("kcwt", note="the SD-CWT below", size=len(cbor.dumps(value)))
            elif label == cose.CWT_CLAIMS and type(value) is dict:
                yield Node("CWT claims", size=len(cbor.dumps(value)), children=tuple(self.claims(value)))
            else:
                yield self.header(label, value)

    def headers(self, header: dict[Any, Any]) -> Iterator[Node]:
        """Describe an unprotected header; disclosures are described where their digests stand."""
        for label, value in header.items():
            size = len(cbor.dumps(value))
            if self.profile is not None and label == self.profile.sd_claims:
                yield Node("sd_claims", note=f"{len(self.shown)} disclosures", size=size)
            elif label == SEED_2024.sd_kbt and self.profile is SEED_2024:
                yield Node("sd_kbt", note="the key binding token above", size=size)
            elif label == labels.SD_AEAD_ENCRYPTED_CLAIMS and type(value) is list:
                yield Node("sd_aead_encrypted_claims", size=size, children=tuple(map(self.encrypted, value)))
            else:
                yield self.header(label, value)

    def header(self, label: Any, value: Any) -> Node:
        """Describe a header parameter."""
        name = wording.HEADER_NAMES.get(label) if type(label) is int else None
        node = self.node(name or wording.value_text(label), value)
        return msgspec.structs.replace(node, note=wording.header_note(label, value))

    def encrypted(self, entry: Any) -> Node:
        """Describe an encrypted disclosure."""
        self.count("encrypted")
        if type(entry) is not list or not 3 <= len(entry) <= 4 or type(entry[1]) is not bytes:
            return msgspec.structs.replace(self.node("disclosure", entry), state="encrypted")
        context = f"key context {wording.value_text(entry[3])}" if len(entry) == 4 else ""
        return Node("disclosure", note=context, state="encrypted", size=len(entry[1]))

    def claims(self, claims: dict[Any, Any]) -> Iterator[Node]:
        """Describe a claim set."""
        return self.entries(claims, (), 0)

    def node(self, name: str, value: Any, path: Path = (), depth: int = 0) -> Node:
        """Describe a value."""
        kind = type(value)
        if depth > _DEEPEST:
            return Node(name, note="nested deeper than is shown")
        if kind is dict and value:
            return Node(name, children=tuple(self.entries(value, path, depth + 1)))
        if kind is list and value:
            return Node(name, children=tuple(self.elements(value, path, depth + 1)))
        if kind is Tag and type(value.value) in (dict, list):
            return msgspec.structs.replace(
                self.node(name, value.value, path, depth + 1), note=f"tag {value.tag}"
            )
        note = date(value.value) if kind is Tag and value.tag == 1 else ""
        return Node(name, text=wording.value_text(value), note=note)

    def entries(self, entries: dict[Any, Any], path: Path, depth: int) -> Iterator[Node]:
        """Describe what a map holds, the redacted entries at its end."""
        for key, value in entries.items():
            if self.is_marker(key):
                continue
            here = (*path, key)
            node = _annotated(self.node(self.key_text(key, path), value, here, depth), here, value)
            if not path and self.profile is not None:
                self.count("clear")
                node = msgspec.structs.replace(node, state="clear")
            yield node
        for key, value in entries.items():
            if self.is_marker(key):
                yield from self.digests(value, path, depth)

    def elements(self, items: list[Any], path: Path, depth: int) -> Iterator[Node]:
        """Describe what an array holds; positions count what is disclosed."""
        position = 0
        for item in items:
            digest = self.element_digest(item)
            here = (*path, Index(position))
            node = (
                self.node(f"[{position}]", item, here, depth)
                if digest is None
                else self.digest(digest, here, depth)
            )
            position += node.state in ("", "disclosed")
            yield node

    def digests(self, digests: Any, path: Path, depth: int) -> Iterator[Node]:
        """Describe the redacted entries of a map."""
        if type(digests) is not list:
            yield Node("redacted claims", text=wording.value_text(digests), note="not an array of digests")
            return
        for digest in digests:
            yield self.digest(digest, path, depth)

    def digest(self, digest: Any, path: Path, depth: int) -> Node:
        """Describe what a digest stands for."""
        shown = self.by_digest.get(digest) if type(digest) is bytes else None
        if shown is None:
            self.count("redacted")
            return Node("?", text=wording.value_text(digest), state="redacted")
        if shown.used or shown.parts is None or depth > _DEEPEST:
            shown.used = True
            return Node(
                "?", text=wording.value_text(digest), note="its disclosure is shown elsewhere or unreadable"
            )
        shown.used = True
        return self.disclosed(shown, shown.parts, path, depth)

    def disclosed(self, shown: _Shown, parts: list[Any], path: Path, depth: int) -> Node:
        """Describe a disclosure at its place. path: of the map, or of the array element."""
        size = len(shown.encoded)
        if len(parts) == 1:
            self.count("decoy")
            return Node("decoy", state="decoy", size=size)
        self.count("disclosed")
        value, here, name = parts[1], path, "element"
        if len(parts) == 3:
            in_order = self.profile is None or self.profile.order == "value-key"
            value, key = parts[1:] if in_order else reversed(parts[1:])
            here, name = (*path, key), self.key_text(key, path)
        elif path and isinstance(path[-1], Index):
            name = f"[{path[-1].position}]"
        node = _annotated(self.node(name, value, here, depth), here, value)
        return msgspec.structs.replace(
            node, state="disclosed", size=size, path=_path(here) if self.issued else ""
        )

    def element_digest(self, item: Any) -> Any | None:
        """Return the digest in an array element, None for an ordinary one."""
        if self.profile is None:
            return None
        if self.profile.element == "tag":
            return item.value if type(item) is Tag and item.tag == labels.REDACTED_ELEMENT_TAG else None
        return item["..."] if type(item) is dict and len(item) == 1 and "..." in item else None

    def key_text(self, key: Any, path: Path) -> str:
        """Write a map key."""
        own = self.names.get(key) if not path and type(key) is int else None
        return own or wording.key_text(key, top=not path)

    def is_marker(self, key: Any) -> bool:
        """Tell whether a map key is that of redacted claims; simple(59) is not the integer 59."""
        return (
            self.profile is not None and type(key) is type(self.profile.marker) and key == self.profile.marker
        )

    def count(self, state: State) -> None:
        """Count a claim by its state."""
        self.counts[state] = self.counts.get(state, 0) + 1


def _annotated(node: Node, path: Path, value: Any) -> Node:
    """Say what a registered claim's value means."""
    if len(path) != 1 or type(path[0]) is not int:
        return node
    if path[0] in labels.TIME_CLAIMS:
        return msgspec.structs.replace(node, note=date(value))
    if path[0] == labels.CNF:
        return msgspec.structs.replace(node, note=wording.confirmation_note(value))
    return node


def _path(path: Path) -> str:
    if not all(isinstance(key, Index) or type(key) in (int, str) for key in path):
        return ""
    return path_text(path)
