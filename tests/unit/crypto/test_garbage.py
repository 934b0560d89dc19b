"""Whatever arrives as a key gives a key or a SafeconductError, never another exception."""

import base64
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey
from safeconduct.crypto.algorithms import ALGORITHMS
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.errors import Rejected, SafeconductError

NAMES = [algorithm.name for algorithm in ALGORITHMS]
KEYS = [Key.generate(name) for name in NAMES]
AGREEMENT = [AgreementKey.generate("P-256"), AgreementKey.generate("X25519")]
CODES = {
    "key_malformed",
    "key_unsupported",
    "key_use_mismatch",
    "key_pair_mismatch",
    "key_password_wrong",
    "private_key_where_public_expected",
}

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=40),
    st.binary(max_size=70),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
COSE_LABELS = st.one_of(st.integers(-6, 6), SCALARS)
JWK_NAMES = st.one_of(
    st.sampled_from(["kty", "crv", "x", "y", "d", "pub", "priv", "alg", "use", "key_ops", "kid"]),
    st.text(max_size=5),
)
PRIVATE_DER = [base64.b64decode("".join(key.to_pem(private=True).splitlines()[1:-1])) for key in KEYS[:10]]


def key_or_refusal(read: Callable[[Any], object], data: Any) -> None:
    with warnings.catch_warnings():
        # `cryptography` warns of odd keys before it refuses them; that is no fault of the data's reader.
        warnings.simplefilter("ignore")
        try:
            read(data)
        except SafeconductError as error:
            code = error.code
        else:
            return
    assert code in CODES


@given(st.binary(max_size=200))
@example(b"\x30\x80")
@example(b"\x30\x82\xff\xff\x02\x01\x01\x30")
@example(b"\x30\x05\x02\x01\x01\x30\x00")
def test_bytes_as_der_or_pem(data: bytes) -> None:
    for read in (Key.from_der, Key.from_pem, PublicKey.from_der, PublicKey.from_pem):
        key_or_refusal(read, data)


@given(
    st.text(max_size=200), st.sampled_from(["PRIVATE KEY", "EC PRIVATE KEY", "PUBLIC KEY", "RSA PUBLIC KEY"])
)
def test_text_as_pem(text: str, label: str) -> None:
    for data in (text, f"-----BEGIN {label}-----\n{text}\n-----END {label}-----\n"):
        key_or_refusal(Key.from_pem, data)
        key_or_refusal(PublicKey.from_pem, data)


@given(st.sampled_from([key.public.to_der() for key in KEYS]), st.integers(0), st.integers(0, 255))
def test_a_public_key_with_a_changed_byte(der: bytes, position: int, value: int) -> None:
    changed = bytearray(der)
    changed[position % min(len(der), 150)] = value
    key_or_refusal(PublicKey.from_der, bytes(changed))


@given(st.sampled_from(PRIVATE_DER), st.integers(0), st.integers(0, 255), st.integers(0, 3))
def test_a_private_key_with_a_changed_byte(der: bytes, position: int, value: int, cut: int) -> None:
    changed = bytearray(der)
    changed[position % len(der)] = value
    key_or_refusal(Key.from_der, bytes(changed[: len(changed) - cut]))


@given(st.dictionaries(COSE_LABELS, VALUES, max_size=8), st.sampled_from(KEYS), st.booleans())
def test_a_cose_key_with_changed_members(changes: dict[Any, Any], key: Key, private: bool) -> None:
    base = key.to_cose_key(private=True) if private else key.public.to_cose_key()
    for members in (changes, {**base, **changes}):
        key_or_refusal(PublicKey.from_cose_key, members)
        key_or_refusal(Key.from_cose_key, members)


@given(st.dictionaries(JWK_NAMES, VALUES, max_size=8), st.sampled_from(KEYS), st.booleans())
def test_a_jwk_with_changed_members(changes: dict[str, Any], key: Key, private: bool) -> None:
    base = key.to_jwk(private=True) if private else key.public.to_jwk()
    for members in (changes, {**base, **changes}):
        key_or_refusal(PublicKey.from_jwk, members)
        key_or_refusal(Key.from_jwk, members)


@given(st.dictionaries(JWK_NAMES, VALUES, max_size=8), st.sampled_from(AGREEMENT), st.booleans())
def test_an_agreement_jwk_with_changed_members(
    changes: dict[str, Any], key: AgreementKey, private: bool
) -> None:
    base = key.to_jwk(private=True) if private else key.public.to_jwk()
    for members in (changes, {**base, **changes}):
        key_or_refusal(AgreementPublicKey.from_jwk, members)
        key_or_refusal(AgreementKey.from_jwk, members)


@given(VALUES)
def test_any_value_as_a_key_document(value: Any) -> None:
    for read in (PublicKey.from_cose_key, Key.from_cose_key, PublicKey.from_jwk, Key.from_jwk):
        key_or_refusal(read, value)


@given(st.binary(max_size=140), st.sampled_from(NAMES))
def test_bytes_as_raw_keys(data: bytes, name: str) -> None:
    key_or_refusal(lambda raw: PublicKey.from_raw(raw, name), data)
    key_or_refusal(lambda raw: Key.from_raw(raw, name), data)


@given(st.binary(max_size=140), st.sampled_from(KEYS))
def test_bytes_as_signatures(signature: bytes, key: Key) -> None:
    with pytest.raises(Rejected) as error:
        key.public.verify(signature, b"data")
    assert error.value.code == "signature_invalid"


@given(st.binary(min_size=64, max_size=64))
def test_bytes_of_the_right_length_as_a_signature(signature: bytes) -> None:
    for key in (KEYS[0], KEYS[NAMES.index("Ed25519")]):
        with pytest.raises(Rejected) as error:
            key.public.verify(signature, b"data")
        assert error.value.code == "signature_invalid"


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80))
def test_agreement_with_any_32_bytes(raw: bytes, point: bytes) -> None:
    with suppress(SafeconductError):
        assert len(AGREEMENT[1].exchange(AgreementPublicKey.from_raw(raw, "X25519"))) == 32
    key_or_refusal(lambda data: AgreementPublicKey.from_raw(data, "P-256"), point)
