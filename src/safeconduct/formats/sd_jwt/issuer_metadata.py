"""JWT VC Issuer Metadata: the keys that an issuer publishes under its own name.

Pure: whoever fetches the documents bounds and guards the fetching; the URL comes out of an unverified token.
Source: draft-ietf-oauth-sd-jwt-vc, "JWT VC Issuer Metadata".
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected, SafeconductError

_RULE = "SD-JWT-VC, JWT VC Issuer Metadata"
_IDENTIFIER = re.compile(
    r"(https?)://([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?"
)
_DOTS = frozenset({".", ".."})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


class IssuerMetadata(msgspec.Struct, frozen=True):
    """What an issuer says of its keys: either the keys, or the URL of a JWK Set.

    keys: those that signatures here can be made with; others in the set are left out.
    """

    issuer: str
    keys: tuple[PublicKey, ...]
    jwks_uri: str | None


def url_for(issuer: str, *, allow_http_loopback: bool = False) -> str:
    """Return where an issuer's metadata stands: the well-known path between its host and its own path.

    issuer: the `iss` of a token. allow_http_loopback: takes http as well if the host is the local machine.
    Raises Rejected: issuer_not_url.
    """
    found = _IDENTIFIER.fullmatch(issuer) if len(issuer) <= limits.URL_CHARS else None
    if found is None or not (found[1] == "https" or (allow_http_loopback and found[2] in _LOOPBACK)):
        raise Rejected("issuer_not_url", "The issuer is not an https URL of a host and path.", rule=_RULE)
    path = (found[4] or "").removesuffix("/")
    if any(segment.lower().replace("%2e", ".") in _DOTS for segment in path.split("/")):
        # Fetching would take them away, and with them the well-known path: any file of the host would do.
        raise Rejected("issuer_not_url", "The issuer's path has dots that lead elsewhere.", rule=_RULE)
    return f"{found[1]}://{found[2]}{found[3] or ''}/.well-known/jwt-vc-issuer{path}"


def parse(data: bytes, *, issuer: str, allow_http_loopback: bool = False) -> IssuerMetadata:
    """Read the metadata of an issuer.

    issuer: the `iss` for whose sake the document was fetched; it must name itself so.
    Raises Malformed: issuer_metadata_malformed and json_*; Rejected: issuer_metadata_other, issuer_not_url.
    """
    members = json.loads_object(data, max_bytes=limits.METADATA_BYTES)
    if members.get("issuer") != issuer:
        raise Rejected("issuer_metadata_other", "The metadata is of another issuer.", rule=_RULE)
    if ("jwks" in members) == ("jwks_uri" in members):
        raise _malformed("The issuer metadata has not either jwks or jwks_uri.")
    if "jwks" in members:
        return IssuerMetadata(issuer, _keys(members["jwks"]), None)
    uri = members["jwks_uri"]
    if type(uri) is not str or len(uri) > limits.URL_CHARS:
        raise _malformed("jwks_uri is not a URL.")
    # The same form as an identifier, but a query may follow.
    url_for(uri.partition("?")[0], allow_http_loopback=allow_http_loopback)
    return IssuerMetadata(issuer, (), uri)


def parse_jwks(data: bytes) -> tuple[PublicKey, ...]:
    """Read the JWK Set that `jwks_uri` leads to.

    Keys of a type or use that makes no signatures here are left out.
    Raises Malformed: issuer_metadata_malformed and json_*.
    """
    return _keys(json.loads_object(data, max_bytes=limits.METADATA_BYTES))


def write(issuer: str, keys: Iterable[PublicKey]) -> dict[str, Any]:
    """Return the metadata that an issuer publishes, its keys included."""
    return {"issuer": issuer, "jwks": {"keys": [key.to_jwk() for key in keys]}}


def _keys(jwks: Any) -> tuple[PublicKey, ...]:
    listed = jwks.get("keys") if type(jwks) is dict else None
    if type(listed) is not list or len(listed) > limits.LIST_ITEMS:
        raise _malformed("The issuer's keys are not a JWK Set.")
    return tuple(key for key in map(_key, listed) if key is not None)


def _key(jwk: Any) -> PublicKey | None:
    try:
        return PublicKey.from_jwk(jwk)
    except SafeconductError:
        return None


def _malformed(reason: str) -> Malformed:
    return Malformed("issuer_metadata_malformed", reason, rule=_RULE)
