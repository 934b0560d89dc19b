"""Key proofs of the type `jwt` (OpenID4VCI 1.0 Appendix F.1, F.4): a holder's key shows that it is there."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import json
from safeconduct.envelope import jws
from safeconduct.errors import Rejected, Unsupported
from safeconduct.protocols import jwt, wire
from safeconduct.protocols.oauth.errors import reported_as
from safeconduct.protocols.openid4vci.errors import InvalidNonce, InvalidProof

TYPE = "openid4vci-proof+jwt"

_RULE = "OpenID4VCI §F.1"
_KEY_MEMBERS = frozenset({"jwk", "kid", "x5c"})

NonceCheck = Callable[[str], bool]
"""Says whether a nonce is one that this issuer gave out and still takes."""


def create_proof(
    *, key: Signer, audience: str, now: int, nonce: str | None, client_id: str | None = None
) -> str:
    """Returns a proof that the wallet holds `key`, for the issuer named `audience`.

    nonce: the issuer's `c_nonce`; None if it has no nonce endpoint.
    client_id: the wallet's; None if it got its token without naming itself.
    """
    claims: dict[str, str | int] = {"aud": audience, "iat": now}
    if nonce is not None:
        claims["nonce"] = nonce
    if client_id is not None:
        claims["iss"] = client_id
    return jws.sign(json.dumps(claims), signer=key, header={"typ": TYPE, "jwk": jwt.public_jwk(key)})


def verify_proof(
    proof: str,
    *,
    audience: str,
    now: int,
    nonce_ok: NonceCheck | None,
    client_id: str | None,
    algorithms: Collection[str],
    max_age: int = limits.PROOF_MAX_AGE,
    leeway: int = limits.PROOF_LEEWAY,
) -> PublicKey:
    """Returns the holder's key that the proof is valid for.

    audience: the issuer's identifier. nonce_ok: recognises its nonces; None if it has no nonce endpoint.
    client_id: the client that the token was given to; None for an anonymous one.
    algorithms: JOSE names from the configuration's `proof_signing_alg_values_supported`.
    max_age, leeway: seconds that `iat` may lie before and after `now`.

    Raises InvalidProof, whose code says what is wrong; InvalidNonce "proof_nonce_stale".
    Source: OpenID4VCI 1.0 Appendix F.4. A `key_attestation` in the header is not looked at.
    """
    with reported_as(InvalidProof):
        parsed = jws.parse(proof, max_bytes=limits.PROOF_BYTES)
        claims = wire.read_json(parsed.payload, _Claims, what="Key proof")
        key = _key(parsed.header)
        _check_claims(claims, audience, client_id)
        jwt.check_issued_at(claims.iat, now=now, max_age=max_age, leeway=leeway)
        jwt.check_validity(nbf=claims.nbf, exp=claims.exp, now=now, leeway=leeway)
        _check_nonce_present(claims, nonce_ok)
        jws.verify(parsed, key=key, algorithms=algorithms, typ=TYPE)
    _check_nonce(claims, nonce_ok)
    return key


def verify_proofs(
    proofs: Sequence[str],
    *,
    audience: str,
    now: int,
    nonce_ok: NonceCheck | None,
    client_id: str | None,
    algorithms: Collection[str],
) -> tuple[PublicKey, ...]:
    """Returns the keys of all proofs of a request, in order; the arguments are those of `verify_proof`.

    Raises as `verify_proof`; also InvalidProof "proof_key_repeated" if two proofs are for one key.
    """
    keys = tuple(
        verify_proof(
            proof,
            audience=audience,
            now=now,
            nonce_ok=nonce_ok,
            client_id=client_id,
            algorithms=algorithms,
        )
        for proof in proofs
    )
    if len(set(keys)) != len(keys):
        raise InvalidProof("proof_key_repeated", "Two proofs are for one key.", rule="OpenID4VCI §8.3")
    return keys


class _Claims(msgspec.Struct, frozen=True):
    aud: str
    iat: jwt.Number
    nonce: str | None = None
    iss: str | None = None
    nbf: jwt.Number | None = None
    exp: jwt.Number | None = None


def _key(header: dict[str, Any]) -> PublicKey:
    named = _KEY_MEMBERS.intersection(header)
    if len(named) != 1:
        raise Rejected("proof_key_ambiguous", "The proof does not name exactly one key.", rule=_RULE)
    if "jwk" not in named:
        raise Unsupported("proof_key_kind", "The proof's key is not given as a JWK.", rule=_RULE)
    return jwt.header_key(header)


def _check_claims(claims: _Claims, audience: str, client_id: str | None) -> None:
    if claims.aud != audience:
        raise Rejected("proof_aud", "The proof is for another issuer.", rule=_RULE)
    if client_id is None and claims.iss is not None:
        raise Rejected("proof_iss", "The proof of an anonymous client names a client.", rule=_RULE)
    if claims.iss not in (None, client_id):
        raise Rejected("proof_iss", "The proof is by another client.", rule=_RULE)


def _check_nonce_present(claims: _Claims, nonce_ok: NonceCheck | None) -> None:
    if nonce_ok is not None and claims.nonce is None:
        raise Rejected("proof_nonce_missing", "The proof carries no nonce.", rule="OpenID4VCI §8.3.1.2")


def _check_nonce(claims: _Claims, nonce_ok: NonceCheck | None) -> None:
    if nonce_ok is None or claims.nonce is None:
        return
    if len(claims.nonce) > limits.NONCE_CHARS or not nonce_ok(claims.nonce):
        raise InvalidNonce("proof_nonce_stale", "The nonce is not current.", rule="OpenID4VCI §8.3.1.2")
