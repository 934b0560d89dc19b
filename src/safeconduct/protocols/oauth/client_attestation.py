"""Clients that their maker vouches for: wallet attestation as client authentication, at PAR and token.

The attester signs a JWT over the client's name and the key of one instance; with that key the instance signs,
for each request, a second JWT. Both travel in headers. An attestation names no person and no device, and a
wallet uses another one with each server (OpenID4VCI 1.0 Appendix E, HAIP 1.0).

Sources: draft-ietf-oauth-attestation-based-client-auth (versions 7 and 8; `iss`, which not all versions have,
may be missing), OpenID4VCI 1.0 Appendix E.
"""

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.crypto.x509 import Certificate
from safeconduct.encoding import b64, json
from safeconduct.envelope import jws
from safeconduct.errors import Rejected
from safeconduct.ids import Random
from safeconduct.protocols import jwt, wire
from safeconduct.protocols.oauth import dpop
from safeconduct.protocols.oauth.errors import InvalidClient, UseAttestationChallenge, reported_as
from safeconduct.trust import Trust

TYPE = "oauth-client-attestation+jwt"
POP_TYPE = "oauth-client-attestation-pop+jwt"

ATTESTATION_HEADER = "OAuth-Client-Attestation"
POP_HEADER = "OAuth-Client-Attestation-PoP"
CHALLENGE_HEADER = "OAuth-Client-Attestation-Challenge"
"""Header of an answer that gives the client its next challenge; it must accompany UseAttestationChallenge."""

METHOD = "attest_jwt_client_auth"
"""Name of the method in `token_endpoint_auth_methods_supported`."""

ChallengeCheck = Callable[[str], bool]
"""Says whether a challenge is one that this server gave out and still takes."""

_RULE = "draft-ietf-oauth-attestation-based-client-auth §9"

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.URL_CHARS)]


class ClientAttestation(msgspec.Struct, frozen=True, kw_only=True):
    """A client that authenticated by attestation; that its proof is not used twice is for the caller to see.

    client_id: the client's name, shared by all its instances. issuer: the attester, None if it is not named.
    key, thumbprint: the instance's key, and its RFC 7638 thumbprint, to which refresh tokens are bound.
    expires: second in which the attestation ends. wallet_name, wallet_link: for people. status: its `status`
    claim, not looked up. jti, pop_expires: the proof's identifier, and the second from which on the proof is
    refused as too old, so that `jti` need not be remembered longer.
    """

    client_id: str
    issuer: str | None
    key: PublicKey
    thumbprint: str
    expires: int
    wallet_name: str | None
    wallet_link: str | None
    status: Mapping[str, Any] | None
    jti: str
    pop_expires: int

    def __repr__(self) -> str:
        return "<ClientAttestation>"


def create_attestation(
    *,
    attester: Signer,
    client_id: str,
    key: PublicKey,
    now: int,
    lifetime: int,
    chain: Sequence[Certificate] = (),
    issuer: str | None = None,
    wallet_name: str | None = None,
    wallet_link: str | None = None,
    status: Mapping[str, Any] | None = None,
) -> str:
    """Returns the attester's word that `key` belongs to an instance of the client.

    lifetime: seconds. chain: certificates of the attester's key, without the anchor (HAIP 1.0 wants them).
    """
    optional = {
        "iss": issuer,
        "wallet_name": wallet_name,
        "wallet_link": wallet_link,
        "status": None if status is None else dict(status),
    }
    claims = {
        "sub": client_id,
        "iat": now,
        "exp": now + lifetime,
        "cnf": {"jwk": key.with_kid(None).to_jwk()},
        **{name: value for name, value in optional.items() if value is not None},
    }
    header = {"typ": TYPE, **jwt.signer_members(attester, chain)}
    return jws.sign(json.dumps(claims), signer=attester, header=header)


