"""A JWE opens only if all that it names is offered, and every refusal is the same refusal.

Since all refusals look alike, the forger below makes messages that would open but for what is under test.
"""

import itertools
import tracemalloc
import zlib
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from joserfc import jwe as oracle
from joserfc.jwk import ECKey, OKPKey

from safeconduct import limits
from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey
from safeconduct.encoding import b64, json
from safeconduct.envelope import jwe
from safeconduct.errors import Malformed, Rejected, Unsupported

CURVES = ["P-256", "X25519"]
ENCS = ["A128GCM", "A256GCM"]
KEYS = {curve: AgreementKey.generate(curve, kid=f"key-{curve}") for curve in CURVES}
BY_KID = {key.public.kid: key for key in KEYS.values()}
EPHEMERAL = {curve: AgreementKey.generate(curve) for curve in CURVES}
PLAINTEXT = b'{"proofs":{"jwt":["x"]}}'

# RFC 7518 appendix C
ALICE = {
    "kty": "EC",
    "crv": "P-256",
    "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
    "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
    "d": "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo",
}
BOB = {
    "kty": "EC",
    "crv": "P-256",
    "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
    "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    "d": "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw",
}
# RFC 8037 A.6, whose pairs and shared secret are those of RFC 7748 §6.1
BOB_X25519 = {
    "kty": "OKP",
    "crv": "X25519",
    "x": "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08",
    "d": b64.encode(bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")),
}
EPHEMERAL_X25519 = {
    "kty": "OKP",
    "crv": "X25519",
    "x": "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo",
    "d": "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo",
}
SHARED_X25519 = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")


def decrypt(text: str, **options: Any) -> jwe.Decrypted:
    return jwe.decrypt(text, **{"keys": BY_KID, "enc_values": ENCS, **options})


def refuse(text: str, **options: Any) -> None:
    """Asserts that the message is refused, and by exactly the error that every other one gets."""
    with pytest.raises(Rejected) as error:
        decrypt(text, **options)
    assert type(error.value) is Rejected
    assert (error.value.code, error.value.reason, error.value.rule) == (
        "jwe_rejected",
        "The encrypted message is not acceptable.",
        "RFC 7516 §11.5",
    )
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def derive(shared: bytes, enc: str, apu: bytes = b"", apv: bytes = b"") -> bytes:
    """The content key, by another implementation of the KDF."""
    bits = int(enc[1:4])
    other = sized(enc.encode()) + sized(apu) + sized(apv) + bits.to_bytes(4, "big")
    return ConcatKDFHash(hashes.SHA256(), bits // 8, other).derive(shared)


def forge(
    changes: dict[str, Any] | None = None,
    *,
    curve: str = "P-256",
    enc: str = "A256GCM",
    without: str = "",
    raw_header: bytes | None = None,
    plaintext: bytes = PLAINTEXT,
    nonce: bytes = bytes(12),
    apu: bytes = b"",
    apv: bytes = b"",
) -> str:
    """A true encryption to the key of `curve` under a header that says whatever the test wants."""
    members = header_for(curve, enc) | (changes or {})
    members.pop(without, None)
    protected = b64.encode(json.dumps(members) if raw_header is None else raw_header)
    key = derive(EPHEMERAL[curve].exchange(KEYS[curve].public), enc, apu, apv)
    sealed = AESGCM(key).encrypt(nonce, plaintext, protected.encode())
    return f"{protected}..{b64.encode(nonce)}.{b64.encode(sealed[:-16])}.{b64.encode(sealed[-16:])}"


def header_for(curve: str, enc: str = "A256GCM") -> dict[str, Any]:
    return {"alg": "ECDH-ES", "enc": enc, "kid": f"key-{curve}", "epk": epk_of(curve)}


def epk_of(curve: str) -> dict[str, Any]:
    jwk = EPHEMERAL[curve].public.to_jwk()
    return {name: jwk[name] for name in ("kty", "crv", "x", "y") if name in jwk}


class Untouchable:
    """A private key that must not be used: what is wrong is known before any computing on a curve."""

    def __init__(self, curve: str) -> None:
        self.public = KEYS[curve].public

    def exchange(self, _peer: AgreementPublicKey) -> bytes:
        raise AssertionError("a message that is not acceptable reached the private key")


UNTOUCHABLE: dict[str, Any] = {f"key-{curve}": Untouchable(curve) for curve in CURVES}


# --- published examples ---


def test_the_published_content_key_opens_what_we_encrypt() -> None:
    text = jwe.encrypt(
        b"hello",
        recipient=AgreementKey.from_jwk(BOB).public,
        enc="A128GCM",
        header={"apu": "QWxpY2U", "apv": "Qm9i"},
        ephemeral=AgreementKey.from_jwk(ALICE),
    )
    protected, _, nonce, ciphertext, tag = text.split(".")
    key = b64.decode("VqqN6vgjbSBcIijNcacQGg")
    sealed = b64.decode(ciphertext) + b64.decode(tag)
    assert AESGCM(key).decrypt(b64.decode(nonce), sealed, protected.encode()) == b"hello"
    assert json.loads(b64.decode(protected))["epk"] == {
        name: ALICE[name] for name in ("kty", "crv", "x", "y")
    }


def test_the_published_content_key_seals_what_we_decrypt() -> None:
    header = {
        "alg": "ECDH-ES",
        "enc": "A128GCM",
        "apu": "QWxpY2U",
        "apv": "Qm9i",
        "kid": "bob",
        "epk": {name: ALICE[name] for name in ("kty", "crv", "x", "y")},
    }
    protected = b64.encode(json.dumps(header))
    sealed = AESGCM(b64.decode("VqqN6vgjbSBcIijNcacQGg")).encrypt(bytes(12), b"hello", protected.encode())
    text = f"{protected}..{b64.encode(bytes(12))}.{b64.encode(sealed[:-16])}.{b64.encode(sealed[-16:])}"
    opened = jwe.decrypt(text, keys={"bob": AgreementKey.from_jwk(BOB)}, enc_values={"A128GCM"})
    assert opened.plaintext == b"hello"
    assert opened.header == header


@pytest.mark.parametrize("enc", ENCS)
def test_the_published_x25519_secret_is_agreed(enc: str) -> None:
    bob = AgreementKey.from_jwk({**BOB_X25519, "kid": "Bob"})
    text = jwe.encrypt(
        b"hello", recipient=bob.public, enc=enc, ephemeral=AgreementKey.from_jwk(EPHEMERAL_X25519)
    )
    protected, _, nonce, ciphertext, tag = text.split(".")
    assert json.loads(b64.decode(protected))["epk"] == {
        "kty": "OKP",
        "crv": "X25519",
        "x": EPHEMERAL_X25519["x"],
    }
    sealed = b64.decode(ciphertext) + b64.decode(tag)
    key = derive(SHARED_X25519, enc)
    assert AESGCM(key).decrypt(b64.decode(nonce), sealed, protected.encode()) == b"hello"
    assert jwe.decrypt(text, keys={"Bob": bob}, enc_values={enc}).plaintext == b"hello"


# --- both directions ---


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("enc", ENCS)
@pytest.mark.parametrize("plaintext", [b"", b"x", PLAINTEXT, bytes(range(256)) * 300])
def test_what_is_encrypted_decrypts(curve: str, enc: str, plaintext: bytes) -> None:
    text = jwe.encrypt(plaintext, recipient=KEYS[curve].public, enc=enc, header={"cty": "json"})
    opened = decrypt(text)
    assert opened.plaintext == plaintext
    assert {**opened.header, "epk": None} == {
        "alg": "ECDH-ES",
        "enc": enc,
        "kid": f"key-{curve}",
        "epk": None,
        "cty": "json",
    }


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("enc", ENCS)
@pytest.mark.parametrize("extra", [{}, {"apu": "QWxpY2U", "apv": "Qm9i"}, {"zip": "DEF"}])
def test_another_implementation_reads_and_writes_the_same(
    curve: str, enc: str, extra: dict[str, str]
) -> None:
    foreign = ECKey if curve == "P-256" else OKPKey
    their_key = foreign.import_key(KEYS[curve].to_jwk(private=True))
    allowed = ["ECDH-ES", enc, "DEF"]
    header = {name: value for name, value in extra.items() if name != "zip"}
    zip_ = "DEF" if "zip" in extra else None
    ours = jwe.encrypt(PLAINTEXT, recipient=KEYS[curve].public, enc=enc, header=header, zip=zip_)
    assert oracle.decrypt_compact(ours, their_key, algorithms=allowed).plaintext == PLAINTEXT
    protected = {"alg": "ECDH-ES", "enc": enc, "kid": f"key-{curve}", **extra}
    theirs = oracle.encrypt_compact(protected, PLAINTEXT, their_key, algorithms=allowed)
    assert decrypt(theirs, zip_values={"DEF"}).plaintext == PLAINTEXT


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("enc", ENCS)
def test_the_forger_makes_messages_that_open(curve: str, enc: str) -> None:
    assert decrypt(forge(curve=curve, enc=enc)).plaintext == PLAINTEXT
    assert decrypt(forge({"apu": "QQ", "apv": "Qg"}, apu=b"A", apv=b"B")).plaintext == PLAINTEXT


# --- encrypt ---


def test_the_header_names_the_recipients_key_only_if_that_has_a_name() -> None:
    nameless = AgreementKey.generate("P-256").public
    header = json.loads(b64.decode(jwe.encrypt(b"", recipient=nameless, enc="A128GCM").split(".")[0]))
    assert set(header) == {"alg", "enc", "epk"}
    assert set(header["epk"]) == {"kty", "crv", "x", "y"}


def test_each_message_has_a_key_and_a_nonce_of_its_own() -> None:
    texts = [jwe.encrypt(b"", recipient=KEYS["X25519"].public, enc="A128GCM") for _ in range(8)]
    assert len({text.split(".")[0] for text in texts}) == 8
    assert len({text.split(".")[2] for text in texts}) == 8


def test_the_callers_header_is_left_alone() -> None:
    header = {"cty": "json", "apu": "QQ"}
    jwe.encrypt(b"", recipient=KEYS["P-256"].public, enc="A128GCM", header=header)
    assert header == {"cty": "json", "apu": "QQ"}


@pytest.mark.parametrize("name", ["alg", "enc", "kid", "epk", "zip", "crit"])
def test_the_callers_header_overrides_nothing(name: str) -> None:
    with pytest.raises(ValueError, match="alg, enc"):
        jwe.encrypt(b"", recipient=KEYS["P-256"].public, enc="A128GCM", header={name: "x"})


@pytest.mark.parametrize("enc", ["A192GCM", "A128CBC-HS256", "a128gcm", "", "none"])
def test_content_encryption_that_is_not_known_is_not_made(enc: str) -> None:
    with pytest.raises(Unsupported) as error:
        jwe.encrypt(b"", recipient=KEYS["P-256"].public, enc=enc)
    assert error.value.code == "jwe_enc_unsupported"


@pytest.mark.parametrize("value", ["QQ==", "Q", "+_", 1, None, ["QQ"]])
def test_a_party_name_that_is_not_base64url_is_not_sent(value: object) -> None:
    with pytest.raises(Malformed) as error:
        jwe.encrypt(b"", recipient=KEYS["P-256"].public, enc="A128GCM", header={"apu": value})
    assert error.value.code == "base64url_malformed"


def test_another_compression_is_not_made() -> None:
    with pytest.raises(ValueError, match="zip"):
        jwe.encrypt(b"", recipient=KEYS["P-256"].public, enc="A128GCM", zip="GZ")  # type: ignore[arg-type]


def test_with_its_randomness_given_the_message_is_the_same_each_time() -> None:
    made = {
        jwe.encrypt(
            b"x", recipient=KEYS["P-256"].public, enc="A128GCM", ephemeral=EPHEMERAL["P-256"], random=bytes
        )
        for _ in range(3)
    }
    assert len(made) == 1
    assert made.pop().split(".")[2] == "A" * 16


# --- what the header names ---


@pytest.mark.parametrize(
    "alg",
    [
        "RSA1_5",
        "RSA-OAEP",
        "RSA-OAEP-256",
        "dir",
        "A128KW",
        "A256KW",
        "ECDH-ES+A128KW",
        "ECDH-ES+A256KW",
        "PBES2-HS256+A128KW",
        "A128GCMKW",
        "none",
        "ecdh-es",
        "ECDH-ES ",
        "",
        None,
        1,
        ["ECDH-ES"],
    ],
)
def test_another_key_management_algorithm_is_refused(alg: object) -> None:
    refuse(forge({"alg": alg}), keys=UNTOUCHABLE)


def test_a_key_that_is_for_another_algorithm_is_not_used() -> None:
    other = SimpleNamespace(public=SimpleNamespace(curve="P-256", alg="ECDH-ES+A128KW"))
    refuse(forge(), keys={"key-P-256": other})


@pytest.mark.parametrize("enc", ["A192GCM", "A128CBC-HS256", "a256gcm", "", None, 1, ["A256GCM"], {}])
def test_another_content_encryption_is_refused(enc: object) -> None:
    refuse(forge({"enc": enc}), keys=UNTOUCHABLE)


def test_a_content_encryption_that_was_not_offered_is_refused() -> None:
    refuse(forge(enc="A128GCM"), enc_values={"A256GCM"}, keys=UNTOUCHABLE)
    refuse(forge(enc="A256GCM"), enc_values={"A128GCM"}, keys=UNTOUCHABLE)
    refuse(forge(), enc_values=(), keys=UNTOUCHABLE)
    refuse(forge({"enc": "A192GCM"}), enc_values=["A192GCM"], keys=UNTOUCHABLE)


@pytest.mark.parametrize("kid", ["", "key-p-256", "key-P-256 ", "key", "other", None, 1, ["key-P-256"], {}])
def test_a_key_that_was_not_offered_is_refused(kid: object) -> None:
    refuse(forge({"kid": kid}), keys=UNTOUCHABLE)


def test_one_of_the_keys_must_be_named() -> None:
    refuse(forge(without="kid"), keys=UNTOUCHABLE)
    refuse(forge(without="kid"), keys={"key-P-256": KEYS["P-256"]})
    refuse(forge(), keys={})


def test_another_key_of_ours_does_not_open_the_message() -> None:
    refuse(forge(), keys={"key-P-256": AgreementKey.generate("P-256")})


@pytest.mark.parametrize("name", ["alg", "enc", "epk"])
def test_a_header_without_what_it_must_say_is_refused(name: str) -> None:
    refuse(forge(without=name), keys=UNTOUCHABLE)


@pytest.mark.parametrize("crit", [["exp"], [], None, "exp", ["zip"]])
def test_critical_extensions_are_refused(crit: object) -> None:
    refuse(forge({"crit": crit, "exp": 1}), keys=UNTOUCHABLE)


def test_unknown_members_are_ignored() -> None:
    members = {"cty": "json", "typ": "x", "x": [None], "jwk": 1, "b64": False, "iv": "x", "p2c": 2**31}
    assert decrypt(forge(members)).plaintext == PLAINTEXT


@pytest.mark.parametrize("name", ["apu", "apv"])
@pytest.mark.parametrize("value", ["QQ==", "Q", "QR", "+_", 1, None, ["QQ"], {}])
def test_a_party_name_that_is_not_base64url_is_refused(name: str, value: object) -> None:
    refuse(forge({name: value}, **{name: b"A"}), keys=UNTOUCHABLE)


def test_party_names_enter_the_key() -> None:
    refuse(forge({"apu": "QQ", "apv": "Qg"}, apu=b"B", apv=b"A"))
    refuse(forge({"apu": "QQ"}))
    refuse(forge(apu=b"A"))


def header_text(curve: str = "P-256") -> bytes:
    return json.dumps(header_for(curve))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[" + header_text() + b"]",
        header_text()[:-1],
        header_text() + b"x",
        b"\xef\xbb\xbf" + header_text(),
        header_text()[:-1] + b',"alg":"ECDH-ES"}',
        header_text()[:-1] + b',"\\u0065nc":"A256GCM"}',
        header_text().replace(b'"crv"', b'"crv":"P-256","crv"'),
        header_text()[:-1] + b',"n":NaN}',
        header_text()[:-1] + b',"n":1e999}',
        header_text()[:-1] + b',"s":"\\ud800"}',
        header_text()[:-1] + b',"s":"\xff"}',
        header_text()[:-1] + b',"d":' + b"[" * 30 + b"]" * 30 + b"}",
        header_text()[:-1] + b',"p":"' + b"x" * limits.JOSE_HEADER_BYTES + b'"}',
    ],
)
def test_a_header_that_is_not_one_strict_small_json_object_is_refused(raw: bytes) -> None:
    refuse(forge(raw_header=raw), keys=UNTOUCHABLE)


