"""The way through a wallet server, which forwards encrypted requests and learns nothing from them."""

from contextlib import suppress
from typing import Annotated

import msgspec

from safeconduct import limits
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.net.fetch import Response
from safeconduct.protocols import wire
from safeconduct.wallet.context import Context

_SESSION = "Safeconduct-Session"
_ISSUER = "Safeconduct-Issuer"


async def forward(
    context: Context, server: str, *, issuer: str, headers: dict[str, str], body: bytes
) -> Response:
    """Send a credential request through the wallet server, in a session of its own, and return the answer.

    server: its base URL. issuer: identifier of the issuer to forward to.
    Raises Rejected: session_refused, and what fetching raises.
    """
    base = server.rstrip("/")
    session = {_SESSION: await _open_session(context, base)}
    routed = {**headers, **session, _ISSUER: issuer}
    response = await context.fetcher.request(
        "POST", f"{base}/forward/credential", headers=routed, content=body
    )
    with suppress(SafeconductError):  # a session that stays open ends by itself
        await context.fetcher.request("DELETE", f"{base}/sessions", headers=session)
    return response


class _Session(msgspec.Struct, frozen=True):
    session: Annotated[
        str, msgspec.Meta(min_length=1, max_length=limits.CODE_CHARS, pattern=r"^[A-Za-z0-9._~+/=-]+$")
    ]


async def _open_session(context: Context, base: str) -> str:
    response = await context.fetcher.request(
        "POST", f"{base}/sessions", headers={"Content-Type": "application/json"}, content=b"{}"
    )
    if response.status != 201:
        raise Rejected(
            "session_refused", "The wallet server opens no session; check its address, or go without it."
        )
    return wire.read_json(response.body, _Session, what="Session").session
