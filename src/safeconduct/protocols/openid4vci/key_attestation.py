"""Key attestations (OpenID4VCI 1.0 Appendix D): somebody trusted says where the holder's keys live.

One stands alone as the only proof of the type `attestation`, or in the header of a proof of the type `jwt`,
which one of the attested keys then signs.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.crypto.x509 import Certificate
from safeconduct.encoding import json
from safeconduct.envelope import jws
from safeconduct.errors import Malformed, Rejected
from safeconduct.protocols import jwt, wire
from safeconduct.protocols.oauth.errors import reported_as
from safeconduct.protocols.openid4vci.errors import InvalidNonce, InvalidProof
from safeconduct.trust import Trust

TYPE = "key-attestation+jwt"

PROOF_TYPE = "attestation"
"""The proof type that is one key attestation by itself (OpenID4VCI 1.0 Appendix F.3)."""

HEADER = "key_attestation"
"""The header member that carries an attestation in a proof of the type `jwt` (Appendix F.1)."""

LEVELS = ("iso_18045_high", "iso_18045_moderate", "iso_18045_enhanced-basic", "iso_18045_basic")
"""Resistance to attack as Appendix D.2 names it, highest first; ecosystems may have names of their own."""

NonceCheck = Callable[[str], bool]
"""Says whether a nonce is one that this issuer gave out and still takes."""

_RULE = "OpenID4VCI §D.1"

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS)]
_Some = msgspec.Meta(min_length=1, max_length=limits.LIST_ITEMS)


class KeyAttestationsRequired(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a configuration demands of attestations: its `key_attestations_required` (§12.2.4).

    key_storage, user_authentication: levels of which one must be attested; None for any. An empty object
    demands an attestation, of any level.
    """

    key_storage: Annotated[tuple[_Text, ...], _Some] | None = None
    user_authentication: Annotated[tuple[_Text, ...], _Some] | None = None


class KeyAttestation(msgspec.Struct, frozen=True, kw_only=True):
    """Keys that somebody trusted vouches for; only `verify_key_attestation` makes one.

    keys: in the attestation's order. kids: their names there. issuer: the attester, None if it is not named.
    key_storage, user_authentication: levels of both. certification: URLs. nonce: the issuer's. status: the
    `status` claim, not looked up. expires: in seconds since 1970, None for never.
    """

    keys: tuple[PublicKey, ...]
    kids: tuple[str | None, ...]
    issuer: str | None
    key_storage: tuple[str, ...]
    user_authentication: tuple[str, ...]
    certification: tuple[str, ...]
    nonce: str | None
    status: Mapping[str, Any] | None
    expires: int | None

    def key_named(self, header: Mapping[str, Any]) -> PublicKey:
        """Returns the attested key that a proof's header names: by `jwk`, or by `kid`.

        A `kid` is the name that a key has in the attestation, else its place there, counted from 0.

        Raises InvalidProof "proof_key_not_attested", and what is wrong with a `jwk`.
        Source: Appendix F.1.
        """
        with reported_as(InvalidProof):
            if "jwk" in header:
                key = jwt.header_key(dict(header))
                if key in self.keys:
                    return key
            elif isinstance(kid := header.get("kid"), str):
                if kid in self.kids:
                    return self.keys[self.kids.index(kid)]
                places = {str(place): key for place, key in enumerate(self.keys)}
                if kid in places:
                    return places[kid]
            raise Rejected(
                "proof_key_not_attested", "The proof's key is none of the attested ones.", rule=_RULE
            )

    def __repr__(self) -> str:
        return f"<KeyAttestation of {len(self.keys)} keys>"


def create_key_attestation(
    *,
    attester: Signer,
    keys: Sequence[PublicKey],
    now: int,
    lifetime: int | None,
    nonce: str | None = None,
    chain: Sequence[Certificate] = (),
    issuer: str | None = None,
    key_storage: Sequence[str] = (),
    user_authentication: Sequence[str] = (),
    certification: Sequence[str] = (),
    status: Mapping[str, Any] | None = None,
) -> str:
    """Returns the attester's word for the holder's keys.

    lifetime: seconds; None for one without end, which a proof of the type `jwt` does not take.
    nonce: the issuer's `c_nonce`. chain: certificates of the attester's key, without the anchor.
    """
    optional = {
        "iss": issuer,
        "exp": None if lifetime is None else now + lifetime,
        "key_storage": list(key_storage) or None,
        "user_authentication": list(user_authentication) or None,
        "certification": list(certification) or None,
        "nonce": nonce,
        "status": None if status is None else dict(status),
    }
    claims = {
        "iat": now,
        "attested_keys": [key.with_kid(None).to_jwk() for key in keys],
        **{name: value for name, value in optional.items() if value is not None},
    }
    header = {"typ": TYPE, **jwt.signer_members(attester, chain)}
    return jws.sign(json.dumps(claims), signer=attester, header=header)


