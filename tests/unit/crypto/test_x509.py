"""A chain leads from its leaf to a trust anchor, in order, in time, and with nothing unknown in it."""

import base64
import datetime
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography import x509 as pyca
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import pki
from tests.pki import BEGIN, END, Authority

from safeconduct import limits
from safeconduct.crypto import x509
from safeconduct.crypto.keys import Key
from safeconduct.crypto.x509 import ANCHOR_IN_CHAIN, SELF_SIGNED_LEAF, Certificate
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported

NOW = 1_800_000_000
ROOT = Authority.root()
CA = ROOT.authority("CA")
KEY = Key.generate("ES256")
CHAIN = CA.chain(KEY)


def verify(chain: Sequence[Certificate], **changes: Any) -> Certificate:
    arguments: dict[str, Any] = {"anchors": [ROOT.certificate], "now": NOW}
    return x509.verify_chain(chain, **arguments | changes)


def refused(chain: Sequence[Certificate], code: str, **changes: Any) -> None:
    with pytest.raises(Rejected) as caught:
        verify(chain, **changes)
    assert caught.value.code == code


def test_a_chain_to_an_anchor_gives_the_leaf_with_key_and_names() -> None:
    chain = CA.chain(KEY, "Issuer", uris=["https://a.example/1"], dns=["a.example", "b.example"])

    leaf = verify(chain)

    assert leaf.key == KEY.public
    assert leaf.key.kid is None
    assert (leaf.subject, leaf.uris, leaf.dns) == (
        "CN=Issuer",
        ("https://a.example/1",),
        ("a.example", "b.example"),
    )
    assert leaf.thumbprint == leaf.handle.fingerprint(hashes.SHA256())


@pytest.mark.parametrize("name", ["ES256", "ES384", "ES512", "Ed25519", "Ed448"])
def test_leaves_and_authorities_may_have_any_key_that_signs_here(name: str) -> None:
    root = Authority.root()
    key = Key.generate(name)
    signed = Authority(key, root._certificate("CA", key, **pki._of_a_ca({})), ())
    assert verify(root.chain(key), anchors=[root.certificate]).key == key.public
    leaf = signed._certificate("Leaf", KEY, **pki._of_a_leaf({}))
    assert verify([leaf], anchors=[signed.certificate]) is leaf


def test_an_authority_below_the_root_may_be_the_anchor() -> None:
    assert verify(CHAIN[:1], anchors=[CA.certificate]).key == KEY.public


def test_the_right_one_of_several_anchors_is_found_also_under_one_name() -> None:
    namesake = Authority.root()

    assert verify(CHAIN, anchors=[namesake.certificate, ROOT.certificate]).key == KEY.public
    refused(CHAIN, "x5c_untrusted", anchors=[namesake.certificate])


@pytest.mark.parametrize(
    "chain",
    [
        CHAIN[:1],
        (*CHAIN, *CHAIN[1:]),
        Authority.root("Other").chain(KEY),
        (CHAIN[0], Authority.root("Other").authority("CA").certificate),
        ROOT.authority("Namesake").chain(KEY, issuer="CA")[:1] + CHAIN[1:],
        (CA.chain(KEY, signer=Key.generate("ES256"))[0], *CHAIN[1:]),
    ],
    ids=["gap", "doubled", "other root", "other CA", "other key under the name", "signature"],
)
def test_a_chain_that_leads_elsewhere_is_untrusted(chain: Sequence[Certificate]) -> None:
    refused(chain, "x5c_untrusted")


def test_nobody_is_trusted_without_an_anchor() -> None:
    refused(CHAIN, "x5c_untrusted", anchors=[])


def test_every_certificate_must_be_in_its_time() -> None:
    assert verify(CHAIN, now=BEGIN)
    assert verify(CHAIN, now=END)
    refused(CHAIN, "x5c_not_yet_valid", now=BEGIN - 1)
    refused(CHAIN, "x5c_expired", now=END + 1)


