"""A credential request signed by the key of its DPoP proof, to travel inside the encryption.

DPoP does not cover the body of a request (RFC 9449 §11.7). A server that forwards requests could keep the
body and put its own under the wallet's headers. The credential identifiers inside the encrypted body stop it
already; this is the second layer, for issuers that know it. The members of the request stand at the top level
of the JWT's claims, beside `aud`, `ath` and `iat`, so a request reads the same signed and unsigned.
"""

import hmac

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import json
from safeconduct.envelope import jws
from safeconduct.errors import Rejected
from safeconduct.protocols import jwt, wire
from safeconduct.protocols.oauth import dpop
from safeconduct.protocols.oauth.errors import reported_as
from safeconduct.protocols.openid4vci.errors import InvalidCredentialRequest
from safeconduct.protocols.openid4vci.padding import pad

TYPE = "safeconduct-credential-request+jwt"


def sign_request(payload: bytes, *, key: Signer, audience: str, access_token: str, now: int) -> str:
    """Returns the JSON request `payload` as a JWT signed by the key of the DPoP proof, padded.

    audience: the issuer's identifier. access_token: the token that the HTTP request presents.

    Raises ValueError if the request has a member named `aud`, `iat` or `ath`.
    """
    members = json.loads_object(payload)
    claims = {"aud": audience, "iat": now, "ath": dpop.ath(access_token)}
    if not claims.keys().isdisjoint(members):
        raise ValueError("a request has no members of the names of the binding claims")
    header = {"typ": TYPE, "kid": dpop.thumbprint(key.public)}
    return jws.sign(pad(json.dumps({**claims, **members})), signer=key, header=header)


def verify_signed_request(text: str, *, key: PublicKey, audience: str, access_token: str, now: int) -> bytes:
    """Returns the JSON of a signed request, with the JWT's own claims still in it.

    key: that of the DPoP proof on the HTTP request. audience: this issuer's identifier.
    access_token: the token that the HTTP request presents.

    Raises InvalidCredentialRequest: "request_signature_key" (signed by another key), "request_aud",
    "request_ath" (for another token), "iat_too_old", "iat_in_future", "signature_invalid", or what is wrong
    with its form.
    """
    with reported_as(InvalidCredentialRequest):
        parsed = jws.parse(text)
        claims = wire.read_json(parsed.payload, _Claims, what="Signed request")
        if parsed.header.get("kid") != dpop.thumbprint(key):
            raise Rejected("request_signature_key", "The request is signed by another key than the proof.")
        if not hmac.compare_digest(claims.aud.encode(), audience.encode()):
            raise Rejected("request_aud", "The request is for another issuer.")
        if not dpop.same_token(claims.ath, access_token):
            raise Rejected("request_ath", "The request is for another access token.")
        jwt.check_issued_at(claims.iat, now=now, max_age=limits.PROOF_MAX_AGE, leeway=limits.PROOF_LEEWAY)
        return jws.verify(parsed, key=key, algorithms=jwt.PROOF_ALGORITHMS, typ=TYPE)


class _Claims(msgspec.Struct, frozen=True):
    aud: str
    ath: str
    iat: jwt.Number
