"""Targets: everything that reads an SD-JWT or what is published about one.

Tokens are taken apart into JSON trees, changed in some place, hashed and signed again with known keys.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import msgspec

from fuzz import seeds
from fuzz.choices import Choices
from fuzz.json_trees import POOL, encode, preparing, seeding
from fuzz.judgement import Target
from fuzz.tokens import AUDIENCE, HOLDER_KEY, ISSUER, ISSUER_KEY, NOW, TRUST
from fuzz.trees import Pool, mutate
from safeconduct.encoding import b64
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_jwt
from safeconduct.formats.sd_jwt import inspection, issuer_metadata, type_metadata
from safeconduct.formats.sd_jwt.confirmation import confirmation_for
from safeconduct.trust import WAIVED, Policy

_NONCE, _VCT = "n-1", "https://issuer.example/type"
_POLICY = Policy(audience=AUDIENCE, nonce=_NONCE, key_binding=WAIVED, accept=frozenset(sd_jwt.LENIENCIES))
_POOL = Pool(
    keys=(
        *POOL.keys,
        "_sd",
        "...",
        "_sd_alg",
        "vct",
        "cnf",
        "status",
        "exp",
        "aud",
        "sd_hash",
        "disclosures",
    ),
    values=(
        *POOL.values,
        *(
            "#0",
            "#1",
            "#2",
            "#9",
            ["#0"],
            ["#0", "#0"],
            {"...": "#1"},
            {"...": "#0", "a": 1},
            {"_sd": ["#2"]},
        ),
        *("sha-256", "sha-384", "kb+jwt", "dc+sd-jwt", "a+sd-jwt", AUDIENCE, _NONCE, NOW, NOW + 1, 1.5),
        *(["salt", "a", 1], ["salt", 1], ["salt"], {"status_list": {"idx": 1, "uri": "https://s"}}),
    ),
)


class Parts(msgspec.Struct, frozen=True):
    """A presentation as trees. "#n" stands for the digest of the disclosure with that number."""

    header: Any
    claims: Any
    disclosures: Any
    kb_header: Any
    kb_claims: Any


_WHOLE = Parts(
    {"alg": "ES256", "typ": "dc+sd-jwt", "kid": "k"},
    {
        "iss": ISSUER,
        "vct": _VCT,
        "iat": NOW - 5,
        "exp": NOW + 100,
        "cnf": confirmation_for(HOLDER_KEY.public),
        "status": {"status_list": {"idx": 1, "uri": "https://status.example"}},
        "_sd_alg": "sha-256",
        "_sd": ["#1", "#3"],
        "list": [{"...": "#2"}, 1],
    },
    [
        ["s0", "region", "ca"],
        ["s1", "address", {"_sd": ["#0"], "country": "us"}],
        ["s2", "x"],
        ["s3", "n", 1.5],
    ],
    {"alg": "ES256", "typ": "kb+jwt"},
    {"aud": AUDIENCE, "iat": NOW - 1, "nonce": _NONCE},
)
_NAMES = ("claims", "claims", "disclosures", "disclosures", "header", "kb_header", "kb_claims")


def _numbered(tree: Any, digests: list[str]) -> Any:
    if isinstance(tree, dict):
        return {key: _numbered(item, digests) for key, item in tree.items()}
    if isinstance(tree, list):
        return [_numbered(item, digests) for item in tree]
    if isinstance(tree, str) and tree[:1] == "#" and tree[1:].isdigit() and int(tree[1:]) < len(digests):
        return digests[int(tree[1:])]
    return tree


def _jwt(header: Any, payload: Any, key: Any, choices: Choices) -> str:
    signing_input = f"{b64.encode(encode(header, choices))}.{b64.encode(encode(payload, choices))}"
    return f"{signing_input}.{b64.encode(key.sign(signing_input.encode()))}"


def sealed(parts: Parts, choices: Choices, form: int, *, key: Any = ISSUER_KEY) -> bytes:
    """Makes a presentation of these parts. form: 1 without key binding, 2 and 3 in JSON."""
    digests: list[str] = []
    shown: list[str] = []
    for item in parts.disclosures if isinstance(parts.disclosures, list) else [parts.disclosures]:
        shown.append(b64.encode(encode(_numbered(item, digests), choices)))
        digests.append(b64.encode(hashlib.sha256(shown[-1].encode()).digest()))
    jwt = _jwt(parts.header, _numbered(parts.claims, digests), key, choices)
    covered = "~".join([jwt, *shown, ""])
    binding = parts.kb_claims
    if isinstance(binding, dict):
        binding = {"sd_hash": b64.encode(hashlib.sha256(covered.encode()).digest()), **binding}
    bound = _jwt(parts.kb_header, binding, HOLDER_KEY, choices)
    if form == 0:
        return (covered + bound).encode()
    if form == 1:
        return covered.encode()
    protected, payload, signature = jwt.split(".")
    header = {"disclosures": shown, "kb_jwt": bound}
    members: Any = {"payload": payload, "protected": protected, "signature": signature, "header": header}
    if form == 3:
        first = {"protected": protected, "signature": signature, "header": header}
        members = {"payload": payload, "signatures": [first, {"protected": protected, "signature": "AA"}]}
    return encode(mutate(members, choices, _POOL) if choices.number(3) == 1 else members, choices)


def _token(data: bytes) -> bytes:
    """Makes a token that `data` says how to change."""
    choices = Choices(data)
    parts, form = _WHOLE, choices.number(4)
    for _ in range(choices.pick((1, 1, 1, 2, 0))):
        name = choices.pick(_NAMES)
        parts = msgspec.structs.replace(parts, **{name: mutate(getattr(parts, name), choices, _POOL)})
    return sealed(parts, choices, form)


def _large() -> Iterable[bytes]:
    """Presentations with very many disclosures: side by side, within one another, alike."""
    beside = [[f"s{number}", f"n{number}", 1] for number in range(1024)]
    within = [["s0", "a", 1], *([f"s{n}", "a", {"_sd": [f"#{n - 1}"]}] for n in range(1, 30))]
    shapes = (
        (beside, [f"#{number}" for number in range(1024)]),
        (within, ["#29"]),
        ([["s", "a", 1]] * 1024, ["#0"]),
        ([], ["A" * 43] * 3000),
    )
    for shown, digests in shapes:
        parts = msgspec.structs.replace(_WHOLE, disclosures=shown, claims={**_WHOLE.claims, "_sd": digests})
        yield sealed(parts, Choices(b""), 0)


def _parse(data: bytes) -> None:
    sd_jwt.parse(data, accept=frozenset(sd_jwt.LENIENCIES)).needs()


def _verify(data: bytes) -> None:
    verified = sd_jwt.verify(data, trust=TRUST, policy=_POLICY, now=NOW)
    json.dumps(verified.claims.to_json())
    verified.disclosed_paths()


def _check_issued(data: bytes) -> None:
    """Also presents what was accepted: a token that the holder took must not break him later."""
    held = sd_jwt.check_issued(data, holder=HOLDER_KEY.public, trust=TRUST, now=NOW)
    json.dumps(held.claims.to_json())
    sd_jwt.present(
        held, holder=HOLDER_KEY, disclose=sd_jwt.ALL, audience=AUDIENCE, nonce=_NONCE, now=NOW, form="general"
    )


def _inspect(data: bytes) -> None:
    inspection.inspect(data)


_ISSUER_DOCUMENTS = (
    issuer_metadata.write(ISSUER, [ISSUER_KEY.public.with_kid("k")]),
    {"issuer": ISSUER, "jwks_uri": "https://issuer.example/jwks"},
)
_TYPE_DOCUMENT = {
    "vct": _VCT,
    "name": "n",
    "extends": _VCT,
    "extends#integrity": "sha256-AAAA",
    "display": [{"locale": "en", "name": "n", "rendering": {"simple": {"logo": {"uri": "https://l"}}}}],
    "claims": [
        {
            "path": ["a", None, 0],
            "mandatory": True,
            "sd": "always",
            "display": [{"locale": "en", "label": "l"}],
        }
    ],
}


def _parse_issuer(data: bytes) -> None:
    issuer_metadata.parse(data, issuer=ISSUER)


def _parse_type(data: bytes) -> None:
    type_metadata.parse(data, vct=_VCT)
    try:
        type_metadata.resolve(_VCT, {_VCT: data})
    except SafeconductError:
        type_metadata.needed(_VCT, {_VCT: data})


def _published() -> Iterable[bytes]:
    yield from (bytes([form]) + bytes(8) for form in range(4))


def _texts() -> Iterable[bytes]:
    yield from (sealed(_WHOLE, Choices(b""), form) for form in range(4))
    yield from seeds.files("sd-jwt/rfc9901-examples/*.txt")


TARGETS = (
    Target(name="sd_jwt.parse", read=_parse, seeds=_texts, large=_large),
    Target(name="sd_jwt.verify", read=_verify, prepare=_token, seeds=_published, large=_large),
    Target(name="sd_jwt.check_issued", read=_check_issued, prepare=_token, seeds=_published, large=_large),
    Target(name="sd_jwt.inspect", read=_inspect, prepare=_token, seeds=_published, large=_large),
    Target(
        name="sd_jwt.issuer_metadata.parse",
        read=_parse_issuer,
        prepare=preparing(*_ISSUER_DOCUMENTS),
        seeds=seeding(*_ISSUER_DOCUMENTS),
    ),
    Target(
        name="sd_jwt.issuer_metadata.parse_jwks",
        read=issuer_metadata.parse_jwks,
        prepare=preparing(_ISSUER_DOCUMENTS[0]["jwks"]),
        seeds=seeding(_ISSUER_DOCUMENTS[0]["jwks"]),
    ),
    Target(
        name="sd_jwt.type_metadata.parse",
        read=_parse_type,
        prepare=preparing(_TYPE_DOCUMENT),
        seeds=seeding(_TYPE_DOCUMENT),
    ),
)