@pytest.mark.parametrize("changes", [{"end": NOW - 1}, {"begin": NOW + 1}])
def test_an_authority_or_an_anchor_out_of_its_time_certifies_nothing(changes: dict[str, int]) -> None:
    code = "x5c_expired" if "end" in changes else "x5c_not_yet_valid"
    root = Authority.root(**changes)

    refused(ROOT.authority("CA", **changes).chain(KEY), code)
    refused(root.chain(KEY), code, anchors=[root.certificate])


def test_a_leaf_that_is_signed_by_itself_is_refused() -> None:
    own = Authority.root("Own").certificate

    refused([own], "x5c_self_signed")
    refused([own], "x5c_self_signed", anchors=[own])
    refused([own], "x5c_untrusted", accept={SELF_SIGNED_LEAF})
    refused([own, ROOT.certificate], "x5c_untrusted", anchors=[own], accept={SELF_SIGNED_LEAF})


def test_a_leaf_that_is_signed_by_itself_and_pinned_may_be_accepted() -> None:
    key = Key.generate("ES256")
    own = pki._signed("Own", key, "Own", key, extensions=[(pki.usage("digital_signature"), True)])

    assert verify([own], anchors=[own], accept={SELF_SIGNED_LEAF}).key == key.public
    refused([own], "x5c_expired", anchors=[own], accept={SELF_SIGNED_LEAF}, now=END + 1)


def test_an_anchor_in_the_chain_is_refused_unless_accepted() -> None:
    whole = (*CHAIN, ROOT.certificate)

    refused(whole, "x5c_includes_anchor")
    refused(CHAIN, "x5c_includes_anchor", anchors=[CA.certificate])
    assert verify(whole, accept={ANCHOR_IN_CHAIN}).key == KEY.public
    assert verify(CHAIN, anchors=[CA.certificate], accept={ANCHOR_IN_CHAIN}).key == KEY.public


def test_a_root_in_the_chain_that_is_no_anchor_is_refused() -> None:
    other = Authority.root()
    whole = (*other.chain(KEY), other.certificate)

    refused(whole, "x5c_includes_anchor")
    refused(whole, "x5c_untrusted", accept={ANCHOR_IN_CHAIN})


CA_USAGE = (pki.usage("key_cert_sign"), True)
LEAF_USAGE = (pki.usage("digital_signature"), True)
CA_CONSTRAINTS = (pyca.BasicConstraints(ca=True, path_length=None), True)


@pytest.mark.parametrize(
    "extensions",
    [
        [CA_USAGE],
        [(pyca.BasicConstraints(ca=False, path_length=None), True), CA_USAGE],
        [CA_CONSTRAINTS, LEAF_USAGE],
    ],
    ids=["no constraints", "not a CA", "may not certify"],
)
def test_only_a_ca_certifies(extensions: list[pki.Extension]) -> None:
    refused(ROOT.authority("CA", extensions=extensions).chain(KEY), "x5c_usage")


def test_a_leaf_without_basic_constraints_certifies_nobody() -> None:
    middle = Authority(KEY, CHAIN[0], CHAIN)

    refused(middle.chain(Key.generate("ES256"), "Below"), "x5c_usage")


def test_an_anchor_must_be_a_ca_as_well() -> None:
    root = Authority.root(extensions=[LEAF_USAGE])

    refused(root.chain(KEY), "x5c_usage", anchors=[root.certificate])


@pytest.mark.parametrize(
    "extensions", [[CA_USAGE], [(pki.usage("key_agreement"), True)], [CA_CONSTRAINTS, LEAF_USAGE]]
)
def test_a_leaf_must_be_for_signing_data(extensions: list[pki.Extension]) -> None:
    refused(CA.chain(KEY, extensions=extensions), "x5c_usage")


def test_a_leaf_without_key_usage_is_not_restricted() -> None:
    assert verify(CA.chain(KEY, extensions=[])).key == KEY.public


