"""A presentation in whichever format it came, judged by one policy; what it proved as JSON values."""

from collections.abc import Callable
from typing import Any

import msgspec

from safeconduct.encoding import b64
from safeconduct.errors import Malformed
from safeconduct.formats import sd_cwt, sd_jwt
from safeconduct.formats.sd_jwt import delegation
from safeconduct.formats.sd_jwt.delegation import DelegationPolicy
from safeconduct.limits import NONCE_CHARS
from safeconduct.status.token_list import CredentialStatus, Owner
from safeconduct.trust import Policy, Trust

NonceCheck = Callable[[bytes | None], bool]
"""Decides on the nonce of a key binding, as bytes: in an SD-JWT it stands as their base64url text."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a presentation proved, as JSON values. issuer: as it names itself.

    status: None if the credential has none. owner: who may speak of it. delegations: how many holders passed
    the credential on.
    """

    claims: dict[str, Any]
    key_binding: dict[str, Any]
    issuer: str
    status: CredentialStatus | None
    owner: Owner
    delegations: int = 0

    def __repr__(self) -> str:
        return "<Shown>"


def judge_sd_cwt(presentation: bytes, *, trust: Trust, policy: Policy, nonce: NonceCheck, now: int) -> Shown:
    """Verifies a presented SD-CWT. nonce: goes before the policy's. Raises as `sd_cwt.verify`."""
    policy = msgspec.structs.replace(policy, nonce=nonce)
    verified = sd_cwt.verify(presentation, trust=trust, policy=policy, now=now)
    return Shown(
        claims=verified.claims.to_json(),
        key_binding=verified.key_binding.to_json(),
        issuer=verified.issuer,
        status=verified.status,
        owner=Owner(verified.issuer, verified.issuer_key),
    )


def judge_sd_jwt(presentation: bytes, *, trust: Trust, policy: Policy, nonce: NonceCheck, now: int) -> Shown:
    """Verifies a presented SD-JWT, of which the policy demands key binding. Raises as `sd_jwt.verify`."""
    policy = _with_nonce(policy, nonce)
    verified = sd_jwt.verify(presentation, trust=trust, policy=policy, now=now)
    assert verified.key_binding is not None  # the policy demands it
    return Shown(
        claims=verified.claims.to_json(),
        key_binding=verified.key_binding.to_json(),
        issuer=verified.issuer or "",
        status=verified.status,
        owner=Owner(verified.issuer, verified.issuer_key, verified.issuer_certificate),
    )


def judge_delegation(
    presentation: bytes,
    *,
    trust: Trust,
    policy: Policy,
    taken: DelegationPolicy,
    nonce: NonceCheck,
    now: int,
) -> Shown:
    """Verifies a presented delegated credential, as `judge_sd_jwt`. Raises as `delegation.verify`."""
    policy = _with_nonce(policy, nonce)
    verified = delegation.verify(presentation, trust=trust, policy=policy, delegation=taken, now=now)
    assert verified.key_binding is not None  # the policy demands it
    return Shown(
        claims=verified.claims.to_json(),
        key_binding=verified.key_binding.to_json(),
        issuer=verified.issuer or "",
        status=verified.status,
        owner=Owner(verified.issuer, verified.issuer_key, verified.issuer_certificate),
        delegations=len(verified.links),
    )


def _with_nonce(policy: Policy, nonce: NonceCheck) -> Policy:
    def fits(text: str | bytes | None) -> bool:
        return nonce(_nonce_bytes(text))

    return msgspec.structs.replace(policy, nonce=fits)


def _nonce_bytes(text: str | bytes | None) -> bytes | None:
    """The nonce as it was made; one that is no base64url is none of ours."""
    if not isinstance(text, str):
        return text
    try:
        return b64.decode(text, max_bytes=NONCE_CHARS)
    except Malformed:
        return b""
