"""Signatures of MLS: bound to their label, DER and one DER only for ECDSA, uncompressed points only."""

import pytest
from cryptography.hazmat.primitives import serialization
from tests.unit.protocols.mls.clients import KEYS

from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported
from safeconduct.protocols.mls import cipher_suites, registries
from safeconduct.protocols.mls.cipher_suites import CIPHER_SUITES, CipherSuite
from safeconduct.protocols.mls.signing import sign_with_label, verify_with_label

P256, P521 = cipher_suites.by_number(2), cipher_suites.by_number(5)
ECDSA = [suite for suite in CIPHER_SUITES if KEYS[suite.number].algorithm.hash]
number = pytest.mark.parametrize("suite", CIPHER_SUITES, ids=lambda suite: str(suite.number))


def _sign(suite: CipherSuite) -> bytes:
    return sign_with_label(KEYS[suite.number], suite=suite, label="LeafNodeTBS", content=b"content")


def _code(suite: CipherSuite, signature: bytes, **changed: object) -> str:
    told = {
        "signature_key": KEYS[suite.number].public.to_raw(),
        "suite": suite,
        "label": "LeafNodeTBS",
        "content": b"content",
        **changed,
    }
    try:
        verify_with_label(signature, **told)  # type: ignore[arg-type]
    except SafeconductError as error:
        return error.code
    return "accepted"


@number
def test_a_signature_holds_for_its_label_content_and_key_only(suite: CipherSuite) -> None:
    signature = _sign(suite)
    other = KEYS[suite.number].generate(suite.algorithm).public.to_raw()

    assert _code(suite, signature) == "accepted"
    assert _code(suite, signature, label="KeyPackageTBS") == "signature_invalid"
    assert _code(suite, signature, content=b"contents") == "signature_invalid"
    # Where label ends and content begins is signed too.
    assert _code(suite, signature, label="LeafNodeTB", content=b"Scontent") == "signature_invalid"
    assert _code(suite, signature, signature_key=other) == "signature_invalid"
    assert _code(suite, signature[:-1]) == "signature_invalid"
    assert _code(suite, b"") == "signature_invalid"


@pytest.mark.parametrize("suite", ECDSA, ids=lambda suite: str(suite.number))
def test_ecdsa_is_der_in_MLS_and_raw_elsewhere(suite: CipherSuite) -> None:
    key = KEYS[suite.number]
    label = b"MLS 1.0 LeafNodeTBS"
    raw = key.sign(bytes([len(label)]) + label + b"\x07content")

    assert _sign(suite)[0] == 0x30
    assert len(raw) == key.algorithm.signature_bytes
    assert _code(suite, raw) == "signature_invalid"


def _second_spellings(der: bytes) -> dict[str, bytes]:
    length, rest = der[1], der[2:]
    assert length < 126, "one byte tells the length of a P-256 signature"
    r_length = rest[1]
    return {
        "trailing": der + b"\0",
        "long length": b"\x30\x81" + der[1:],
        "indefinite": b"\x30\x80" + rest + b"\0\0",
        "padded r": b"\x30" + bytes([length + 1, 2, r_length + 1, 0]) + rest[2:],
        "negative r": b"\x30" + bytes([length]) + rest[:2] + bytes([rest[2] | 0x80]) + rest[3:],
        "huge r": b"\x30\x46\x02\x40" + b"\x7f" * 64 + b"\x02\x02\x01\x01",
        "zero r": b"\x30\x06\x02\x01\x00\x02\x01\x01",
        "another tag": b"\x31" + der[1:],
    }


@pytest.mark.parametrize("spelling", _second_spellings(b"\x30\x06\x02\x01\x01\x02\x01\x01"))
def test_a_second_spelling_of_an_ecdsa_signature_is_refused(spelling: str) -> None:
    for _ in range(4):
        assert _code(P256, _second_spellings(_sign(P256))[spelling]) == "signature_invalid"


def test_a_compressed_point_is_no_signature_key() -> None:
    key = KEYS[2].public
    handle = serialization.load_der_public_key(key.to_der())
    compressed = handle.public_bytes(
        serialization.Encoding.X962,
        serialization.PublicFormat.CompressedPoint,
    )
    assert len(compressed) == 33
    assert _code(P256, _sign(P256), signature_key=compressed) == "key_malformed"
    assert _code(P256, _sign(P256), signature_key=b"") == "key_malformed"
    # Right in length, but compressed as its first byte says; and not on the curve.
    for first in (b"\x02", b"\x00"):
        assert _code(P256, _sign(P256), signature_key=first + key.to_raw()[1:]) == "key_malformed"
    assert _code(P256, _sign(P256), signature_key=b"\x04" + bytes(63) + b"\x09") == "key_malformed"


@number
def test_public_keys_are_raw_or_uncompressed_points(suite: CipherSuite) -> None:
    raw = KEYS[suite.number].public.to_raw()
    assert len(raw) == {1: 32, 2: 65, 3: 32, 4: 57, 5: 133, 6: 57, 7: 97}[suite.number]
    assert suite.public_key(raw) == KEYS[suite.number].public


def test_a_key_of_another_suite_does_not_sign() -> None:
    with pytest.raises(ValueError, match="not one of the cipher suite"):
        sign_with_label(KEYS[1], suite=P256, label="x", content=b"")
    with pytest.raises(Malformed) as caught:
        P521.public_key(KEYS[2].public.to_raw())
    assert caught.value.code == "key_malformed"


@pytest.mark.parametrize("unknown", [0, 8, 0x0A0A, 0xFFFF])
def test_other_cipher_suites_are_unsupported(unknown: int) -> None:
    with pytest.raises(Unsupported) as caught:
        cipher_suites.by_number(unknown)
    assert caught.value.code == "mls_cipher_suite_unsupported"


def test_a_signature_that_is_wrong_in_form_says_so_as_any_other() -> None:
    with pytest.raises(Rejected) as caught:
        verify_with_label(b"\x30", signature_key=KEYS[2].public.to_raw(), suite=P256, label="x", content=b"")
    assert caught.value.code == "signature_invalid"


def test_the_values_of_grease() -> None:
    assert len(registries.GREASE) == 15
    assert registries.GREASE[0] == 0x0A0A
    assert registries.GREASE[-1] == 0xEAEA
    assert {*registries.GREASE} == {0x0A0A + 0x1010 * step for step in range(15)}
    assert 0xFAFA not in registries.GREASE, "0xF000 and above are for private use"