def test_the_path_length_bounds_the_authorities_below() -> None:
    root = Authority.root(path_length=1)
    once = root.authority("One", path_length=0)
    twice = root.authority("One").authority("Two")

    assert verify(once.chain(KEY), anchors=[root.certificate])
    refused(once.authority("Two").chain(KEY), "x5c_usage", anchors=[root.certificate])
    refused(twice.chain(KEY), "x5c_usage", anchors=[root.certificate])


UNKNOWN = pyca.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
CONSTRAINED = pyca.NameConstraints(permitted_subtrees=[pyca.DNSName("a.example")], excluded_subtrees=None)
TLS = pyca.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


@pytest.mark.parametrize(
    "extension", [(UNKNOWN, True), (TLS, True), (CONSTRAINED, True), (CONSTRAINED, False)]
)
def test_a_restriction_that_is_not_understood_refuses(extension: pki.Extension) -> None:
    refused(CA.chain(KEY, extensions=[LEAF_USAGE, extension]), "x5c_extension")
    refused(
        ROOT.authority("CA", extensions=[CA_CONSTRAINTS, CA_USAGE, extension]).chain(KEY), "x5c_extension"
    )


def test_an_extension_that_restricts_nothing_is_ignored() -> None:
    assert verify(CA.chain(KEY, extensions=[LEAF_USAGE, (UNKNOWN, False), (TLS, False)]))


def test_a_leniency_has_a_name() -> None:
    with pytest.raises(ValueError, match="anchor-in-chain"):
        verify(CHAIN, accept={"anything"})


def foreign(key: Any, hash_: Any) -> bytes:
    """A certificate with a key or a signature that is not used here."""
    name = pyca.Name([pyca.NameAttribute(NameOID.COMMON_NAME, "Leaf")])
    builder = pyca.CertificateBuilder(name, name, key.public_key(), 1)
    begin, end = (datetime.datetime.fromtimestamp(each, datetime.UTC) for each in (BEGIN, END))
    return builder.not_valid_before(begin).not_valid_after(end).sign(key, hash_).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "der",
    [
        foreign(rsa.generate_private_key(65537, 2048), hashes.SHA256()),
        foreign(ec.generate_private_key(ec.SECP256K1()), hashes.SHA256()),
        foreign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA224()),
    ],
    ids=["RSA", "secp256k1", "SHA-224"],
)
def test_other_keys_and_signatures_are_unsupported(der: bytes) -> None:
    with pytest.raises(Unsupported) as caught:
        x509.from_der(der)
    assert caught.value.code == "certificate_unsupported"
    with pytest.raises(Unsupported):
        x509.read_x5c([base64.b64encode(der).decode()])


def test_x5c_is_written_and_read_in_standard_base64() -> None:
    written = x509.to_x5c(CHAIN)

    assert written == [base64.b64encode(certificate.der).decode() for certificate in CHAIN]
    assert x509.read_x5c(written) == CHAIN


GOOD = x509.to_x5c(CHAIN)


@pytest.mark.parametrize(
    "value",
    [
        None,
        GOOD[0],
        {},
        [],
        [None],
        [1],
        [[GOOD[0]]],
        [""],
        ["AA=="],
        [GOOD[0].replace("+", "-").replace("/", "_") + "!"],
        [GOOD[0] + "\n"],
        ["=" + GOOD[0]],
        ["é"],
        GOOD * limits.X5C_CERTIFICATES,
        ["A" * (limits.CERTIFICATE_BYTES * 2)],
        [base64.b64encode(CHAIN[0].der + b"\0").decode()],
        [base64.b64encode(CHAIN[0].der[:-1]).decode()],
        [base64.b64encode(bytes(limits.CERTIFICATE_BYTES + 1)).decode()],
    ],
    ids=lambda value: type(value).__name__,  # certificates differ from process to process
)
def test_what_is_no_x5c_is_malformed(value: Any) -> None:
    with pytest.raises(Malformed) as caught:
        x509.read_x5c(value)
    assert caught.value.code == "x5c_malformed"


