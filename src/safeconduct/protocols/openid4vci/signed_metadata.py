"""Issuer metadata as a signed JWT (OpenID4VCI 1.0 §12.2.3): it may pass through hands that nobody trusts.

What is verified here is believed for its signature alone, wherever it came from, so that a wallet server may
carry it without being able to put keys of its own into it.
"""

from collections.abc import Collection, Sequence
from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.crypto.signing import Signer
from safeconduct.crypto.x509 import Certificate
from safeconduct.encoding import json
from safeconduct.envelope import jws
from safeconduct.errors import Rejected
from safeconduct.protocols import jwt, wire
from safeconduct.trust import Trust

TYPE = "openidvci-issuer-metadata+jwt"

MEDIA_TYPE = "application/jwt"
"""The content type under which signed metadata is asked for and served."""

_RULE = "OpenID4VCI §12.2.3"
_OWN = frozenset({"iss", "sub", "iat", "nbf", "exp"})

_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.URL_CHARS)]


def sign_metadata(
    members: dict[str, Any],
    *,
    signer: Signer,
    credential_issuer: str,
    now: int,
    lifetime: int | None = None,
    chain: Sequence[Certificate] = (),
    issuer: str | None = None,
) -> str:
    """Returns the metadata document as a JWT.

    members: as `metadata.issuer_metadata_json` gives them. lifetime: seconds until it expires; None for
    never. chain: certificates of the signer's key, without the anchor. issuer: who signs, if not the issuer.

    Raises ValueError if a member has the name of one of the JWT's own claims.
    """
    if not _OWN.isdisjoint(members):
        raise ValueError("metadata has no members of the names of the JWT's own claims")
    claims: dict[str, Any] = {"sub": credential_issuer, "iat": now}
    if lifetime is not None:
        claims["exp"] = now + lifetime
    if issuer is not None:
        claims["iss"] = issuer
    header = {"typ": TYPE, **jwt.signer_members(signer, chain)}
    return jws.sign(json.dumps({**claims, **members}), signer=signer, header=header)


def verify_signed_metadata(
    text: str,
    *,
    credential_issuer: str,
    trust: Trust,
    now: int,
    signers: Collection[str] = (),
    algorithms: Collection[str] = jwt.PROOF_ALGORITHMS,
    leeway: int = limits.CLOCK_SKEW,
) -> dict[str, Any]:
    """Returns the members of signed metadata, for `metadata.issuer_metadata_from`.

    text: the JWT. credential_issuer: whose metadata it must be. trust: pinned keys and anchors; those of the
    credential issuer apply. signers: others who may sign for it, whose own keys and anchors apply if the JWT
    names one of them in `iss`. leeway: seconds by which clocks may differ.

    Raises Rejected: "metadata_sub" (it is about another issuer), "metadata_iss" (somebody else has signed
    who may not), "jwt_signer_unknown", "signature_invalid",
    "jwt_expired", "jwt_not_yet_valid", "iat_in_future"; and others of the envelope and the chain.
    """
    parsed = jws.parse(text, max_bytes=limits.JWT_BYTES)
    members = json.loads_object(parsed.payload, max_bytes=limits.METADATA_BYTES)
    claims = wire.read(members, _Claims, what="Signed metadata")
    if claims.sub != credential_issuer:
        raise Rejected("metadata_sub", "The signed metadata is about another issuer.", rule=_RULE)
    signer = credential_issuer if claims.iss is None else claims.iss
    if signer != credential_issuer and signer not in signers:
        # Whoever is trusted for credentials of its own is not therefore trusted to speak for this issuer.
        raise Rejected("metadata_iss", "The metadata is signed by a party that may not.", rule=_RULE)
    jwt.verify_trusted(parsed, issuer=signer, trust=trust, now=now, algorithms=algorithms, typ=TYPE)
    jwt.check_validity(nbf=claims.nbf, exp=claims.exp, now=now, leeway=leeway)
    if claims.iat > now + leeway:
        raise Rejected("iat_in_future", "The metadata was signed in the future.", rule=_RULE)
    return {name: value for name, value in members.items() if name not in _OWN}


class _Claims(msgspec.Struct, frozen=True):
    sub: _Url
    iat: jwt.Number
    iss: _Url | None = None
    nbf: jwt.Number | None = None
    exp: jwt.Number | None = None
