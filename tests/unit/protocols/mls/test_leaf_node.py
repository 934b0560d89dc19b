"""LeafNode, its capabilities, lifetime and extensions: signed for where it stands, its exact bytes kept."""

import msgspec
import pytest
from tests.unit.protocols.mls.clients import ALICE, CAPABILITIES, GROUP, KEYS, LIFETIME, P256, leaf_node

from safeconduct import limits
from safeconduct.encoding import tls
from safeconduct.errors import SafeconductError
from safeconduct.protocols.mls.capabilities import (
    Capabilities,
    Lifetime,
    RequiredCapabilities,
    parse_required_capabilities,
)
from safeconduct.protocols.mls.cipher_suites import CIPHER_SUITES, CipherSuite
from safeconduct.protocols.mls.extensions import Extension, encode_extensions, find_extension
from safeconduct.protocols.mls.leaf_node import (
    FromCommit,
    FromKeyPackage,
    FromUpdate,
    LeafNode,
    Position,
    Source,
    parse_leaf_node,
    verify_leaf_node,
)

PLACE = Position(group_id=GROUP, leaf_index=3)
SOURCES: list[tuple[Source, Position | None]] = [
    (LIFETIME, None),
    (FromUpdate(), PLACE),
    (FromCommit(b"hash"), PLACE),
]
EXTENSIONS = (Extension(1, b"app"), Extension(0x0A0A, b""), Extension(0xFF01, b"x" * 100))


def code_of(data: bytes) -> str:
    with pytest.raises(SafeconductError) as caught:
        parse_leaf_node(data, framing="draft")
    return caught.value.code


def verdict(leaf: LeafNode, position: Position | None, suite: CipherSuite = P256) -> str:
    try:
        verify_leaf_node(leaf, suite=suite, position=position)
    except SafeconductError as error:
        return error.code
    return "accepted"


@pytest.mark.parametrize("suite", CIPHER_SUITES, ids=lambda suite: str(suite.number))
@pytest.mark.parametrize(("source", "position"), SOURCES)
def test_a_leaf_goes_both_ways_and_verifies(
    suite: CipherSuite, source: Source, position: Position | None
) -> None:
    made = leaf_node(suite, source=source, position=position, extensions=EXTENSIONS)
    read = parse_leaf_node(made.encoded, framing="draft")
    assert read == made
    assert read.encoded == made.encoded
    assert verdict(read, position, suite) == "accepted"


def test_the_fields_stand_in_the_order_of_RFC_9420() -> None:
    made = leaf_node(source=FromCommit(b"hash"), position=PLACE, extensions=EXTENSIONS[:1])
    lists = "020001" + "06000100020a0a" + "00" + "021a1a" + "0600010005eaea"
    assert made.capabilities.encode().hex() == lists
    expected = tls.opaque(b"encryption key") + tls.opaque(KEYS[2].public.to_raw())
    expected += bytes.fromhex("000105") + b"alice" + bytes.fromhex(lists)
    expected += b"\x03\x04hash" + b"\x06\x00\x01\x03app"
    assert made.signed == expected
    assert made.tbs(PLACE) == expected + b"\x05group" + b"\0\0\0\3"


def test_the_lifetime_is_two_times() -> None:
    source = FromKeyPackage(Lifetime(not_before=1, not_after=2**64 - 1))
    assert source.encode().hex() == "01" + "0000000000000001" + "ff" * 8
    assert parse_leaf_node(leaf_node(source=source).encoded, framing="draft").source == source


def test_the_signature_covers_where_a_leaf_stands() -> None:
    made = leaf_node(source=FromUpdate(), position=PLACE)
    assert verdict(made, Position(group_id=b"another", leaf_index=3)) == "signature_invalid"
    assert verdict(made, Position(group_id=GROUP, leaf_index=4)) == "signature_invalid"
    # That of a KeyPackage was signed before there was a group.
    assert verdict(leaf_node(), PLACE) == "accepted"


@pytest.mark.parametrize("source", [FromUpdate(), FromCommit(b"hash")])
def test_a_leaf_of_a_group_does_not_stand_in_a_key_package(source: Source) -> None:
    assert verdict(leaf_node(source=source, position=PLACE), None) == "mls_leaf_source"


