"""A compact JWS verifies only under the algorithms, the key and the type that its reader names."""

import base64
import hashlib
import hmac
from typing import Any

import pytest
from joserfc import jws as oracle
from joserfc.jwk import ECKey, OKPKey

from safeconduct import limits
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import b64, json
from safeconduct.envelope import jws
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported

# RFC 7515 A.3
ES256_JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
ES256_PAYLOAD = b'{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
ES256_JWS = (
    "eyJhbGciOiJFUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
# RFC 8037 A.4
ED25519_JWK = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
ED25519_JWS = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)
KEY = Key.generate("ES256")
ALL = ("ES256", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87")


def signed_raw(header: bytes | dict[str, Any], payload: bytes = b"{}", key: Key = KEY) -> str:
    """A JWS with a true signature over whatever header the test wants."""
    protected = header if isinstance(header, bytes) else json.dumps(header)
    signing_input = f"{b64.encode(protected)}.{b64.encode(payload)}"
    return f"{signing_input}.{b64.encode(key.sign(signing_input.encode()))}"


def refusal(jws_text: str, *, key: PublicKey = KEY.public, **options: Any) -> str:
    options = {"algorithms": ALL, "typ": None, **options}
    with pytest.raises(SafeconductError) as error:
        jws.verify(jws_text, key=key, **options)
    return error.value.code


def test_the_published_es256_example_verifies() -> None:
    key = PublicKey.from_jwk(ES256_JWK)
    assert jws.verify(ES256_JWS, key=key, algorithms={"ES256"}, typ=None) == ES256_PAYLOAD


def test_the_published_ed25519_example_verifies() -> None:
    key = PublicKey.from_jwk(ED25519_JWK)
    payload = jws.verify(ED25519_JWS, key=key, algorithms={"EdDSA"}, typ=None)
    assert payload == b"Example of Ed25519 signing"


@pytest.mark.parametrize(
    "name",
    ["ES256", "ESP256", "ES384", "ESP384", "ES512", "ESP512", "Ed25519", "Ed448", "ML-DSA-44", "ML-DSA-65"],
)
def test_what_each_algorithm_signs_verifies(name: str) -> None:
    key = Key.generate(name)
    text = jws.sign(b"payload", signer=key, header={"typ": "example+jwt"})
    assert jws.verify(text, key=key.public, algorithms=ALL, typ="example+jwt") == b"payload"
    assert jws.parse(text).header == {"alg": key.algorithm.jose, "typ": "example+jwt"}


@pytest.mark.parametrize(("name", "foreign"), [("ES256", ECKey), ("ES512", ECKey), ("Ed25519", OKPKey)])
def test_another_implementation_reads_and_writes_the_same(name: str, foreign: Any) -> None:
    key = Key.generate(name)
    their_key = foreign.import_key(key.to_jwk(private=True))
    registry = oracle.JWSRegistry(algorithms=[name])
    ours = jws.sign(b"payload", signer=key, header={"typ": "JWT"})
    assert oracle.deserialize_compact(ours, their_key, registry=registry).payload == b"payload"
    theirs = oracle.serialize_compact({"alg": name}, b"payload", their_key, registry=registry)
    assert jws.verify(theirs, key=key.public, algorithms={name}, typ=None) == b"payload"


def test_eddsa_and_ed25519_name_the_same_signature() -> None:
    key = Key.generate("Ed25519")
    for signer in (key, key.with_algorithm("EdDSA")):
        text = jws.sign(b"x", signer=signer, header={})
        for reader in (key.public, key.public.with_algorithm("EdDSA")):
            assert jws.verify(text, key=reader, algorithms=ALL, typ=None) == b"x"
        assert refusal(text, key=Key.generate("Ed448").public) in {
            "algorithm_unsupported",
            "signature_invalid",
        }


def test_sign_leaves_the_callers_header_alone() -> None:
    header = {"typ": "JWT", "jwk": {"kty": "EC"}}
    jws.sign(b"", signer=KEY, header=header)
    assert header == {"typ": "JWT", "jwk": {"kty": "EC"}}


@pytest.mark.parametrize("name", ["alg", "crit", "b64"])
def test_sign_lets_nobody_set_what_is_the_signers(name: str) -> None:
    with pytest.raises(ValueError, match="alg"):
        jws.sign(b"", signer=KEY, header={name: "none"})


def test_an_empty_payload_is_a_payload() -> None:
    text = jws.sign(b"", signer=KEY, header={})
    assert jws.verify(text, key=KEY.public, algorithms={"ES256"}, typ=None) == b""


def test_a_parsed_jws_verifies_as_its_text_does() -> None:
    parsed = jws.parse(jws.sign(b"payload", signer=KEY, header={"typ": "a+jwt"}))
    assert jws.verify(parsed, key=KEY.public, algorithms={"ES256"}, typ="a+jwt") == b"payload"


def test_the_signature_covers_the_bytes_received_not_a_new_encoding() -> None:
    text = signed_raw(b'{ "typ":"\\u004aWT",\n"alg" : "ES256" }', b"payload")
    assert jws.verify(text, key=KEY.public, algorithms={"ES256"}, typ="JWT") == b"payload"


# --- algorithms ---


@pytest.mark.parametrize(
    "name", ["none", "None", "NONE", "nOnE", "", "HS256", "RS256", "PS256", "es256", "ES256K"]
)
def test_an_algorithm_that_is_not_known_is_refused_even_if_allowed(name: str) -> None:
    for text in (signed_raw({"alg": name}), signed_raw({"alg": name}).rpartition(".")[0] + "."):
        assert refusal(text) == "algorithm_unsupported"
        assert refusal(text, algorithms=[*ALL, name]) == "algorithm_unsupported"


def test_a_mac_under_the_public_key_is_not_a_signature() -> None:
    for secret in (KEY.public.to_raw(), KEY.public.to_der(), KEY.public.to_pem().encode()):
        signing_input = f"{b64.encode(json.dumps({'alg': 'HS256'}))}.{b64.encode(b'{}')}"
        tag = hmac.new(secret, signing_input.encode(), hashlib.sha256).digest()
        text = f"{signing_input}.{b64.encode(tag)}"
        assert refusal(text) == "algorithm_unsupported"
        assert refusal(text, algorithms={"HS256", "ES256"}) == "algorithm_unsupported"


@pytest.mark.parametrize("name", ["ES384", "ES512", "EdDSA", "Ed25519", "ML-DSA-44"])
def test_an_algorithm_that_does_not_fit_the_key_is_refused(name: str) -> None:
    assert refusal(signed_raw({"alg": name})) == "algorithm_unsupported"


def test_an_algorithm_that_the_caller_does_not_allow_is_refused() -> None:
    text = jws.sign(b"", signer=KEY, header={})
    assert refusal(text, algorithms={"ES384", "EdDSA"}) == "algorithm_unsupported"
    assert refusal(text, algorithms=()) == "algorithm_unsupported"


def test_one_name_is_not_a_collection_of_names() -> None:
    with pytest.raises(TypeError):
        jws.verify(signed_raw({"alg": "ES256"}), key=KEY.public, algorithms="ES256", typ=None)


@pytest.mark.parametrize("alg", [None, 7, True, ["ES256"], {"ES256": 1}])
def test_an_algorithm_that_is_not_text_is_malformed(alg: object) -> None:
    assert refusal(signed_raw({"alg": alg})) == "jws_malformed"


def test_a_header_without_an_algorithm_is_malformed() -> None:
    assert refusal(signed_raw({"typ": "JWT"})) == "jws_malformed"


def test_a_key_within_the_header_does_not_verify_the_message() -> None:
    attacker = Key.generate("ES256")
    text = jws.sign(b"", signer=attacker, header={"jwk": attacker.public.to_jwk()})
    assert refusal(text) == "signature_invalid"


# --- extensions ---


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], None, "exp", ["alg"], {}])
def test_critical_extensions_are_refused(crit: object) -> None:
    assert refusal(signed_raw({"alg": "ES256", "crit": crit, "exp": 1})) == "crit_unsupported"


