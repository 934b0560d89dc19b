"""LeafNode (RFC 9420 §7.2): a client as a group sees it, signed by the client."""

import msgspec

from safeconduct import limits
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import tls
from safeconduct.encoding.tls import Reader
from safeconduct.errors import Rejected
from safeconduct.protocols.mls.capabilities import Capabilities, Lifetime, take_capabilities, take_lifetime
from safeconduct.protocols.mls.cipher_suites import CipherSuite
from safeconduct.protocols.mls.credential import Credential, Framing, take_credential
from safeconduct.protocols.mls.extensions import Extensions, encode_extensions, take_extensions
from safeconduct.protocols.mls.signing import sign_with_label, verify_with_label

_LABEL = "LeafNodeTBS"
_KEY_PACKAGE, _UPDATE, _COMMIT = 1, 2, 3


class FromKeyPackage(msgspec.Struct, frozen=True):
    """A leaf that stands in a KeyPackage, or came from one. lifetime: when it may be used."""

    lifetime: Lifetime

    def encode(self) -> bytes:
        """Returns the source and what goes with it."""
        return tls.uint(_KEY_PACKAGE, 1) + self.lifetime.encode()


class FromUpdate(msgspec.Struct, frozen=True):
    """A leaf that came with an Update."""

    def encode(self) -> bytes:
        """Returns the source."""
        return tls.uint(_UPDATE, 1)


class FromCommit(msgspec.Struct, frozen=True):
    """A leaf that came with the path of a Commit. parent_hash: of the node above it."""

    parent_hash: bytes

    def encode(self) -> bytes:
        """Returns the source and what goes with it."""
        return tls.uint(_COMMIT, 1) + tls.opaque(self.parent_hash)


Source = FromKeyPackage | FromUpdate | FromCommit


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where in a group a leaf stands, which its signature covers unless it is a KeyPackage's.

    leaf_index: counted among leaves, from 0.
    """

    group_id: bytes
    leaf_index: int

    def __repr__(self) -> str:
        return f"<Position {self.leaf_index}>"


class LeafNode(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf, well formed; what it says is verified by `verify_leaf_node` and an Authentication Service.

    signed: all that stands before the signature, exactly as received.
    """

    signed: bytes
    encryption_key: bytes
    signature_key: bytes
    credential: Credential
    capabilities: Capabilities
    source: Source
    extensions: Extensions
    signature: bytes

    @property
    def encoded(self) -> bytes:
        """The whole LeafNode, exactly as received."""
        return self.signed + tls.opaque(self.signature)

    def tbs(self, position: Position | None) -> bytes:
        """Returns the LeafNodeTBS. position: None in a KeyPackage.

        Raises Rejected "mls_leaf_source" if the leaf is one of a group and no position is told.
        """
        if isinstance(self.source, FromKeyPackage):
            return self.signed
        if position is None:
            raise Rejected("mls_leaf_source", "The leaf is not one for a KeyPackage.", rule="RFC 9420 §7.3")
        return self.signed + _encode_position(position)

    def __repr__(self) -> str:
        return f"<LeafNode {self.credential!r}>"


def parse_leaf_node(data: bytes, *, framing: Framing) -> LeafNode:
    """Returns the LeafNode that `data` is.

    framing: of an SD-JWT in it. Raises Malformed "tls_…", "mls_extension_repeated"; Unsupported
    "tls_too_long" above `limits.MLS_KEY_PACKAGE_BYTES`, "tls_too_many"; and what the credential raises.
    """
    return tls.read(data, lambda reader: take_leaf_node(reader, framing), most=limits.MLS_KEY_PACKAGE_BYTES)


def take_leaf_node(reader: Reader, framing: Framing) -> LeafNode:
    """Reads a LeafNode. Raises as `parse_leaf_node`."""
    begun = reader.place
    encryption_key, signature_key = reader.opaque(), reader.opaque()
    credential = take_credential(reader, framing)
    capabilities = take_capabilities(reader)
    source = _take_source(reader)
    extensions = take_extensions(reader)
    return LeafNode(
        signed=reader.since(begun),
        encryption_key=encryption_key,
        signature_key=signature_key,
        credential=credential,
        capabilities=capabilities,
        source=source,
        extensions=extensions,
        signature=reader.opaque(),
    )


def sign_leaf_node(
    signer: Signer,
    *,
    suite: CipherSuite,
    encryption_key: bytes,
    credential: Credential,
    capabilities: Capabilities,
    source: Source,
    extensions: Extensions,
    position: Position | None,
) -> LeafNode:
    """Returns a leaf of the client whose signature key the signer has.

    encryption_key: an HPKE public key as the suite has it. position: None for a KeyPackage.
    Raises ValueError if the signer's key is not one of the suite, or a leaf of a group has no position.
    """
    if (position is None) != isinstance(source, FromKeyPackage):
        raise ValueError("a leaf has a position where it is not a KeyPackage's")
    signature_key = signer.public.to_raw()
    signed = tls.opaque(encryption_key) + tls.opaque(signature_key) + credential.encode()
    signed += capabilities.encode() + source.encode() + encode_extensions(extensions)
    content = signed if position is None else signed + _encode_position(position)
    return LeafNode(
        signed=signed,
        encryption_key=encryption_key,
        signature_key=signature_key,
        credential=credential,
        capabilities=capabilities,
        source=source,
        extensions=extensions,
        signature=sign_with_label(signer, suite=suite, label=_LABEL, content=content),
    )


def verify_leaf_node(leaf: LeafNode, *, suite: CipherSuite, position: Position | None) -> None:
    """Returns if the leaf is signed with its own key, for where it stands.

    position: None in a KeyPackage, where only a leaf made for one may stand.
    Raises Rejected "mls_leaf_source", "signature_invalid"; Malformed "key_malformed".
    Source: RFC 9420 §7.3; who the client is, its credential and an Authentication Service say.
    """
    verify_with_label(
        leaf.signature,
        signature_key=leaf.signature_key,
        suite=suite,
        label=_LABEL,
        content=leaf.tbs(position),
    )


def _take_source(reader: Reader) -> Source:
    kind = reader.choice((_KEY_PACKAGE, _UPDATE, _COMMIT))
    if kind == _KEY_PACKAGE:
        return FromKeyPackage(take_lifetime(reader))
    return FromUpdate() if kind == _UPDATE else FromCommit(reader.opaque())


def _encode_position(position: Position) -> bytes:
    return tls.opaque(position.group_id) + tls.uint(position.leaf_index, 4)
