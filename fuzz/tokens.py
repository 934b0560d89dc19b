"""SD-CWTs taken apart, changed in some place, sealed and signed again with known keys."""

import functools
from collections.abc import Mapping
from typing import Any

import cbor2
import msgspec
from cbor2 import CBORSimpleValue, CBORTag

from fuzz.choices import Choices
from fuzz.parts import AEAD_KEY, Digest, Hidden, Sealing, Shown, Wrapped, opened, scratched, sign1
from fuzz.trees import Pool, mutate
from safeconduct.crypto import aead
from safeconduct.crypto.keys import Key
from safeconduct.encoding import cbor
from safeconduct.formats import sd_cwt
from safeconduct.formats.redaction import Decoys, Redacted
from safeconduct.formats.sd_cwt import IETF_08, SEED_2024, Profile
from safeconduct.trust import AeadKey, Policy, Trust

ISSUER, AUDIENCE, NONCE, NOW = "https://issuer.example", "https://verifier.example", bytes(16), 1_700_000_000
ISSUER_KEY = Key.from_raw(bytes(31) + b"\x01", "ES256").deterministic()
HOLDER_KEY = Key.from_raw(bytes(31) + b"\x02", "ES256").deterministic()
TRUST = Trust.of({ISSUER: ISSUER_KEY.public})
POLICY = Policy(
    audience=AUDIENCE, nonce=NONCE, profiles=("ietf-08", "seed-2024"), aead_keys=(AeadKey(AEAD_KEY),)
)

POOL = Pool(
    keys=(
        *(*range(-3, 14), 15, 16, 17, 18, 39, 170, 171, 172, 500, 65535, 2**64, "", "a", "...", "é" * 200),
        *(b"k", None, 1.5, CBORSimpleValue(59), CBORSimpleValue(60), CBORTag(58, 501), CBORTag(62, 1)),
    ),
    values=(
        *(None, True, 0, -1, 1, 24, NOW, 2**63, 2**64 - 1, 2**64, -(2**64), 10**30),
        *(1.5, -0.0, float("nan"), float("inf"), "", "a", ISSUER, AUDIENCE, "é" * 300),
        *(b"", bytes(16), bytes(32), b"\xff" * 64, cbor2.undefined, CBORSimpleValue(59), CBORSimpleValue(19)),
        *([], {}, [[]], [1, [2, [3]]], {1: {2: {3: 4}}}, ["a"] * 300, Wrapped({1: 2})),
        *(CBORTag(1, NOW), CBORTag(2, b"\x01"), CBORTag(24, b"\xa0"), CBORTag(58, 1), CBORTag(60, bytes(32))),
        *(Shown(0, [bytes(16), 1, 2]), [Shown(9, [bytes(16), {500: [1]}, 3])]),
    ),
    tags=(0, 1, 2, 3, 18, 24, 37, 58, 60, 61, 62, 258, 55799, 2**64 - 1),
)

_CLAIMS: Mapping[Any, Any] = {
    "iss": ISSUER,
    "sub": "https://holder.example",
    "exp": NOW + 3600,
    "nbf": NOW - 10,
    500: True,
    501: Redacted("ABCD"),
    502: [Redacted(1549560720), Redacted([1, Redacted(2)]), 3],
    503: Redacted({"country": "us", "region": Redacted("ca"), Decoys(1): None}),
    "name": Redacted("Erika"),
}


