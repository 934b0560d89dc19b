"""Credentials: each type in its own framing, unknown ones kept, bounded, and silent about what they hold."""

import pytest
from tests.unit.protocols.mls.clients import KB_JWT, KEYS, P256, SD_JWT

from safeconduct import limits
from safeconduct.encoding import tls
from safeconduct.errors import SafeconductError
from safeconduct.protocols.mls import sd_jwt
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
    take_credential,
)
from safeconduct.protocols.mls.credential_bindings import verify_bindings
from safeconduct.protocols.mls.signing import sign_with_label

CLASSIC = sd_jwt.classic(SD_JWT)
COMPACTED = sd_jwt.compact(SD_JWT, key_binding="ascii")
LEAF_KEY = b"the leaf's key"
FRAMINGS: tuple[Framing, ...] = ("draft", "opaque")


def binding(credential: Credential, *, leaf_key: bytes = LEAF_KEY) -> CredentialBinding:
    """Returns a binding that is signed for the leaf's key."""
    unsigned = CredentialBinding(
        cipher_suite=2, credential=credential, credential_key=KEYS[2].public.to_raw(), signature=b""
    )
    content = unsigned.signed + tls.opaque(leaf_key)
    signature = sign_with_label(KEYS[2], suite=P256, label="CredentialBindingTBS", content=content)
    return CredentialBinding(
        cipher_suite=2,
        credential=credential,
        credential_key=unsigned.credential_key,
        signature=signature,
    )


MULTI = MultiCredential((binding(SdCwtCredential(b"kbt")), binding(BasicCredential(b"alice"))))
WRITTEN: list[tuple[Credential, str]] = [
    (BasicCredential(b"alice"), "0001" + "05" + b"alice".hex()),
    (BasicCredential(b""), "0001" + "00"),
    (X509Credential((b"leaf", b"ca")), "0002" + "08" + "04" + b"leaf".hex() + "02" + b"ca".hex()),
    (SdCwtCredential(b"\xd2\x84"), "0005" + "02" + "d284"),
    (OpaqueCredential(0xFE00, b"abc"), "fe00" + "03" + "616263"),
    # RFC 9420 §13.5: a GREASE value is handled as any that is not supported.
    (OpaqueCredential(0x0A0A, b""), "0a0a" + "00"),
    (OpaqueCredential(0x0004, b"abc"), "0004" + "03" + "616263"),
    (SdJwtCredential(sd_jwt=CLASSIC, framing="draft"), "0006" + CLASSIC.encode().hex()),
    (SdJwtCredential(sd_jwt=COMPACTED, framing="draft"), "0006" + COMPACTED.encode().hex()),
    (SdJwtCredential(sd_jwt=CLASSIC, framing="opaque"), "0006" + tls.opaque(CLASSIC.encode()).hex()),
    (SdJwtCredential(sd_jwt=COMPACTED, framing="opaque"), "0006" + tls.opaque(COMPACTED.encode()).hex()),
]


def framing_of(credential: Credential) -> Framing:
    """Returns the framing that a credential is read in."""
    return credential.framing if isinstance(credential, SdJwtCredential) else "draft"


def code_of(data: bytes, framing: Framing = "draft") -> str:
    with pytest.raises(SafeconductError) as caught:
        parse_credential(data, framing=framing)
    return caught.value.code


@pytest.mark.parametrize(("credential", "data"), WRITTEN)
def test_each_type_goes_both_ways(credential: Credential, data: str) -> None:
    assert credential.encode().hex() == data
    assert parse_credential(bytes.fromhex(data), framing=framing_of(credential)) == credential
    assert credential.credential_type == int(data[:4], 16)


def test_several_credentials_of_a_client_are_read_and_verified() -> None:
    read = parse_credential(MULTI.encode(), framing="draft")
    assert read == MULTI
    assert isinstance(read, MultiCredential)
    verify_bindings(read, signature_key=LEAF_KEY)
    for bindings, key in (
        (read.bindings, b"another leaf's key"),
        ((binding(BasicCredential(b"bob"), leaf_key=b"another"),), LEAF_KEY),
    ):
        with pytest.raises(SafeconductError) as caught:
            verify_bindings(MultiCredential(bindings), signature_key=key)
        assert caught.value.code == "signature_invalid"


