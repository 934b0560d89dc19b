"""PEM and DER keys: PKCS#8 of both versions, SEC 1, passphrases; nothing loose, nothing unbounded."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519

from safeconduct import limits
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.errors import Malformed, Rejected, Unsupported

NAMES = ("ES256", "ES384", "ES512", "Ed25519", "Ed448", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87")
KEYS = {name: Key.generate(name) for name in NAMES}


def element(tag: int, body: bytes) -> bytes:
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    octets = len(body).to_bytes(1 if len(body) < 0x100 else 2, "big")
    return bytes([tag, 0x80 + len(octets)]) + octets + body


def armour(der: bytes, label: str = "PRIVATE KEY") -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


def der_of(key: Key) -> bytes:
    return base64.b64decode("".join(key.to_pem(private=True).splitlines()[1:-1]))


def parts_of(key: Key) -> bytes:
    """The algorithm and the private key of a PKCS#8 of version 1, without its version."""
    der = der_of(key)
    return der[der.index(b"\x02\x01\x00") + 3 :]


def version_2(key: Key, public: bytes, *, attributes: bytes = b"") -> bytes:
    return element(0x30, b"\x02\x01\x01" + parts_of(key) + attributes + element(0x81, b"\x00" + public))


@pytest.mark.parametrize("name", NAMES)
def test_a_version_2_key_with_its_own_public_key_is_read(name: str) -> None:
    key = KEYS[name]
    der = version_2(key, key.public.to_raw())
    assert Key.from_der(der).public == key.public
    assert Key.from_pem(armour(der)).public == key.public


def test_a_version_2_key_may_carry_attributes_or_no_public_key() -> None:
    key = KEYS["ES256"]
    attributes = element(0xA0, element(0x30, b"\x06\x01\x2a\x31\x00"))
    assert Key.from_der(version_2(key, key.public.to_raw(), attributes=attributes)).public == key.public
    assert Key.from_der(element(0x30, b"\x02\x01\x01" + parts_of(key))).public == key.public


@pytest.mark.parametrize("name", NAMES)
def test_a_version_2_key_with_anothers_public_key_is_refused(name: str) -> None:
    with pytest.raises(Rejected) as error:
        Key.from_der(version_2(KEYS[name], Key.generate(name).public.to_raw()))
    assert error.value.code == "key_pair_mismatch"


def broken_version_2() -> list[bytes]:
    key = KEYS["Ed25519"]
    good = version_2(key, key.public.to_raw())
    parts, public = parts_of(key), element(0x81, b"\x00" + key.public.to_raw())
    start = b"\x02\x01\x01"
    return [
        good + b"\x00",
        good[:-1],
        good[:20],
        good[:4],
        b"\x30\x80" + good[2:],
        b"\x30\x81" + good[1:],
        b"\x30\x82\x00" + good[1:],
        b"\x30\x84\x00\x00\x00" + good[1:],
        element(0x30, start + parts + public + public),
        element(0x30, start + parts + public + element(0xA0, b"")),
        element(0x30, start + parts + element(0xA1, b"\x00" + key.public.to_raw())),
        element(0x30, start + parts + element(0x81, b"\x01" + key.public.to_raw())),
        element(0x30, start + parts + element(0x81, b"")),
        element(0x30, start + element(0x30, b"")),
        element(0x30, start + parts + b"\x81"),
        element(0x30, start + b"\x30\x7f"),
    ]


@pytest.mark.parametrize("der", broken_version_2(), ids=range(16))
def test_a_broken_version_2_key_is_malformed(der: bytes) -> None:
    with pytest.raises(Malformed) as error:
        Key.from_der(der)
    assert error.value.code == "key_malformed"


