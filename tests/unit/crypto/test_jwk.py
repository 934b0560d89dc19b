"""JSON Web Keys are read strictly and for one purpose (RFC 7517, RFC 7518 §6, RFC 8037, RFC 9964)."""

from typing import Any

import pytest

from safeconduct import limits
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported

NAMES = ("ES256", "ES384", "ES512", "Ed25519", "Ed448", "ML-DSA-44")
KEYS = {name: Key.generate(name) for name in NAMES}
P256 = KEYS["ES256"].public.to_jwk()
OKP = KEYS["Ed25519"].public.to_jwk()
AKP = KEYS["ML-DSA-44"].public.to_jwk()


def without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}


def test_a_public_jwk_has_the_members_of_its_type() -> None:
    assert set(P256) == {"kty", "crv", "x", "y", "alg"}
    assert set(OKP) == {"kty", "crv", "x", "alg"}
    assert set(AKP) == {"kty", "alg", "pub"}
    assert (P256["kty"], P256["crv"], P256["alg"]) == ("EC", "P-256", "ES256")
    assert (OKP["kty"], OKP["crv"], OKP["alg"]) == ("OKP", "Ed25519", "Ed25519")
    assert (AKP["kty"], AKP["alg"]) == ("AKP", "ML-DSA-44")


def test_fully_specified_cose_names_become_their_jose_names() -> None:
    assert KEYS["ES256"].with_algorithm("ESP256").public.to_jwk()["alg"] == "ES256"
    assert KEYS["Ed448"].with_algorithm("EdDSA").public.to_jwk()["alg"] == "EdDSA"


@pytest.mark.parametrize(("kid", "text"), [("k", "k"), (b"k", "k"), (b"\xff\x00", "_wA")])
def test_a_key_identifier_becomes_text(kid: str | bytes, text: str) -> None:
    assert KEYS["ES256"].public.with_kid(kid).to_jwk()["kid"] == text


@pytest.mark.parametrize("name", NAMES)
def test_a_key_survives_its_json_encoding(name: str) -> None:
    decoded = json.loads_object(json.dumps(KEYS[name].public.to_jwk()))
    assert PublicKey.from_jwk(decoded) == KEYS[name].public


@pytest.mark.parametrize("extra", [{}, {"use": "sig"}, {"key_ops": ["verify"]}, {"x5t": "abc", "note": 1}])
def test_the_right_use_and_unknown_members_are_accepted(extra: dict[str, Any]) -> None:
    assert PublicKey.from_jwk({**P256, **extra}) == KEYS["ES256"].public


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_both_names_of_ed25519_are_read(alg: str) -> None:
    assert PublicKey.from_jwk({**OKP, "alg": alg}).algorithm.name == alg


MALFORMED: list[Any] = [
    None,
    [],
    "key",
    {},
    {"kty": None},
    {"kty": 2},
    {"kty": "EC"},
    {"kty": "OKP", "x": OKP["x"]},
    {"kty": "AKP", "pub": AKP["pub"]},
    without(P256, "x"),
    without(P256, "y"),
    without(OKP, "x"),
    without(AKP, "pub"),
    {**P256, "crv": 1},
    {**P256, "x": 7},
    {**P256, "x": None},
    {**P256, "x": P256["x"] + "="},
    {**P256, "x": "+" + P256["x"][1:]},
    {**P256, "x": P256["x"] + "A"},
    {**P256, "x": b64.encode(b64.decode(P256["x"])[1:])},
    {**P256, "x": b64.encode(b"\x00" + b64.decode(P256["x"]))},
    {
        **P256,
        "x": b64.encode(b64.decode(P256["x"])[1:]),
        "y": b64.encode(b"\x00" + b64.decode(P256["y"])),
    },
    {**P256, "y": P256["x"]},
    {**P256, "y": ""},
    {**P256, "x": "A" * 100_000},
    {**P256, "alg": 7},
    {**P256, "alg": None},
    {**P256, "kid": 7},
    {**P256, "kid": None},
    {**P256, "use": 7},
    {**P256, "use": None},
    {**P256, "key_ops": "verify"},
    {**P256, "key_ops": [2]},
    {**P256, "key_ops": None},
    {**P256, "key_ops": ["verify", "verify"]},
    {**OKP, "x": OKP["x"][:-2]},
    {**AKP, "pub": AKP["pub"][:-4]},
    {**AKP, "alg": "ML-DSA-65"},
]