@pytest.mark.parametrize("value", [False, None, 0, "false", 1])
def test_an_unencoded_payload_is_refused(value: object) -> None:
    assert refusal(signed_raw({"alg": "ES256", "b64": value})) == "crit_unsupported"
    assert refusal(signed_raw({"alg": "ES256", "b64": value, "crit": ["b64"]})) == "crit_unsupported"


def test_unknown_members_are_ignored() -> None:
    text = jws.sign(b"x", signer=KEY, header={"b64x": False, "zip": "DEF", "urn:x": [None]})
    assert jws.verify(text, key=KEY.public, algorithms={"ES256"}, typ=None) == b"x"


# --- typ ---


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ("openid4vci-proof+jwt", "openid4vci-proof+jwt"),
        ("OpenID4VCI-Proof+JWT", "openid4vci-proof+jwt"),
        ("application/openid4vci-proof+jwt", "openid4vci-proof+jwt"),
        ("openid4vci-proof+jwt", "application/OPENID4VCI-proof+jwt"),
        ("example/thing", "example/thing"),
    ],
)
def test_a_type_matches_without_case_and_prefix(received: str, expected: str) -> None:
    text = jws.sign(b"x", signer=KEY, header={"typ": received})
    assert jws.verify(text, key=KEY.public, algorithms={"ES256"}, typ=expected) == b"x"


