"""Targets: everything that reads an SD-CWT."""

import json as standard_json
from typing import Any

import cbor2

from fuzz import seeds, tokens
from fuzz.choices import Choices
from fuzz.judgement import Target
from fuzz.trees import mutate
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_cwt
from safeconduct.formats.sd_cwt import LENIENCIES, inspection
from safeconduct.trust import WAIVED

_BOTH = ("ietf-08", "seed-2024")
_PREISSUED: dict[Any, Any] = {
    1: tokens.ISSUER,
    cbor2.CBORTag(58, 501): "ABCD",
    502: [cbor2.CBORTag(58, 1), cbor2.CBORTag(62, 2), {cbor2.CBORTag(58, "a"): cbor2.CBORTag(58, [1])}],
    503: cbor2.CBORTag(58, {"country": "us"}),
    cbor2.CBORTag(62, 1): None,
}


def _parse(data: bytes) -> None:
    sd_cwt.parse(data, profiles=_BOTH, accept=LENIENCIES).needs()


def _verify(data: bytes) -> None:
    verified = sd_cwt.verify(data, trust=tokens.TRUST, policy=tokens.POLICY, now=tokens.NOW)
    standard_json.dumps([verified.claims.to_json(), verified.key_binding.to_json()])


def _check_issued(data: bytes) -> None:
    """Also presents what was accepted: a token that the holder took must not break him later."""
    for profile in (sd_cwt.IETF_08, sd_cwt.SEED_2024):
        try:
            held = sd_cwt.check_issued(
                data,
                holder=tokens.HOLDER_KEY.public,
                trust=tokens.TRUST,
                now=tokens.NOW,
                nonce=WAIVED,
                profile=profile,
            )
        except SafeconductError:
            continue
        standard_json.dumps(held.claims.to_json())
        sd_cwt.present(
            held,
            holder=tokens.HOLDER_KEY,
            disclose=sd_cwt.ALL,
            audience=tokens.AUDIENCE,
            nonce=tokens.NONCE,
            now=tokens.NOW,
        )


def _read_preissued(data: bytes) -> None:
    """Also issues what was read."""
    claims = sd_cwt.read_preissued(data, accept=LENIENCIES)
    token = sd_cwt.issue(
        {2: "s", **claims},
        issuer=tokens.ISSUER_KEY,
        holder=tokens.HOLDER_KEY.public,
        now=tokens.NOW,
    )
    _check_issued(token)


def _preissued(data: bytes) -> bytes:
    choices = Choices(data)
    if choices.number(4) == 0:
        return choices.rest()
    return cbor2.dumps(tokens.plain(mutate(_PREISSUED, choices, tokens.POOL)))


def _inspected(data: bytes) -> bytes:
    kind = Choices(data).number(3)
    return data[1:] if kind == 0 else (tokens.presentation, tokens.issued)[kind - 1](data[1:])


def _published() -> list[bytes]:
    return list(seeds.files("sd-cwt/cases/*.cbor", "sd-cwt/*/examples/*.cbor", largest=2000))


TARGETS = (
    Target(name="sd_cwt.parse", read=_parse, seeds=lambda: [*tokens.untouched(), *_published()]),
    Target(name="sd_cwt.verify", read=_verify, prepare=tokens.presentation, max_bytes=256),
    Target(name="sd_cwt.verify_large", read=_verify, seeds=tokens.untouched, large=tokens.large),
    Target(name="sd_cwt.check_issued", read=_check_issued, prepare=tokens.issued, max_bytes=256),
    Target(name="sd_cwt.read_preissued", read=_read_preissued, prepare=_preissued, max_bytes=1024),
    Target(
        name="sd_cwt.inspect",
        read=inspection.inspect,
        prepare=_inspected,
        seeds=lambda: [b"\0" + data for data in (*tokens.untouched(), *_published())],
    ),
)
