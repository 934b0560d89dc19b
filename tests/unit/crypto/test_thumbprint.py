"""Thumbprints equal the published ones and those of another implementation (RFC 7638, RFC 9679, RFC 9964)."""

import hashlib

import pytest
from joserfc import jwk as oracle

from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import b64, cbor
from safeconduct.errors import Unsupported

NAMES = ("ES256", "ES384", "ES512", "Ed25519", "Ed448")
RFC_9679 = {
    1: 2,
    -1: 1,
    -2: bytes.fromhex("65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d"),
    -3: bytes.fromhex("1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c"),
    2: bytes.fromhex("496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec"),
}


def test_rfc_9679_example() -> None:
    assert PublicKey.from_cose_key(RFC_9679).cose_thumbprint() == RFC_9679[2]


def test_a_compressed_point_has_the_thumbprint_of_the_uncompressed_one() -> None:
    compressed = {**RFC_9679, -3: False}
    assert PublicKey.from_cose_key(compressed).cose_thumbprint() == RFC_9679[2]


def test_rfc_8037_a_3_example() -> None:
    members = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    thumbprint = PublicKey.from_jwk(members).jwk_thumbprint()
    assert b64.encode(thumbprint) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_rfc_9964_example_of_the_all_zero_seed() -> None:
    public = Key.from_raw(bytes(32), "ML-DSA-44").public
    assert b64.encode(public.jwk_thumbprint()) == "T4xl70S7MT6Zeq6r9V9fPJGVn76wfnXJ21-gyo0Gu6o"
    assert (
        public.cose_thumbprint().hex() == "b8969ab4b37da9f0684e42647eb8a0be8b5b661ebf5d76f0583bf5b8d3a8059a"
    )


@pytest.mark.parametrize("name", NAMES)
def test_jwk_thumbprints_equal_those_of_joserfc(name: str) -> None:
    public = Key.generate(name, kid="not hashed").public
    expected = oracle.import_key(public.to_jwk()).thumbprint()
    assert b64.encode(public.jwk_thumbprint()) == expected


@pytest.mark.parametrize("curve", ["P-256", "X25519"])
def test_thumbprints_of_agreement_keys_equal_those_of_joserfc(curve: str) -> None:
    public = AgreementKey.generate(curve, kid="not hashed").public
    expected = oracle.import_key(public.to_jwk()).thumbprint()
    assert b64.encode(public.jwk_thumbprint()) == expected


@pytest.mark.parametrize("name", [*NAMES, "ML-DSA-44", "ML-DSA-87"])
@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
def test_cose_thumbprints_hash_the_required_members_only(name: str, hash_name: str) -> None:
    public = Key.generate(name).public
    required = cbor.dumps(public.to_cose_key())
    named = public.with_kid(b"not hashed")
    assert named.cose_thumbprint(hash_name) == hashlib.new(hash_name, required).digest()


@pytest.mark.parametrize("hash_name", ["sha1", "md5", "SHA-256", "", "shake_128"])
def test_other_hashes_are_unsupported(hash_name: str) -> None:
    public = Key.generate("Ed25519").public
    for make in (public.jwk_thumbprint, public.cose_thumbprint):
        with pytest.raises(Unsupported) as error:
            make(hash_name)
        assert error.value.code == "hash_unsupported"