def test_the_signature_covers_every_byte() -> None:
    made = leaf_node(KEY_SUITE, extensions=EXTENSIONS[:1])
    data = made.encoded
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        try:
            read = parse_leaf_node(changed, framing="draft")
        except SafeconductError:
            continue
        assert verdict(read, None, KEY_SUITE) in {"signature_invalid", "key_malformed", "mls_leaf_source"}


KEY_SUITE = CIPHER_SUITES[0]


def test_what_is_signed_is_the_bytes_received() -> None:
    """With the fields changed and the bytes not, the signature holds: nothing is encoded again for it."""
    made = leaf_node()
    assert verdict(msgspec.structs.replace(made, encryption_key=b"another"), None) == "accepted"
    assert verdict(msgspec.structs.replace(made, signed=made.signed + b"\0"), None) == "signature_invalid"


@pytest.mark.parametrize(("source", "position"), [(LIFETIME, PLACE), (FromUpdate(), None)])
def test_a_leaf_is_not_signed_for_a_place_that_it_cannot_have(
    source: Source, position: Position | None
) -> None:
    with pytest.raises(ValueError, match="position"):
        leaf_node(source=source, position=position)


HEAD = tls.opaque(b"e") + tls.opaque(b"s") + ALICE.encode()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "tls_truncated"),
        (HEAD, "tls_truncated"),
        (HEAD + b"\x01\x00", "tls_truncated"),  # a list of numbers with half a number
        (HEAD + CAPABILITIES.encode() + b"\x00", "tls_choice_malformed"),
        (HEAD + CAPABILITIES.encode() + b"\x04", "tls_choice_malformed"),
        (HEAD + CAPABILITIES.encode() + b"\x01" + bytes(15), "tls_truncated"),
        (HEAD + CAPABILITIES.encode() + b"\x02" + b"\x06\0\1\0\0\1\0" + b"\0", "mls_extension_repeated"),
        (HEAD + CAPABILITIES.encode() + b"\x02" + b"\x04\0\1\2a" + b"\0", "tls_truncated"),
        (leaf_node().encoded + b"\0", "tls_trailing_bytes"),
        (leaf_node().encoded[:-1], "tls_truncated"),
    ],
)
def test_a_leaf_that_breaks_its_form_is_refused(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_an_extension_stands_once() -> None:
    with pytest.raises(ValueError, match="one extension"):
        encode_extensions((Extension(1, b""), Extension(1, b"a")))
    assert find_extension(EXTENSIONS, 1) == b"app"
    assert find_extension(EXTENSIONS, 2) is None


def _many(count: int) -> LeafNode:
    return leaf_node(extensions=tuple(Extension(0x100 + number, b"") for number in range(count)))


def test_MLS_EXTENSIONS_bounds_their_number() -> None:
    assert len(parse_leaf_node(_many(limits.MLS_EXTENSIONS).encoded, framing="draft").extensions) == 64
    assert code_of(_many(limits.MLS_EXTENSIONS + 1).encoded) == "tls_too_many"


def test_MLS_CAPABILITIES_bounds_each_list() -> None:
    most = tuple(range(limits.MLS_CAPABILITIES))
    required = RequiredCapabilities(credential_types=most)
    assert parse_required_capabilities(required.encode()) == required
    for more in (
        RequiredCapabilities(extension_types=(*most, 1)),
        RequiredCapabilities(proposal_types=(*most, 1)),
        RequiredCapabilities(credential_types=(*most, 1)),
    ):
        with pytest.raises(SafeconductError) as caught:
            parse_required_capabilities(more.encode())
        assert caught.value.code == "tls_too_many"
    capabilities = Capabilities(cipher_suites=(1,), credentials=(*most, 1))
    assert code_of(HEAD + capabilities.encode()) == "tls_too_many"


def test_required_capabilities_are_three_lists() -> None:
    required = RequiredCapabilities(extension_types=(5,), proposal_types=(), credential_types=(5, 6))
    assert required.encode().hex() == "020005" + "00" + "0400050006"
    assert parse_required_capabilities(required.encode()) == required
    for data, code in ((b"", "tls_truncated"), (required.encode() + b"\0", "tls_trailing_bytes")):
        with pytest.raises(SafeconductError) as caught:
            parse_required_capabilities(data)
        assert caught.value.code == code


def test_what_it_holds_is_not_shown() -> None:
    made = leaf_node(extensions=EXTENSIONS)
    for part in (made, *made.extensions, PLACE):
        for secret in ("alice", "app", "group", "encryption"):
            assert secret not in repr(part)
