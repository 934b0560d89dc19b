"""Deliberately broken Status List Tokens, every part replaceable, signed correctly after.

Nothing here comes from the code under test but the keys: JSON, zlib and base64url are the standard
library's, CBOR is cbor2's, the Sig_structure is written out.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any, Self

import cbor2
import msgspec

from safeconduct.crypto.keys import Key

URI = "https://status.example/lists/7.jwt"
IAT, EXP, TTL = 1_700_000_000, 1_700_086_400, 3600
LABELS = {"sub": 2, "aud": 3, "exp": 4, "nbf": 5, "iat": 6, "ttl": 65534, "status_list": 65533}
GONE: Any = object()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class ListToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token over the array `data`. claims, listed: replace or, with GONE, remove members."""

    kind: str = "jwt"
    key: Key
    data: bytes = bytes(16)
    bits: Any = 2
    claims: Mapping[str, Any] = {}
    listed: Mapping[str, Any] = {}
    header: Mapping[Any, Any] = {}

    def but(self, **changes: Any) -> Self:
        return msgspec.structs.replace(self, **changes)

    def encoded(self) -> bytes:
        lst: Any = zlib.compress(self.data, 9)
        if self.kind == "jwt":
            lst = b64(lst)
        listed = _merged({"bits": self.bits, "lst": lst}, self.listed)
        claims = _merged({"sub": URI, "iat": IAT, "exp": EXP, "ttl": TTL, "status_list": listed}, self.claims)
        return self._jwt(claims) if self.kind == "jwt" else self._cwt(claims)

    def _jwt(self, claims: Mapping[str, Any]) -> bytes:
        header = _merged({"alg": self.key.algorithm.jose, "typ": "statuslist+jwt"}, self.header)
        signed = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
        return f"{signed}.{b64(self.key.sign(signed.encode()))}".encode()

    def _cwt(self, claims: Mapping[str, Any]) -> bytes:
        header = _merged({1: self.key.algorithm.cose, 16: "application/statuslist+cwt"}, self.header)
        protected = cbor2.dumps(header)
        payload = cbor2.dumps({LABELS[name]: value for name, value in claims.items()})
        signature = self.key.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
        return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]))


def _merged(given: Mapping[Any, Any], changes: Mapping[Any, Any]) -> dict[Any, Any]:
    return {name: value for name, value in {**given, **changes}.items() if value is not GONE}
