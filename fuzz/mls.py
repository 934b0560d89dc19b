"""Targets: TLS presentation language, and everything of MLS that is written in it."""

import contextlib

from fuzz.choices import Choices
from fuzz.envelopes import text
from fuzz.judgement import Target
from fuzz.keys import key
from safeconduct import limits
from safeconduct.encoding import b64, tls
from safeconduct.encoding.tls import Reader
from safeconduct.errors import SafeconductError
from safeconduct.protocols.mls import cipher_suites, sd_jwt
from safeconduct.protocols.mls.capabilities import (
    Capabilities,
    Lifetime,
    RequiredCapabilities,
    parse_required_capabilities,
)
from safeconduct.protocols.mls.credential import (
    BasicCredential,
    Credential,
    CredentialBinding,
    Framing,
    MultiCredential,
    OpaqueCredential,
    SdCwtCredential,
    SdJwtCredential,
    X509Credential,
    parse_credential,
)
from safeconduct.protocols.mls.credential_bindings import verify_bindings
from safeconduct.protocols.mls.extensions import Extension, encode_extensions
from safeconduct.protocols.mls.external_senders import (
    ExternalSender,
    encode_external_senders,
    parse_external_senders,
)
from safeconduct.protocols.mls.group_info import GroupInfo, parse_group_info, verify_group_info
from safeconduct.protocols.mls.key_package import (
    KeyPackage,
    parse_key_package,
    sign_key_package,
    verify_key_package,
)
from safeconduct.protocols.mls.leaf_node import (
    FromCommit,
    FromKeyPackage,
    Position,
    parse_leaf_node,
    sign_leaf_node,
    verify_leaf_node,
)
from safeconduct.protocols.mls.message import key_package_message, parse_message
from safeconduct.protocols.mls.ratchet_tree import (
    ParentNode,
    RatchetTree,
    parse_ratchet_tree,
    verify_ratchet_tree,
)
from safeconduct.protocols.mls.signing import verify_with_label
from safeconduct.protocols.mls.tree_hash import tree_hashes, verify_tree_hash

_SUITE = cipher_suites.by_number(1)
_KEY = key("Ed25519")
_JWT = ".".join(map(b64.encode, (b'{"alg":"ES256"}', b"{}", b"signature")))
_TEXTS = (
    f"{_JWT}~{_JWT}",
    f"{_JWT}~{b64.encode(b'[]')}~{b64.encode(b'[1]')}~{_JWT}",
    f"{_JWT}=~{_JWT}",
    f"{_JWT[:-1]}9~{_JWT}",
)
_FRAMINGS: tuple[Framing, ...] = ("draft", "opaque")
_FORMS: tuple[sd_jwt.KeyBindingForm, ...] = ("ascii", "parts")
_SINGLE: tuple[Credential, ...] = (
    BasicCredential(b"alice"),
    X509Credential((b"leaf", b"ca")),
    SdCwtCredential(b"\xd2\x84"),
    OpaqueCredential(0x0A0A, b""),
    *(
        SdJwtCredential(sd_jwt=token, framing=framing)
        for framing in _FRAMINGS
        for token in (
            sd_jwt.classic(_TEXTS[2]),
            *(sd_jwt.compact(_TEXTS[1], key_binding=form) for form in _FORMS),
        )
    ),
)
_CREDENTIALS: tuple[Credential, ...] = (
    *_SINGLE,
    MultiCredential(
        tuple(
            CredentialBinding(cipher_suite=number, credential=each, credential_key=b"k", signature=b"s")
            for number, each in enumerate(_SINGLE[:5], 1)
        )
    ),
)
_CAPABILITIES = Capabilities(cipher_suites=(1, 0x0A0A), credentials=(1, 5, 6), proposals=(8,))
_EXTENSIONS = (Extension(1, b"application"), Extension(0x0A0A, b""))
_LEAF = sign_leaf_node(
    _KEY,
    suite=_SUITE,
    encryption_key=b"encryption key",
    credential=_CREDENTIALS[0],
    capabilities=_CAPABILITIES,
    source=FromKeyPackage(Lifetime(not_before=0, not_after=2**63)),
    extensions=_EXTENSIONS,
    position=None,
)
_COMMITTED = sign_leaf_node(
    _KEY,
    suite=_SUITE,
    encryption_key=b"another key",
    credential=_CREDENTIALS[2],
    capabilities=_CAPABILITIES,
    source=FromCommit(b"hash"),
    extensions=(),
    position=Position(group_id=b"group", leaf_index=1),
)
_KEY_PACKAGE = sign_key_package(
    _KEY, suite=_SUITE, init_key=b"init key", leaf_node=_LEAF, extensions=_EXTENSIONS
)
_PARENT = ParentNode(encryption_key=b"parent", parent_hash=b"", unmerged_leaves=(1,))
_TREE = RatchetTree((_LEAF, _PARENT, _COMMITTED, None, None, None, _LEAF))
_SENDERS = encode_external_senders(
    [ExternalSender(signature_key=b"key", credential=each) for each in _CREDENTIALS]
)
_REQUIRED = RequiredCapabilities(extension_types=(5,), credential_types=(5, 6)).encode()
_CONTEXT = bytes.fromhex("0001" + "0001") + b"\5group" + bytes(8) + b"\4hash" + b"\4hash"
_INFO = b"".join(
    (
        _CONTEXT,
        encode_extensions((Extension(3, _REQUIRED), Extension(5, _SENDERS))),
        encode_extensions((Extension(2, _TREE.encoded), Extension(4, b"key"))),
        b"\3tag" + bytes(4) + b"\0",
    )
)
_BLANKS = tls.opaque(bytes(2 * limits.MLS_MEMBERS - 1))
_EVERY = tls.opaque(b"".join(tls.uint(number, 2) + b"\0" for number in range(60_000)))


