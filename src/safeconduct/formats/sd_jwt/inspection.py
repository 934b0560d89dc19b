"""Looking into any SD-JWT without verifying it: what is clear, redacted or disclosed.

Everything here is a claim of whoever sent the text. Nothing in it may be relied on; that is what `verify`
is for.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed, SafeconductError
from safeconduct.formats.inspected import Inspection, Node, State, date, escaped
from safeconduct.formats.paths import Index
from safeconduct.formats.redaction import Path
from safeconduct.formats.sd_jwt import serialisation
from safeconduct.formats.sd_jwt.claims import path_text
from safeconduct.formats.sd_jwt.codec import CODECS, ELLIPSIS, SD, SD_ALG
from safeconduct.formats.sd_jwt.profile import SD_JWT, SD_JWT_VC

_DEEPEST = 64
_TIMES = frozenset({"exp", "nbf", "iat"})


def inspect(data: str | bytes) -> Inspection:
    """Describe an SD-JWT or a bare JWT: issued or presented, also one that would not verify.

    Raises Malformed: sd_jwt_malformed, sd_jwt_too_large, too_many_disclosures, json_*, for what is neither.
    """
    tilde = b"~" if isinstance(data, bytes) else "~"
    bare = tilde not in data and data[:1] not in ("{", b"{")  # type: ignore[operator]
    envelope = serialisation.read(data + tilde if bare else data)  # type: ignore[operator]
    message = _Message.opened(envelope.jwts[0])
    if message is None:
        raise Malformed("sd_jwt_malformed", "The text is no JWT of three parts.", rule="RFC 9901 §4")
    bound = envelope.binding is not None
    walker = _Walker(message, envelope.disclosures, issued=not bound)
    sections = []
    binding = _Message.opened(envelope.binding) if envelope.binding is not None else None
    if binding is not None:
        sections.append(Node("key binding JWT", children=(*_parts(binding, _Walker()),)))
    elif bound:
        sections.append(Node("key binding JWT", note="not a JWT"))
    inner = [*_parts(message, walker)]
    if envelope.headers[0]:
        inner.insert(1, Node("unprotected header", children=(*_headers(dict(envelope.headers[0])),)))
    if len(envelope.jwts) > 1:
        inner.append(Node("further signatures", text=str(len(envelope.jwts) - 1)))
    sections.append(Node("JWT" if bare else "SD-JWT", children=(*inner, *walker.left_over())))
    kind = "JWT" if bare else "presentation" if bound else "issued SD-JWT"
    return Inspection(kind, _profile(message), len(data), tuple(sections), counts=walker.counts)


class _Message(msgspec.Struct, frozen=True):
    """The three parts of a JWT. header, claims: None where they are no JSON objects."""

    header_text: str
    header: dict[str, Any] | None
    payload_text: str
    claims: dict[str, Any] | None
    signature_text: str

    @classmethod
    def opened(cls, jwt: str) -> "_Message | None":
        parts = jwt.split(".")
        if len(parts) != 3:
            return None
        return cls(parts[0], _object_in(parts[0]), parts[1], _object_in(parts[1]), parts[2])


def _decoded(text: str | bytes) -> Any:
    """Decode base64url that should hold JSON; None if it does not."""
    try:
        return json.loads(b64.decode(text))
    except SafeconductError:
        return None


def _object_in(text: str) -> dict[str, Any] | None:
    value = _decoded(text)
    return value if type(value) is dict else None


def _profile(message: _Message) -> str:
    typ = (message.header or {}).get("typ")
    if type(typ) is not str:
        return ""
    if typ in SD_JWT_VC.typ_read or typ in SD_JWT_VC.lenient_typ.values():
        return SD_JWT_VC.name
    suffixed = SD_JWT.typ_suffix is not None and typ.endswith(SD_JWT.typ_suffix)
    return SD_JWT.name if suffixed or typ in SD_JWT.typ_read else ""


def _parts(message: _Message, walker: "_Walker") -> Iterator[Node]:
    if message.header is None:
        yield Node("protected header", note="not a JSON object", size=len(message.header_text))
    else:
        size = len(message.header_text)
        yield Node("protected header", size=size, children=(*_headers(message.header),))
    size = len(message.payload_text)
    if message.claims is None:
        yield Node("claims", note="not a JSON object", size=size)
    else:
        yield Node("claims", size=size, children=(*walker.entries(message.claims, (), 0),))
    yield Node("signature", text=escaped(message.signature_text[:32]), size=len(message.signature_text))


def _headers(header: dict[str, Any]) -> Iterator[Node]:
    plain = _Walker()
    for name, value in header.items():
        if name == "x5c" and type(value) is list:
            yield Node("x5c", note=f"{len(value)} certificates")
        else:
            yield plain.node(escaped(name), value)


class _Shown(msgspec.Struct):
    """A disclosure that the token carries. parts: salt, name if it has one, and value; None: unreadable."""

    text: bytes
    parts: list[Any] | None
    used: bool = False


class _Walker:
    """Describes trees, and puts disclosures where their digests stand."""

    def __init__(
        self, message: _Message | None = None, disclosures: tuple[bytes, ...] = (), *, issued: bool = False
    ) -> None:
        self.claims = message is not None
        # In a presentation positions of elements have shifted: its paths would mislead.
        self.issued = issued
        self.shown: list[_Shown] = []
        self.by_digest: dict[str, _Shown] = {}
        self.counts: dict[str, int] = {}
        named = (message.claims or {}).get(SD_ALG, "sha-256") if message is not None else None
        codec = CODECS.get(named) if type(named) is str else None
        for text in disclosures:
            parts = _decoded(text)
            shown = _Shown(text, parts if type(parts) is list and 2 <= len(parts) <= 3 else None)
            self.shown.append(shown)
            if codec is not None:
                self.by_digest.setdefault(codec.digest(text), shown)

    def left_over(self) -> Iterator[Node]:
        """Describe the disclosures that answer no digest: a token with one does not verify."""
        for shown in self.shown:
            if not shown.used:
                self.count("unreferenced")
                node = self.node("disclosure", shown.parts if shown.parts is not None else "unreadable")
                yield msgspec.structs.replace(
                    node, state="unreferenced", note="answers no digest", size=len(shown.text)
                )

    def node(self, name: str, value: Any, path: Path = (), depth: int = 0) -> Node:
        """Describe a value."""
        if depth > _DEEPEST:
            return Node(name, note="nested deeper than is shown")
        if type(value) is dict and value:
            return Node(name, children=(*self.entries(value, path, depth + 1),))
        if type(value) is list and value:
            return Node(name, children=(*self.elements(value, path, depth + 1),))
        return Node(name, text=escaped(json.dumps(value).decode()))

    def entries(self, entries: dict[str, Any], path: Path, depth: int) -> Iterator[Node]:
        """Describe what an object holds, the redacted members at its end."""
        for key, value in entries.items():
            if self.claims and key == SD:
                continue
            here = (*path, key)
            node = _annotated(self.node(escaped(key), value, here, depth), here, value)
            if self.claims and not path and key != SD_ALG:
                self.count("clear")
                node = msgspec.structs.replace(node, state="clear")
            yield node
        if self.claims and SD in entries:
            yield from self.digests(entries[SD], path, depth)

    def elements(self, items: list[Any], path: Path, depth: int) -> Iterator[Node]:
        """Describe what an array holds; positions count what is disclosed."""
        position = 0
        for item in items:
            here = (*path, Index(position))
            if self.claims and type(item) is dict and len(item) == 1 and ELLIPSIS in item:
                node = self.digest(item[ELLIPSIS], here, depth)
            else:
                node = self.node(f"[{position}]", item, here, depth)
            position += node.state in ("", "disclosed")
            yield node

    def digests(self, digests: Any, path: Path, depth: int) -> Iterator[Node]:
        """Describe the redacted members of an object."""
        if type(digests) is not list:
            yield Node("redacted claims", note="not an array of digests")
            return
        for digest in digests:
            yield self.digest(digest, path, depth)

    def digest(self, digest: Any, path: Path, depth: int) -> Node:
        """Describe what a digest stands for."""
        shown = self.by_digest.get(digest) if type(digest) is str else None
        text = escaped(digest) if type(digest) is str else "not a text"
        if shown is None:
            self.count("redacted")
            return Node("?", text=text, state="redacted")
        if shown.used or shown.parts is None or depth > _DEEPEST:
            shown.used = True
            return Node("?", text=text, note="its disclosure is shown elsewhere or unreadable")
        shown.used = True
        return self.disclosed(shown, shown.parts, path, depth)

    def disclosed(self, shown: _Shown, parts: list[Any], path: Path, depth: int) -> Node:
        """Describe a disclosure at its place. path: of the object, or of the array element."""
        self.count("disclosed")
        value, here, name = parts[-1], path, "element"
        if len(parts) == 3:
            key = parts[1] if type(parts[1]) is str else "?"
            here, name = (*path, key), escaped(key)
        elif path and isinstance(path[-1], Index):
            name = f"[{path[-1].position}]"
        node = _annotated(self.node(name, value, here, depth), here, value)
        return msgspec.structs.replace(
            node, state="disclosed", size=len(shown.text), path=path_text(here) if self.issued else ""
        )

    def count(self, state: State) -> None:
        """Count a claim by its state."""
        self.counts[state] = self.counts.get(state, 0) + 1


def _annotated(node: Node, path: Path, value: Any) -> Node:
    """Say what a registered claim's value means."""
    if len(path) != 1:
        return node
    if path[0] in _TIMES:
        return msgspec.structs.replace(node, note=date(value))
    if path[0] == "cnf" and type(value) is dict and "jwk" in value:
        return msgspec.structs.replace(node, note=_key_note(value["jwk"]))
    return node


def _key_note(jwk: Any) -> str:
    try:
        public = PublicKey.from_jwk(jwk)
    except SafeconductError:
        return "not a usable key"
    return f"{public.algorithm.jose} key, thumbprint {b64.encode(public.jwk_thumbprint())}"
