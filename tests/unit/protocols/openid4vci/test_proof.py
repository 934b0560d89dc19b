"""A key proof is a typed JWT by the key in its header, for this issuer, now (OpenID4VCI 1.0 F.1, F.4)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import b64, json
from safeconduct.envelope import jws
from safeconduct.errors import SafeconductError
from safeconduct.protocols.openid4vci import proof as proofs
from safeconduct.protocols.openid4vci.configuration import CredentialConfiguration
from safeconduct.protocols.openid4vci.errors import InvalidCredentialRequest, InvalidNonce, InvalidProof
from safeconduct.protocols.openid4vci.key_attestation import KeyAttestationsRequired, create_key_attestation
from safeconduct.protocols.openid4vci.request import CredentialRequest, Proofs
from safeconduct.trust import Trust

NOW = 1_800_000_000
ISSUER = "https://issuer.example"
KEY, OTHER = Key.generate("ES256"), Key.generate("ES256")

# OpenID4VCI 1.0 Appendix F.1
EXAMPLE = (
    "eyJ0eXAiOiJvcGVuaWQ0dmNpLXByb29mK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwiY3J2IjoiUC0yNTYiLCJ4"
    "IjoiblVXQW9BdjNYWml0aDhFN2kxOU9kYXhPTFlGT3dNLVoyRXVNMDJUaXJUNCIsInkiOiJIc2tIVThCalVpMVU5WHFpN1N3bWo4Z3dB"
    "S18weGtjRGpFV183MVNvc0VZIn19.eyJhdWQiOiJodHRwczovL2NyZWRlbnRpYWwtaXNzdWVyLmV4YW1wbGUuY29tIiwiaWF0IjoxNzA"
    "xOTYwNDQ0LCJub25jZSI6IkxhclJHU2JtVVBZdFJZTzZCUTR5bjgifQ.-a3EDsxClUB4O3LeDD5DVGEnNMT01FCQW4P6-2-BNBqc_Zxf0"
    "Qw4CWayLEpqkAomlkLb9zioZoipdP-jvh1WlA"
)


def verify(proof: str, **changes: Any) -> PublicKey:
    arguments: dict[str, Any] = {
        "audience": ISSUER,
        "now": NOW,
        "nonce_ok": lambda nonce: nonce == "n",
        "client_id": None,
        "algorithms": ["ES256"],
    }
    return proofs.verify_proof(proof, **arguments | changes)


def forge(header: dict[str, Any] | None = None, *, key: Key = KEY, **claims: Any) -> str:
    """A proof with members replaced, or left out where None."""
    members = {"aud": ISSUER, "iat": NOW, "nonce": "n"} | claims
    head = {"typ": "openid4vci-proof+jwt", "jwk": KEY.public.to_jwk()} | (header or {})
    return jws.sign(json.dumps(_present(members)), signer=key, header=_present(head))


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def refused(proof: str, code: str, kind: type[SafeconductError] = InvalidProof, **changes: Any) -> None:
    with pytest.raises(kind) as caught:
        verify(proof, **changes)
    assert caught.value.code == code
    assert type(caught.value) is kind


def test_the_example_of_the_specification_is_good_at_its_time() -> None:
    key = verify(
        EXAMPLE,
        audience="https://credential-issuer.example.com",
        now=1701960444,
        nonce_ok=lambda nonce: nonce == "LarRGSbmUPYtRYO6BQ4yn8",
    )

    assert key.to_jwk()["x"] == "nUWAoAv3XZith8E7i19OdaxOLYFOwM-Z2EuM02TirT4"


@pytest.mark.parametrize("algorithm", ["ES256", "ESP256", "ES384", "Ed25519", "ML-DSA-44"])
def test_a_proof_made_here_gives_its_key(algorithm: str) -> None:
    key = Key.generate(algorithm, kid="local name")
    proof = proofs.create_proof(key=key, audience=ISSUER, now=NOW, nonce="n")

    verified = verify(proof, algorithms=[key.algorithm.jose])
    assert verified == key.public
    assert verified.kid is None
    assert "kid" not in jws.parse(proof).header["jwk"]


def test_a_proof_without_a_nonce_is_good_if_there_is_no_nonce_endpoint() -> None:
    proof = proofs.create_proof(key=KEY, audience=ISSUER, now=NOW, nonce=None)

    assert verify(proof, nonce_ok=None) == KEY.public


def test_a_client_may_name_itself_and_only_itself() -> None:
    proof = proofs.create_proof(key=KEY, audience=ISSUER, now=NOW, nonce="n", client_id="wallet")

    assert verify(proof, client_id="wallet") == KEY.public
    assert verify(forge(), client_id="wallet") == KEY.public
    refused(proof, "proof_iss", client_id="other")


def test_a_proof_of_an_anonymous_client_names_none() -> None:
    refused(forge(iss="wallet"), "proof_iss", client_id=None)


@pytest.mark.parametrize("typ", [None, "JWT", "dpop+jwt"])
def test_a_jwt_of_another_type_is_refused(typ: str | None) -> None:
    refused(forge({"typ": typ}), "jws_type")


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": None},
        {"kid": "did:example:1#k"},
        {"x5c": ["AAAA"]},
        {"jwk": None, "kid": "k", "x5c": ["AAAA"]},
    ],
)
def test_a_proof_names_exactly_one_key(header: dict[str, Any]) -> None:
    refused(forge(header), "proof_key_ambiguous")


@pytest.mark.parametrize("header", [{"jwk": None, "kid": "did:example:1#k"}, {"jwk": None, "x5c": ["AAAA"]}])
def test_a_key_that_is_not_given_as_a_jwk_is_unsupported(header: dict[str, Any]) -> None:
    refused(forge(header), "proof_key_kind")


def test_a_private_key_in_the_header_is_refused() -> None:
    refused(forge({"jwk": KEY.to_jwk(private=True)}), "private_key_where_public_expected")


def test_an_encryption_key_in_the_header_is_refused() -> None:
    refused(forge({"jwk": {**KEY.public.to_jwk(), "use": "enc"}}), "key_use_mismatch")


def test_a_signature_by_another_key_is_refused() -> None:
    refused(forge(key=OTHER), "signature_invalid")


@pytest.mark.parametrize("alg", ["none", "HS256"])
def test_an_algorithm_that_is_not_asymmetric_is_refused(alg: str) -> None:
    header, payload, signature = forge().split(".")
    members = json.loads_object(b64.decode(header)) | {"alg": alg}

    proof = f"{b64.encode(json.dumps(members))}.{payload}.{signature}"
    refused(proof, "algorithm_unsupported", algorithms=["ES256", alg])


def test_an_algorithm_that_the_configuration_does_not_name_is_refused() -> None:
    refused(forge(), "algorithm_unsupported", algorithms=["EdDSA"])


@pytest.mark.parametrize("aud", [f"{ISSUER}/", "https://other.example", ""])
def test_a_proof_for_another_issuer_is_refused(aud: str) -> None:
    refused(forge(aud=aud), "proof_aud")


@pytest.mark.parametrize("claim", ["aud", "iat"])
def test_a_proof_without_a_required_claim_is_refused(claim: str) -> None:
    refused(forge(**{claim: None}), "message_malformed")


@pytest.mark.parametrize("claims", [{"aud": [ISSUER]}, {"iat": "1"}, {"nonce": 1}, {"iss": []}])
def test_a_claim_of_another_type_is_refused(claims: dict[str, Any]) -> None:
    refused(forge(**claims), "message_malformed")


def test_a_proof_is_good_within_its_window() -> None:
    assert verify(forge(iat=NOW - limits.PROOF_MAX_AGE)) == KEY.public
    assert verify(forge(iat=NOW + limits.PROOF_LEEWAY)) == KEY.public

    refused(forge(iat=NOW - limits.PROOF_MAX_AGE - 1), "iat_too_old")
    refused(forge(iat=NOW + limits.PROOF_LEEWAY + 1), "iat_in_future")
    refused(forge(exp=NOW - limits.PROOF_LEEWAY), "jwt_expired")
    refused(forge(nbf=NOW + limits.PROOF_LEEWAY + 1), "jwt_not_yet_valid")


def test_a_proof_without_a_nonce_is_invalid_where_there_is_a_nonce_endpoint() -> None:
    refused(forge(nonce=None), "proof_nonce_missing")


@pytest.mark.parametrize("nonce", ["", "old", "n" * (limits.NONCE_CHARS + 1)])
def test_a_nonce_that_is_not_current_is_an_invalid_nonce(nonce: str) -> None:
    refused(forge(nonce=nonce), "proof_nonce_stale", InvalidNonce, nonce_ok=lambda value: len(value) > 400)


def test_a_bad_signature_is_an_invalid_proof_even_with_a_stale_nonce() -> None:
    refused(forge(key=OTHER, nonce="old"), "signature_invalid")


def test_an_oversized_proof_is_refused() -> None:
    refused("a" * (limits.PROOF_BYTES + 1), "jws_too_large")


def configuration(**changes: Any) -> CredentialConfiguration:
    members = {
        "id": "card",
        "format": "dc+sd-jwt",
        "vct": "card",
        "binding_methods": ("jwk",),
        "proof_algorithms": {"jwt": ("ES256",), "attestation": ("ES256",)},
        **changes,
    }
    return CredentialConfiguration(**members)


def holders(
    *texts: str, type_: str = "jwt", nonce_ok: Any = None, attesters: Trust | None = None, **changes: Any
) -> tuple[PublicKey, ...]:
    check = proofs.ProofCheck(audience=ISSUER, nonce_ok=nonce_ok, client_id=None, attesters=attesters)
    request = CredentialRequest(credential_identifier="x", proofs=Proofs(type_, texts))
    batch_size = changes.pop("batch_size", 10)
    return proofs.holder_keys(request, configuration(**changes), check=check, batch_size=batch_size, now=NOW)


def verify_all(*texts: str) -> tuple[PublicKey, ...]:
    return holders(*texts)


def test_a_batch_gives_its_keys_in_order() -> None:
    assert verify_all(forge(), forge({"jwk": OTHER.public.to_jwk()}, key=OTHER)) == (KEY.public, OTHER.public)


def test_two_proofs_for_one_key_are_refused() -> None:
    with pytest.raises(InvalidProof) as caught:
        verify_all(forge(), forge(iat=NOW - 1))
    assert caught.value.code == "proof_key_repeated"


def test_one_bad_proof_spoils_the_batch() -> None:
    with pytest.raises(InvalidProof) as caught:
        verify_all(forge(), forge(key=OTHER))
    assert caught.value.code == "signature_invalid"


@given(st.text() | st.builds(lambda *parts: ".".join(map(b64.encode, parts)), *[st.binary(max_size=40)] * 3))
def test_any_text_as_a_proof_is_an_invalid_proof(text: str) -> None:
    with pytest.raises(InvalidProof):
        verify(text)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**19), 10**19) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["aud", "iat", "nonce", "iss", "nbf", "exp"]), values, st.booleans())
def test_any_value_of_a_member_is_taken_or_a_safeconduct_error(name: str, value: Any, nonce: bool) -> None:
    try:
        verify(forge(**{name: value}), nonce_ok=(lambda _: nonce))
    except SafeconductError:
        return


@given(st.sampled_from(["jwk", "kid", "x5c", "typ"]), values)
def test_any_value_in_the_header_is_taken_or_an_invalid_proof(name: str, value: Any) -> None:
    try:
        verify(forge({name: value}))
    except InvalidProof:
        return


ATTESTER = Key.generate("ES256")
TRUSTED = Trust.of({"https://attester.example": ATTESTER.public})
HIGH = KeyAttestationsRequired(key_storage=("iso_18045_high",))


def attestation(*keys: PublicKey, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "attester": ATTESTER,
        "keys": keys or (KEY.public, OTHER.public),
        "now": NOW,
        "lifetime": 60,
        "nonce": "n",
        "issuer": "https://attester.example",
        "key_storage": ["iso_18045_high"],
    }
    return create_key_attestation(**arguments | changes)


def not_taken(code: str, *texts: str, kind: type[SafeconductError] = InvalidProof, **changes: Any) -> None:
    with pytest.raises(kind) as caught:
        holders(*texts, **changes)
    assert caught.value.code == code


def test_an_attestation_by_itself_is_for_all_its_keys_in_its_order() -> None:
    keys = holders(
        attestation(), type_="attestation", attesters=TRUSTED, key_attestations={"attestation": HIGH}
    )
    assert keys == (KEY.public, OTHER.public)


def test_there_is_exactly_one_attestation() -> None:
    not_taken(
        "key_attestation_repeated", attestation(), attestation(), type_="attestation", attesters=TRUSTED
    )


def test_an_attestation_needs_somebody_who_is_trusted_to_attest() -> None:
    not_taken("jwt_signer_unknown", attestation(), type_="attestation")
    not_taken("jwt_signer_unknown", attestation(), type_="attestation", attesters=Trust.of({}))


def test_an_attestation_at_a_lower_level_is_refused() -> None:
    low = attestation(key_storage=["iso_18045_basic"])
    demands = {"attestation": HIGH, "jwt": HIGH}
    not_taken("key_attestation_level", low, type_="attestation", attesters=TRUSTED, key_attestations=demands)
    proof = forge({"key_attestation": low})
    not_taken("key_attestation_level", proof, attesters=TRUSTED, key_attestations=demands)


def test_a_single_proof_with_an_attestation_is_for_all_attested_keys() -> None:
    assert holders(forge({"key_attestation": attestation()}), attesters=TRUSTED) == (KEY.public, OTHER.public)


@pytest.mark.parametrize("place", [0, 1])
def test_a_proof_may_name_its_key_by_its_place_in_the_attestation(place: int) -> None:
    key = (KEY, OTHER)[place]
    proof = forge({"key_attestation": attestation(), "jwk": None, "kid": str(place)}, key=key)
    assert len(holders(proof, attesters=TRUSTED)) == 2
    not_taken(
        "signature_invalid",
        forge({"key_attestation": attestation(), "jwk": None, "kid": str(1 - place)}, key=key),
        attesters=TRUSTED,
    )


@pytest.mark.parametrize("kid", ["2", "-1", "did:example:1#0", ""])
def test_a_kid_that_is_no_attested_key_is_refused(kid: str) -> None:
    proof = forge({"key_attestation": attestation(), "jwk": None, "kid": kid})
    not_taken("proof_key_not_attested", proof, attesters=TRUSTED)


def test_the_key_of_a_proof_must_be_attested() -> None:
    proof = forge({"key_attestation": attestation(OTHER.public)})
    not_taken("proof_key_not_attested", proof, attesters=TRUSTED)


def test_of_several_proofs_each_is_for_its_own_key() -> None:
    both = attestation()
    proofs_ = [
        forge({"key_attestation": both}),
        forge({"key_attestation": both, "jwk": OTHER.public.to_jwk()}, key=OTHER),
    ]
    assert holders(*proofs_, attesters=TRUSTED) == (KEY.public, OTHER.public)


def test_a_demanded_attestation_must_be_there() -> None:
    demands = {"jwt": KeyAttestationsRequired()}
    not_taken("key_attestation_missing", forge(), attesters=TRUSTED, key_attestations=demands)
    not_taken("jwt_signer_unknown", forge({"key_attestation": attestation()}), key_attestations=demands)
    not_taken("key_attestation_malformed", forge({"key_attestation": 1}), attesters=TRUSTED)


def test_an_attestation_in_a_proof_must_end() -> None:
    endless = attestation(lifetime=None)
    not_taken("key_attestation_exp", forge({"key_attestation": endless}), attesters=TRUSTED)
    assert len(holders(endless, type_="attestation", attesters=TRUSTED)) == 2


def test_the_nonce_of_an_attestation_is_checked_like_that_of_a_proof() -> None:
    stale = attestation(nonce="old")
    not_taken(
        "key_attestation_nonce_stale",
        stale,
        type_="attestation",
        attesters=TRUSTED,
        nonce_ok=lambda nonce: nonce == "n",
        kind=InvalidNonce,
    )
    not_taken(
        "key_attestation_nonce_missing",
        attestation(nonce=None),
        type_="attestation",
        attesters=TRUSTED,
        nonce_ok=lambda nonce: nonce == "n",
    )


def test_an_attestation_is_for_no_more_keys_than_a_batch_has() -> None:
    not_taken(
        "proofs_too_many",
        attestation(),
        type_="attestation",
        attesters=TRUSTED,
        batch_size=1,
        kind=InvalidCredentialRequest,
    )


def test_keys_named_by_certificate_or_did_are_refused_by_a_clear_code() -> None:
    refused(forge({"jwk": None, "kid": "did:example:1#0"}), "proof_key_kind")
    refused(forge({"jwk": None, "x5c": ["AA=="]}), "proof_key_kind")
    not_taken(
        "proof_key_kind",
        forge({"key_attestation": attestation(), "jwk": None, "x5c": ["AA=="]}),
        attesters=TRUSTED,
    )


def test_credentials_bound_to_no_key_need_no_proof() -> None:
    assert holders("rubbish", proof_algorithms={}, binding_methods=()) == ()
