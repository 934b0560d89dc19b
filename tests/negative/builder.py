"""Deliberately broken tokens: an SD-CWT and its key binding, every part replaceable, signed correctly after.

Nothing here comes from the code under test but the keys: CBOR is cbor2's, digests are hashlib's, the
Sig_structure is written out. Maps are encoded in the order given.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Self

import cbor2
import msgspec
import pytest
from cbor2 import CBORSimpleValue, CBORTag

from safeconduct.crypto.keys import Key
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_cwt
from safeconduct.trust import Policy, Trust

ISSUER = "https://issuer.example"
AUDIENCE = "https://verifier.example/app"
NONCE = bytes.fromhex("8c0f5f523b95bea44a9a48c649240803")

NBF, IAT, EXP = 1_700_000_000, 1_700_000_100, 1_700_009_000
BOUND_AT = 1_700_000_200
NOW = 1_700_000_210

ISSUER_KEY = Key.from_raw(bytes(31) + b"\x01", "ES256").deterministic()
HOLDER_KEY = Key.from_raw(bytes(31) + b"\x02", "ES256").deterministic()
OTHER_KEY = Key.from_raw(bytes(31) + b"\x03", "ES256").deterministic()

REDACTED = CBORSimpleValue(59)


def salt(number: int) -> bytes:
    return number.to_bytes(16, "big")


def disclosure(*parts: Any) -> bytes:
    return cbor2.dumps(list(parts))


def digest(encoded: bytes, name: str = "sha256") -> bytes:
    """The Redacted Claim Hash: over the disclosure as a CBOR byte string."""
    return hashlib.new(name, cbor2.dumps(encoded)).digest()


def raw_digest(encoded: bytes) -> bytes:
    return hashlib.sha256(encoded).digest()


def element(encoded: bytes) -> CBORTag:
    return CBORTag(60, digest(encoded))


LICENCE = disclosure(salt(1), "ABCD-123456", 501)
FIRST_DATE = disclosure(salt(2), 1549560720)
SECOND_DATE = disclosure(salt(3), 1612560720)
REGION = disclosure(salt(4), "ca", "region")
NAME = disclosure(salt(5), "Erika", "name")
DECOY = disclosure(salt(6))

CLAIMS: dict[Any, Any] = {
    1: ISSUER,
    2: "https://device.example",
    4: EXP,
    5: NBF,
    6: IAT,
    8: {1: dict(HOLDER_KEY.public.to_cose_key())},
    500: True,
    502: [element(FIRST_DATE), element(SECOND_DATE), 1674004740],
    503: {"country": "us", REDACTED: [digest(REGION)]},
    REDACTED: [digest(LICENCE), digest(NAME), digest(DECOY)],
}
"""What the issuer signs unless a test says otherwise: SECOND_DATE, NAME and DECOY are not shown."""

SHOWN: dict[Any, Any] = {
    **{label: CLAIMS[label] for label in (1, 2, 4, 5, 6, 8, 500)},
    501: "ABCD-123456",
    502: [1549560720, 1674004740],
    503: {"country": "us", "region": "ca"},
}
"""What a verifier reads in it."""


def cose_sign1(protected: bytes, unprotected: Any, payload: bytes, key: Key) -> CBORTag:
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    return CBORTag(18, [protected, unprotected, payload, key.sign(signed)])


def _changed(part: Mapping[Any, Any], entries: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return `part` with entries replaced or added; the value `...` takes an entry away."""
    return {key: value for key, value in {**part, **entries}.items() if value is not ...}