@pytest.mark.parametrize(
    "typ",
    [
        "JWT",
        "kb+jw",
        "kb+jwt2",
        "",
        " kb+jwt",
        "application/application/kb+jwt",
        "text/kb+jwt",
        "application/",
        "\u212ab+jwt",
        None,
        1,
        ["kb+jwt"],
    ],
)
def test_another_type_is_refused(typ: object) -> None:
    assert refusal(signed_raw({"alg": "ES256", "typ": typ}), typ="kb+jwt") == "jws_type"


def test_a_missing_type_is_refused_unless_waived() -> None:
    assert refusal(signed_raw({"alg": "ES256"}), typ="kb+jwt") == "jws_type"
    assert jws.verify(signed_raw({"alg": "ES256"}), key=KEY.public, algorithms={"ES256"}, typ=None) == b"{}"


# --- form ---


GOOD = jws.sign(b'{"a":1}', signer=KEY, header={"typ": "JWT"})
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")


_NOT_THREE_PARTS = [
    "",
    ".",
    "..",
    "...",
    HEADER,
    f"{HEADER}.{PAYLOAD}",
    f"{GOOD}.",
    f".{GOOD}",
    f"{GOOD}.{SIGNATURE}",
    f"{HEADER}..{PAYLOAD}.{SIGNATURE}",
    f".{PAYLOAD}.{SIGNATURE}",
    f"{HEADER}=.{PAYLOAD}.{SIGNATURE}",
    f"{HEADER}.{PAYLOAD}=.{SIGNATURE}",
    f"{HEADER}.{PAYLOAD}.{SIGNATURE}==",
    f" {GOOD}",
    f"{GOOD}\n",
    f"{HEADER}\n.{PAYLOAD}.{SIGNATURE}",
    f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}é",
    f"\ufeff{GOOD}",
    GOOD.replace(".", "\u2024"),
    '{"payload":"","signatures":[]}',
]


@pytest.mark.parametrize("text", _NOT_THREE_PARTS, ids=range(len(_NOT_THREE_PARTS)))  # GOOD is new each time
def test_what_is_not_three_parts_of_base64url_is_malformed(text: str) -> None:
    assert refusal(text) == "jws_malformed"


