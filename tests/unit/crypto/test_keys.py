"""Every algorithm signs and verifies, in every written form of its keys; secrets stay out of sight."""

import copy
import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from safeconduct.crypto.algorithms import ALGORITHMS
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import b64
from safeconduct.errors import Rejected, SafeconductError, Unsupported

NAMES = [algorithm.name for algorithm in ALGORITHMS]
KEYS = {name: Key.generate(name, kid="key-1") for name in NAMES}
DATA = b"signed bytes"

# RFC 6979 A.2.5, A.2.6, A.2.7: the curve's key, the message "sample", the hash that belongs to the curve.
RFC_6979 = [
    (
        "ES256",
        "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    ),
    (
        "ES384",
        "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
        "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c"
        "81a648152e44acf96e36dd1e80fabe46"
        "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94f"
        "a329c145786e679e7b82c71a38628ac8",
    ),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_key_is_a_signer_and_its_public_half_verifies(name: str) -> None:
    key = KEYS[name]
    signature = key.sign(DATA)
    assert isinstance(key, Signer)
    assert key.algorithm.name == key.public.algorithm.name == name
    assert len(signature) == key.algorithm.signature_bytes
    key.public.verify(signature, DATA)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_form_gives_the_same_key_again(name: str) -> None:
    public = KEYS[name].public
    copies = [
        PublicKey.from_pem(public.to_pem()),
        PublicKey.from_pem(public.to_pem().encode()),
        PublicKey.from_der(public.to_der()),
        PublicKey.from_jwk(public.to_jwk()),
        PublicKey.from_cose_key(public.to_cose_key()),
        PublicKey.from_raw(public.to_raw(), name),
    ]
    signature = KEYS[name].sign(DATA)
    for read in copies:
        assert read == public
        assert hash(read) == hash(public)
        read.verify(signature, DATA)


@pytest.mark.parametrize("name", NAMES)
def test_every_private_form_gives_the_same_key_again(name: str) -> None:
    key = KEYS[name]
    copies = [
        Key.from_pem(key.to_pem(private=True)),
        Key.from_pem(key.to_pem(private=True, password=b"open sesame"), password=b"open sesame"),
        Key.from_jwk(key.to_jwk(private=True)),
        Key.from_cose_key(key.to_cose_key(private=True)),
        Key.from_raw(key.to_raw(private=True), name),
    ]
    for read in copies:
        assert read.public == key.public
        key.public.verify(read.sign(DATA), DATA)


@pytest.mark.parametrize("name", NAMES)
def test_algorithm_and_key_identifier_travel_with_a_cose_key(name: str) -> None:
    read = PublicKey.from_cose_key(KEYS[name].public.to_cose_key())
    assert (read.algorithm.name, read.kid) == (name, b"key-1")


@pytest.mark.parametrize("name", NAMES)
def test_algorithm_and_key_identifier_travel_with_a_jwk(name: str) -> None:
    read = PublicKey.from_jwk(KEYS[name].public.to_jwk())
    assert (read.algorithm.jose, read.kid) == (KEYS[name].algorithm.jose, "key-1")


@pytest.mark.parametrize("name", NAMES)
def test_a_signature_for_other_data_or_of_another_key_is_refused(name: str) -> None:
    key = KEYS[name]
    signature = key.sign(DATA)
    for public, data in ((key.public, DATA + b"."), (Key.generate(name).public, DATA)):
        with pytest.raises(Rejected) as error:
            public.verify(signature, data)
        assert error.value.code == "signature_invalid"


@pytest.mark.parametrize("name", NAMES)
def test_a_signature_of_another_length_is_refused(name: str) -> None:
    key = KEYS[name]
    signature = key.sign(DATA)
    for wrong in (b"", signature[:-1], signature + b"\x00", b"\x00" + signature, signature * 2):
        with pytest.raises(Rejected) as error:
            key.public.verify(wrong, DATA)
        assert error.value.code == "signature_invalid"


@pytest.mark.parametrize("name", ["ES256", "ES384", "ES512"])
def test_a_der_signature_is_not_taken_for_a_raw_one(name: str) -> None:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    signature = KEYS[name].sign(DATA)
    half = len(signature) // 2
    der = encode_dss_signature(
        int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    )
    with pytest.raises(Rejected) as error:
        KEYS[name].public.verify(der, DATA)
    assert error.value.code == "signature_invalid"


@pytest.mark.parametrize("name", ["ES256", "ES384", "ES512"])
@pytest.mark.parametrize(("r", "s"), [(0, 0), (0, 1), (1, 0), (1, 1), (-1, -1)])
def test_degenerate_ecdsa_signatures_are_refused(name: str, r: int, s: int) -> None:
    size = KEYS[name].algorithm.signature_bytes // 2
    parts = [(value % 256**size).to_bytes(size, "big") for value in (r, s)]
    with pytest.raises(Rejected) as error:
        KEYS[name].public.verify(b"".join(parts), DATA)
    assert error.value.code == "signature_invalid"


def test_an_ed25519_signature_with_an_unreduced_scalar_is_refused() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    signature = KEYS["Ed25519"].sign(DATA)
    scalar = int.from_bytes(signature[32:], "little") + order
    with pytest.raises(Rejected) as error:
        KEYS["Ed25519"].public.verify(signature[:32] + scalar.to_bytes(32, "little"), DATA)
    assert error.value.code == "signature_invalid"


@given(st.sampled_from(NAMES), st.integers(min_value=0), st.integers(1, 255))
def test_a_flipped_byte_anywhere_breaks_the_signature(name: str, position: int, mask: int) -> None:
    key = KEYS[name]
    signature = bytearray(key.sign(DATA))
    signature[position % len(signature)] ^= mask
    with pytest.raises(Rejected) as error:
        key.public.verify(bytes(signature), DATA)
    assert error.value.code == "signature_invalid"


@pytest.mark.parametrize(("name", "scalar", "signature"), RFC_6979)
def test_deterministic_signatures_are_those_of_rfc_6979(name: str, scalar: str, signature: str) -> None:
    key = Key.from_raw(bytes.fromhex(scalar), name).deterministic()
    assert key.sign(b"sample").hex() == signature
    key.public.verify(bytes.fromhex(signature), b"sample")


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("ML-DSA")])
def test_a_deterministic_key_signs_the_same_way_each_time(name: str) -> None:
    key = KEYS[name].deterministic()
    renamed = key.with_kid("other").with_algorithm(name)
    assert key.sign(DATA) == key.sign(DATA) == renamed.sign(DATA)
    key.public.verify(key.sign(DATA), DATA)


