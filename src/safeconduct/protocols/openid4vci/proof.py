"""Key proofs (OpenID4VCI 1.0 Appendix F): holders' keys that show that they are there, or that are attested.

Of the type `jwt` each is signed by its key; one may carry an attestation of several keys, among them its own.
Of the type `attestation` there is one, which somebody trusted has signed for all its keys.
"""

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
from safeconduct.protocols.openid4vci import key_attestation
from safeconduct.protocols.openid4vci.configuration import JWT_PROOF, CredentialConfiguration
from safeconduct.protocols.openid4vci.errors import InvalidCredentialRequest, InvalidNonce, InvalidProof
from safeconduct.protocols.openid4vci.key_attestation import KeyAttestation, KeyAttestationsRequired
from safeconduct.protocols.openid4vci.request import CredentialRequest, proofs_for
from safeconduct.trust import Trust

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


class ProofCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What an issuer checks proofs against.

    audience: its identifier. nonce_ok: recognises its nonces; None if it has no nonce endpoint.
    client_id: the client that the token was given to; None for an anonymous one.
    attesters: who may attest keys; None for nobody, then an attestation is not looked at, or not taken.
    max_age, leeway: seconds that `iat` may lie before and after now.
    """

    audience: str
    nonce_ok: NonceCheck | None
    client_id: str | None
    attesters: Trust | None = None
    max_age: int = limits.PROOF_MAX_AGE
    leeway: int = limits.PROOF_LEEWAY


def holder_keys(
    request: CredentialRequest,
    configuration: CredentialConfiguration,
    *,
    check: ProofCheck,
    batch_size: int,
    now: int,
) -> tuple[PublicKey, ...]:
    """Returns the keys that a request proves for credentials of `configuration`, one for each credential.

    Empty if the credentials are bound to no key. A single proof that carries an attestation is for all its
    keys (Appendix F.1); of several proofs each is for the key that signed it. batch_size: most keys.

    Raises InvalidProof, whose code says what is wrong; InvalidNonce; InvalidCredentialRequest
    "proofs_too_many". Source: OpenID4VCI 1.0 §8.2, Appendix F.
    """
    proofs = proofs_for(request, configuration)
    if not proofs or request.proofs is None:
        return ()
    type_ = request.proofs.type
    required = configuration.key_attestations.get(type_)
    if type_ == JWT_PROOF:
        algorithms = configuration.proof_algorithms[JWT_PROOF]
        verified = [_verified(proof, check, algorithms, required, now) for proof in proofs]
        keys = verified[0].all_keys if len(verified) == 1 else tuple(proof.key for proof in verified)
    else:
        keys = _attested(proofs, check, required, now).keys
    if len(keys) > batch_size:
        raise InvalidCredentialRequest(
            "proofs_too_many", "The request is for more keys than allowed.", rule="OpenID4VCI §12.2.4"
        )
    if len(set(keys)) != len(keys):
        raise InvalidProof("proof_key_repeated", "Two proofs are for one key.", rule="OpenID4VCI §8.3")
    return keys


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
    """Returns the holder's key that a proof of the type `jwt` is valid for.

    algorithms: JOSE names from the configuration's `proof_signing_alg_values_supported`. The other arguments
    are those of `ProofCheck`.

    Raises InvalidProof, whose code says what is wrong; InvalidNonce "proof_nonce_stale".
    Source: OpenID4VCI 1.0 Appendix F.4. A `key_attestation` in the header is not looked at.
    """
    check = ProofCheck(
        audience=audience, nonce_ok=nonce_ok, client_id=client_id, max_age=max_age, leeway=leeway
    )
    return _verified(proof, check, algorithms, None, now).key


class _Verified(msgspec.Struct, frozen=True):
    """A valid proof: the key that signed it, and the attestation that it carried."""

    key: PublicKey
    attestation: KeyAttestation | None

    @property
    def all_keys(self) -> tuple[PublicKey, ...]:
        return (self.key,) if self.attestation is None else self.attestation.keys


class _Claims(msgspec.Struct, frozen=True):
    aud: str
    iat: jwt.Number
    nonce: str | None = None
    iss: str | None = None
    nbf: jwt.Number | None = None
    exp: jwt.Number | None = None


def _verified(
    proof: str,
    check: ProofCheck,
    algorithms: Collection[str],
    required: KeyAttestationsRequired | None,
    now: int,
) -> _Verified:
    with reported_as(InvalidProof):
        parsed = jws.parse(proof, max_bytes=limits.PROOF_BYTES)
        claims = wire.read_json(parsed.payload, _Claims, what="Key proof")
        attested = _attestation_of(parsed.header, check, required, now)
        key = _key(parsed.header, attested)
        _check_claims(claims, check.audience, check.client_id)
        jwt.check_issued_at(claims.iat, now=now, max_age=check.max_age, leeway=check.leeway)
        jwt.check_validity(nbf=claims.nbf, exp=claims.exp, now=now, leeway=check.leeway)
        _check_nonce_present(claims, check.nonce_ok)
        jws.verify(parsed, key=key, algorithms=algorithms, typ=TYPE)
    _check_nonce(claims, check.nonce_ok)
    return _Verified(key, attested)


def _attestation_of(
    header: dict[str, Any], check: ProofCheck, required: KeyAttestationsRequired | None, now: int
) -> KeyAttestation | None:
    text = header.get(key_attestation.HEADER)
    if text is None:
        if required is not None:
            raise Rejected("key_attestation_missing", "The proof carries no key attestation.", rule=_RULE)
        return None
    if check.attesters is None:
        if required is not None:
            raise _no_attesters()
        return None
    if not isinstance(text, str):
        raise Rejected("key_attestation_malformed", "The key attestation is not a string.", rule=_RULE)
    return _verified_attestation(text, check, required, now, expiry_required=True)


def _attested(
    proofs: Sequence[str], check: ProofCheck, required: KeyAttestationsRequired | None, now: int
) -> KeyAttestation:
    text = key_attestation.single_attestation(proofs)
    if check.attesters is None:
        raise _no_attesters()
    return _verified_attestation(text, check, required, now, expiry_required=False)


def _verified_attestation(
    text: str,
    check: ProofCheck,
    required: KeyAttestationsRequired | None,
    now: int,
    *,
    expiry_required: bool,
) -> KeyAttestation:
    return key_attestation.verify_key_attestation(
        text,
        trust=check.attesters or Trust.of({}),
        now=now,
        nonce_ok=check.nonce_ok,
        required=required,
        expiry_required=expiry_required,
    )


def _no_attesters() -> InvalidProof:
    return InvalidProof("jwt_signer_unknown", "No one is trusted to attest keys.", rule="OpenID4VCI §F.4")


def _key(header: dict[str, Any], attested: KeyAttestation | None) -> PublicKey:
    named = _KEY_MEMBERS.intersection(header)
    if len(named) != 1:
        raise Rejected("proof_key_ambiguous", "The proof does not name exactly one key.", rule=_RULE)
    if attested is not None and "x5c" not in named:
        return attested.key_named(header)
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