class Presentation(msgspec.Struct, frozen=True, kw_only=True):
    """A presentation part by part; `encoded` signs what the parts then are.

    Of the byte strings `payload`, `protected`, `kbt_payload` and `kbt_protected` each replaces what it would
    be encoded from. `disclosures` None: no sd_claims at all. `kcwt` alters the token after the issuer signed.
    """

    claims: Mapping[Any, Any]
    header: Mapping[Any, Any]
    disclosures: Any
    unprotected: Mapping[Any, Any] = {}
    payload: bytes | None = None
    protected: bytes | None = None
    issuer_key: Key = ISSUER_KEY
    kbt_claims: Mapping[Any, Any]
    kbt_header: Mapping[Any, Any]
    kbt_unprotected: Mapping[Any, Any] = {}
    kbt_payload: bytes | None = None
    kbt_protected: bytes | None = None
    holder_key: Key = HOLDER_KEY
    kcwt: Callable[[CBORTag], Any] = lambda token: token

    def but(self, **parts: Any) -> Self:
        return msgspec.structs.replace(self, **parts)

    def claiming(self, entries: Mapping[Any, Any]) -> Self:
        return self.but(claims=_changed(self.claims, entries))

    def headed(self, entries: Mapping[Any, Any]) -> Self:
        return self.but(header=_changed(self.header, entries))

    def showing(self, *disclosures: Any) -> Self:
        return self.but(disclosures=disclosures)

    def redacting(self, *disclosures: bytes) -> Self:
        """Add redacted claims at the top, and show them."""
        return self.claiming({REDACTED: [*self.claims.get(REDACTED, []), *map(digest, disclosures)]}).showing(
            *self.disclosures, *disclosures
        )

    def binding(self, entries: Mapping[Any, Any]) -> Self:
        return self.but(kbt_claims=_changed(self.kbt_claims, entries))

    def binding_headed(self, entries: Mapping[Any, Any]) -> Self:
        return self.but(kbt_header=_changed(self.kbt_header, entries))

    def token(self) -> CBORTag:
        """The SD-CWT."""
        unprotected = dict(self.unprotected)
        if self.disclosures is not None:
            carried = self.disclosures
            unprotected[17] = list(carried) if isinstance(carried, tuple) else carried
        protected = cbor2.dumps(dict(self.header)) if self.protected is None else self.protected
        payload = cbor2.dumps(dict(self.claims)) if self.payload is None else self.payload
        return cose_sign1(protected, unprotected, payload, self.issuer_key)

    def issued(self) -> bytes:
        """The SD-CWT alone."""
        return cbor2.dumps(self.token())

    def encoded(self) -> bytes:
        protected = self.kbt_protected
        if protected is None:
            protected = cbor2.dumps({**self.kbt_header, 13: self.kcwt(self.token())})
        payload = cbor2.dumps(dict(self.kbt_claims)) if self.kbt_payload is None else self.kbt_payload
        return cbor2.dumps(cose_sign1(protected, dict(self.kbt_unprotected), payload, self.holder_key))


GOOD = Presentation(
    claims=CLAIMS,
    header={1: -7, 16: 293, 170: -16},
    disclosures=(LICENCE, FIRST_DATE, REGION),
    kbt_claims={3: AUDIENCE, 6: BOUND_AT, 39: NONCE},
    kbt_header={1: -7, 16: 294},
)

ISSUED = GOOD.showing(LICENCE, FIRST_DATE, SECOND_DATE, REGION, NAME, DECOY)
"""With every disclosure, as the holder gets it."""

TRUST = Trust.of({ISSUER: ISSUER_KEY.public})


# The early draft


def early_disclosure(salt_: bytes, *key_and_value: Any) -> bytes:
    """[salt, key, value], or [salt, value] for an element."""
    return cbor2.dumps([salt_, *key_and_value])


OVER_18 = early_disclosure(bytes.fromhex("c93c7ff572c71e26"), "age_over_18", True)
OVER_21 = early_disclosure(bytes.fromhex("0102030405060708"), "age_over_21", False)
STATE = early_disclosure(bytes.fromhex("399c641e2aa18c1e"), "region", "ca")
POST_CODE = early_disclosure(bytes.fromhex("1112131415161718"), "post_code", "94188")
VERSION = early_disclosure(bytes.fromhex("82501bb46c655f32"), "4.1.7")

SEED_CLAIMS: dict[Any, Any] = {
    1: ISSUER,
    2: "https://device.example",
    3: AUDIENCE,
    4: EXP,
    6: IAT,
    8: CLAIMS[8],
    "swversion": ["3.5.5", {"...": raw_digest(VERSION)}],
    "address": {"country": "us", 13: [raw_digest(STATE), raw_digest(POST_CODE)]},
    12: -16,
    13: [raw_digest(OVER_18), raw_digest(OVER_21)],
}

SEED_SHOWN = {
    **{label: SEED_CLAIMS[label] for label in (1, 2, 3, 4, 6, 8)},
    "age_over_18": True,
    "swversion": ["3.5.5", "4.1.7"],
    "address": {"country": "us", "region": "ca"},
}