def test_ordinary_ecdsa_signatures_are_randomised() -> None:
    assert KEYS["ES256"].sign(DATA) != KEYS["ES256"].sign(DATA)


def test_ml_dsa_does_not_claim_to_be_deterministic() -> None:
    with pytest.raises(Unsupported) as error:
        KEYS["ML-DSA-44"].deterministic()
    assert error.value.code == "deterministic_unsupported"


def test_rfc_8037_a_4_signature() -> None:
    key = Key.from_jwk(
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        }
    )
    data = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    assert b64.encode(key.sign(data)) == (
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )


def test_rfc_7515_a_3_signature() -> None:
    public = PublicKey.from_jwk(
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }
    )
    data = (
        b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        b"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    )
    signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    public.verify(b64.decode(signature), data)


def test_equality_is_that_of_the_key_material_alone() -> None:
    public = KEYS["ES256"].public
    assert public == public.with_kid(None) == public.with_algorithm("ESP256")
    assert len({public, public.with_kid("x"), KEYS["ES384"].public}) == 2
    assert public != KEYS["ESP256"].public
    assert public != public.to_raw()


def test_another_key_identifier_or_algorithm_makes_another_object() -> None:
    public = KEYS["ES256"].public
    assert (public.with_kid(b"\x01").kid, public.kid) == (b"\x01", "key-1")
    assert (public.with_algorithm("ESP256").algorithm.cose, public.algorithm.cose) == (-9, -7)
    assert KEYS["Ed448"].with_algorithm("EdDSA").algorithm.signature_bytes == 114
    assert KEYS["ES256"].with_kid("x").kid == KEYS["ES256"].with_kid("x").public.kid == "x"


@pytest.mark.parametrize("name", NAMES)
def test_an_algorithm_that_does_not_fit_the_key_is_refused(name: str) -> None:
    other = "ES256" if "256" not in name else "ES384"
    for bind in (KEYS[name].with_algorithm, KEYS[name].public.with_algorithm):
        with pytest.raises(Unsupported) as error:
            bind(other)
        assert error.value.code == "key_unsupported"


@pytest.mark.parametrize("name", ["HS256", "none", "RS256", ""])
def test_a_key_for_an_unknown_algorithm_is_not_made(name: str) -> None:
    for make in (Key.generate, lambda name: Key.from_raw(bytes(32), name)):
        with pytest.raises(Unsupported) as error:
            make(name)
        assert error.value.code == "algorithm_unsupported"


@pytest.mark.parametrize("name", NAMES)
def test_raw_keys_have_exact_lengths(name: str) -> None:
    key = KEYS[name]
    for data, read in ((key.public.to_raw(), PublicKey.from_raw), (key.to_raw(private=True), Key.from_raw)):
        for wrong in (b"", data[:-1], data + b"\x00"):
            with pytest.raises(SafeconductError) as error:
                read(wrong, name)
            assert error.value.code == "key_malformed"


@pytest.mark.parametrize("name", ["ES256", "ES384", "ES512"])
def test_scalars_outside_the_group_are_refused(name: str) -> None:
    size = len(KEYS[name].to_raw(private=True))
    for wrong in (bytes(size), b"\xff" * size):
        with pytest.raises(SafeconductError) as error:
            Key.from_raw(wrong, name)
        assert error.value.code == "key_malformed"


@pytest.mark.parametrize("name", ["ES256", "ES384", "ES512"])
def test_points_off_the_curve_or_compressed_are_refused(name: str) -> None:
    raw = KEYS[name].public.to_raw()
    size = len(raw) // 2
    wrong_points = [
        raw[:-1] + bytes([raw[-1] ^ 1]),
        b"\x04" + bytes(2 * size),
        b"\x04" + b"\xff" * (2 * size),
        b"\x06" + raw[1:],
        b"\x00" * len(raw),
        b"\x02" + raw[1 : 1 + size],
    ]
    for wrong in wrong_points:
        with pytest.raises(SafeconductError) as error:
            PublicKey.from_raw(wrong, name)
        assert error.value.code == "key_malformed"


@pytest.mark.parametrize("name", NAMES)
def test_a_private_key_does_not_show_its_secret(name: str) -> None:
    key = KEYS[name]
    secret = key.to_raw(private=True)
    shown = f"{key!r} {key} {key.public!r} {[key]}"
    assert secret.hex() not in shown
    assert b64.encode(secret) not in shown
    assert str(int.from_bytes(secret, "big")) not in shown


def test_a_private_key_is_neither_pickled_nor_copied() -> None:
    for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            duplicate(KEYS["ES256"])


def test_writing_a_private_key_has_to_be_asked_for() -> None:
    key = KEYS["ES256"]
    for write in (key.to_pem, key.to_jwk, key.to_cose_key, key.to_raw):
        with pytest.raises(TypeError):
            write()  # type: ignore[operator]
        with pytest.raises(ValueError, match="private=True"):
            write(private=False)  # type: ignore[operator]


def test_keys_cannot_be_given_new_attributes() -> None:
    for key in (KEYS["ES256"], KEYS["ES256"].public):
        with pytest.raises(AttributeError):
            key.kid = "other"  # type: ignore[misc]
        with pytest.raises(AttributeError):
            key.note = "other"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["ES256", "ES384", "ES512"])
def test_ecdsa_numbers_of_every_length_are_handed_on_as_der(name: str) -> None:
    key = Key.generate(name).public
    half = key.algorithm.signature_bytes // 2
    numbers = [0, 1, 0x7F, 0x80, 0xFF, 0x100, 1 << (8 * half - 9), 1 << (8 * half - 1), (1 << 8 * half) - 1]
    seen: list[bytes] = []

    class Recording:
        def verify(self, signature: bytes, _data: bytes, _algorithm: object) -> None:
            seen.append(signature)

    recording = PublicKey(key._kind, key.to_raw(), handle=Recording(), algorithm=key.algorithm, kid=None)
    for r in numbers:
        for s in numbers:
            recording.verify(r.to_bytes(half, "big") + s.to_bytes(half, "big"), b"")
            assert seen.pop() == encode_dss_signature(r, s)
            with pytest.raises(Rejected):
                key.verify(r.to_bytes(half, "big") + s.to_bytes(half, "big"), b"data")