@pytest.mark.parametrize("members", MALFORMED, ids=range(len(MALFORMED)))
def test_a_broken_jwk_is_malformed(members: Any) -> None:
    with pytest.raises(Malformed) as error:
        PublicKey.from_jwk(members)
    assert error.value.code == "key_malformed"


UNSUPPORTED = [
    {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    {"kty": "ec", **without(P256, "kty")},
    {"kty": "oct"},
    {**P256, "crv": "secp256k1"},
    {**P256, "crv": "Ed25519"},
    {**OKP, "crv": "P-256"},
    {**without(OKP, "alg"), "crv": "X25519"},
    {**OKP, "crv": "X448"},
    {**P256, "alg": "ES384"},
    {**P256, "alg": "ESP256"},
    {**P256, "alg": "EdDSA"},
    {**P256, "alg": "none"},
    {**P256, "alg": "HS256"},
    {**P256, "alg": "ECDH-ES"},
    {**OKP, "alg": "Ed448"},
    {**AKP, "alg": "ES256"},
]


@pytest.mark.parametrize("members", UNSUPPORTED, ids=range(len(UNSUPPORTED)))
def test_a_legal_but_unusable_jwk_is_unsupported(members: dict[str, Any]) -> None:
    with pytest.raises(Unsupported) as error:
        PublicKey.from_jwk(members)
    assert error.value.code == "key_unsupported"


@pytest.mark.parametrize("name", NAMES)
def test_a_private_jwk_is_refused_as_a_public_one(name: str) -> None:
    with pytest.raises(Rejected) as error:
        PublicKey.from_jwk(KEYS[name].to_jwk(private=True))
    assert error.value.code == "private_key_where_public_expected"


@pytest.mark.parametrize("member", ["d", "priv", "seed", "k", "p", "oth"])
def test_any_private_member_is_refused_even_if_it_means_nothing(member: str) -> None:
    with pytest.raises(Rejected) as error:
        PublicKey.from_jwk({**OKP, member: None})
    assert error.value.code == "private_key_where_public_expected"


@pytest.mark.parametrize("extra", [{"use": "enc"}, {"use": ""}, {"key_ops": []}, {"key_ops": ["sign"]}])
def test_a_key_for_another_use_does_not_verify(extra: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as error:
        PublicKey.from_jwk({**P256, **extra})
    assert error.value.code == "key_use_mismatch"


@pytest.mark.parametrize("extra", [{"use": "enc"}, {"key_ops": ["verify"]}, {"key_ops": ["deriveBits"]}])
def test_a_key_for_another_use_does_not_sign(extra: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as error:
        Key.from_jwk({**KEYS["ES256"].to_jwk(private=True), **extra})
    assert error.value.code == "key_use_mismatch"


def test_an_encryption_key_does_not_verify_signatures() -> None:
    with pytest.raises(Rejected) as error:
        PublicKey.from_jwk(AgreementKey.generate("P-256").public.to_jwk())
    assert error.value.code == "key_use_mismatch"


@pytest.mark.parametrize("name", NAMES)
def test_a_private_jwk_with_anothers_public_part_is_refused(name: str) -> None:
    mixed = {**KEYS[name].to_jwk(private=True), **Key.generate(name).public.to_jwk()}
    with pytest.raises(Rejected) as error:
        Key.from_jwk(mixed)
    assert error.value.code == "key_pair_mismatch"


@pytest.mark.parametrize("name", NAMES)
def test_a_private_jwk_needs_its_public_part(name: str) -> None:
    private = KEYS[name].to_jwk(private=True)
    for missing in ("x", "pub", "d", "priv"):
        if missing in private:
            with pytest.raises(SafeconductError) as error:
                Key.from_jwk(without(private, missing))
            assert error.value.code == "key_malformed"


@pytest.mark.parametrize("extra", [0, 1])
def test_a_part_longer_than_any_key_s_is_not_decoded(monkeypatch: pytest.MonkeyPatch, extra: int) -> None:
    decoded: list[bytes] = []
    decode = b64.decode

    def watched(text: str, *, max_bytes: int) -> bytes:
        decoded.append(decode(text, max_bytes=max_bytes))
        return decoded[-1]

    monkeypatch.setattr(b64, "decode", watched)
    part = b64.encode(bytes(limits.JWK_MEMBER_BYTES + extra))
    with pytest.raises(Malformed) as error:
        PublicKey.from_jwk({"kty": "OKP", "crv": "Ed25519", "x": part})
    assert error.value.code == "key_malformed"
    assert len(decoded) == 1 - extra
