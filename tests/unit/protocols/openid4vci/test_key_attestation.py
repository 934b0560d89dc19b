"""A key attestation is a trusted party's word on where keys live, at the level demanded, for this nonce."""

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
from safeconduct.protocols import wire
from safeconduct.protocols.openid4vci import key_attestation as attestations
from safeconduct.protocols.openid4vci.errors import InvalidNonce, InvalidProof
from safeconduct.protocols.openid4vci.key_attestation import KeyAttestation, KeyAttestationsRequired
from safeconduct.trust import Trust

NOW = 1_800_000_000
MAKER = "https://maker.example"
ATTESTER, OTHER = Key.generate("ES256", kid="a1"), Key.generate("ES256")
FIRST, SECOND = Key.generate("ES256"), Key.generate("Ed25519")
ROOT = Authority.root()
X5C = x509.to_x5c(ROOT.chain(ATTESTER))
HIGH, BASIC = attestations.LEVELS[0], attestations.LEVELS[-1]


def attest(header: dict[str, Any] | None = None, *, signer: Key = ATTESTER, **claims: Any) -> str:
    """An attestation with members replaced, or left out where None."""
    members = {
        "iat": NOW,
        "exp": NOW + 60,
        "nonce": "n",
        "attested_keys": [FIRST.public.to_jwk(), {**SECOND.public.to_jwk(), "kid": "second"}],
        "key_storage": [HIGH],
        "user_authentication": [BASIC],
    } | claims
    head = {"typ": "key-attestation+jwt", "x5c": X5C} | (header or {})
    return jws.sign(json.dumps(_present(members)), signer=signer, header=_present(head))


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def verify(text: str, **changes: Any) -> KeyAttestation:
    arguments: dict[str, Any] = {
        "trust": Trust.certified(ROOT.certificate),
        "now": NOW,
        "nonce_ok": lambda nonce: nonce == "n",
        "required": None,
        "expiry_required": True,
    }
    return attestations.verify_key_attestation(text, **arguments | changes)


def refused(text: str, code: str, kind: type[SafeconductError] = InvalidProof, **changes: Any) -> None:
    with pytest.raises(kind) as caught:
        verify(text, **changes)
    assert caught.value.code == code
    assert type(caught.value) is kind


def test_an_attestation_gives_its_keys_and_levels_in_order() -> None:
    status = {"status_list": {"idx": 3, "uri": "https://s.example"}}
    attested = verify(attest(certification="https://maker.example/c", status=status, unknown=1))

    assert attested.keys == (FIRST.public, SECOND.public)
    assert [key.kid for key in attested.keys] == [None, None]
    assert attested.kids == (None, "second")
    assert (attested.key_storage, attested.user_authentication) == ((HIGH,), (BASIC,))
    assert (attested.certification, attested.status) == (("https://maker.example/c",), status)
    assert (attested.nonce, attested.expires, attested.issuer) == ("n", NOW + 60, None)
    assert repr(attested) == "<KeyAttestation of 2 keys>"


def test_what_is_created_here_verifies() -> None:
    text = attestations.create_key_attestation(
        attester=ATTESTER,
        keys=[FIRST.public.with_kid("local name"), SECOND.public],
        now=NOW,
        lifetime=60,
        nonce="n",
        chain=ROOT.chain(ATTESTER, uris=[MAKER]),
        issuer=MAKER,
        key_storage=[HIGH],
        user_authentication=[HIGH, BASIC],
        certification=["https://maker.example/c"],
        status={"status_list": {}},
    )
    attested = verify(text)

    assert attested.keys == (FIRST.public, SECOND.public)
    assert attested.kids == (None, None)
    assert (attested.issuer, attested.user_authentication) == (MAKER, (HIGH, BASIC))


def test_an_attestation_may_be_spare() -> None:
    text = attestations.create_key_attestation(attester=ATTESTER, keys=[FIRST.public], now=NOW, lifetime=None)
    trust = Trust.key(ATTESTER.public)
    attested = verify(text, trust=trust, nonce_ok=None, expiry_required=False)

    assert (attested.keys, attested.expires, attested.key_storage) == ((FIRST.public,), None, ())
    refused(text, "key_attestation_exp", trust=trust, nonce_ok=None)


# OIDF oid4vci-1_0-issuer-fail-invalid-key-attestation-signature
def test_an_attestation_with_an_invalid_signature_is_refused() -> None:
    refused(attest(signer=OTHER), "key_attestation_signature")


@pytest.mark.parametrize(
    ("header", "trust", "code"),
    [
        ({}, Trust(), "jwt_signer_unknown"),
        ({}, Trust.of({MAKER: ATTESTER.public}), "jwt_signer_unknown"),
        ({}, Trust.certified(Authority.root("Other").certificate), "x5c_untrusted"),
        ({"x5c": None, "kid": "a1"}, Trust.certified(ROOT.certificate), "jwt_signer_unknown"),
        ({"x5c": [*X5C, *x509.to_x5c([ROOT.certificate])]}, None, "x5c_includes_anchor"),
        ({"x5c": ["AAAA"]}, None, "x5c_malformed"),
        ({"x5c": None, "kid": 1}, None, "jws_malformed"),
    ],
)
def test_only_attesters_who_are_trusted_count(header: dict[str, Any], trust: Trust | None, code: str) -> None:
    refused(attest(header), code, trust=trust or Trust.certified(ROOT.certificate))