def create_pop(
    *,
    key: Signer,
    client_id: str,
    audience: str,
    now: int,
    challenge: str | None = None,
    random: Random = secrets.token_bytes,
) -> str:
    """Returns the instance's proof, for one request to one server, that it has the attested key.

    audience: the server's issuer identifier (RFC 8414). challenge: the server's last one.
    """
    claims: dict[str, str | int] = {
        "iss": client_id,
        "aud": audience,
        "jti": b64.encode(random(16)),
        "iat": now,
    }
    if challenge is not None:
        claims["challenge"] = challenge
    return jws.sign(json.dumps(claims), signer=key, header={"typ": POP_TYPE})


def single_headers(attestations: Sequence[str], pops: Sequence[str]) -> tuple[str, str] | None:
    """Returns the two values of a request's headers, or None if it has neither.

    attestations, pops: the values of all header fields of either name.

    Source: §9 step 1. Raises InvalidClient "client_attestation_headers" (one of them is missing or repeated).
    """
    if not attestations and not pops:
        return None
    if len(attestations) != 1 or len(pops) != 1 or "," in attestations[0] or "," in pops[0]:
        raise InvalidClient(
            "client_attestation_headers",
            "The request does not have one attestation and one proof.",
            rule=_RULE,
        )
    return attestations[0], pops[0]


def verify_client_attestation(
    attestation: str,
    pop: str,
    *,
    trust: Trust,
    audience: str,
    now: int,
    client_id: str | None,
    challenge_ok: ChallengeCheck | None,
    algorithms: Collection[str] = jwt.PROOF_ALGORITHMS,
    max_age: int = limits.PROOF_MAX_AGE,
    leeway: int = limits.PROOF_LEEWAY,
) -> ClientAttestation:
    """Returns the client if a trusted attester vouches for it, and the instance itself has made the request.

    attestation, pop: values of the two headers. trust: the attesters' keys or anchors.
    audience: this server's issuer identifier. client_id: what the request says the client is, if it does.
    challenge_ok: recognises the server's challenges; None asks for none.
    max_age, leeway: seconds that `iat` of the proof may lie before and after `now`; leeway also for the
    attestation's times.

    Raises InvalidClient, whose code says what is wrong: "client_attestation_signature",
    "client_attestation_pop_signature", "client_attestation_pop_aud", "client_attestation_client_id",
    "client_attestation_jti", "jwt_signer_unknown", "jwt_expired", "jwt_not_yet_valid", "iat_too_old",
    "iat_in_future", "message_malformed" and others of the envelope, the key and the chain;
    UseAttestationChallenge "client_attestation_challenge_missing", "client_attestation_challenge_stale".
    Source: §9, whose steps are named below.
    """
    with reported_as(InvalidClient):
        with _signature(Rejected("client_attestation_signature", "The attester has not signed.", rule=_RULE)):
            claims, key = _attestation(
                attestation, trust=trust, now=now, leeway=leeway, algorithms=algorithms
            )
        parsed = jws.parse(pop, max_bytes=limits.PROOF_BYTES)
        proof = wire.read_json(parsed.payload, _PopClaims, what="Proof of a client attestation")  # step 3
        with _signature(
            Rejected("client_attestation_pop_signature", "The instance has not signed.", rule=_RULE)
        ):
            jws.verify(parsed, key=key, algorithms=algorithms, typ=POP_TYPE)  # steps 4, 7
        jwt.check_issued_at(proof.iat, now=now, max_age=max_age, leeway=leeway)  # step 9
        jwt.check_validity(nbf=proof.nbf, exp=proof.exp, now=now, leeway=leeway)
        _check_audience(proof.aud, audience)  # step 10
        _check_client(claims.sub, proof.iss, client_id)  # step 13
        if not 0 < len(proof.jti) <= limits.JTI_CHARS:
            raise Rejected("client_attestation_jti", "The proof has no usable jti.", rule=_RULE)
    _check_challenge(proof.challenge, challenge_ok)  # step 8
    return ClientAttestation(
        client_id=claims.sub,
        issuer=claims.iss,
        key=key,
        thumbprint=dpop.thumbprint(key),
        expires=int(claims.exp),
        wallet_name=claims.wallet_name,
        wallet_link=claims.wallet_link,
        status=claims.status,
        jti=proof.jti,
        pop_expires=int(proof.iat) + max_age + 1,
    )


