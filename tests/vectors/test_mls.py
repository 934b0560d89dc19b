"""MLS against the published vectors: everything is written again as it was, and every signature holds."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safeconduct.crypto.keys import Key
from safeconduct.errors import Rejected
from safeconduct.protocols.mls import cipher_suites, registries
from safeconduct.protocols.mls.credential import parse_credential
from safeconduct.protocols.mls.group_info import GroupInfo, parse_group_info, verify_group_info
from safeconduct.protocols.mls.key_package import KeyPackage, parse_key_package, verify_key_package
from safeconduct.protocols.mls.leaf_node import Position, parse_leaf_node, verify_leaf_node
from safeconduct.protocols.mls.message import Message, parse_message
from safeconduct.protocols.mls.ratchet_tree import RatchetTree, parse_ratchet_tree, verify_ratchet_tree
from safeconduct.protocols.mls.signing import sign_with_label, verify_with_label
from safeconduct.protocols.mls.tree_hash import tree_hashes

Case = dict[str, Any]
OPAQUE_MESSAGES = (
    *("mls_welcome", "private_message"),
    *("public_message_application", "public_message_proposal", "public_message_commit"),
)


def cases(vectors: Path, name: str) -> list[Case]:
    loaded: list[Case] = msgspec.json.decode((vectors / f"mls/{name}.json").read_bytes())
    return loaded


def message(data: str) -> Message:
    """Reads a message, and sees that it is written as it came."""
    read = parse_message(bytes.fromhex(data), framing="draft")
    assert read.encoded.hex() == data
    return read


def tree(data: str) -> RatchetTree:
    """Reads a tree, and sees that it and every leaf are written as they came."""
    read = parse_ratchet_tree(bytes.fromhex(data), framing="draft")
    assert read.encoded.hex() == data
    for _, leaf in read.leaves():
        assert parse_leaf_node(leaf.encoded, framing="draft") == leaf
        assert leaf.encoded.hex() in data
        assert parse_credential(leaf.credential.encode(), framing="draft") == leaf.credential
        assert leaf.credential.encode() + leaf.capabilities.encode() + leaf.source.encode() in leaf.signed
    return read


def key_packages(vectors: Path) -> Iterator[KeyPackage]:
    for name, member in (
        ("messages", "mls_key_package"),
        ("passive-client-welcome", "key_package"),
        ("welcome", "key_package"),
    ):
        for case in cases(vectors, name):
            body = message(case[member]).body
            assert isinstance(body, KeyPackage)
            yield body


def test_every_key_package_is_read_and_verifies(vectors: Path) -> None:
    suites: Counter[int] = Counter()
    references = set()
    for read in key_packages(vectors):
        assert parse_key_package(read.encoded, framing="draft") == read
        verify_key_package(read)
        suites[read.cipher_suite] += 1
        references.add(read.reference)
    assert suites.total() == 185
    assert {*suites} == {1, 2, 3, 4, 5, 6, 7}
    assert len(references) == 185


def test_every_leaf_of_every_tree_verifies_in_its_group_and_no_other(vectors: Path) -> None:
    suites: Counter[int] = Counter()
    for case in cases(vectors, "tree-validation"):
        read, suite = tree(case["tree"]), cipher_suites.by_number(case["cipher_suite"])
        verify_ratchet_tree(read, suite=suite, group_id=bytes.fromhex(case["group_id"]))
        suites[suite.number] += len([*read.leaves()])
    assert suites.total() == 1127
    assert {*suites} == {1, 2, 3, 4, 5, 6, 7}

    with pytest.raises(Rejected) as caught:
        verify_ratchet_tree(read, suite=suite, group_id=b"another")
    assert caught.value.code == "signature_invalid"


def test_every_tree_hash_is_the_published_one(vectors: Path) -> None:
    trees = [(case, case["tree"], case["tree_hashes"]) for case in cases(vectors, "tree-validation")]
    for case, data, published in trees:
        levels = tree_hashes(tree(data), cipher_suites.by_number(case["cipher_suite"]))
        found = {
            (number * 2 + 1) * (1 << level) - 1: each
            for level, hashes in enumerate(levels)
            for number, each in enumerate(hashes)
        }
        assert [found[place].hex() for place in range(len(published))] == published
    for case in cases(vectors, "tree-operations"):
        for when in ("before", "after"):
            levels = tree_hashes(tree(case[f"tree_{when}"]), cipher_suites.by_number(case["cipher_suite"]))
            assert levels[-1][0].hex() == case[f"tree_hash_{when}"]


def test_other_published_trees_are_read(vectors: Path) -> None:
    operations = cases(vectors, "tree-operations")
    trees = [tree(case[name]) for case in operations for name in ("tree_before", "tree_after")]
    clients = cases(vectors, "passive-client-welcome")
    trees += [tree(case["ratchet_tree"]) for case in clients if case["ratchet_tree"]]
    assert len(trees) == 22


def test_every_group_info_is_read_and_verifies_with_a_leaf_of_its_tree(vectors: Path) -> None:
    for case in cases(vectors, "messages"):
        info, members = message(case["mls_group_info"]).body, tree(case["ratchet_tree"])
        assert isinstance(info, GroupInfo)
        assert parse_group_info(info.encoded) == info
        assert [extension.type for extension in info.extensions] == [
            registries.RATCHET_TREE,
            registries.EXTERNAL_PUB,
        ]
        assert info.ratchet_tree(framing="draft") is not None
        suite = cipher_suites.by_number(info.group_context.cipher_suite)
        ((index, leaf),) = members.leaves()
        place = Position(group_id=info.group_context.group_id, leaf_index=index)
        verify_leaf_node(leaf, suite=suite, position=place)
        verify_group_info(info, signature_key=leaf.signature_key)


def test_messages_for_members_are_kept_as_they_are(vectors: Path) -> None:
    published = cases(vectors, "messages")
    assert len(published) == 150
    for case in published:
        for name in OPAQUE_MESSAGES:
            assert isinstance(message(case[name]).body, bytes)


@pytest.mark.parametrize("number", range(1, 8))
def test_published_signatures_and_references(vectors: Path, number: int) -> None:
    (case,) = [each for each in cases(vectors, "crypto-basics") if each["cipher_suite"] == number]
    suite = cipher_suites.by_number(number)
    sign = {
        name: value if name == "label" else bytes.fromhex(value)
        for name, value in case["sign_with_label"].items()
    }
    signer = Key.from_raw(sign["priv"], suite.algorithm)
    signed = sign_with_label(signer, suite=suite, label=sign["label"], content=sign["content"])

    assert signer.public.to_raw() == sign["pub"]
    for signature in (sign["signature"], signed):
        verify_with_label(
            signature, signature_key=sign["pub"], suite=suite, label=sign["label"], content=sign["content"]
        )
    if signer.algorithm.hash is None:
        assert signed == sign["signature"]
    hashed = case["ref_hash"]
    assert suite.reference(hashed["label"], bytes.fromhex(hashed["value"])).hex() == hashed["out"]