def _fields(data: bytes) -> None:
    """Fields as the first half says, from what the second half holds; each is written as it came."""
    half = len(data) // 2
    choices, reader = Choices(data[:half]), Reader(data[half:])
    for _ in range(choices.number(20)):
        begun, kind = reader.place, choices.number(5)
        if kind == 0:
            written = tls.opaque(reader.opaque())
        elif kind == 1:
            written = tls.vector(reader.vector(lambda inner: inner.fixed(2), count=100))
        elif kind == 2:
            written = tls.numbers(reader.numbers(4, count=100), 4)
        elif kind == 3:
            written = tls.optional(reader.optional(lambda inner: inner.fixed(3)))
        else:
            written = tls.varint(reader.varint())
        assert written == reader.since(begun)
    reader.finish()


def _changed(data: bytes, whole: bytes) -> bytes:
    """`whole` with some bytes other: set, taken out or put in. What stands round them stays."""
    choices = Choices(data)
    for _ in range(choices.number(4)):
        place = choices.number(len(whole) + 1)
        inserted = choices.take(choices.number(4))
        whole = whole[:place] + inserted + whole[place + choices.number(4) :]
    return whole


def _credential(data: bytes) -> bytes:
    choices = Choices(data)
    if choices.number(4) == 0:
        return tls.uint(choices.number(8), 2) + choices.rest()
    whole = choices.pick(_CREDENTIALS).encode()
    return _changed(choices.rest(), whole)


def _read_credential(data: bytes) -> None:
    refused = None
    for framing in _FRAMINGS:
        try:
            read = parse_credential(data, framing=framing)
        except SafeconductError as error:
            refused = error
            continue
        assert read.encode() == data
        repr(read)
        if isinstance(read, SdJwtCredential):
            assert read.sd_jwt.text.isascii()
        if isinstance(read, MultiCredential):
            verify_bindings(read, signature_key=b"key")
    if refused is not None:
        raise refused


def _read_sd_jwt(received: str) -> None:
    for form in _FORMS:
        made = sd_jwt.compact_or_classic(received, key_binding=form)
        assert made.text == received
        assert tls.read(made.encode(), sd_jwt.take_sd_jwt) == made


def _sd_jwt(data: bytes) -> str:
    choices = Choices(data)
    if choices.number(3) == 0:
        return text(choices.rest())
    whole = choices.pick(_TEXTS).encode()
    return text(_changed(choices.rest(), whole))


def _read_key_package(data: bytes) -> None:
    read = parse_key_package(data, framing="draft")
    assert read.encoded == data
    assert parse_message(key_package_message(read).encoded, framing="draft").body == read
    assert parse_leaf_node(read.leaf_node.encoded, framing="draft") == read.leaf_node
    verify_key_package(read)


