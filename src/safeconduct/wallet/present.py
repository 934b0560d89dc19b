"""Showing a part of a credential to one verifier, and to no other."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import Rejected
from safeconduct.formats import sd_cwt
from safeconduct.protocols import wire
from safeconduct.protocols.oauth import urls
from safeconduct.wallet import store
from safeconduct.wallet.context import Context

KEY_BOUND = "application/kb+cwt"
"""Media type of a presentation (SD-CWT-08 §8)."""

_NONCE_BYTES = 64


class Outcome(msgspec.Struct, frozen=True):
    """A verifier's answer to a presentation.

    claims: as it read them. code, reason: why it refused, in its own words for the reason; "" if it accepted.
    """

    accepted: bool
    claims: dict[str, Any] = {}
    code: str = ""
    reason: str = ""


async def present(
    context: Context, credential: str, *, disclose: Sequence[str], audience: str, nonce: bytes | None
) -> bytes:
    """Return a presentation of the credential whose id begins so.

    disclose: claim paths. audience: the verifier's identifier. nonce: what it gave out, if anything.
    Raises Rejected: credential_unknown, credential_ambiguous, credential_expired, claim_not_found.
    """
    found = await context.safe.run(store.find_credential, credential)
    now = context.clock()
    if found.held.expires is not None and found.held.expires <= now:
        raise Rejected("credential_expired", "The credential has expired; ask its issuer for a new one.")
    return sd_cwt.present(
        found.token,
        holder=found.holder_key,
        disclose=disclose,
        audience=audience,
        nonce=nonce,
        now=now,
        random=context.random,
    )


async def present_to(context: Context, credential: str, *, verifier: str, disclose: Sequence[str]) -> Outcome:
    """Present to the verifier service at a URL: with its nonce, made out to it.

    Raises Rejected: audience_foreign if it wants a presentation that it could show to somebody else;
    nonce_missing; and what `present`, fetching and reading raise.
    """
    urls.check_identifier(verifier, what="of the verifier", allow_http_loopback=context.allow_http_loopback)
    base = verifier.rstrip("/")
    challenge = await _challenge(context, base)
    if challenge.audience.rstrip("/") != base:
        raise Rejected(
            "audience_foreign",
            "The verifier asks for a presentation made out to somebody else; nothing was shown to it.",
        )
    nonce = b64.decode(challenge.nonce, max_bytes=_NONCE_BYTES)
    shown = await present(context, credential, disclose=disclose, audience=challenge.audience, nonce=nonce)
    response = await context.fetcher.request(
        "POST", f"{base}/presentations", headers={"Content-Type": KEY_BOUND}, content=shown
    )
    if response.status == 200:
        return Outcome(accepted=True, claims=wire.read_json(response.body, _Verdict, what="Verdict").claims)
    problem = wire.read_json(response.body, _Problem, what="Problem")
    return Outcome(accepted=False, code=problem.code, reason=problem.detail)


class _Challenge(msgspec.Struct, frozen=True):
    nonce: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.NONCE_CHARS)]
    audience: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.URL_CHARS)]


class _Verdict(msgspec.Struct, frozen=True):
    claims: dict[str, Any]


class _Problem(msgspec.Struct, frozen=True):
    code: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,64}$")] = "refused"
    detail: Annotated[str, msgspec.Meta(max_length=1024)] = "The verifier gave no reason."


async def _challenge(context: Context, base: str) -> _Challenge:
    response = await context.fetcher.request("POST", f"{base}/nonces", content=b"")
    if response.status != 200:
        raise Rejected("nonce_missing", "The verifier gave no nonce; check its address.")
    return wire.read_json(response.body, _Challenge, what="Verifier nonce")