def test_a_header_spelt_otherwise_is_authenticated_as_it_came() -> None:
    raw = b" " + header_text().replace(b":", b" : ").replace(b"alg", b"\\u0061lg")
    assert decrypt(forge(raw_header=raw)).plaintext == PLAINTEXT


# --- the ephemeral key ---


@pytest.mark.parametrize(
    "epk",
    [None, "x", [], {}, {"kty": "EC"}, {"kty": "EC", "crv": "P-256"}, {"kty": "oct", "k": "AAAA"}],
)
@pytest.mark.parametrize("curve", CURVES)
def test_an_ephemeral_key_that_is_none_is_refused(curve: str, epk: object) -> None:
    refuse(forge({"epk": epk}, curve=curve), keys=UNTOUCHABLE)


@pytest.mark.parametrize(("curve", "name"), [(curve, name) for curve in CURVES for name in epk_of(curve)])
@pytest.mark.parametrize("value", [None, 1, "", "x", "AAAA", "P-256K", ["P-256"], {}])
def test_an_ephemeral_key_with_a_wrong_member_is_refused(curve: str, name: str, value: object) -> None:
    refuse(forge({"epk": {**epk_of(curve), name: value}}, curve=curve), keys=UNTOUCHABLE)
    incomplete = {member: text for member, text in epk_of(curve).items() if member != name}
    refuse(forge({"epk": incomplete}, curve=curve), keys=UNTOUCHABLE)


