"""Whatever arrives, JOSE parsing gives a SafeconductError or a result, and what is written reads back."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.envelope import jwe, jws
from safeconduct.errors import Malformed, Rejected, SafeconductError

KEY = Key.generate("ES256")
AGREEMENT = {kid: AgreementKey.generate(curve, kid=kid) for kid, curve in (("a", "P-256"), ("b", "X25519"))}
ENCS = ("A128GCM", "A256GCM")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
integers = st.integers(1 - 10**limits.JSON_INTEGER_DIGITS, 10**limits.JSON_INTEGER_DIGITS - 1)
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
members = st.dictionaries(
    st.sampled_from(["alg", "enc", "kid", "epk", "zip", "crit", "b64", "typ", "apu", "apv", "cty"]) | texts,
    st.sampled_from(["ES256", "none", "HS256", "ECDH-ES", "A128GCM", "a", "b", "DEF", "QQ"])
    | values
    | st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "d"]), values | st.just("P-256")),
)
parts = (
    st.binary(max_size=40).map(b64.encode) | members.map(lambda value: b64.encode(json.dumps(value))) | texts
)
compact = st.lists(parts, max_size=7).map(".".join)
mutations = st.lists(
    st.tuples(
        st.integers(0, 2000), st.sampled_from(["", ".", "A", "_", "=", "\n", "é", "\0"]), st.booleans()
    ),
    min_size=1,
    max_size=3,
)


def mutated(text: str, changes: list[tuple[int, str, bool]]) -> str:
    for position, replacement, insert in changes:
        at = position % (len(text) + 1)
        text = text[:at] + replacement + text[at if insert else at + 1 :]
    return text


def decrypt(text: str) -> jwe.Decrypted:
    return jwe.decrypt(text, keys=AGREEMENT, enc_values=ENCS, zip_values=("DEF",))


@given(st.binary(max_size=200))
def test_bytes_read_back_from_base64url(data: bytes) -> None:
    assert b64.decode(b64.encode(data)) == data


@given(st.text(max_size=12) | st.text("AQgwBZ_-9+/=", max_size=12))
def test_base64url_text_is_malformed_or_the_only_one_for_its_bytes(text: str) -> None:
    try:
        data = b64.decode(text)
    except Malformed:
        return
    assert b64.encode(data) == text


@given(values)
def test_values_read_back_from_json(value: Any) -> None:
    assert json.loads(json.dumps(value)) == value
    assert json.dumps(json.loads(json.dumps(value))) == json.dumps(value)


changed_values = st.tuples(values.map(json.dumps), st.integers(0, 200), st.sampled_from('"[]{}0-,:\\. e'))


@given(
    changed_values.map(lambda it: it[0][: it[1]].decode("utf-8", "ignore") + it[2])
    | values.map(lambda value: json.dumps([value, {"a": value}]).decode())
    | st.text('[]{}",:\\u0d8e1.-tfn ', max_size=40)
    | integers.map(lambda number: f"[{number}0,{number}]")
)
def test_json_means_the_same_from_text_and_from_bytes(text: str) -> None:
    # Bytes that look like a machine's are read by a faster reader.
    outcomes = []
    for data in (text, text.encode()):
        try:
            outcomes.append(repr(json.loads(data)))
        except Malformed as error:
            outcomes.append(error.code)
    assert outcomes[0] == outcomes[1]


@given(st.binary(max_size=60) | st.text(max_size=60) | st.text('[]{}",:\\u0d8e1.-tfn ', max_size=40))
def test_garbage_is_malformed_json_or_a_value_that_can_be_written(data: bytes | str) -> None:
    try:
        value = json.loads(data)
    except Malformed:
        return
    assert json.loads(json.dumps(value)) == value


@given(compact | st.text(max_size=80))
def test_garbage_is_no_valid_jws(text: str) -> None:
    try:
        jws.verify(text, key=KEY.public, algorithms=("ES256", "EdDSA"), typ=None)
    except SafeconductError:
        return
    raise AssertionError("garbage verified")


@given(compact | st.text(max_size=80))
def test_garbage_is_no_jwe_and_all_of_it_gets_one_answer(text: str) -> None:
    with pytest.raises(Rejected) as error:
        decrypt(text)
    assert str(error.value) == "jwe_rejected: The encrypted message is not acceptable."


@given(members)
def test_a_jws_header_of_any_shape_is_read_or_refused(header: dict[str, Any]) -> None:
    signing_input = f"{b64.encode(json.dumps(header))}.{b64.encode(b'x')}"
    text = f"{signing_input}.{b64.encode(KEY.sign(signing_input.encode()))}"
    try:
        payload = jws.verify(text, key=KEY.public, algorithms=("ES256",), typ=None)
    except SafeconductError:
        return
    assert payload == b"x"
    assert header["alg"] == "ES256"


@given(
    st.binary(max_size=300),
    st.dictionaries(texts.filter(lambda name: name not in {"alg", "crit", "b64"}), values),
)
def test_what_is_signed_verifies(payload: bytes, header: dict[str, Any]) -> None:
    text = jws.sign(payload, signer=KEY, header=header)
    assert jws.verify(text, key=KEY.public, algorithms=("ES256",), typ=None) == payload
    assert jws.parse(text).header == {"alg": "ES256", **header}


@settings(max_examples=50)
@given(
    st.binary(max_size=300),
    st.sampled_from(sorted(AGREEMENT)),
    st.sampled_from(ENCS),
    st.sampled_from([None, "DEF"]),
)
def test_what_is_encrypted_decrypts(plaintext: bytes, kid: str, enc: str, zip_: Any) -> None:
    text = jwe.encrypt(plaintext, recipient=AGREEMENT[kid].public, enc=enc, zip=zip_)
    assert decrypt(text).plaintext == plaintext


@given(mutations)
def test_a_changed_jws_does_not_verify(changes: list[tuple[int, str, bool]]) -> None:
    text = mutated(SIGNED, changes)
    try:
        jws.verify(text, key=KEY.public, algorithms=("ES256",), typ="JWT")
    except SafeconductError:
        return
    assert text == SIGNED


@given(mutations)
def test_a_changed_jwe_does_not_open(changes: list[tuple[int, str, bool]]) -> None:
    text = mutated(SEALED, changes)
    try:
        decrypt(text)
    except Rejected:
        return
    assert text == SEALED


SIGNED = jws.sign(b'{"a":1}', signer=KEY, header={"typ": "JWT"})
SEALED = jwe.encrypt(b'{"a":1}', recipient=AGREEMENT["b"].public, enc="A128GCM", header={"cty": "json"})
