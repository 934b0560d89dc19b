"""One encrypted issuance with nothing but `cryptography`, `json` and `base64`: what its cryptography costs.

It does what the protocol asks for and checks nothing else: no strict parsing, bounds or rules. The messages
have the sizes of real ones, and the issuer's two keys are loaded.
"""

import base64
import hashlib
import json
import secrets
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CURVE = ec.SECP256R1()
ECDSA = ec.ECDSA(hashes.SHA256())
ECDH = ec.ECDH()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
    return {"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y)}


def load(members: dict[str, str]) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(
        CURVE, b"\x04" + unb64(members["x"]) + unb64(members["y"])
    )


def sign(key: ec.EllipticCurvePrivateKey, header: dict[str, Any], payload: bytes) -> str:
    signed = f"{b64(json.dumps(header).encode())}.{b64(payload)}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ECDSA))
    return f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def verify_with_own_key(text: str) -> dict[str, Any]:
    """Verify a JWT by the key in its header; give its claims."""
    signed, _, signature = text.rpartition(".")
    header, payload = signed.split(".")
    raw = unb64(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    load(json.loads(unb64(header))["jwk"]).verify(der, signed.encode(), ECDSA)
    claims: dict[str, Any] = json.loads(unb64(payload))
    return claims


def encrypt(plaintext: bytes, recipient: ec.EllipticCurvePublicKey, kid: str) -> str:
    ephemeral = ec.generate_private_key(CURVE)
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": kid, "epk": jwk(ephemeral.public_key())}
    protected = b64(json.dumps(header).encode())
    nonce = secrets.token_bytes(12)
    sealed = AESGCM(_content_key(ephemeral.exchange(ECDH, recipient))).encrypt(
        nonce, plaintext, protected.encode()
    )
    return f"{protected}..{b64(nonce)}.{b64(sealed[:-16])}.{b64(sealed[-16:])}"


def decrypt(text: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    protected, _, nonce, ciphertext, tag = text.split(".")
    shared = key.exchange(ECDH, load(json.loads(unb64(protected))["epk"]))
    return AESGCM(_content_key(shared)).decrypt(
        unb64(nonce), unb64(ciphertext) + unb64(tag), protected.encode()
    )


def issue(
    request: str,
    *,
    request_key: ec.EllipticCurvePrivateKey,
    signing_key: ec.EllipticCurvePrivateKey,
    header: dict[str, Any],
    claims: dict[str, Any],
    redacted: dict[str, Any],
) -> str:
    """Decrypt a request, verify each proof, make and sign a credential for each, encrypt the response."""
    members = json.loads(decrypt(request, request_key))
    credentials = []
    for proof in members["proofs"]["jwt"]:
        verify_with_own_key(proof)
        holder = json.loads(unb64(proof.partition(".")[0]))["jwk"]
        disclosures = [
            b64(json.dumps([b64(secrets.token_bytes(16)), name, value]).encode())
            for name, value in redacted.items()
        ]
        digests = sorted(b64(hashlib.sha256(disclosure.encode()).digest()) for disclosure in disclosures)
        payload = {**claims, "cnf": {"jwk": holder}, "_sd_alg": "sha-256", "_sd": digests}
        token = sign(signing_key, header, json.dumps(payload).encode())
        credentials.append({"credential": "~".join((token, *disclosures, ""))})
    wanted = members["credential_response_encryption"]["jwk"]
    text = json.dumps({"credentials": credentials}).encode()
    return encrypt(text, load(wanted), wanted.get("kid", ""))


REQUEST_KEY, SIGNING_KEY, HOLDER_KEY, RESPONSE_KEY = (ec.generate_private_key(CURVE) for _ in range(4))
CLAIMS = {"iss": "https://issuer.example", "vct": "https://issuer.example/card", "iat": 0, "exp": 1}
REDACTED = {f"claim_{number}": f"value of claim_{number}" for number in range(8)}


def sample_request(batch: int = 1) -> str:
    """An encrypted request for `batch` credentials, of the size that real ones have."""
    header = {"typ": "openid4vci-proof+jwt", "alg": "ES256", "jwk": jwk(HOLDER_KEY.public_key())}
    claims = {"aud": "https://issuer.example", "iat": 1_800_000_000, "nonce": "n" * 75}
    proof = sign(HOLDER_KEY, header, json.dumps(claims).encode())
    own = {**jwk(RESPONSE_KEY.public_key()), "kid": "k" * 22, "use": "enc", "alg": "ECDH-ES"}
    members = {
        "credential_identifier": "i" * 22,
        "proofs": {"jwt": [proof] * batch},
        "credential_response_encryption": {"jwk": own, "enc": "A256GCM"},
    }
    text = json.dumps(members).encode()
    return encrypt(text.ljust(1 << (len(text) - 1).bit_length()), REQUEST_KEY.public_key(), "k" * 12)


def sample_dpop_proof() -> str:
    """A DPoP proof as wallets send it."""
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(HOLDER_KEY.public_key())}
    claims = {"htm": "POST", "htu": "https://issuer.example/credential", "iat": 1_800_000_000}
    more = {"jti": "j" * 22, "nonce": "n" * 75, "ath": "a" * 43}
    return sign(HOLDER_KEY, header, json.dumps(claims | more).encode())


def issue_sample(request: str) -> str:
    """Answer a request of `sample_request` with credentials of eight disclosures."""
    return issue(
        request,
        request_key=REQUEST_KEY,
        signing_key=SIGNING_KEY,
        header={"typ": "dc+sd-jwt", "alg": "ES256", "kid": "k" * 43},
        claims=CLAIMS,
        redacted=REDACTED,
    )


def _content_key(shared: bytes) -> bytes:
    info = b"\x00\x00\x00\x07A256GCM" + bytes(8) + (256).to_bytes(4, "big")
    return hashlib.sha256(b"\x00\x00\x00\x01" + shared + info).digest()
