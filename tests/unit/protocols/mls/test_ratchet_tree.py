"""The ratchet tree and what a GroupInfo says besides: form, places, keys used once, signatures."""

import hashlib

import msgspec
import pytest
from tests.unit.protocols.mls.clients import GROUP, KEYS, P256, leaf_node

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import tls
from safeconduct.errors import SafeconductError
from safeconduct.protocols.mls.capabilities import RequiredCapabilities
from safeconduct.protocols.mls.credential import BasicCredential
from safeconduct.protocols.mls.extensions import Extension, encode_extensions
from safeconduct.protocols.mls.external_senders import (
    ExternalSender,
    encode_external_senders,
    parse_external_senders,
)
from safeconduct.protocols.mls.group_info import GroupInfo, parse_group_info, verify_group_info
from safeconduct.protocols.mls.leaf_node import FromCommit, FromUpdate, LeafNode, Position
from safeconduct.protocols.mls.message import parse_message
from safeconduct.protocols.mls.ratchet_tree import (
    Node,
    ParentNode,
    RatchetTree,
    parse_ratchet_tree,
    verify_ratchet_tree,
)
from safeconduct.protocols.mls.signing import sign_with_label
from safeconduct.protocols.mls.tree_hash import verify_tree_hash

SOURCES = (FromUpdate(), FromCommit(b"hash"), FromUpdate(), FromUpdate(), FromUpdate())
MEMBERS = [
    leaf_node(
        key=Key.generate("ES256"),
        source=source,
        position=Position(group_id=GROUP, leaf_index=index),
        encryption_key=b"leaf %d" % index,
        credential=BasicCredential(b"member %d" % index),
    )
    for index, source in enumerate(SOURCES)
]


def parent(key: bytes, *unmerged: int) -> ParentNode:
    """Returns a node above leaves."""
    return ParentNode(encryption_key=key, parent_hash=b"", unmerged_leaves=unmerged)


A, B, C, D, E = MEMBERS
NODES: tuple[Node, ...] = (A, parent(b"1"), B, parent(b"3", 1, 2), C, None, D, None, E)
TREE = RatchetTree(NODES)


def parsed(*nodes: Node) -> RatchetTree:
    return parse_ratchet_tree(RatchetTree(nodes).encoded, framing="draft")


def code_of(data: bytes) -> str:
    with pytest.raises(SafeconductError) as caught:
        parse_ratchet_tree(data, framing="draft")
    return caught.value.code


def verdict(tree: RatchetTree, group_id: bytes = GROUP) -> str:
    try:
        verify_ratchet_tree(tree, suite=P256, group_id=group_id)
    except SafeconductError as error:
        return error.code
    return "accepted"


def test_a_tree_goes_both_ways_and_verifies() -> None:
    read = parse_ratchet_tree(TREE.encoded, framing="draft")
    assert read == TREE
    assert read.encoded == TREE.encoded
    assert [*read.leaves()] == [*enumerate(MEMBERS)]
    assert verdict(read) == "accepted"


def test_blank_leaves_keep_their_places() -> None:
    read = parsed(A, None, None, None, C)
    assert [index for index, _ in read.leaves()] == [0, 2]
    assert verdict(read) == "accepted"


def test_the_nodes_are_optional_and_say_what_they_are() -> None:
    leaf = b"\1\1" + A.encoded
    above = b"\1\2" + b"\1k" + b"\0" + b"\4\0\0\0\1"
    assert RatchetTree((A, parent(b"k", 1), B)).encoded == tls.opaque(leaf + above + b"\1\1" + B.encoded)
    assert RatchetTree((A, None, B)).encoded == tls.opaque(leaf + b"\0" + b"\1\1" + B.encoded)


@pytest.mark.parametrize(
    "nodes",
    [
        (),
        (None,),
        (A, None),
        (A, None, None),
        (A, B),
        (parent(b"0"),),
        (A, None, parent(b"2")),
        (A, parent(b"1", 1, 0), B),
        (A, parent(b"1", 1, 1), B),
        (A, parent(b"1", 2), B),
        (A, parent(b"1", 2), B, None, C),
        (A, parent(b"1", 1), None, None, C),
        (A, None, B, parent(b"3", 4), C, None, D, None, E),
        (A, None, B, None, C, parent(b"5", 1), D),
        (A, parent(b"1", 2**32 - 1), B),
    ],
)
def test_a_tree_that_is_none_is_refused(nodes: tuple[Node, ...]) -> None:
    assert code_of(RatchetTree(nodes).encoded) == "mls_tree_malformed"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "tls_truncated"),
        (b"\1\2", "tls_choice_malformed"),
        (b"\2\1\0", "tls_choice_malformed"),
        (b"\2\1\3", "tls_choice_malformed"),
        (b"\1\1", "tls_truncated"),
        (tls.opaque(b"\1\2" + b"\0\0" + b"\3\0\0\0"), "tls_truncated"),
        (TREE.encoded + b"\0", "tls_trailing_bytes"),
        (TREE.encoded[:-1], "tls_truncated"),
    ],
)
def test_a_tree_that_breaks_its_form_is_refused(data: bytes, code: str) -> None:
    assert code_of(data) == code


