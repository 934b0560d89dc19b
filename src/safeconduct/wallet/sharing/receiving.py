"""Opening a link: what it leads to is looked at, claimed, read, and believed only as far as it must be.

1. The link is read; its fragment stays here. Its relay must be one that the user named, or agrees to.
2. What anybody may see is shown, and the user asked: nothing is claimed before.
3. A claim is made and kept; only then is it sent, with a proof that this wallet has the secret.
4. The message is opened, with what the link says of version and level, whatever the relay says.
5. The offer must be of the issuer that the share names; issuer and content are shown, and the user asked.
6. Then it is redeemed (`redeeming`), and only there a PIN is asked for.

The same link, opened again, goes on with the same claim.
"""

from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from safeconduct.encoding import json
from safeconduct.errors import Rejected, Unsupported
from safeconduct.protocols.openid4vci.offer import CredentialOffer, parse_offer
from safeconduct.protocols.transfer.content import Content, Offer, read_offer
from safeconduct.protocols.transfer.link import ShareLink, parse_link
from safeconduct.wallet import store
from safeconduct.wallet.context import Context, Unencrypted
from safeconduct.wallet.obtain import ID_BYTES
from safeconduct.wallet.sharing import channels, exchanging, register, relays
from safeconduct.wallet.sharing.records import Box, Level, Taken
from safeconduct.wallet.sharing.relay_line import Display, RelayLine
from safeconduct.wallet.sharing.relays import Unlisted

UNCLAIMED = frozenset({"mailbox_gone", "share_taken", "claim_refused"})
"""Codes after which the first read has bound nothing."""


class ShareQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What the wallet is about to do for a link that anybody may have made.

    step: "relay": speak to a relay that nobody named; "claim": take what lies there; "redeem": ask the issuer
    for the credential; "pin": which the user is asked for then. host: whom it would speak to.
    title, description: the sender's words, which anybody can write; printable.
    legacy: payloads of the drafts, with which the relay could repeat messages.
    issuer, configurations, expires, mode: as the offer says; mode "move": the sender's own credential ends.
    known: whether the wallet has dealt with this issuer before, or the user said whom to believe of it.
    """

    step: Literal["relay", "claim", "redeem", "pin"]
    host: str
    level: Level | None = None
    legacy: bool = False
    title: str = ""
    description: str = ""
    issuer: str = ""
    configurations: tuple[str, ...] = ()
    expires: int | None = None
    mode: str = "share"
    known: bool = False


Ask = Callable[[ShareQuestion], bool]
"""Puts a question to the user; whether the wallet may go on."""


def _unseen(_digits: str, _issuer: str) -> None:
    """Takes digits where nobody looks: who asks gets them with the result."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How the user takes what a link leads to.

    ask: None if all is agreed beforehand. relay: what is done about one that nobody named. tx_code: the PIN,
    if it is here already. pin: asks the user for it, once issuer and content were shown; None gives up.
    via: base URL of the wallet server. unencrypted: whether an issuer without encryption will do.
    key: a holder key, the URI of one in a token or a private JWK as text. configuration: which credential,
    where the offer holds several. issuer: the only one that will do, for who is not asked. wait: seconds to
    wait for an issuer that takes time. show: shows the digits to compare, with the issuer that the sender
    names. wait_sender: seconds to wait for each step of a sender who has to approve.
    """

    ask: Ask | None = None
    relay: Unlisted = "asked"
    tx_code: str | None = None
    pin: Callable[[ShareQuestion], str | None] | None = None
    via: str | None = None
    unencrypted: Unencrypted = "refused"
    key: str | None = None
    configuration: str | None = None
    issuer: str | None = None
    wait: int = 0
    show: Callable[[str, str], None] = _unseen
    wait_sender: int = 0

    def __repr__(self) -> str:
        return "<Terms>"


# Steps 1 to 3.


async def begin(context: Context, link_text: str, terms: Terms) -> Taken:
    """Return the record of what a link leads to: that of before, or a new one, to which the user agreed.

    Raises Rejected: relay_unlisted, declined, link_secret_missing, link_changed; what reading the link and
    `RelayLine.preview` raise.
    """
    link = parse_link(link_text, allow_http_loopback=context.allow_http_loopback)
    if link.secret is None:
        raise Rejected(
            "link_secret_missing",
            "The link has no secret. If that came by another way, put it behind the link, after a #.",
        )
    box = relays.new_box(context, link.relay, mailbox=link.mailbox_id)
    before = await context.safe.run(register.taken_by, box.url, link.secret)
    if before is not None:
        _check_same(before, link)
        return before
    _check_relay(context, link, terms)
    shown = await RelayLine(context, box).preview()
    _confirm(terms.ask, _claim_question(link, shown))
    taken = await new_taken(context, secret=link.secret, version=link.version, level=link.level, box=box)
    _check_same(taken, link)
    return taken


async def new_taken(
    context: Context,
    *,
    secret: bytes,
    version: Literal[1, 2],
    level: Level | None,
    box: Box | None,
    key: str | None = None,
) -> Taken:
    """Keep the record of a transfer before anything is sent, and return it: that of another process that
    has just opened the same link, if there is one. box: None for one without a relay.
    """
    taken = Taken(
        id=context.random(ID_BYTES).hex(),
        stage="begun",
        since=context.clock(),
        level=level,
        version=version,
        secret=secret,
        box=box,
        key=key,
    )
    return await context.safe.run(register.put_opened, taken)


def _check_same(before: Taken, link: ShareLink) -> None:
    """A link that says less than before of how the share is bound must not be followed as the one before."""
    if (before.version, before.level) != (link.version, link.level):
        raise Rejected(
            "link_changed",
            "You opened another link to the same share, which says something else of how it is bound to you: "
            "one of them was changed on its way. Decline it, and have it shared by another way.",
        )


def _check_relay(context: Context, link: ShareLink, terms: Terms) -> None:
    if terms.relay == "allowed" or relays.is_listed(context, link.relay):
        return
    if terms.ask is None:
        raise Rejected(
            "relay_unlisted",
            "The link is to a relay that is not in the settings. Whoever made the link could learn where you "
            "are; add the relay to wallet.relays, or allow it for this link (--relay-ok).",
        )
    _confirm(terms.ask, ShareQuestion(step="relay", host=_host(link.relay)))


def _claim_question(link: ShareLink, shown: Display) -> ShareQuestion:
    return ShareQuestion(
        step="claim",
        host=_host(link.relay),
        level=link.level,
        legacy=link.version == 1,
        title=shown.title,
        description=shown.description,
    )


# Steps 3 and 4.


async def claim(context: Context, taken: Taken) -> tuple[Taken, Content]:
    """Claim the mailbox, or show the same claim again, and open what lies there.

    The record that comes back has counted the message and is not kept like that yet; see `channels`.
    Raises as `RelayLine.read` and `channels.open_next`. Where nothing was bound, the record is forgotten.
    """
    proof_key = None if taken.version == 1 else channels.channel_of(taken).keys.claim
    box = exchanging.box_of(taken)
    try:
        mail = await RelayLine(context, box).read(proof_key=proof_key)
    except Rejected as error:
        if error.code in UNCLAIMED and taken.stage == "begun":
            await forget(context, taken)
        raise
    if mail is None:
        raise Rejected("relay_refused", "The relay gives nothing out.")
    claimed = msgspec.structs.replace(
        taken, stage="claimed", box=msgspec.structs.replace(box, sequence=mail.sequence)
    )
    return channels.open_next(await exchanging.keep(context, claimed), mail.payload)


async def forget(context: Context, taken: Taken) -> None:
    """Forget a transfer and its secrets for good."""
    await context.safe.run(register.drop, taken.id)
    await context.safe.erase_traces()


# Step 5.


async def take_offer(context: Context, taken: Taken, offer: Offer, terms: Terms) -> Taken:
    """Check an offer against what its sender says of the share, show it, and keep it.

    taken: as `claim` returned it, or what a later message came with.
    Raises Rejected: share_missing, share_issuer_mismatch, share_expired, share_level_mismatch,
    issuer_unexpected, declined; Unsupported: grant_unsupported; and what `parse_offer` raises.
    """
    parsed = read_terms(context, offer.credential_offer)
    share = offer.share
    if share is None and taken.version != 1:
        raise Rejected("share_missing", "The sender does not say of which share the offer is.")
    if share is not None and share.issuer != parsed.credential_issuer:
        raise Rejected(
            "share_issuer_mismatch", "The offer is of another issuer than the share; do not follow it."
        )
    if share is not None and share.expires is not None and share.expires <= context.clock():
        raise Rejected("share_expired", "The share has expired; ask its sender for a new one.")
    _check_level(taken, parsed)
    check_issuer(parsed.credential_issuer, terms)
    taken = msgspec.structs.replace(
        taken,
        stage="offered",
        offer=offer.credential_offer,
        issuer=parsed.credential_issuer,
        share_id=share.id if share else None,
        offer_expires=share.expires if share else None,
        mode=share.mode if share else "share",
    )
    _confirm(terms.ask, await offer_question(context, taken, step="redeem"), then=_left(taken))
    return await exchanging.keep(context, taken)


def check_issuer(issuer: str, terms: Terms) -> None:
    """Hold an issuer against the one that the user expects, if any. Raises Rejected: issuer_unexpected."""
    if terms.issuer is not None and issuer != terms.issuer:
        raise Rejected(
            "issuer_unexpected",
            "The share is of another issuer than you named, which heard nothing of it; decline the share.",
        )


def read_terms(context: Context, offer: dict[str, object]) -> CredentialOffer:
    """Read the issuer's own part of an offer. Raises Unsupported: grant_unsupported, and as `parse_offer`."""
    parsed = parse_offer(json.dumps(offer), allow_http_loopback=context.allow_http_loopback)
    if parsed.pre_authorized is None:
        raise Unsupported("grant_unsupported", "The share cannot be redeemed by whom it is sent to.")
    return parsed


