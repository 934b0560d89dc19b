"""COSE_Sign1, COSE_Key and CWT with pycose and python-cwt: each verifies what the other has signed."""

from typing import Any

import pytest
from tests.interop.peer import Peer, Refused

from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import cbor
from safeconduct.envelope import cose
from safeconduct.errors import Rejected
from safeconduct.formats import sd_cwt
from safeconduct.formats.redaction import redact
from safeconduct.trust import WAIVED, Policy, Trust

pytestmark = pytest.mark.interop

ALGORITHMS = ("ES256", "ES384", "ES512", "EdDSA")
KEYS = {
    name: Key.generate("Ed25519").with_algorithm("EdDSA") if name == "EdDSA" else Key.generate(name)
    for name in ALGORITHMS
}
PAYLOAD = b"payload"
FAR_FUTURE, LONG_AGO = 4_102_444_800, 1_700_000_000
CLAIMS: dict[Any, Any] = {
    "iss": "https://issuer.example",
    "sub": "holder",
    "exp": FAR_FUTURE,
    501: redact("ABCD"),
}


def private(name: str) -> bytes:
    members = KEYS[name].with_kid(b"kid").to_cose_key(private=True)
    return cbor.dumps({**members, 3: KEYS[name].algorithm.cose})


def public(name: str) -> bytes:
    return cbor.dumps({**KEYS[name].public.with_kid(b"kid").to_cose_key(), 3: KEYS[name].algorithm.cose})


def ours(name: str) -> bytes:
    return cose.sign(PAYLOAD, signer=KEYS[name], protected={cose.TYP: 293}, unprotected={cose.KID: b"kid"})


def tampered(message: bytes) -> bytes:
    return message.replace(PAYLOAD, PAYLOAD[::-1])


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("library", ["pycose", "cwt"])
def test_they_verify_what_we_sign(cose_peer: Peer, library: str, name: str) -> None:
    assert cose_peer.ask(f"{library}_verify", key=public(name), message=ours(name)) == PAYLOAD


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("library", ["pycose", "cwt"])
def test_they_refuse_what_was_changed_after_we_signed(cose_peer: Peer, library: str, name: str) -> None:
    with pytest.raises(Refused):
        cose_peer.ask(f"{library}_verify", key=public(name), message=tampered(ours(name)))


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("library", ["pycose", "cwt"])
def test_we_verify_what_they_sign(cose_peer: Peer, library: str, name: str) -> None:
    signed = cose_peer.ask(
        f"{library}_sign", key=private(name), payload=PAYLOAD, algorithm=KEYS[name].algorithm.cose
    )

    message = cose.parse(signed)
    cose.verify(message, key=KEYS[name].public, accept=ALGORITHMS)

    assert message.payload == PAYLOAD
    with pytest.raises(Rejected) as error:
        cose.verify(cose.parse(tampered(signed)), key=KEYS[name].public, accept=ALGORITHMS)
    assert error.value.code == "signature_invalid"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_cose_key_survives_pycose(cose_peer: Peer, name: str) -> None:
    returned = cose_peer.ask("pycose_key", key=public(name))

    assert PublicKey.from_cose_key(cbor.loads(returned)) == KEYS[name].public


@pytest.mark.parametrize("name", ALGORITHMS)
def test_python_cwt_reads_our_sd_cwt_as_a_cwt(cose_peer: Peer, name: str) -> None:
    token = sd_cwt.issue(CLAIMS, issuer=KEYS[name], holder=KEYS["ES256"].public, now=LONG_AGO, kid=b"kid")

    claims = cbor.loads(cose_peer.ask("cwt_claims", key=public(name), message=token))

    assert claims == cbor.loads(cose.parse(token).payload)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_they_find_a_cwt_in_our_presentation_whose_signature_holds(cose_peer: Peer, name: str) -> None:
    holder = KEYS[name]
    token = sd_cwt.issue(CLAIMS, issuer=KEYS["ES256"], holder=holder.public, now=LONG_AGO)
    shown = sd_cwt.present(
        token,
        holder=holder,
        disclose=["501"],
        audience="https://verifier.example",
        nonce=b"n" * 16,
        now=LONG_AGO,
    )
    inner = cbor.dumps(cose.parse(shown).protected[cose.KCWT])

    assert cose_peer.ask("pycose_verify", key=public("ES256"), message=inner) == cose.parse(token).payload
    assert cose_peer.ask("pycose_verify", key=public(name), message=shown) == cose.parse(shown).payload
    policy = Policy(audience="https://verifier.example", nonce=WAIVED)
    verified = sd_cwt.verify(shown, trust=Trust.key(KEYS["ES256"].public), policy=policy, now=LONG_AGO)
    assert verified.claims[501] == "ABCD"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_we_read_the_claims_of_a_cwt_that_python_cwt_issued(cose_peer: Peer, name: str) -> None:
    claims = {1: "https://issuer.example", 4: FAR_FUTURE, 5: LONG_AGO, 6: LONG_AGO}
    issued = cose_peer.ask("cwt_issue", key=private(name), claims=cbor.dumps(claims))

    message = cose.parse(issued)
    cose.verify(message, key=KEYS[name].public, accept=ALGORITHMS)

    assert cbor.loads(message.payload) == claims
