"""The nonce endpoint's answer (OpenID4VCI 1.0 §7.2); the nonces themselves are `oauth.stateless`."""

from typing import Annotated

import msgspec

from safeconduct import limits
from safeconduct.protocols import wire


def nonce_response_json(c_nonce: str) -> dict[str, str]:
    """Returns the JSON members of a nonce response; send it with `Cache-Control: no-store`."""
    return {"c_nonce": c_nonce}


def parse_nonce_response(body: bytes) -> str:
    """Returns the `c_nonce` of a nonce response; raises Malformed for anything else."""
    return wire.read_json(body, _Response, what="Nonce response").c_nonce


class _Response(msgspec.Struct, frozen=True):
    c_nonce: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.NONCE_CHARS)]
