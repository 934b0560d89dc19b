"""The way through a wallet server, which forwards encrypted requests and learns nothing from them.

Nothing that it says is believed. It gets one proof for each request, and no second one whatever it answers:
what it did not bring, the wallet asks the issuer for, by itself.
"""

from contextlib import suppress
from typing import Annotated

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.net.fetch import Response
from safeconduct.protocols import wire
from safeconduct.wallet import answers
from safeconduct.wallet.context import Context
from safeconduct.wallet.requests import PreparedRequest

_SESSION = "Safeconduct-Session"
_ISSUER = "Safeconduct-Issuer"
_WAKE = "safeconduct-wake"
_FROM = "safeconduct-from"

_KEY_BYTES = 24
_WAIT = 5
_LOOKS = 12
_PAUSE = 1.0
_SPARE = 60


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session at a wallet server. base: its URL. until: when the token ends, seconds since 1970."""

    base: str
    token: str
    until: int

    def __repr__(self) -> str:
        return "<Session>"


class Brought(msgspec.Struct, frozen=True):
    """What a wallet server brought. ticket: for a wake-up, if it gave one."""

    response: Response
    ticket: str | None


async def open_session(context: Context, server: str, *, before: str | None = None) -> Session:
    """Open a session, or take `before` up again.

    server: its base URL. Raises Rejected: session_refused, and what fetching raises.
    """
    base = server.rstrip("/")
    headers = {"Content-Type": "application/json"}
    if before is not None:
        headers[_SESSION] = before
    response = await context.fetcher.request("POST", f"{base}/sessions", headers=headers, content=b"{}")
    if response.status != 201:
        raise Rejected(
            "session_refused", "The wallet server opens no session; check its address, or go without it."
        )
    opened = wire.read_json(response.body, _Opened, what="Session")
    return Session(base=base, token=opened.session, until=context.clock() + opened.expires_in)


async def close_session(context: Context, session: Session) -> None:
    """End a session with all that is kept for it; one that stays open ends by itself."""
    with suppress(SafeconductError):
        await context.fetcher.request("DELETE", f"{session.base}/sessions", headers={_SESSION: session.token})


async def kept_session(context: Context, server: str, *, token: str | None, until: int) -> Session:
    """Return the session that a request keeps while its issuer takes time: renewed, or opened anew.

    Raises Rejected: session_refused, and what fetching raises.
    """
    if token is None:
        return await open_session(context, server)
    if until - _SPARE > context.clock():
        return Session(base=server.rstrip("/"), token=token, until=until)
    try:
        return await open_session(context, server, before=token)
    except Rejected:
        return await open_session(context, server)


async def forward(
    context: Context,
    session: Session,
    prepared: PreparedRequest,
    *,
    issuer: str,
    headers: dict[str, str],
    path: str,
) -> Brought:
    """Send a sealed request through the wallet server and return what it says that the issuer answered.

    path: "credential" or "deferred". headers: with the token and its proof.
    Raises Rejected: challenge_not_believed, forwarding_failed, and what fetching raises.
    """
    routed = {
        **headers,
        _SESSION: session.token,
        _ISSUER: issuer,
        "Idempotency-Key": b64.encode(context.random(_KEY_BYTES)),
        "Prefer": f"wait={_WAIT}",
    }
    response = await context.fetcher.request(
        "POST", f"{session.base}/forward/{path}", headers=routed, content=prepared.body
    )
    if _is_under_way(response):
        response = await _collect(context, session, response)
    if answers.is_challenge(response):
        # The proof has a nonce that came from the issuer a moment ago, so this is an error at best.
        raise Rejected(
            "challenge_not_believed",
            "The wallet server brought a nonce challenge, as one would that collects proofs; "
            "the wallet makes no second proof for it and asks the issuer itself.",
        )
    if response.status not in (200, 202):
        raise Rejected(
            "forwarding_failed",
            f"The wallet server brought HTTP status {response.status} instead of the credential; "
            "the wallet asks the issuer itself.",
        )
    return Brought(response, _ticket(response))


async def ask_to_be_woken(
    context: Context, session: Session, *, issuer: str, after: int, ticket: str
) -> bool:
    """Ask the wallet server for a wake-up in so many seconds, and tell whether it agreed."""
    wish = wire.encode({"issuer": issuer, "after": max(after, 1), "ticket": ticket})
    headers = {_SESSION: session.token, "Content-Type": "application/json"}
    with suppress(SafeconductError):
        response = await context.fetcher.request(
            "PUT", f"{session.base}/wakeups", headers=headers, content=wish
        )
        return response.status == 204
    return False


async def wait_for_wakeup(context: Context, session: Session, *, seconds: int) -> bool:
    """Wait, no longer than asked, for the wallet server's wake-up; tell whether there was one."""
    wait = max(min(seconds, limits.WAIT_SECONDS), 0)
    with suppress(SafeconductError):
        response = await context.fetcher.request(
            "GET", f"{session.base}/wakeups?wait={wait}", headers={_SESSION: session.token}
        )
        if response.status == 200:
            return bool(wire.read_json(response.body, _Wakeups, what="Wake-ups").wakeups)
    return False


class _Opened(msgspec.Struct, frozen=True):
    session: Annotated[
        str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS, pattern=r"^[A-Za-z0-9._~+/=-]+$")
    ]
    expires_in: Annotated[int, msgspec.Meta(ge=0, le=limits.WAKEUP_SECONDS)] = 60


class _Delivery(msgspec.Struct, frozen=True):
    delivery: Annotated[str, msgspec.Meta(max_length=limits.CODE_CHARS, pattern=r"^[A-Za-z0-9_-]+$")]


class _Wakeups(msgspec.Struct, frozen=True):
    wakeups: Annotated[tuple[dict[str, str], ...], msgspec.Meta(max_length=limits.WAKEUPS)] = ()


def _is_under_way(response: Response) -> bool:
    return (
        response.status == 202
        and _FROM not in response.headers
        and response.content_type == "application/json"
    )


async def _collect(context: Context, session: Session, response: Response) -> Response:
    """Look for an answer that the server waits for; a server that never has one is given up."""
    delivery = wire.read_json(response.body, _Delivery, what="Delivery").delivery
    url, headers = f"{session.base}/deliveries/{delivery}", {_SESSION: session.token}
    for _ in range(_LOOKS):
        response = await context.fetcher.request("GET", f"{url}?wait={_WAIT}", headers=headers)
        if not _is_under_way(response):
            with suppress(SafeconductError):
                await context.fetcher.request("DELETE", url, headers=headers)
            return response
        await context.sleep(_PAUSE)
    raise Rejected(
        "forwarding_failed",
        "The wallet server does not bring the issuer's answer; the wallet asks the issuer itself.",
    )


def _ticket(response: Response) -> str | None:
    ticket = response.headers.get(_WAKE)
    return ticket if ticket is not None and len(ticket) <= limits.TOKEN_CHARS else None