def test_G3_a_framing_is_not_taken_for_the_other() -> None:
    for credential in (CLASSIC, COMPACTED):
        for framing, other in (FRAMINGS, FRAMINGS[::-1]):
            data = SdJwtCredential(sd_jwt=credential, framing=framing).encode()
            assert code_of(data, other) in {"tls_choice_malformed", "tls_truncated", "tls_trailing_bytes"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", "tls_truncated"),
        ("00", "tls_truncated"),
        ("0001", "tls_truncated"),
        ("00010261", "tls_truncated"),
        ("000100" + "00", "tls_trailing_bytes"),
        ("0001" + "4001" + "61", "tls_length_malformed"),
        ("0001" + "c0" + "00" * 8, "tls_length_malformed"),
        ("0002" + "02" + "0261", "tls_truncated"),
        ("0005" + "40", "tls_truncated"),
        ("0006" + "02", "tls_choice_malformed"),
        ("0006" + "0000", "mls_sd_jwt_malformed"),
        ("fe00" + "05" + "61", "tls_truncated"),
    ],
)
def test_a_credential_that_breaks_its_form_is_refused(data: str, code: str) -> None:
    assert code_of(bytes.fromhex(data)) == code


def test_bytes_after_an_sd_jwt_in_the_opaque_framing_are_refused() -> None:
    data = b"\0\6" + tls.opaque(CLASSIC.encode() + b"\0")
    assert code_of(data, "opaque") == "tls_trailing_bytes"


@pytest.mark.parametrize("kind", ["0001", "0005", "fe00"])
def test_MLS_CREDENTIAL_BYTES_bounds_a_credential(kind: str) -> None:
    def sized(size: int) -> bytes:
        # Its length stands before it in four bytes.
        return bytes.fromhex(kind) + tls.opaque(b"a" * (size - 4))

    for size in (16 * 1024, limits.MLS_CREDENTIAL_BYTES):
        assert parse_credential(sized(size), framing="draft").encode() == sized(size)
    for size in (limits.MLS_CREDENTIAL_BYTES + 1, 1024 * 1024):
        assert code_of(sized(size)) == "mls_credential_too_large"
    # It is measured before it is read.
    assert code_of(bytes.fromhex(kind) + bytes(limits.MLS_CREDENTIAL_BYTES + 1)) == "mls_credential_too_large"


def test_MLS_CREDENTIAL_BYTES_bounds_all_of_an_sd_jwt() -> None:
    text = SD_JWT.replace(KB_JWT, "QUFB" * (limits.MLS_CREDENTIAL_BYTES // 4 // 4) + "~" + KB_JWT)
    for framing in FRAMINGS:
        fits = SdJwtCredential(sd_jwt=sd_jwt.compact_or_classic(text), framing=framing)
        assert parse_credential(fits.encode(), framing=framing) == fits
        large = sd_jwt.classic("a" * limits.MLS_CREDENTIAL_BYTES + "~" + KB_JWT)
        assert code_of(SdJwtCredential(sd_jwt=large, framing=framing).encode(), framing) == (
            "mls_credential_too_large"
        )


def test_MLS_CREDENTIAL_BYTES_bounds_all_that_a_client_shows_at_once() -> None:
    def halves(size: int) -> bytes:
        half = CredentialBinding(
            cipher_suite=2, credential=BasicCredential(b"a" * size), credential_key=b"", signature=b""
        )
        return MultiCredential((half, half)).encode()

    # Besides, a binding has ten bytes (suite, type, three lengths), and the list a length of four.
    fits = halves(limits.MLS_CREDENTIAL_BYTES // 2 - 12)
    assert parse_credential(fits, framing="draft").encode() == fits
    assert code_of(halves(limits.MLS_CREDENTIAL_BYTES // 2)) == "mls_credential_too_large"
    # Within a leaf its own end is found first.
    with pytest.raises(SafeconductError) as caught:
        tls.read(halves(limits.MLS_CREDENTIAL_BYTES // 2), lambda reader: take_credential(reader, "draft"))
    assert caught.value.code == "mls_credential_too_large"


def test_MLS_CREDENTIALS_bounds_what_a_client_shows_at_once() -> None:
    one = CredentialBinding(
        cipher_suite=2, credential=BasicCredential(b"a"), credential_key=b"", signature=b""
    )
    most = MultiCredential((one,) * limits.MLS_CREDENTIALS)
    assert parse_credential(most.encode(), framing="draft") == most
    more = MultiCredential((one,) * (limits.MLS_CREDENTIALS + 1))
    assert code_of(more.encode()) == "tls_too_many"


def test_X5C_CERTIFICATES_bounds_a_chain() -> None:
    most = X509Credential((b"certificate",) * limits.X5C_CERTIFICATES)
    assert parse_credential(most.encode(), framing="draft") == most
    assert code_of(X509Credential((*most.certificates, b"one more")).encode()) == "tls_too_many"


def test_several_credentials_do_not_nest() -> None:
    nested = MultiCredential(
        (CredentialBinding(cipher_suite=2, credential=MULTI, credential_key=b"", signature=b""),)
    )
    assert code_of(nested.encode()) == "mls_credential_nested"


@pytest.mark.parametrize("credential", [*(each for each, _ in WRITTEN), MULTI])
def test_what_it_holds_is_not_shown(credential: Credential) -> None:
    for secret in ("alice", "leaf", "eyJ", "abc", "kbt", "\\x84"):
        assert secret not in repr(credential)