def test_a_second_spelling_of_the_same_signature_is_malformed() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = SIGNATURE[-1]
    twin = alphabet[alphabet.index(last) ^ 1]
    lenient = base64.urlsafe_b64decode
    assert lenient(SIGNATURE[:-1] + twin + "==") == lenient(SIGNATURE + "==")
    assert refusal(f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}{twin}") == "jws_malformed"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"null",
        b'"ES256"',
        b'{"alg":"ES256"',
        b'{"alg":"ES256"}x',
        b'{"alg":"none","alg":"ES256"}',
        b'{"alg":"ES256","\\u0061lg":"ES256"}',
        b'{"alg":"ES256","n":NaN}',
        b'{"alg":"ES256","x":"\\ud800"}',
        b'\xef\xbb\xbf{"alg":"ES256"}',
        b'{"alg":"ES256","x":"\xff"}',
        b'{"alg":"ES256","x":' + b"[" * 30 + b"]" * 30 + b"}",
    ],
)
def test_a_header_that_is_not_one_strict_json_object_is_malformed(header: bytes) -> None:
    assert refusal(signed_raw(header)) == "jws_malformed"


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_changed_part_never_verifies(part: int) -> None:
    parts = GOOD.split(".")
    for index in range(len(parts[part])):
        letters = list(parts[part])
        letters[index] = "A" if letters[index] != "A" else "B"
        text = ".".join([*parts[:part], "".join(letters), *parts[part + 1 :]])
        assert refusal(text) in {"jws_malformed", "signature_invalid", "algorithm_unsupported"}


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    assert refusal(f"{HEADER}.{PAYLOAD}.{b64.encode(bytes(length))}") == "signature_invalid"


def test_parts_of_two_messages_do_not_mix() -> None:
    other = jws.sign(b'{"a":2}', signer=KEY, header={"typ": "JOSE"}).split(".")
    assert refusal(f"{other[0]}.{PAYLOAD}.{SIGNATURE}") == "signature_invalid"
    assert refusal(f"{HEADER}.{other[1]}.{SIGNATURE}") == "signature_invalid"
    assert refusal(f"{HEADER}.{PAYLOAD}.{other[2]}") == "signature_invalid"


def test_another_key_does_not_verify() -> None:
    assert refusal(GOOD, key=Key.generate("ES256").public) == "signature_invalid"


def test_size_is_bounded_before_anything_is_decoded() -> None:
    with pytest.raises(Malformed) as error:
        jws.parse("!" * (limits.JWT_BYTES + 1))
    assert error.value.code == "jws_too_large"
    assert jws.parse(GOOD, max_bytes=len(GOOD)).payload == b'{"a":1}'
    with pytest.raises(Malformed) as small:
        jws.parse(GOOD, max_bytes=len(GOOD) - 1)
    assert small.value.code == "jws_too_large"


def test_the_header_has_a_bound_of_its_own() -> None:
    empty = len(json.dumps({"alg": "ES256", "x": ""}))
    fitting = {"alg": "ES256", "x": "a" * (limits.JOSE_HEADER_BYTES - empty)}
    assert jws.parse(signed_raw(fitting)).header == fitting
    assert refusal(signed_raw({**fitting, "x": fitting["x"] + "a"})) == "jws_malformed"


def test_errors_have_the_kind_that_callers_tell_apart() -> None:
    with pytest.raises(Malformed):
        jws.parse("x")
    with pytest.raises(Unsupported):
        jws.verify(GOOD, key=KEY.public, algorithms=(), typ=None)
    with pytest.raises(Rejected):
        jws.verify(GOOD, key=KEY.public, algorithms=ALL, typ="other")


def test_the_repr_of_a_parsed_jws_shows_no_content() -> None:
    text = jws.sign(b"hunter2", signer=KEY, header={"typ": "hunter2"})
    assert "hunter2" not in repr(jws.parse(text))