def changed(index: int, leaf: LeafNode) -> RatchetTree:
    nodes = [*NODES]
    nodes[2 * index] = leaf
    return RatchetTree(tuple(nodes))


def test_every_leaf_is_signed_for_its_place() -> None:
    assert verdict(TREE, b"another") == "signature_invalid"
    for index, member in enumerate(MEMBERS):
        forged = msgspec.structs.replace(member, signature=MEMBERS[index - 1].signature)
        assert verdict(changed(index, forged)) == "signature_invalid"
    assert verdict(RatchetTree((B, None, A))) == "signature_invalid"


@pytest.mark.parametrize(
    "tree",
    [
        RatchetTree((A, None, A)),
        changed(4, msgspec.structs.replace(E, signature_key=A.signature_key)),
        changed(4, msgspec.structs.replace(E, encryption_key=A.encryption_key)),
        changed(4, msgspec.structs.replace(E, encryption_key=b"3")),
        RatchetTree((A, parent(b"1"), B, parent(b"1"), C)),
    ],
)
def test_no_key_stands_in_two_nodes(tree: RatchetTree) -> None:
    assert verdict(tree) == "mls_keys_not_distinct"


def test_MLS_MEMBERS_bounds_a_tree_of_blanks() -> None:
    def blanks(count: int) -> bytes:
        return tls.opaque(bytes(count))

    assert code_of(blanks(2 * limits.MLS_MEMBERS - 1)) == "mls_tree_malformed"
    assert code_of(blanks(2 * limits.MLS_MEMBERS)) == "tls_too_many"
    assert (
        code_of(RatchetTree((A, parent(b"1", *range(limits.MLS_MEMBERS + 1)), B)).encoded) == "tls_too_many"
    )


def test_MLS_MESSAGE_BYTES_bounds_a_tree() -> None:
    assert code_of(tls.opaque(bytes(limits.MLS_MESSAGE_BYTES - 3))) == "tls_too_long"


SENDERS = (
    ExternalSender(signature_key=b"key", credential=BasicCredential(b"server")),
    ExternalSender(signature_key=b"other", credential=BasicCredential(b"desk")),
)
REQUIRED = RequiredCapabilities(credential_types=(5,))


def context(*extensions: Extension, version: int = 1, suite: int = 2) -> bytes:
    """Returns a GroupContext."""
    fields = tls.uint(version, 2) + tls.uint(suite, 2) + tls.opaque(GROUP) + tls.uint(7, 8)
    return fields + tls.opaque(b"tree hash") + tls.opaque(b"transcript") + encode_extensions(extensions)


def group_info(head: bytes, *extensions: Extension) -> bytes:
    """Returns a GroupInfo that the first of KEYS of suite 2 signed as leaf 4."""
    signed = head + encode_extensions(extensions) + tls.opaque(b"tag") + tls.uint(4, 4)
    return signed + tls.opaque(sign_with_label(KEYS[2], suite=P256, label="GroupInfoTBS", content=signed))


INFO = group_info(
    context(Extension(3, REQUIRED.encode()), Extension(5, encode_external_senders(SENDERS))),
    Extension(2, TREE.encoded),
)


def info_code_of(data: bytes) -> str:
    with pytest.raises(SafeconductError) as caught:
        parse_group_info(data)
    return caught.value.code


def test_a_group_info_tells_what_the_group_is() -> None:
    read = parse_group_info(INFO)
    assert read.encoded == INFO
    assert (read.group_context.group_id, read.group_context.epoch, read.signer) == (GROUP, 7, 4)
    assert (read.group_context.tree_hash, read.confirmation_tag) == (b"tree hash", b"tag")
    assert read.group_context.confirmed_transcript_hash == b"transcript"
    assert read.ratchet_tree(framing="draft") == TREE
    assert read.group_context.required_capabilities() == REQUIRED
    assert read.group_context.external_senders(framing="draft") == SENDERS
    assert parse_message(b"\0\1\0\4" + INFO, framing="draft").body == read