@pytest.mark.parametrize("name", ["ES256", "ES384", "ES512"])
def test_a_sec_1_key_is_read(name: str) -> None:
    key = KEYS[name]
    handle = serialization.load_der_private_key(der_of(key), None)
    for encoding, read in (
        (serialization.Encoding.PEM, Key.from_pem),
        (serialization.Encoding.DER, Key.from_der),
    ):
        data = handle.private_bytes(
            encoding, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        assert read(data).public == key.public


def test_a_sec_1_key_may_follow_its_parameters() -> None:
    key = KEYS["ES256"]
    handle = serialization.load_der_private_key(der_of(key), None)
    text = handle.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    parameters = armour(bytes.fromhex("06082a8648ce3d030107"), "EC PARAMETERS")
    assert Key.from_pem(parameters + text).public == key.public


def test_a_public_key_inside_the_private_one_must_match() -> None:
    other = KEYS["ES256"].public.to_raw()
    key = Key.generate("ES256")
    with pytest.raises(Malformed) as error:
        Key.from_der(der_of(key).replace(key.public.to_raw(), other))
    assert error.value.code == "key_malformed"


@pytest.mark.parametrize("password", [None, b"wrong"])
def test_an_encrypted_key_needs_its_passphrase(password: bytes | None) -> None:
    text = KEYS["ES256"].to_pem(private=True, password=b"right")
    assert "ENCRYPTED" in text
    assert Key.from_pem(text, password=b"right").public == KEYS["ES256"].public
    with pytest.raises(Rejected) as error:
        Key.from_pem(text, password=password)
    assert error.value.code == "key_password_wrong"


def test_a_passphrase_for_a_plain_key_is_refused() -> None:
    with pytest.raises(Rejected) as error:
        Key.from_pem(KEYS["ES256"].to_pem(private=True), password=b"needless")
    assert error.value.code == "key_password_wrong"


@pytest.mark.parametrize("name", NAMES)
def test_a_private_key_file_is_no_public_one(name: str) -> None:
    with pytest.raises(Rejected) as error:
        PublicKey.from_pem(KEYS[name].to_pem(private=True))
    assert error.value.code == "private_key_where_public_expected"


@pytest.mark.parametrize("name", NAMES)
def test_a_public_key_file_is_no_private_one(name: str) -> None:
    for read, data in (
        (Key.from_pem, KEYS[name].public.to_pem()),
        (Key.from_der, KEYS[name].public.to_der()),
    ):
        with pytest.raises(Malformed) as error:
            read(data)
        assert error.value.code == "key_malformed"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "key",
        "kéy",
        "\ud800",
        armour(b""),
        armour(b"\x30\x00"),
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAA\n-----END PRIVATE KEY-----\n",
        KEYS["ES256"].to_pem(private=True) + KEYS["ES384"].to_pem(private=True),
        armour(der_of(KEYS["ES256"]) + b"\x00"),
        armour(der_of(KEYS["ES256"]), "PUBLIC KEY"),
        armour(der_of(KEYS["ES256"]), "CERTIFICATE"),
    ],
)
def test_what_is_no_private_key_file_is_malformed(text: str) -> None:
    with pytest.raises(Malformed) as error:
        Key.from_pem(text)
    assert error.value.code == "key_malformed"


@pytest.mark.parametrize("curve", [b"\x06\x03\x2b\x65\x70", b"\x06\x03\x2b\x65\x71"])
@pytest.mark.parametrize("length", [0, 31, 33, 56, 58])
def test_an_edwards_key_of_a_wrong_length_is_malformed(curve: bytes, length: int) -> None:
    secret = bytes([4, length + 2, 4, length]) + bytes(length)
    body = b"\x02\x01\x00" + bytes([0x30, len(curve)]) + curve + secret

    with pytest.raises(Malformed) as error:
        Key.from_der(bytes([0x30, len(body)]) + body)

    assert error.value.code == "key_malformed"


def test_a_file_longer_than_any_key_is_not_parsed() -> None:
    padding = "\n" * limits.KEY_BYTES
    public, private = KEYS["ES256"].public.to_pem(), KEYS["ES256"].to_pem(private=True)
    for read, data in (
        (Key.from_pem, private + padding),
        (PublicKey.from_pem, public + padding),
        (Key.from_der, bytes(limits.KEY_BYTES + 1)),
        (PublicKey.from_der, bytes(limits.KEY_BYTES + 1)),
    ):
        with pytest.raises(Malformed) as error:
            read(data)  # type: ignore[operator]
        assert error.value.code == "key_malformed"


FOREIGN = [
    rsa.generate_private_key(65537, 2048),
    ec.generate_private_key(ec.SECP256K1()),
    ec.generate_private_key(ec.SECP224R1()),
    x25519.X25519PrivateKey.generate(),
    dsa.generate_private_key(2048),
]


@pytest.mark.parametrize("handle", FOREIGN, ids=["rsa", "secp256k1", "p224", "x25519", "dsa"])
def test_keys_of_other_types_are_unsupported(handle: rsa.RSAPrivateKey) -> None:
    private = handle.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = handle.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for read, data in ((Key.from_pem, private), (PublicKey.from_pem, public)):
        with pytest.raises(Unsupported) as error:
            read(data)  # type: ignore[operator]
        assert error.value.code == "key_unsupported"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("sd-cwt/interop/shipping_manifest4/issuer_priv.pem", "Ed25519"),
        ("sd-cwt/draft-08/issuer_privkey.pem", "ES384"),
        ("sd-cwt/draft-08/holder_privkey.pem", "ES256"),
        ("sd-cwt/draft-main/issuer_privkey.pem", "ES384"),
        ("sd-cwt/draft-main/holder_privkey.pem", "ES256"),
    ],
)
def test_published_private_keys_sign_and_verify(vectors: Path, path: str, name: str) -> None:
    key = Key.from_pem((vectors / path).read_bytes())
    assert key.algorithm.name == name
    key.public.verify(key.sign(b"data"), b"data")


def test_the_published_holder_public_key_is_that_of_the_private_one(vectors: Path) -> None:
    public = PublicKey.from_pem((vectors / "sd-cwt/interop/shipping_manifest4/holder_pub.pem").read_text())
    assert public == Key.from_pem((vectors / "sd-cwt/draft-main/holder_privkey.pem").read_text()).public