def test_an_ephemeral_key_on_another_curve_is_refused() -> None:
    refuse(forge({"epk": epk_of("X25519")}), keys=UNTOUCHABLE)
    refuse(forge({"epk": epk_of("P-256")}, curve="X25519"), keys=UNTOUCHABLE)
    refuse(forge({"epk": {**epk_of("P-256"), "crv": "P-384"}}), keys=UNTOUCHABLE)
    refuse(forge({"epk": {**epk_of("X25519"), "crv": "Ed25519"}}, curve="X25519"), keys=UNTOUCHABLE)
    refuse(forge({"epk": {**epk_of("X25519"), "kty": "EC"}}, curve="X25519"), keys=UNTOUCHABLE)
    refuse(forge({"epk": {**epk_of("P-256"), "kty": "OKP"}}), keys=UNTOUCHABLE)


@pytest.mark.parametrize("curve", CURVES)
def test_an_ephemeral_key_with_its_private_part_is_refused(curve: str) -> None:
    for private in (EPHEMERAL[curve].to_jwk(private=True)["d"], "", None, 1):
        refuse(forge({"epk": {**epk_of(curve), "d": private}}, curve=curve), keys=UNTOUCHABLE)


def test_a_point_that_is_not_on_the_curve_is_refused() -> None:
    epk = epk_of("P-256")
    y = bytearray(b64.decode(epk["y"]))
    y[-1] ^= 1
    refuse(forge({"epk": {**epk, "y": b64.encode(bytes(y))}}), keys=UNTOUCHABLE)
    refuse(forge({"epk": {**epk, "x": epk["y"], "y": epk["x"]}}), keys=UNTOUCHABLE)
    refuse(forge({"epk": {**epk, "x": b64.encode(bytes(32)), "y": b64.encode(bytes(32))}}), keys=UNTOUCHABLE)
    high = b64.encode(b"\xff" * 32)
    refuse(forge({"epk": {**epk, "x": high, "y": high}}), keys=UNTOUCHABLE)


