"""Accepting an offer: what the wallet does, what it refuses, and whom it believes."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import pki

from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.envelope import jwe
from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import Response, Unreachable
from safeconduct.protocols.openid4vci import encryption, offer, signed_metadata
from safeconduct.protocols.openid4vci.metadata import issuer_metadata_json
from safeconduct.settings import WalletSettings
from safeconduct.wallet import store
from safeconduct.wallet.safe import open_safe

SERVER = "https://wallet-server.example"
VIA = {"via": SERVER}
FORWARD = "POST wallet-server.example/forward/credential"
CREDENTIAL = "POST issuer.example/tenant/credential"
METADATA = "GET issuer.example/.well-known/openid-credential-issuer/tenant"


def accept(bench: Any, **arguments: Any) -> Any:
    return bench.run(lambda wallet: wallet.accept(bench.world.offer_uri, **arguments))


def refused(bench: Any, **arguments: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        accept(bench, **arguments)
    assert held(bench) == ()
    return error.value.code


def held(bench: Any) -> Any:
    return bench.run(lambda wallet: wallet.list())


def codes(bench: Any) -> list[str]:
    return [notice.code for notice in bench.notices]


def credential_of(bench: Any, accepted: Any) -> Any:
    async def take(_wallet: Any) -> Any:
        async with open_safe(WalletSettings(store=bench.directory)) as safe:
            return await safe.run(store.find_credential, accepted.id)

    return bench.run(take)


def answering(status: int, body: Any, content_type: str = "application/json", **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda *_: Response(status, {"content-type": content_type, **named}, content)


# The course.


def test_an_offer_by_value_becomes_a_credential(bench: Any) -> None:
    accepted = accept(bench)
    assert (accepted.configuration, accepted.issuer) == ("identity", "https://issuer.example/tenant")
    assert accepted.expires == 1_800_001_000
    assert held(bench) == (accepted,)
    assert bench.notices == []


def test_an_offer_by_reference_is_fetched(bench: Any) -> None:
    uri = offer.uri_by_reference("https://issuer.example/tenant/offers/1")
    accepted = bench.run(lambda wallet: wallet.accept(uri))
    assert held(bench) == (accepted,)


def test_an_offer_that_is_gone_is_refused(bench: Any) -> None:
    bench.world.handlers["GET issuer.example/tenant/offers/1"] = answering(404, {})
    uri = offer.uri_by_reference("https://issuer.example/tenant/offers/1")
    with pytest.raises(SafeconductError) as error:
        bench.run(lambda wallet: wallet.accept(uri))
    assert error.value.code == "offer_gone"


def test_the_wallet_server_only_forwards_the_credential_request(bench: Any) -> None:
    accepted = accept(bench, via=f"{SERVER}/")
    assert held(bench) == (accepted,)
    assert bench.notices == []
    assert [(sent.method, sent.url.removeprefix(SERVER)) for sent in bench.world.to(SERVER)] == [
        ("POST", "/sessions"),
        ("POST", "/forward/credential"),
        ("DELETE", "/sessions"),
    ]
    assert not [sent for sent in bench.world.to("issuer.example") if sent.url.endswith("/credential")]


def test_the_request_is_encrypted_signed_by_the_dpop_key_and_names_the_identifier(bench: Any) -> None:
    accept(bench, **VIA)
    [received] = bench.world.requests_seen
    assert received.encrypted
    assert received.signed
    assert received.request.credential_identifier == bench.world.identifier
    assert received.request.credential_configuration_id is None
    assert received.request.response is not None


def test_an_issuer_that_does_not_announce_signed_requests_gets_plain_json_in_the_envelope(bench: Any) -> None:
    bench.world.understands_signatures = False
    accept(bench, **VIA)
    [received] = bench.world.requests_seen
    assert (received.encrypted, received.signed) == (True, False)


def test_the_holder_key_is_fresh_and_is_not_the_dpop_key(bench: Any) -> None:
    first = credential_of(bench, accept(bench))
    bench.world.spent = False
    second = credential_of(bench, accept(bench))
    keys = {first.holder_key.public, second.holder_key.public}
    dpop_keys = {shown.key for shown in bench.world.proofs_seen}
    assert len(keys) == len(dpop_keys) == 2
    assert not keys & dpop_keys


def test_response_keys_and_their_names_are_fresh(bench: Any) -> None:
    accept(bench)
    bench.world.spent = False
    accept(bench)
    first, second = (seen.request.response.key for seen in bench.world.requests_seen)
    assert first != second
    assert first.kid != second.kid


def test_requests_have_one_size_whatever_the_identifier_s_length(bench: Any) -> None:
    accept(bench, **VIA)
    bench.world.spent = False
    bench.world.identifier = "short"
    accept(bench, **VIA)
    sizes = {len(sent.body) for sent in bench.world.to("/forward/credential")}
    assert len(sizes) == 1


# The transaction code.


def test_a_needed_transaction_code_is_asked_for_before_anything_is_spent(bench: Any) -> None:
    bench.world.tx_code = offer.TxCode(length=6)
    assert refused(bench) == "tx_code_needed"
    assert bench.world.sent == []


@pytest.mark.parametrize("code", ["12345", "1234567", "12345a", "١٢٣٤٥٦"])
def test_a_transaction_code_of_another_form_is_not_sent(bench: Any, code: str) -> None:
    bench.world.tx_code = offer.TxCode(length=6)
    assert refused(bench, tx_code=code) == "tx_code_form"
    assert bench.world.sent == []


def test_an_unwanted_transaction_code_is_not_sent(bench: Any) -> None:
    assert refused(bench, tx_code="123456") == "tx_code_unwanted"


def test_the_right_transaction_code_opens(bench: Any) -> None:
    bench.world.tx_code, bench.world.expected_tx_code = offer.TxCode(length=6), "123456"
    assert accept(bench, tx_code="123456", **VIA).configuration == "identity"
    assert all(b"123456" not in sent.body for sent in bench.world.to(SERVER))


def test_a_wrong_transaction_code_is_told(bench: Any) -> None:
    bench.world.tx_code, bench.world.expected_tx_code = offer.TxCode(length=6), "123456"
    assert refused(bench, tx_code="654321") == "grant_refused"


# The issuer.


def test_an_issuer_without_encryption_is_refused(bench: Any) -> None:
    bench.world.encrypts = False
    assert refused(bench) == "encryption_not_offered"
    assert not bench.world.to("/token")


def test_an_issuer_without_encryption_can_be_allowed_by_name(bench: Any) -> None:
    bench.world.encrypts = False
    assert held(bench) == ()
    assert accept(bench, unencrypted="allowed").configuration == "identity"


def test_a_plain_request_never_goes_through_a_wallet_server(bench: Any) -> None:
    bench.world.encrypts = False
    accept(bench, unencrypted="allowed", **VIA)
    assert bench.world.to(SERVER) == []
    assert codes(bench) == ["server_bypassed"]


def test_an_issuer_that_takes_encrypted_requests_only_gets_them_encrypted(bench: Any) -> None:
    bench.world.encrypts_responses = False
    assert refused(bench) == "encryption_not_offered"
    accept(bench, unencrypted="allowed", **VIA)
    assert bench.world.requests_seen[0].encrypted
    assert bench.world.to(SERVER) == []


@pytest.mark.parametrize("encrypts", [True, False], ids=["only offered", "not even offered"])
def test_an_issuer_that_once_demanded_encryption_must_go_on(bench: Any, encrypts: bool) -> None:
    accept(bench)
    bench.world.requires, bench.world.encrypts, bench.world.spent = False, encrypts, False
    with pytest.raises(SafeconductError) as error:
        accept(bench, unencrypted="allowed")
    assert error.value.code == "encryption_downgraded"
    assert len(held(bench)) == 1


def test_encryption_that_is_only_offered_is_used(bench: Any) -> None:
    bench.world.requires = False
    accept(bench)
    assert bench.world.requests_seen[0].encrypted


def test_an_issuer_may_come_to_demand_encryption(bench: Any) -> None:
    bench.world.requires = False
    accept(bench)
    bench.world.requires, bench.world.spent = True, False
    accept(bench)
    assert len(held(bench)) == 2


def test_metadata_and_keys_about_another_issuer_are_refused(bench: Any) -> None:
    bench.world.handlers["GET issuer.example/.well-known/jwt-vc-issuer/tenant"] = answering(
        200, {"issuer": "https://other.example", "jwks": {"keys": []}}
    )
    assert refused(bench) == "issuer_metadata_other"
    bench.world.handlers[METADATA] = answering(
        200,
        {
            "credential_issuer": "https://issuer.example/other",
            "credential_endpoint": "https://issuer.example/credential",
            "credential_configurations_supported": {},
        },
    )
    assert refused(bench) == "issuer_mismatch"


def test_the_code_goes_to_the_server_that_the_offer_names_and_to_no_other(bench: Any) -> None:
    first, named = "https://first.example", "https://named.example"
    metadata = msgspec.structs.replace(bench.world.metadata, authorization_servers=(first, named))
    bench.world.handlers[METADATA] = answering(200, issuer_metadata_json(metadata))

    def accepted(server: str) -> str:
        grant = offer.PreAuthorizedGrant(code="code-1", authorization_server=server)
        uri = offer.uri_by_value(msgspec.structs.replace(bench.world.offer, pre_authorized=grant))
        with pytest.raises(SafeconductError) as error:
            bench.run(lambda wallet: wallet.accept(uri))
        return error.value.code

    bench.world.handlers["GET named.example/.well-known/oauth-authorization-server"] = answering(404, {})
    assert accepted(named) == "issuer_metadata_missing"
    assert bench.world.sent[-1].url.startswith(named)
    assert accepted("https://foreign.example") == "authorization_server_unknown"
    assert not any("foreign.example" in sent.url or first in sent.url for sent in bench.world.sent)


@pytest.mark.parametrize("inside", ["https://127.0.0.1:6379/x", "https://localhost/x", "https://[::1]/x"])
def test_an_issuer_elsewhere_cannot_send_the_wallet_to_this_machine(bench: Any, inside: str) -> None:
    metadata = msgspec.structs.replace(bench.world.metadata, nonce_endpoint=inside)
    bench.world.handlers[METADATA] = answering(200, issuer_metadata_json(metadata))
    assert refused(bench) == "url_points_inward"
    del bench.world.handlers[METADATA]
    server = {
        "issuer": "https://issuer.example/tenant",
        "token_endpoint": inside,
        "grant_types_supported": ["urn:ietf:params:oauth:grant-type:pre-authorized_code"],
        "dpop_signing_alg_values_supported": ["ES256"],
    }
    bench.world.handlers["GET issuer.example/.well-known/oauth-authorization-server/tenant"] = answering(
        200, server
    )
    assert refused(bench) == "url_points_inward"


def test_an_issuer_without_a_usable_key_is_refused(bench: Any) -> None:
    bench.world.handlers["GET issuer.example/.well-known/jwt-vc-issuer/tenant"] = answering(
        200, {"issuer": "https://issuer.example/tenant", "jwks": {"keys": [{"kty": "oct", "k": "AA"}]}}
    )
    assert refused(bench) == "issuer_keys_missing"


def test_an_issuer_that_does_not_describe_itself_is_refused(bench: Any) -> None:
    bench.world.handlers[METADATA] = answering(404, {})
    assert refused(bench) == "issuer_metadata_missing"


def test_an_offer_of_several_credentials_needs_a_choice(bench: Any) -> None:
    made = offer.CredentialOffer(
        credential_issuer="https://issuer.example/tenant",
        credential_configuration_ids=("identity", "diploma"),
        pre_authorized=offer.PreAuthorizedGrant(code="code-1"),
    )
    uri = offer.uri_by_value(made)
    for arguments, code in (
        ({}, "configuration_ambiguous"),
        ({"configuration": "x"}, "configuration_not_offered"),
    ):
        with pytest.raises(SafeconductError) as error:
            bench.run(lambda wallet, given=arguments: wallet.accept(uri, **given))
        assert error.value.code == code
    assert bench.run(lambda wallet: wallet.accept(uri, configuration="identity")).configuration == "identity"


def test_an_offer_that_wants_a_login_needs_a_server_that_has_one(bench: Any) -> None:
    made = offer.CredentialOffer(
        credential_issuer="https://issuer.example/tenant",
        credential_configuration_ids=("identity",),
        authorization_code=offer.AuthorizationCodeGrant(issuer_state="state"),
    )
    with pytest.raises(SafeconductError) as error:
        bench.run(lambda wallet: wallet.accept(offer.uri_by_value(made)))
    assert error.value.code == "code_flow_not_offered"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("invalid_grant", "grant_refused"),
        ("invalid_client", "client_refused"),
        ("server_error", "issuer_unwilling"),
        ("use_dpop_nonce", "issuer_unwilling"),
    ],
)
def test_what_the_token_endpoint_refuses_is_told(bench: Any, error: str, code: str) -> None:
    bench.world.handlers["POST issuer.example/tenant/token"] = answering(
        400, {"error": error}, dpop_nonce="nonce-x"
    )
    assert refused(bench) == code
    assert len(bench.world.to("/token")) == (2 if error == "use_dpop_nonce" else 1)


# The credential.


def _expire(world: Any) -> None:
    world.issued_at = 1_799_000_000
    world.claims["exp"] = 1_799_990_000


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (
            lambda world: setattr(world, "published_key", Key.generate("ES256", kid="signing").public),
            "signature_invalid",
        ),
        (lambda world: setattr(world, "holder", Key.generate("ES256").public), "holder_key_mismatch"),
        (lambda world: world.claims.update(vct="https://issuer.example/other"), "credential_type_foreign"),
        (_expire, "expired"),
        (lambda world: setattr(world, "spent", True), "credential_spent"),
    ],
    ids=["foreign signature", "foreign holder", "foreign type", "expired", "spent"],
)
def test_a_credential_that_does_not_stand_every_check_is_not_kept(bench: Any, spoil: Any, code: str) -> None:
    spoil(bench.world)
    assert refused(bench) == code


def test_a_credential_that_ends_later_than_a_database_can_hold_is_kept(bench: Any) -> None:
    bench.world.claims["exp"] = 2**64 - 1
    accepted = accept(bench)
    assert accepted.expires == 2**53
    assert held(bench) == (accepted,)


def test_a_credential_of_another_issuer_is_not_kept(bench: Any) -> None:
    bench.world.claims["iss"] = "https://other.example"
    assert refused(bench) == "issuer_unknown"


def test_a_plain_answer_to_an_encrypted_request_is_refused(bench: Any) -> None:
    bench.world.handlers[CREDENTIAL] = answering(200, {"credentials": [{"credential": "AA"}]})
    assert refused(bench) == "response_not_encrypted"


def test_an_answer_encrypted_to_another_key_is_refused(bench: Any) -> None:
    sealed = jwe.encrypt(b"{}", recipient=AgreementKey.generate("P-256", kid="x").public, enc="A256GCM")
    bench.world.handlers[CREDENTIAL] = answering(200, sealed.encode(), "application/jwt")
    assert refused(bench) == "jwe_rejected"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("credential_request_denied", "credential_denied"),
        ("invalid_nonce", "nonce_refused"),
        ("invalid_token", "token_refused"),
        ("whatever", "issuer_unwilling"),
    ],
)
def test_what_the_credential_endpoint_refuses_is_told(bench: Any, error: str, code: str) -> None:
    bench.world.handlers[CREDENTIAL] = answering(400, {"error": error})
    assert refused(bench) == code


def test_a_deferred_credential_is_not_waited_for(bench: Any) -> None:
    bench.world.payload = json.dumps({"transaction_id": "later", "interval": 5})
    assert refused(bench) == "deferred_unsupported"


@pytest.mark.parametrize("text", ["AA", "not base64url!", "", "0oRTpA"])
def test_a_credential_that_is_none_is_refused(bench: Any, text: str) -> None:
    bench.world.payload = json.dumps({"credentials": [{"credential": text}]})
    assert refused(bench) != ""


def test_more_credentials_than_keys_are_refused(bench: Any) -> None:
    bench.world.payload = json.dumps({"credentials": [{"credential": "AA"}, {"credential": "AA"}]})
    assert refused(bench) == "response_too_many"


@pytest.mark.parametrize(
    ("attribute", "value", "code"),
    [
        ("format", "mso_mdoc", "format_unsupported"),
        ("proof_algorithms", ("unheard-of",), "proof_algorithm_unsupported"),
        ("dpop_algorithms", ("RS256",), "dpop_unsupported"),
        ("enc_values", ("A128CBC-HS256",), "encryption_unsupported"),
    ],
)
def test_what_the_wallet_cannot_do_is_told(bench: Any, attribute: str, value: Any, code: str) -> None:
    setattr(bench.world, attribute, value)
    assert refused(bench) == code


# Nonces and challenges.


def test_the_issuer_s_own_challenge_is_answered_once(bench: Any) -> None:
    bench.world.handlers["POST issuer.example/tenant/nonce"] = answering(200, {"c_nonce": "c-nonce-1"})
    bench.world.challenge_first = False
    accept(bench)
    assert len(bench.world.to("tenant/credential")) == 2


def test_a_second_challenge_in_a_row_ends_it(bench: Any) -> None:
    bench.world.handlers[CREDENTIAL] = answering(401, {"error": "use_dpop_nonce"}, dpop_nonce="nonce-y")
    assert refused(bench) == "issuer_unwilling"
    assert len(bench.world.to("tenant/credential")) == 2


def test_a_challenge_through_the_wallet_server_is_not_believed(bench: Any) -> None:
    bench.world.handlers[FORWARD] = answering(401, {"error": "use_dpop_nonce"}, dpop_nonce="invented")
    accept(bench, **VIA)
    assert codes(bench) == ["challenge_not_believed"]
    [given] = bench.world.to("/forward/credential")
    [used] = bench.world.to("tenant/credential")
    assert given.headers["DPoP"] != used.headers["DPoP"]
    assert given.body != used.body
    nonces = [
        json.loads_object(b64.decode(sent.headers["DPoP"].split(".")[1]))["nonce"] for sent in (given, used)
    ]
    assert "invented" not in nonces


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (answering(500, {}), "forwarding_failed"),
        (answering(400, {"error": "invalid_nonce"}), "forwarding_failed"),
        (answering(200, {"credentials": [{"credential": "AA"}]}), "response_not_encrypted"),
        (answering(200, b"a.b.c.d.e", "application/jwt"), "jwe_rejected"),
    ],
)
def test_what_a_wallet_server_makes_up_is_reported_and_the_issuer_is_asked(
    bench: Any, handler: Any, code: str
) -> None:
    bench.world.handlers[FORWARD] = handler
    accept(bench, **VIA)
    assert codes(bench) == [code]


def test_a_wallet_server_that_cannot_be_reached_is_reported_and_the_issuer_is_asked(bench: Any) -> None:
    def unreachable(*_: Any) -> Any:
        raise Unreachable("fetch_failed", "The server could not be reached.")

    bench.world.handlers["POST wallet-server.example/sessions"] = unreachable
    accept(bench, **VIA)
    assert codes(bench) == ["fetch_failed"]


@pytest.mark.parametrize(
    ("via", "code"),
    [
        ("http://wallet-server.example", "url_not_https"),
        ("https://wallet-server.example?x=y", "identifier_has_query"),
        ("wallet-server", "url_malformed"),
    ],
)
def test_an_address_that_is_no_wallet_server_s_is_refused_before_anything_is_sent(
    bench: Any, via: str, code: str
) -> None:
    assert refused(bench, via=via) == code
    assert bench.world.sent == []


def test_a_wallet_server_that_refuses_a_session_is_reported(bench: Any) -> None:
    bench.world.handlers["POST wallet-server.example/sessions"] = answering(429, {})
    accept(bench, **VIA)
    assert codes(bench) == ["session_refused"]


def test_a_session_that_cannot_be_closed_costs_nothing(bench: Any) -> None:
    def unreachable(*_: Any) -> Any:
        raise Unreachable("fetch_failed", "The server could not be reached.")

    bench.world.handlers["DELETE wallet-server.example/sessions"] = unreachable
    accept(bench, **VIA)
    assert codes(bench) == []


def test_a_credential_that_the_wallet_server_keeps_back_is_told(bench: Any) -> None:
    def keep_back(world: Any, _url: str, headers: Any, body: bytes) -> Response:
        world.issue(headers, body)
        return Response(500, {}, b"")

    bench.world.handlers[FORWARD] = keep_back
    assert refused(bench, **VIA) == "credential_withheld"
    assert codes(bench) == ["forwarding_failed"]


def test_a_token_without_an_identifier_is_not_for_a_wallet_server(bench: Any) -> None:
    bench.world.names_identifiers = False
    assert refused(bench, **VIA) == "authorization_details_missing"
    assert bench.world.to(SERVER) == []


def test_a_token_without_an_identifier_is_good_for_the_configuration_directly(bench: Any) -> None:
    bench.world.names_identifiers = False
    accept(bench)
    [received] = bench.world.requests_seen
    assert received.request.credential_configuration_id == "identity"


# Lost answers.


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_request_that_the_issuer_cannot_answer_now_is_kept(bench: Any, status: int) -> None:
    bench.world.handlers[CREDENTIAL] = answering(status, {})
    assert refused(bench) == "issuer_unavailable"
    [waiting] = bench.run(lambda wallet: wallet.pending())
    del bench.world.handlers[CREDENTIAL]
    [resumed] = bench.run(lambda wallet: wallet.resume())
    assert resumed.id == waiting.id
    assert held(bench) == (resumed,)


def test_a_request_that_the_issuer_refused_is_forgotten(bench: Any) -> None:
    bench.world.handlers[CREDENTIAL] = answering(400, {"error": "credential_request_denied"})
    assert refused(bench) == "credential_denied"
    assert bench.run(lambda wallet: wallet.pending()) == ()


def test_the_holder_keys_of_a_repeated_request_are_the_same_and_all_else_is_new(bench: Any) -> None:
    bench.world.handlers[FORWARD] = answering(500, {})
    accept(bench, **VIA)
    [through] = bench.world.to("/forward/credential")
    [directly] = bench.world.to("tenant/credential")
    assert through.headers["DPoP"] != directly.headers["DPoP"]
    assert through.body != directly.body
    received = encryption.receive_request(
        through.body,
        content_type="application/jwt",
        encryption=encryption.IssuerEncryption(
            request=bench.world.metadata.request_encryption,
            response=bench.world.metadata.response_encryption,
            keys={"encryption": bench.world.encryption_key},
        ),
        sender=encryption.Sender(
            audience="https://issuer.example/tenant",
            access_token="token-1",
            key=bench.world.proofs_seen[0].key,
        ),
        batch_size=1,
        now=1_800_000_000,
    )
    [answered] = bench.world.requests_seen
    keys = [
        json.loads_object(b64.decode(each.request.proofs.values[0].split(".")[0]))["jwk"]
        for each in (received, answered)
    ]
    assert keys[0] == keys[1]
    assert received.request.response.key != answered.request.response.key


# What a wallet server says about an issuer.


def certified(bench: Any) -> tuple[Any, Any]:
    root = pki.Authority.root()
    chain = root.chain(bench.world.signing_key, uris=("https://issuer.example/tenant",))
    bench.run(
        lambda wallet: wallet.trust("https://issuer.example/tenant", certificates=[pki.pem(root.certificate)])
    )
    return root, chain


def passing(bench: Any, signer: Any, chain: Any, **arguments: Any) -> None:
    """Let the wallet server hand out signed metadata, with an encryption key of its own in it."""
    false = AgreementKey.generate("P-256", kid="false").public
    about = bench.world.metadata
    request = msgspec.structs.replace(about.request_encryption, keys=(false,))
    text = signed_metadata.sign_metadata(
        issuer_metadata_json(msgspec.structs.replace(about, request_encryption=request)),
        signer=signer,
        credential_issuer="https://issuer.example/tenant",
        now=1_800_000_000,
        chain=chain,
        **arguments,
    )
    bench.world.handlers["GET wallet-server.example/metadata"] = answering(
        200, text.encode(), "application/jwt"
    )


@pytest.mark.parametrize(
    ("signed_by", "lifetime", "code"),
    [("itself", 60, "x5c_untrusted"), ("the issuer", None, "metadata_endless")],
)
def test_metadata_through_a_wallet_server_that_is_not_vouched_for_is_reported_and_not_used(
    bench: Any, signed_by: str, lifetime: int | None, code: str
) -> None:
    _, chain = certified(bench)
    signer = bench.world.signing_key
    if signed_by == "itself":
        signer = Key.generate("ES256")
        chain = pki.Authority.root().chain(signer, uris=("https://issuer.example/tenant",))
    passing(bench, signer, chain, lifetime=lifetime)
    # The credential is an SD-CWT, which carries no certificates: what matters here is whose key was used.
    assert refused(bench, **VIA) == "issuer_unknown"
    assert codes(bench)[0] == code
    assert bench.world.to(METADATA.partition(" ")[2])
    assert bench.world.requests_seen


# Rubbish.

_PLACES = [
    METADATA,
    "GET issuer.example/.well-known/oauth-authorization-server/tenant",
    "GET issuer.example/.well-known/jwt-vc-issuer/tenant",
    "POST issuer.example/tenant/token",
    "POST issuer.example/tenant/nonce",
    CREDENTIAL,
]
_BODIES = st.one_of(
    st.binary(max_size=64),
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["keys", "jwks", "issuer", "credential_issuer", "access_token", "c_nonce", "x"]
                ),
                inner,
                max_size=4,
            )
        ),
    ).map(json.dumps),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(_PLACES), status=st.sampled_from([200, 400]), body=_BODIES)
def test_rubbish_from_an_issuer_is_a_safeconduct_error(
    bench: Any, place: str, status: int, body: bytes
) -> None:
    bench.world.handlers = {place: answering(status, body)}
    bench.world.spent = False
    with pytest.raises(SafeconductError):
        accept(bench)


@pytest.mark.parametrize(
    "uri", ["", "x", "openid-credential-offer://?credential_offer=%7B", "https://[", "a" * 99999]
)
def test_rubbish_for_an_offer_is_a_safeconduct_error(bench: Any, uri: str) -> None:
    with pytest.raises(SafeconductError):
        bench.run(lambda wallet: wallet.accept(uri))


def test_no_repr_shows_a_secret(bench: Any) -> None:
    accepted = credential_of(bench, accept(bench))
    shown = bench.run(lambda wallet: wallet.show(accepted.held.id))
    assert "Erika" not in repr(shown)
    assert "Erika" not in repr(accepted)
