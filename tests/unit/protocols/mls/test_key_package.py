"""KeyPackage and the message that it travels in."""

import hashlib

import msgspec
import pytest
from tests.unit.protocols.mls.clients import GROUP, KEYS, P256, key_package, leaf_node

from safeconduct import limits
from safeconduct.encoding import tls
from safeconduct.errors import SafeconductError
from safeconduct.protocols.mls.cipher_suites import CIPHER_SUITES, CipherSuite
from safeconduct.protocols.mls.credential import BasicCredential
from safeconduct.protocols.mls.extensions import Extension
from safeconduct.protocols.mls.key_package import (
    KeyPackage,
    parse_key_package,
    sign_key_package,
    verify_key_package,
)
from safeconduct.protocols.mls.leaf_node import FromUpdate, Position
from safeconduct.protocols.mls.message import Message, key_package_message, parse_message

BOB = key_package()


def code_of(data: bytes) -> str:
    with pytest.raises(SafeconductError) as caught:
        parse_key_package(data, framing="draft")
    return caught.value.code


def message_code_of(data: bytes) -> str:
    with pytest.raises(SafeconductError) as caught:
        parse_message(data, framing="draft")
    return caught.value.code


def verdict(read: KeyPackage) -> str:
    try:
        verify_key_package(read)
    except SafeconductError as error:
        return error.code
    return "accepted"


@pytest.mark.parametrize("suite", CIPHER_SUITES, ids=lambda suite: str(suite.number))
def test_a_key_package_goes_both_ways_and_verifies(suite: CipherSuite) -> None:
    made = key_package(suite, extensions=(Extension(0x0A0A, b"grease"),))
    read = parse_key_package(made.encoded, framing="draft")
    assert read == made
    assert read.encoded == made.encoded
    assert verdict(read) == "accepted"

    message = key_package_message(made)
    assert message.encoded == bytes.fromhex("00010005") + made.encoded
    assert parse_message(message.encoded, framing="draft") == message


def test_the_fields_stand_in_the_order_of_RFC_9420() -> None:
    assert BOB.signed == bytes.fromhex("00010002") + tls.opaque(b"init key") + BOB.leaf_node.encoded + b"\0"


def test_the_reference_is_a_hash_with_a_label() -> None:
    told = b"\x1cMLS 1.0 KeyPackage Reference" + tls.opaque(BOB.encoded)
    assert BOB.reference == hashlib.sha256(told).digest()


def test_the_signature_covers_every_byte() -> None:
    data = key_package(CIPHER_SUITES[0]).encoded
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        try:
            read = parse_key_package(changed, framing="draft")
        except SafeconductError:
            continue
        assert verdict(read) != "accepted"


def _resigned(**changed: object) -> KeyPackage:
    """A KeyPackage whose own signature is not looked at, as something else is wrong first."""
    return msgspec.structs.replace(BOB, **changed)


@pytest.mark.parametrize(
    ("read", "code"),
    [
        (_resigned(init_key=b"encryption key"), "mls_keys_not_distinct"),
        (_resigned(cipher_suite=8), "mls_cipher_suite_unsupported"),
        (_resigned(cipher_suite=1), "key_malformed"),
        (
            _resigned(
                leaf_node=leaf_node(source=FromUpdate(), position=Position(group_id=GROUP, leaf_index=0))
            ),
            "mls_leaf_source",
        ),
        (_resigned(leaf_node=msgspec.structs.replace(BOB.leaf_node, signature=b"")), "signature_invalid"),
        (_resigned(leaf_node=leaf_node(key=KEYS[2].generate("ES256"))), "signature_invalid"),
        (_resigned(signature=BOB.leaf_node.signature), "signature_invalid"),
        (_resigned(signed=BOB.signed[:-1] + b"\3\x0a\x0a\0"), "signature_invalid"),
    ],
)
def test_a_key_package_that_is_not_sound_is_refused(read: KeyPackage, code: str) -> None:
    assert verdict(read) == code