def test_pem_holds_certificates_in_order() -> None:
    assert x509.chain_from_pem(pki.pem(*CHAIN)) == CHAIN
    assert x509.chain_from_pem(f"text before\n{pki.pem(*CHAIN)}".encode()) == CHAIN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "é",
        KEY.public.to_pem(),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        pki.pem(CHAIN[0]).replace("M", "!"),
        pki.pem(CHAIN[0]) * (limits.TRUST_CERTIFICATES + 1),
        "-" * (limits.TRUST_CERTIFICATES * limits.CERTIFICATE_BYTES + 1),
    ],
    ids=lambda text: str(len(text) > 100),
)
def test_what_is_no_certificate_file_is_malformed(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        x509.chain_from_pem(text)
    assert caught.value.code == "certificate_malformed"


def test_a_private_key_among_certificates_is_noticed() -> None:
    with pytest.raises(Rejected) as caught:
        x509.chain_from_pem(pki.pem(*CHAIN) + KEY.to_pem(private=True))
    assert caught.value.code == "private_key_where_public_expected"


def test_a_certificate_shows_no_names() -> None:
    assert "Leaf" not in repr(CHAIN[0])


@given(st.integers(0, len(CHAIN[0].der) - 1), st.integers(1, 255), st.booleans())
def test_a_leaf_with_a_changed_byte_is_never_believed(place: int, change: int, cut: bool) -> None:
    der = bytearray(CHAIN[0].der)
    der[place] ^= change
    try:
        leaf = x509.from_der(bytes(der[:-1] if cut else der))
        verify((leaf, *CHAIN[1:]))
    except SafeconductError:
        return
    # Some bytes of the signature's encoding and of the outer algorithm may change without changing it.
    assert leaf.handle.tbs_certificate_bytes == CHAIN[0].handle.tbs_certificate_bytes


@given(st.binary(max_size=200))
def test_bytes_as_a_certificate(data: bytes) -> None:
    for read in (x509.from_der, x509.chain_from_pem):
        with pytest.raises(SafeconductError):
            read(data)


def oracle_accepts(chain: Sequence[Certificate], anchor: Certificate) -> bool:
    """What the verifier of `cryptography` makes of a chain, without what TLS demands of extensions."""
    policy = verification.ExtensionPolicy.permit_all()
    of_a_ca = policy.require_present(pyca.BasicConstraints, verification.Criticality.AGNOSTIC, None)
    builder = (
        verification.PolicyBuilder()
        .store(verification.Store([anchor.handle]))
        .time(datetime.datetime.fromtimestamp(NOW, datetime.UTC))
        .extension_policies(ca_policy=of_a_ca, ee_policy=policy)
    )
    try:
        builder.build_client_verifier().verify(chain[0].handle, [each.handle for each in chain[1:]])
    except verification.VerificationError:
        return False
    return True


@settings(max_examples=60)
@given(
    path_lengths=st.lists(st.none() | st.integers(0, 2), min_size=1, max_size=4),
    expired=st.integers(0, 8),
    missing=st.integers(0, 8),
    other_anchor=st.integers(0, 4).map(lambda number: number == 0),
)
def test_chains_are_judged_as_by_an_independent_verifier(
    path_lengths: list[int | None], expired: int, missing: int, other_anchor: bool
) -> None:
    authority = root = Authority.root(path_length=path_lengths[0])
    for place, path_length in enumerate(path_lengths[1:], start=1):
        end = NOW - 1 if place == expired else END
        authority = authority.authority(f"CA {place}", path_length=path_length, end=end)
    chain = list(authority.chain(KEY, dns=["a.example"]))
    if 0 < missing < len(chain):
        del chain[missing]
    anchor = (Authority.root() if other_anchor else root).certificate

    try:
        accepted = verify(chain, anchors=[anchor]).key == KEY.public
    except SafeconductError:
        accepted = False

    assert accepted == oracle_accepts(chain, anchor)