def verify_key_attestation(
    text: str,
    *,
    trust: Trust,
    now: int,
    nonce_ok: NonceCheck | None,
    required: KeyAttestationsRequired | None,
    expiry_required: bool,
    algorithms: Collection[str] = jwt.PROOF_ALGORITHMS,
    leeway: int = limits.PROOF_LEEWAY,
) -> KeyAttestation:
    """Returns the keys if a trusted attester vouches for them at the demanded level.

    text: the JWT. trust: the attesters' keys or anchors. nonce_ok: recognises the issuer's nonces; None if it
    has no nonce endpoint. required: what the configuration demands. expiry_required: whether `exp` must be
    there, as it must within a proof of the type `jwt`. algorithms: JOSE names that the attester may sign by.
    leeway: seconds by which clocks may differ.

    Raises InvalidProof: "key_attestation_signature", "key_attestation_level", "key_attestation_exp",
    "key_attestation_key_repeated", "key_attestation_nonce_missing", "jwt_signer_unknown", "jwt_expired",
    "iat_in_future", "message_malformed" and others of the envelope, the keys and the chain; InvalidNonce
    "key_attestation_nonce_stale".
    Source: OpenID4VCI 1.0 Appendix D.1, F.1, F.3, F.4.
    """
    with reported_as(InvalidProof):
        parsed = jws.parse(text, max_bytes=limits.JWT_BYTES)
        claims = wire.read_json(parsed.payload, _Claims, what="Key attestation")
        _verify_signature(parsed, claims.iss, trust, now, algorithms)
        _check_times(claims, now, leeway, expiry_required)
        _check_levels(claims, required)
        keys = tuple(PublicKey.from_jwk(jwk) for jwk in claims.attested_keys)
        if len(set(keys)) != len(keys):
            raise Rejected("key_attestation_key_repeated", "A key is attested twice.", rule=_RULE)
        if nonce_ok is not None and claims.nonce is None:
            raise Rejected("key_attestation_nonce_missing", "The attestation carries no nonce.", rule=_RULE)
    if nonce_ok is not None and claims.nonce is not None:
        _check_nonce(claims.nonce, nonce_ok)
    return KeyAttestation(
        keys=tuple(key.with_kid(None) for key in keys),
        kids=tuple(key.kid if isinstance(key.kid, str) else None for key in keys),
        issuer=claims.iss,
        key_storage=claims.key_storage or (),
        user_authentication=claims.user_authentication or (),
        certification=_certification(claims.certification),
        nonce=claims.nonce,
        status=claims.status,
        expires=None if claims.exp is None else int(claims.exp),
    )


def single_attestation(proofs: Sequence[str]) -> str:
    """Returns the only proof of the type `attestation` (Appendix F.3).

    Raises InvalidProof "key_attestation_repeated".
    """
    if len(proofs) != 1:
        raise InvalidProof(
            "key_attestation_repeated", "There is not exactly one attestation.", rule="OpenID4VCI §F.3"
        )
    return proofs[0]


class _Claims(msgspec.Struct, frozen=True):
    iat: jwt.Number
    attested_keys: Annotated[
        tuple[dict[str, Any], ...], msgspec.Meta(min_length=1, max_length=limits.BATCH_SIZE)
    ]
    iss: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.URL_CHARS)] | None = None
    exp: jwt.Number | None = None
    nbf: jwt.Number | None = None
    key_storage: Annotated[tuple[_Text, ...], _Some] | None = None
    user_authentication: Annotated[tuple[_Text, ...], _Some] | None = None
    certification: str | Annotated[tuple[str, ...], _Some] | None = None
    nonce: str | None = None
    status: dict[str, Any] | None = None


def _verify_signature(
    parsed: jws.ParsedJws, issuer: str | None, trust: Trust, now: int, algorithms: Collection[str]
) -> None:
    try:
        jwt.verify_trusted(parsed, issuer=issuer, trust=trust, now=now, algorithms=algorithms, typ=TYPE)
    except Rejected as error:
        if error.code != "signature_invalid":
            raise
        raise Rejected("key_attestation_signature", error.reason, rule="OpenID4VCI §F.4") from error


def _check_times(claims: _Claims, now: int, leeway: int, expiry_required: bool) -> None:
    if claims.exp is None and expiry_required:
        raise Malformed("key_attestation_exp", "The attestation does not say when it ends.", rule=_RULE)
    jwt.check_validity(nbf=claims.nbf, exp=claims.exp, now=now, leeway=leeway)
    if claims.iat > now + leeway:
        raise Rejected("iat_in_future", "The attestation was made in the future.", rule=_RULE)


def _check_levels(claims: _Claims, required: KeyAttestationsRequired | None) -> None:
    if required is None:
        return
    for demanded, attested in (
        (required.key_storage, claims.key_storage),
        (required.user_authentication, claims.user_authentication),
    ):
        if demanded is not None and set(demanded).isdisjoint(attested or ()):
            raise Rejected(
                "key_attestation_level",
                "The keys are not attested at a level that is demanded.",
                rule="OpenID4VCI §12.2.4",
            )


def _check_nonce(nonce: str, nonce_ok: NonceCheck) -> None:
    if len(nonce) > limits.NONCE_CHARS or not nonce_ok(nonce):
        raise InvalidNonce("key_attestation_nonce_stale", "The nonce is not current.", rule=_RULE)


def _certification(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value