@pytest.mark.parametrize("typ", [None, "JWT", "keyattestation+jwt", "openid4vci-proof+jwt"])
def test_a_jwt_of_another_type_is_refused(typ: str | None) -> None:
    refused(attest({"typ": typ}), "jws_type")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iat": None}, "message_malformed"),
        ({"attested_keys": None}, "message_malformed"),
        ({"attested_keys": []}, "message_malformed"),
        ({"attested_keys": {}}, "message_malformed"),
        ({"attested_keys": ["k"]}, "message_malformed"),
        ({"attested_keys": [FIRST.public.to_jwk()] * (limits.BATCH_SIZE + 1)}, "message_malformed"),
        ({"attested_keys": [FIRST.public.to_jwk()] * 2}, "key_attestation_key_repeated"),
        ({"attested_keys": [FIRST.to_jwk(private=True)]}, "private_key_where_public_expected"),
        ({"attested_keys": [{"kty": "RSA", "n": "AQ", "e": "AQAB"}]}, "key_unsupported"),
        ({"attested_keys": [{**FIRST.public.to_jwk(), "use": "enc"}]}, "key_use_mismatch"),
        ({"key_storage": []}, "message_malformed"),
        ({"key_storage": HIGH}, "message_malformed"),
        ({"user_authentication": [1]}, "message_malformed"),
        ({"exp": NOW - limits.PROOF_LEEWAY}, "jwt_expired"),
        ({"exp": None}, "key_attestation_exp"),
        ({"nbf": NOW + limits.PROOF_LEEWAY + 1}, "jwt_not_yet_valid"),
        ({"iat": NOW + limits.PROOF_LEEWAY + 1}, "iat_in_future"),
        ({"nonce": None}, "key_attestation_nonce_missing"),
    ],
)
def test_an_attestation_that_breaks_its_rules_is_refused(claims: dict[str, Any], code: str) -> None:
    refused(attest(**claims), code)


def test_an_expired_attestation_is_refused_also_where_none_needs_to_expire() -> None:
    refused(attest(exp=NOW - limits.PROOF_LEEWAY), "jwt_expired", expiry_required=False)


@pytest.mark.parametrize("nonce", ["", "old", "n" * (limits.NONCE_CHARS + 1)])
def test_a_nonce_that_is_not_current_is_an_invalid_nonce(nonce: str) -> None:
    refused(
        attest(nonce=nonce),
        "key_attestation_nonce_stale",
        InvalidNonce,
        nonce_ok=lambda value: len(value) > 400,
    )


def test_a_bad_signature_is_an_invalid_proof_even_with_a_stale_nonce() -> None:
    refused(attest(signer=OTHER, nonce="old"), "key_attestation_signature")


@pytest.mark.parametrize(
    "required",
    [
        KeyAttestationsRequired(),
        KeyAttestationsRequired(key_storage=(HIGH,)),
        KeyAttestationsRequired(key_storage=(BASIC, HIGH), user_authentication=(BASIC,)),
    ],
)
def test_one_of_the_demanded_levels_suffices(required: KeyAttestationsRequired) -> None:
    assert verify(attest(), required=required)


@pytest.mark.parametrize(
    ("required", "claims"),
    [
        (KeyAttestationsRequired(key_storage=(BASIC,)), {}),
        (KeyAttestationsRequired(key_storage=(HIGH,), user_authentication=(HIGH,)), {}),
        (KeyAttestationsRequired(key_storage=(HIGH,)), {"key_storage": None}),
        (KeyAttestationsRequired(user_authentication=(BASIC,)), {"user_authentication": None}),
    ],
)
def test_another_level_than_demanded_is_refused(
    required: KeyAttestationsRequired, claims: dict[str, Any]
) -> None:
    refused(attest(**claims), "key_attestation_level", required=required)


def test_demands_are_written_as_metadata_has_them() -> None:
    members = {"key_storage": [HIGH, BASIC]}
    demands = wire.read(members, KeyAttestationsRequired, what="Demands")

    assert demands == KeyAttestationsRequired(key_storage=(HIGH, BASIC))
    assert wire.plain(demands) == {"key_storage": (HIGH, BASIC)}
    assert wire.plain(KeyAttestationsRequired()) == {}


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ({"jwk": FIRST.public.to_jwk()}, FIRST),
        ({"kid": "0"}, FIRST),
        ({"kid": "1"}, SECOND),
        ({"kid": "second"}, SECOND),
    ],
)
def test_a_proof_names_its_key_among_the_attested_ones(header: dict[str, Any], key: Key) -> None:
    assert verify(attest()).key_named(header) == key.public


@pytest.mark.parametrize(
    "header", [{}, {"jwk": OTHER.public.to_jwk()}, {"kid": "2"}, {"kid": "-1"}, {"kid": 0}, {"kid": "third"}]
)
def test_a_proof_by_a_key_that_is_not_attested_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(InvalidProof) as caught:
        verify(attest()).key_named(header)
    assert caught.value.code == "proof_key_not_attested"


def test_a_request_holds_one_attestation() -> None:
    assert attestations.single_attestation(["a"]) == "a"
    for proofs in ([], ["a", "b"]):
        with pytest.raises(InvalidProof) as caught:
            attestations.single_attestation(proofs)
        assert caught.value.code == "key_attestation_repeated"


def test_an_oversized_attestation_is_refused() -> None:
    refused("a" * (limits.JWT_BYTES + 1), "jws_too_large")


@given(st.text() | st.builds(lambda *parts: ".".join(map(b64.encode, parts)), *[st.binary(max_size=40)] * 3))
def test_any_text_as_an_attestation_is_an_invalid_proof(text: str) -> None:
    with pytest.raises(InvalidProof):
        verify(text)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**19), 10**19) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["iss", "exp", "iat", "nbf", "attested_keys", "key_storage", "status", "nonce"]), values
)
def test_any_value_of_a_member_is_taken_or_a_safeconduct_error(name: str, value: Any) -> None:
    read_or_refused(lambda: verify(attest(**{name: value})), KeyAttestation)