def test_a_coordinate_of_another_length_is_refused() -> None:
    epk = epk_of("P-256")
    for name in ("x", "y"):
        longer = b64.encode(b"\0" + b64.decode(epk[name]))
        refuse(forge({"epk": {**epk, name: longer}}), keys=UNTOUCHABLE)


@pytest.mark.parametrize(
    "point",
    [
        "00" * 32,
        "01" + "00" * 31,
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ],
)
def test_an_x25519_point_of_small_order_is_refused(point: str) -> None:
    """All of them agree on the zero secret, so anybody could seal under it."""
    header = header_for("X25519") | {
        "epk": {"kty": "OKP", "crv": "X25519", "x": b64.encode(bytes.fromhex(point))}
    }
    protected = b64.encode(json.dumps(header))
    sealed = AESGCM(derive(bytes(32), "A256GCM")).encrypt(bytes(12), b"forged", protected.encode())
    refuse(f"{protected}..{b64.encode(bytes(12))}.{b64.encode(sealed[:-16])}.{b64.encode(sealed[-16:])}")


def test_further_members_of_the_ephemeral_key_are_ignored() -> None:
    epk = {**epk_of("P-256"), "kid": "x", "use": "sig", "key_ops": [], "ext": True, "alg": 1}
    assert decrypt(forge({"epk": epk})).plaintext == PLAINTEXT


