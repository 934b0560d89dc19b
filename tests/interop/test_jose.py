"""JWS, JWE and JWK thumbprints with jose (npm), both ways, as DPoP, key proofs and encryption use them."""

from typing import Any

import pytest
from tests.interop.peer import Peer, Refused

from safeconduct.crypto.agreement import AgreementKey, Curve
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.envelope import jwe, jws
from safeconduct.errors import Rejected
from safeconduct.protocols import jwt
from safeconduct.protocols.oauth import dpop
from safeconduct.protocols.openid4vci import encryption, metadata, proof

pytestmark = pytest.mark.interop

NOW = 1_700_000_000
ISSUER, URL, TOKEN = "https://issuer.example", "https://issuer.example/credential", "access-token"
NAMES = {"ES256": "ES256", "ES384": "ES384", "ES512": "ES512", "Ed25519": "Ed25519", "EdDSA": "Ed25519"}
KEYS = {jose: Key.generate(cose).with_algorithm(jose) for jose, cose in NAMES.items()}
CURVES: tuple[Curve, ...] = ("P-256", "X25519")
ENCS = ("A128GCM", "A256GCM")
AGREEMENT = {curve: AgreementKey.generate(curve, kid="recipient") for curve in CURVES}


def verify_options(**changes: Any) -> dict[str, Any]:
    return {"now": NOW, **changes}


@pytest.mark.parametrize("name", NAMES)
def test_jose_verifies_our_dpop_proof_by_the_key_in_it(jose_peer: Peer, name: str) -> None:
    made = dpop.create(key=KEYS[name], method="POST", url=URL, now=NOW, access_token=TOKEN, nonce="n")

    read = jose_peer.ask("verify", jwt=made, options=verify_options(typ="dpop+jwt", algorithms=[name]))

    assert read["claims"].items() >= {"htm": "POST", "htu": URL, "iat": NOW, "nonce": "n"}.items()
    thumbprint = jose_peer.ask("thumbprint", jwk=read["header"]["jwk"], hash="sha256")
    assert thumbprint == dpop.thumbprint(KEYS[name].public)


@pytest.mark.parametrize("name", NAMES)
def test_we_verify_a_dpop_proof_of_jose(jose_peer: Peer, name: str) -> None:
    header = {"alg": name, "typ": "dpop+jwt", "jwk": jwt.public_jwk(KEYS[name])}
    claims = {"jti": "j", "htm": "POST", "htu": URL, "iat": NOW, "ath": dpop.ath(TOKEN), "nonce": "n"}
    made = jose_peer.ask("sign", jwk=KEYS[name].to_jwk(private=True), header=header, claims=claims)

    verified = dpop.verify(
        made,
        method="POST",
        url=URL,
        now=NOW,
        access_token=TOKEN,
        expected_thumbprint=dpop.thumbprint(KEYS[name].public),
        nonce_ok=lambda nonce: nonce == "n",
    )

    assert verified.key == KEYS[name].public


@pytest.mark.parametrize("name", NAMES)
def test_key_proofs_go_both_ways(jose_peer: Peer, name: str) -> None:
    ours = proof.create_proof(key=KEYS[name], audience=ISSUER, now=NOW, nonce="n")
    options = verify_options(typ="openid4vci-proof+jwt", audience=ISSUER, algorithms=[name])
    assert jose_peer.ask("verify", jwt=ours, options=options)["claims"]["nonce"] == "n"

    header = {"alg": name, "typ": "openid4vci-proof+jwt", "jwk": jwt.public_jwk(KEYS[name])}
    claims = {"aud": ISSUER, "iat": NOW, "nonce": "n"}
    theirs = jose_peer.ask("sign", jwk=KEYS[name].to_jwk(private=True), header=header, claims=claims)
    verified = proof.verify_proof(
        theirs,
        audience=ISSUER,
        now=NOW,
        nonce_ok=lambda nonce: nonce == "n",
        client_id=None,
        algorithms=(name,),
    )
    assert verified == KEYS[name].public


@pytest.mark.parametrize("name", NAMES)
def test_each_refuses_what_the_other_signed_and_somebody_changed(jose_peer: Peer, name: str) -> None:
    public = KEYS[name].public
    header, _, signature = jws.sign(b'{"a":1}', signer=KEYS[name], header={}).split(".")
    changed = ".".join((header, b64.encode(b'{"a":2}'), signature))
    with pytest.raises(Refused, match="signature verification failed"):
        jose_peer.ask("verify", jwt=changed, jwk=public.to_jwk(), options=verify_options())

    made = jose_peer.ask("sign", jwk=KEYS[name].to_jwk(private=True), header={"alg": name}, claims={"a": 1})
    header, _, signature = made.split(".")
    with pytest.raises(Rejected) as error:
        jws.verify(
            ".".join((header, b64.encode(b'{"a":2}'), signature)), key=public, algorithms=(name,), typ=None
        )
    assert error.value.code == "signature_invalid"


