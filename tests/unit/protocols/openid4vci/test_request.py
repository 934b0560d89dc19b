"""Credential requests name one thing, hold proofs of one type, and say how to answer (OpenID4VCI §8.2)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.protocols.openid4vci import request as requests
from safeconduct.protocols.openid4vci.configuration import CredentialConfiguration
from safeconduct.protocols.openid4vci.errors import (
    InvalidCredentialRequest,
    InvalidEncryptionParameters,
    InvalidProof,
)

KEY = AgreementKey.generate("P-256", kid="r")
REQUEST = requests.CredentialRequest(
    credential_identifier="id-1",
    proofs=requests.Proofs("jwt", ("a.b.c", "d.e.f")),
    response=requests.ResponseParameters(KEY.public, "A256GCM"),
)
MEMBERS = json.loads_object(requests.encode_credential_request(REQUEST))


def parse(*, batch_size: int = 2, **changes: Any) -> requests.CredentialRequest:
    members = {name: value for name, value in {**MEMBERS, **changes}.items() if value is not None}
    return requests.parse_credential_request(json.dumps(members), batch_size=batch_size)


def refused(kind: type[SafeconductError], code: str, *, batch_size: int = 2, **changes: Any) -> None:
    with pytest.raises(kind) as caught:
        parse(batch_size=batch_size, **changes)
    assert caught.value.code == code
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST,
        requests.CredentialRequest(credential_configuration_id="card"),
        requests.CredentialRequest(
            credential_identifier="x", response=requests.ResponseParameters(KEY.public, "A128GCM", "DEF")
        ),
    ],
)
def test_a_request_is_read_as_it_was_written(request_: requests.CredentialRequest) -> None:
    body = requests.encode_credential_request(request_)

    assert requests.parse_credential_request(body, batch_size=2) == request_


def test_unknown_members_are_ignored() -> None:
    response = {**MEMBERS["credential_response_encryption"], "alg": "ECDH-ES"}

    assert parse(other=1, proof={}, credential_response_encryption=response) == REQUEST


def test_a_request_names_exactly_one_of_identifier_and_configuration() -> None:
    refused(InvalidCredentialRequest, "request_subject", credential_configuration_id="card")
    refused(InvalidCredentialRequest, "request_subject", credential_identifier=None)


@pytest.mark.parametrize("value", ["", 1, [], "a" * (limits.CODE_CHARS + 1)])
def test_an_identifier_is_a_bounded_text(value: object) -> None:
    refused(InvalidCredentialRequest, "message_malformed", credential_identifier=value)


@pytest.mark.parametrize(
    ("proofs", "code"),
    [
        ({}, "proofs_not_one_type"),
        ({"jwt": ["a"], "attestation": ["b"]}, "proofs_not_one_type"),
        ({"jwt": []}, "proofs_empty"),
        ({"jwt": "a.b.c"}, "proofs_empty"),
        ({"jwt": ["a", "b", "c"]}, "proofs_too_many"),
        ([], "message_malformed"),
    ],
)
def test_proofs_of_another_shape_are_an_invalid_request(proofs: Any, code: str) -> None:
    refused(InvalidCredentialRequest, code, proofs=proofs)


def test_no_batch_size_allows_more_than_the_limit() -> None:
    proofs = {"jwt": ["a"] * (limits.BATCH_SIZE + 1)}

    refused(InvalidCredentialRequest, "proofs_too_many", batch_size=10**6, proofs=proofs)


def test_proofs_are_counted_before_their_type_is_looked_at() -> None:
    refused(InvalidCredentialRequest, "proofs_too_many", proofs={"di_vp": [{}] * 3})


@pytest.mark.parametrize(
    ("proofs", "code"),
    [
        ({"cwt": ["a"]}, "proof_type_unsupported"),
        ({"attestation": [{}]}, "proof_malformed"),
        ({"di_vp": [{}]}, "proof_type_unsupported"),
        ({"jwt": [1]}, "proof_malformed"),
    ],
)
def test_proofs_of_another_type_are_an_invalid_proof(proofs: Any, code: str) -> None:
    refused(InvalidProof, code, proofs=proofs)


@pytest.mark.parametrize(
    "change",
    [
        {"jwk": None},
        {"jwk": "key"},
        {"jwk": {}},
        {"jwk": {**KEY.public.to_jwk(), "alg": "RSA1_5"}},
        {"jwk": {**KEY.public.to_jwk(), "use": "sig"}},
        {"jwk": {**KEY.public.to_jwk(), "x": "AAAA"}},
        {"jwk": KEY.to_jwk(private=True)},
        {"jwk": {name: value for name, value in KEY.public.to_jwk().items() if name != "alg"}},
        {"enc": None},
        {"enc": ""},
        {"zip": 1},
    ],
)
def test_bad_parameters_for_the_response_have_the_uniform_answer(change: dict[str, Any]) -> None:
    response = {**MEMBERS["credential_response_encryption"], **change}

    refused(
        InvalidEncryptionParameters, "invalid_encryption_parameters", credential_response_encryption=response
    )


@pytest.mark.parametrize("response", [[], "A256GCM", {}])
def test_parameters_that_are_no_object_have_the_uniform_answer(response: object) -> None:
    refused(
        InvalidEncryptionParameters, "invalid_encryption_parameters", credential_response_encryption=response
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "json_malformed"),
        (b"[]", "json_not_object"),
        (b'{"credential_identifier":"a","credential_identifier":"b"}', "json_duplicate_member"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "json_too_deep"),
        (b" " * 300_000, "json_too_large"),
    ],
)
def test_a_body_that_is_not_a_json_object_is_an_invalid_request(body: bytes, code: str) -> None:
    with pytest.raises(InvalidCredentialRequest) as caught:
        requests.parse_credential_request(body, batch_size=1)
    assert caught.value.code == code


BOUND = CredentialConfiguration(
    id="card",
    format="application/sd-cwt",
    vct="c",
    binding_methods=("cose_key",),
    proof_algorithms={"jwt": ("ES256",)},
)
UNBOUND = CredentialConfiguration(id="card", format="application/sd-cwt", vct="c")


def test_a_bound_credential_needs_proofs_of_a_type_that_its_configuration_names() -> None:
    assert requests.proofs_for(REQUEST, BOUND) == ("a.b.c", "d.e.f")
    assert requests.proofs_for(REQUEST, UNBOUND) == ()

    bare = requests.CredentialRequest(credential_identifier="id-1")
    attested = CredentialConfiguration(
        id="x",
        format="application/sd-cwt",
        vct="x",
        binding_methods=("cose_key",),
        proof_algorithms={"attestation": ("ES256",)},
    )
    for request_, configuration, code in (
        (bare, BOUND, "proofs_missing"),
        (REQUEST, attested, "proof_type_unsupported"),
    ):
        with pytest.raises(InvalidProof) as caught:
            requests.proofs_for(request_, configuration)
        assert caught.value.code == code


def test_identifiers_and_proofs_are_not_shown() -> None:
    assert "id-1" not in repr(REQUEST)
    assert "a.b.c" not in repr(REQUEST)


@given(st.binary())
def test_any_body_is_a_request_or_a_safeconduct_error(body: bytes) -> None:
    read_or_refused(lambda: requests.parse_credential_request(body, batch_size=1), requests.CredentialRequest)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**19), 10**19) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(MEMBERS)), values)
def test_any_value_of_a_member_is_taken_or_a_safeconduct_error(member: str, value: Any) -> None:
    try:
        parse(**{member: value})
    except SafeconductError:
        return
