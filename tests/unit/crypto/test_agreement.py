"""Agreement keys agree, and only with keys of their own kind (RFC 7518 §4.6, RFC 8037 §3.2)."""

import pickle
from typing import Any

import pytest

from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported

CURVES = ("P-256", "X25519")
KEYS = {curve: AgreementKey.generate(curve, kid="key-1") for curve in CURVES}
P256 = KEYS["P-256"].public.to_jwk()
X25519 = KEYS["X25519"].public.to_jwk()

# RFC 7748 §5.2 and §7: points whose multiples give the all-zero secret.
SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
]


@pytest.mark.parametrize("curve", CURVES)
def test_both_sides_get_the_same_secret(curve: str) -> None:
    one, two = KEYS[curve], AgreementKey.generate(curve)
    assert one.exchange(two.public) == two.exchange(one.public)
    assert len(one.exchange(two.public)) == 32
    assert one.exchange(two.public) != one.exchange(AgreementKey.generate(curve).public)


def test_rfc_7748_6_1_shared_secret() -> None:
    secret = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    alice = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    bob = AgreementKey.from_raw(secret, "X25519")
    assert bob.public.to_raw().hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    shared = bob.exchange(AgreementPublicKey.from_raw(alice, "X25519"))
    assert shared.hex() == "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"


def test_rfc_7518_appendix_c_shared_secret() -> None:
    alice = AgreementKey.from_jwk(
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
            "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
            "d": "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo",
        }
    )
    bob = AgreementPublicKey.from_jwk(
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
            "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
        }
    )
    expected = "9e56d91d817135d372834283bf84269cfb316ea3da806a48f6daa7798cfe90c4"
    assert alice.exchange(bob).hex() == expected


@pytest.mark.parametrize("curve", CURVES)
def test_every_form_gives_the_same_key_again(curve: str) -> None:
    key, peer = KEYS[curve], AgreementKey.generate(curve)
    secret = key.exchange(peer.public)
    for read in (
        AgreementKey.from_jwk(key.to_jwk(private=True)),
        AgreementKey.from_raw(key.to_raw(private=True), curve),
    ):
        assert read.exchange(peer.public) == secret
        assert read.public == key.public
    for public in (
        AgreementPublicKey.from_jwk(key.public.to_jwk()),
        AgreementPublicKey.from_jwk(key.public.members()),
        AgreementPublicKey.from_raw(key.public.to_raw(), curve),
    ):
        assert public == key.public
        assert hash(public) == hash(key.public)
        assert peer.exchange(public) == secret


@pytest.mark.parametrize("curve", CURVES)
def test_a_published_key_says_what_it_is_for(curve: str) -> None:
    members = KEYS[curve].public.to_jwk()
    assert (members["use"], members["alg"], members["kid"]) == ("enc", "ECDH-ES", "key-1")
    read = AgreementPublicKey.from_jwk(members)
    assert (read.curve, read.kid, read.alg) == (curve, "key-1", "ECDH-ES")
    assert KEYS[curve].with_kid("other").public.kid == KEYS[curve].with_kid("other").kid == "other"


def test_an_ephemeral_key_has_bare_members() -> None:
    assert set(KEYS["P-256"].public.members()) == {"kty", "crv", "x", "y"}
    assert set(KEYS["X25519"].public.members()) == {"kty", "crv", "x"}


@pytest.mark.parametrize("raw", SMALL_ORDER, ids=range(len(SMALL_ORDER)))
def test_the_all_zero_secret_is_refused(raw: bytes) -> None:
    with pytest.raises(Rejected) as error:
        KEYS["X25519"].exchange(AgreementPublicKey.from_raw(raw, "X25519"))
    assert error.value.code == "shared_secret_invalid"


@pytest.mark.parametrize(("mine", "other"), [("P-256", "X25519"), ("X25519", "P-256")])
def test_keys_of_two_curves_do_not_agree(mine: str, other: str) -> None:
    with pytest.raises(Rejected) as error:
        KEYS[mine].exchange(KEYS[other].public)
    assert error.value.code == "key_curve_mismatch"