def test_a_group_info_need_not_tell_more() -> None:
    read = parse_group_info(group_info(context()))
    assert read.ratchet_tree(framing="draft") is None
    assert read.group_context.required_capabilities() is None
    assert read.group_context.external_senders(framing="draft") == ()


def test_a_group_info_is_signed_by_the_key_of_its_signer() -> None:
    read, key = parse_group_info(INFO), KEYS[2].public.to_raw()
    verify_group_info(read, signature_key=key)
    refused: list[tuple[GroupInfo, bytes, str]] = [
        (read, A.signature_key, "signature_invalid"),
        (msgspec.structs.replace(read, signed=read.signed + b"\0"), key, "signature_invalid"),
        (parse_group_info(group_info(context(suite=9))), key, "mls_cipher_suite_unsupported"),
        (read, key[:33], "key_malformed"),
    ]
    for info, signature_key, code in refused:
        with pytest.raises(SafeconductError) as caught:
            verify_group_info(info, signature_key=signature_key)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "tls_truncated"),
        (INFO[:-1], "tls_truncated"),
        (INFO + b"\0", "tls_trailing_bytes"),
        (group_info(context(version=2)), "mls_version_unsupported"),
        (context()[:-1] + b"\6\0\1\0\0\1\0", "mls_extension_repeated"),
    ],
)
def test_a_group_info_that_breaks_its_form_is_refused(data: bytes, code: str) -> None:
    assert info_code_of(data) == code


def test_MLS_MESSAGE_BYTES_bounds_a_group_info() -> None:
    assert info_code_of(bytes(limits.MLS_MESSAGE_BYTES + 1)) == "tls_too_long"


def test_a_tree_is_the_one_that_the_group_info_speaks_of() -> None:
    def told(tree_hash: bytes, suite: int = 2) -> GroupInfo:
        data = context(suite=suite).replace(tls.opaque(b"tree hash"), tls.opaque(tree_hash))
        return parse_group_info(group_info(data))

    def leaf_hash(index: int, leaf: LeafNode) -> bytes:
        return hashlib.sha256(b"\1" + tls.uint(index, 4) + b"\1" + leaf.encoded).digest()

    pair = RatchetTree((A, None, B))
    expected = b"\2" + b"\0" + tls.opaque(leaf_hash(0, A)) + tls.opaque(leaf_hash(1, B))
    verify_tree_hash(pair, told(hashlib.sha256(expected).digest()))
    verify_tree_hash(RatchetTree((A,)), told(leaf_hash(0, A)))
    for tree, info, code in (
        (RatchetTree((B, None, A)), told(hashlib.sha256(expected).digest()), "mls_tree_hash_mismatch"),
        (
            RatchetTree((A, None, B, None, C)),
            told(hashlib.sha256(expected).digest()),
            "mls_tree_hash_mismatch",
        ),
        (pair, told(b""), "mls_tree_hash_mismatch"),
        (pair, told(b"", suite=8), "mls_cipher_suite_unsupported"),
    ):
        with pytest.raises(SafeconductError) as caught:
            verify_tree_hash(tree, info)
        assert caught.value.code == code


def test_external_senders_are_a_list_with_its_length() -> None:
    one = encode_external_senders(SENDERS[:1])
    assert one == tls.opaque(b"\3key" + SENDERS[0].credential.encode())
    assert parse_external_senders(one, framing="draft") == SENDERS[:1]
    # As some write it: the only sender without the length of the list.
    for data in (one[1:], one + b"\0", one[:-1]):
        with pytest.raises(SafeconductError) as caught:
            parse_external_senders(data, framing="draft")
        assert caught.value.code in {"tls_truncated", "tls_trailing_bytes"}


def test_MLS_EXTERNAL_SENDERS_bounds_the_list() -> None:
    most = SENDERS[:1] * limits.MLS_EXTERNAL_SENDERS
    assert parse_external_senders(encode_external_senders(most), framing="draft") == most
    with pytest.raises(SafeconductError) as caught:
        parse_external_senders(encode_external_senders((*most, SENDERS[1])), framing="draft")
    assert caught.value.code == "tls_too_many"


def test_MLS_MESSAGE_BYTES_bounds_external_senders() -> None:
    with pytest.raises(SafeconductError) as caught:
        parse_external_senders(bytes(limits.MLS_MESSAGE_BYTES + 1), framing="draft")
    assert caught.value.code == "tls_too_long"


def test_what_it_holds_is_not_shown() -> None:
    read = parse_group_info(INFO)
    for part in (read, read.group_context, TREE, parent(b"secret key", 1), SENDERS[0]):
        for secret in ("member", "group'", "server", "secret", "key="):
            assert secret not in repr(part)