class Parts(msgspec.Struct, frozen=True):
    """A token as trees. header: protected. binding_…: of the key binding token, None in an issued token."""

    profile: Profile
    header: Any
    unprotected: Any
    claims: Any
    binding_header: Any = None
    binding_unprotected: Any = None
    binding_claims: Any = None

    def sealed(self, choices: Choices) -> bytes:
        """Returns the token, its disclosures hashed and its messages signed."""
        seal = self._sealing()
        if self.profile.sd_hash is not None and isinstance(self.binding_claims, dict):
            return self._sealed_inside(seal, choices)
        token = self._token(seal, self.unprotected, choices)
        if self.binding_header is None:
            return cbor2.dumps(token)
        header = self.binding_header
        if isinstance(header, dict):
            header = {**header, 13: token}
        return cbor2.dumps(self._binding(seal, header, self.binding_claims, choices))

    def _sealed_inside(self, seal: Sealing, choices: Choices) -> bytes:
        unprotected, claims = self.unprotected, self.binding_claims
        if isinstance(unprotected, dict):
            shown = seal.encoded(unprotected[17]) if 17 in unprotected else b""
            claims = {11: seal.hash(shown), **claims}
            binding = cbor2.dumps(self._binding(seal, self.binding_header, claims, choices))
            unprotected = {**unprotected, 18: binding}
        return cbor2.dumps(self._token(seal, unprotected, choices))

    def _sealing(self) -> Sealing:
        home = self.header if self.profile.sd_alg_place == "header" else self.claims
        return Sealing.of(
            self.unprotected,
            sd_alg=home.get(self.profile.sd_alg, -16) if isinstance(home, dict) else -16,
            wrapped_digests=self.profile.digest_input == "wrapped",
        )

    def _token(self, seal: Sealing, unprotected: Any, choices: Choices) -> CBORTag:
        header = scratched(seal.encoded(self.header), choices)
        payload = scratched(seal.encoded(self.claims), choices)
        return sign1(header, seal.plain(unprotected), payload, ISSUER_KEY)

    def _binding(self, seal: Sealing, header: Any, claims: Any, choices: Choices) -> CBORTag:
        protected = scratched(seal.encoded(header), choices)
        payload = scratched(seal.encoded(claims), choices)
        return sign1(protected, seal.plain(self.binding_unprotected), payload, HOLDER_KEY)


def presentation(data: bytes) -> bytes:
    """Returns a presentation that `data` says how to change."""
    return _changed(_presentations(), Choices(data))


def issued(data: bytes) -> bytes:
    """Returns an issued token that `data` says how to change."""
    return _changed(_issued_tokens(), Choices(data))


def untouched() -> list[bytes]:
    """Returns the presentations and issued tokens that changes begin with."""
    return [parts.sealed(Choices(b"")) for parts in (*_presentations(), *_issued_tokens())]


def large() -> list[bytes]:
    """Returns presentations with very many disclosures: side by side, within one another, alike."""
    base = _presentations()[0]
    salts = [number.to_bytes(16, "big") for number in range(1024)]
    marker = IETF_08.marker
    beside = [Shown(100 + number, [salt, 1, f"n{number}"]) for number, salt in enumerate(salts)]
    within = [
        Shown(100 + number, [salt, {marker: [Digest(101 + number)]}, "a"])
        for number, salt in enumerate(salts[:18])
    ]
    alike = [Shown(100, [salts[0], 1, "a"])] * 1024
    shapes = (
        (beside, [Digest(shown.number) for shown in beside]),
        (within, [Digest(100)]),
        (alike, [Digest(100)] * 1024),
        (beside[:1], [Digest(5000 + number) for number in range(5000)]),
    )
    return [
        msgspec.structs.replace(
            base, unprotected={17: shown}, claims={**base.claims, marker: digests}
        ).sealed(Choices(b""))
        for shown, digests in shapes
    ]


_CHANGEABLE = (
    *("claims", "claims", "claims", "unprotected", "unprotected", "unprotected", "header", "header"),
    *("binding_claims", "binding_claims", "binding_header", "binding_unprotected"),
)


def _changed(templates: tuple[Parts, ...], choices: Choices) -> bytes:
    parts = choices.pick(templates)
    present = [name for name in _CHANGEABLE if getattr(parts, name) is not None]
    for _ in range(choices.pick((1, 1, 1, 2))):
        name = choices.pick(present)
        parts = msgspec.structs.replace(parts, **{name: mutate(getattr(parts, name), choices, POOL)})
    return parts.sealed(choices)


@functools.cache
def _issued_tokens() -> tuple[Parts, ...]:
    return tuple(_parts(_issue(profile, **extra), profile) for profile, extra in _KINDS)


