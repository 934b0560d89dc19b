"""Which relays the wallet speaks to.

Whoever made a link chose its relay, and opening the link tells that relay the wallet's address. So the wallet
speaks to relays that its user named, and to others after it asked; over TLS, except on this machine.
"""

import re
from typing import Literal

from safeconduct.errors import Rejected
from safeconduct.protocols.oauth import urls
from safeconduct.protocols.transfer.uuids import new_uuid, uuid_text
from safeconduct.wallet.context import Context
from safeconduct.wallet.sharing.records import Box

Unlisted = Literal["asked", "allowed"]
"""What is done about a relay that the user has not named: ask first, or take it."""


def relay_to_leave_at(context: Context, wanted: str | None) -> str:
    """Return the base URL of the relay where a share is left. wanted: the user's choice for this one.

    Raises Rejected: relay_missing, url_not_https; Malformed: url_malformed.
    """
    relay = (wanted or context.relay).rstrip("/")
    if not relay:
        raise Rejected(
            "relay_missing", "No relay is set where the share could be left; set wallet.relay or name one."
        )
    return urls.check_identifier(relay, what="of the relay", allow_http_loopback=context.allow_http_loopback)


def is_listed(context: Context, relay: str) -> bool:
    """Tell whether the user named this relay: one of the same scheme, host, port and path."""
    named = (context.relay, *context.relays)
    return urls.normalise(relay) in {urls.normalise(url.rstrip("/")) for url in named if url}


def token_for(context: Context, relay: str) -> str | None:
    """Return the token for making mailboxes at a relay: that of the settings, if it is set there.

    Raises Rejected: relay_token_malformed.
    """
    if context.relay_token is None or not context.relay:
        return None
    if urls.normalise(relay) != urls.normalise(context.relay.rstrip("/")):
        return None
    token = context.relay_token.reveal()
    if not _TOKEN.fullmatch(token):
        raise Rejected("relay_token_malformed", "wallet.relay_token has to be printable ASCII in one line.")
    return token


_TOKEN = re.compile(r"[\x20-\x7e]{1,1024}")


def new_box(context: Context, relay: str, *, mailbox: str = "") -> Box:
    """Return a mailbox with a claim that stands for nothing else. mailbox: its id, if it is there already."""
    return Box(relay=relay, id=mailbox, claim=new_id(context), created=new_id(context))


def new_id(context: Context) -> str:
    """Return a fresh random UUID as text."""
    return uuid_text(new_uuid(context.random(16)))
