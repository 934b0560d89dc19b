"""The ratchet tree of a group (RFC 9420 §12.4.3.3): every member's leaf, and the nodes above them.

Nodes stand in an array, leaves at even places and the nodes above them between. Blank places at the end are
left out.
"""

from collections.abc import Iterator
from itertools import pairwise

import msgspec

from safeconduct import limits
from safeconduct.encoding import tls
from safeconduct.encoding.tls import Reader
from safeconduct.errors import Malformed, Rejected
from safeconduct.protocols.mls.cipher_suites import CipherSuite
from safeconduct.protocols.mls.credential import Framing
from safeconduct.protocols.mls.leaf_node import LeafNode, Position, take_leaf_node, verify_leaf_node

LEAF, PARENT = 1, 2
"""NodeType (RFC 9420 §12.4.3.3)."""


class ParentNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node above leaves (RFC 9420 §7.1). unmerged_leaves: indices of leaves that do not have its key."""

    encryption_key: bytes
    parent_hash: bytes
    unmerged_leaves: tuple[int, ...]

    @property
    def encoded(self) -> bytes:
        """The whole ParentNode, exactly as received."""
        unmerged = tls.numbers(self.unmerged_leaves, 4)
        return tls.opaque(self.encryption_key) + tls.opaque(self.parent_hash) + unmerged

    def __repr__(self) -> str:
        return f"<ParentNode {len(self.unmerged_leaves)} unmerged>"


Node = LeafNode | ParentNode | None


class RatchetTree(msgspec.Struct, frozen=True):
    """A tree, well formed: every node is of the kind of its place. nodes: None where one is blank."""

    nodes: tuple[Node, ...]

    @property
    def encoded(self) -> bytes:
        """The tree as the extension ratchet_tree holds it, exactly as received."""
        return tls.vector(map(_encode_node, self.nodes))

    def leaves(self) -> Iterator[tuple[int, LeafNode]]:
        """Yields each member's index among the leaves, and its leaf."""
        for place, node in enumerate(self.nodes):
            if isinstance(node, LeafNode):
                yield place // 2, node

    def __repr__(self) -> str:
        return f"<RatchetTree {len(self.nodes)} nodes>"


def parse_ratchet_tree(data: bytes, *, framing: Framing) -> RatchetTree:
    """Returns the tree that the extension ratchet_tree, or a message beside a Welcome, holds.

    framing: of SD-JWTs in it. Raises Malformed "tls_…", "mls_tree_malformed"; Unsupported "tls_too_long"
    above `limits.MLS_MESSAGE_BYTES`, "tls_too_many" above `limits.MLS_MEMBERS`; and what a leaf raises.
    """
    tree = RatchetTree(
        tls.read(
            data,
            lambda reader: reader.vector(
                lambda inner: inner.optional(lambda node: _take_node(node, framing)),
                count=2 * limits.MLS_MEMBERS - 1,
            ),
            most=limits.MLS_MESSAGE_BYTES,
        )
    )
    _check_form(tree)
    return tree


def verify_ratchet_tree(tree: RatchetTree, *, suite: CipherSuite, group_id: bytes) -> None:
    """Returns if every leaf is signed for its place in that group, and no key stands there twice.

    Raises Rejected "signature_invalid", "mls_keys_not_distinct"; Malformed "key_malformed". For the
    hash of the tree see `verify_tree_hash`; hashes of parents are for who joins the group.
    Source: RFC 9420 §7.3, §12.4.3.1.
    """
    _check_distinct([leaf.signature_key for _, leaf in tree.leaves()])
    _check_distinct([node.encryption_key for node in tree.nodes if node is not None])
    for index, leaf in tree.leaves():
        verify_leaf_node(leaf, suite=suite, position=Position(group_id=group_id, leaf_index=index))


def _take_node(reader: Reader, framing: Framing) -> LeafNode | ParentNode:
    if reader.choice((LEAF, PARENT)) == LEAF:
        return take_leaf_node(reader, framing)
    return ParentNode(
        encryption_key=reader.opaque(),
        parent_hash=reader.opaque(),
        unmerged_leaves=reader.numbers(4, count=limits.MLS_MEMBERS),
    )


def _encode_node(node: Node) -> bytes:
    if node is None:
        return tls.optional(None)
    return tls.optional(tls.uint(LEAF if isinstance(node, LeafNode) else PARENT, 1) + node.encoded)


def _check_form(tree: RatchetTree) -> None:
    if not tree.nodes or tree.nodes[-1] is None:
        raise _malformed("The tree is empty, or ends with a blank node.")
    for place, node in enumerate(tree.nodes):
        if node is not None and isinstance(node, LeafNode) != (place % 2 == 0):
            raise _malformed("A node of the tree is not of the kind of its place.")
        if isinstance(node, ParentNode):
            _check_unmerged(tree, place, node.unmerged_leaves)


def _check_unmerged(tree: RatchetTree, place: int, unmerged: tuple[int, ...]) -> None:
    """They are sorted (RFC 9420 §7.1), below the node, and not blank (§12.4.3.1)."""
    if any(one >= next_ for one, next_ in pairwise(unmerged)):
        raise _malformed("Unmerged leaves are not in order.")
    # A node above 2^k leaves has k ones at the end of its place, and as many places to both sides.
    reach = (place ^ (place + 1)) >> 1
    for index in unmerged:
        if abs(2 * index - place) > reach or 2 * index >= len(tree.nodes) or tree.nodes[2 * index] is None:
            raise _malformed("An unmerged leaf is not one below its node.")


def _check_distinct(keys: list[bytes]) -> None:
    if len(set(keys)) != len(keys):
        raise Rejected(
            "mls_keys_not_distinct", "Two nodes of the tree have the same key.", rule="RFC 9420 §7.3"
        )


def _malformed(reason: str) -> Malformed:
    return Malformed("mls_tree_malformed", reason, rule="RFC 9420 §12.4.3.3")