# --- the parts ---


GOOD = forge()
PARTS = GOOD.split(".")


@pytest.mark.parametrize("part", [0, 2, 3, 4])
def test_a_changed_part_never_opens(part: int) -> None:
    for index in range(len(PARTS[part])):
        letters = list(PARTS[part])
        letters[index] = "A" if letters[index] != "A" else "B"
        refuse(".".join([*PARTS[:part], "".join(letters), *PARTS[part + 1 :]]))


@pytest.mark.parametrize("part", range(5))
@pytest.mark.parametrize("suffix", ["=", "==", "A", "AAAA", "\n", " ", "é", "\0"])
def test_a_padded_part_is_refused(part: int, suffix: str) -> None:
    for text in (PARTS[part] + suffix, suffix + PARTS[part]):
        refuse(".".join([*PARTS[:part], text, *PARTS[part + 1 :]]))


@pytest.mark.parametrize("part", range(5))
def test_a_missing_or_extra_part_is_refused(part: int) -> None:
    refuse(".".join([*PARTS[:part], *PARTS[part + 1 :]]))
    refuse(".".join([*PARTS[:part], "", *PARTS[part:]]))
    refuse(".".join([*PARTS[:part], PARTS[part], *PARTS[part:]]))
    if part != 1:
        refuse(".".join([*PARTS[:part], "", *PARTS[part + 1 :]]))


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(range(5), 2)))
def test_swapped_parts_are_refused(first: int, second: int) -> None:
    parts = list(PARTS)
    parts[first], parts[second] = parts[second], parts[first]
    refuse(".".join(parts))


