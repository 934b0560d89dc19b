"""What every step of the wallet works with."""

from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from safeconduct.clock import Clock
from safeconduct.crypto.keys import Key
from safeconduct.ids import Random
from safeconduct.net.fetch import Fetcher
from safeconduct.settings import Secret
from safeconduct.wallet.safe import Safe

Unencrypted = Literal["refused", "allowed"]
"""Whether the wallet deals with an issuer that offers no encryption."""


class Notice(msgspec.Struct, frozen=True):
    """Something to know that ended nothing: mostly what a server said and the wallet did not believe.

    code: stable; reason: for a person.
    """

    code: str
    reason: str


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The wallet's surroundings.

    fetcher: the wallet's own connection. clock: seconds. random: unpredictable bytes.
    new_key: makes a private key for the algorithm of that COSE name.
    report: is told what the wallet noticed. sleep: waits so many seconds.
    browse: shows a URL to the user, in a browser or as text.
    client_id: the wallet's name where it needs one.
    allow_http_loopback: takes issuers and servers on this machine without TLS.
    relay: base URL of the relay where shares are left, "" for none. relay_token: for making mailboxes there,
    and nowhere else. relays: those from which shares are taken unasked as well. patience: seconds that the
    fetcher waits for an answer.
    """

    safe: Safe
    fetcher: Fetcher
    clock: Clock
    random: Random
    new_key: Callable[[str], Key]
    report: Callable[[Notice], None]
    sleep: Callable[[float], Awaitable[None]]
    browse: Callable[[str], None]
    client_id: str
    allow_http_loopback: bool
    relay: str = ""
    relays: tuple[str, ...] = ()
    relay_token: Secret | None = None
    patience: float = 10.0
