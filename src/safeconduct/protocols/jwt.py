"""What the JWTs of these protocols share: the key in the header, the window of time, the kinds of claims."""

from collections.abc import Collection, Sequence
from typing import Any

from safeconduct.crypto import x509
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.crypto.x509 import Certificate
from safeconduct.envelope import jws
from safeconduct.envelope.jws import ParsedJws
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.trust import Trust

PROOF_ALGORITHMS = ("ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""JOSE names that proofs are signed with unless a caller says otherwise; all of them asymmetric."""

Number = int | float
"""A NumericDate (RFC 7519 §2): seconds, possibly with a fraction."""


def public_jwk(key: Signer) -> dict[str, Any]:
    """Returns the public key of `key` for a JOSE header, without its local name."""
    return key.public.with_kid(None).to_jwk()


def header_key(header: dict[str, Any]) -> PublicKey:
    """Returns the public key in the `jwk` member of a JOSE header, without the name its sender gave it.

    Raises Rejected "jwk_missing", "private_key_where_public_expected", and what `PublicKey.from_jwk` raises.
    """
    jwk = header.get("jwk")
    if not isinstance(jwk, dict):
        raise Rejected("jwk_missing", "The header carries no key in jwk.")
    return PublicKey.from_jwk(jwk).with_kid(None)


def signer_members(signer: Signer, chain: Sequence[Certificate]) -> dict[str, Any]:
    """Returns the header members by which a receiver finds the signer's key: `x5c`, else its `kid`."""
    if chain:
        return {"x5c": x509.to_x5c(chain)}
    return {"kid": signer.kid} if isinstance(signer.kid, str) else {}


def verify_trusted(
    parsed: ParsedJws, *, issuer: str | None, trust: Trust, now: int, algorithms: Collection[str], typ: str
) -> bytes:
    """Returns the payload of a JWS that a trusted key has signed: the leaf's of its `x5c`, or one by `kid`.

    issuer: whose keys and anchors of `trust` apply; None if the JWT names nobody.

    Raises Rejected "jwt_signer_unknown" (no trusted key can have signed), "signature_invalid"; and what
    `Trust.keys_for` and `jws.verify` raise.
    """
    kid = parsed.header.get("kid")
    if not isinstance(kid, str | None):
        raise Malformed("jws_malformed", "The header's kid is not text.", rule="RFC 7515 §4.1.4")
    failure: SafeconductError = Rejected("jwt_signer_unknown", "Nobody who is trusted has signed the JWT.")
    for key in trust.keys_for(issuer, kid, parsed.header.get("x5c"), now=now):
        try:
            return jws.verify(parsed, key=key, algorithms=algorithms, typ=typ)
        except SafeconductError as error:
            failure = error
    raise failure


def check_issued_at(iat: Number, *, now: int, max_age: int, leeway: int) -> None:
    """Checks that a JWT was made in the `max_age` seconds before `now`, or up to `leeway` seconds after.

    Raises Rejected "iat_too_old", "iat_in_future".
    """
    if iat < now - max_age:
        raise Rejected("iat_too_old", "The JWT was made too long ago.")
    if iat > now + leeway:
        raise Rejected("iat_in_future", "The JWT was made in the future.")


def check_validity(*, nbf: Number | None, exp: Number | None, now: int, leeway: int) -> None:
    """Checks `nbf` and `exp` where they are given, with `leeway` seconds for clocks that differ.

    Source: RFC 7519 §4.1.4, §4.1.5. Raises Rejected "jwt_not_yet_valid", "jwt_expired".
    """
    if nbf is not None and nbf > now + leeway:
        raise Rejected("jwt_not_yet_valid", "The JWT is not valid yet.")
    if exp is not None and exp <= now - leeway:
        raise Rejected("jwt_expired", "The JWT has expired.")
