"""The hash of a ratchet tree (RFC 9420 §7.8): by it a tree is known as the one that a GroupInfo speaks of."""

import hashlib
import hmac

from safeconduct.encoding import tls
from safeconduct.errors import Rejected
from safeconduct.protocols.mls import cipher_suites
from safeconduct.protocols.mls.cipher_suites import CipherSuite
from safeconduct.protocols.mls.group_info import GroupInfo
from safeconduct.protocols.mls.ratchet_tree import LEAF, PARENT, RatchetTree


def verify_tree_hash(tree: RatchetTree, group_info: GroupInfo) -> None:
    """Returns if the tree is the one that the GroupInfo speaks of.

    Raises Rejected "mls_tree_hash_mismatch"; Unsupported "mls_cipher_suite_unsupported".
    Source: RFC 9420 §12.4.3.1.
    """
    suite = cipher_suites.by_number(group_info.group_context.cipher_suite)
    if not hmac.compare_digest(tree_hashes(tree, suite)[-1][0], group_info.group_context.tree_hash):
        raise Rejected(
            "mls_tree_hash_mismatch", "The tree is not that of the group.", rule="RFC 9420 §12.4.3.1"
        )


def tree_hashes(tree: RatchetTree, suite: CipherSuite) -> list[list[bytes]]:
    """Returns the hash of every subtree: of the leaves first, then level by level, at the end of the root.

    The leaves are those of the least full tree that has room for all, blank ones included.
    """
    count = 1
    while 2 * count - 1 < len(tree.nodes):
        count *= 2
    levels = [[_hash(suite, LEAF, tls.uint(index, 4) + _node(tree, 2 * index)) for index in range(count)]]
    while count > 1:
        count //= 2
        levels.append(_above(tree, suite, below=levels[-1], level=len(levels)))
    return levels


def _above(tree: RatchetTree, suite: CipherSuite, *, below: list[bytes], level: int) -> list[bytes]:
    """The hashes of a level, whose nodes stand 2^(level+1) places apart, the first at 2^level - 1."""
    first, step = (1 << level) - 1, 2 << level
    return [
        _hash(suite, PARENT, _node(tree, first + number * step) + tls.opaque(left) + tls.opaque(right))
        for number, (left, right) in enumerate(zip(below[::2], below[1::2], strict=True))
    ]


def _node(tree: RatchetTree, place: int) -> bytes:
    node = tree.nodes[place] if place < len(tree.nodes) else None
    return tls.optional(None if node is None else node.encoded)


def _hash(suite: CipherSuite, kind: int, content: bytes) -> bytes:
    return hashlib.new(suite.hash, tls.uint(kind, 1) + content).digest()
