"""Targets: health cards and the key sets of their issuers.

Cards are taken apart into header and claims, changed in some place, compressed and signed again.
"""

import json
import zlib
from collections.abc import Iterable
from typing import Any

from fuzz import seeds
from fuzz.choices import Choices
from fuzz.json_trees import POOL, encode, preparing, seeding
from fuzz.judgement import Target
from fuzz.tokens import ISSUER, ISSUER_KEY, NOW
from fuzz.trees import Pool, mutate
from safeconduct.encoding import b64
from safeconduct.errors import Unsupported
from safeconduct.formats import health_card
from safeconduct.status.card_keys import CardKey, CardTrust, KeySet, certified, read_key, read_key_set
from safeconduct.status.states import CardId, Status

_KEY = CardKey.of(ISSUER_KEY.public, crl_version=1)
_TRUST = CardTrust({ISSUER: KeySet((_KEY,))})
_HEADER = {"zip": "DEF", "alg": "ES256", "kid": _KEY.kid}
_BUNDLE = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [{"fullUrl": "resource:0", "resource": {"resourceType": "Patient", "birthDate": "1951-01-20"}}],
}
_CLAIMS = {
    "iss": ISSUER,
    "nbf": NOW - 5.25,
    "exp": NOW + 100,
    "vc": {
        "type": ["https://smarthealth.cards#health-card"],
        "credentialSubject": {"fhirVersion": "4.0.1", "fhirBundle": _BUNDLE},
        "rid": "MKyCxh7p6uQ",
    },
}
_POOL = Pool(
    keys=(
        *POOL.keys,
        "iss",
        "nbf",
        "exp",
        "vc",
        "rid",
        "type",
        "credentialSubject",
        "fhirVersion",
        "fhirBundle",
    ),
    values=(
        *POOL.values,
        ISSUER,
        NOW,
        NOW + 0.5,
        "a" * 24,
        "a.1",
        _KEY.kid,
        "https://smarthealth.cards#health-card",
    ),
)


class _Everything:
    """Evidence that looks a card up by every method, as a list of that method would."""

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:
        assert crl_version == 1
        for method in ("rid", "hash-fhir", "?"):
            try:
                card.identifier(method)
            except Unsupported:
                continue
        return Status("good") if now == NOW else Status("revoked")


def _card(data: bytes) -> bytes:
    """Makes a card that `data` says how to change."""
    choices = Choices(data)
    if choices.number(4) == 0:
        return choices.rest()
    header: Any = _HEADER
    claims: Any = _CLAIMS
    if choices.number(4) == 0:
        header = mutate(header, choices, _POOL)
    for _ in range(choices.pick((1, 1, 2, 0))):
        claims = mutate(claims, choices, _POOL)
    plain = choices.number(2) == 0
    payload = json.dumps(claims, separators=(",", ":")).encode() if plain else encode(claims, choices)
    compressor = zlib.compressobj(9, wbits=-15)
    compressed = compressor.compress(payload) + compressor.flush()
    signing_input = f"{b64.encode(encode(header, choices))}.{b64.encode(compressed)}"
    return f"{signing_input}.{b64.encode(ISSUER_KEY.sign(signing_input.encode()))}".encode()


def _verify(data: bytes) -> None:
    judged = health_card.judge(data, trust=_TRUST, status=_Everything(), now=NOW, findings=True)
    parsed = health_card.parse(data)
    assert (judged.card is None) == (judged.verdict != "valid")
    verified = health_card.verify(parsed, trust=_TRUST, status=_Everything(), now=NOW)
    json.dumps(verified.claims.payload)
    parsed.header  # noqa: B018
    parsed.needs()


def _keys(data: bytes) -> None:
    keys = read_key_set(data)
    assert read_key_set(keys.encode()) == KeySet(keys.keys)
    certified(keys, issuer=ISSUER, anchors=(), now=NOW)
    for entry in json.loads(data)["keys"]:
        read_key(entry)


def _cards() -> Iterable[bytes]:
    yield from (bytes(8), b"\1" * 8)
    yield from (b"\0" + text.strip() for text in seeds.files("health-card/spec-examples/*-d-jws.txt"))


TARGETS = (
    Target(
        name="health_card.verify",
        read=_verify,
        prepare=_card,
        seeds=_cards,
        large=lambda: (b"." * 262_144, b"A" * 262_144, b"A" * 131_072 + b".A." + b"A" * 86),
    ),
    Target(
        name="card_keys.read_key_set",
        read=_keys,
        prepare=preparing({"keys": _KEY.entries()}, {"keys": [*_KEY.entries(), {}]}),
        seeds=seeding({"keys": _KEY.entries()}),
    ),
)