@pytest.mark.parametrize("party", [{}, {"apu": "wallet", "apv": "issuer"}], ids=["", "apu apv"])
@pytest.mark.parametrize("enc", ENCS)
@pytest.mark.parametrize("curve", CURVES)
def test_jose_decrypts_what_we_encrypt(
    jose_peer: Peer, curve: Curve, enc: str, party: dict[str, str]
) -> None:
    header = {name: b64.encode(value.encode()) for name, value in party.items()}
    made = jwe.encrypt("grüße".encode(), recipient=AGREEMENT[curve].public, enc=enc, header=header)

    read = jose_peer.ask("decrypt", jwe=made, jwk=AGREEMENT[curve].to_jwk(private=True))

    assert read["plaintext"] == "grüße"
    assert read["header"].items() >= {"alg": "ECDH-ES", "enc": enc, "kid": "recipient", **header}.items()


@pytest.mark.parametrize("party", [{}, {"apu": "wallet", "apv": "issuer"}], ids=["", "apu apv"])
@pytest.mark.parametrize("enc", ENCS)
@pytest.mark.parametrize("curve", CURVES)
def test_we_decrypt_what_jose_encrypts(
    jose_peer: Peer, curve: Curve, enc: str, party: dict[str, str]
) -> None:
    key = AGREEMENT[curve]
    header = {"alg": "ECDH-ES", "enc": enc, "kid": "recipient"}
    made = jose_peer.ask("encrypt", plaintext="grüße", jwk=key.public.to_jwk(), header=header, **party)

    assert jwe.decrypt(made, keys={"recipient": key}, enc_values=ENCS).plaintext.decode() == "grüße"


@pytest.mark.parametrize("curve", CURVES)
def test_each_refuses_a_ciphertext_that_was_changed(jose_peer: Peer, curve: Curve) -> None:
    key = AGREEMENT[curve]
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": "recipient"}
    theirs = jose_peer.ask("encrypt", plaintext="secret", jwk=key.public.to_jwk(), header=header)
    ours = jwe.encrypt(b"secret", recipient=key.public, enc="A256GCM")

    with pytest.raises(Rejected) as error:
        jwe.decrypt(_changed(theirs), keys={"recipient": key}, enc_values=ENCS)
    assert error.value.code == "jwe_rejected"
    with pytest.raises(Refused, match="decryption operation failed"):
        jose_peer.ask("decrypt", jwe=_changed(ours), jwk=key.to_jwk(private=True))


def _changed(text: str) -> str:
    header, empty, nonce, ciphertext, tag = text.split(".")
    data = bytearray(b64.decode(ciphertext))
    data[0] ^= 1
    return ".".join((header, empty, nonce, b64.encode(bytes(data)), tag))


@pytest.mark.parametrize("curve", CURVES)
def test_a_wallet_made_with_jose_could_send_us_a_credential_request(jose_peer: Peer, curve: Curve) -> None:
    issuer_key, wallet_key = AGREEMENT[curve], AgreementKey.generate(curve, kid="answer")
    published = metadata.RequestEncryption(keys=(issuer_key.public,), enc_values=ENCS, required=True)
    answering = metadata.ResponseEncryption(alg_values=("ECDH-ES",), enc_values=ENCS, required=True)
    issuer = encryption.IssuerEncryption(
        request=published, response=answering, keys={"recipient": issuer_key}
    )
    request = {
        "credential_identifier": "card",
        "proofs": {"jwt": ["proof"]},
        "credential_response_encryption": {"jwk": wallet_key.public.to_jwk(), "enc": "A128GCM"},
    }
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": "recipient"}
    body = jose_peer.ask(
        "encrypt", plaintext=json.dumps(request).decode(), jwk=issuer_key.public.to_jwk(), header=header
    )

    received = encryption.receive_request(
        body.encode(),
        content_type="application/jwt",
        encryption=issuer,
        sender=encryption.Sender(audience=ISSUER, access_token=TOKEN, key=KEYS["ES256"].public),
        batch_size=1,
        now=NOW,
    )

    assert received.request.credential_identifier == "card"
    assert received.request.response is not None
    sealed = encryption.seal_response(b'{"credentials":[]}', parameters=received.request.response).decode()
    answer = jose_peer.ask("decrypt", jwe=sealed, jwk=wallet_key.to_jwk(private=True))
    assert json.loads(answer["plaintext"]) == {"credentials": []}
    assert answer["header"]["kid"] == "answer"


@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
def test_jwk_thumbprints_are_the_same(jose_peer: Peer, hash_name: str) -> None:
    keys = [*(key.public for key in KEYS.values()), *(key.public for key in AGREEMENT.values())]

    for key in keys:
        theirs = jose_peer.ask("thumbprint", jwk=key.to_jwk(), hash=hash_name)
        assert b64.encode(key.jwk_thumbprint(hash_name)) == theirs