async def offer_question(context: Context, taken: Taken, *, step: Literal["redeem", "pin"]) -> ShareQuestion:
    """Return what the user is shown of an offer that was taken."""
    parsed = read_terms(context, taken.offer or {})
    known = await context.safe.run(store.known_issuer, parsed.credential_issuer)
    return ShareQuestion(
        step=step,
        host=_host(parsed.credential_issuer),
        level=taken.level,
        legacy=taken.version == 1,
        issuer=parsed.credential_issuer,
        configurations=parsed.credential_configuration_ids,
        expires=taken.offer_expires,
        mode=taken.mode,
        known=known.seen is not None or known.pinned,
    )


def offer_in(content: Content) -> Offer:
    """Return the offer of a message. Raises Unsupported: content_format_unsupported; Malformed."""
    return read_offer(content)


def _check_level(taken: Taken, offer: CredentialOffer) -> None:
    """The link says how the share is bound, and no relay can change that: so the offer must be like it."""
    has_pin = offer.pre_authorized is not None and offer.pre_authorized.tx_code is not None
    if taken.level is not None and has_pin != (taken.level == "pin"):
        raise Rejected(
            "share_level_mismatch",
            "The offer is not bound to its receiver as the link says; do not follow it.",
        )


def _left(taken: Taken) -> str:
    if taken.box is None:
        return ""
    return f" It is kept for you: `wallet receive {taken.id}`, or `wallet decline {taken.id}` to refuse it."


def _confirm(ask: Ask | None, question: ShareQuestion, *, then: str = "") -> None:
    if ask is not None and not ask(question):
        raise Rejected("declined", f"You did not agree, so nothing more was done.{then}")


def _host(url: str) -> str:
    return urlsplit(url).netloc