@pytest.mark.parametrize("part", [0, 2, 3, 4])
def test_a_part_of_another_message_is_refused(part: int) -> None:
    other = jwe.encrypt(PLAINTEXT, recipient=KEYS["P-256"].public, enc="A256GCM").split(".")
    refuse(".".join([*PARTS[:part], other[part], *PARTS[part + 1 :]]))


@pytest.mark.parametrize("length", [0, 1, 4, 8, 12, 15, 17, 32])
def test_a_tag_of_another_length_is_refused(length: int) -> None:
    tag = (b64.decode(PARTS[4]) * 2)[:length]
    refuse(".".join([*PARTS[:4], b64.encode(tag)]), keys=UNTOUCHABLE)


@pytest.mark.parametrize("length", [8, 11, 13, 16, 32])
def test_a_nonce_of_another_length_is_refused(length: int) -> None:
    refuse(forge(nonce=bytes(length)), keys=UNTOUCHABLE)


@pytest.mark.parametrize(
    "text", ["", ".", "....", ".....", "{}", '{"ciphertext":""}', "\ud800", "é....", "a" * 9]
)
def test_what_is_no_jwe_is_refused(text: str) -> None:
    refuse(text, keys=UNTOUCHABLE)


def test_a_wrapped_key_beside_direct_agreement_is_refused() -> None:
    refuse(".".join([PARTS[0], b64.encode(bytes(24)), *PARTS[2:]]), keys=UNTOUCHABLE)


