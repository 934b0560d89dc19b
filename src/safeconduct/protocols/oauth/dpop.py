"""DPoP proofs (RFC 9449): a JWT that shows, for one HTTP request, possession of the key of the sender.

A proof does not cover the body of its request (RFC 9449 §11.7); where that matters, something inside the body
must bind it (`openid4vci.signed_request`).
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Sequence

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import b64, json
from safeconduct.envelope import jws
from safeconduct.errors import Rejected
from safeconduct.ids import Random
from safeconduct.protocols import jwt, wire
from safeconduct.protocols.oauth import urls
from safeconduct.protocols.oauth.errors import InvalidDpopProof, InvalidToken, UseDpopNonce, reported_as

TYPE = "dpop+jwt"

NonceCheck = Callable[[str], bool]
"""Says whether a nonce is one that this server gave out and still takes."""


class DpopProof(msgspec.Struct, frozen=True, kw_only=True):
    """A proof that is valid for its request; that it is not used twice is for the caller to remember.

    key: the sender's key. thumbprint: its RFC 7638 SHA-256 thumbprint in base64url, the `jkt` of tokens.
    jti: the proof's own identifier. iat: when it was made, in seconds.
    nonce: the server nonce in it. expires: second from which on it is refused as too old, so that `jti` need
    not be remembered longer.
    """

    key: PublicKey
    thumbprint: str
    jti: str
    iat: int
    nonce: str | None
    expires: int


def create(
    *,
    key: Signer,
    method: str,
    url: str,
    now: int,
    access_token: str | None = None,
    nonce: str | None = None,
    random: Random = secrets.token_bytes,
) -> str:
    """Returns a DPoP proof for one HTTP request (RFC 9449 §4.2).

    method: the HTTP method, upper case. url: the target; its query and fragment are left out.
    access_token: the token that the request presents. nonce: the server's last `DPoP-Nonce`.
    """
    claims: dict[str, str | int] = {
        "jti": b64.encode(random(16)),
        "htm": method,
        "htu": urls.normalise(url),
        "iat": now,
    }
    if access_token is not None:
        claims["ath"] = ath(access_token)
    if nonce is not None:
        claims["nonce"] = nonce
    return jws.sign(json.dumps(claims), signer=key, header={"typ": TYPE, "jwk": jwt.public_jwk(key)})


def verify(
    proof: str,
    *,
    method: str,
    url: str,
    now: int,
    access_token: str | None,
    expected_thumbprint: str | None,
    nonce_ok: NonceCheck | None,
    algorithms: Collection[str] = jwt.PROOF_ALGORITHMS,
    max_age: int = limits.DPOP_MAX_AGE,
    leeway: int = limits.DPOP_LEEWAY,
) -> DpopProof:
    """Returns the proof if it is valid for the HTTP request that carried it.

    method, url: of the request received.
    access_token: the token presented with it; None at endpoints that take none.
    expected_thumbprint: of the key that the token or code is bound to; None if nothing is bound yet.
    nonce_ok: recognises the server's nonces; None asks for no nonce.
    max_age, leeway: seconds that `iat` may lie before and after `now`.

    Raises InvalidDpopProof; InvalidToken "dpop_key_binding" if a token is presented by another key than its
    own; UseDpopNonce "dpop_nonce_missing", "dpop_nonce_stale".
    Source: RFC 9449 §4.3, whose steps are named below.
    """
    with reported_as(InvalidDpopProof):
        parsed = jws.parse(proof, max_bytes=limits.PROOF_BYTES)  # step 2
        claims = wire.read_json(parsed.payload, _Claims, what="DPoP proof")  # step 3
        key = jwt.header_key(parsed.header)  # step 7, and the key for step 6
        _check_request(claims, method, url)  # steps 8, 9
        jwt.check_issued_at(claims.iat, now=now, max_age=max_age, leeway=leeway)  # step 11
        jwt.check_validity(nbf=claims.nbf, exp=claims.exp, now=now, leeway=leeway)
        _check_token(claims, access_token)  # step 12
        jws.verify(parsed, key=key, algorithms=algorithms, typ=TYPE)  # steps 4, 5, 6
    jkt = thumbprint(key)
    _check_binding(jkt, expected_thumbprint, access_token)  # step 12
    _check_nonce(claims.nonce, nonce_ok)  # step 10
    return DpopProof(
        key=key,
        thumbprint=jkt,
        jti=claims.jti,
        iat=int(claims.iat),
        nonce=claims.nonce,
        expires=int(claims.iat) + max_age + 1,
    )


def single_header(values: Sequence[str]) -> str:
    """Returns the one value of a request's `DPoP` headers.

    Source: RFC 9449 §4.3 step 1. Raises InvalidDpopProof "dpop_missing", "dpop_repeated".
    """
    if not values:
        raise InvalidDpopProof("dpop_missing", "The request carries no DPoP proof.", rule="RFC 9449 §4.3")
    if len(values) > 1 or "," in values[0]:
        raise InvalidDpopProof(
            "dpop_repeated", "The request carries several DPoP proofs.", rule="RFC 9449 §4.3"
        )
    return values[0]


def ath(access_token: str) -> str:
    """Returns the hash of an access token that binds a JWT to it (RFC 9449 §4.2)."""
    return b64.encode(hashlib.sha256(access_token.encode("ascii")).digest())


def thumbprint(key: PublicKey) -> str:
    """Returns the `jkt` of a key: its RFC 7638 SHA-256 thumbprint in base64url (RFC 9449 §6.1)."""
    return b64.encode(key.jwk_thumbprint())


def same_token(claimed: str | None, access_token: str) -> bool:
    """Returns whether `claimed` is the hash of `access_token`, in constant time."""
    return hmac.compare_digest((claimed or "").encode(), ath(access_token).encode())


class _Claims(msgspec.Struct, frozen=True):
    jti: str
    htm: str
    htu: str
    iat: jwt.Number
    ath: str | None = None
    nonce: str | None = None
    nbf: jwt.Number | None = None
    exp: jwt.Number | None = None


def _check_request(claims: _Claims, method: str, url: str) -> None:
    if not 0 < len(claims.jti) <= limits.JTI_CHARS:
        raise Rejected("dpop_jti", "The proof has no usable jti.", rule="RFC 9449 §4.2")
    if claims.htm != method:
        raise Rejected("dpop_htm", "The proof is for another HTTP method.", rule="RFC 9449 §4.3 step 8")
    if claims.htu != url and urls.normalise(claims.htu) != urls.normalise(url):
        raise Rejected("dpop_htu", "The proof is for another URL.", rule="RFC 9449 §4.3 step 9")


def _check_token(claims: _Claims, access_token: str | None) -> None:
    if access_token is not None and not same_token(claims.ath, access_token):
        raise Rejected("dpop_ath", "The proof is for another access token.", rule="RFC 9449 §4.3 step 12")


def _check_binding(jkt: str, expected: str | None, access_token: str | None) -> None:
    if expected is None or hmac.compare_digest(jkt, expected):
        return
    kind = InvalidDpopProof if access_token is None else InvalidToken
    raise kind("dpop_key_binding", "The proof is by another key than the bound one.", rule="RFC 9449 §7.1")


def _check_nonce(nonce: str | None, nonce_ok: NonceCheck | None) -> None:
    if nonce_ok is None:
        return
    if nonce is None:
        raise UseDpopNonce("dpop_nonce_missing", "The proof must carry a server nonce.", rule="RFC 9449 §8")
    if len(nonce) > limits.NONCE_CHARS or not nonce_ok(nonce):
        raise UseDpopNonce("dpop_nonce_stale", "The server nonce is not current.", rule="RFC 9449 §8")
