"""Issuer metadata (OpenID4VCI 1.0 §12.2): about the issuer asked, https, with usable encryption."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.protocols.openid4vci import metadata
from safeconduct.protocols.openid4vci.configuration import CredentialConfiguration, Display

ISSUER = "https://issuer.example/tenant"
P256, X25519 = AgreementKey.generate("P-256", kid="p"), AgreementKey.generate("X25519", kid="x")
CARD = CredentialConfiguration(id="card", format="application/sd-cwt", vct="card")
METADATA = metadata.IssuerMetadata(
    credential_issuer=ISSUER,
    credential_endpoint="https://issuer.example/credential?tenant=1",
    configurations=(CARD,),
    authorization_servers=("https://server.example",),
    nonce_endpoint="https://issuer.example/nonce",
    request_encryption=metadata.RequestEncryption(
        signed=True, keys=(P256.public, X25519.public), enc_values=("A128GCM", "A256GCM"), required=True
    ),
    response_encryption=metadata.ResponseEncryption(
        alg_values=("ECDH-ES",), enc_values=("A256GCM",), required=True
    ),
    batch_size=10,
    display=(Display(name="Issuer", locale="en"),),
)
WRITTEN = json.loads_object(json.dumps(metadata.issuer_metadata_json(METADATA)))


def parse(**changes: Any) -> metadata.IssuerMetadata:
    return metadata.parse_issuer_metadata(json.dumps({**WRITTEN, **changes}), credential_issuer=ISSUER)


def request_encryption(**changes: Any) -> dict[str, Any]:
    return {"credential_request_encryption": {**WRITTEN["credential_request_encryption"], **changes}}


def response_encryption(**changes: Any) -> dict[str, Any]:
    return {"credential_response_encryption": {**WRITTEN["credential_response_encryption"], **changes}}


def jwks(*keys: dict[str, Any]) -> dict[str, Any]:
    return request_encryption(jwks={"keys": list(keys)})


def jwk(**changes: Any) -> dict[str, Any]:
    members = {**P256.public.to_jwk(), **changes}
    return {name: value for name, value in members.items() if value is not ...}


def refused(kind: type[SafeconductError], code: str, **changes: Any) -> None:
    with pytest.raises(kind) as caught:
        parse(**changes)
    assert caught.value.code == code


def test_metadata_is_read_as_it_was_written() -> None:
    read = parse(unknown=[1])

    assert read == METADATA
    assert read.request_encryption is not None
    assert [key.kid for key in read.request_encryption.keys] == ["p", "x"]


def test_the_least_metadata_is_enough() -> None:
    least = metadata.IssuerMetadata(
        credential_issuer=ISSUER, credential_endpoint="https://issuer.example/c", configurations=()
    )
    body = json.dumps(metadata.issuer_metadata_json(least))

    assert metadata.parse_issuer_metadata(body, credential_issuer=ISSUER) == least
    assert json.loads_object(body) == {
        "credential_issuer": ISSUER,
        "credential_endpoint": "https://issuer.example/c",
        "credential_configurations_supported": {},
    }


def test_the_names_on_the_wire_are_those_of_the_specification() -> None:
    assert WRITTEN["batch_credential_issuance"] == {"batch_size": 10}
    assert WRITTEN["credential_request_encryption"]["encryption_required"] is True
    assert WRITTEN["credential_request_encryption"]["jwks"]["keys"][0] == P256.public.to_jwk()
    assert WRITTEN["credential_response_encryption"] == {
        "alg_values_supported": ["ECDH-ES"],
        "enc_values_supported": ["A256GCM"],
        "encryption_required": True,
    }


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://h.example", "https://h.example/.well-known/openid-credential-issuer"),
        ("https://h.example/tenant", "https://h.example/.well-known/openid-credential-issuer/tenant"),
    ],
)
def test_metadata_stands_between_host_and_path(issuer: str, url: str) -> None:
    assert metadata.issuer_metadata_url(issuer) == url


@pytest.mark.parametrize("issuer", ["https://other.example", "https://ISSUER.example/tenant", f"{ISSUER}/"])
def test_metadata_about_another_issuer_is_refused_without_normalising(issuer: str) -> None:
    refused(Rejected, "issuer_mismatch", credential_issuer=issuer)


@pytest.mark.parametrize(
    "endpoint",
    ["credential_endpoint", "nonce_endpoint", "deferred_credential_endpoint", "notification_endpoint"],
)
def test_an_endpoint_without_tls_is_refused(endpoint: str) -> None:
    refused(Rejected, "url_not_https", **{endpoint: "http://issuer.example/x"})
    refused(Malformed, "url_malformed", **{endpoint: "/x"})


def test_the_local_machine_needs_no_tls_if_allowed() -> None:
    local = "http://localhost:1"
    members = {**WRITTEN, "credential_issuer": local, "credential_endpoint": f"{local}/c"}
    body = json.dumps(members)

    read = metadata.parse_issuer_metadata(body, credential_issuer=local, allow_http_loopback=True)
    assert read.credential_endpoint == f"{local}/c"
    with pytest.raises(Rejected) as caught:
        metadata.parse_issuer_metadata(body, credential_issuer=local)
    assert caught.value.code == "url_not_https"


@pytest.mark.parametrize(
    "changes",
    [
        {"credential_endpoint": None},
        {"credential_endpoint": "https://h/" + "a" * limits.URL_CHARS},
        {"credential_configurations_supported": None},
        {"credential_configurations_supported": []},
        {"credential_configurations_supported": {str(n): {} for n in range(limits.LIST_ITEMS + 1)}},
        {"credential_configurations_supported": {"card": {}}},
        {"authorization_servers": []},
        {"display": []},
        {"batch_credential_issuance": {}},
        {"batch_credential_issuance": {"batch_size": 1}},
        {"batch_credential_issuance": {"batch_size": True}},
        request_encryption(jwks=None),
        request_encryption(jwks={"keys": []}),
        request_encryption(enc_values_supported=[]),
        request_encryption(zip_values_supported=[]),
        request_encryption(encryption_required=None),
        request_encryption(encryption_required="true"),
        response_encryption(alg_values_supported=[]),
        response_encryption(enc_values_supported=[]),
        response_encryption(zip_values_supported=[]),
        response_encryption(encryption_required=None),
    ],
)
def test_members_that_are_missing_empty_or_of_another_type_are_malformed(changes: dict[str, Any]) -> None:
    refused(Malformed, "message_malformed", **changes)


def test_two_display_objects_for_one_language_are_refused() -> None:
    refused(Rejected, "locale_repeated", display=[{"locale": "en"}, {"locale": "en"}])


def test_an_identifier_of_a_server_has_no_query() -> None:
    refused(Rejected, "identifier_has_query", authorization_servers=["https://server.example?a"])


def test_every_encryption_key_has_a_unique_kid_and_an_alg() -> None:
    refused(Rejected, "encryption_kid_missing", **jwks(jwk(kid=...)))
    refused(Rejected, "encryption_kid_missing", **jwks(jwk(kid="")))
    refused(Rejected, "encryption_kid_repeated", **jwks(jwk(), {**X25519.public.to_jwk(), "kid": "p"}))
    refused(Rejected, "encryption_alg_missing", **jwks(jwk(alg=...)))


def test_a_private_encryption_key_is_refused() -> None:
    refused(Rejected, "private_key_where_public_expected", **jwks(P256.to_jwk(private=True)))


@pytest.mark.parametrize(
    "changes", [{"alg": "ECDH-ES+A256KW"}, {"crv": "P-999"}, {"kty": "RSA"}, {"use": "sig"}, {"y": "AA"}]
)
def test_a_key_that_is_not_usable_here_is_passed_over(changes: dict[str, Any]) -> None:
    read = parse(**jwks(jwk(**changes), X25519.public.to_jwk()))

    assert read.request_encryption is not None
    assert read.request_encryption.keys == (X25519.public,)


def test_required_encryption_of_responses_needs_encryption_of_requests() -> None:
    refused(Rejected, "response_encryption_unusable", credential_request_encryption=None)
    optional = parse(credential_request_encryption=None, **response_encryption(encryption_required=False))
    assert optional.request_encryption is None

    with pytest.raises(Rejected) as caught:
        metadata.issuer_metadata_json(
            metadata.IssuerMetadata(
                credential_issuer=ISSUER,
                credential_endpoint="https://issuer.example/c",
                configurations=(),
                response_encryption=METADATA.response_encryption,
            )
        )
    assert caught.value.code == "response_encryption_unusable"


def test_a_key_without_a_name_is_not_published() -> None:
    nameless = metadata.RequestEncryption(
        keys=(P256.public.with_kid(None),), enc_values=("A256GCM",), required=True
    )

    with pytest.raises(Rejected) as caught:
        metadata.issuer_metadata_json(
            metadata.IssuerMetadata(
                credential_issuer=ISSUER,
                credential_endpoint="https://issuer.example/c",
                configurations=(),
                request_encryption=nameless,
            )
        )
    assert caught.value.code == "encryption_kid_missing"


def test_a_configuration_is_found_by_its_name() -> None:
    assert METADATA.configuration("card") == CARD
    with pytest.raises(Rejected) as caught:
        METADATA.configuration("other")
    assert caught.value.code == "configuration_unknown"


def test_the_server_hinted_at_must_be_one_that_the_metadata_names() -> None:
    alone = parse(authorization_servers=None)

    assert metadata.authorization_servers(METADATA, hint=None) == ("https://server.example",)
    assert metadata.authorization_servers(METADATA, hint="https://server.example") == (
        "https://server.example",
    )
    assert metadata.authorization_servers(alone, hint=None) == (ISSUER,)
    for read in (METADATA, alone):
        with pytest.raises(Rejected) as caught:
            metadata.authorization_servers(read, hint="https://evil.example")
        assert caught.value.code == "authorization_server_unknown"


def test_a_signature_key_is_no_encryption_key() -> None:
    signing = {**Key.generate("ES256").public.to_jwk(), "kid": "s"}

    read = parse(**jwks(signing, P256.public.to_jwk()))
    assert read.request_encryption is not None
    assert read.request_encryption.keys == (P256.public,)


@given(st.binary())
def test_any_document_is_metadata_or_a_safeconduct_error(body: bytes) -> None:
    read_or_refused(
        lambda: metadata.parse_issuer_metadata(body, credential_issuer=ISSUER), metadata.IssuerMetadata
    )


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**19), 10**19) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(WRITTEN)), values)
def test_any_value_of_a_member_is_taken_or_a_safeconduct_error(member: str, value: Any) -> None:
    try:
        parse(**{member: value})
    except SafeconductError:
        return


@given(st.sampled_from(["kty", "crv", "x", "y", "kid", "alg", "use", "key_ops"]), values)
def test_any_value_in_an_encryption_key_is_taken_or_a_safeconduct_error(member: str, value: Any) -> None:
    try:
        parse(**jwks(jwk(**{member: value})))
    except SafeconductError:
        return
