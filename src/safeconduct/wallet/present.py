"""Showing a part of a credential to one verifier, and to no other."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from safeconduct import limits
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.protocols import wire
from safeconduct.protocols.oauth import urls
from safeconduct.protocols.openid4vci.configuration import SD_CWT
from safeconduct.wallet import store
from safeconduct.wallet.context import Context, Notice
from safeconduct.wallet.formats import FORMATS, Presenting, format_of
from safeconduct.wallet.holder_keys import signer_of
from safeconduct.wallet.records import Credential, Held

KEY_BOUND = FORMATS[SD_CWT].media_type
"""Media type of a presented SD-CWT."""


class Outcome(msgspec.Struct, frozen=True):
    """A verifier's answer to a presentation.

    claims: as it read them. code, reason: why it refused, in its own words for the reason; "" if it accepted.
    """

    accepted: bool
    claims: dict[str, Any] = {}
    code: str = ""
    reason: str = ""


async def present(
    context: Context,
    credential: str,
    *,
    disclose: Sequence[str],
    audience: str,
    nonce: bytes | None,
    reuse: bool,
) -> bytes:
    """Return a presentation of the credential whose id begins so, by an instance that nobody has seen.

    disclose: claim paths. audience: the verifier's identifier. nonce: what it gave out, if anything.
    reuse: whether an instance may be shown again if all were seen; a credential with one instance always is.
    Raises Rejected: credential_unknown, credential_ambiguous, credential_expired, instances_used_up,
    claim_not_found, nonce_missing.
    """
    taken = await context.safe.run(store.take_instance, credential, reuse=reuse)
    try:
        shown = presentation(context, taken, disclose=disclose, audience=audience, nonce=nonce)
    except SafeconductError:
        await context.safe.run(store.return_instance, taken)
        raise
    _warn(context, taken.held)
    return shown


def presentation(
    context: Context, taken: Credential, *, disclose: Sequence[str], audience: str, nonce: bytes | None
) -> bytes:
    """Return a presentation of one instance. Raises as `present`."""
    now = context.clock()
    if taken.held.expires is not None and taken.held.expires <= now:
        raise Rejected("credential_expired", "The credential has expired; ask its issuer for a new one.")
    return format_of(taken.held.format).present(
        Presenting(
            token=taken.token,
            holder=signer_of(taken.key),
            disclose=disclose,
            audience=audience,
            nonce=nonce,
            now=now,
            random=context.random,
        )
    )


def _warn(context: Context, before: Held) -> None:
    if before.unused == 0:
        context.report(
            Notice(
                "instance_reused",
                "This was shown before; verifiers that compare what they saw can tell that both were yours.",
            )
        )
    elif before.unused == 1 and before.instances > 1:
        context.report(
            Notice(
                "instances_used_up",
                "That was the last instance nobody had seen. More come by `wallet renew`, if the issuer "
                "lets you, or by a new offer.",
            )
        )


async def present_to(
    context: Context, credential: str, *, verifier: str, disclose: Sequence[str], reuse: bool
) -> Outcome:
    """Present to the verifier service at a URL: with its nonce, made out to it.

    Raises Rejected: audience_foreign if it wants a presentation that it could show to somebody else;
    nonce_missing; and what `present`, fetching and reading raise.
    """
    urls.check_identifier(verifier, what="of the verifier", allow_http_loopback=context.allow_http_loopback)
    _, stored = await context.safe.run(store.find_stored, credential)
    chosen = format_of(stored.format)
    base = verifier.rstrip("/")
    challenge = await _challenge(context, base)
    if challenge.audience.rstrip("/") != base:
        raise Rejected(
            "audience_foreign",
            "The verifier asks for a presentation made out to somebody else; nothing was shown to it.",
        )
    shown = await present(
        context,
        credential,
        disclose=disclose,
        audience=challenge.audience,
        nonce=chosen.nonce(challenge.nonce),
        reuse=reuse,
    )
    response = await context.fetcher.request(
        "POST", f"{base}/presentations", headers={"Content-Type": chosen.media_type}, content=shown
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
