"""GroupInfo (RFC 9420 §12.4.3): what one who joins a group is told about it, signed by a member."""

import msgspec

from safeconduct import limits
from safeconduct.encoding import tls
from safeconduct.encoding.tls import Reader
from safeconduct.protocols.mls import cipher_suites, registries
from safeconduct.protocols.mls.capabilities import RequiredCapabilities, parse_required_capabilities
from safeconduct.protocols.mls.credential import Framing
from safeconduct.protocols.mls.extensions import Extensions, find_extension, take_extensions
from safeconduct.protocols.mls.external_senders import ExternalSender, parse_external_senders
from safeconduct.protocols.mls.ratchet_tree import RatchetTree, parse_ratchet_tree
from safeconduct.protocols.mls.registries import take_version
from safeconduct.protocols.mls.signing import verify_with_label

_LABEL = "GroupInfoTBS"


class GroupContext(msgspec.Struct, frozen=True, kw_only=True):
    """What all members of a group agree on in an epoch (RFC 9420 §8.1). cipher_suite: its number."""

    version: int
    cipher_suite: int
    group_id: bytes
    epoch: int
    tree_hash: bytes
    confirmed_transcript_hash: bytes
    extensions: Extensions

    def required_capabilities(self) -> RequiredCapabilities | None:
        """Returns what members must support, if the group says so. Raises as its parser."""
        data = find_extension(self.extensions, registries.REQUIRED_CAPABILITIES)
        return None if data is None else parse_required_capabilities(data)

    def external_senders(self, *, framing: Framing) -> tuple[ExternalSender, ...]:
        """Returns who may send proposals from outside. Raises as their parser."""
        data = find_extension(self.extensions, registries.EXTERNAL_SENDERS)
        return () if data is None else parse_external_senders(data, framing=framing)

    def __repr__(self) -> str:
        return f"<GroupContext epoch {self.epoch}>"


class GroupInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A GroupInfo, well formed.

    signed: the GroupInfoTBS, exactly as received. signer: index of the leaf that signed it.
    """

    signed: bytes
    group_context: GroupContext
    extensions: Extensions
    confirmation_tag: bytes
    signer: int
    signature: bytes

    @property
    def encoded(self) -> bytes:
        """The whole GroupInfo, exactly as received."""
        return self.signed + tls.opaque(self.signature)

    def ratchet_tree(self, *, framing: Framing) -> RatchetTree | None:
        """Returns the tree that it brings along, if it does. Raises as `parse_ratchet_tree`."""
        data = find_extension(self.extensions, registries.RATCHET_TREE)
        return None if data is None else parse_ratchet_tree(data, framing=framing)

    def __repr__(self) -> str:
        return f"<GroupInfo {self.group_context!r}>"


def parse_group_info(data: bytes) -> GroupInfo:
    """Returns the GroupInfo that `data` is; within an MLSMessage, see `parse_message`.

    Raises Malformed "tls_…", "mls_extension_repeated"; Unsupported "mls_version_unsupported", "tls_too_many",
    "tls_too_long" above `limits.MLS_MESSAGE_BYTES`.
    """
    return tls.read(data, take_group_info, most=limits.MLS_MESSAGE_BYTES)


def take_group_info(reader: Reader) -> GroupInfo:
    """Reads a GroupInfo. Raises as `parse_group_info`."""
    begun = reader.place
    context, extensions = _take_group_context(reader), take_extensions(reader)
    confirmation_tag, signer = reader.opaque(), reader.uint32()
    return GroupInfo(
        signed=reader.since(begun),
        group_context=context,
        extensions=extensions,
        confirmation_tag=confirmation_tag,
        signer=signer,
        signature=reader.opaque(),
    )


def verify_group_info(group_info: GroupInfo, *, signature_key: bytes) -> None:
    """Returns if the GroupInfo is signed with that key, which is that of the leaf `signer` in its tree.

    Raises Rejected "signature_invalid"; Malformed "key_malformed"; Unsupported
    "mls_cipher_suite_unsupported".
    Source: RFC 9420 §12.4.3.
    """
    verify_with_label(
        group_info.signature,
        signature_key=signature_key,
        suite=cipher_suites.by_number(group_info.group_context.cipher_suite),
        label=_LABEL,
        content=group_info.signed,
    )


def _take_group_context(reader: Reader) -> GroupContext:
    return GroupContext(
        version=take_version(reader),
        cipher_suite=reader.uint16(),
        group_id=reader.opaque(),
        epoch=reader.uint64(),
        tree_hash=reader.opaque(),
        confirmed_transcript_hash=reader.opaque(),
        extensions=take_extensions(reader),
    )