@functools.cache
def _presentations() -> tuple[Parts, ...]:
    return tuple(
        _parts(_present(_issue(profile, **extra), profile, **shown), profile)
        for profile, extra in _KINDS
        for shown in ({}, {"encrypt": {"501": AeadKey(AEAD_KEY)}})
        if not shown or profile is IETF_08
    )


_KINDS: tuple[tuple[Profile, dict[str, Any]], ...] = (
    (IETF_08, {}),
    (
        IETF_08,
        {"header_claims": {"iss": ISSUER, 504: Redacted("header")}, "hash_name": "sha-384", "kid": b"k"},
    ),
    (SEED_2024, {}),
    (msgspec.structs.replace(SEED_2024, claims_form="array"), {}),
)


def _issue(profile: Profile, **extra: Any) -> bytes:
    return sd_cwt.issue(
        _CLAIMS,
        issuer=ISSUER_KEY,
        holder=HOLDER_KEY.public,
        now=NOW - 5,
        profile=profile,
        random=lambda length: bytes([7]) * length,
        salts=_Counted(),
        **extra,
    )


class _Counted:
    """Salts that differ and are the same in every run."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *_place: Any) -> bytes:
        self.count += 1
        return self.count.to_bytes(16, "big")


def _present(token: bytes, profile: Profile, **extra: Any) -> bytes:
    return sd_cwt.present(
        token,
        holder=HOLDER_KEY,
        disclose=sd_cwt.ALL,
        audience=AUDIENCE,
        nonce=NONCE,
        now=NOW - 1,
        profile=profile,
        random=lambda length: bytes(length),
        **extra,
    )


def _parts(data: bytes, profile: Profile) -> Parts:
    """Takes a token apart."""
    outer = cbor.loads(data).value
    protected = cbor.loads(outer[0])
    if 13 in protected:
        parts = _token_parts(protected.pop(13).value, profile)
        return _bound(parts, protected, outer[1], cbor.loads(outer[2]))
    parts = _token_parts(outer, profile)
    if profile.sd_kbt not in outer[1]:
        return parts
    binding = cbor.loads(parts.unprotected.pop(profile.sd_kbt)).value
    claims = cbor.loads(binding[2])
    del claims[profile.sd_hash]
    return _bound(parts, cbor.loads(binding[0]), binding[1], claims)


def _bound(parts: Parts, header: Any, unprotected: Any, claims: Any) -> Parts:
    return msgspec.structs.replace(
        parts, binding_header=header, binding_unprotected=unprotected, binding_claims=claims
    )


def _token_parts(message: Any, profile: Profile) -> Parts:
    header, unprotected, claims = cbor.loads(message[0]), dict(message[1]), cbor.loads(message[2])
    carried = unprotected.get(17, [])
    in_bytes = isinstance(carried, bytes)
    clear = cbor.loads(carried) if in_bytes else carried
    entries = unprotected.get(171, [])
    encoded = [*clear, *map(_decrypted, entries)]
    home = header if profile.sd_alg_place == "header" else claims
    seal = Sealing(sd_alg=home.get(profile.sd_alg, -16), wrapped_digests=profile.digest_input == "wrapped")
    digests = {seal.digest_of(item): number for number, item in enumerate(encoded)}
    shown = [Shown(number, opened(cbor.loads(item), digests)) for number, item in enumerate(encoded)]
    if clear:
        unprotected[17] = Wrapped(shown[: len(clear)]) if in_bytes else shown[: len(clear)]
    if entries:
        hidden = zip(entries, shown[len(clear) :], strict=True)
        unprotected[171] = [Hidden(entry[0], item) for entry, item in hidden]
    return Parts(profile, opened(header, digests), unprotected, opened(claims, digests))


def _decrypted(entry: list[bytes]) -> bytes:
    disclosure: bytes = cbor.loads(aead.open_(1, AEAD_KEY, *entry))
    return disclosure


def plain(tree: Any) -> Any:
    """Returns a tree that belongs to no token as values that cbor2 writes."""
    return Sealing.of(tree, sd_alg=-16, wrapped_digests=True).plain(tree)
