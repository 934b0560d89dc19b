"""Targets: credentials that holders passed on, and the messages by which they do.

A link is taken apart into JSON trees, changed in some place, and signed again with the holder's key.
"""

import json
from typing import Any

from fuzz import json_trees, sd_jwt
from fuzz.choices import Choices
from fuzz.judgement import Target
from fuzz.tokens import AUDIENCE, HOLDER_KEY, ISSUER, ISSUER_KEY, NOW, TRUST
from fuzz.trees import mutate
from safeconduct.encoding import json as strict
from safeconduct.formats.redaction import redact
from safeconduct.formats.sd_jwt import delegation
from safeconduct.formats.sd_jwt.confirmation import confirmation_for
from safeconduct.formats.sd_jwt.issuance import issue
from safeconduct.protocols.transfer import content
from safeconduct.protocols.transfer import delegation as messages
from safeconduct.trust import WAIVED, Policy

_VCT = "https://issuer.example/type"
_POLICY = Policy(audience=AUDIENCE, nonce="n-1", key_binding=WAIVED)
_TAKEN = delegation.DelegationPolicy(depth=4, types=WAIVED)
_CLAIMS = {"iss": ISSUER, "vct": _VCT, "exp": NOW + 100, "n": redact(1), "rights": ["open", "drive"]}


def _always(length: int) -> bytes:
    return bytes(number % 251 for number in range(1, length + 1))


_ROOT = issue(_CLAIMS, issuer=ISSUER_KEY, holder=HOLDER_KEY.public, now=NOW - 5, kid="k", random=_always)
_JWT, _SHOWN, _ = _ROOT.split("~")
_HEADER = {"alg": "ES256", "typ": "sct-delegation+jwt"}
_LINK: dict[str, Any] = {
    "vct": delegation.VCT,
    "iat": NOW - 5,
    "nbf": NOW - 5,
    "exp": NOW + 50,
    "cnf": confirmation_for(HOLDER_KEY.public),
    "_sd_alg": "sha-256",
    "delegation": {
        "parent": _JWT,
        "disclosures": [{"...": "#0"}],
        "rights": {"rights": ["open"]},
        "further": 1,
    },
}
_BINDING = {"aud": AUDIENCE, "iat": NOW - 1, "nonce": "n-1"}


def _token(data: bytes) -> bytes:
    """Makes a delegated credential that `data` says how to change, perhaps passed on once more."""
    choices = Choices(data)
    header, claims = dict(_HEADER), _LINK
    disclosures: Any = [["s0", _SHOWN]]
    for _ in range(choices.pick((1, 1, 2, 0))):
        which = choices.number(6)
        if which == 0:
            header = mutate(header, choices, json_trees.POOL)
        elif which == 1:
            disclosures = mutate(disclosures, choices, json_trees.POOL)
        else:
            claims = mutate(claims, choices, json_trees.POOL)
    again = choices.number(3) == 1
    parts = sd_jwt.Parts(header, claims, disclosures, {"alg": "ES256", "typ": "kb+jwt"}, _BINDING)
    made = sd_jwt.sealed(parts, choices, 1 if again else 0, key=HOLDER_KEY)
    if not again:
        return made
    jwt, *shown, _ = made.decode().split("~")
    grant = {"parent": jwt, "disclosures": shown, "rights": {}, "further": 0}
    onward = sd_jwt.Parts(
        _HEADER, {**_LINK, "delegation": grant}, [], {"alg": "ES256", "typ": "kb+jwt"}, _BINDING
    )
    return sd_jwt.sealed(onward, choices, 0, key=HOLDER_KEY)


def _verify(data: bytes) -> None:
    verified = delegation.verify(data, trust=TRUST, policy=_POLICY, delegation=_TAKEN, now=NOW)
    json.dumps(verified.claims.to_json())
    assert verified.links
    assert verified.claims["exp"] <= NOW + 100


def _check_issued(data: bytes) -> None:
    """Also passes on and presents what was accepted: it must not break its receiver later."""
    issued = data.rpartition(b"~")[0] + b"~"
    held = delegation.check_issued(issued, holder=HOLDER_KEY.public, trust=TRUST, now=NOW, types=WAIVED)
    json.dumps(held.claims.to_json())
    delegation.present(
        issued, holder=HOLDER_KEY, disclose=lambda _path, _value: True, audience=AUDIENCE, nonce="n", now=NOW
    )


def _open(data: bytes) -> None:
    delegation.is_delegated(data)
    delegation.open_chain(data, accept=(), depth=4).needs()


_ABOUT = messages.Announced(
    issuer=ISSUER,
    vct=_VCT,
    claims=("n",),
    rights={"rights": ("open",)},
    not_before=NOW,
    expires=NOW + 50,
    further=0,
)
_STEPS: tuple[Any, ...] = (
    messages.Proposal(nonce="n", audience=messages.audience_of(bytes(32)), credential=_ABOUT, pin=True),
    messages.Claimed(proof="a.b.c", tx_code="123456"),
    messages.Answer(credential="a.b.c~"),
    messages.Answer(error="pin_wrong", tries_left=4),
)
_MESSAGES = tuple(strict.loads(content.encode_content(messages.write_step(step))) for step in _STEPS)


def _read_steps(data: bytes) -> None:
    message = content.parse_content(data)
    kinds: tuple[Any, ...] = (messages.Proposal, messages.Claimed, messages.Answer)
    step = message.content.get("step")
    known = step if type(step) is int and 1 <= step <= len(kinds) else 1
    messages.read_step(message, kinds[known - 1])


def _large() -> list[bytes]:
    """A parent within a parent within a parent, and very many disclosures."""
    jwt, *_ = _token(bytes(8)).decode().split("~")
    nested = [f"{jwt}~".encode()]
    grant = {"parent": _JWT, "disclosures": [_SHOWN] * 1025, "rights": {}, "further": 0}
    wide = {**_LINK, "delegation": grant}
    many = sd_jwt.Parts(_HEADER, wide, [], {"alg": "ES256", "typ": "kb+jwt"}, _BINDING)
    return [*nested, sd_jwt.sealed(many, Choices(b""), 0, key=HOLDER_KEY)]


TARGETS = (
    Target(
        name="delegation.open", read=_open, seeds=lambda: [_token(bytes(8)), _ROOT.encode()], large=_large
    ),
    Target(
        name="delegation.verify",
        read=_verify,
        prepare=_token,
        seeds=lambda: [bytes([form]) + bytes(8) for form in range(4)],
    ),
    Target(name="delegation.check_issued", read=_check_issued, prepare=_token),
    Target(
        name="transfer.delegation",
        read=_read_steps,
        prepare=json_trees.preparing(*_MESSAGES),
        seeds=json_trees.seeding(*_MESSAGES),
    ),
)
