"""MLS: what is made is read back the same, what is read is written the same; all else is refused."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.protocols.mls.clients import P256, key_package, leaf_node

from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64
from safeconduct.errors import SafeconductError
from safeconduct.protocols.mls import sd_jwt
from safeconduct.protocols.mls.capabilities import Capabilities, Lifetime
from safeconduct.protocols.mls.credential import (
    BasicCredential,
    Credential,
    CredentialBinding,
    MultiCredential,
    OpaqueCredential,
    SdCwtCredential,
    SdJwtCredential,
    X509Credential,
    parse_credential,
)
from safeconduct.protocols.mls.extensions import Extension
from safeconduct.protocols.mls.key_package import KeyPackage, parse_key_package, verify_key_package
from safeconduct.protocols.mls.leaf_node import (
    FromCommit,
    FromKeyPackage,
    FromUpdate,
    LeafNode,
    Position,
    parse_leaf_node,
    sign_leaf_node,
    verify_leaf_node,
)
from safeconduct.protocols.mls.ratchet_tree import ParentNode, RatchetTree, parse_ratchet_tree

KEY = Key.generate("ES256")
short, filled = st.binary(max_size=80), st.binary(min_size=1, max_size=80)
uint16s = st.lists(st.integers(0, 0xFFFF), max_size=20).map(tuple)
framings = st.sampled_from(["draft", "opaque"])
segments = filled.map(b64.encode)
jwts = st.tuples(st.just("eyJ9"), segments, segments).map(".".join)
texts = st.tuples(jwts, st.lists(segments, max_size=5), jwts).map(
    lambda parts: "~".join((parts[0], *parts[1], parts[2]))
)
forms = st.sampled_from(["ascii", "parts"])
tokens = st.one_of(texts.map(sd_jwt.classic), st.builds(sd_jwt.compact, texts, key_binding=forms))
KNOWN = {1, 2, 3, 5, 6}
single: st.SearchStrategy[Credential] = st.one_of(
    short.map(BasicCredential),
    st.lists(short, max_size=5).map(lambda chain: X509Credential(tuple(chain))),
    short.map(SdCwtCredential),
    st.builds(SdJwtCredential, sd_jwt=tokens, framing=st.just("draft")),
    st.builds(OpaqueCredential, st.integers(0, 0xFFFF).filter(lambda kind: kind not in KNOWN), short),
)
bindings = st.builds(
    CredentialBinding,
    cipher_suite=st.integers(0, 7),
    credential=single,
    credential_key=short,
    signature=short,
)
credentials = single | st.lists(bindings, max_size=3).map(lambda several: MultiCredential(tuple(several)))
capabilities = st.builds(
    Capabilities,
    versions=uint16s,
    cipher_suites=uint16s,
    extensions=uint16s,
    proposals=uint16s,
    credentials=uint16s,
)
uint64s = st.integers(0, 2**64 - 1)
extensions = st.lists(
    st.builds(Extension, st.integers(0, 0xFFFF), short),
    max_size=6,
    unique_by=lambda extension: extension.type,
).map(tuple)
positions = st.builds(Position, group_id=short, leaf_index=st.integers(0, 2**32 - 1))
sources = st.one_of(
    st.builds(Lifetime, not_before=uint64s, not_after=uint64s).map(lambda time: (FromKeyPackage(time), None)),
    st.tuples(st.just(FromUpdate()) | short.map(FromCommit), positions),
)


@st.composite
def leaves(draw: st.DrawFn) -> tuple[LeafNode, Position | None]:
    source, position = draw(sources)
    leaf = sign_leaf_node(
        KEY,
        suite=P256,
        encryption_key=draw(short),
        credential=draw(credentials),
        capabilities=draw(capabilities),
        source=source,
        extensions=draw(extensions),
        position=position,
    )
    return leaf, position


@given(credentials)
def test_every_credential_goes_both_ways(credential: Credential) -> None:
    assert parse_credential(credential.encode(), framing="draft") == credential


@given(texts, framings, forms)
def test_an_sd_jwt_keeps_its_text_in_every_form(text: str, framing: str, form: str) -> None:
    token = sd_jwt.compact_or_classic(text, key_binding=form)  # type: ignore[arg-type]
    credential = SdJwtCredential(sd_jwt=token, framing=framing)  # type: ignore[arg-type]
    read = parse_credential(credential.encode(), framing=framing)  # type: ignore[arg-type]
    assert read == credential
    assert isinstance(read, SdJwtCredential)
    assert read.sd_jwt.text == text


@given(st.text(alphabet="eyJAQ9_-.~=+ \n", max_size=60))
def test_no_text_changes_by_being_compacted(text: str) -> None:
    try:
        token = sd_jwt.compact_or_classic(text)
    except SafeconductError as error:
        code = error.code
    else:
        assert token.text == text
        return
    assert code in {"mls_sd_jwt_malformed", "mls_key_binding_missing"}


@settings(max_examples=60)
@given(leaves())
def test_every_leaf_goes_both_ways_and_verifies(made: tuple[LeafNode, Position | None]) -> None:
    leaf, position = made
    read = parse_leaf_node(leaf.encoded, framing="draft")
    assert read == leaf
    verify_leaf_node(read, suite=P256, position=position)


BOB = key_package().encoded
TREE = RatchetTree(
    (leaf_node(), ParentNode(encryption_key=b"1", parent_hash=b"", unmerged_leaves=(1,)), leaf_node())
).encoded
edits = st.lists(
    st.tuples(st.integers(0, len(TREE)), st.binary(max_size=3), st.integers(0, 3)), min_size=1, max_size=3
)


def _edited(data: bytes, changes: list[tuple[int, bytes, int]]) -> bytes:
    for place, inserted, removed in changes:
        data = data[:place] + inserted + data[place + removed :]
    return data


@given(edits)
def test_an_altered_key_package_is_refused_or_read_as_it_stands(
    changes: list[tuple[int, bytes, int]],
) -> None:
    data = _edited(BOB, changes)
    try:
        read: KeyPackage = parse_key_package(data, framing="draft")
    except SafeconductError:
        return
    assert read.encoded == data
    if data == BOB:
        return
    try:
        verify_key_package(read)
    except SafeconductError:
        return
    raise AssertionError("an altered KeyPackage verifies")


@given(edits)
def test_an_altered_tree_is_refused_or_read_as_it_stands(changes: list[tuple[int, bytes, int]]) -> None:
    data = _edited(TREE, changes)
    try:
        read = parse_ratchet_tree(data, framing="draft")
    except SafeconductError:
        return
    assert read.encoded == data


@given(st.integers(0, 7), st.binary(max_size=60))
def test_garbage_is_a_credential_or_refused(kind: int, body: bytes) -> None:
    data = bytes([0, kind]) + body
    for framing in ("draft", "opaque"):
        try:
            read = parse_credential(data, framing=framing)  # type: ignore[arg-type]
        except SafeconductError:
            continue
        assert read.encode() == data
