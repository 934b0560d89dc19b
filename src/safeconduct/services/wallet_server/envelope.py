"""What may pass: a sealed request under DPoP, and nothing that this server could read or use itself."""

import re
from collections.abc import Sequence

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64, json
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.protocols.oauth import authorization, dpop

SEALED = "application/jwt"
"""Media type of what is forwarded."""

_COMPACT_JWE = re.compile(rb"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+){3}")


class Credentials(msgspec.Struct, frozen=True):
    """The wallet's own header fields, to be passed on as they are and kept nowhere."""

    authorization: str
    dpop: str

    def __repr__(self) -> str:
        return "<Credentials>"


def check_sealed(body: bytes, *, media_type: str) -> None:
    """Checks that the body is a compact JWE, as far as someone without the key can tell.

    A wallet that sends anything else has a fault, and its secrets should not travel further. Raises Rejected
    "plaintext_refused".
    """
    if media_type != SEALED or not is_sealed(body):
        raise Rejected("plaintext_refused", "Only encrypted requests are forwarded.", rule="OpenID4VCI §10")


def is_sealed(body: bytes) -> bool:
    """Returns whether a body is a compact JWE, as far as someone without the key can tell."""
    parts = _COMPACT_JWE.fullmatch(body)
    return parts is not None and _is_jwe_header(parts[1])


def check_credentials(authorization_header: str | None, dpop_headers: Sequence[str]) -> Credentials:
    """Returns the header fields to pass on.

    A bearer token would be as good in this server's hands as in the wallet's, so it is refused. Raises
    MissingToken, InvalidRequest, InvalidDpopProof, Rejected "bearer_refused".
    """
    token = authorization.parse_authorization(authorization_header)
    if token.scheme != "DPoP":
        raise Rejected("bearer_refused", "Only tokens bound to a key of the wallet are forwarded.")
    assert authorization_header is not None  # else there was no token
    return Credentials(authorization_header, dpop.single_header(dpop_headers))


def _is_jwe_header(part: bytes) -> bool:
    try:
        header = json.loads_object(
            b64.decode(part, max_bytes=limits.JOSE_HEADER_BYTES), max_bytes=limits.JOSE_HEADER_BYTES
        )
    except SafeconductError:
        return False
    return isinstance(header.get("alg"), str) and isinstance(header.get("enc"), str)
