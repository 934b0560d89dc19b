"""Signed metadata is the issuer's own word, whoever carries it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pki import Authority
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct.crypto import x509
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.envelope import jws
from safeconduct.errors import SafeconductError
from safeconduct.protocols.openid4vci import metadata, signed_metadata
from safeconduct.protocols.openid4vci.metadata import IssuerMetadata, RequestEncryption
from safeconduct.trust import Trust

NOW = 1_800_000_000
ISSUER, SIGNER = "https://issuer.example", "https://registry.example"
KEY, OTHER = Key.generate("ES256", kid="k"), Key.generate("ES256")
ROOT = Authority.root()
CHAIN = ROOT.chain(KEY, uris=[ISSUER])
TRUST = Trust.certified(ROOT.certificate)
ENCRYPTION = AgreementKey.generate("P-256", kid="e").public
METADATA = IssuerMetadata(
    credential_issuer=ISSUER,
    credential_endpoint=f"{ISSUER}/credential",
    configurations=(),
    request_encryption=RequestEncryption(keys=(ENCRYPTION,), enc_values=("A256GCM",), required=True),
)
MEMBERS = metadata.issuer_metadata_json(METADATA)


def sign(**changes: Any) -> str:
    arguments: dict[str, Any] = {"signer": KEY, "credential_issuer": ISSUER, "now": NOW, "chain": CHAIN}
    return signed_metadata.sign_metadata(MEMBERS, **arguments | changes)


def forge(header: dict[str, Any] | None = None, *, key: Key = KEY, **claims: Any) -> str:
    """Signed metadata with members replaced, or left out where None."""
    members = {"sub": ISSUER, "iat": NOW, **MEMBERS} | claims
    head = {"typ": "openidvci-issuer-metadata+jwt", "x5c": x509.to_x5c(CHAIN)} | (header or {})
    return jws.sign(json.dumps(_present(members)), signer=key, header=_present(head))


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def verify(text: str, **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {"credential_issuer": ISSUER, "trust": TRUST, "now": NOW}
    return signed_metadata.verify_signed_metadata(text, **arguments | changes)


def refused(text: str, code: str, **changes: Any) -> None:
    with pytest.raises(SafeconductError) as caught:
        verify(text, **changes)
    assert caught.value.code == code


def test_signed_metadata_gives_back_the_document() -> None:
    text = sign(lifetime=3600, issuer=ISSUER)
    members = verify(text)

    assert members == json.loads_object(json.dumps(MEMBERS))
    assert metadata.issuer_metadata_from(members, credential_issuer=ISSUER) == METADATA
    assert jws.parse(text).header["typ"] == signed_metadata.TYPE
    assert "kid" not in jws.parse(text).header


def test_a_pinned_key_serves_without_certificates() -> None:
    text = sign(chain=())

    assert jws.parse(text).header["kid"] == "k"
    assert verify(text, trust=Trust.of({ISSUER: KEY.public}))["credential_issuer"] == ISSUER


def test_metadata_about_another_issuer_is_refused() -> None:
    refused(sign(), "metadata_sub", credential_issuer="https://other.example")
    refused(sign(), "metadata_sub", credential_issuer=f"{ISSUER}/")


@pytest.mark.parametrize(
    ("trust", "code"),
    [
        (Trust(), "jwt_signer_unknown"),
        (Trust.of({"https://other.example": KEY.public}), "jwt_signer_unknown"),
        (Trust.of({ISSUER: OTHER.public}), "signature_invalid"),
        (Trust.certified(Authority.root("Other").certificate), "x5c_untrusted"),
    ],
)
def test_only_a_trusted_key_of_the_issuer_counts(trust: Trust, code: str) -> None:
    refused(sign(), code, trust=trust)


def test_a_certificate_of_another_issuer_is_refused() -> None:
    refused(sign(chain=ROOT.chain(KEY, uris=["https://other.example"])), "x5c_name_mismatch")


def test_a_document_that_was_changed_on_the_way_is_refused() -> None:
    header, _payload, signature = sign().split(".")
    own = {**MEMBERS, "credential_endpoint": "https://attacker.example"}
    payload = b64.encode(json.dumps({"sub": ISSUER, "iat": NOW, **own}))

    refused(f"{header}.{payload}.{signature}", "signature_invalid")


def test_another_trusted_party_may_sign_only_where_it_is_named() -> None:
    trust = Trust.of({ISSUER: OTHER.public, SIGNER: KEY.public})
    text = sign(issuer=SIGNER, chain=())

    refused(text, "metadata_iss", trust=trust)
    refused(text, "metadata_iss", trust=trust, signers=["https://other.example"])
    assert verify(text, trust=trust, signers=[SIGNER])["credential_issuer"] == ISSUER
    refused(sign(chain=()), "signature_invalid", trust=trust, signers=[SIGNER])


@pytest.mark.parametrize("typ", [None, "JWT", "openidvci-issuer-metadata"])
def test_a_jwt_of_another_type_is_refused(typ: str | None) -> None:
    refused(forge({"typ": typ}), "jws_type")


def test_an_algorithm_that_is_not_asymmetric_is_refused() -> None:
    _header, payload, signature = sign().split(".")
    header = b64.encode(json.dumps({"alg": "HS256", "typ": signed_metadata.TYPE, "x5c": x509.to_x5c(CHAIN)}))

    refused(f"{header}.{payload}.{signature}", "algorithm_unsupported")


@pytest.mark.parametrize("claims", [{"sub": None}, {"iat": None}, {"iat": "1"}, {"exp": "1"}, {"iss": 1}])
def test_a_claim_that_is_missing_or_of_another_type_is_malformed(claims: dict[str, Any]) -> None:
    refused(forge(**claims), "message_malformed")


def test_metadata_has_its_time() -> None:
    skew = limits.CLOCK_SKEW
    assert verify(sign(lifetime=60), now=NOW + 59 + skew)
    refused(sign(lifetime=60), "jwt_expired", now=NOW + 60 + skew)
    refused(sign(), "iat_in_future", now=NOW - skew - 1)
    refused(forge(nbf=NOW + skew + 1), "jwt_not_yet_valid")
    assert "nbf" not in verify(forge(nbf=NOW + skew))


def test_the_jwts_own_claims_are_no_members() -> None:
    with pytest.raises(ValueError, match="own claims"):
        signed_metadata.sign_metadata({"exp": 1}, signer=KEY, credential_issuer=ISSUER, now=NOW)


@given(st.text() | st.builds(lambda *parts: ".".join(map(b64.encode, parts)), *[st.binary(max_size=40)] * 3))
def test_any_text_as_signed_metadata_is_refused(text: str) -> None:
    read_or_refused(lambda: verify(text), dict)