def test_a_key_package_is_not_signed_with_what_does_not_fit() -> None:
    other = KEYS[2].generate("ES256")
    for signer, init_key, leaf in (
        (other, b"init key", leaf_node()),
        (KEYS[2], b"encryption key", leaf_node()),
        (KEYS[2], b"init key", leaf_node(source=FromUpdate(), position=Position(group_id=b"", leaf_index=0))),
    ):
        with pytest.raises(ValueError, match="KeyPackage"):
            sign_key_package(signer, suite=P256, init_key=init_key, leaf_node=leaf, extensions=())


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "tls_truncated"),
        (b"\0\2" + BOB.encoded[2:], "mls_version_unsupported"),
        (BOB.encoded[:-1], "tls_truncated"),
        (BOB.encoded + b"\0", "tls_trailing_bytes"),
        (BOB.signed[:-1] + b"\6\0\1\0\0\1\0" + b"\0", "mls_extension_repeated"),
    ],
)
def test_a_key_package_that_breaks_its_form_is_refused(data: bytes, code: str) -> None:
    assert code_of(data) == code
    assert message_code_of(b"\0\1\0\5" + data) == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", "tls_truncated"),
        ("0001", "tls_truncated"),
        ("0000" + "0005", "mls_version_unsupported"),
        ("0002" + "0005", "mls_version_unsupported"),
        ("0001" + "0000", "mls_wire_format_unsupported"),
        ("0001" + "0006", "mls_wire_format_unsupported"),
        ("0001" + "0a0a", "mls_wire_format_unsupported"),
        ("0001" + "0004", "tls_truncated"),
    ],
)
def test_other_messages_are_refused(data: str, code: str) -> None:
    assert message_code_of(bytes.fromhex(data)) == code


@pytest.mark.parametrize("wire_format", [1, 2, 3])
def test_messages_between_members_are_not_looked_at(wire_format: int) -> None:
    data = bytes([0, 1, 0, wire_format]) + b"whatever"
    read = parse_message(data, framing="draft")
    assert read == Message(wire_format=wire_format, body=b"whatever")
    assert read.encoded == data
    assert "whatever" not in repr(read)


def _sized(size: int) -> KeyPackage:
    """A KeyPackage with an extension that fills it up."""
    without = len(key_package(CIPHER_SUITES[0]).encoded)
    # Its type, and four bytes of length more for itself and three more for the list.
    return key_package(CIPHER_SUITES[0], extensions=(Extension(0xFF00, b"x" * (size - without - 2 - 4 - 3)),))


def test_MLS_KEY_PACKAGE_BYTES_bounds_a_key_package() -> None:
    most, more = (_sized(limits.MLS_KEY_PACKAGE_BYTES + over) for over in (0, 1))
    assert len(most.encoded) == limits.MLS_KEY_PACKAGE_BYTES
    assert parse_key_package(most.encoded, framing="draft") == most
    assert parse_message(key_package_message(most).encoded, framing="draft").body == most
    assert code_of(more.encoded) == "tls_too_long"
    assert message_code_of(key_package_message(more).encoded) == "tls_too_long"


def test_MLS_KEY_PACKAGE_BYTES_has_room_for_the_largest_credential() -> None:
    large = BasicCredential(b"a" * (limits.MLS_CREDENTIAL_BYTES - 4))
    made = key_package(leaf=leaf_node(credential=large))
    assert parse_key_package(made.encoded, framing="draft") == made


def test_MLS_MESSAGE_BYTES_bounds_a_message() -> None:
    most = b"\0\1\0\2" + bytes(limits.MLS_MESSAGE_BYTES - 4)
    assert parse_message(most, framing="draft").encoded == most
    assert message_code_of(most + b"\0") == "tls_too_long"


def test_what_it_holds_is_not_shown() -> None:
    for secret in ("alice", "key'", "init"):
        assert secret not in repr(BOB)
        assert secret not in repr(key_package_message(BOB))
