"""Deliberately broken tokens: an SD-JWT and its key binding, every part replaceable, signed correctly after.

Nothing here comes from the code under test but the keys: JSON and base64url are the standard library's,
digests are hashlib's.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self

import msgspec
import pytest

from safeconduct.crypto.keys import Key
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_jwt
from safeconduct.trust import Policy, Trust

ISSUER = "https://issuer.example"
AUDIENCE = "https://verifier.example/app"
NONCE = "n-0S6_WzA2Mj"
VCT = "https://issuer.example/types/card"

NBF, IAT, EXP = 1_700_000_000, 1_700_000_100, 1_700_009_000
BOUND_AT = 1_700_000_200
NOW = 1_700_000_210

ISSUER_KEY = Key.from_raw(bytes(31) + b"\x01", "ES256").deterministic()
HOLDER_KEY = Key.from_raw(bytes(31) + b"\x02", "ES256").deterministic()
OTHER_KEY = Key.from_raw(bytes(31) + b"\x03", "ES256").deterministic()
TRUST = Trust.of({ISSUER: ISSUER_KEY.public})


def b64(data: bytes | str) -> str:
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def salt(number: int) -> str:
    return b64(number.to_bytes(16, "big"))


def disclosure(*parts: Any) -> str:
    return b64(json.dumps(list(parts), ensure_ascii=False))


def digest(text: str, name: str = "sha256") -> str:
    return b64(hashlib.new(name, text.encode()).digest())


def element(text: str) -> dict[str, str]:
    return {"...": digest(text)}


def jws(header: Mapping[str, Any] | str, payload: Any, key: Key) -> str:
    """Sign; a text stands for itself, so that it can be no JSON at all."""
    parts = [
        b64(part if isinstance(part, str) else json.dumps(part, ensure_ascii=False))
        for part in (header, payload)
    ]
    signing_input = ".".join(parts)
    return f"{signing_input}.{b64(key.sign(signing_input.encode()))}"


NAME = disclosure(salt(1), "given_name", "Erika")
FIRST = disclosure(salt(2), "DE")
SECOND = disclosure(salt(3), "FR")
REGION = disclosure(salt(4), "region", "NI")
ADDRESS = disclosure(salt(5), "address", {"country": "DE", "_sd": [digest(REGION)]})
DECOY = digest("decoy")

JWK = {name: value for name, value in HOLDER_KEY.public.to_jwk().items() if name != "alg"}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "vct": VCT,
    "nbf": NBF,
    "iat": IAT,
    "exp": EXP,
    "cnf": {"jwk": JWK},
    "_sd_alg": "sha-256",
    "_sd": [digest(NAME), digest(ADDRESS), DECOY],
    "nationalities": [element(FIRST), "AT", element(SECOND)],
}
CLEAR = {name: CLAIMS[name] for name in ("iss", "vct", "nbf", "iat", "exp", "cnf")}
SHOWN = {
    **CLEAR,
    "nationalities": ["DE", "AT"],
    "given_name": "Erika",
    "address": {"country": "DE", "region": "NI"},
}


class Presentation(msgspec.Struct, frozen=True, kw_only=True):
    """A presentation, part by part. `sd_hash` is added to the key binding unless it is there."""

    header: Any
    claims: Any
    disclosures: tuple[str, ...]
    kb_header: Any
    kb_claims: Any
    issuer_key: Key = ISSUER_KEY
    holder_key: Key = HOLDER_KEY
    hash_name: str = "sha256"

    def but(self, **parts: Any) -> Self:
        return msgspec.structs.replace(self, **parts)

    def claiming(self, entries: Mapping[str, Any]) -> Self:
        return self.but(claims=changed(self.claims, entries))

    def headed(self, entries: Mapping[str, Any]) -> Self:
        return self.but(header=changed(self.header, entries))

    def showing(self, *disclosures: str) -> Self:
        return self.but(disclosures=disclosures)

    def binding(self, entries: Mapping[str, Any]) -> Self:
        return self.but(kb_claims=changed(self.kb_claims, entries))

    def binding_headed(self, entries: Mapping[str, Any]) -> Self:
        return self.but(kb_header=changed(self.kb_header, entries))

    def redacting(self, *disclosures: str, **claims: Any) -> Self:
        """Only these disclosures, in `_sd` at the top, and these claims beside the usual clear ones."""
        return self.but(
            claims={**CLEAR, **claims, "_sd": [digest(text, self.hash_name) for text in disclosures]},
            disclosures=disclosures,
        )

    def jwt(self) -> str:
        return jws(self.header, self.claims, self.issuer_key)

    def issued(self) -> str:
        return "~".join([self.jwt(), *self.disclosures, ""])

    def key_binding(self) -> str:
        claims = self.kb_claims
        if isinstance(claims, Mapping):
            claims = {"sd_hash": digest(self.issued(), self.hash_name), **claims}
            claims = {name: value for name, value in claims.items() if value is not ...}
        return jws(self.kb_header, claims, self.holder_key)

    def text(self) -> str:
        return self.issued() + self.key_binding()

    def flattened(self, **more: Any) -> dict[str, Any]:
        protected, payload, signature = self.jwt().split(".")
        header = {"disclosures": list(self.disclosures), "kb_jwt": self.key_binding(), **more}
        return {"payload": payload, "protected": protected, "signature": signature, "header": header}


def changed(members: Mapping[str, Any], entries: Mapping[str, Any]) -> dict[str, Any]:
    """Add or replace members; ... takes one away."""
    return {name: value for name, value in {**members, **entries}.items() if value is not ...}


GOOD = Presentation(
    header={"alg": "ES256", "typ": "dc+sd-jwt"},
    claims=CLAIMS,
    disclosures=(NAME, FIRST, REGION, ADDRESS),
    kb_header={"alg": "ES256", "typ": "kb+jwt"},
    kb_claims={"aud": AUDIENCE, "iat": BOUND_AT, "nonce": NONCE},
)
PLAIN = GOOD.headed({"typ": "example+sd-jwt"})
ISSUED = GOOD.showing(NAME, FIRST, SECOND, REGION, ADDRESS)


def policy(**changes: Any) -> Policy:
    return Policy(**{"audience": AUDIENCE, "nonce": NONCE, **changes})


def verify(presentation: Any, **changes: Any) -> sd_jwt.VerifiedPresentation:
    """Verify as the verifier that the presentation is for; `trust` and `now` are no part of the policy."""
    trust, now = changes.pop("trust", TRUST), changes.pop("now", NOW)
    return sd_jwt.verify(_text(presentation), trust=trust, policy=policy(**changes), now=now)


def code_of(presentation: Any, **changes: Any) -> str:
    """Verify what must be rejected, and return the code of the rejection."""
    with pytest.raises(SafeconductError) as error:
        verify(presentation, **changes)
    return error.value.code


def check_issued(token: Presentation | str, **changes: Any) -> sd_jwt.VerifiedIssued:
    """Check an issued token as the holder that it is for."""
    data = token if isinstance(token, str) else token.issued()
    return sd_jwt.check_issued(data, **{"holder": HOLDER_KEY.public, "trust": TRUST, "now": NOW, **changes})


def issued_code_of(token: Presentation | str, **changes: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        check_issued(token, **changes)
    return error.value.code


def present(token: Any, **changes: Any) -> str:
    """Present an issued token with everything in it, unless told otherwise."""
    usual: dict[str, Any] = {"holder": HOLDER_KEY, "disclose": sd_jwt.ALL, "audience": AUDIENCE}
    data = token.issued() if isinstance(token, Presentation) else token
    return sd_jwt.present(data, **{**usual, "nonce": NONCE, "now": BOUND_AT, **changes})


def present_code_of(token: Any, **changes: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        present(token, **changes)
    return error.value.code


def _text(presentation: Any) -> Any:
    if isinstance(presentation, Presentation):
        return presentation.text()
    return json.dumps(presentation) if isinstance(presentation, dict) else presentation