def _read_message(data: bytes) -> None:
    read = parse_message(data, framing="opaque")
    assert read.encoded == data
    if isinstance(read.body, KeyPackage):
        verify_leaf_node(read.body.leaf_node, suite=_SUITE, position=None)
    if isinstance(read.body, GroupInfo):
        _look_at(read.body)


def _look_at(info: GroupInfo) -> None:
    info.group_context.required_capabilities()
    info.group_context.external_senders(framing="draft")
    tree = info.ratchet_tree(framing="draft")
    if tree is not None:
        tree_hashes(tree, _SUITE)
        with contextlib.suppress(SafeconductError):
            verify_tree_hash(tree, info)
    verify_group_info(info, signature_key=_KEY.public.to_raw())


def _read_group_info(data: bytes) -> None:
    read = parse_group_info(data)
    assert read.encoded == data
    _look_at(read)


def _read_tree(data: bytes) -> None:
    read = parse_ratchet_tree(data, framing="draft")
    assert read.encoded == data
    verify_ratchet_tree(read, suite=_SUITE, group_id=b"group")


def _read_extension(data: bytes) -> None:
    if data[:1] == b"\0":
        assert parse_required_capabilities(data[1:]).encode() == data[1:]
        return
    assert encode_external_senders(parse_external_senders(data[1:], framing="draft")) == data[1:]


def _verify(data: bytes) -> None:
    """A signature and a key of garbage, in every suite."""
    choices = Choices(data)
    suite = choices.pick(cipher_suites.CIPHER_SUITES)
    signature_key = _changed(choices.take(6), key(suite.algorithm).public.to_raw())
    as_der, signature = choices.number(2), choices.rest()
    if as_der:
        signature = b"\x30" + bytes([len(signature) & 127]) + signature
    verify_with_label(signature, signature_key=signature_key, suite=suite, label="LeafNodeTBS", content=data)


TARGETS = (
    Target(
        name="tls.fields",
        read=_fields,
        seeds=lambda: [bytes(20) + b"\2ab" * 20, bytes([9, *range(9)]) + b"\4\0\0\0\1" * 2],
    ),
    Target(
        name="mls.credential",
        read=_read_credential,
        prepare=_credential,
        large=lambda: [
            b"\0\0\2" + tls.opaque(bytes(limits.MLS_CREDENTIAL_BYTES)),
            b"\0\0\6\1\1a\1a\1a" + tls.opaque(b"\1a" * 100_000),
            b"\0\0\6\0" + tls.opaque(b"~" * 200_000),
            b"\0\0\3" + b"\0\1\0\3" * 50_000,
        ],
    ),
    Target(
        name="mls.sd_jwt",
        read=_read_sd_jwt,
        prepare=_sd_jwt,
        large=lambda: [b"\0" + b"~" * 200_000 + b"e", b"\0" + b"e.e.e~" * 30_000 + b"e" * 20_000],
    ),
    Target(
        name="mls.key_package",
        read=_read_key_package,
        prepare=lambda data: _changed(data, _KEY_PACKAGE.encoded),
    ),
    Target(
        name="mls.message",
        read=_read_message,
        seeds=lambda: [
            key_package_message(_KEY_PACKAGE).encoded,
            bytes.fromhex("00010004") + _INFO,
            *(bytes([0, 1, 0, wire_format]) for wire_format in range(1, 7)),
        ],
        large=lambda: [bytes.fromhex("00010005") + bytes(limits.MLS_KEY_PACKAGE_BYTES + 1)],
    ),
    Target(
        name="mls.group_info",
        read=_read_group_info,
        prepare=lambda data: _changed(data, _INFO),
    ),
    Target(
        name="mls.ratchet_tree",
        read=_read_tree,
        prepare=lambda data: data if data[:1] == b"\x80" else _changed(data, _TREE.encoded),
        large=lambda: [_BLANKS, tls.opaque(bytes(3 * limits.MLS_MEMBERS))],
    ),
    Target(
        name="mls.extensions",
        read=_read_extension,
        seeds=lambda: [b"\0" + _REQUIRED, b"\1" + _SENDERS],
        large=lambda: [b"\0" + _EVERY, b"\1" + tls.opaque(b"\0\0\1\0" * 50_000)],
    ),
    Target(name="mls.signature", read=_verify),
)