def challenge_response_json(challenge: str) -> dict[str, str]:
    """Returns the JSON members of a challenge endpoint's answer; send it with `Cache-Control: no-store`."""
    return {"attestation_challenge": challenge}


def parse_challenge_response(body: bytes) -> str:
    """Returns the challenge that a challenge endpoint answered; raises Malformed for anything else (§8)."""
    return wire.read_json(body, _Challenge, what="Challenge response").attestation_challenge


class _Challenge(msgspec.Struct, frozen=True):
    attestation_challenge: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.NONCE_CHARS)]


class _Confirmation(msgspec.Struct, frozen=True):
    jwk: dict[str, Any]


class _Claims(msgspec.Struct, frozen=True):
    sub: _Text
    exp: jwt.Number
    cnf: _Confirmation
    iss: _Url | None = None
    iat: jwt.Number | None = None
    nbf: jwt.Number | None = None
    wallet_name: _Text | None = None
    wallet_link: _Url | None = None
    status: dict[str, Any] | None = None


class _PopClaims(msgspec.Struct, frozen=True):
    aud: str | tuple[str, ...]
    jti: str
    iat: jwt.Number
    iss: str | None = None
    challenge: str | None = None
    nbf: jwt.Number | None = None
    exp: jwt.Number | None = None


def _attestation(
    text: str, *, trust: Trust, now: int, leeway: int, algorithms: Collection[str]
) -> tuple[_Claims, PublicKey]:
    parsed = jws.parse(text, max_bytes=limits.PROOF_BYTES)
    claims = wire.read_json(parsed.payload, _Claims, what="Client attestation")  # step 2
    jwt.verify_trusted(
        parsed, issuer=claims.iss, trust=trust, now=now, algorithms=algorithms, typ=TYPE
    )  # steps 4, 5
    jwt.check_validity(nbf=claims.nbf, exp=claims.exp, now=now, leeway=leeway)  # step 11
    if claims.iat is not None and claims.iat > now + leeway:
        raise Rejected("iat_in_future", "The attestation was made in the future.", rule=_RULE)
    return claims, PublicKey.from_jwk(claims.cnf.jwk).with_kid(None)  # step 6


def _check_audience(received: str | tuple[str, ...], expected: str) -> None:
    # A proof for several servers could be taken from one to the other.
    sole = received if isinstance(received, str) else received[0] if len(received) == 1 else None
    if sole != expected:
        raise Rejected("client_attestation_pop_aud", "The proof is not for this server alone.", rule=_RULE)


def _check_client(attested: str, proved: str | None, requested: str | None) -> None:
    for other in (proved, requested):
        if other not in (None, attested):
            raise Rejected(
                "client_attestation_client_id", "The attestation is for another client.", rule=_RULE
            )


def _check_challenge(challenge: str | None, challenge_ok: ChallengeCheck | None) -> None:
    if challenge_ok is None:
        return
    if challenge is None:
        raise UseAttestationChallenge(
            "client_attestation_challenge_missing",
            "The proof must carry a challenge of this server.",
            rule=_RULE,
        )
    if len(challenge) > limits.NONCE_CHARS or not challenge_ok(challenge):
        raise UseAttestationChallenge(
            "client_attestation_challenge_stale", "The challenge is not current.", rule=_RULE
        )


@contextmanager
def _signature(invalid: Rejected) -> Iterator[None]:
    """Says whose signature is invalid, of the two."""
    try:
        yield
    except Rejected as error:
        if error.code != "signature_invalid":
            raise
        raise invalid from error
