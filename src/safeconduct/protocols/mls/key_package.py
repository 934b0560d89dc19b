"""KeyPackage (RFC 9420 §10): what a client publishes so that others can add it to groups."""

import msgspec

from safeconduct import limits
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import tls
from safeconduct.encoding.tls import Reader
from safeconduct.errors import Rejected
from safeconduct.protocols.mls import cipher_suites
from safeconduct.protocols.mls.cipher_suites import CipherSuite
from safeconduct.protocols.mls.credential import Framing
from safeconduct.protocols.mls.extensions import Extensions, encode_extensions, take_extensions
from safeconduct.protocols.mls.leaf_node import FromKeyPackage, LeafNode, take_leaf_node, verify_leaf_node
from safeconduct.protocols.mls.registries import MLS10, take_version
from safeconduct.protocols.mls.signing import sign_with_label, verify_with_label

_LABEL = "KeyPackageTBS"


class KeyPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A KeyPackage, well formed; what it says is verified by `verify_key_package`.

    signed: the KeyPackageTBS, exactly as received. cipher_suite: its number.
    """

    signed: bytes
    version: int
    cipher_suite: int
    init_key: bytes
    leaf_node: LeafNode
    extensions: Extensions
    signature: bytes

    @property
    def encoded(self) -> bytes:
        """The whole KeyPackage, exactly as received."""
        return self.signed + tls.opaque(self.signature)

    @property
    def reference(self) -> bytes:
        """The KeyPackageRef (RFC 9420 §5.2). Raises Unsupported "mls_cipher_suite_unsupported"."""
        suite = cipher_suites.by_number(self.cipher_suite)
        return suite.reference("MLS 1.0 KeyPackage Reference", self.encoded)

    def __repr__(self) -> str:
        return f"<KeyPackage {self.leaf_node.credential!r}>"


def parse_key_package(data: bytes, *, framing: Framing) -> KeyPackage:
    """Returns the KeyPackage that `data` is; within an MLSMessage, see `parse_message`.

    framing: of an SD-JWT in it. Raises Unsupported "tls_too_long" above `limits.MLS_KEY_PACKAGE_BYTES`,
    "mls_version_unsupported"; and as `parse_leaf_node`.
    """
    return tls.read(data, lambda reader: take_key_package(reader, framing), most=limits.MLS_KEY_PACKAGE_BYTES)


def take_key_package(reader: Reader, framing: Framing) -> KeyPackage:
    """Reads a KeyPackage. Raises as `parse_key_package`."""
    begun = reader.place
    version, cipher_suite, init_key = take_version(reader), reader.uint16(), reader.opaque()
    leaf_node, extensions = take_leaf_node(reader, framing), take_extensions(reader)
    return KeyPackage(
        signed=reader.since(begun),
        version=version,
        cipher_suite=cipher_suite,
        init_key=init_key,
        leaf_node=leaf_node,
        extensions=extensions,
        signature=reader.opaque(),
    )


def sign_key_package(
    signer: Signer, *, suite: CipherSuite, init_key: bytes, leaf_node: LeafNode, extensions: Extensions
) -> KeyPackage:
    """Returns a KeyPackage of the client whose leaf it is.

    init_key: an HPKE public key as the suite has it, another than the leaf's.
    Raises ValueError if the signer or the leaf is not one for this KeyPackage.
    """
    if signer.public.to_raw() != leaf_node.signature_key:
        raise ValueError("a KeyPackage is signed with the key of its leaf")
    if not isinstance(leaf_node.source, FromKeyPackage) or init_key == leaf_node.encryption_key:
        raise ValueError("a KeyPackage has a leaf made for one, and an init_key of its own")
    signed = tls.uint(MLS10, 2) + tls.uint(suite.number, 2) + tls.opaque(init_key)
    signed += leaf_node.encoded + encode_extensions(extensions)
    return KeyPackage(
        signed=signed,
        version=MLS10,
        cipher_suite=suite.number,
        init_key=init_key,
        leaf_node=leaf_node,
        extensions=extensions,
        signature=sign_with_label(signer, suite=suite, label=_LABEL, content=signed),
    )


def verify_key_package(key_package: KeyPackage) -> None:
    """Returns if the KeyPackage and its leaf are signed with the leaf's key, and its keys differ.

    Raises Rejected "mls_leaf_source", "mls_keys_not_distinct", "signature_invalid"; Malformed
    "key_malformed"; Unsupported "mls_cipher_suite_unsupported". Whether suite and version are the group's,
    the lifetime covers now and the credential is true is not judged here.
    Source: RFC 9420 §10.1.
    """
    suite = cipher_suites.by_number(key_package.cipher_suite)
    if key_package.init_key == key_package.leaf_node.encryption_key:
        raise Rejected(
            "mls_keys_not_distinct", "The KeyPackage has one key for two uses.", rule="RFC 9420 §10.1"
        )
    verify_leaf_node(key_package.leaf_node, suite=suite, position=None)
    verify_with_label(
        key_package.signature,
        signature_key=key_package.leaf_node.signature_key,
        suite=suite,
        label=_LABEL,
        content=key_package.signed,
    )
