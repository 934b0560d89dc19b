"""Client authentication by attestation: an attester's word for the client, and the instance's own proof."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pki import Authority
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct.crypto import x509
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.envelope import jws
from safeconduct.errors import SafeconductError
from safeconduct.protocols.oauth import client_attestation as attestations
from safeconduct.protocols.oauth import dpop
from safeconduct.protocols.oauth.client_attestation import ClientAttestation
from safeconduct.protocols.oauth.errors import InvalidClient, UseAttestationChallenge, error_body
from safeconduct.trust import Trust

NOW = 1_800_000_000
SERVER, CLIENT, PROVIDER = "https://as.example", "wallet", "https://wallets.example"
ATTESTER, INSTANCE, OTHER = Key.generate("ES256", kid="a1"), Key.generate("ES256"), Key.generate("ES256")
ROOT = Authority.root()
CHAIN = ROOT.chain(ATTESTER, uris=[PROVIDER])
TRUST = Trust.of({PROVIDER: ATTESTER.public})


def attest(header: dict[str, Any] | None = None, *, signer: Key = ATTESTER, **claims: Any) -> str:
    """An attestation with members replaced, or left out where None."""
    members = {
        "iss": PROVIDER,
        "sub": CLIENT,
        "iat": NOW - 60,
        "exp": NOW + 60,
        "cnf": {"jwk": INSTANCE.public.to_jwk()},
    } | claims
    head = {"typ": "oauth-client-attestation+jwt", "kid": "a1"} | (header or {})
    return jws.sign(json.dumps(_present(members)), signer=signer, header=_present(head))


def prove(header: dict[str, Any] | None = None, *, key: Key = INSTANCE, **claims: Any) -> str:
    """A proof of possession with members replaced, or left out where None."""
    members = {"iss": CLIENT, "aud": SERVER, "jti": "j", "iat": NOW, "challenge": "c"} | claims
    head = {"typ": "oauth-client-attestation-pop+jwt"} | (header or {})
    return jws.sign(json.dumps(_present(members)), signer=key, header=_present(head))


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


ATTESTATION, POP = attest(), prove()


def verify(attestation: str = ATTESTATION, pop: str = POP, **changes: Any) -> ClientAttestation:
    arguments: dict[str, Any] = {
        "trust": TRUST,
        "audience": SERVER,
        "now": NOW,
        "client_id": CLIENT,
        "challenge_ok": lambda challenge: challenge == "c",
    }
    return attestations.verify_client_attestation(attestation, pop, **arguments | changes)


def refused(
    attestation: str,
    pop: str,
    code: str,
    kind: type[SafeconductError] = InvalidClient,
    **changes: Any,
) -> None:
    with pytest.raises(kind) as caught:
        verify(attestation, pop, **changes)
    assert caught.value.code == code
    assert type(caught.value) is kind


def test_a_client_is_who_a_trusted_attester_says() -> None:
    status = {"status_list": {"idx": 1, "uri": "https://s.example"}}
    client = verify(
        attest(wallet_name="Wallet", wallet_link="https://wallets.example/app", status=status, unknown=1)
    )

    assert (client.client_id, client.issuer, client.key) == (CLIENT, PROVIDER, INSTANCE.public)
    assert client.thumbprint == dpop.thumbprint(INSTANCE.public)
    assert (client.wallet_name, client.wallet_link) == ("Wallet", "https://wallets.example/app")
    assert client.status == status
    assert (client.jti, client.expires) == ("j", NOW + 60)
    assert client.pop_expires == NOW + limits.PROOF_MAX_AGE + 1
    assert CLIENT not in repr(client)


@pytest.mark.parametrize("algorithm", ["ES256", "ESP384", "Ed25519"])
def test_what_is_created_here_verifies(algorithm: str) -> None:
    key = Key.generate(algorithm, kid="local name")
    attestation = attestations.create_attestation(
        attester=ATTESTER,
        client_id=CLIENT,
        key=key.public,
        now=NOW,
        lifetime=3600,
        chain=CHAIN,
        issuer=PROVIDER,
        wallet_name="Wallet",
        status={"status_list": {}},
    )
    pop = attestations.create_pop(key=key, client_id=CLIENT, audience=SERVER, now=NOW, challenge="c")

    client = verify(attestation, pop, trust=Trust.certified(ROOT.certificate))

    assert (client.key, client.expires) == (key.public, NOW + 3600)
    assert len(b64.decode(client.jti)) == 16
    assert "local name" not in str(jws.parse(attestation).payload)


def test_an_attester_without_certificates_is_named_by_its_kid() -> None:
    text = attestations.create_attestation(
        attester=ATTESTER, client_id=CLIENT, key=INSTANCE.public, now=NOW, lifetime=60, issuer=PROVIDER
    )

    assert jws.parse(text).header["kid"] == "a1"
    assert verify(text).issuer == PROVIDER


# OIDF oid4vci-1_0-issuer-fail-invalid-client-attestation-signature
def test_an_attestation_with_an_invalid_signature_is_refused() -> None:
    refused(attest(signer=OTHER), POP, "client_attestation_signature")


# OIDF oid4vci-1_0-issuer-fail-invalid-client-attestation-pop-signature
def test_a_proof_with_an_invalid_signature_is_refused() -> None:
    parts = POP.split(".")
    garbled = parts[2][:-2] + ("AA" if parts[2][-2:] != "AA" else "BA")

    refused(ATTESTATION, ".".join((*parts[:2], garbled)), "client_attestation_pop_signature")


# OIDF oid4vci-1_0-issuer-fail-client-attestation-exp-in-past
def test_an_attestation_that_has_expired_is_refused() -> None:
    assert verify(attest(exp=NOW - limits.PROOF_LEEWAY + 1))
    refused(attest(exp=NOW - limits.PROOF_LEEWAY), POP, "jwt_expired")


# OIDF oid4vci-1_0-issuer-fail-client-attestation-no-sub
def test_an_attestation_without_sub_is_refused() -> None:
    refused(attest(sub=None), POP, "message_malformed")


# OIDF oid4vci-1_0-issuer-fail-client-attestation-pop-wrong-aud
@pytest.mark.parametrize(
    "aud", ["https://other.example", f"{SERVER}/", "", [], [SERVER, "https://other.example"]]
)
def test_a_proof_for_another_server_is_refused(aud: Any) -> None:
    refused(ATTESTATION, prove(aud=aud), "client_attestation_pop_aud")


# OIDF oid4vci-1_0-issuer-fail-mismatched-client-attestation-pop-key
def test_a_proof_by_another_key_than_the_attested_one_is_refused() -> None:
    refused(ATTESTATION, prove(key=OTHER), "client_attestation_pop_signature")
    refused(ATTESTATION, prove({"jwk": OTHER.public.to_jwk()}, key=OTHER), "client_attestation_pop_signature")


def test_an_audience_may_stand_alone_in_an_array() -> None:
    assert verify(pop=prove(aud=[SERVER]))


def test_the_error_is_invalid_client_with_401() -> None:
    with pytest.raises(InvalidClient) as caught:
        verify(attest(signer=OTHER))
    assert error_body(caught.value)["error"] == "invalid_client"
    assert caught.value.http_status == 401


@pytest.mark.parametrize(
    ("trust", "code"),
    [
        (Trust(), "jwt_signer_unknown"),
        (Trust.of({"https://other.example": ATTESTER.public}), "jwt_signer_unknown"),
        (Trust.of({PROVIDER: OTHER.public.with_kid("a1")}), "client_attestation_signature"),
    ],
)
def test_only_attesters_who_are_trusted_count(trust: Trust, code: str) -> None:
    refused(ATTESTATION, POP, code, trust=trust)


def test_certificates_decide_where_anchors_apply() -> None:
    trust, foreign = Trust.certified(ROOT.certificate), Authority.root("Other").chain(ATTESTER)

    assert verify(attest({"x5c": x509.to_x5c(CHAIN)}), trust=trust).issuer == PROVIDER
    assert verify(attest({"x5c": x509.to_x5c(CHAIN)}, iss=None), trust=trust).issuer is None
    refused(attest({"x5c": x509.to_x5c(foreign)}), POP, "x5c_untrusted", trust=trust)
    refused(attest({"x5c": x509.to_x5c(ROOT.chain(ATTESTER))}), POP, "x5c_name_mismatch", trust=trust)
    refused(
        attest({"x5c": x509.to_x5c(CHAIN)}, signer=OTHER), POP, "client_attestation_signature", trust=trust
    )
    with_root = x509.to_x5c([*CHAIN, ROOT.certificate])
    refused(attest({"x5c": with_root}), POP, "x5c_includes_anchor", trust=trust)
    refused(attest({"x5c": "AAAA"}), POP, "x5c_malformed", trust=trust)


@pytest.mark.parametrize("typ", [None, "JWT", "oauth-client-attestation-pop+jwt"])
def test_an_attestation_is_typed(typ: str | None) -> None:
    refused(attest({"typ": typ}), POP, "jws_type")


@pytest.mark.parametrize("typ", [None, "JWT", "oauth-client-attestation+jwt"])
def test_a_proof_is_typed(typ: str | None) -> None:
    refused(ATTESTATION, prove({"typ": typ}), "jws_type")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": None}, "message_malformed"),
        ({"cnf": None}, "message_malformed"),
        ({"cnf": {"kid": "k"}}, "message_malformed"),
        ({"cnf": {"jwk": "k"}}, "message_malformed"),
        ({"cnf": {"jwk": {"kty": "RSA", "n": "AQ", "e": "AQAB"}}}, "key_unsupported"),
        ({"cnf": {"jwk": INSTANCE.to_jwk(private=True)}}, "private_key_where_public_expected"),
        ({"cnf": {"jwk": {**INSTANCE.public.to_jwk(), "use": "enc"}}}, "key_use_mismatch"),
        ({"sub": ""}, "message_malformed"),
        ({"sub": 1}, "message_malformed"),
        ({"sub": "w" * (limits.CODE_CHARS + 1)}, "message_malformed"),
        ({"nbf": NOW + limits.PROOF_LEEWAY + 1}, "jwt_not_yet_valid"),
        ({"iat": NOW + limits.PROOF_LEEWAY + 1}, "iat_in_future"),
    ],
)
def test_an_attestation_that_breaks_its_rules_is_refused(claims: dict[str, Any], code: str) -> None:
    refused(attest(**claims), POP, code)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": None}, "message_malformed"),
        ({"jti": None}, "message_malformed"),
        ({"iat": None}, "message_malformed"),
        ({"jti": ""}, "client_attestation_jti"),
        ({"jti": "j" * (limits.JTI_CHARS + 1)}, "client_attestation_jti"),
        ({"iat": NOW - limits.PROOF_MAX_AGE - 1}, "iat_too_old"),
        ({"iat": NOW + limits.PROOF_LEEWAY + 1}, "iat_in_future"),
        ({"exp": NOW - limits.PROOF_LEEWAY}, "jwt_expired"),
        ({"nbf": NOW + limits.PROOF_LEEWAY + 1}, "jwt_not_yet_valid"),
        ({"iss": "other"}, "client_attestation_client_id"),
    ],
)
def test_a_proof_that_breaks_its_rules_is_refused(claims: dict[str, Any], code: str) -> None:
    refused(ATTESTATION, prove(**claims), code)


def test_the_client_of_the_request_is_the_attested_one() -> None:
    assert verify(client_id=None).client_id == CLIENT
    assert verify(pop=prove(iss=None)).client_id == CLIENT
    refused(ATTESTATION, POP, "client_attestation_client_id", client_id="other")


@pytest.mark.parametrize("alg", ["none", "HS256", "RS256"])
def test_an_algorithm_that_is_not_asymmetric_is_refused(alg: str) -> None:
    def renamed(text: str) -> str:
        header, payload, signature = text.split(".")
        members = json.loads_object(b64.decode(header)) | {"alg": alg}
        return f"{b64.encode(json.dumps(members))}.{payload}.{signature}"

    refused(renamed(ATTESTATION), POP, "algorithm_unsupported")
    refused(ATTESTATION, renamed(POP), "algorithm_unsupported")


def test_an_algorithm_that_the_server_does_not_take_is_refused() -> None:
    refused(ATTESTATION, POP, "algorithm_unsupported", algorithms=["Ed25519"])


def test_a_server_without_challenges_asks_for_none() -> None:
    assert verify(challenge_ok=None)
    assert verify(pop=prove(challenge=None), challenge_ok=None)


def test_a_challenge_that_is_missing_or_stale_is_asked_for_again() -> None:
    kind = UseAttestationChallenge
    refused(ATTESTATION, prove(challenge=None), "client_attestation_challenge_missing", kind)
    refused(ATTESTATION, prove(challenge="old"), "client_attestation_challenge_stale", kind)
    refused(
        ATTESTATION,
        prove(challenge="c" * (limits.NONCE_CHARS + 1)),
        "client_attestation_challenge_stale",
        kind,
        challenge_ok=lambda _: True,
    )
    assert (kind.oauth_error, kind.http_status) == ("use_attestation_challenge", 400)


def test_a_stale_challenge_says_nothing_about_a_proof_that_is_invalid_anyway() -> None:
    refused(ATTESTATION, prove(key=OTHER, challenge="old"), "client_attestation_pop_signature")


def test_an_oversized_header_is_refused() -> None:
    refused("a" * (limits.PROOF_BYTES + 1), POP, "jws_too_large")
    refused(ATTESTATION, "a" * (limits.PROOF_BYTES + 1), "jws_too_large")


def test_a_request_has_one_of_each_header_or_none() -> None:
    assert attestations.single_headers(["a"], ["p"]) == ("a", "p")
    assert attestations.single_headers([], []) is None


@pytest.mark.parametrize(
    ("one", "other"), [(["a"], []), ([], ["p"]), (["a", "a"], ["p"]), (["a"], ["p", "p"]), (["a,b"], ["p"])]
)
def test_a_missing_or_repeated_header_is_refused(one: list[str], other: list[str]) -> None:
    with pytest.raises(InvalidClient) as caught:
        attestations.single_headers(one, other)
    assert caught.value.code == "client_attestation_headers"


def test_a_challenge_is_answered_and_read() -> None:
    body = json.dumps(attestations.challenge_response_json("c"))

    assert attestations.parse_challenge_response(body) == "c"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"attestation_challenge":""}', b'{"attestation_challenge":1}']
)
def test_a_challenge_response_without_a_challenge_is_malformed(body: bytes) -> None:
    with pytest.raises(SafeconductError) as caught:
        attestations.parse_challenge_response(body)
    assert caught.value.code in ("json_malformed", "message_malformed")


@given(st.text() | st.builds(lambda *parts: ".".join(map(b64.encode, parts)), *[st.binary(max_size=40)] * 3))
def test_any_text_in_a_header_is_an_invalid_client(text: str) -> None:
    with pytest.raises(InvalidClient):
        verify(text)
    with pytest.raises(InvalidClient):
        verify(pop=text)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**19), 10**19) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["iss", "sub", "exp", "cnf", "iat", "nbf", "status", "aud", "jti", "challenge"]), values
)
def test_any_value_of_a_member_is_taken_or_a_safeconduct_error(name: str, value: Any) -> None:
    read_or_refused(lambda: verify(attest(**{name: value})), ClientAttestation)
    read_or_refused(lambda: verify(pop=prove(**{name: value})), ClientAttestation)
