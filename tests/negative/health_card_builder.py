"""Health cards with one chosen fault: built part by part, and signed correctly afterwards."""

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64
from safeconduct.status.card_keys import CardKey, CardTrust, KeySet, thumbprint

ISSUER = "https://issuer.example/cards"
NOW = 1_700_000_000
KEY = Key.generate("ES256")
KID = thumbprint(KEY.public)
TRUST = CardTrust({ISSUER: KeySet((CardKey.of(KEY.public),))})

BUNDLE = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "fullUrl": "resource:0",
            "resource": {"resourceType": "Patient", "name": [{"family": "Anyperson"}]},
        }
    ],
}


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good card, with changes; a member changed to None stands there as null."""
    subject = {"fhirVersion": "4.0.1", "fhirBundle": BUNDLE}
    vc = {"type": ["https://smarthealth.cards#health-card"], "credentialSubject": subject}
    return {"iss": ISSUER, "nbf": NOW - 100, "vc": vc, **changes}


def vc(**changes: Any) -> dict[str, Any]:
    """Claims with changes in `vc`."""
    return claims(vc={**claims()["vc"], **changes})


def subject(**changes: Any) -> dict[str, Any]:
    """Claims with changes in `vc.credentialSubject`."""
    return vc(credentialSubject={**claims()["vc"]["credentialSubject"], **changes})


def without(members: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """The members without the one at that path."""
    name, *rest = path
    if rest:
        return {**members, name: without(members[name], *rest)}
    return {other: value for other, value in members.items() if other != name}


def minified(value: Any) -> bytes:
    """JSON as cards have it; unlike the library's writer, this one writes anything."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def deflated(data: bytes, *, wbits: int = -15) -> bytes:
    """Compressed data; wbits: -15 without a header, 15 with that of zlib, 31 with that of gzip."""
    compressor = zlib.compressobj(9, wbits=wbits)
    return compressor.compress(data) + compressor.flush()


def card(
    payload: Mapping[str, Any] | bytes | None = None,
    *,
    header: Mapping[str, Any] | bytes | None = None,
    compress: Callable[[bytes], bytes] = deflated,
    key: Key = KEY,
    sign: Callable[[bytes], bytes] | None = None,
) -> str:
    """A card, right in all that is not given here.

    payload: claims, or what stands instead of their JSON. header: the members, or what stands instead.
    compress: how the payload becomes the JWS payload. sign: makes the signature instead of the key.
    """
    body = payload if isinstance(payload, bytes) else minified(claims() if payload is None else payload)
    members = {"zip": "DEF", "alg": "ES256", "kid": thumbprint(key.public)} if header is None else header
    protected = members if isinstance(members, bytes) else minified(members)
    signing_input = f"{b64.encode(protected)}.{b64.encode(compress(body))}"
    signature = (sign or key.sign)(signing_input.encode())
    return f"{signing_input}.{b64.encode(signature)}"