class EarlyPresentation(msgspec.Struct, frozen=True, kw_only=True):
    """A presentation of the early draft: the key binding inside, over a hash of the shown disclosures.

    `kbt_claims` may leave sd_hash (11) out: it is added unless it is there. `array`: sd_claims is a plain
    array, as the example has it, and not a byte string, as the CDDL has it.
    """

    claims: Mapping[Any, Any]
    header: Mapping[Any, Any]
    disclosures: Any
    kbt_claims: Mapping[Any, Any]
    kbt_header: Mapping[Any, Any]
    unprotected: Mapping[Any, Any] = {}
    array: bool = False
    issuer_key: Key = ISSUER_KEY
    holder_key: Key = HOLDER_KEY
    kbt: Callable[[CBORTag], Any] = cbor2.dumps

    def but(self, **parts: Any) -> Self:
        return msgspec.structs.replace(self, **parts)

    def claiming(self, entries: Mapping[Any, Any]) -> Self:
        return self.but(claims=_changed(self.claims, entries))

    def headed(self, entries: Mapping[Any, Any]) -> Self:
        return self.but(header=_changed(self.header, entries))

    def showing(self, *disclosures: Any) -> Self:
        return self.but(disclosures=disclosures)

    def binding(self, entries: Mapping[Any, Any]) -> Self:
        return self.but(kbt_claims=_changed(self.kbt_claims, entries))

    def binding_headed(self, entries: Mapping[Any, Any]) -> Self:
        return self.but(kbt_header=_changed(self.kbt_header, entries))

    def sd_claims(self) -> Any:
        if not isinstance(self.disclosures, tuple):
            return self.disclosures
        return list(self.disclosures) if self.array else cbor2.dumps(list(self.disclosures))

    def key_binding(self) -> CBORTag:
        shown = b"" if self.disclosures is None else cbor2.dumps(self.sd_claims())
        claims = {11: hashlib.sha256(shown).digest(), **self.kbt_claims}
        payload = cbor2.dumps({label: value for label, value in claims.items() if value is not ...})
        return cose_sign1(cbor2.dumps(dict(self.kbt_header)), {}, payload, self.holder_key)

    def token(self, *, bound: bool = True) -> CBORTag:
        unprotected = dict(self.unprotected)
        if self.disclosures is not None:
            unprotected[17] = self.sd_claims()
        if bound:
            unprotected[18] = self.kbt(self.key_binding())
        payload = cbor2.dumps(dict(self.claims))
        return cose_sign1(cbor2.dumps(dict(self.header)), unprotected, payload, self.issuer_key)

    def encoded(self) -> bytes:
        return cbor2.dumps(self.token())

    def issued(self) -> bytes:
        return cbor2.dumps(self.token(bound=False))


EARLY = EarlyPresentation(
    claims=SEED_CLAIMS,
    header={1: -7, 16: "application/sd+cwt"},
    disclosures=(OVER_18, STATE, VERSION),
    kbt_claims={3: AUDIENCE, 6: BOUND_AT, 39: NONCE},
    kbt_header={1: -7, 16: "application/kb+cwt"},
)


def policy(**changes: Any) -> Policy:
    return Policy(**{"audience": AUDIENCE, "nonce": NONCE, **changes})


def verify(
    presentation: Presentation | EarlyPresentation | bytes, **changes: Any
) -> sd_cwt.VerifiedPresentation:
    """Verify as the verifier that the presentation is for; `trust` and `now` are no part of the policy."""
    trust, now = changes.pop("trust", TRUST), changes.pop("now", NOW)
    data = presentation if isinstance(presentation, bytes) else presentation.encoded()
    return sd_cwt.verify(data, trust=trust, policy=policy(**changes), now=now)


def code_of(presentation: Presentation | EarlyPresentation | bytes, **changes: Any) -> str:
    """Verify what must be rejected, and return the code of the rejection."""
    with pytest.raises(SafeconductError) as error:
        verify(presentation, **changes)
    return error.value.code


def check_issued(token: Presentation | bytes, **changes: Any) -> sd_cwt.VerifiedIssued:
    """Check an issued token as the holder that it is for."""
    data = token if isinstance(token, bytes) else token.issued()
    return sd_cwt.check_issued(
        data, **{"holder": HOLDER_KEY.public, "trust": TRUST, "now": NOW, "nonce": None, **changes}
    )


def issued_code_of(token: Presentation | bytes, **changes: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        check_issued(token, **changes)
    return error.value.code


def present(token: Presentation | bytes, **changes: Any) -> bytes:
    """Present an issued token with everything in it, unless told otherwise."""
    data = token if isinstance(token, bytes) else token.issued()
    usual: dict[str, Any] = {"holder": HOLDER_KEY, "disclose": sd_cwt.ALL, "audience": AUDIENCE}
    return sd_cwt.present(data, **{**usual, "nonce": NONCE, "now": BOUND_AT, **changes})


def present_code_of(token: Presentation | bytes, **changes: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        present(token, **changes)
    return error.value.code