MALFORMED: list[Any] = [
    None,
    {},
    {**P256, "x": None},
    {**P256, "y": P256["x"]},
    {**P256, "x": b64.encode(b64.decode(P256["x"])[1:])},
    {**X25519, "x": b64.encode(b64.decode(X25519["x"])[1:])},
    {**X25519, "x": X25519["x"] + "="},
    {**X25519, "alg": 1},
    {**X25519, "kid": 1},
]


@pytest.mark.parametrize("members", MALFORMED, ids=range(len(MALFORMED)))
def test_a_broken_jwk_is_malformed(members: Any) -> None:
    with pytest.raises(Malformed) as error:
        AgreementPublicKey.from_jwk(members)
    assert error.value.code == "key_malformed"


@pytest.mark.parametrize(
    "members",
    [
        {**P256, "alg": "ECDH-ES+A256KW"},
        {**P256, "alg": "ES256"},
        {**X25519, "crv": "X448"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {name: value for name, value in Key.generate("ES384").public.to_jwk().items() if name != "alg"},
        {name: value for name, value in Key.generate("Ed25519").public.to_jwk().items() if name != "alg"},
    ],
    ids=range(6),
)
def test_other_algorithms_and_curves_are_unsupported(members: dict[str, Any]) -> None:
    with pytest.raises(Unsupported) as error:
        AgreementPublicKey.from_jwk(members)
    assert error.value.code == "key_unsupported"


@pytest.mark.parametrize("extra", [{"use": "sig"}, {"key_ops": ["verify"]}])
def test_a_signature_key_does_not_agree(extra: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as error:
        AgreementPublicKey.from_jwk({**P256, **extra})
    assert error.value.code == "key_use_mismatch"


@pytest.mark.parametrize("operations", [[], ["deriveBits"], ["deriveKey", "deriveBits"]])
def test_operations_of_agreement_are_accepted(operations: list[str]) -> None:
    assert AgreementPublicKey.from_jwk({**P256, "key_ops": operations}) == KEYS["P-256"].public


@pytest.mark.parametrize("extra", [{"use": "sig"}, {"key_ops": []}, {"key_ops": ["sign"]}])
def test_a_private_key_for_another_use_does_not_agree(extra: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as error:
        AgreementKey.from_jwk({**KEYS["P-256"].to_jwk(private=True), **extra})
    assert error.value.code == "key_use_mismatch"


@pytest.mark.parametrize("curve", CURVES)
def test_private_keys_are_refused_as_public_ones_and_mixed_ones_at_all(curve: str) -> None:
    private = KEYS[curve].to_jwk(private=True)
    with pytest.raises(Rejected) as error:
        AgreementPublicKey.from_jwk(private)
    assert error.value.code == "private_key_where_public_expected"
    with pytest.raises(Rejected) as error:
        AgreementKey.from_jwk({**private, **AgreementKey.generate(curve).public.to_jwk()})
    assert error.value.code == "key_pair_mismatch"


@pytest.mark.parametrize("curve", CURVES)
def test_raw_keys_have_exact_lengths(curve: str) -> None:
    public, private = KEYS[curve].public.to_raw(), KEYS[curve].to_raw(private=True)
    for data, read in ((public, AgreementPublicKey.from_raw), (private, AgreementKey.from_raw)):
        for wrong in (b"", data[1:], data + b"\x00"):
            with pytest.raises(SafeconductError) as error:
                read(wrong, curve)  # type: ignore[operator]
            assert error.value.code == "key_malformed"


def test_other_curves_are_unsupported() -> None:
    for make in (AgreementKey.generate, lambda curve: AgreementKey.from_raw(bytes(48), curve)):
        with pytest.raises(Unsupported) as error:
            make("P-384")
        assert error.value.code == "key_unsupported"


@pytest.mark.parametrize("curve", CURVES)
def test_a_private_key_does_not_show_its_secret(curve: str) -> None:
    key = KEYS[curve]
    secret = key.to_raw(private=True)
    shown = f"{key!r} {key} {key.public!r}"
    assert secret.hex() not in shown
    assert b64.encode(secret) not in shown
    with pytest.raises(TypeError):
        pickle.dumps(key)
    for write in (key.to_jwk, key.to_raw):
        with pytest.raises(ValueError, match="private=True"):
            write(private=False)  # type: ignore[arg-type]