def test_size_is_bounded_before_anything_is_decoded() -> None:
    big = forge(plaintext=bytes(limits.JWT_BYTES))
    refuse(big, keys=UNTOUCHABLE)
    assert decrypt(big, max_bytes=len(big)).plaintext == bytes(limits.JWT_BYTES)
    assert decrypt(GOOD, max_bytes=len(GOOD)).plaintext == PLAINTEXT
    refuse(GOOD, max_bytes=len(GOOD) - 1, keys=UNTOUCHABLE)


# --- compression ---


def deflated(data: bytes, wbits: int = -15) -> bytes:
    compressor = zlib.compressobj(wbits=wbits)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize("plaintext", [b"", PLAINTEXT, b"x" * 100_000])
def test_a_compressed_message_opens_where_compression_was_offered(plaintext: bytes) -> None:
    text = jwe.encrypt(plaintext, recipient=KEYS["P-256"].public, enc="A128GCM", zip="DEF")
    assert decrypt(text, zip_values={"DEF"}).plaintext == plaintext
    refuse(text, keys=UNTOUCHABLE)
    refuse(text, zip_values=["def"], keys=UNTOUCHABLE)


@pytest.mark.parametrize("name", ["def", "GZ", "", "DEFLATE", None, 1, True, ["DEF"], {}])
def test_another_compression_is_refused(name: object) -> None:
    text = forge({"zip": name}, plaintext=deflated(PLAINTEXT))
    refuse(text, zip_values=["DEF", "GZ", "def", ""], keys=UNTOUCHABLE)
    refuse(text, zip_values={"DEF"}, keys=UNTOUCHABLE)


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        PLAINTEXT,
        deflated(PLAINTEXT)[:-1],
        deflated(PLAINTEXT) + b"\0",
        deflated(PLAINTEXT) * 2,
        deflated(PLAINTEXT, wbits=15),
        deflated(PLAINTEXT, wbits=31),
        b"\xff" * 40,
    ],
)
def test_a_stream_that_is_not_exactly_one_raw_deflate_is_refused(stream: bytes) -> None:
    assert (
        decrypt(forge({"zip": "DEF"}, plaintext=deflated(PLAINTEXT)), zip_values={"DEF"}).plaintext
        == PLAINTEXT
    )
    refuse(forge({"zip": "DEF"}, plaintext=stream), zip_values={"DEF"})


def test_the_bound_on_inflated_bytes_is_exact() -> None:
    text = forge({"zip": "DEF"}, plaintext=deflated(b"x" * 1000))
    assert decrypt(text, zip_values={"DEF"}, max_inflated=1000).plaintext == b"x" * 1000
    refuse(text, zip_values={"DEF"}, max_inflated=999)
    refuse(text, zip_values={"DEF"}, max_inflated=0)
    empty = forge({"zip": "DEF"}, plaintext=deflated(b""))
    assert decrypt(empty, zip_values={"DEF"}, max_inflated=0).plaintext == b""


def test_a_plaintext_may_inflate_to_the_limit_unless_told_otherwise() -> None:
    full = deflated(bytes(limits.INFLATED_BYTES))
    opened = decrypt(forge({"zip": "DEF"}, plaintext=full), zip_values={"DEF"})
    assert opened.plaintext == bytes(limits.INFLATED_BYTES)
    refuse(forge({"zip": "DEF"}, plaintext=deflated(bytes(limits.INFLATED_BYTES + 1))), zip_values={"DEF"})


def test_a_bomb_is_refused_before_it_fills_memory() -> None:
    bomb = forge({"zip": "DEF"}, plaintext=deflated(bytes(32 * 2**20)))
    assert len(bomb) < limits.JWT_BYTES
    tracemalloc.start()
    try:
        refuse(bomb, zip_values={"DEF"})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20


def test_the_repr_of_what_was_opened_shows_no_content() -> None:
    assert "proofs" not in repr(decrypt(GOOD))
