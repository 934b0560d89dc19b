"""Requests and responses are encrypted as OpenID4VCI 1.0 §10 says; every fault of an envelope looks alike."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from joserfc import jwe as oracle
from joserfc.jwk import ECKey

from safeconduct import limits as common
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.envelope import jwe
from safeconduct.errors import Rejected, SafeconductError, Unsupported
from safeconduct.protocols.oauth.errors import error_body
from safeconduct.protocols.openid4vci import encryption as enc
from safeconduct.protocols.openid4vci.errors import InvalidCredentialRequest, InvalidEncryptionParameters
from safeconduct.protocols.openid4vci.metadata import RequestEncryption, ResponseEncryption
from safeconduct.protocols.openid4vci.padding import bucket
from safeconduct.protocols.openid4vci.request import (
    CredentialRequest,
    Proofs,
    ResponseParameters,
    encode_credential_request,
)

NOW = 1_800_000_000
ISSUER = "https://issuer.example"
DPOP, OTHER = Key.generate("ES256"), Key.generate("ES256")
CURRENT, OLDER = AgreementKey.generate("P-256", kid="current"), AgreementKey.generate("X25519", kid="older")
REQUESTS = RequestEncryption(keys=(CURRENT.public,), enc_values=("A128GCM", "A256GCM"), required=True)
RESPONSES = ResponseEncryption(alg_values=("ECDH-ES",), enc_values=("A128GCM", "A256GCM"), required=True)
STRICT = enc.IssuerEncryption(request=REQUESTS, response=RESPONSES, keys={"current": CURRENT, "older": OLDER})
LENIENT = enc.IssuerEncryption(
    request=RequestEncryption(keys=REQUESTS.keys, enc_values=REQUESTS.enc_values, required=False),
    response=ResponseEncryption(
        alg_values=RESPONSES.alg_values, enc_values=RESPONSES.enc_values, required=False
    ),
    keys=STRICT.keys,
)
SIGNED_ONLY = enc.IssuerEncryption(
    request=REQUESTS, response=RESPONSES, keys=STRICT.keys, signed_requests="required"
)
PLAIN_ONLY = enc.IssuerEncryption(request=None, response=None, keys={})
SENDER = enc.Sender(audience=ISSUER, access_token="token", key=DPOP.public)
SIGNATURE = enc.RequestSignature(key=DPOP, audience=ISSUER, access_token="token", now=NOW)
RESPONSE_KEY = enc.new_response_key(RESPONSES)
REQUEST = CredentialRequest(
    credential_identifier="id-1", proofs=Proofs("jwt", ("a.b.c",)), response=RESPONSE_KEY.parameters
)
PAYLOAD = encode_credential_request(REQUEST)
BARE = b'{"credential_identifier":"id-1"}'


def receive(
    body: bytes,
    encryption: enc.IssuerEncryption = STRICT,
    *,
    content_type: str | None = enc.ENCRYPTED,
    sender: enc.Sender = SENDER,
) -> enc.ReceivedRequest:
    return enc.receive_request(
        body, content_type=content_type, encryption=encryption, sender=sender, batch_size=10, now=NOW
    )


def seal(payload: bytes = PAYLOAD, signature: enc.RequestSignature | None = None) -> bytes:
    return enc.seal_request(payload, to=enc.choose_request_key(REQUESTS), signature=signature)


def uniform(body: bytes, encryption: enc.IssuerEncryption = STRICT, **changes: Any) -> None:
    with pytest.raises(InvalidEncryptionParameters) as caught:
        receive(body, encryption, **changes)
    assert caught.value.code == "invalid_encryption_parameters"
    assert error_body(caught.value) == error_body(InvalidEncryptionParameters())


def refused(body: bytes, code: str, encryption: enc.IssuerEncryption = STRICT, **changes: Any) -> None:
    with pytest.raises(InvalidCredentialRequest) as caught:
        receive(body, encryption, **changes)
    assert caught.value.code == code


def header(body: bytes) -> dict[str, Any]:
    return json.loads_object(b64.decode(body.decode().partition(".")[0]))


# Requests


def test_an_encrypted_request_arrives() -> None:
    received = receive(seal())

    assert received == enc.ReceivedRequest(request=REQUEST, encrypted=True, signed=False)


def test_a_signed_and_encrypted_request_arrives() -> None:
    for encryption in (STRICT, SIGNED_ONLY):
        received = receive(seal(signature=SIGNATURE), encryption)
        assert received == enc.ReceivedRequest(request=REQUEST, encrypted=True, signed=True)


def test_a_request_names_key_algorithm_and_encryption_that_the_metadata_offers() -> None:
    for body, content in ((seal(), "json"), (seal(signature=SIGNATURE), "JWT")):
        named = header(body)
        assert (named["kid"], named["alg"], named["enc"], named["cty"]) == (
            "current",
            "ECDH-ES",
            "A256GCM",
            content,
        )
        assert "zip" not in named


def test_the_request_of_a_foreign_wallet_arrives() -> None:
    key = ECKey.import_key(CURRENT.public.to_jwk())
    registry = oracle.JWERegistry(algorithms=["ECDH-ES", "A128GCM"])
    members = {"alg": "ECDH-ES", "enc": "A128GCM", "kid": "current", "typ": "JWT"}

    body = oracle.encrypt_compact(members, PAYLOAD, key, registry=registry).encode()
    assert receive(body).request == REQUEST


def test_an_older_key_is_still_taken_while_wallets_may_know_it() -> None:
    body = enc.seal_request(PAYLOAD, to=enc.RequestKey(OLDER.public, "A128GCM"), signature=None)

    assert receive(body).request == REQUEST


def test_a_plain_request_arrives_where_encryption_is_not_required() -> None:
    received = receive(BARE, LENIENT, content_type="application/json; charset=utf-8")

    assert (received.encrypted, received.request.response) == (False, None)
    assert receive(BARE, PLAIN_ONLY, content_type=enc.PLAIN).request.credential_identifier == "id-1"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_a_plain_request_is_refused_where_encryption_is_required(content_type: str | None) -> None:
    uniform(PAYLOAD, content_type=content_type)


def test_an_encrypted_request_is_refused_where_none_is_offered() -> None:
    uniform(seal(), PLAIN_ONLY)


def test_another_media_type_is_an_invalid_request() -> None:
    refused(BARE, "media_type_unsupported", LENIENT, content_type="text/plain")


@pytest.mark.parametrize("name", ["alg", "enc", "kid", "epk", "zip", "crit"])
@pytest.mark.parametrize("value", ["other", None, {}])
def test_a_header_that_is_not_exactly_as_offered_is_refused(name: str, value: object) -> None:
    first, _, rest = seal().decode().partition(".")
    members = json.loads_object(b64.decode(first)) | {name: value}

    uniform(f"{b64.encode(json.dumps(members))}.{rest}".encode())


def test_an_encryption_that_is_known_but_not_offered_is_refused() -> None:
    only = RequestEncryption(keys=REQUESTS.keys, enc_values=("A128GCM",), required=True)

    uniform(seal(), enc.IssuerEncryption(request=only, response=RESPONSES, keys=STRICT.keys))


def test_a_request_to_an_unknown_key_is_refused() -> None:
    stranger = AgreementKey.generate("P-256", kid="stranger")
    impostor = AgreementKey.generate("P-256", kid="current")

    for key in (stranger, impostor):
        body = enc.seal_request(PAYLOAD, to=enc.RequestKey(key.public, "A256GCM"), signature=None)
        uniform(body)


def test_compression_is_refused_unless_offered_and_then_bounded() -> None:
    offering = enc.IssuerEncryption(
        request=RequestEncryption(
            keys=REQUESTS.keys, enc_values=REQUESTS.enc_values, zip_values=("DEF",), required=True
        ),
        response=RESPONSES,
        keys=STRICT.keys,
    )
    small, bomb = (
        jwe.encrypt(payload, recipient=CURRENT.public, enc="A256GCM", zip="DEF").encode()
        for payload in (PAYLOAD, PAYLOAD + b" " * common.INFLATED_BYTES)
    )

    assert receive(small, offering).request == REQUEST
    uniform(small)
    uniform(bomb, offering)


@pytest.mark.parametrize("body", [b"", b"a.b.c", b"....", b"\xff\xfe", b"{}", b"a" * (common.JWT_BYTES + 1)])
def test_what_is_no_jwe_is_refused(body: bytes) -> None:
    uniform(body)


@given(st.integers(0, 10**6), st.integers(1, 127))
@settings(max_examples=50)
def test_a_changed_character_is_refused(position: int, change: int) -> None:
    body = bytearray(seal())
    body[position % len(body)] ^= change

    uniform(bytes(body))


@given(st.binary())
def test_any_body_is_refused_with_one_answer(body: bytes) -> None:
    uniform(body)


@given(st.binary(max_size=60), st.sampled_from(["json", "JWT", "application/json"]))
def test_any_content_is_a_request_or_an_invalid_one(content: bytes, cty: str) -> None:
    body = jwe.encrypt(content, recipient=CURRENT.public, enc="A256GCM", header={"cty": cty})

    try:
        received = receive(body.encode())
    except SafeconductError as error:
        answer = error.oauth_error
    else:
        assert received.encrypted  # chance made a request
        return
    assert answer == "invalid_credential_request"


def test_what_is_wrong_inside_is_an_invalid_request() -> None:
    refused(seal(b'{"credential_identifier":"a","credential_identifier":"b"}'), "json_duplicate_member")
    refused(seal(b"{}"), "request_subject")


# Signatures inside


def test_an_unsigned_request_is_refused_where_a_signature_is_required() -> None:
    refused(seal(), "request_not_signed", SIGNED_ONLY)


def test_a_request_signed_by_another_key_than_that_of_the_proof_is_refused() -> None:
    forged = enc.RequestSignature(key=OTHER, audience=ISSUER, access_token="token", now=NOW)

    refused(seal(signature=forged), "request_signature_key")


def test_a_signed_request_under_a_bearer_token_is_refused() -> None:
    bearer = enc.Sender(audience=ISSUER, access_token="token", key=None)

    refused(seal(signature=SIGNATURE), "request_signature_key", sender=bearer)
    assert receive(seal(), sender=bearer).request == REQUEST


def test_a_signed_request_for_another_token_or_issuer_is_refused() -> None:
    refused(
        seal(signature=SIGNATURE),
        "request_ath",
        sender=enc.Sender(audience=ISSUER, access_token="other", key=DPOP.public),
    )
    refused(
        seal(signature=SIGNATURE),
        "request_aud",
        sender=enc.Sender(audience="https://other.example", access_token="token", key=DPOP.public),
    )


# Responses


def test_a_plain_request_cannot_ask_for_an_encrypted_response() -> None:
    uniform(PAYLOAD, LENIENT, content_type=enc.PLAIN)


def test_a_request_must_say_how_to_encrypt_where_that_is_required() -> None:
    uniform(seal(BARE))
    assert receive(seal(BARE), LENIENT).request.response is None


@pytest.mark.parametrize(
    "parameters",
    [
        ResponseParameters(RESPONSE_KEY.private.public, "A192GCM"),
        ResponseParameters(RESPONSE_KEY.private.public, "A256GCM", "DEF"),
        ResponseParameters(RESPONSE_KEY.private.public, "A256GCM", "GZIP"),
    ],
)
def test_a_request_may_ask_only_for_what_the_metadata_offers(parameters: ResponseParameters) -> None:
    request = CredentialRequest(credential_identifier="id-1", response=parameters)

    uniform(seal(encode_credential_request(request)))


def test_a_request_cannot_ask_for_an_encryption_that_is_not_offered_at_all() -> None:
    no_responses = enc.IssuerEncryption(request=REQUESTS, response=None, keys=STRICT.keys)
    other_algorithms = enc.IssuerEncryption(
        request=REQUESTS,
        response=ResponseEncryption(alg_values=("RSA-OAEP-256",), enc_values=("A256GCM",), required=False),
        keys=STRICT.keys,
    )

    uniform(seal(), no_responses)
    uniform(seal(), other_algorithms)


@pytest.mark.parametrize("curve", ["P-256", "X25519"])
def test_a_response_arrives(curve: Any) -> None:
    key = enc.new_response_key(RESPONSES, curve=curve)
    body = enc.seal_response(b'{"credentials":[]}', parameters=key.parameters)

    assert json.loads(enc.open_response(body, content_type=enc.ENCRYPTED, key=key)) == {"credentials": []}
    assert (header(body)["kid"], header(body)["enc"]) == (key.private.kid, key.enc)


def test_each_response_has_a_key_and_a_name_of_its_own() -> None:
    first, second = enc.new_response_key(RESPONSES), enc.new_response_key(RESPONSES)

    assert first.private.public != second.private.public
    assert first.private.kid != second.private.kid
    assert first.private.kid is not None
    assert len(first.private.kid) == 22


def test_a_response_is_compressed_if_the_request_asked_for_it() -> None:
    parameters = ResponseParameters(RESPONSE_KEY.private.public, "A256GCM", "DEF")
    body = enc.seal_response(b" " * 4000, parameters=parameters)

    assert header(body)["zip"] == "DEF"
    assert len(body) < 1000


def test_an_unknown_encryption_of_a_response_has_the_uniform_answer() -> None:
    with pytest.raises(InvalidEncryptionParameters) as caught:
        enc.seal_response(b"{}", parameters=ResponseParameters(RESPONSE_KEY.private.public, "A192GCM"))
    assert caught.value.code == "invalid_encryption_parameters"


@pytest.mark.parametrize("content_type", ["application/json", None])
def test_a_wallet_refuses_a_plain_response(content_type: str | None) -> None:
    with pytest.raises(Rejected) as caught:
        enc.open_response(b"{}", content_type=content_type, key=RESPONSE_KEY)
    assert caught.value.code == "response_not_encrypted"


def test_a_wallet_refuses_a_response_under_another_key_name_or_encryption() -> None:
    public, other = RESPONSE_KEY.private.public, enc.new_response_key(RESPONSES)
    for parameters in (
        other.parameters,
        ResponseParameters(public.with_kid("other"), RESPONSE_KEY.enc),
        ResponseParameters(public.with_kid(None), RESPONSE_KEY.enc),
        ResponseParameters(public, "A128GCM"),
        ResponseParameters(public, RESPONSE_KEY.enc, "DEF"),
    ):
        with pytest.raises(Rejected) as caught:
            enc.open_response(
                enc.seal_response(b"{}", parameters=parameters), content_type=enc.ENCRYPTED, key=RESPONSE_KEY
            )
        assert caught.value.code == "jwe_rejected"


@given(st.binary())
def test_a_wallet_refuses_any_other_response(body: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        enc.open_response(body, content_type=enc.ENCRYPTED, key=RESPONSE_KEY)
    assert caught.value.code == "jwe_rejected"


# Choices of a wallet


def test_a_wallet_takes_the_first_key_and_the_strongest_common_encryption() -> None:
    offer = RequestEncryption(
        keys=(OLDER.public, CURRENT.public), enc_values=("A128GCM", "A256GCM", "XC20P"), required=True
    )

    assert enc.choose_request_key(offer) == enc.RequestKey(OLDER.public, "A256GCM")


@pytest.mark.parametrize(
    "offer",
    [
        RequestEncryption(keys=(), enc_values=("A256GCM",), required=False),
        RequestEncryption(keys=(CURRENT.public,), enc_values=("A256CBC-HS512",), required=False),
    ],
)
def test_a_wallet_without_a_usable_key_or_encryption_does_not_send(offer: RequestEncryption) -> None:
    with pytest.raises(Unsupported) as caught:
        enc.choose_request_key(offer)
    assert caught.value.code == "encryption_unsupported"


@pytest.mark.parametrize(
    "offer",
    [
        ResponseEncryption(alg_values=("RSA-OAEP-256",), enc_values=("A256GCM",), required=True),
        ResponseEncryption(alg_values=("ECDH-ES",), enc_values=("A256CBC-HS512",), required=True),
    ],
)
def test_a_wallet_makes_no_key_that_the_issuer_cannot_encrypt_to(offer: ResponseEncryption) -> None:
    with pytest.raises(Unsupported) as caught:
        enc.new_response_key(offer)
    assert caught.value.code == "encryption_unsupported"


# What a forwarding server sees


@given(st.integers(1, 5000), st.integers(1, 5000))
@settings(max_examples=40)
def test_messages_of_one_bucket_have_one_size(first: int, second: int) -> None:
    texts = [b'{"a":"' + b"x" * length + b'"}' for length in (first, second)]
    assume(bucket(len(texts[0])) == bucket(len(texts[1])))

    assert len({len(seal(text)) for text in texts}) == 1
    assert len({len(enc.seal_response(text, parameters=RESPONSE_KEY.parameters)) for text in texts}) == 1


@pytest.mark.parametrize("signature", [None, SIGNATURE])
def test_only_few_sizes_are_ever_seen(signature: enc.RequestSignature | None) -> None:
    sizes = {len(seal(b'{"a":"' + b"x" * length + b'"}', signature)) for length in range(0, 8000, 61)}

    assert len(sizes) == 4


def test_secrets_are_not_shown() -> None:
    for value in (SIGNATURE, SENDER, RESPONSE_KEY, receive(seal())):
        assert "token" not in repr(value)
        assert "id-1" not in repr(value)
